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


def printed(run: Run, *, verbose: bool = False) -> list[str]:
    stream = io.StringIO()
    Terminal(stream).print(report(run, judge(run), verbose=verbose))
    return stream.getvalue().splitlines()


def test_a_row_has_event_source_chat_outcome_and_note(run: Run) -> None:
    lines = printed(run)

    (row,) = [line.split() for line in lines if "says hello" in line]
    assert row == ["3", "queue", "alice", "SENT", "says", "hello"]
    assert not any(MESSAGE_ID in line or "c-1" in line for line in lines)


def test_ids_and_times_are_for_verbose_only(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.stack.terminal._PLAIN_WIDTH", 80)

    lines = printed(run, verbose=True)

    assert ["3", "queue", "alice", "SENT", "says", "hello"] in [line.split() for line in lines]
    assert ["3", "sqs", MESSAGE_ID, "10:11:12.345"] in [line.split() for line in lines]
    assert max(map(len, lines)) <= 80


def test_a_transcript_escapes_only_the_characters_that_steer_the_terminal(run: Run) -> None:
    assert r"  10:11:12.300  text/plain  [bold]Hello\x1b[31m" in printed(run)


def test_a_chat_with_more_than_one_connection_token_says_so(run: Run) -> None:
    lines = printed(run, verbose=True)

    assert "alice  contact c-1  2 connection tokens" in lines
    assert "carol  contact c-2  ended at the start" in lines


def test_totals_count_outcomes_and_transcripts(run: Run) -> None:
    lines = printed(run)

    totals = lines.index("1 line sent, 1 message shown as 1 bubble in 2 chats")
    assert lines[totals + 1] == "     1 SENT"


def test_a_repeated_message_is_counted_once(run: Run) -> None:
    lines = printed(replace(run, sendings=[*run.sendings, *run.sendings]))

    totals = lines.index("2 lines sent, 1 message shown as 1 bubble in 2 chats")
    assert lines[totals + 1] == "     2 SENT, 1 of them for a message that was sent already"


def test_only_the_first_chat_with_a_message_is_printed_below_the_checks(run: Run) -> None:
    carol, alice = reversed(run.chats)

    lines = printed(replace(run, chats=[carol, alice]))

    checked = lines.index("✓ No message appears twice")
    assert "As the local Amazon Connect shows it (1 other chat and all ids: VERBOSE=yes)" in lines[checked:]
    assert any(line.startswith("alice") for line in lines[checked:])
    assert not any(line.startswith("carol") for line in lines)


def test_an_outcome_that_the_file_does_not_expect_is_shown_and_not_judged(run: Run) -> None:
    (sending,) = run.sendings
    unjudged = replace(sending.message, expected=None)
    result = published_result("REJECTED", code="Expired")

    lines = printed(
        Run(
            sendings=[replace(sending, message=unjudged, result=result, looked_up=result)],
            chats=[],
            queues=replace(run.queues, rejected=1),
            has_error_types=True,
        )
    )

    assert f"line 3: {result.reason}" in lines
    assert "✓ Every message had an outcome. The file expects one for 0 of 1" in lines
    assert not [line for line in lines if line.startswith("✗")]


def test_a_message_without_an_outcome_is_a_fault_whatever_the_file_expects(run: Run) -> None:
    (sending,) = run.sendings
    unjudged = replace(sending, message=replace(sending.message, expected=None), result=None)

    lines = printed(Run(sendings=[unjudged], chats=[], queues=run.queues, has_error_types=True))

    assert "    line 3: expected any outcome, got no result, answered nothing yet" in lines


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

    lines = printed(replace(run, sendings=[replace(sending, result=result)], chats=chats), verbose=True)

    text = "\n".join(lines)
    assert not {"\x1b", "\x9b", "\u202e", "\u2028", "\r"} & set(text)
    for label in ("id", "code", "reason", "contact"):
        assert rf"{label}\x1b[2J" in text


def test_a_repeated_client_token_with_another_text_is_in_the_row(run: Run) -> None:
    (sending,) = run.sendings
    repeat = replace(sending, message=replace(sending.message, repeats=1))

    lines = printed(replace(run, sendings=[repeat]))

    assert any("ClientToken of line 1, another text: one is shown" in line for line in lines)
    assert "! Lines 1 and 3 share a ClientToken: only one of their texts is shown" in lines


def test_the_introduction_names_the_file_and_the_chats(run: Run) -> None:
    stream = io.StringIO()
    file = MessageFile(
        chats=tuple(record.chat for record in run.chats),
        messages=tuple(replace(sending.message, repeats=1) for sending in run.sendings),
        other_lines=1,
    )

    Terminal(stream).print(introduction(file, Path("examples/messages.jsonl")))

    lines = stream.getvalue().splitlines()
    assert "1 message for 2 chats from examples/messages.jsonl; 1 line about chats" in lines
    assert "! Lines 1 and 3 share a ClientToken: only one of their texts is shown" in lines
    assert "Chats: alice, carol" in lines


def test_a_row_fits_into_80_columns(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.stack.terminal._PLAIN_WIDTH", 80)

    lines = printed(run)

    (row,) = [line.split() for line in lines if "says hello" in line]
    assert row == ["3", "queue", "alice", "SENT", "says", "hello"]
    assert max(map(len, lines)) <= 80
