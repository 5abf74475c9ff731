"""Sends some of every kind of message, and records what the local stack measures meanwhile."""

from __future__ import annotations

import itertools
import json
import math
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from infra.producer import EventSource, NotAcceptedError, NotSentError
from sandbox.dashboard.recording import Metric, Recording, metric
from sandbox.participant_service.faults import Latency, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from types_boto3_sqs.literals import QueueAttributeNameType

    from sandbox.local_stack import LocalStack

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


class Phase(NamedTuple):
    name: str
    share: float  # of the run's time
    rate: float  # messages a second
    is_down: bool = False  # whether the participant service answers 503


PHASES = (
    Phase("ordinary load", 0.22, 4),
    Phase("a burst above the quota", 0.2, 16),
    Phase("ordinary load", 0.2, 4),
    Phase("Amazon Connect is down", 0.13, 3, is_down=True),
    Phase("ordinary load again", 0.25, 4),
)


class _Kind(NamedTuple):
    """A kind of message. `chat` is None for an ordinary one, and `fields` are added to its request."""

    source: EventSource
    chat: str | None = None
    fields: Mapping[str, str] = {}


# By the number of a message modulo 40. All others are ordinary, by the sources in turn.
_KINDS = {
    **dict.fromkeys((2, 22), _Kind(EventSource.WORKFLOW)),
    **dict.fromkeys((5, 25), _Kind(EventSource.API_SYNC)),
    **dict.fromkeys((8, 28), _Kind(EventSource.QUEUE, "ended")),
    14: _Kind(EventSource.QUEUE, fields={"Colour": "not a field of the request"}),
    20: _Kind(EventSource.QUEUE, "plain", {"ContentType": "text/markdown"}),
    26: _Kind(EventSource.EVENT, fields={"ExpiresAt": "2020-01-01T00:00:00Z"}),
    32: _Kind(EventSource.WORKFLOW, "ended"),
}
_SOURCES = (
    *(EventSource.QUEUE, EventSource.API, EventSource.QUEUE),
    *(EventSource.EVENT, EventSource.QUEUE, EventSource.DIRECT),
)


def run(stack: LocalStack, *, seconds: float, report: Callable[[str], None] = lambda _: None) -> Recording:
    """Send messages for some seconds, wait until the queue is empty, and return the recording."""
    recording = Recording(own_namespace=stack.outputs.stack_name)
    participant = stack.participant
    participant.call("set_throttle", requests_per_second=_QUOTA, burst=_BURST)
    traffic = _Traffic(stack, recording)
    with _every_second(traffic.sample_queues):
        for phase in PHASES:
            report(phase.name)
            participant.clear_faults()
            if phase.is_down:
                participant.add_fault(Status(status=503), times=None)
            else:
                participant.add_fault(Latency(latency=_LONG_LATENCY), times=None, probability=_LONG_SHARE)
                participant.add_fault(Latency(latency=_LATENCY), times=None)
            traffic.send(seconds=phase.share * seconds, rate=phase.rate)
        stack.queue_depths(timeout=_LAST_MESSAGE_SECONDS)
    _read_log(stack, recording)
    _read_executions(stack, recording)
    return recording


class _Traffic:
    """Producers by every event source. Most messages come by the queue, some are invalid."""

    def __init__(self, stack: LocalStack, recording: Recording) -> None:
        self._stack = stack
        self._recording = recording
        self._numbers = itertools.count(1)
        self._queued_at: dict[str, float] = {}
        self._chats = [stack.participant.open_chat() for _ in range(_CHATS)]
        self._other_chats = {
            "ended": stack.participant.open_chat(ended=True),
            "plain": stack.participant.open_chat(content_types=["text/plain"]),
        }

    def send(self, *, seconds: float, rate: float) -> None:
        started = time.monotonic()
        for place in range(math.ceil(seconds * rate)):
            time.sleep(max(0.0, started + place / rate - time.monotonic()))
            self._send(next(self._numbers))

    def _send(self, number: int) -> None:
        kind = _KINDS.get(number % 40, _Kind(_SOURCES[number % len(_SOURCES)]))
        chat = self._other_chats[kind.chat] if kind.chat else self._chats[number % _CHATS]
        request = {
            "ConnectionToken": chat.connection_token,
            "ContactId": chat.contact_id,
            "ContentType": "text/plain",
            "Content": f"Message {number}",
            "ClientToken": f"message-{number}",
            **kind.fields,
        }
        at, status = time.time(), None
        try:
            answer = self._stack.producer.send_text(
                json.dumps(request), through=kind.source, message_group=chat.contact_id
            )
        except (NotAcceptedError, NotSentError) as error:
            status = error.status
        else:
            if kind.source in {EventSource.QUEUE, EventSource.API}:
                self._queued_at[answer.source_id] = at
        if kind.source in {EventSource.API, EventSource.API_SYNC}:
            self._count_call_of_api(status or 0)

    def _count_call_of_api(self, error_status: int) -> None:
        for name, count in (
            ("Count", 1),
            ("4XXError", error_status in range(400, 500)),
            ("5XXError", error_status in range(500, 600)),
        ):
            of_the_api = metric("AWS/ApiGateway", name, ApiName=self._stack.outputs.stack_name, Stage="v1")
            self._recording.add(of_the_api, time.time(), count)

    def sample_queues(self) -> None:
        """Measure the queues, as SQS does every minute."""
        outputs, results, now = self._stack.outputs, self._stack.results, time.time()
        # Until no result is left, or messages would look older than they were
        while len(results.receive()) == _MOST_RECEIVED:
            pass
        for url in (
            outputs.message_queue_url,
            outputs.dead_letter_queue_url,
            outputs.rejected_queue_url,
            outputs.unpublished_results_queue_url,
            outputs.events_dead_letter_queue_url,
        ):
            answer = self._stack.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[*_DEPTHS])
            for attribute, name in _DEPTHS.items():
                self._recording.add(_of_queue(url, name), now, float(answer["Attributes"][attribute]))
        ended = {result.source_id for result in results.received}
        waiting = [at for message_id, at in self._queued_at.copy().items() if message_id not in ended]
        age = _of_queue(outputs.message_queue_url, "ApproximateAgeOfOldestMessage")
        self._recording.add(age, now, now - min(waiting, default=now))


def _of_queue(url: str, name: str) -> Metric:
    return metric("AWS/SQS", name, QueueName=url.rpartition("/")[2])


@contextmanager
def _every_second(measure: Callable[[], None]) -> Iterator[None]:
    over = threading.Event()

    def measure_until_over() -> None:
        while not over.wait(_SAMPLE_SECONDS):
            measure()

    sampler = threading.Thread(target=measure_until_over)
    sampler.start()
    try:
        yield
    finally:
        over.set()
        sampler.join()


def _read_log(stack: LocalStack, recording: Recording) -> None:
    name = stack.outputs.function_name
    group = stack.lambda_.get_function_configuration(FunctionName=name)["LoggingConfig"]["LogGroup"]
    pages = stack.emulator.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    for event in pages.search("events[]"):
        recording.add_log_line(event["message"])
        if event["message"].startswith("START "):
            invocations = metric("AWS/Lambda", "Invocations", FunctionName=name)
            recording.add(invocations, event["timestamp"] / 1000)


def _read_executions(stack: LocalStack, recording: Recording) -> None:
    arn = stack.outputs.state_machine_arn
    by_status = {
        "SUCCEEDED": metric("AWS/States", "ExecutionsSucceeded", StateMachineArn=arn),
        "FAILED": metric("AWS/States", "ExecutionsFailed", StateMachineArn=arn),
        # On AWS a filter of the state machine's log makes this metric
        "TIMED_OUT": metric(recording.own_namespace, "WorkflowTimeouts"),
    }
    recording.seen |= {*by_status.values()}
    pages = stack.step_functions.get_paginator("list_executions").paginate(stateMachineArn=arn)
    for execution in pages.search("executions[]"):
        if execution["status"] in by_status:
            recording.add(by_status[execution["status"]], execution["stopDate"].timestamp())
