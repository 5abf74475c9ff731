"""Lambda: instances of the function, the event source mapping of a queue, and asynchronous invocation.

Sources: Lambda developer guide, "Using Lambda with Amazon SQS" and "Asynchronous invocation";
docs/explanation/architecture.md, "Effects of each outcome".
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from uuid import UUID

from tests.simulation.fault_profiles import Fault, ids_in_event
from tests.simulation.models.sqs import LARGEST_BATCH, SqsError
from tests.support.lambda_events import FakeLambdaContext

if TYPE_CHECKING:
    from random import Random

    from tests.simulation.fault_profiles import FaultInjector
    from tests.simulation.models.clock import Task, VirtualTime
    from tests.simulation.models.sqs import Message, Queue

FUNCTION_TIMEOUT: Final = 28.0
"""Seconds. A test asserts that `infra.sender_function` has the same."""
_ASYNCHRONOUS_RETRY_SECONDS: Final = (60.0, 120.0)
_RULE_RETRY_SECONDS: Final = 5.0
_MOST_RULE_RETRIES: Final = 3
_KILLS_A_SECOND: Final = 8.0
"""Of an invocation that is to be killed."""
_POISON_KILLS_WITHIN: Final = 0.03
"""Seconds: less than a call of SendMessage takes."""

Handler: TypeAlias = Callable[[Any, Any], Any]
"""A Lambda handler. Powertools' decorators leave it without types."""


class Ending(StrEnum):
    """How an invocation ended."""

    RUNNING = "not yet"
    RETURNED = "returned"
    RAISED = "raised"
    TIMED_OUT = "timed out without a fault"
    CUT_OFF = "cut off"
    CRASHED = "crashed"
    THROTTLED = "throttled"


_FAULTS: Final = frozenset({Ending.CRASHED, Ending.CUT_OFF, Ending.THROTTLED})


@dataclass(slots=True)
class Invocation:
    """One invocation. Lambda reports the error's type, and a state machine matches it."""

    request_id: str
    event: dict[str, Any]
    started_at: float
    ending: Ending = Ending.RUNNING
    answer: dict[str, Any] = field(default_factory=dict)
    error_type: str | None = None
    task: Task | None = None


class Context(FakeLambdaContext):
    """The context of one invocation, with the time that is left."""

    def __init__(self, time: VirtualTime, request_id: str) -> None:
        super().__init__()
        self._time = time
        self._ends_at = time.monotonic() + FUNCTION_TIMEOUT
        self.aws_request_id = request_id

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override]  # Powertools declares it static
        return int((self._ends_at - self._time.monotonic()) * 1000)


class Function:
    """The function, with as many instances as it needs. Each handles one invocation at a time.

    Args:
        new_instance: Returns the handler of a new instance.
        poison: Returns whether an event kills the function. A scenario that repairs it sets the attribute.
        log: Gets the traceback of an error that the handler raises, as the runtime client logs it.

    Attributes:
        running: The invocations in progress, by request id.
    """

    def __init__(
        self,
        *,
        time: VirtualTime,
        random: Random,
        injector: FaultInjector,
        new_instance: Callable[[], Handler],
        poison: Callable[[dict[str, Any]], bool] = lambda _: False,
        log: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._time = time
        self._random = random
        self._injector = injector
        self._new_instance = new_instance
        self._log = log
        self.poison = poison
        self._idle: list[Handler] = []
        self.invocations = 0
        self.running: dict[str, Invocation] = {}
        self.timed_out: list[Invocation] = []

    def invoke(self, event: dict[str, Any], on_end: Callable[[Invocation], None]) -> None:
        """Invoke the function, and call back when the invocation has ended in whatever way."""
        request_id = str(UUID(int=self._random.getrandbits(128), version=4))
        invocation = Invocation(request_id, event, self._time.monotonic())
        self.invocations += 1
        if self._injector.occurs(Fault.INVOCATION_THROTTLED, ids_in_event(event)):
            invocation.ending = Ending.THROTTLED
            self._time.after(0.01, partial(on_end, invocation))
            return
        self.running[request_id] = invocation
        handler = self._idle.pop() if self._idle else self._new_instance()
        task = self._time.start(partial(handler, event, Context(self._time, request_id)))
        invocation.task = task
        task.when_done(partial(self._ended, invocation, task, handler, on_end))
        self._time.after(FUNCTION_TIMEOUT, partial(self._kill, invocation, task, Ending.TIMED_OUT))
        if self.poison(event):
            self._injector.counts[Fault.POISONED] += 1
            # During SendMessage at the latest: the message may be in the chat, and there is no outcome
            moment = self._random.uniform(0, _POISON_KILLS_WITHIN)
            kill = partial(self._kill, invocation, task, Ending.CRASHED, Fault.POISONED)
            self._time.after(moment, kill)
        elif self._injector.occurs(Fault.CRASH):
            self._kill_soon(invocation, task, Ending.CRASHED, Fault.CRASH)
        elif self._injector.occurs(Fault.CUT_OFF):
            self._kill_soon(invocation, task, Ending.CUT_OFF, Fault.CUT_OFF)

    def holders(self, text: str) -> list[str]:
        """Return the id of the message with a text for which the running code makes a call.

        It is the first one of the invocation: those of a chat are sent in order.
        """
        running = self._time.running and self._time.running.root
        return [
            each
            for invocation in self.running.values()
            if invocation.task is running
            for each in islice(ids_in_event(invocation.event, holding=text), 1)
        ]

    def _kill_soon(self, invocation: Invocation, task: Task, ending: Ending, fault: Fault) -> None:
        """End an invocation while it is probably still running."""
        moment = self._random.expovariate(_KILLS_A_SECOND)
        self._time.after(moment, partial(self._kill, invocation, task, ending, fault))

    def _kill(self, invocation: Invocation, task: Task, ending: Ending, fault: Fault | None = None) -> None:
        if invocation.ending is Ending.RUNNING and not task.done:
            invocation.ending = ending
            if fault is not None:
                self._injector.hit(fault, ids_in_event(invocation.event))
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
        del self.running[invocation.request_id]
        delay = 0.0
        if invocation.ending is Ending.CUT_OFF:  # Lambda reports it at the function's timeout
            delay = invocation.started_at + FUNCTION_TIMEOUT - self._time.monotonic()
        elif invocation.ending is Ending.RUNNING:
            self._idle.append(handler)
            if task.error is None:
                invocation.ending = Ending.RETURNED
                invocation.answer = json.loads(json.dumps(task.result))
            else:
                invocation.ending = Ending.RAISED
                invocation.error_type = type(task.error).__name__
                self._log("".join(traceback.format_exception(task.error)))
        self._time.after(delay, partial(on_end, invocation))


class EventSourceMapping:
    """Passes batches of a queue to a function, and deletes the records that it does not report.

    Attributes:
        disturbed: Ids of messages that a fault has hit between the function and the queue. The promise of
            one outcome does not hold for them. An error or a timeout of the function itself does not count.
        receives: Of all records.
        redeliveries: Receives after the first of each message.
    """

    def __init__(
        self,
        *,
        time: VirtualTime,
        queue: Queue,
        function: Function,
        injector: FaultInjector,
        maximum_concurrency: int,
    ) -> None:
        self._time = time
        self._queue = queue
        self._function = function
        self._injector = injector
        self._free = self._maximum_concurrency = maximum_concurrency
        self.disturbed: set[str] = set()
        self.receives = 0
        self.redeliveries = 0
        self.batches = 0
        self._busy_seconds = 0.0
        self._counted_until = 0.0
        queue.watch(self.poll)

    def busy_seconds(self) -> float:
        """Return the seconds that invocations have taken until now, those in progress included."""
        now = self._time.monotonic()
        self._busy_seconds += (self._maximum_concurrency - self._free) * (now - self._counted_until)
        self._counted_until = now
        return self._busy_seconds

    def poll(self) -> None:
        """Invoke the function while there are messages and the maximum concurrency allows it."""
        while self._free:
            batch = self._queue.receive(LARGEST_BATCH)
            if not batch:
                return
            self.busy_seconds()
            self._free -= 1
            self.batches += 1
            self.receives += len(batch)
            self.redeliveries += sum(message.receive_count > 1 for message in batch)
            receipts = {message.message_id: message.receipt for message in batch}
            if self._injector.occurs(Fault.DELIVERED_TWICE, receipts):
                self._return_early(batch)
            event = {"Records": [_record(message, self._queue.arn) for message in batch]}
            self._function.invoke(event, partial(self._ended, receipts))

    def _return_early(self, batch: list[Message]) -> None:
        """Make the batch visible while the function handles it, as a distributed queue may."""
        self.disturbed.update(message.message_id for message in batch)
        seconds = self._injector.random.uniform(0.01, 0.9)
        for message in batch:
            self._queue.release(message, seconds=seconds)

    def _ended(self, receipts: dict[str, str], invocation: Invocation) -> None:
        self.busy_seconds()
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
            if self._injector.occurs(Fault.LOST_ACKNOWLEDGEMENT, [message_id]):
                self.disturbed.add(message_id)
                continue
            try:
                self._queue.delete(receipt)
            except SqsError:
                self.disturbed.add(message_id)


def _failed_ids(invocation: Invocation, receipts: dict[str, str]) -> set[str] | None:
    """Read a partial batch response. None if the whole batch failed, as when it names an unknown record."""
    if invocation.ending is not Ending.RETURNED:
        return None
    failures = invocation.answer.get("batchItemFailures") or []
    ids = {failure.get("itemIdentifier") for failure in failures}
    return ids if ids <= receipts.keys() else None


def _record(message: Message, queue_arn: str) -> dict[str, Any]:
    of_fifo = {
        "SequenceNumber": f"{message.sequence:020d}",
        "MessageGroupId": str(message.group),
        "MessageDeduplicationId": str(message.deduplication_id),
    }
    return {
        "messageId": message.message_id,
        "receiptHandle": message.receipt,
        "body": message.body,
        "attributes": {
            "ApproximateReceiveCount": str(message.receive_count),
            "SentTimestamp": str(int(message.enqueued_at * 1000)),
            **({} if message.group is None else of_fifo),
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
        dead_letters: Gets events that the rule cannot deliver and events on which the function fails, in two
            formats.

    Attributes:
        disturbed: Ids of events that the function saw more than once.
    """

    def __init__(
        self, *, time: VirtualTime, function: Function, dead_letters: Queue, injector: FaultInjector
    ) -> None:
        self._time = time
        self._function = function
        self._dead_letters = dead_letters
        self._injector = injector
        self.disturbed: set[str] = set()

    def deliver(self, event: dict[str, Any], *, attempts: int = 1) -> None:
        """Deliver an event to Lambda, which accepts it at once."""
        if self._injector.occurs(Fault.INVOCATION_THROTTLED, [event["id"]]):
            if attempts > _MOST_RULE_RETRIES:
                self._dead_letters.send(json.dumps(event), attributes={"ERROR_CODE": "THROTTLING"})
                return
            again = partial(self.deliver, event, attempts=attempts + 1)
            self._time.after(_RULE_RETRY_SECONDS, again)
            return
        self._invoke(event, 1)
        if self._injector.occurs(Fault.EVENT_TWICE, [event["id"]]):
            self.disturbed.add(event["id"])
            self._time.after(self._injector.random.uniform(0, 5), partial(self._invoke, event, 1))

    def _invoke(self, event: dict[str, Any], count: int) -> None:
        self._function.invoke(event, partial(self._ended, event, count))

    def _ended(self, event: dict[str, Any], count: int, invocation: Invocation) -> None:
        if invocation.ending is Ending.RETURNED:
            return
        if invocation.ending is Ending.THROTTLED:  # does not use up a retry
            self._time.after(1.0, partial(self._invoke, event, count))
            return
        self.disturbed.add(event["id"])
        if count <= len(_ASYNCHRONOUS_RETRY_SECONDS):
            wait = _ASYNCHRONOUS_RETRY_SECONDS[count - 1]
            self._time.after(wait, partial(self._invoke, event, count + 1))
            return
        self._dead_letters.send(json.dumps(_failure_record(event, invocation, count)))


def _failure_record(event: dict[str, Any], invocation: Invocation, count: int) -> dict[str, Any]:
    """Return the record that Lambda sends to the destination for failures."""
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
