"""Runs one scenario with one sender in virtual time, and counts."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from random import Random
from statistics import quantiles
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from benchmarks.quota.senders import (
    SENDERS,
    FixedDivision,
    ParticipantModel,
    QueuesWithoutVisibility,
    SdkSender,
    in_turn,
)
from message_sender.delivery import MessageSender
from message_sender.queues import Queues
from message_sender.rate_limiter import RateLimiter
from tests.simulation.accepted import client_token_in
from tests.simulation.function import handler_of_parts, new_outputs
from tests.simulation.models.clock import START
from tests.simulation.models.lambda_service import Ending, Invocation
from tests.simulation.simulation import Setup, Simulation
from tests.support.lambda_events import bus_event, request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.simulation.models.lambda_service import Handler

SEED: Final = 20261123

LONG_PARTS: Final = 5
_LONG_TEXT: Final[dict[str, str | int]] = {"SplitAt": 256, "Content": " ".join(["x" * 250] * LONG_PARTS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One situation, for any sender.

    Attributes:
        instances: The maximum concurrency of the queue. Events and calls use further instances.
        quota: The calls per second that the service accepts. `known_quota`: in the function's settings, if
            different. `new_quotas`: moments at which it changes, each with the new quota.
        load: Calls per second for the messages that arrive in the queue, as a fraction of the quota.
            `event_load`, `call_load`: the same for events and calls. `arrivals_end`: the moment of the last
            arrival.
        seconds: The whole duration. The measurement begins after `warm_up`.
        at_random: Whether SQS draws the next chat at random, instead of in turn.
        long: The fraction of the messages in the queue that are long texts of `LONG_PARTS` parts.
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
    long: float = 0.0

    def quota_at(self, moment: float) -> float:
        changes = ((0.0, self.quota), *self.new_quotas)
        return next(quota for begin, quota in reversed(changes) if begin <= moment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The measurements of one run. docs/explanation/benchmarks.md explains those that are not explained here.

    Attributes:
        whole: Calls for the parts of messages with the outcome SENT, divided by the calls that the quota
            allows.
        throttled: Throttled calls, divided by all calls.
        repeated: Accepted calls that repeat a message or a part, divided by all accepted calls.
        median, p99: Seconds from the acceptance by the queue to the published result. `event_p99` and
            `call_p99`: the same for events and calls.
        moved: Messages that SQS moved to the dead-letter queue without a result.
        refused: Calls that returned a retryable error.
        lost: Messages without a result that are in no queue.
        waiting: Messages in the queue at the end.
        receives: On average, per message.
        busy: Instances that handled batches, on average.
        last_outcome: The moment of the last outcome.
    """

    sender: str
    goodput: float
    whole: float
    throttled: float
    repeated: float
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
    """The figures of a scenario with one sender, and its accepted and throttled calls by second.

    Attributes:
        waits: Of each result, the moment and the seconds from the acceptance of its message.
    """

    scenario: Scenario
    figures: Figures
    accepted: Counter[int]
    throttled: Counter[int]
    waits: list[tuple[float, float]]


def simulate(scenario: Scenario, sender: str, *, seed: int = SEED) -> Run:
    """Run a scenario."""
    return _Study(scenario, sender, seed).result()


class _Study(Simulation):
    """The simulation without faults, with another sender in the function and another workload."""

    def __init__(self, scenario: Scenario, sender: str, seed: int) -> None:
        quota, instances, in_turn = scenario.quota, scenario.instances, not scenario.at_random
        known_quota = scenario.known_quota or quota
        super().__init__(Setup(seed=seed, concurrency=instances, quota=known_quota, groups_in_turn=in_turn))
        self._scenario = scenario
        self._sender = sender
        self._fair_share = known_quota / instances
        self._chance = Random(seed)  # noqa: S311  # the same seed must give the same figures
        self._participant = ParticipantModel(
            self.time, self._chance, quota=quota, retry_after=scenario.retry_after
        )
        self._tokens: set[str] = set()
        self._refused: set[str] = set()

    def new_instance(self) -> Handler:
        time, draw, name, model = self.time, self._chance.random, self._sender, self._participant
        unlimited = sender = MessageSender(participant=model, clock=time, random=draw)
        if limiter_type := {"ours": RateLimiter, "fixed division": FixedDivision}.get(name):
            limiter = limiter_type(fair_share=self._fair_share, random=draw)
            sender = MessageSender(participant=model, clock=time, random=draw, rate_limiter=limiter)
        is_sdk = name.startswith("SDK")
        if is_sdk:
            unlimited = sender = SdkSender(model, is_adaptive=name == "SDK adaptive")
        queues = QueuesWithoutVisibility if is_sdk else Queues
        return handler_of_parts(
            sender=sender,
            synchronous_sender=unlimited,
            outputs=new_outputs(self.services, time=time, random=draw, queues_type=queues),
            workers=in_turn if is_sdk else time.workers,
            time=time,
            random=draw,
        )

    def _run_scenario(self) -> tuple[int, float]:
        """Return the receives and the busy seconds of the measurement."""
        scenario, mapping = self._scenario, self.mapping
        for arrive, load in (
            (self._send, scenario.load / (1 + scenario.long * (LONG_PARTS - 1))),
            (self._emit, scenario.event_load),
            (self._call, scenario.call_load),
        ):
            if load:
                self._next_arrival(arrive, load * scenario.quota)
        for moment, quota in scenario.new_quotas:
            self.time.after(moment, partial(self._participant.set_quota, quota))
        self.run(until=scenario.warm_up)
        receives, busy_seconds = mapping.receives, mapping.busy_seconds()
        self.run(until=scenario.seconds)
        return mapping.receives - receives, mapping.busy_seconds() - busy_seconds

    def _next_arrival(self, arrive: Callable[[], None], rate: float) -> None:
        def arrival() -> None:
            arrive()
            self._next_arrival(arrive, rate)

        wait, end = self._chance.expovariate(rate), self._scenario.arrivals_end
        if end is None or self.time.monotonic() + wait < end:
            self.time.after(wait, arrival)

    def _request(self, **fields: str | int) -> dict[str, Any]:
        token = f"message-{len(self._tokens)}"
        self._tokens.add(token)
        return request(ClientToken=token, **fields)

    def _send(self) -> None:
        chat = str(UUID(int=self._chance.randrange(self._scenario.chats)))
        is_long = self._scenario.long > 0 and self._chance.random() < self._scenario.long
        body = self._request(ContactId=chat, **(_LONG_TEXT if is_long else {}))
        self.messages.send(json.dumps(body), group=chat, deduplication_id=body["ClientToken"])

    def _emit(self) -> None:
        """Publish an event of its own chat."""
        event_id = str(UUID(int=self._chance.getrandbits(128), version=4))
        event = bus_event(self._request(ContactId=event_id), event_id=event_id)
        self.events.deliver(event | {"time": self.time.now().isoformat()})

    def _call(self) -> None:
        def ended(invocation: Invocation) -> None:
            if invocation.ending is Ending.RAISED:
                self._refused.add(body["ClientToken"])

        body = self._request()
        self.function.invoke(body, ended)

    def result(self) -> Run:
        """Run the scenario, and count."""
        scenario = self._scenario
        receives, busy_seconds = self._run_scenario()
        # On the bus and in the unpublished-results queue, with their moments
        results = list(self.bus.results)
        results += [
            (message.enqueued_at - START.timestamp(), json.loads(json.loads(message.body)["Detail"]))
            for message in self.unpublished.accepted.values()
        ]
        seconds = range(int(scenario.warm_up), int(scenario.seconds))
        accepted = sum(self._participant.accepted[second] for second in seconds)
        throttled = sum(self._participant.throttled[second] for second in seconds)
        allowed = sum(map(scenario.quota_at, seconds))  # without the burst
        waits: dict[str, list[float]] = defaultdict(list)
        all_waits: list[tuple[float, float]] = []
        sent: Counter[str] = Counter()
        whole = 0
        for at, result in results:
            wait = at - (datetime.fromisoformat(result["AcceptedAt"]) - START).total_seconds()
            all_waits.append((at, wait))
            if at >= scenario.warm_up:
                waits[result["EventSource"]].append(wait)
                whole += len((result["Message"] or {}).get("Parts", "1")) * (result["Outcome"] == "SENT")
                if result["EventSource"] == "sqs":
                    sent[result["ContactId"]] += result["Outcome"] == "SENT"
        figures = Figures(
            sender=self._sender,
            goodput=round(accepted / allowed, 3),
            whole=round(whole / allowed, 3),
            repeated=round(
                sum(self._participant.repeated[second] for second in seconds) / max(1, accepted), 3
            ),
            throttled=round(throttled / max(1, accepted + throttled), 3),
            median=_percentile(waits["sqs"], 50),
            p99=_percentile(waits["sqs"], 99),
            event_p99=_percentile(waits["eventbridge"], 99),
            call_p99=_percentile(waits["direct"], 99),
            fairness=fairness([sent[str(UUID(int=chat))] for chat in range(scenario.chats)]),
            failed=sum(result["Outcome"] == "FAILED" for _, result in results),
            moved=sum(bool(message.source_queue) for message in self.dead_letters.messages),
            refused=len(self._refused),
            lost=self._lost({result["ClientToken"] for _, result in results}),
            waiting=len(self.messages.messages),
            receives=round(receives / len(waits["sqs"]), 3) if waits["sqs"] else None,
            most_receives=max((each.receive_count for each in self.messages.accepted.values()), default=0),
            busy=round(busy_seconds / (scenario.seconds - scenario.warm_up), 3),
            last_outcome=round(max((at for at, _ in results), default=0.0), 3),
        )
        return Run(scenario, figures, self._participant.accepted, self._participant.throttled, all_waits)

    def _lost(self, published: set[str]) -> int:
        queued = (*self.messages.messages, *self.dead_letters.messages)
        events = [invocation.event for invocation in self.function.running.values()]
        found = published | self._refused | {f"{client_token_in(message.body)}" for message in queued}
        return len(self._tokens - found - {event.get("detail", event).get("ClientToken") for event in events})


def fairness(values: Sequence[float]) -> float | None:
    """Return Jain's index: 1 if all values are equal, 1/n if one value is everything."""
    squares = sum(value * value for value in values)
    return round(sum(values) ** 2 / (len(values) * squares), 3) if squares else None


def _percentile(values: list[float], percent: int) -> float | None:
    return round(quantiles(values, n=100, method="inclusive")[percent - 1], 3) if len(values) > 1 else None


OURS: Final = ("ours",)
LEARNING: Final = ("ours", "fixed division", "SDK adaptive")
INSTANCES: Final = (1, 2, 5, 10, 50, 200)

STEADY: Final = Scenario(
    name="three times the quota", instances=10, quota=10, load=3, seconds=1100, warm_up=300, chats=300
)
CHANGE: Final = replace(
    STEADY, name="quota 10, then 5, then 20", seconds=1500, chats=600, new_quotas=((600, 5), (900, 20))
)
ENDLESS: Final = replace(
    STEADY, name="three times the quota for an hour", seconds=3600, warm_up=900, chats=600
)
"""Most messages that end in it are older than the retry window."""
LONG_TEXTS: Final = replace(
    STEADY, name="three times the quota, three in ten messages with five parts", long=0.3
)

_SOME: Final = (2, 10, 50)
_QUICK: Final = (2,)
_SHORT: Final = replace(STEADY, seconds=700, warm_up=100)
NINE_TENTHS: Final = replace(_SHORT, name="nine tenths of the quota", load=0.9)
_BURST: Final = replace(STEADY, seconds=2000, warm_up=0, arrivals_end=150, chats=600)
_BESIDE: Final = replace(STEADY, seconds=1500, event_load=0.2, call_load=0.2)
_EVENTS: Final = replace(STEADY, seconds=900, warm_up=200, load=0, event_load=3)
_OUTAGE: Final = replace(STEADY, load=1.5, seconds=900, warm_up=100, new_quotas=((300, 0.001), (360, 10)))
# In these, the fair share of an instance is not what the settings say
_TOO_HIGH: Final = replace(STEADY, known_quota=10, quota=5, seconds=1500)
_TOO_LOW: Final = replace(STEADY, known_quota=10, quota=50, seconds=700, warm_up=200)

_TABLE: Final = (
    (STEADY, INSTANCES, SENDERS),
    (replace(STEADY, quota=50, warm_up=150, seconds=450), INSTANCES, OURS),
    (replace(STEADY, quota=500, warm_up=20, seconds=60), INSTANCES, OURS),
    (replace(_SHORT, name="half the quota", load=0.5), _SOME, SENDERS),
    (NINE_TENTHS, _SOME, SENDERS),
    (replace(_SHORT, name="exactly the quota", load=1.0), _SOME, SENDERS),
    (replace(_BURST, name="three times the quota for 150 s"), _SOME, SENDERS),
    (CHANGE, (10, 50), SENDERS),
    (replace(_BESIDE, name="events and calls beside, 0.2 of the quota each"), _SOME, SENDERS),
    (replace(_EVENTS, name="three times the quota, all of it events"), (10,), SENDERS),
    (replace(_OUTAGE, name="nothing is accepted for 60 s"), (10,), SENDERS),
    (replace(STEADY, name="2 chats for 10 instances", chats=2), (10,), LEARNING),
    (replace(STEADY, name="5 chats for 50 instances", chats=5), (50,), LEARNING),
    (replace(_TOO_HIGH, name="the settings say twice the quota"), (10, 50), LEARNING),
    (replace(_TOO_LOW, name="the settings say a fifth of the quota"), (10, 50), LEARNING),
    (replace(STEADY, name="SQS draws chats at random", at_random=True, seconds=1800), (10, 50, 200), OURS),
    (replace(STEADY, name="a retry hint of 2 s", retry_after=2.0), (10,), LEARNING),
    (ENDLESS, (10,), SENDERS),
    (LONG_TEXTS, (2, 10, 50), OURS),
)


def runs(*, quick: bool = False) -> list[tuple[Scenario, str]]:
    """Return each scenario with each of its senders.

    Args:
        quick: Only the scenarios with two instances.
    """
    return [
        (replace(scenario, instances=number), sender)
        for scenario, instances, senders in _TABLE
        for number in instances
        for sender in senders
        if number in _QUICK or not quick
    ]
