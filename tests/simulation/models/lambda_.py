"""Lambda: instances of the function, the event source mapping of a queue, and asynchronous invocation.

Sources: Lambda developer guide, "Using Lambda with Amazon SQS" and "Asynchronous invocation"; the table of
effects in docs/architecture.md.
"""

from __future__ import annotations

import json
import traceback
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from tests.simulation.fault_profiles import Strike
from tests.simulation.models.sqs import SqsError
from tests.support.lambda_events import FakeLambdaContext

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.simulation.fault_profiles import Weather
    from tests.simulation.models.clock import Task, VirtualTime
    from tests.simulation.models.sqs import Message, Queue

FUNCTION_TIMEOUT: Final = 28.0
"""Seconds. The same as in `infra.sender_function`, which a test asserts."""
_BATCH_SIZE: Final = 10
_ASYNCHRONOUS_RETRY_SECONDS: Final = (60.0, 120.0)
_RULE_RETRY_SECONDS: Final = 5.0
_MOST_RULE_RETRIES: Final = 3
_DIES_WITHIN: Final = 0.03
"""Seconds in which the function dies of a poison, less than a call of SendMessage takes."""

Handler = Any
"""A Lambda handler, which Powertools' decorators leave without a type."""


class Ending(StrEnum):
    """How an invocation ended."""

    RUNNING = "not yet"
    RETURNED = "returned"
    RAISED = "raised"
    TIMED_OUT = "timed out by itself"
    CUT_OFF = "cut off"
    CRASHED = "crashed"
    THROTTLED = "throttled"


_FAULTS: Final = frozenset({Ending.CRASHED, Ending.CUT_OFF, Ending.THROTTLED})


@dataclass(slots=True)
class Invocation:
    """One invocation. The error's type is what Lambda reports, and what a state machine matches."""

    request_id: str
    event: dict[str, Any]
    started_at: float
    ending: Ending = Ending.RUNNING
    answer: dict[str, Any] = field(default_factory=dict)
    error_type: str | None = None


class Context(FakeLambdaContext):
    """The context of one invocation: its time runs out."""

    def __init__(self, time: VirtualTime, request_id: str) -> None:
        super().__init__()
        self._time = time
        self._ends_at = time.monotonic() + FUNCTION_TIMEOUT
        self.aws_request_id = request_id

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override]  # Powertools declares it static
        return int((self._ends_at - self._time.monotonic()) * 1000)


class Function:
    """The function: as many instances as are needed, each for one invocation at a time.

    Args:
        new_instance: Returns a new instance's handler.
        poison: Says of an event whether the function dies of it, each time. To be changed when it is mended.
    """

    def __init__(
        self,
        *,
        time: VirtualTime,
        random: Random,
        weather: Weather,
        new_instance: Callable[[], Handler],
        poison: Callable[[dict[str, Any]], bool] = lambda _: False,
    ) -> None:
        self._time = time
        self._random = random
        self._weather = weather
        self._new_instance = new_instance
        self.poison = poison
        self._idle: list[Handler] = []
        self.invocations = 0
        self.timed_out: list[Invocation] = []

    def invoke(self, event: dict[str, Any], on_end: Callable[[Invocation], None]) -> None:
        """Invoke the function, and call back when the invocation has ended, however it did."""
        request_id = str(UUID(int=self._random.getrandbits(128), version=4))
        invocation = Invocation(request_id, event, self._time.monotonic())
        self.invocations += 1
        if self._weather.strikes(Strike.INVOCATION_THROTTLED):
            invocation.ending = Ending.THROTTLED
            self._time.after(0.01, partial(on_end, invocation))
            return
        handler = self._idle.pop() if self._idle else self._new_instance()
        task = self._time.start(partial(handler, event, Context(self._time, request_id)))
        task.when_done(partial(self._ended, invocation, task, handler, on_end))
        self._time.after(FUNCTION_TIMEOUT, partial(self._kill, invocation, task, Ending.TIMED_OUT))
        if self.poison(event):
            self._weather.counts[Strike.POISONED] += 1
            # While it sends, at the latest: what it sends may be in the chat, and nobody is told
            moment = self._random.uniform(0, _DIES_WITHIN)
            self._time.after(moment, partial(self._kill, invocation, task, Ending.CRASHED))
        elif self._weather.strikes(Strike.CRASH):
            self._kill_soon(invocation, task, Ending.CRASHED)
        elif self._weather.strikes(Strike.CUT_OFF):
            self._kill_soon(invocation, task, Ending.CUT_OFF)

    def _kill_soon(self, invocation: Invocation, task: Task, ending: Ending) -> None:
        """End an invocation while it is likely to be at work."""
        self._time.after(self._random.expovariate(8), partial(self._kill, invocation, task, ending))

    def _kill(self, invocation: Invocation, task: Task, ending: Ending) -> None:
        if invocation.ending is Ending.RUNNING and not task.done:
            invocation.ending = ending
            task.kill()
            if ending is Ending.TIMED_OUT:
                self.timed_out.append(invocation)

    def _ended(
        self,
        invocation: Invocation,
        task: Task,
        handler: Handler,
        on_end: Callable[[Invocation], None],
    ) -> None:
        delay = 0.0
        if invocation.ending is Ending.CUT_OFF:  # reported when the time is up
            delay = invocation.started_at + FUNCTION_TIMEOUT - self._time.monotonic()
        elif invocation.ending is Ending.RUNNING:
            self._idle.append(handler)
            if task.error is None:
                invocation.ending = Ending.RETURNED
                invocation.answer = json.loads(json.dumps(task.result))
            else:
                invocation.ending = Ending.RAISED
                invocation.error_type = type(task.error).__name__
                # The runtime client logs what a handler raises
                print("".join(traceback.format_exception(task.error)))  # noqa: T201  # it is the log
        self._time.after(delay, partial(on_end, invocation))


class EventSourceMapping:
    """Hands batches of a FIFO queue to the function, and deletes what it reports as done.

    Attributes:
        disturbed: Ids of messages with which something went wrong between the function and the queue: who
            was promised one outcome for these may see another. Not of those that the function itself failed
            on, by an error or by taking too long: nothing excuses that.
        redeliveries: Receives that were not a message's first.
    """

    def __init__(
        self,
        *,
        time: VirtualTime,
        queue: Queue,
        function: Function,
        weather: Weather,
        maximum_concurrency: int,
    ) -> None:
        self._time = time
        self._queue = queue
        self._function = function
        self._weather = weather
        self._free = maximum_concurrency
        self.disturbed: set[str] = set()
        self.redeliveries = 0
        self.batches = 0
        queue.watch(self.poll)

    def poll(self) -> None:
        """Invoke the function as long as there are messages and places."""
        while self._free:
            batch = self._queue.receive(_BATCH_SIZE)
            if not batch:
                return
            self._free -= 1
            self.batches += 1
            self.redeliveries += sum(message.receive_count > 1 for message in batch)
            receipts = {message.message_id: message.receipt for message in batch}
            if self._weather.strikes(Strike.DELIVERED_TWICE):
                self._return_early(batch)
            event = {"Records": [_record(message, self._queue.arn) for message in batch]}
            self._function.invoke(event, partial(self._ended, receipts))

    def _return_early(self, batch: list[Message]) -> None:
        """Let the batch come back while it is at work, as a distributed queue may."""
        self.disturbed.update(message.message_id for message in batch)
        seconds = self._weather.random.uniform(0.01, 0.9)
        for message in batch:
            self._queue.release(message, seconds=seconds)

    def _ended(self, receipts: dict[str, str], invocation: Invocation) -> None:
        self._free += 1
        self._time.after(0.0, self.poll)
        failed = _failed_ids(invocation, receipts)
        if failed is None:
            if invocation.ending in _FAULTS:
                self.disturbed.update(receipts)
            return
        for message_id, receipt in receipts.items():
            if message_id in failed:
                continue
            if self._weather.strikes(Strike.LOST_ACKNOWLEDGEMENT):
                self.disturbed.add(message_id)
                continue
            try:
                self._queue.delete(receipt)
            except SqsError:
                self.disturbed.add(message_id)


def _failed_ids(invocation: Invocation, receipts: dict[str, str]) -> set[str] | None:
    """Read a partial batch response. None if the whole batch failed: so does one that names a stranger."""
    if invocation.ending is not Ending.RETURNED:
        return None
    failures = invocation.answer.get("batchItemFailures") or []
    ids = {failure.get("itemIdentifier") for failure in failures}
    return ids if ids <= receipts.keys() else None


def _record(message: Message, queue_arn: str) -> dict[str, Any]:
    return {
        "messageId": message.message_id,
        "receiptHandle": message.receipt,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": str(message.receive_count),
            "SentTimestamp": str(int(message.enqueued_at * 1000)),
            "SequenceNumber": f"{message.sequence:020d}",
            "MessageGroupId": str(message.group),
            "MessageDeduplicationId": str(message.deduplication_id),
        },
        "messageAttributes": {
            name: {"stringValue": value, "stringListValues": [], "binaryListValues": [], "dataType": "String"}
            for name, value in message.attributes.items()
        },
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": "eu-central-1",
    }


class EventDelivery:
    """A rule of the bus with the function as its target: asynchronous invocation, with its retries.

    Args:
        dead_letters: For what the rule cannot hand over and for what the function fails on, in two formats.

    Attributes:
        disturbed: Ids of events that the function saw more than once.
    """

    def __init__(
        self, *, time: VirtualTime, function: Function, dead_letters: Queue, weather: Weather
    ) -> None:
        self._time = time
        self._function = function
        self._dead_letters = dead_letters
        self._weather = weather
        self.disturbed: set[str] = set()

    def deliver(self, event: dict[str, Any], *, tries: int = 1) -> None:
        """Hand an event over to Lambda, which takes it at once."""
        if self._weather.strikes(Strike.INVOCATION_THROTTLED):
            if tries > _MOST_RULE_RETRIES:
                self._dead_letters.send(json.dumps(event), attributes={"ERROR_CODE": "THROTTLING"})
                return
            self._time.after(_RULE_RETRY_SECONDS, partial(self.deliver, event, tries=tries + 1))
            return
        self._invoke(event, 1)
        if self._weather.strikes(Strike.EVENT_TWICE):
            self.disturbed.add(event["id"])
            self._time.after(self._weather.random.uniform(0, 5), partial(self._invoke, event, 1))

    def _invoke(self, event: dict[str, Any], count: int) -> None:
        self._function.invoke(event, partial(self._ended, event, count))

    def _ended(self, event: dict[str, Any], count: int, invocation: Invocation) -> None:
        if invocation.ending is Ending.RETURNED:
            return
        if invocation.ending is Ending.THROTTLED:  # uses up none of the retries
            self._time.after(1.0, partial(self._invoke, event, count))
            return
        self.disturbed.add(event["id"])
        if count <= len(_ASYNCHRONOUS_RETRY_SECONDS):
            wait = _ASYNCHRONOUS_RETRY_SECONDS[count - 1]
            self._time.after(wait, partial(self._invoke, event, count + 1))
            return
        self._dead_letters.send(json.dumps(_failure_record(event, invocation, count)))


def _failure_record(event: dict[str, Any], invocation: Invocation, count: int) -> dict[str, Any]:
    """Return what Lambda sends to the destination for failures."""
    return {
        "version": "1.0",
        "requestContext": {
            "requestId": invocation.request_id,
            "condition": "RetriesExhausted",
            "approximateInvokeCount": count,
        },
        "requestPayload": event,
        "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        "responsePayload": {"errorType": invocation.error_type},
    }
