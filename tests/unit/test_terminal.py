"""What the programs print to a terminal."""

from __future__ import annotations

import io

import pytest
from rich.text import Text

from infra.results import parse_result
from ops.stack.terminal import Terminal
from sandbox.command_line import explain, transcript_table
from sandbox.live.__main__ import result_line
from sandbox.participant_service.transcript import TranscriptItem
from sandbox.processes import ProcessError
from tests.support.result_events import result_detail


def item(content_type: str, content: str | None) -> TranscriptItem:
    return TranscriptItem(
        id="i-1",
        type="EVENT" if content is None else "MESSAGE",
        absolute_time="2026-11-23T10:11:12.300Z",
        content_type=content_type,
        participant_id="p-1",
        participant_role="CUSTOMER",
        display_name="Customer",
        content=content,
    )


def test_transcript_keeps_lines_and_ordinary_text_and_escapes_the_rest() -> None:
    stream = io.StringIO()

    Terminal(stream).print(
        transcript_table(
            [item("text/plain\x1b[2J", "Bonjour\xa0!\n10:11:12.300  \x9b\u202e\u2028 👩\u200d👧 \ud800")]
        )
    )

    assert stream.getvalue().split("\n") == [
        "10:11:12.300  text/plain\\x1b[2J  Bonjour\xa0!",
        f"{'':33}10:11:12.300  \\x9b\\u202e\\u2028 👩\u200d👧 \\ud800",
        "",
    ]


def test_transcript_shows_messages_and_events_under_short_names() -> None:
    stream = io.StringIO()

    Terminal(stream).print(
        transcript_table(
            [
                item("application/vnd.amazonaws.connect.event.participant.joined", None),
                item("application/vnd.amazonaws.connect.message.interactive.response", "{}"),
            ]
        )
    )

    assert stream.getvalue().splitlines() == [
        "10:11:12.300  participant.joined",
        "10:11:12.300  interactive.response  {}",
    ]


HOSTILE = "\x1b[2J\x9b\u202e\u2028\r\n"
SHOWN = r"\x1b[2J\x9b\u202e\u2028\r\n"


@pytest.mark.parametrize("is_sent", [True, False])
def test_result_line_escapes_its_ids_and_its_reason(is_sent: bool) -> None:
    stream = io.StringIO()
    detail = result_detail("SENT" if is_sent else "REJECTED", ContactId=f"c{HOSTILE}")
    if is_sent:
        detail["Message"]["Id"] = f"id{HOSTILE}"
    else:
        detail["Error"] |= {"Code": f"code{HOSTILE}", "Reason": f"reason{HOSTILE}"}

    Terminal(stream).print_line(result_line(parse_result(detail)))

    [line] = stream.getvalue().splitlines()
    assert f"contact c{SHOWN}" in line
    assert line.endswith(f"message id{SHOWN}" if is_sent else f"code{SHOWN}: reason{SHOWN}")


def test_explanation_of_an_error_keeps_its_lines_and_escapes_the_rest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = ProcessError("node ended with status 1.\nThe end of log:\n\x1b[2J\u202e")

    status = explain(error)

    assert status == 2
    assert capsys.readouterr().err == "node ended with status 1.\nThe end of log:\n\\x1b[2J\\u202e\n"


def test_text_to_paste_is_never_wrapped() -> None:
    stream = io.StringIO()

    Terminal(stream).print_to_paste(f"export A={'x' * 500}")

    assert stream.getvalue() == f"export A={'x' * 500}\n"


def test_long_line_is_truncated() -> None:
    stream = io.StringIO()

    Terminal(stream).print_line(Text("x " * 500))

    [line] = stream.getvalue().splitlines()
    assert line.endswith("…")
