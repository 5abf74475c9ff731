"""The simulation of the quota: that it counts right, and does what the function does."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import quota_report
from benchmarks.quota_model import Message, Queue, Tally, World
from benchmarks.quota_senders import SENDERS, OurFunction
from benchmarks.quota_simulation import CHANGE, ENDLESS, INSTANCES, Scenario, fairness, simulate, verdict
from message_sender.delivery import MessageSender
from message_sender.errors import ThrottledError
from message_sender.rate_limiter import RateLimiter
from message_sender.request import parse_request
from message_sender.result import Sent
from message_sender.retry import TimeBudget
from tests.support.fakes import FakeClock
from tests.support.lambda_events import request

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from message_sender.request import SendMessageRequest

OVERLOAD = Scenario(
    name="three times the quota", instances=50, quota=10, load=3, chats=200, seconds=700, warm_up=200
)


@pytest.mark.parametrize("sender", SENDERS)
def test_every_message_is_somewhere(sender: str) -> None:
    scenario = replace(OVERLOAD, instances=5, seconds=300, event_load=0.3, call_load=0.3)

    run = simulate(scenario, sender)

    assert run.figures.lost == 0
    assert sum(run.accepted) > 2000


def test_one_instance_far_below_the_quota_is_never_throttled_and_never_waits() -> None:
    quiet = Scenario(name="quiet", instances=1, quota=10, load=0.2, seconds=1000)

    ours, unpaced = simulate(quiet, "ours").figures, simulate(quiet, "no pacing").figures

    assert ours.throttled == 0.0
    assert replace(ours, sender="no pacing") == unpaced


def test_a_sender_that_hammers_the_service_is_told_from_one_that_does_not() -> None:
    ours = simulate(OVERLOAD, "ours").figures
    unpaced = simulate(OVERLOAD, "no pacing").figures

    assert verdict(OVERLOAD, ours) == "met"
    assert verdict(OVERLOAD, unpaced) == "missed"
    assert unpaced.throttled > 0.5


def test_what_stops_within_the_retry_window_ends_without_a_message_given_up() -> None:
    scenario = replace(OVERLOAD, instances=10, seconds=2000, arrivals_end=150, warm_up=0)

    figures = simulate(scenario, "ours").figures

    assert (figures.failed, figures.waiting, figures.moved) == (0, 0, 0)
    assert figures.last_outcome < 600


def test_a_seed_decides_everything() -> None:
    scenario = replace(OVERLOAD, seconds=250)

    assert simulate(scenario, "ours") == simulate(scenario, "ours")
    assert simulate(scenario, "ours").figures != simulate(scenario, "ours", seed=1).figures


def test_a_retry_hint_is_kept_to() -> None:
    scenario = replace(OVERLOAD, instances=2, retry_after=2.0, seconds=300, warm_up=0)

    hinted = simulate(scenario, "ours").figures

    assert hinted.goodput < simulate(replace(scenario, retry_after=None), "ours").figures.goodput


@pytest.mark.parametrize(("values", "index"), [([2, 2, 2], 1.0), ([3, 0, 0], 0.333), ([0, 0], None)])
def test_fairness_is_jain_s_index(values: list[float], index: float | None) -> None:
    assert fairness(values) == index


# The queue


def queue_of(*chats: int, max_receive_count: int = 100) -> tuple[World, Tally, Queue]:
    world, tally = World(seed=1), Tally(since=0)
    queue = Queue(world, tally, max_receive_count=max_receive_count, at_random=False)
    for chat in chats:
        queue.put(Message(chat=chat, route="queue", accepted_at=0, queued_at=0))
    return world, tally, queue


def numbers(batch: list[list[Message]]) -> list[list[int]]:
    return [[message.chat for message in records] for records in batch]


def test_a_batch_takes_all_of_a_chat_before_the_next_and_ten_at_most() -> None:
    _, _, queue = queue_of(1, 2, 1, *[3] * 9)

    assert numbers(queue.receive()) == [[1, 1], [2], [3] * 7]
    assert queue.receive() == []


def test_a_chat_in_flight_is_held_with_what_comes_later() -> None:
    world, _, queue = queue_of(1)
    [[first]] = queue.receive()
    queue.put(Message(chat=1, route="queue", accepted_at=0, queued_at=0))

    held = queue.receive()
    queue.settle(1, done=1, hidden_for=0.0)
    world.run(until=1)
    [[second]] = queue.receive()

    assert held == []
    assert first is not second
    assert len(queue) == 1


def test_a_hidden_head_holds_its_chat_until_it_comes_back() -> None:
    world, _, queue = queue_of(1, 1, 2)
    queue.receive()
    queue.settle(1, done=0, hidden_for=30.0)
    queue.settle(2, done=1, hidden_for=0.0)

    world.run(until=29)
    hidden = queue.receive()
    world.run(until=31)

    assert hidden == []
    assert [message.receives for [*records] in queue.receive() for message in records] == [2, 2]


def test_a_message_received_too_often_is_moved() -> None:
    world, tally, queue = queue_of(1, 1, max_receive_count=1)
    queue.receive()
    queue.settle(1, done=0, hidden_for=1.0)
    world.run(until=2)

    assert queue.receive() == []
    assert tally.moved == 2
    assert len(queue) == 0


# The sender is the function's, step by step


@dataclass
class Script:
    """A service whose answers are written down. Notes when it was called."""

    answers: list[bool]
    retry_after: float | None
    moments: list[float] = field(default_factory=list)

    def answer(self, now: float) -> bool:
        self.moments.append(round(now, 6))
        return self.answers.pop(0) if self.answers else True


@dataclass
class ScriptedParticipant:
    clock: FakeClock
    script: Script

    def send_message(self, message: SendMessageRequest, *, timeout: float) -> Sent:  # noqa: ARG002  # the protocol's
        accepted = self.script.answer(self.clock.elapsed)
        self.clock.elapsed += 0.1
        if not accepted:
            raise ThrottledError("slow down", retry_after=self.script.retry_after)
        return Sent(message_id="m", absolute_time=None, processing_status=None)


@dataclass
class ScriptedService:
    world: World
    script: Script

    @property
    def retry_after(self) -> float | None:
        return self.script.retry_after

    def call(self) -> Generator[float, None, bool]:
        accepted = self.script.answer(self.world.now)
        yield 0.1
        return accepted


def as_the_function(answers: list[bool], *, share: float, retry_after: float | None) -> object:
    clock = FakeClock()
    script = Script(list(answers), retry_after)
    sender = MessageSender(
        participant=ScriptedParticipant(clock, script),
        clock=clock,
        random=lambda: 0.5,
        rate_limiter=RateLimiter(share=share, random=lambda: 0.5),
    )
    results = []
    message = parse_request(json.dumps(request()), client_token="c")
    for begin in (0.0, 20.0):
        clock.elapsed = max(clock.elapsed, begin)
        budget = TimeBudget(deadline=clock.monotonic() + 15, retry_seconds=5)
        for _ in range(3):
            delivery = sender.deliver(message, budget=budget)
            results.append((isinstance(delivery.outcome, Sent), delivery.attempts))
    return results, script.moments


def as_the_simulation(answers: list[bool], *, share: float, retry_after: float | None) -> object:
    world = World(seed=1)
    chance: Any = SimpleNamespace(random=lambda: 0.5)
    world.random = chance
    script = Script(list(answers), retry_after)
    service: Any = ScriptedService(world, script)
    sender = OurFunction(lambda _: RateLimiter(share=share, random=lambda: 0.5))
    instance = sender.new_instance(world)
    results = []

    def invocations() -> Generator[float, None, None]:
        for begin in (0.0, 20.0):
            yield max(0.0, begin - world.now)
            budget = TimeBudget(deadline=world.now + 15, retry_seconds=5)
            for _ in range(3):
                attempt = yield from sender.send(instance, world, service, "queue", budget)
                results.append((attempt.sent, attempt.tries))

    world.start(invocations())
    world.run(until=1000)
    return results, script.moments


@given(
    st.lists(st.booleans(), max_size=12),
    st.sampled_from([0.05, 0.2, 1.0, 10.0]),
    st.sampled_from([None, 0.3, 2.0, 60.0]),
)
def test_simulated_and_real_function_make_the_same_calls_at_the_same_moments(
    answers: list[bool], share: float, retry_after: float | None
) -> None:
    real = as_the_function(answers, share=share, retry_after=retry_after)

    simulated = as_the_simulation(answers, share=share, retry_after=retry_after)

    assert simulated == real


# The report


def test_the_report_is_the_same_each_time_and_says_which_goals_are_met(tmp_path: Path) -> None:
    short = simulate(replace(OVERLOAD, seconds=60, warm_up=10), "ours")
    runs = [
        replace(short, scenario=scenario, figures=replace(short.figures, sender=sender))
        for scenario in (
            *(replace(short.scenario, instances=instances) for instances in INSTANCES),
            CHANGE,
            ENDLESS,
        )
        for sender in SENDERS
    ]
    folders = [tmp_path / "one", tmp_path / "two"]

    for folder in folders:
        folder.mkdir()
        quota_report.write(runs, folder)

    one, two = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders]
    assert one == two
    assert one.keys() == {"quota.md", "quota.json", "quota-steady.svg", "quota-change.svg", "quota-hour.svg"}
    assert len(json.loads(one["quota.json"])["runs"]) == len(runs)
    page = one["quota.md"].decode()
    assert page.count("| shown |") == 1
    assert page.count("| met |") + page.count("| missed |") == 5
