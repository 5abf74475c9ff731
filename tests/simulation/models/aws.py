"""What the function's calls reach: queues, a bus, tasks that wait, and the Participant Service.

Each is a `network.Service`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from sandbox.participant_service.api import OPERATION_PATHS, Answer, Ending
from tests.simulation.fault_profiles import Strike
from tests.simulation.models.sqs import SqsError, arn_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.participant_service.api import ParticipantApi
    from tests.simulation.fault_profiles import Weather
    from tests.simulation.models.clock import VirtualTime
    from tests.simulation.models.network import Request
    from tests.simulation.models.sqs import Message, Queue

_OPERATIONS: Final = {path: name for name, path in OPERATION_PATHS.items()}
NO_ANSWER_SECONDS: Final = 30.0


class ParticipantHost:
    """The local Participant Service, at its host name."""

    def __init__(self, api: ParticipantApi, weather: Weather) -> None:
        self._api = api
        self._weather = weather

    def __call__(self, request: Request) -> Answer:
        counts = self._weather.counts
        told_to = counts[Strike.THROTTLED] + counts[Strike.CHAT_DOWN]
        answer = self._api.call(
            _OPERATIONS[request.path], bearer=request.headers.get("x-amz-bearer"), body=request.body
        )
        if answer.status == 429 and counts[Strike.THROTTLED] + counts[Strike.CHAT_DOWN] == told_to:
            counts[Strike.QUOTA] += 1
        return answer


@dataclass
class Bus:
    """The event bus: what was published on it.

    Attributes:
        results: When a result event was accepted, and its detail.
    """

    time: VirtualTime
    weather: Weather
    results: list[tuple[float, dict[str, Any]]] = field(default_factory=list)

    def __call__(self, request: Request) -> Answer:
        """Answer PutEvents."""
        operation, parameters = _call(request)
        if operation != "PutEvents":
            return _unknown()
        if self.weather.strikes(Strike.BUS_FAILS):
            return _failure(self.weather)
        answers: list[dict[str, str]] = []
        in_part = self.weather.strikes(Strike.BUS_FAILS_IN_PART)
        for entry in parameters["Entries"]:
            if in_part and self.weather.random.random() < 0.5:
                answers.append({"ErrorCode": "InternalFailure", "ErrorMessage": "told to refuse"})
                continue
            self.results.append((self.time.monotonic(), json.loads(entry["Detail"])))
            answers.append({"EventId": f"e-{len(self.results)}"})
        failed = sum("ErrorCode" in answer for answer in answers)
        answer = _answer({"FailedEntryCount": failed, "Entries": answers})
        if self.weather.strikes(Strike.BUS_TIMES_OUT):
            return replace(answer, latency=NO_ANSWER_SECONDS)
        return answer


@dataclass
class Sqs:
    """The SQS API in front of queues, as far as the function and operators call it.

    Args:
        queues: By the last part of their URL.
    """

    queues: Mapping[str, Queue]
    weather: Weather

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
        if self.weather.strikes(Strike.QUEUE_FAILS):
            return _failure(self.weather)
        answer = _answer({"MessageId": _send(queue, parameters)})
        if self.weather.strikes(Strike.QUEUE_TIMES_OUT):
            return replace(answer, latency=NO_ANSWER_SECONDS)
        return answer

    def _send_message_batch(self, queue: Queue, parameters: dict[str, Any]) -> Answer:
        if self.weather.strikes(Strike.QUEUE_FAILS):
            return _failure(self.weather)

        def send(entry: dict[str, Any]) -> None:
            if self.weather.strikes(Strike.QUEUE_FAILS):
                raise SqsError("InternalError")
            _send(queue, entry)

        return _each(parameters["Entries"], send)

    def _change_visibility_batch(self, queue: Queue, parameters: dict[str, Any]) -> Answer:
        if self.weather.strikes(Strike.VISIBILITY_FAILS):
            return _failure(self.weather)
        in_part = self.weather.strikes(Strike.VISIBILITY_FAILS_IN_PART)

        def change(entry: dict[str, Any]) -> None:
            if in_part and self.weather.random.random() < 0.5:
                raise SqsError("InternalError")
            queue.change_visibility(entry["ReceiptHandle"], entry["VisibilityTimeout"])

        return _each(parameters["Entries"], change)

    def _receive_message(self, queue: Queue, parameters: dict[str, Any]) -> Answer:
        if self.weather.strikes(Strike.LETTERS_FAIL):
            return _failure(self.weather)
        messages = queue.receive(
            parameters["MaxNumberOfMessages"], visibility_timeout=parameters["VisibilityTimeout"]
        )
        return self._done({"Messages": [_received(message) for message in messages]} if messages else {})

    def _delete_message(self, queue: Queue, parameters: dict[str, Any]) -> Answer:
        if self.weather.strikes(Strike.LETTERS_FAIL):
            return _failure(self.weather)
        queue.delete(parameters["ReceiptHandle"])
        return self._done({})

    def _done(self, document: dict[str, Any]) -> Answer:
        answer = _answer(document)
        if self.weather.strikes(Strike.LETTERS_TIME_OUT):
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


@dataclass(slots=True, kw_only=True)
class WaitingTask:
    """A task of a state machine that waits for an answer.

    Attributes:
        on_timeout: What its state machine does then.
        answer: The one that it took, as it was called: operation and parameters.
        answered_at: When that was.
        ended: Why it takes no answer any more, as Step Functions names it, None while it waits.
        timed_out_at: When it did, None if it did not.
        calls_lost: Calls that answered it, and that the weather let fail before they did.
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
    """Step Functions, as far as tasks wait for a callback.

    Source: Step Functions API reference, "SendTaskSuccess" and "SendTaskFailure".

    Args:
        token_prefix: What every task token begins with.

    Attributes:
        tasks: All that there were, by token.
    """

    time: VirtualTime
    weather: Weather
    token_prefix: str
    tasks: dict[str, WaitingTask] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def start_task(self, *, timeout: float, on_timeout: Callable[[], object]) -> WaitingTask:
        """Begin to wait, for some seconds."""
        task = WaitingTask(token=f"{self.token_prefix}{next(self._numbers)}", on_timeout=on_timeout)
        self.tasks[task.token] = task
        self.time.after(timeout, partial(self._time_out, task))
        return task

    def stop(self, task: WaitingTask) -> None:
        """Wait no longer: the task has failed otherwise, or its execution was stopped."""
        task.ended = task.ended or "TaskDoesNotExist"

    def _time_out(self, task: WaitingTask) -> None:
        if task.ended is None:
            task.ended = "TaskTimedOut"
            task.timed_out_at = self.time.monotonic()
            self.weather.counts[Strike.TASK_TIMED_OUT] += 1
            task.on_timeout()

    def __call__(self, request: Request) -> Answer:
        """Answer SendTaskSuccess or SendTaskFailure."""
        operation, parameters = _call(request)
        if operation not in {"SendTaskSuccess", "SendTaskFailure"}:
            return _unknown()
        task = self.tasks.get(parameters["taskToken"])
        if self.weather.strikes(Strike.TASK_ANSWER_FAILS):
            if task is not None:
                task.calls_lost += 1
            return _failure(self.weather)
        if task is None:
            return _answer({"__type": "com.amazonaws#InvalidToken"}, status=400)
        if task.ended is not None:
            return _answer({"__type": f"com.amazonaws#{task.ended}"}, status=400)
        task.ended = "TaskDoesNotExist"
        task.answer = operation, {key: value for key, value in parameters.items() if key != "taskToken"}
        task.answered_at = self.time.monotonic()
        answer = _answer({})
        if self.weather.strikes(Strike.TASK_ANSWER_TIMES_OUT):
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
    """Answer a batch: each entry succeeds or fails by itself."""
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


def _failure(weather: Weather) -> Answer:
    """Answer a call of which nothing was accepted, in one of the ways in which services fail."""
    answer = _answer({"__type": "com.amazonaws#InternalFailure"}, status=500)
    match weather.random.randrange(4):
        case 0:
            return replace(answer, ending=Ending.RESET)
        case 1:
            return replace(answer, latency=NO_ANSWER_SECONDS)
        case 2:
            return _answer({"__type": "com.amazonaws#ThrottlingException"}, status=400)
        case _:
            return answer


def _answer(document: dict[str, Any], *, status: int = 200) -> Answer:
    return Answer(
        status=status,
        headers={"content-type": "application/x-amz-json-1.0"},
        body=json.dumps(document).encode(),
    )
