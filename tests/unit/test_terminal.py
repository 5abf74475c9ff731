"""What the programs print to a terminal."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from ops.stack.terminal import Terminal
from sandbox.command_line import explain, transcript_table
from sandbox.participant_service.transcript import TranscriptItem
from sandbox.processes import ProcessError

if TYPE_CHECKING:
    import pytest


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
