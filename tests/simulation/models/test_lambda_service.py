"""Lambda: the fate of a batch and of an event, for each ending of an invocation."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from infra.timing import FUNCTION_TIMEOUT_SECONDS
from tests.simulation.fault_profiles import NO_FAULTS, Fault, FaultInjector, FaultProfile
from tests.simulation.models.clock import VirtualTime
from tests.simulation.models.lambda_service import (
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
    """A function that acts as its records or its event say, with its event sources."""

    def __init__(self, profile: FaultProfile = NO_FAULTS, *, concurrency: int = 10) -> None:
        self.time = VirtualTime()
        self.injector = FaultInjector(time=self.time, random=Random(1), profile=profile)
        self.queue = Queue("messages.fifo", time=self.time, random=Random(2), visibility_timeout=168)
        self.dead_letters = Queue("events-dead-letter", time=self.time, random=Random(3))
        self.events: list[tuple[float, dict[str, Any]]] = []
        self.function = Function(
            time=self.time,
            random=Random(4),
            injector=self.injector,
            new_instance=lambda: self._handle,
        )
        self.mapping = EventSourceMapping(
            time=self.time,
            queue=self.queue,
            function=self.function,
            injector=self.injector,
            maximum_concurrency=concurrency,
        )
        self.delivery = EventDelivery(
            time=self.time, function=self.function, dead_letters=self.dead_letters, injector=self.injector
        )

    def _handle(self, event: dict[str, Any], context: FakeLambdaContext) -> dict[str, Any]:
        self.events.append((self.time.monotonic(), event))
        assert context.get_remaining_time_in_millis() == pytest.approx(28_000, abs=1)
        text = json.dumps(event)
        self.time.sleep(40 if "hangs" in text else 1)
        if "raises" in text:
            raise ValueError
        failed = [record["messageId"] for record in event.get("Records", []) if "fails" in record["body"]]
        unknown = ["unknown"] if "unknown" in text else []
        return {"batchItemFailures": [{"itemIdentifier": item} for item in failed + unknown]}

    def send(self, *bodies: str, group: str = "chat") -> None:
        for body in bodies:
            self.queue.send(body, group=group, deduplication_id=f"{group}-{body}")

    @property
    def left(self) -> list[str]:
        return [message.body for message in self.queue.messages]

    def batches(self) -> list[tuple[float, list[str]]]:
        return [(at, [record["body"] for record in event["Records"]]) for at, event in self.events]


def test_the_timeout_equals_that_of_the_stack() -> None:
    assert FUNCTION_TIMEOUT_SECONDS == FUNCTION_TIMEOUT


def test_records_that_are_not_reported_as_failed_are_deleted() -> None:
    world = World()
    world.send("a", "fails", "c")

    world.time.run(until=10)

    assert world.left == ["fails"]
    assert world.mapping.disturbed == set()


@pytest.mark.parametrize("body", ["raises", "hangs", "unknown"])
def test_a_batch_that_fails_as_a_whole_is_redelivered_after_its_visibility_timeout(body: str) -> None:
    world = World()
    world.send("a", body)

    world.time.run(until=200)

    assert [at for at, _ in world.batches()] == pytest.approx([0, 168])
    assert world.left == ["a", body]
    assert world.mapping.disturbed == set()  # no fault excuses the function
    assert world.mapping.redeliveries == 2


def test_an_invocation_that_takes_too_long_times_out() -> None:
    world = World()
    world.send("hangs")

    world.time.run(until=30)

    [invocation] = world.function.timed_out
    assert invocation.ending is Ending.TIMED_OUT


def test_the_maximum_concurrency_limits_the_batches_in_flight() -> None:
    world = World(concurrency=2)
    for group in range(30):
        world.send("a", group=f"{group}")

    world.time.run(until=10)

    assert [at for at, _ in world.batches()] == pytest.approx([0, 0, 1])
    assert world.left == []


@pytest.mark.parametrize("fault", [Fault.CRASH, Fault.CUT_OFF, Fault.INVOCATION_THROTTLED])
def test_an_invocation_that_a_fault_ends_deletes_nothing(fault: Fault) -> None:
    world = World({fault: 1.0})
    world.send("a")

    world.time.run(until=100)

    [message] = world.queue.messages
    assert message.receive_count == 1
    assert world.mapping.disturbed == {message.message_id}


def test_a_crash_ends_an_invocation_at_once_and_a_cut_off_at_the_timeout() -> None:
    def ended_at(fault: Fault) -> float:
        world = World({fault: 1.0})
        ended: list[float] = []

        def note(_: Invocation) -> None:
            ended.append(world.time.monotonic())

        world.function.invoke(bus_event({}), note)
        world.time.run()
        return ended[0]

    assert ended_at(Fault.CRASH) < 1
    assert ended_at(Fault.CUT_OFF) == FUNCTION_TIMEOUT


def test_a_lost_acknowledgement_leaves_the_message_in_the_queue() -> None:
    world = World({Fault.LOST_ACKNOWLEDGEMENT: 1.0})
    world.send("a")

    world.time.run(until=10)

    assert world.left == ["a"]
    assert len(world.mapping.disturbed) == 1


def test_a_record_delivered_twice_arrives_in_another_batch() -> None:
    world = World({Fault.DELIVERED_TWICE: 1.0})
    world.send("a")
    world.time.after(0.05, lambda: world.injector.profile.update({Fault.DELIVERED_TWICE: 0.0}))

    world.time.run()

    assert len(world.events) == 2
    assert world.left == []


def test_an_event_that_fails_three_times_becomes_a_dead_letter() -> None:
    world = World()
    event = bus_event({"Content": "raises"}, event_id="e-1")

    world.delivery.deliver(event)
    world.time.run()

    assert [at for at, _ in world.events] == pytest.approx([0, 61, 182])
    [dead_letter] = world.dead_letters.messages
    record = json.loads(dead_letter.body)
    assert record["requestPayload"] == event
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["responsePayload"] == {"errorType": "ValueError"}
    assert world.delivery.disturbed == {"e-1"}


def test_an_event_that_the_rule_cannot_deliver_becomes_an_unchanged_dead_letter() -> None:
    world = World({Fault.INVOCATION_THROTTLED: 1.0})
    event = bus_event({})

    world.delivery.deliver(event)
    world.time.run()

    [dead_letter] = world.dead_letters.messages
    assert json.loads(dead_letter.body) == event
    assert dead_letter.attributes == {"ERROR_CODE": "THROTTLING"}
    assert world.events == []


def test_an_event_can_be_delivered_twice() -> None:
    world = World({Fault.EVENT_TWICE: 1.0})

    world.delivery.deliver(bus_event({}))
    world.time.run()

    assert len(world.events) == 2
