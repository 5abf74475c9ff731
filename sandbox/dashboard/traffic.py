"""Sends some of every kind of message, and records what the local stack measures meanwhile."""

from __future__ import annotations

import itertools
import json
import math
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from infra.producer import EventSource, NotAcceptedError, NotSentError
from sandbox.dashboard.recording import Recording, metric
from sandbox.participant_service.faults import Latency, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from types_boto3_sqs.literals import QueueAttributeNameType

    from sandbox.local_stack import LocalStack
    from sandbox.participant_service.control import OpenChat

# The quota of Amazon Connect, unless it was raised
_QUOTA, _BURST = 10, 15

# Of a service that is not on the same machine
_LATENCY, _LONG_LATENCY, _LONG_SHARE = 0.06, 0.25, 0.08

_CHATS = 12
_SAMPLE_SECONDS = 1.0
_MOST_RECEIVED = 10  # by one call of SQS
_LAST_MESSAGE_SECONDS = 90.0

_DEPTHS: dict[QueueAttributeNameType, str] = {
    "ApproximateNumberOfMessages": "ApproximateNumberOfMessagesVisible",
    "ApproximateNumberOfMessagesNotVisible": "ApproximateNumberOfMessagesNotVisible",
}


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the run.

    Args:
        share: Of the run's time.
        rate: Messages a second.
        is_down: Whether the participant service answers 503.
    """

    name: str
    share: float
    rate: float
    is_down: bool = False


PHASES = (
    Phase("ordinary load", 0.22, 4),
    Phase("a burst above the quota", 0.2, 16),
    Phase("ordinary load", 0.2, 4),
    Phase("Amazon Connect is down", 0.13, 3, is_down=True),
    Phase("ordinary load again", 0.25, 4),
)


def run(stack: LocalStack, *, seconds: float, report: Callable[[str], None] = lambda _: None) -> Recording:
    """Send messages for some seconds, wait until the queue is empty, and return the recording."""
    recording = Recording(own_namespace=stack.outputs.stack_name)
    stack.participant.call("set_throttle", requests_per_second=_QUOTA, burst=_BURST)
    traffic = _Traffic(stack, recording)
    with _sampled(stack, recording, traffic):
        for phase in PHASES:
            report(phase.name)
            stack.participant.clear_faults()
            if phase.is_down:
                stack.participant.add_fault(Status(status=503), times=None)
            else:
                long = Latency(latency=_LONG_LATENCY)
                stack.participant.add_fault(long, times=None, probability=_LONG_SHARE)
                stack.participant.add_fault(Latency(latency=_LATENCY), times=None)
            traffic.send(seconds=phase.share * seconds, rate=phase.rate)
        deadline = time.monotonic() + _LAST_MESSAGE_SECONDS
        while stack.queue_depths().messages and time.monotonic() < deadline:
            time.sleep(_SAMPLE_SECONDS)
    stack.participant.clear_faults()
    stack.participant.call("throttle_off")
    _read_log(stack, recording)
    _read_executions(stack, recording)
    return recording


_COMMON = (
    *(EventSource.QUEUE, EventSource.API, EventSource.QUEUE),
    *(EventSource.EVENT, EventSource.QUEUE, EventSource.DIRECT),
)


@dataclass(slots=True)
class _Traffic:
    """Producers by every event source. Most messages come by the queue, some are invalid."""

    stack: LocalStack
    recording: Recording
    queued_at: dict[str, float] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _chats: list[OpenChat] = field(init=False)
    _ended: OpenChat = field(init=False)
    _plain: OpenChat = field(init=False)

    def __post_init__(self) -> None:
        self._chats = [self.stack.participant.open_chat() for _ in range(_CHATS)]
        self._ended = self.stack.participant.open_chat(ended=True)
        self._plain = self.stack.participant.open_chat(content_types=["text/plain"])

    def send(self, *, seconds: float, rate: float) -> None:
        started = time.monotonic()
        for place in range(math.ceil(seconds * rate)):
            time.sleep(max(0.0, started + place / rate - time.monotonic()))
            self._send_next(next(self._numbers))

    def _send_next(self, number: int) -> None:
        chat = self._chats[number % _CHATS]
        match number % 40:
            case 8 | 28:
                self._send(number, EventSource.QUEUE, self._ended)
            case 14:
                self._send(number, EventSource.QUEUE, chat, Colour="not a field of the request")
            case 20:
                self._send(number, EventSource.QUEUE, self._plain, ContentType="text/markdown")
            case 26:
                self._send(number, EventSource.EVENT, chat, ExpiresAt="2020-01-01T00:00:00Z")
            case 32:
                self._send(number, EventSource.WORKFLOW, self._ended)
            case 2 | 22:
                self._send(number, EventSource.WORKFLOW, chat)
            case 5 | 25:
                self._send(number, EventSource.API_SYNC, chat)
            case _:
                self._send(number, _COMMON[number % len(_COMMON)], chat)

    def _send(self, number: int, source: EventSource, chat: OpenChat, **fields: str) -> None:
        request = {
            "ConnectionToken": chat.connection_token,
            "ContactId": chat.contact_id,
            "ContentType": "text/plain",
            "Content": f"Message {number}",
            "ClientToken": f"message-{number}",
            **fields,
        }
        at, status = time.time(), None
        try:
            answer = self.stack.producer.send_text(
                json.dumps(request), through=source, message_group=chat.contact_id
            )
        except (NotAcceptedError, NotSentError) as error:
            status = error.status
        else:
            if source in {EventSource.QUEUE, EventSource.API}:
                self.queued_at[answer.source_id] = at
        if source in {EventSource.API, EventSource.API_SYNC}:
            self._count_call_of_api(status)

    def _count_call_of_api(self, error_status: int | None) -> None:
        name = self.stack.outputs.stack_name
        count, client_errors, server_errors = (
            metric("AWS/ApiGateway", each, ApiName=name, Stage="v1")
            for each in ("Count", "4XXError", "5XXError")
        )
        self.recording.seen |= {client_errors, server_errors}
        self.recording.add(count, time.time())
        if error_status is not None:
            is_client_error = error_status < HTTPStatus.INTERNAL_SERVER_ERROR
            self.recording.add(client_errors if is_client_error else server_errors, time.time())


@contextmanager
def _sampled(stack: LocalStack, recording: Recording, traffic: _Traffic) -> Iterator[None]:
    """Measure the queues every second, as SQS does every minute."""
    over = threading.Event()

    def sample_until_over() -> None:
        while not over.wait(_SAMPLE_SECONDS):
            # Until no result is left, or messages would look older than they were
            while len(stack.results.receive()) == _MOST_RECEIVED:
                pass
            _sample_queues(stack, recording, traffic)

    sampler = threading.Thread(target=sample_until_over)
    sampler.start()
    try:
        yield
    finally:
        over.set()
        sampler.join()


def _sample_queues(stack: LocalStack, recording: Recording, traffic: _Traffic) -> None:
    outputs, now = stack.outputs, time.time()
    for url in (
        outputs.message_queue_url,
        outputs.dead_letter_queue_url,
        outputs.rejected_queue_url,
        outputs.unpublished_results_queue_url,
        outputs.events_dead_letter_queue_url,
    ):
        answer = stack.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[*_DEPTHS])
        for attribute, name in _DEPTHS.items():
            of_the_queue = metric("AWS/SQS", name, QueueName=url.rpartition("/")[2])
            recording.add(of_the_queue, now, float(answer["Attributes"][attribute]))
    ended = {result.source_id for result in stack.results.received}
    waiting = [at for message_id, at in traffic.queued_at.copy().items() if message_id not in ended]
    age = metric(
        "AWS/SQS",
        "ApproximateAgeOfOldestMessage",
        QueueName=outputs.message_queue_url.rpartition("/")[2],
    )
    recording.add(age, now, now - min(waiting, default=now))


def _read_log(stack: LocalStack, recording: Recording) -> None:
    function = stack.lambda_.get_function(FunctionName=stack.outputs.function_name)["Configuration"]
    invocations = metric("AWS/Lambda", "Invocations", FunctionName=stack.outputs.function_name)
    logs = stack.emulator.client("logs")
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=function["LoggingConfig"]["LogGroup"]
    )
    for event in itertools.chain.from_iterable(page["events"] for page in pages):
        recording.add_log_line(event["message"])
        if event["message"].startswith("START "):
            recording.add(invocations, event["timestamp"] / 1000)


def _read_executions(stack: LocalStack, recording: Recording) -> None:
    arn = stack.outputs.state_machine_arn
    names = {"SUCCEEDED": "ExecutionsSucceeded", "FAILED": "ExecutionsFailed"}
    of_the_machine = {
        status: metric("AWS/States", name, StateMachineArn=arn) for status, name in names.items()
    }
    # On AWS a filter of the state machine's log makes this metric
    timed_out = metric(recording.own_namespace, "WorkflowTimeouts")
    recording.seen |= {timed_out, *of_the_machine.values()}
    pages = stack.step_functions.get_paginator("list_executions").paginate(stateMachineArn=arn)
    for execution in itertools.chain.from_iterable(page["executions"] for page in pages):
        if execution["status"] in of_the_machine:
            recording.add(of_the_machine[execution["status"]], execution["stopDate"].timestamp())
        described = stack.step_functions.describe_execution(executionArn=execution["executionArn"])
        if described.get("error") == "States.Timeout" or execution["status"] == "TIMED_OUT":
            recording.add(timed_out, execution["stopDate"].timestamp())
