"""The services that the function calls: queues, a bus, a key, waiting tasks, and the Participant Service.

Each one is a `network.Service`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from message_sender.errors import AwsCallError
from sandbox.participant_service.api import Answer
from sandbox.participant_service.faults import Ending
from tests.simulation.fault_profiles import Fault, ids_in_call
from tests.simulation.models.sqs import SqsError, arn_of
from tests.support.outcome_items import OutcomeItems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sandbox.participant_service.api import ParticipantApi
    from tests.simulation.fault_profiles import FaultInjector
    from tests.simulation.models.clock import VirtualTime
    from tests.simulation.models.network import Request
    from tests.simulation.models.sqs import Message, Queue
    from tests.support.kms import Kms

NO_ANSWER_SECONDS: Final = 30.0


class ParticipantHost:
    """The local Participant Service at its host name."""

    def __init__(self, api: ParticipantApi, injector: FaultInjector) -> None:
        self._api = api
        self._injector = injector

    def __call__(self, request: Request) -> Answer:
        counts = self._injector.counts
        by_fault = counts[Fault.THROTTLED] + counts[Fault.CHAT_DOWN]
        bearer = request.headers.get("x-amz-bearer")
        answer = self._api.answer(request.method, request.path, bearer=bearer, body=request.body)
        is_fault = counts[Fault.THROTTLED] + counts[Fault.CHAT_DOWN] > by_fault
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS and not is_fault:
            self._injector.count(Fault.QUOTA, ids_in_call(request.body))
        if answer.status == HTTPStatus.FORBIDDEN and bearer in self._injector.ended_chats:
            self._injector.hit(self._injector.ended_chats[bearer], ids_in_call(request.body))
        return answer


@dataclass
class Bus:
    """The event bus.

    Attributes:
        results: For each result event the moment of its acceptance, and its detail.
        envelopes: For each result event its source, its detail type and its detail.
        on_result: A rule that gets each result event. None: there is no rule.
    """

    time: VirtualTime
    injector: FaultInjector
    results: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    envelopes: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    on_result: Callable[[dict[str, Any]], object] | None = None

    def __call__(self, request: Request) -> Answer:
        """Answer PutEvents."""
        operation, parameters = _call(request)
        if operation != "PutEvents":
            return _unknown()
        if self.injector.occurs(Fault.BUS_FAILS, ids_in_call(parameters)):
            return _failure(self.injector)
        answers: list[dict[str, str]] = []
        in_part = self.injector.occurs(Fault.BUS_FAILS_IN_PART)
        for entry in parameters["Entries"]:
            if in_part and self.injector.random.random() < 0.5:
                self.injector.hit(Fault.BUS_FAILS_IN_PART, ids_in_call(entry))
                answers.append({"ErrorCode": "InternalFailure", "ErrorMessage": "a fault of the profile"})
                continue
            self.results.append((self.time.monotonic(), json.loads(entry["Detail"])))
            self.envelopes.append((entry["Source"], entry["DetailType"], self.results[-1][1]))
            event_id = f"e-{len(self.results)}"
            answers.append({"EventId": event_id})
            if self.on_result is not None:
                event = {"id": event_id, "source": entry["Source"], "detail-type": entry["DetailType"]}
                self.on_result(event | {"detail": self.results[-1][1]})
        failed = sum("ErrorCode" in answer for answer in answers)
        answer = _answer({"FailedEntryCount": failed, "Entries": answers})
        if self.injector.occurs(Fault.BUS_TIMES_OUT, ids_in_call(parameters)):
            return replace(answer, latency=NO_ANSWER_SECONDS)
        return answer


@dataclass
class Table(OutcomeItems):
    """DynamoDB, with the table of outcomes."""

    def __call__(self, request: Request) -> Answer:
        status, document = self.call(*_call(request))
        return _answer(document, status=status)


@dataclass
class Sqs:
    """The SQS API in front of queues: the operations that the function and operators call.

    Args:
        queues: By the last part of their URL.
    """

    queues: Mapping[str, Queue]
    injector: FaultInjector

    def __call__(self, request: Request) -> Answer:
        operation, parameters = _call(request)
        operations: dict[str, Callable[[Queue, dict[str, Any]], Answer]] = {
            "SendMessage": self._send_message,
            "SendMessageBatch": self._send_message_batch,
            "ChangeMessageVisibilityBatch": self._change_visibility_batch,
            "ReceiveMessage": self._receive_message,
            "DeleteMessage": self._delete_message,
        }
        if operation not in operations:
            return _unknown()
        queue = self.queues[parameters["QueueUrl"].rpartition("/")[2]]
        try:
            return operations[operation](queue, parameters)
        except SqsError as error:
            return _answer({"__type": f"com.amazonaws.sqs#{error}"}, status=400)

    def _send_message(self, queue: Queue, parameters: dict[str, Any]) -> Answer:
        if self.injector.occurs(Fault.QUEUE_FAILS, ids_in_call(parameters)):
            return _failure(self.injector)
        answer = _answer({"MessageId": _send(queue, parameters)})
        if self.injector.occurs(Fault.QUEUE_TIMES_OUT, ids_in_call(parameters)):
            return replace(answer, latency=NO_ANSWER_SECONDS)
        return answer

    def _send_message_batch(self, queue: Queue, parameters: dict[str, Any]) -> Answer:
        if self.injector.occurs(Fault.QUEUE_FAILS, ids_in_call(parameters)):
            return _failure(self.injector)

        def send(entry: dict[str, Any]) -> None:
            if self.injector.occurs(Fault.QUEUE_FAILS, ids_in_call(entry)):
                raise SqsError("InternalError")
            _send(queue, entry)

        return _each(parameters["Entries"], send)

    def _change_visibility_batch(self, queue: Queue, parameters: dict[str, Any]) -> Answer:
        if self.injector.occurs(Fault.VISIBILITY_FAILS, ids_in_call(parameters)):
            return _failure(self.injector)
        in_part = self.injector.occurs(Fault.VISIBILITY_FAILS_IN_PART)

        def change(entry: dict[str, Any]) -> None:
            if in_part and self.injector.random.random() < 0.5:
                self.injector.hit(Fault.VISIBILITY_FAILS_IN_PART, ids_in_call(entry))
                raise SqsError("InternalError")
            queue.change_visibility(entry["ReceiptHandle"], entry["VisibilityTimeout"])

        return _each(parameters["Entries"], change)

    def _receive_message(self, queue: Queue, parameters: dict[str, Any]) -> Answer:
        if self.injector.occurs(Fault.DEAD_LETTER_CALL_FAILS):  # before a dead letter is received
            return _failure(self.injector)
        messages = queue.receive(
            parameters["MaxNumberOfMessages"], visibility_timeout=parameters["VisibilityTimeout"]
        )
        document = {"Messages": [_received(message) for message in messages]} if messages else {}
        return self._done(document, [message.message_id for message in messages])

    def _delete_message(self, queue: Queue, parameters: dict[str, Any]) -> Answer:
        if self.injector.occurs(Fault.DEAD_LETTER_CALL_FAILS, ids_in_call(parameters)):
            return _failure(self.injector)
        queue.delete(parameters["ReceiptHandle"])
        return self._done({}, ids_in_call(parameters))

    def _done(self, document: dict[str, Any], ids: Iterable[str]) -> Answer:
        answer = _answer(document)
        if self.injector.occurs(Fault.DEAD_LETTER_CALL_TIMES_OUT, ids):
            return replace(answer, latency=NO_ANSWER_SECONDS)
        return answer


def _received(message: Message) -> dict[str, Any]:
    system = {
        "SentTimestamp": str(int(message.enqueued_at * 1000)),
        "ApproximateReceiveCount": str(message.receive_count),
        "MessageGroupId": message.group,
        "MessageDeduplicationId": message.deduplication_id,
        "DeadLetterQueueSourceArn": message.source_queue and arn_of(message.source_queue),
    }
    return {
        "MessageId": message.message_id,
        "ReceiptHandle": message.receipt,
        "Body": message.body,
        "Attributes": {name: value for name, value in system.items() if value is not None},
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value} for name, value in message.attributes.items()
        },
    }


@dataclass
class KeyService:
    """KMS, for the key of sealed connection tokens."""

    kms: Kms
    injector: FaultInjector

    def __call__(self, request: Request) -> Answer:
        """Answer Decrypt."""
        operation, parameters = _call(request)
        if operation != "Decrypt":
            return _unknown()
        if self.injector.occurs(Fault.KEY_FAILS, ids_in_call(parameters)):
            return _failure(self.injector)
        if self.injector.occurs(Fault.KEY_UNUSABLE, ids_in_call(parameters)):
            name = self.injector.random.choice(["AccessDeniedException", "DisabledException"])
            return _answer({"__type": name}, status=400)
        try:
            answer = _answer(self.kms.call(operation, parameters))
        except AwsCallError as error:
            return _answer({"__type": error.name}, status=400)
        if self.injector.occurs(Fault.KEY_SLOW, ids_in_call(parameters)):
            return replace(answer, latency=self.injector.random.uniform(0.5, 6))
        return answer


@dataclass(slots=True, kw_only=True)
class WaitingTask:
    """A task of a state machine that waits for a callback.

    Attributes:
        on_timeout: The reaction of its state machine.
        answer: The callback that it accepted: operation and parameters.
        answered_at: The moment of that callback.
        ended: Why it accepts no callback any more, by the name of Step Functions. None while it waits.
        timed_out_at: None if it did not time out.
        calls_lost: Callbacks that a fault made fail before they reached the task.
    """

    token: str = field(repr=False)
    on_timeout: Callable[[], object]
    answer: tuple[str, dict[str, Any]] | None = None
    answered_at: float = 0.0
    ended: str | None = None
    timed_out_at: float | None = None
    calls_lost: int = 0


@dataclass
class StepFunctions:
    """Step Functions: tasks that wait for a callback.

    Source: Step Functions API reference, "SendTaskSuccess" and "SendTaskFailure".

    Args:
        token_prefix: Of every task token.

    Attributes:
        tasks: All tasks, by token.
    """

    time: VirtualTime
    injector: FaultInjector
    token_prefix: str
    tasks: dict[str, WaitingTask] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def start_task(self, *, timeout: float, on_timeout: Callable[[], object]) -> WaitingTask:
        """Start a task that waits for `timeout` seconds."""
        task = WaitingTask(token=f"{self.token_prefix}{next(self._numbers)}", on_timeout=on_timeout)
        self.tasks[task.token] = task
        self.time.after(timeout, partial(self._time_out, task))
        return task

    def stop(self, task: WaitingTask) -> None:
        """End the task: it has failed for another reason, or its execution was stopped."""
        task.ended = task.ended or "TaskDoesNotExist"

    def _time_out(self, task: WaitingTask) -> None:
        if task.ended is None:
            task.ended = "TaskTimedOut"
            task.timed_out_at = self.time.monotonic()
            self.injector.count(Fault.TASK_TIMED_OUT, [task.token])
            task.on_timeout()

    def __call__(self, request: Request) -> Answer:
        """Answer SendTaskSuccess or SendTaskFailure."""
        operation, parameters = _call(request)
        if operation not in {"SendTaskSuccess", "SendTaskFailure"}:
            return _unknown()
        task = self.tasks.get(parameters["taskToken"])
        if self.injector.occurs(Fault.TASK_ANSWER_FAILS, ids_in_call(parameters)):
            if task is not None:
                task.calls_lost += 1
            return _failure(self.injector)
        if task is None:
            return _answer({"__type": "com.amazonaws#InvalidToken"}, status=400)
        if task.ended is not None:
            return _answer({"__type": f"com.amazonaws#{task.ended}"}, status=400)
        task.ended = "TaskDoesNotExist"
        task.answer = operation, {key: value for key, value in parameters.items() if key != "taskToken"}
        task.answered_at = self.time.monotonic()
        answer = _answer({})
        if self.injector.occurs(Fault.TASK_ANSWER_TIMES_OUT, ids_in_call(parameters)):
            return replace(answer, latency=NO_ANSWER_SECONDS)
        return answer


def _send(queue: Queue, parameters: dict[str, Any]) -> str:
    attributes = parameters.get("MessageAttributes", {})
    return queue.send(
        parameters["MessageBody"],
        group=parameters.get("MessageGroupId"),
        deduplication_id=parameters.get("MessageDeduplicationId"),
        attributes={name: value["StringValue"] for name, value in attributes.items()},
    )


def _each(entries: list[dict[str, Any]], call: Callable[[dict[str, Any]], None]) -> Answer:
    """Answer a batch, in which each entry succeeds or fails on its own."""
    successful: list[dict[str, str]] = []
    failed: list[dict[str, str]] = []
    for entry in entries:
        try:
            call(entry)
        except SqsError as error:
            failed.append({"Id": entry["Id"], "Code": str(error)})
        else:
            successful.append({"Id": entry["Id"]})
    return _answer({"Successful": successful, "Failed": failed})


def _call(request: Request) -> tuple[str, dict[str, Any]]:
    return request.headers["x-amz-target"].rpartition(".")[2], json.loads(request.body)


def _unknown() -> Answer:
    return _answer({"__type": "com.amazonaws#UnknownOperationException"}, status=400)


def _failure(injector: FaultInjector) -> Answer:
    """Return the answer to a call that had no effect, as services fail."""
    answer = _answer({"__type": "com.amazonaws#InternalFailure"}, status=500)
    match injector.random.randrange(4):
        case 0:
            return replace(answer, ending=Ending.RESET)
        case 1:
            return replace(answer, latency=NO_ANSWER_SECONDS)
        case 2:
            return _answer({"__type": "com.amazonaws#ThrottlingException"}, status=400)
        case _:
            return answer


def _answer(document: dict[str, Any], *, status: int = HTTPStatus.OK) -> Answer:
    return Answer(
        status=status,
        headers={"content-type": "application/x-amz-json-1.0"},
        body=json.dumps(document).encode(),
    )
