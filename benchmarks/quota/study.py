"""Runs one scenario with one sender in virtual time, and counts."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from random import Random
from statistics import quantiles
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from benchmarks.quota.senders import (
    FixedDivision,
    ParticipantModel,
    QueuesWithoutVisibility,
    SdkSender,
    in_turn,
)
from message_sender.delivery import MessageSender
from message_sender.queues import Queues
from message_sender.rate_limiter import RateLimiter
from tests.simulation.function import handler_of_parts, new_outputs
from tests.simulation.models.clock import START
from tests.simulation.models.lambda_service import Ending, Invocation
from tests.simulation.simulation import Setup, Simulation
from tests.simulation.workload import client_token_in
from tests.support.lambda_events import bus_event, request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.simulation.models.lambda_service import Handler

SEED: Final = 20261123


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One situation, for any sender.

    Attributes:
        instances: The maximum concurrency of the queue. Events and calls use further instances.
        quota: The calls per second that the service accepts. `known_quota`: in the function's settings, if
            different. `new_quotas`: moments at which it changes, each with the new quota.
        load: Messages per second that arrive in the queue, as a fraction of the quota. `event_load` and
            `call_load`: the same for events and calls. `arrivals_end`: the moment of the last arrival.
        seconds: The whole duration. The measurement begins after `warm_up`.
        at_random: Whether SQS draws the next chat at random, instead of in turn.
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

    def quota_at(self, moment: float) -> float:
        changes = ((0.0, self.quota), *self.new_quotas)
        return next(quota for begin, quota in reversed(changes) if begin <= moment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The measurements of one run. The page of the study explains those that are not explained here.

    Attributes:
        refused: Calls that returned a retryable error.
        waiting: Messages in the queue at the end.
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
    """The figures of a scenario with one sender, and its accepted calls by second."""

    scenario: Scenario
    figures: Figures
    accepted: Counter[int]

    def __str__(self) -> str:
        scenario, figures = self.scenario, self.figures
        name = f"{scenario.name}, {scenario.instances} instances, quota {scenario.quota:g}: {figures.sender}"
        return (
            f"{name}: goodput {figures.goodput:.2f}, throttled {figures.throttled:.1%}, lost {figures.lost}"
        )


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
        time, draw, name = self.time, self._chance.random, self._sender
        is_sdk = name.startswith("SDK")
        new_sender: Callable[..., MessageSender] = partial(
            partial(SdkSender, is_adaptive=name == "SDK adaptive") if is_sdk else MessageSender,
            participant=self._participant,
            clock=time,
            random=draw,
        )
        unlimited = sender = new_sender()
        if limiter := {"ours": RateLimiter, "fixed division": FixedDivision}.get(name):
            sender = new_sender(rate_limiter=limiter(fair_share=self._fair_share, random=draw))
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
            (self._send, scenario.load),
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

    def _request(self, **fields: str) -> dict[str, Any]:
        token = f"message-{len(self._tokens)}"
        self._tokens.add(token)
        return request(ClientToken=token, **fields)

    def _send(self) -> None:
        chat = str(UUID(int=self._chance.randrange(self._scenario.chats)))
        body = self._request(ContactId=chat)
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
        sent: Counter[str] = Counter()
        for at, result in results:
            if at >= scenario.warm_up:
                accepted_at = datetime.fromisoformat(result["AcceptedAt"]) - START
                waits[result["EventSource"]].append(at - accepted_at.total_seconds())
                if result["EventSource"] == "sqs":
                    sent[result["ContactId"]] += result["Outcome"] == "SENT"
        figures = Figures(
            sender=self._sender,
            goodput=round(accepted / allowed, 3),
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
        return Run(scenario, figures, self._participant.accepted)

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
