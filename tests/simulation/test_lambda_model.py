"""Lambda: what becomes of a batch and of an event, however an invocation ends."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from infra.timing import FUNCTION_TIMEOUT_SECONDS
from tests.simulation.fault_profiles import CALM, Rates, Strike, Weather
from tests.simulation.models.clock import VirtualTime
from tests.simulation.models.lambda_ import (
    FUNCTION_TIMEOUT,
    Ending,
    EventDelivery,
    EventSourceMapping,
    Function,
    Invocation,
)
from tests.simulation.models.sqs import Queue
from tests.support.lambda_events import bus_event

if TYPE_CHECKING:
    from tests.support.lambda_events import FakeLambdaContext


class World:
    """A function that does what its records or its event say, and what invokes it."""

    def __init__(self, rates: Rates = CALM, *, concurrency: int = 10) -> None:
        self.time = VirtualTime()
        self.weather = Weather(time=self.time, random=Random(1), rates=rates)
        self.queue = Queue("messages.fifo", time=self.time, random=Random(2), visibility_timeout=168)
        self.dead_letters = Queue("events-dead-letter", time=self.time, random=Random(3))
        self.events: list[tuple[float, dict[str, Any]]] = []
        self.function = Function(
            time=self.time,
            random=Random(4),
            weather=self.weather,
            new_instance=lambda: self._handle,
        )
        self.mapping = EventSourceMapping(
            time=self.time,
            queue=self.queue,
            function=self.function,
            weather=self.weather,
            maximum_concurrency=concurrency,
        )
        self.delivery = EventDelivery(
            time=self.time, function=self.function, dead_letters=self.dead_letters, weather=self.weather
        )

    def _handle(self, event: dict[str, Any], context: FakeLambdaContext) -> dict[str, Any]:
        self.events.append((self.time.monotonic(), event))
        assert context.get_remaining_time_in_millis() == pytest.approx(28_000, abs=1)
        told = json.dumps(event)
        self.time.sleep(40 if "hangs" in told else 1)
        if "raises" in told:
            raise ValueError
        failed = [record["messageId"] for record in event.get("Records", []) if "fails" in record["body"]]
        strangers = ["stranger"] if "stranger" in told else []
        return {"batchItemFailures": [{"itemIdentifier": item} for item in failed + strangers]}

    def send(self, *bodies: str, group: str = "chat") -> None:
        for body in bodies:
            self.queue.send(body, group=group, deduplication_id=f"{group}-{body}")

    @property
    def left(self) -> list[str]:
        return [message.body for message in self.queue.messages]

    def batches(self) -> list[tuple[float, list[str]]]:
        return [(at, [record["body"] for record in event["Records"]]) for at, event in self.events]


def test_the_timeout_is_that_of_the_stack() -> None:
    assert FUNCTION_TIMEOUT_SECONDS == FUNCTION_TIMEOUT


def test_what_is_not_reported_as_failed_is_deleted() -> None:
    world = World()
    world.send("a", "fails", "c")

    world.time.run(until=10)

    assert world.left == ["fails"]
    assert world.mapping.disturbed == set()


@pytest.mark.parametrize("body", ["raises", "hangs", "stranger"])
def test_a_batch_that_fails_as_a_whole_comes_back_after_its_visibility(body: str) -> None:
    world = World()
    world.send("a", body)

    world.time.run(until=200)

    assert [at for at, _ in world.batches()] == pytest.approx([0, 168])
    assert world.left == ["a", body]
    assert world.mapping.disturbed == set()  # nothing excuses the function
    assert world.mapping.redeliveries == 2


def test_an_invocation_that_takes_too_long_is_noted_as_such() -> None:
    world = World()
    world.send("hangs")

    world.time.run(until=30)

    [invocation] = world.function.timed_out
    assert invocation.ending is Ending.TIMED_OUT


def test_no_more_batches_run_at_once_than_are_allowed() -> None:
    world = World(concurrency=2)
    for group in range(30):
        world.send("a", group=f"{group}")

    world.time.run(until=10)

    assert [at for at, _ in world.batches()] == pytest.approx([0, 0, 1])
    assert world.left == []


@pytest.mark.parametrize("strike", [Strike.CRASH, Strike.CUT_OFF, Strike.INVOCATION_THROTTLED])
def test_an_invocation_that_does_not_end_acknowledges_nothing(strike: Strike) -> None:
    world = World({strike: 1.0})
    world.send("a")

    world.time.run(until=100)

    [message] = world.queue.messages
    assert message.receive_count == 1
    assert world.mapping.disturbed == {message.message_id}


def test_a_crash_is_known_at_once_and_a_cut_off_when_the_time_is_up() -> None:
    def ended_at(strike: Strike) -> float:
        world = World({strike: 1.0})
        ended: list[float] = []

        def note(_: Invocation) -> None:
            ended.append(world.time.monotonic())

        world.function.invoke(bus_event({}), note)
        world.time.run()
        return ended[0]

    assert ended_at(Strike.CRASH) < 1
    assert ended_at(Strike.CUT_OFF) == FUNCTION_TIMEOUT


def test_a_lost_acknowledgement_leaves_the_message_where_it_is() -> None:
    world = World({Strike.LOST_ACKNOWLEDGEMENT: 1.0})
    world.send("a")

    world.time.run(until=10)

    assert world.left == ["a"]
    assert len(world.mapping.disturbed) == 1


def test_a_record_that_is_delivered_twice_is_so_in_another_batch() -> None:
    world = World({Strike.DELIVERED_TWICE: 1.0})
    world.send("a")
    world.time.after(0.05, lambda: world.weather.rates.update({Strike.DELIVERED_TWICE: 0.0}))

    world.time.run()

    assert len(world.events) == 2
    assert world.left == []


def test_an_event_that_fails_is_tried_three_times_and_then_a_dead_letter() -> None:
    world = World()
    event = bus_event({"Content": "raises"}, event_id="e-1")

    world.delivery.deliver(event)
    world.time.run()

    assert [at for at, _ in world.events] == pytest.approx([0, 61, 182])
    [letter] = world.dead_letters.messages
    record = json.loads(letter.body)
    assert record["requestPayload"] == event
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["responsePayload"] == {"errorType": "ValueError"}
    assert world.delivery.disturbed == {"e-1"}


def test_an_event_that_the_rule_cannot_hand_over_is_a_dead_letter_as_it_is() -> None:
    world = World({Strike.INVOCATION_THROTTLED: 1.0})
    event = bus_event({})

    world.delivery.deliver(event)
    world.time.run()

    [letter] = world.dead_letters.messages
    assert json.loads(letter.body) == event
    assert letter.attributes == {"ERROR_CODE": "THROTTLING"}
    assert world.events == []


def test_an_event_may_come_twice() -> None:
    world = World({Strike.EVENT_TWICE: 1.0})

    world.delivery.deliver(bus_event({}))
    world.time.run()

    assert len(world.events) == 2
