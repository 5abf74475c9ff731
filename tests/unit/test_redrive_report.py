"""What a redrive prints."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from rich.cells import cell_len

from message_sender.request import parse_request
from message_sender.result import Origin
from ops.dead_letters import DeadLetter
from ops.redrive import Done, Handled, Totals
from ops.report import Report
from tests.support.fakes import START


def printed(handled: Handled) -> str:
    stream = io.StringIO()
    Report(stream).dead_letter(handled)
    _, _heading, line = stream.getvalue().split("\n", 2)
    return line


def dead_letter(*, client_token: str = "c-1", maybe_delivered: bool = False) -> DeadLetter:
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


def test_dead_letter_is_a_line_of_ids() -> None:
    handled = Handled(
        message_id="m-1",
        dead_letter=dead_letter(),
        done=Done.KEPT,
        reason="too old",
        age=timedelta(minutes=90),
    )

    assert printed(handled).split() == [
        "keep", "90m", "Throttled", "no", "s-1", "c-1", "chat-1", "too", "old",
    ]  # fmt: skip
    assert "secret text" not in repr(handled)


def test_unreadable_dead_letter_is_shown_with_its_message_id() -> None:
    unreadable = Handled(message_id="m-7", dead_letter=None, done=Done.KEPT, reason="not an event", age=None)

    line = printed(unreadable)

    assert line.split()[:5] == ["keep", "-", "-", "-", "m-7"]


@pytest.mark.parametrize(("maybe_delivered", "shown"), [(True, "maybe"), (False, "no")])
def test_dead_letter_shows_whether_it_may_have_been_delivered(maybe_delivered: bool, shown: str) -> None:
    handled = Handled(
        message_id="m-1",
        dead_letter=dead_letter(maybe_delivered=maybe_delivered),
        done=Done.KEPT,
        reason="",
        age=timedelta(0),
    )

    assert printed(handled).split()[3] == shown


def test_columns_are_named_once() -> None:
    stream = io.StringIO()
    report = Report(stream)

    for _ in range(2):
        report.dead_letter(
            Handled(message_id="m-1", dead_letter=dead_letter(), done=Done.KEPT, reason="", age=timedelta(0))
        )

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
def test_age_is_shown_in_its_largest_unit(age: timedelta, shown: str) -> None:
    assert (
        printed(
            Handled(message_id="m-1", dead_letter=dead_letter(), done=Done.KEPT, reason="", age=age)
        ).split()[1]
        == shown
    )


HOSTILE = "\x1b[2J\x9b\u202e\u2028\r\n"
SHOWN = r"\x1b[2J\x9b\u202e\u2028\r\n"


@pytest.mark.parametrize("field", ["code", "client_token", "message_group"])
def test_text_of_a_producer_is_escaped(field: str) -> None:
    changed: dict[str, Any] = {field: HOSTILE}
    forged = dead_letter(**changed) if field == "client_token" else replace(dead_letter(), **changed)

    line = printed(
        Handled(message_id="m-1", dead_letter=forged, done=Done.KEPT, reason=f"a reason {HOSTILE}", age=None)
    )

    assert line.splitlines() == [line.removesuffix("\n")]
    assert line.endswith(f"  a reason {SHOWN}\n")
    assert r" \x1b[2J\x9b\u202e" in line


def test_source_id_of_a_dead_letter_and_id_of_an_unreadable_one_are_escaped() -> None:
    forged = dead_letter()
    forged = replace(forged, origin=replace(forged.origin, source_id=HOSTILE))

    for message_id, each in (("m-1", forged), (HOSTILE, None)):
        handled = Handled(message_id=message_id, dead_letter=each, done=Done.KEPT, reason="", age=None)
        assert SHOWN in printed(handled)


def test_columns_are_aligned_whatever_the_width_of_a_character() -> None:
    tokens = ["c-1", "日本語" * 20, "👩\u200d👩\u200d👧 chat", "\x1b" * 20]

    lines = [
        printed(
            Handled(
                message_id="m-1",
                dead_letter=dead_letter(client_token=token),
                done=Done.KEPT,
                reason="why",
                age=None,
            )
        ).rstrip()
        for token in tokens
    ]

    assert len({cell_len(line) for line in lines}) == 1
    assert "…" in lines[1]


class NarrowTerminal(io.StringIO):
    """A terminal of 80 columns."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> NarrowTerminal:
    for name, value in {"COLUMNS": "80", "LINES": "25", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    return NarrowTerminal()


def test_narrow_terminal_shows_each_id_on_a_line(terminal: NarrowTerminal) -> None:
    report = Report(terminal)

    for group, reason in (("chat-1", ""), ("x" * 100, "one two three " * 10)):
        shown = replace(dead_letter(maybe_delivered=True), message_group=group)
        report.dead_letter(
            Handled(
                message_id="m-1",
                dead_letter=shown,
                done=Done.REDRIVEN,
                reason=reason,
                age=timedelta(minutes=90),
            )
        )

    lines = [line.rstrip() for line in terminal.getvalue().splitlines()]
    assert lines[:6] == [
        "",
        "          age   code                  delivered",
        "redrive   90m   Throttled             maybe",
        "          source id     s-1",
        "          client token  c-1",
        "          group         chat-1",
    ]
    assert max(map(len, lines)) <= 80
    assert "".join(lines).count("x") == 100


@pytest.mark.parametrize(
    ("totals", "waiting", "said"),
    [
        (
            Totals(count=Counter({Done.REDRIVEN: 2, Done.KEPT: 1}), is_complete=True),
            3,
            "\n2 to redrive, 1 to keep\n",
        ),
        (
            Totals(count=Counter({Done.FINALIZED: 2, Done.REDRIVEN: 1}), is_complete=True),
            3,
            "1 to redrive, 2 to finalize",
        ),
        (Totals(count=Counter({Done.DELETED: 3}), is_complete=True), 3, "3 to delete"),
        (Totals(count=Counter({Done.ERROR: 1}), is_complete=True), 1, "1 failed\n"),
        (Totals(is_complete=True), 0, "\nSQS returned no messages.\n"),
        (Totals(expired_tokens=2, is_complete=True), 0, "2 with an expired connection token"),
        (Totals(need_results=4, is_complete=True), 0, "4 kept without a result: --finalize publishes it"),
        (
            Totals(count=Counter({Done.ERROR: 1}), is_complete=True),
            0,
            "Nothing is lost. Run the command again to handle the rest.",
        ),
        (
            Totals(count=Counter({Done.KEPT: 10})),
            90,
            "Nothing is lost. Run the command again to handle the rest.",
        ),
        (Totals(count=Counter({Done.KEPT: 10})), 10, "\nThe time of one run is over.\n"),
        (
            Totals(count=Counter({Done.KEPT: 10}), is_complete=True),
            12,
            "Handled: 10 of about 12.\nThe others may be in flight",
        ),
    ],
)
def test_totals_say_what_remains_to_do(totals: Totals, waiting: int, said: str) -> None:
    stream = io.StringIO()

    Report(stream).totals(totals, dry_run=True, waiting=waiting)

    assert said in stream.getvalue()


def test_totals_of_a_run_that_changed_something_are_in_the_past_tense() -> None:
    stream = io.StringIO()
    counts = Counter({Done.REDRIVEN: 4, Done.FINALIZED: 3, Done.DELETED: 2, Done.KEPT: 1, Done.ERROR: 1})

    Report(stream).totals(Totals(count=counts, is_complete=True), dry_run=False, waiting=11)

    assert stream.getvalue().splitlines()[1] == "4 redriven, 3 finalized, 2 deleted, 1 kept, 1 failed"
