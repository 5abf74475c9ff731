"""The figures of what no sender can promise: they are counted right, and the page has them."""

from __future__ import annotations

import math
from dataclasses import replace
from io import StringIO
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from sandbox.participant_service.faults import (
    AcceptedThenCut,
    AcceptedThenStatus,
    BadBody,
    BodyCutShort,
    Latency,
    ResetBeforeAcceptance,
    Status,
)
from tests.simulation import limits
from tests.simulation.accepted import NUMBER
from tests.simulation.baselines import schedule
from tests.simulation.fault_profiles import Fault, FaultProfile
from tests.simulation.invariants import Observations
from tests.simulation.limits import (
    ANY_AGE,
    DAYS_LATER,
    DEFAULT_AGE,
    USUAL,
    Acceptance,
    Recorder,
    Study,
    block,
    failures,
    outage,
    redrive,
    repeats,
    shown,
    study,
    table_of_limits,
)
from tests.simulation.simulation import Setup, Simulation

if TYPE_CHECKING:
    from datetime import timedelta
    from pathlib import Path

    from sandbox.participant_service.faults import Fault as ServiceFault

_SEED = 2
"""One seed for all: the number of repeats among so few messages varies."""
_HARD: FaultProfile = USUAL | {Fault.CUT: 0.1, Fault.CRASH: 0.1, Fault.ARRIVES_LATE: 0.05}


@pytest.fixture(scope="module")
def found() -> Study:
    return study(_SEED, messages=120, dead_letters=4)


@pytest.fixture(scope="module")
def recorded() -> tuple[Simulation, Recorder]:
    simulation = Simulation(Setup(seed=_SEED, profile=_HARD, idempotency_window=0.0))
    recorder = Recorder(simulation)
    schedule(simulation, messages=150)
    simulation.run()
    return simulation, recorder


def transcripts(simulation: Simulation) -> list[list[int]]:
    """Return the numbers of the messages in each chat."""
    return [
        [
            int(found[1])
            for item in simulation.participant.service.messages(chat.contact_id)
            if (found := NUMBER.search(str(item.content)))
        ]
        for chat in simulation.producers.chats
    ]


@pytest.mark.parametrize("window", [0.0, 10.0, 60.0, 300.0, None])
def test_the_record_gives_the_transcripts_of_a_service_with_any_window(
    recorded: tuple[Simulation, Recorder], window: float | None
) -> None:
    simulation, recorder = recorded
    appeared: dict[int, list[tuple[float, int]]] = {chat.number: [] for chat in simulation.producers.chats}
    for token, calls in recorder.acceptances.items():
        message = simulation.producers.accepted[token]
        for position in shown(calls, math.inf if window is None else window):
            appeared[message.chat.number].append((calls[position].at, message.number))
    other = Simulation(Setup(seed=_SEED, profile=_HARD, idempotency_window=window))
    schedule(other, messages=150)

    other.run()

    of_chats = transcripts(other)
    assert [[number for _, number in sorted(of_chat)] for of_chat in appeared.values()] == of_chats
    repeated = any(len(set(of_chat)) < len(of_chat) for of_chat in of_chats)
    assert repeated is (window is not None)


def test_the_conclusions_hold_among_few_messages(found: Study) -> None:
    table, passed = table_of_limits(found)

    console = Console(file=StringIO(), width=200)
    console.print(table)
    assert isinstance(console.file, StringIO)
    assert failures(found) == []
    assert passed
    assert "FAILED" not in console.file.getvalue()


def test_a_boto3_loop_repeats_whole_batches(found: Study) -> None:
    assert found.senders["boto3 loop"].twice["1 min"] > 2 * found.ours.twice["1 min"]


def test_a_conclusion_that_does_not_hold_is_reported(found: Study) -> None:
    none = dict.fromkeys(limits.WINDOWS, 0)
    ours = replace(found.ours, twice=none | {"1 min": 1, "1 h": 1}, longest=900.0)
    late = replace(found.late["no age"], unflagged=1)
    wrong = replace(found.redriven["all"], maybe_delivered=0, by_default=0, kept=1, days_later=1)

    table, passed = table_of_limits(
        Study(senders={"ours": ours}, late={"late": late}, redriven={"all": wrong})
    )

    console = Console(file=StringIO(), width=200)
    console.print(table)
    assert isinstance(console.file, StringIO)
    assert not passed
    assert console.file.getvalue().count("FAILED") == 9


def call(at: float, *, answered: bool = True) -> Acceptance:
    return Acceptance("token", at, answered, is_late=False)


@pytest.mark.parametrize(
    ("window", "positions"),
    [(0.0, [0, 1, 2, 3]), (1.0, [0, 2, 3]), (4.0, [0, 3]), (6.0, [0]), (math.inf, [0])],
)
def test_a_window_begins_at_a_call_that_the_chat_shows(window: float, positions: list[int]) -> None:
    calls = [call(0.0), call(0.5), call(1.4), call(5.0)]

    assert shown(calls, window) == positions


def test_a_repeat_counts_for_the_call_before_it() -> None:
    counted = repeats(
        5,
        [
            [call(0.0)],
            [call(0.0, answered=False)],
            [call(0.0, answered=False), call(20.0)],
            [call(0.0), call(0.1, answered=False), call(100.0)],
        ],
    )

    assert (counted.messages, counted.lost_answers, counted.sent_again) == (5, 3, 1)
    assert counted.twice == {"0 s": 2, "10 s": 2, "1 min": 1, "5 min": 0, "1 h": 0}
    assert counted.after_lost_answer == {"0 s": 2, "10 s": 2, "1 min": 1, "5 min": 0, "1 h": 0}
    assert counted.after_answer == {"0 s": 1, "10 s": 0, "1 min": 0, "5 min": 0, "1 h": 0}
    assert counted.longest == 100.0


@pytest.mark.parametrize(
    ("fault", "answers"),
    [
        (Latency(latency=1.0), [True]),
        (Latency(latency=6.0), [False, True]),
        (AcceptedThenCut(), [False, True]),
        (AcceptedThenStatus(status=503), [False, True]),
        (BodyCutShort(), [False, True]),
        (BadBody(body="[]"), [False, True]),
        (BadBody(body="<html>"), [False, True]),
        (ResetBeforeAcceptance(), [True]),
        (Status(status=503), [True]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_recorder_notes_each_accepted_call_and_whether_its_answer_arrived(
    fault: ServiceFault, answers: list[bool]
) -> None:
    simulation = Simulation(Setup(idempotency_window=0.0))
    recorder = Recorder(simulation)
    message = simulation.producers.send(simulation.producers.start_chat())
    simulation.participant.faults.add(fault)

    simulation.run()

    calls = recorder.acceptances[message.client_token]
    assert [noted.answered for noted in calls] == answers
    assert not any(noted.is_late for noted in calls)


def test_the_recorder_notes_a_request_that_arrives_after_its_retry() -> None:
    simulation = Simulation(Setup(idempotency_window=0.0))
    recorder = Recorder(simulation)
    simulation.injector.burst({Fault.ARRIVES_LATE: 1.0}, seconds=3)
    message = simulation.producers.send(simulation.producers.start_chat())

    simulation.run()

    calls = recorder.acceptances[message.client_token]
    assert sorted((noted.is_late, noted.answered) for noted in calls) == [(False, True), (True, False)]


def test_no_message_is_sent_again_after_its_maximum_age() -> None:
    """The page recommends it. The tolerance for clocks is ten seconds, and one attempt may follow."""
    profile = USUAL | {Fault.CRASH: 0.1, Fault.ARRIVES_LATE: 0.0}
    longest = {}
    for minutes in (1, None):
        simulation = Simulation(
            Setup(seed=_SEED, profile=profile, idempotency_window=0.0, maximum_age_minutes=minutes)
        )
        recorder = Recorder(simulation)
        schedule(simulation, messages=300)
        simulation.run()
        longest[minutes] = repeats(300, recorder.acceptances.values()).longest

    assert longest[1] < 60 + 11 < 168 < longest[None]


@pytest.mark.parametrize(
    ("max_age", "handled", "codes"),
    [(DEFAULT_AGE, 0, ["ServiceUnavailable"]), (ANY_AGE, 4, ["ServiceUnavailable", "AccessDenied"])],
)
def test_after_days_a_redrive_keeps_the_messages_or_their_tokens_have_expired(
    max_age: timedelta, handled: int, codes: list[str]
) -> None:
    simulation, recorder = outage(_SEED, 1.0, 4)

    twice = redrive(simulation, recorder, DAYS_LATER, max_age=max_age)

    results = Observations.of(simulation).results.values()
    assert simulation.operator.redriven == handled
    assert [[result["Error"]["Code"] for result in each] for each in results] == [codes] * 4
    assert twice == 0


def test_the_page_gets_the_figures(
    found: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "promise.md"
    page.write_text(limits.PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(limits, "PAGE", page)
    monkeypatch.setattr(limits, "study", lambda *_, **__: found)

    assert limits.main() == 0

    assert block(found) in page.read_text(encoding="utf-8")
    assert "What no sender can promise" in capsys.readouterr().out
