"""What the commands print."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from rich.cells import cell_len

from message_sender.request import parse_request
from message_sender.result import Origin
from ops import __main__ as program
from ops.dead_letters import DeadLetter, UnreadableDeadLetter
from ops.redrive import Done, Handled, Totals
from ops.report import Report
from ops.republish import KeptResult, Republished
from tests.support.fakes import START


def printed(handled: Handled) -> str:
    stream = io.StringIO()
    Report(stream).letter(handled)
    _, _heading, line = stream.getvalue().split("\n", 2)
    return line


def letter(*, client_token: str = "c-1", maybe_delivered: bool = False) -> DeadLetter:
    return DeadLetter(
        message_id="m-1",
        code="Throttled",
        parsed=parse_request("secret text", client_token=client_token),
        message_group="chat-1",
        deduplication_id="m-1",
        queued_at=START,
        origin=Origin(
            event_source="sqs", source_id="s-1", accepted_at=START, maybe_delivered=maybe_delivered
        ),
        has_outcome=True,
    )


def test_a_letter_is_a_line_of_ids() -> None:
    handled = Handled(letter=letter(), done=Done.LEFT, reason="too old", age=timedelta(minutes=90))

    assert printed(handled).split() == [
        "leave", "90m", "Throttled", "no", "s-1", "c-1", "chat-1", "too", "old",
    ]  # fmt: skip
    assert "secret text" not in repr(handled)


def test_a_letter_that_cannot_be_read_is_known_by_its_message_id() -> None:
    unreadable = UnreadableDeadLetter(message_id="m-7", reason="it is no event")

    line = printed(Handled(letter=unreadable, done=Done.LEFT, reason=unreadable.reason, age=None))

    assert line.split()[:5] == ["leave", "-", "-", "-", "m-7"]


@pytest.mark.parametrize(("maybe_delivered", "shown"), [(True, "maybe"), (False, "no")])
def test_a_letter_tells_whether_it_may_have_been_delivered(maybe_delivered: bool, shown: str) -> None:
    handled = Handled(
        letter=letter(maybe_delivered=maybe_delivered), done=Done.LEFT, reason="", age=timedelta(0)
    )

    assert printed(handled).split()[3] == shown


def test_the_columns_are_named_once() -> None:
    stream = io.StringIO()
    report = Report(stream)

    for _ in range(2):
        report.letter(Handled(letter=letter(), done=Done.LEFT, reason="", age=timedelta(0)))

    assert stream.getvalue().count("client token") == 1


@pytest.mark.parametrize(
    ("age", "shown"),
    [
        (timedelta(seconds=-5), "0m"),
        (timedelta(minutes=119), "119m"),
        (timedelta(minutes=120), "2h"),
        (timedelta(hours=47), "47h"),
        (timedelta(hours=49), "2d"),
    ],
)
def test_an_age_is_shown_in_its_largest_unit(age: timedelta, shown: str) -> None:
    assert printed(Handled(letter=letter(), done=Done.LEFT, reason="", age=age)).split()[1] == shown


HOSTILE = "\x1b[2J\x9b\u202e\u2028\r\n"
SHOWN = r"\x1b[2J\x9b\u202e\u2028\r\n"


@pytest.mark.parametrize("field", ["code", "client_token", "message_group"])
def test_what_a_producer_wrote_does_not_reach_the_terminal_as_a_command(field: str) -> None:
    changed: dict[str, Any] = {field: HOSTILE}
    forged = letter(**changed) if field == "client_token" else replace(letter(), **changed)

    line = printed(Handled(letter=forged, done=Done.LEFT, reason=f"a reason {HOSTILE}", age=None))

    assert line.splitlines() == [line.removesuffix("\n")]
    assert line.endswith(f"  a reason {SHOWN}\n")
    assert r" \x1b[2J\x9b\u202e" in line


def test_the_source_id_of_a_letter_and_the_id_of_an_unreadable_one_are_escaped() -> None:
    forged = letter()
    forged = replace(forged, origin=replace(forged.origin, source_id=HOSTILE))
    unreadable = UnreadableDeadLetter(message_id=HOSTILE, reason="")

    for each in (forged, unreadable):
        assert SHOWN in printed(Handled(letter=each, done=Done.LEFT, reason="", age=None))


def test_the_ids_of_a_result_are_escaped() -> None:
    stream = io.StringIO()
    result = KeptResult(
        entry={"DetailType": "Message Sent"}, message={}, client_token=HOSTILE, source_id=HOSTILE
    )

    Report(stream).result(result, None)

    assert stream.getvalue().splitlines()[-1].count(SHOWN) == 2


def test_what_a_service_answers_does_not_reach_the_terminal_as_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse() -> None:
        raise ClientError({"Error": {"Code": "Denied", "Message": HOSTILE}}, "DescribeStacks")

    monkeypatch.setattr(program, "open_session", refuse)

    assert program.main(["redrive"]) == 2
    assert capsys.readouterr().err == f"DescribeStacks: {SHOWN}\n"


def test_columns_stay_in_line_whatever_the_width_of_a_character() -> None:
    tokens = ["c-1", "日本語" * 20, "👩\u200d👩\u200d👧 chat", "\x1b" * 20]

    lines = [
        printed(Handled(letter=letter(client_token=token), done=Done.LEFT, reason="why", age=None)).rstrip()
        for token in tokens
    ]

    assert len({cell_len(line) for line in lines}) == 1
    assert "…" in lines[1]


@pytest.mark.parametrize(
    ("totals", "waiting", "said"),
    [
        (Totals(count=Counter({Done.REDRIVEN: 2, Done.LEFT: 1}), is_complete=True), 3, "2 would be put back"),
        (Totals(count=Counter({Done.DISCARDED: 3}), is_complete=True), 3, "3 would be discarded"),
        (Totals(count=Counter({Done.ERROR: 1}), is_complete=True), 1, "1 error\n"),
        (Totals(is_complete=True), 0, "\nNo letters\n"),
        (Totals(dead_tokens=2, is_complete=True), 0, "2 put back with a connection token of more than a day"),
        (Totals(due=4, is_complete=True), 0, "4 left without an outcome: SETTLE=yes"),
        (Totals(count=Counter({Done.ERROR: 1}), is_complete=True), 0, "can be repeated"),
        (Totals(count=Counter({Done.LEFT: 10})), 90, "for lack of time: 10 of about 90"),
        (Totals(count=Counter({Done.LEFT: 10}), is_complete=True), 12, "10 of about 12 letters"),
    ],
)
def test_the_totals_say_what_is_left_to_do(totals: Totals, waiting: int, said: str) -> None:
    stream = io.StringIO()

    Report(stream).redriven(totals, dry_run=True, waiting=waiting)

    assert said in stream.getvalue()


def test_the_totals_of_results_say_what_is_left_to_do() -> None:
    stream = io.StringIO()

    Report(stream).republished(Republished(published=3, errors=1), dry_run=False)

    assert stream.getvalue().split("\n")[1:3] == [
        "3 published, 1 error",
        "Not all results were looked at. Repeat this",
    ]


def test_no_results_are_said_to_be_none() -> None:
    stream = io.StringIO()

    Report(stream).republished(Republished(is_complete=True), dry_run=True)

    assert stream.getvalue() == "\nNo results\n"
