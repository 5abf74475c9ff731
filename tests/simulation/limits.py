"""What no sender can promise, in figures: messages that appear twice, or after their result.

usage: make limits, which writes the figures into docs/explanation/promise.md

Amazon Connect does not document how long it remembers a ClientToken. Here it remembers none, and each call
that it accepts is recorded. The longer windows follow from this record, since neither the answers nor the
sender depend on the window. A test compares the two.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.table import Table

from message_sender.retry import READ_TIMEOUT
from ops.dead_letters import DeadLetterQueue
from ops.redrive import RedriveFilter
from sandbox.participant_service.faults import Ending
from scripts.render_contract import replace_block, table
from tests.simulation.baselines import BASELINES, BaselineSimulation, schedule, tally
from tests.simulation.fault_profiles import ALL_FAULTS, Fault, FaultProfile
from tests.simulation.invariants import Observations
from tests.simulation.simulation import Setup, Simulation

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sandbox.participant_service.api import Answer
    from tests.simulation.baselines import Baseline
    from tests.simulation.models.network import Request, Service

PAGE: Final = Path(__file__).parents[2] / "docs" / "explanation" / "promise.md"
SEED: Final = 42
"""The seed of the page."""
MESSAGES: Final = 10_000

HOUR: Final = 3600.0
WINDOWS: Final[Mapping[str, float]] = {
    "0 s": 0.0,
    "10 s": 10.0,
    "1 min": 60.0,
    "5 min": 300.0,
    "1 h": HOUR,
}
"""The seconds for which the service remembers a ClientToken. The invariants assume that it forgets none."""

# Where the service takes a message and does not deliver it, its answer to a repeat would depend on the window
USUAL: Final[FaultProfile] = {
    fault: rate for fault, rate in ALL_FAULTS.items() if fault is not Fault.NOT_PROCESSED
}
MILD: Final[FaultProfile] = {fault: rate / 20 for fault, rate in USUAL.items()}
MANY_LATE: Final[FaultProfile] = USUAL | {Fault.ARRIVES_LATE: 0.2}

_LOOP: Final = BASELINES["boto3 loop"]
_LOOP_READ_TIMEOUT: Final = 60.0
OUTAGES: Final[Mapping[str, float]] = {"none": 0.0, "one in ten": 0.1, "all": 1.0}
"""The fraction of the failing calls that the service accepts all the same."""
_OUTAGE_SECONDS: Final = 1800.0
_RETRIES_END: Final = 900.0
_DEAD_LETTERS: Final = 100
_DEAD_LETTERS_A_CHAT: Final = 4
SAME_DAY: Final = timedelta(hours=12)
DAYS_LATER: Final = timedelta(days=3)
ANY_AGE: Final = timedelta(days=30)
DEFAULT_AGE: Final = RedriveFilter().max_age


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A call that the service accepted.

    Attributes:
        answered: Whether its answer reached the sender, unless that was killed.
        is_late: Whether the request arrived after the sender had stopped waiting.
    """

    client_token: str
    at: float
    answered: bool
    is_late: bool


class Recorder:
    """A service in front of the Participant Service, which must remember no ClientToken.

    Attributes:
        acceptances: By ClientToken, in order.
    """

    def __init__(self, simulation: Simulation, *, read_timeout: float = READ_TIMEOUT) -> None:
        self._simulation = simulation
        self._participant: Service = simulation.services["participant"]
        self._read_timeout = read_timeout
        self.acceptances: defaultdict[str, list[Acceptance]] = defaultdict(list)
        simulation.services["participant"] = self

    def __call__(self, request: Request) -> Answer:
        clock, service = self._simulation.time, self._simulation.participant.service
        contact_id = service.contact_id_of(request.headers["x-amz-bearer"])
        before = len(service.messages(contact_id)) if contact_id else 0
        is_late = clock.running is None  # the network delivers it, and no sender waits
        answer = self._participant(request)
        if contact_id and len(service.messages(contact_id)) > before:
            client_token = json.loads(request.body)["ClientToken"]
            answered = not is_late and answer.latency < self._read_timeout and _is_readable(answer)
            self.acceptances[client_token].append(
                Acceptance(client_token, clock.monotonic(), answered, is_late)
            )
        return answer


def _is_readable(answer: Answer) -> bool:
    if answer.status != HTTPStatus.OK or answer.ending is not Ending.KEPT_OPEN:
        return False
    try:
        return "Id" in json.loads(answer.body)
    except ValueError:
        return False


def shown(acceptances: Sequence[Acceptance], window: float) -> list[int]:
    """Return the positions of the acceptances that a chat shows, if the service has this window."""
    positions: list[int] = []
    for position, acceptance in enumerate(acceptances):
        if not positions or acceptance.at - acceptances[positions[-1]].at >= window:
            positions.append(position)
    return positions


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeats:
    """Messages that appear twice or more often.

    Attributes:
        messages: All messages.
        twice: Of these, by window.
        lost_answers: Calls that the service accepted, and whose answer did not reach the sender.
        after_lost_answer: Of these, the ones whose message then appeared once more, by window.
        sent_again: Calls that were answered, and whose message was sent again: the invocation was killed,
            its result or its acknowledgement was lost, or SQS delivered the message twice.
        after_answer: Of these, the ones whose message then appeared once more, by window.
        longest: The most seconds from the first to the last acceptance of a message.
    """

    messages: int
    twice: Mapping[str, int]
    lost_answers: int
    after_lost_answer: Mapping[str, int]
    sent_again: int
    after_answer: Mapping[str, int]
    longest: float


def repeats(messages: int, acceptances: Iterable[Sequence[Acceptance]]) -> Repeats:
    """Count the messages that appear twice, and the calls that led to it."""
    accepted = list(acceptances)
    twice, after_lost, after_answer = (dict.fromkeys(WINDOWS, 0) for _ in range(3))
    for name, window in WINDOWS.items():
        for of_message in accepted:
            again = shown(of_message, window)[1:]
            twice[name] += bool(again)
            answered = sum(of_message[position - 1].answered for position in again)
            after_answer[name] += answered
            after_lost[name] += len(again) - answered
    return Repeats(
        messages=messages,
        twice=twice,
        lost_answers=sum(not call.answered for of_message in accepted for call in of_message),
        after_lost_answer=after_lost,
        sent_again=sum(call.answered for of_message in accepted for call, _ in pairwise(of_message)),
        after_answer=after_answer,
        longest=max((of_message[-1].at - of_message[0].at for of_message in accepted), default=0.0),
    )


def repeats_of(
    seed: object, profile: FaultProfile, *, messages: int, baseline: Baseline | None = None
) -> Repeats:
    """Run a baseline, or the function if None, and count."""
    setup = Setup(seed=seed, profile=profile, idempotency_window=0.0)
    simulation = Simulation(setup) if baseline is None else BaselineSimulation(setup, baseline)
    timeout = READ_TIMEOUT if baseline is None else _LOOP_READ_TIMEOUT
    recorder = Recorder(simulation, read_timeout=timeout)
    schedule(simulation, messages=messages)
    simulation.run()
    return repeats(messages, recorder.acceptances.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """Messages whose request arrived late.

    Attributes:
        requests: Requests that the service accepted after the sender had stopped waiting.
        after_result: Messages that first appeared after a result with REJECTED or FAILED.
        out_of_order: Messages that first appeared after a later message of their chat.
        unflagged: Messages that appeared, although no result has SENT or MaybeDelivered.
    """

    requests: int
    after_result: int
    out_of_order: int
    unflagged: int


def late_of(seed: object, *, messages: int, maximum_age_minutes: int | None = None) -> Late:
    """Let every fifth request arrive late, and count."""
    simulation = Simulation(
        Setup(seed=seed, profile=MANY_LATE, idempotency_window=0.0, maximum_age_minutes=maximum_age_minutes)
    )
    recorder = Recorder(simulation)
    schedule(simulation, messages=messages)
    simulation.run()
    seen = Observations.of(simulation)
    ended: dict[str, float] = {}
    for at, result in seen.published_at:
        if result["Outcome"] != "SENT":
            ended[result["ClientToken"]] = min(at, ended.get(result["ClientToken"], math.inf))
    return Late(
        requests=sum(call.is_late for calls in recorder.acceptances.values() for call in calls),
        after_result=sum(
            calls[0].at > ended.get(token, math.inf) for token, calls in recorder.acceptances.items()
        ),
        out_of_order=tally(seen).late,
        unflagged=sum(
            not any(
                result["Outcome"] == "SENT" or result["Error"]["MaybeDelivered"]
                for result in seen.results[token]
            )
            for token in recorder.acceptances
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Redriven:
    """Dead letters of an outage, and the messages that a redrive shows twice if the window is an hour.

    Attributes:
        dead_letters: All that the outage has left.
        maybe_delivered: Of these, with `MaybeDelivered`.
        in_chat: Of these, in the chat before the redrive.
        longest: The most seconds from the first to the last accepted call before the redrive.
        kept: Twice after a redrive on the same day that keeps `MaybeDelivered`.
        by_default: Twice after a redrive on the same day.
        days_later: Twice after a redrive after three days.
        any_age: Twice after that redrive, if it takes dead letters of any age.
    """

    dead_letters: int
    maybe_delivered: int
    in_chat: int
    longest: float
    kept: int
    by_default: int
    days_later: int
    any_age: int


def redriven(seed: object, accepted: float, *, messages: int = _DEAD_LETTERS) -> Redriven:
    """Fail every call for half an hour, but accept a fraction of them. Redrive the dead letters later."""
    same_day, same_day_recorder = outage(seed, accepted, messages)
    seen = Observations.of(same_day)
    before = repeats(messages, same_day_recorder.acceptances.values())
    in_chat = len(same_day_recorder.acceptances)
    kept = redrive(same_day, same_day_recorder, SAME_DAY, keep_maybe_delivered=True)
    by_default = redrive(same_day, same_day_recorder, timedelta())
    days_later, recorder = outage(seed, accepted, messages)
    return Redriven(
        dead_letters=len(seen.dead_letters),
        maybe_delivered=sum(
            any(
                result["Error"]["MaybeDelivered"]
                for result in seen.results[dead_letter.attributes["ClientToken"]]
            )
            for dead_letter in seen.dead_letters
        ),
        in_chat=in_chat,
        longest=before.longest,
        kept=kept,
        by_default=by_default,
        days_later=redrive(days_later, recorder, DAYS_LATER),
        any_age=redrive(days_later, recorder, timedelta(), max_age=ANY_AGE),
    )


def outage(seed: object, accepted: float, messages: int) -> tuple[Simulation, Recorder]:
    """Run the outage, until all messages have failed."""
    simulation = Simulation(Setup(seed=f"{seed}/{accepted}", idempotency_window=0.0))
    recorder = Recorder(simulation)
    fails: FaultProfile = {Fault.SERVER_ERROR: 1.0 - accepted, Fault.ACCEPTED_THEN_ERROR: 1.0}
    simulation.injector.burst(fails, seconds=_OUTAGE_SECONDS)
    chats = [simulation.producers.start_chat() for _ in range(messages // _DEAD_LETTERS_A_CHAT)]
    for chat in chats:
        for _ in range(_DEAD_LETTERS_A_CHAT):
            simulation.producers.send(chat)
    simulation.run()
    return simulation, recorder


def redrive(
    simulation: Simulation,
    recorder: Recorder,
    wait: timedelta,
    *,
    max_age: timedelta = DEFAULT_AGE,
    keep_maybe_delivered: bool = False,
) -> int:
    """Redrive after a time. Return how many messages have then appeared twice."""
    operator = simulation.operator
    command = operator.redrive(
        DeadLetterQueue.DEAD_LETTER, max_age=max_age, keep_maybe_delivered=keep_maybe_delivered
    )
    simulation.time.after(wait.total_seconds(), partial(operator.carry_out, [command]))
    simulation.run()
    return sum(len(shown(calls, HOUR)) > 1 for calls in recorder.acceptances.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """All figures.

    Attributes:
        senders: By name: the function and the boto3 loop, each with two profiles.
        late: By the setting.
        redriven: By the outage.
    """

    senders: Mapping[str, Repeats]
    late: Mapping[str, Late]
    redriven: Mapping[str, Redriven]

    @property
    def longest(self) -> float:
        """The most seconds for which this function retried a message that the service had accepted."""
        return max(self.ours.longest, *(each.longest for each in self.redriven.values()))

    @property
    def ours(self) -> Repeats:
        """The function, with the usual faults."""
        return next(iter(self.senders.values()))


def study(seed: object, *, messages: int, dead_letters: int = _DEAD_LETTERS) -> Study:
    """Run all simulations."""
    return Study(
        senders={
            "this function": repeats_of(seed, USUAL, messages=messages),
            "with few faults": repeats_of(seed, MILD, messages=messages),
            "boto3 loop": repeats_of(seed, USUAL, messages=messages, baseline=_LOOP),
            "boto3 loop with few faults": repeats_of(seed, MILD, messages=messages, baseline=_LOOP),
        },
        late={
            "no age": late_of(seed, messages=messages),
            "age of 1 min": late_of(seed, messages=messages, maximum_age_minutes=1),
        },
        redriven={
            name: redriven(seed, accepted, messages=dead_letters) for name, accepted in OUTAGES.items()
        },
    )


def failures(found: Study) -> list[str]:
    """Return the conclusions of the page that the figures contradict."""
    conclusions = {
        "a short window shows messages twice": found.ours.twice["0 s"] > 0,
        "a longer window shows fewer messages twice": all(
            one >= other
            for sender in found.senders.values()
            for one, other in pairwise(sender.twice.values())
        ),
        "an hour is long enough": found.ours.twice["1 h"] == 0,
        "retries end within fifteen minutes": found.longest < _RETRIES_END,
        "a late message has MaybeDelivered": not any(late.unflagged for late in found.late.values()),
        "an outage marks every dead letter": all(
            each.maybe_delivered == each.dead_letters > 0 for each in found.redriven.values()
        ),
        "a redrive repeats what the chat has": all(
            each.by_default == each.in_chat for each in found.redriven.values()
        ),
        "--keep-maybe-delivered repeats nothing": not any(each.kept for each in found.redriven.values()),
        "after days, nothing is repeated": not any(
            each.days_later or each.any_age for each in found.redriven.values()
        ),
    }
    return [conclusion for conclusion, holds in conclusions.items() if not holds]


def table_of_limits(found: Study) -> tuple[Table, bool]:
    """Return the table of the figures, and whether the conclusions hold."""
    printed = Table(title="What no sender can promise", title_justify="left", show_header=False)
    for _ in range(1 + len(WINDOWS)):
        printed.add_column()
    for rows in (_rows_of_windows(found), _rows_of_late(found), _rows_of_outages(found)):
        for row in rows:
            printed.add_row(*row)
        printed.add_section()
    printed.add_row("longest retries, in seconds", f"{found.longest:.0f}")
    failed = failures(found)
    for conclusion in failed:
        printed.add_row("FAILED", conclusion, style="red")
    return printed, not failed


def _rows_of_windows(found: Study) -> list[Sequence[str]]:
    ours = found.ours
    return [
        (f"Twice of {ours.messages:,}, if it remembers for", *WINDOWS),
        *((name, *_numbers(sender.twice.values())) for name, sender in found.senders.items()),
        (
            "chance after a lost answer",
            *(_chance(number, ours.lost_answers) for number in ours.after_lost_answer.values()),
        ),
        (
            "chance after a lost acknowledgement",
            *(_chance(number, ours.sent_again) for number in ours.after_answer.values()),
        ),
    ]


def _rows_of_late(found: Study) -> list[Sequence[str]]:
    late = found.late.values()
    return [
        ("Requests that arrive late", *found.late),
        ("accepted", *_numbers(each.requests for each in late)),
        ("first shown after their result", *_numbers(each.after_result for each in late)),
        ("first shown after a later message", *_numbers(each.out_of_order for each in late)),
    ]


def _rows_of_outages(found: Study) -> list[Sequence[str]]:
    outages = found.redriven.values()
    most = max(each.dead_letters for each in outages)
    return [
        ("Calls accepted in an outage, though all fail", *found.redriven),
        (f"twice of {most}, redriven within a day", *_numbers(each.by_default for each in outages)),
        ("with `--keep-maybe-delivered`", *_numbers(each.kept for each in outages)),
    ]


def _numbers(numbers: Iterable[int]) -> list[str]:
    return [f"{number:,}" for number in numbers]


def _chance(number: int, of: int) -> str:
    return f"{number / of:.2g}" if number else "0"


def block(found: Study) -> str:
    """Return the part of the page that has the figures."""
    windows, outages = (
        table(*header, rows=rows) for header, *rows in (_rows_of_windows(found), _rows_of_outages(found))
    )
    default, aged = found.late.values()
    return (
        f"{windows}\n\n{outages}\n\n"
        f"Of {default.requests:,} requests that arrive late, {default.after_result} show a message after its "
        f"result, and {default.out_of_order} after a later message.\nWith a maximum age of a minute, it is "
        f"{aged.after_result} and {aged.out_of_order} of {aged.requests:,}."
    )


def main() -> int:
    """Run the study with the seed of the page, print it, and write the page. Return the exit code."""
    began = time.monotonic()
    found = study(SEED, messages=MESSAGES)
    printed, passed = table_of_limits(found)
    console = Console()
    console.print(printed)
    console.print(f"{time.monotonic() - began:.0f} s")
    if passed:
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(replace_block(page, "limits", block(found)), encoding="utf-8")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
