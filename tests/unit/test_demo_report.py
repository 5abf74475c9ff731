"""The output of the demo."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from infra.producer import Answer, EventSource
from infra.results import Outcome
from ops.stack.terminal import Terminal
from sandbox.demo.message_file import Chat, Expectation, Message, MessageFile
from sandbox.demo.report import introduction, report
from sandbox.demo.run import ChatRecord, Run, Sending
from sandbox.demo.verdict import judge
from sandbox.local_stack import QueueDepths
from sandbox.participant_service.transcript import TranscriptItem
from tests.support.result_events import published_result

MESSAGE_ID = "165a451d-794f-4462-9659-d0bf9a1c0ba3"


@pytest.fixture
def run() -> Run:
    message = Message(
        number=3,
        chat="alice",
        through=EventSource.QUEUE,
        request={"ContentType": "text/plain", "Content": "[bold]Hello\x1b[31m"},
        expected=Expectation("SENT"),
        note="says hello",
    )
    answer = {"Id": MESSAGE_ID, "AbsoluteTime": None, "ProcessingStatus": None}
    result = published_result(Message=answer, CompletedAt="2026-11-23T10:11:12.345Z")
    item = TranscriptItem(
        id=MESSAGE_ID,
        type="MESSAGE",
        absolute_time="2026-11-23T10:11:12.300Z",
        content_type="text/plain",
        participant_id="p-1",
        participant_role="CUSTOMER",
        display_name="Customer",
        content="[bold]Hello\x1b[31m",
    )
    return Run(
        sendings=[Sending(message=message, answer=Answer(source_id="m-1"), result=result, looked_up=result)],
        chats=[
            ChatRecord(chat=Chat(name="alice"), contact_id="c-1", connections=2, transcript=[item]),
            ChatRecord(chat=Chat(name="carol", ended=True), contact_id="c-2", connections=1, transcript=[]),
        ],
        queues=QueueDepths(messages=0, dead_letter=0, rejected=0, events_dead_letter=0),
        has_error_types=True,
    )


def printed(run: Run) -> list[str]:
    stream = io.StringIO()
    terminal = Terminal(stream)
    terminal.print(report(run, judge(run), width=terminal.width))
    return stream.getvalue().splitlines()


def test_a_row_has_event_sources_chat_outcome_code_message_id_time_and_note(run: Run) -> None:
    (row,) = [line.split() for line in printed(run) if "says hello" in line]

    assert row == ["3", "queue", "sqs", "alice", "SENT", MESSAGE_ID, "10:11:12.345", "says", "hello"]


def test_a_transcript_escapes_only_the_characters_that_steer_the_terminal(run: Run) -> None:
    assert r"  10:11:12.300  text/plain  [bold]Hello\x1b[31m" in printed(run)


def test_a_chat_with_more_than_one_connection_token_says_so(run: Run) -> None:
    lines = printed(run)

    assert "alice  contact c-1  2 connection tokens" in lines
    assert "carol  contact c-2  ended at the start" in lines


def test_totals_count_outcomes_and_transcripts(run: Run) -> None:
    lines = printed(run)

    totals = lines.index("  1 message, 1 shown in 2 transcripts")
    assert lines[totals + 1] == "     1 SENT"


def test_the_output_is_plain_text_without_a_terminal(run: Run) -> None:
    lines = printed(run)

    assert "\x1b" not in "".join(lines)
    assert all(line == line.rstrip() for line in lines)


def test_an_unexpected_outcome_is_shown_with_the_expected_one(run: Run) -> None:
    (sending,) = run.sendings
    unexpected = replace(sending, result=None)

    lines = printed(Run(sendings=[unexpected], chats=[], queues=run.queues, has_error_types=True))

    assert any("no result" in line and "expected SENT" in line for line in lines)
    assert "✗ Every message had the outcome that the file expects" in lines
    assert "    line 3: expected SENT, got no result, answered nothing yet" in lines


def test_ids_and_reasons_are_escaped_wherever_they_are_shown(run: Run) -> None:
    hostile = "\x1b[2J\x9b\u202e\u2028\r\n"
    (sending,) = run.sendings
    assert sending.result is not None
    result = replace(
        sending.result,
        outcome=Outcome.FAILED,
        event_source=f"source{hostile}",
        message_id=f"id{hostile}",
        code=f"code{hostile}",
        reason=f"reason{hostile}",
    )
    chats = [replace(run.chats[0], contact_id=f"contact{hostile}")]

    lines = printed(replace(run, sendings=[replace(sending, result=result)], chats=chats))

    text = "\n".join(lines)
    assert not {"\x1b", "\x9b", "\u202e", "\u2028", "\r"} & set(text)
    for label in ("id", "code", "reason", "contact"):
        assert rf"{label}\x1b[2J" in text


def test_the_introduction_names_the_file_and_the_chats(run: Run) -> None:
    stream = io.StringIO()
    file = MessageFile(
        chats=tuple(record.chat for record in run.chats),
        messages=tuple(sending.message for sending in run.sendings),
    )

    Terminal(stream).print(introduction(file, Path("examples/messages.jsonl")))

    lines = stream.getvalue().splitlines()
    assert "1 message for 2 chats from examples/messages.jsonl" in lines
    assert "Chats: alice, carol" in lines


def test_a_row_fits_into_80_columns(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.stack.terminal._PLAIN_WIDTH", 80)

    lines = printed(run)

    (row,) = [line.split() for line in lines if "says hello" in line]
    assert row == ["3", "queue", "alice", "SENT", "says", "hello"]
    assert max(map(len, lines)) <= 80
