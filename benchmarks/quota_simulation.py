"""Simulates many instances of the function that share one quota: `make quota`.

Writes docs/benchmarks/quota.md, quota.json and the plots beside them. Seeded: two runs give the same
figures. What is simulated, and what is the function's own, is at the top of quota_model.py.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise, product
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING, Final

from benchmarks.quota_model import Function, Message, Queue, Service, Tally, World
from benchmarks.quota_senders import SENDERS
from infra.timing import max_receive_count

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.quota_model import Process, Route, Sender

DOCS: Final = Path(__file__).parent.parent / "docs" / "benchmarks"
SEED: Final = 20261123

LEAST_GOODPUT: Final = 0.95
MOST_THROTTLED: Final = 0.05
LEAST_FAIRNESS: Final = 0.9
MOST_INSTANCES: Final = 50
"""Up to which the goals hold. Beyond, the figures are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What happens, whoever sends.

    Attributes:
        instances: The maximum concurrency of the queue. Events and calls have instances of their own beside
            these.
        quota: Calls a second that the service allows.
        load: Messages a second that arrive in the queue, as a part of the quota. The same for events and
            calls.
        seconds: The whole length; what is measured begins after `warm_up`.
        arrivals_end: When nothing arrives any more. None: never.
        known_quota: What the function believes the quota to be. None: what it is.
        new_quotas: Moments at which the quota changes, and what it is from then on.
        at_random: Whether SQS draws the next chat, rather than taking them in turn.
    """

    name: str
    instances: int
    quota: float
    load: float
    seconds: float
    warm_up: float = 0.0
    chats: int = 600
    event_load: float = 0.0
    call_load: float = 0.0
    arrivals_end: float | None = None
    known_quota: float | None = None
    new_quotas: tuple[tuple[float, float], ...] = ()
    retry_after: float | None = None
    at_random: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What came of a scenario.

    Attributes:
        goodput: Accepted calls over what the quota allowed.
        throttled: The part of all calls that were throttled.
        median, p99: Seconds from acceptance to outcome, of messages of the queue that ended.
        event_p99, call_p99: The same of events and calls.
        fairness: Jain's index of the messages sent by chat.
        failed: Messages given up: FAILED.
        moved: Messages that SQS moved to the dead-letter queue after too many receives.
        refused: Callers told to come back.
        lost: Messages that are nowhere.
        waiting: Messages in the queue at the end.
        receives: For each message that ended, and the most of one.
        busy: Instances at work on the queue, on average.
        last_outcome: The moment of the last outcome.
    """

    sender: str
    goodput: float
    throttled: float
    median: float | None
    p99: float | None
    event_p99: float | None
    call_p99: float | None
    fairness: float | None
    failed: int
    moved: int
    refused: int
    lost: int
    waiting: int
    receives: float | None
    most_receives: int
    busy: float
    last_outcome: float


@dataclass(frozen=True, slots=True)
class Run:
    """A scenario with one sender: the figures, and accepted and throttled calls by second."""

    scenario: Scenario
    figures: Figures
    accepted: list[int]
    throttled: list[int]


def simulate(scenario: Scenario, sender_name: str, *, seed: int = SEED) -> Run:
    """Run a scenario in virtual time."""
    share = (scenario.known_quota or scenario.quota) / scenario.instances
    sender: Sender = SENDERS[sender_name](share)
    world = World(seed=seed)
    tally = Tally(since=scenario.warm_up)
    service = Service(world, tally, quota=scenario.quota, retry_after=scenario.retry_after)
    queue = Queue(
        world,
        tally,
        max_receive_count=max_receive_count(
            retry_window_minutes=10,
            maximum_concurrency=scenario.instances,
            send_quota_per_second=round(scenario.known_quota or scenario.quota),
        ),
        at_random=scenario.at_random,
    )
    function = Function(
        world, tally, sender=sender, service=service, queue=queue, concurrency=scenario.instances
    )
    loads: list[tuple[Route, float]] = [
        ("queue", scenario.load),
        ("event", scenario.event_load),
        ("call", scenario.call_load),
    ]
    for route, load in loads:
        if load:
            world.start(_arrivals(world, function, scenario, route, load * scenario.quota))
    world.start(_changes(service, scenario))
    world.run(until=scenario.seconds)
    return Run(
        scenario,
        _figures(scenario, sender_name, tally, queue, function),
        [tally.accepted_in[second] for second in range(int(scenario.seconds))],
        [tally.throttled_in[second] for second in range(int(scenario.seconds))],
    )


def _arrivals(world: World, function: Function, scenario: Scenario, route: Route, rate: float) -> Process:
    number = scenario.chats
    while scenario.arrivals_end is None or world.now < scenario.arrivals_end:
        yield world.random.expovariate(rate)
        number += 1  # an event has a group of its own
        chat = world.random.randrange(scenario.chats) if route == "queue" else number
        function.accept(Message(chat=chat, route=route, accepted_at=world.now, queued_at=world.now))


def _changes(service: Service, scenario: Scenario) -> Process:
    before = 0.0
    for moment, quota in scenario.new_quotas:
        yield moment - before
        service.set_quota(quota)
        before = moment


def _figures(scenario: Scenario, sender: str, tally: Tally, queue: Queue, function: Function) -> Figures:
    span = scenario.seconds - scenario.warm_up
    accepted = tally.calls - tally.throttled
    ended = tally.seconds_to_outcome["queue"]
    by_chat = [tally.sent_by_chat[chat] for chat in range(scenario.chats)]
    outcomes = tally.sent + tally.failed + tally.moved + tally.refused
    return Figures(
        sender=sender,
        goodput=_rounded(accepted / _allowed(scenario)),
        throttled=_rounded(tally.throttled / max(1, tally.calls)),
        median=_percentile(ended, 50),
        p99=_percentile(ended, 99),
        event_p99=_percentile(tally.seconds_to_outcome["event"], 99),
        call_p99=_percentile(tally.seconds_to_outcome["call"], 99),
        fairness=fairness(by_chat),
        failed=tally.failed,
        moved=tally.moved,
        refused=tally.refused,
        lost=tally.arrived - outcomes - len(queue) - function.on_their_way,
        waiting=len(queue),
        receives=_rounded(tally.received / len(ended)) if ended else None,
        most_receives=tally.most_receives,
        busy=_rounded(tally.busy_seconds / span),
        last_outcome=_rounded(tally.last_outcome_at),
    )


def _allowed(scenario: Scenario) -> float:
    """Return how many calls the quota allowed in what was measured, the burst aside."""
    allowed = 0.0
    moments = [(0.0, scenario.quota), *scenario.new_quotas, (scenario.seconds, 0.0)]
    for (begin, quota), (end, _) in pairwise(moments):
        allowed += quota * max(0.0, end - max(begin, scenario.warm_up))
    return allowed


def fairness(values: Sequence[float]) -> float | None:
    """Return Jain's index: 1 if all are equal, 1/n if one has it all."""
    squares = sum(value * value for value in values)
    return _rounded(sum(values) ** 2 / (len(values) * squares)) if squares else None


def _percentile(values: list[float], percent: int) -> float | None:
    return _rounded(quantiles(values, n=100, method="inclusive")[percent - 1]) if len(values) > 1 else None


def _rounded(value: float) -> float:
    return round(value, 3)


# The scenarios

ALL: Final = tuple(SENDERS)
LEARNING: Final = ("ours", "fixed division", "SDK adaptive")
INSTANCES: Final = (1, 2, 5, 10, 50, 200)


def steady(*, quick: bool) -> Iterator[tuple[Scenario, Sequence[str]]]:
    """Three times the quota, always a backlog. Each chat gets some thirty messages through."""
    lengths = {10: (600, 2100), 50: (200, 600), 500: (40, 80)}
    for quota, instances in product((10,) if quick else lengths, (2, 50) if quick else INSTANCES):
        warm_up, seconds = lengths[quota]
        yield (
            Scenario(
                name="three times the quota",
                instances=instances,
                quota=quota,
                load=3,
                seconds=seconds,
                warm_up=warm_up,
            ),
            ALL,
        )


def loads(*, quick: bool) -> Iterator[tuple[Scenario, Sequence[str]]]:
    names = {0.5: "half the quota", 0.9: "nine tenths of the quota", 1.0: "exactly the quota"}
    for (load, name), instances in product(names.items(), (10,) if quick else (2, 10, 50)):
        yield (
            Scenario(
                name=name,
                instances=instances,
                quota=10,
                load=load,
                seconds=1300,
                warm_up=100,
            ),
            ALL,
        )


def bursts(*, quick: bool) -> Iterator[tuple[Scenario, Sequence[str]]]:
    """Three times the quota for 150 seconds, then nothing: the backlog could be gone after 450."""
    for instances in (10,) if quick else (2, 10, 50):
        yield (
            Scenario(
                name="three times the quota for 150 s",
                instances=instances,
                quota=10,
                load=3,
                seconds=3000,
                arrivals_end=150,
            ),
            ALL,
        )


def beside(*, quick: bool) -> Iterator[tuple[Scenario, Sequence[str]]]:
    for instances in (10,) if quick else (2, 10, 50):
        yield (
            Scenario(
                name="events and calls beside, 0.2 of the quota each",
                instances=instances,
                quota=10,
                load=3,
                event_load=0.2,
                call_load=0.2,
                seconds=2700,
                warm_up=300,
            ),
            ALL,
        )
    if not quick:
        yield (
            Scenario(
                name="three times the quota, all of it events",
                instances=10,
                quota=10,
                load=0,
                event_load=3,
                seconds=900,
                warm_up=200,
            ),
            ALL,
        )


CHANGE: Final = Scenario(
    name="quota 10, then 5, then 20",
    instances=10,
    quota=10,
    load=3,
    seconds=1500,
    warm_up=300,
    new_quotas=((600, 5), (900, 20)),
)


def changes(*, quick: bool) -> Iterator[tuple[Scenario, Sequence[str]]]:
    yield CHANGE, ALL
    if not quick:
        yield Scenario(**asdict(CHANGE) | {"instances": 50}), ALL
        yield (
            Scenario(
                name="nothing is accepted for 60 s",
                instances=10,
                quota=10,
                load=1.5,
                seconds=900,
                warm_up=100,
                new_quotas=((300, 0.001), (360, 10)),
            ),
            ALL,
        )


def odds(*, quick: bool) -> Iterator[tuple[Scenario, Sequence[str]]]:
    """Where an instance's share is not what it believes, and where SQS or the service behaves otherwise."""
    if quick:
        return
    common = {"quota": 10, "load": 3, "seconds": 1500, "warm_up": 300}
    yield Scenario(name="2 chats for 10 instances", instances=10, chats=2, **common), LEARNING  # type: ignore[arg-type]  # mypy widens the values
    yield Scenario(name="5 chats for 50 instances", instances=50, chats=5, **common), LEARNING  # type: ignore[arg-type]  # the same
    for name, quota in (("believes in twice the quota", 5), ("believes in a fifth of the quota", 50)):
        for instances in (10, 50):
            yield (
                Scenario(
                    name=name,
                    instances=instances,
                    quota=quota,
                    known_quota=10,
                    load=3,
                    seconds=2100 if quota == 5 else 900,  # noqa: PLR2004  # as many messages
                    warm_up=300,
                ),
                LEARNING,
            )
    for instances in (10, 50, 200):
        yield (
            Scenario(
                name="SQS draws chats at random",
                instances=instances,
                quota=10,
                load=3,
                seconds=4000,
                warm_up=400,
                at_random=True,
            ),
            ("ours",),
        )
    yield Scenario(name="a retry hint of 2 s", instances=10, retry_after=2.0, **common), LEARNING  # type: ignore[arg-type]  # the same


ENDLESS: Final = Scenario(
    name="three times the quota for an hour", instances=10, quota=10, load=3, seconds=3600, warm_up=900
)


def endless(*, quick: bool) -> Iterator[tuple[Scenario, Sequence[str]]]:
    """Most messages that end are older than the retry window."""
    if not quick:
        yield ENDLESS, ALL


GROUPS: Final = (steady, loads, bursts, beside, changes, odds, endless)


def run_all(*, quick: bool) -> list[Run]:
    """Run all scenarios, as many at once as there are processors. The order is theirs."""
    tasks = [
        (scenario, sender)
        for group in GROUPS
        for scenario, senders in group(quick=quick)
        for sender in senders
    ]
    runs = []
    with ProcessPoolExecutor() as processes:
        for run in processes.map(simulate, *zip(*tasks, strict=True)):
            print(_line(run), flush=True)  # noqa: T201  # a program
            runs.append(run)
    return runs


def _line(run: Run) -> str:
    scenario, figures = run.scenario, run.figures
    return (
        f"{scenario.name}, {scenario.instances} instances, quota {scenario.quota:g}: {figures.sender}: "
        f"goodput {figures.goodput:.3f}, throttled {figures.throttled:.1%}, fairness {figures.fairness}, "
        f"failed {figures.failed}, moved {figures.moved}, lost {figures.lost}, "
        f"most receives {figures.most_receives}"
    )


def verdict(scenario: Scenario, figures: Figures) -> str:
    """Say whether the goals of the steady state are `met` or `missed`, or why they say nothing here."""
    if scenario.instances > MOST_INSTANCES:
        return "shown"
    if figures.throttled == 0 and figures.goodput < LEAST_GOODPUT and figures.busy > 0.9 * scenario.instances:
        return "too few"
    met = (
        figures.goodput >= LEAST_GOODPUT
        and figures.throttled <= MOST_THROTTLED
        and figures.lost == figures.moved == 0
        and (figures.fairness or 0) >= LEAST_FAIRNESS
    )
    return "met" if met else "missed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few scenarios, and nothing written")
    arguments = parser.parse_args()
    runs = run_all(quick=arguments.quick)
    if not arguments.quick:
        from benchmarks import quota_report  # noqa: PLC0415  # brings in matplotlib, which takes a second

        DOCS.mkdir(parents=True, exist_ok=True)
        quota_report.write(runs, DOCS)
    missed = [
        run
        for run in runs
        if run.figures.sender == "ours"
        and run.scenario.name == "three times the quota"
        and verdict(run.scenario, run.figures) == "missed"
    ]
    for run in missed:
        print("Goal missed:", _line(run))  # noqa: T201  # a program
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
