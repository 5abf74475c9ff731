"""A run that has something of everything, and a record of what was measured."""

from __future__ import annotations

import itertools
import json
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from sandbox.api_client import QUEUE_PATH, SYNCHRONOUS_PATH
from sandbox.dashboard.recording import Recording, metric
from sandbox.participant_service.faults import Latency, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.local_stack import LocalStack, OpenChat

# What Amazon Connect grants unless more is asked for
_QUOTA, _BURST = 10, 15

# Milliseconds are no answer to be expected of a service that is not on the same machine
_LATENCY, _LONG_LATENCY, _LONG_SHARE = 0.06, 0.25, 0.08

_CHATS = 12
_SAMPLE_SECONDS = 1.0
_MOST_RECEIVED = 10  # by one call of SQS
_PATIENCE_SECONDS = 90.0


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
    Phase("calm", 0.22, 4),
    Phase("a burst above the quota", 0.2, 16),
    Phase("calm", 0.2, 4),
    Phase("Amazon Connect is down", 0.13, 3, is_down=True),
    Phase("calm again", 0.25, 4),
)


def run(stack: LocalStack, *, seconds: float, report: Callable[[str], None] = lambda _: None) -> Recording:
    """Send traffic for some seconds, wait until the queue is empty, and return what was measured."""
    recording = Recording(own_namespace=stack.outputs.stack_name)
    stack.participant.set_throttle(_QUOTA, burst=_BURST)
    traffic = _Traffic(stack, recording)
    with _sampled(stack, recording, traffic):
        for phase in PHASES:
            report(phase.name)
            _set_faults(stack, is_down=phase.is_down)
            traffic.send(seconds=phase.share * seconds, rate=phase.rate)
        _wait_until_empty(stack)
    stack.participant.clear_faults()
    stack.participant.throttle_off()
    _read_log(stack, recording)
    _read_executions(stack, recording)
    return recording


def _set_faults(stack: LocalStack, *, is_down: bool) -> None:
    stack.participant.clear_faults()
    if is_down:
        stack.participant.add_fault(Status(status=503), times=None)
        return
    stack.participant.add_fault(Latency(latency=_LONG_LATENCY), times=None, probability=_LONG_SHARE)
    stack.participant.add_fault(Latency(latency=_LATENCY), times=None)


@dataclass(slots=True)
class _Traffic:
    """Producers on every way in. Most messages come by the queue, some are bad."""

    stack: LocalStack
    recording: Recording
    queued_at: dict[str, float] = field(default_factory=dict)
    _number: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _chats: list[OpenChat] = field(init=False)
    _ended: OpenChat = field(init=False)
    _plain: OpenChat = field(init=False)

    def __post_init__(self) -> None:
        self._chats = [self.stack.open_chat() for _ in range(_CHATS)]
        self._ended = self.stack.open_chat(ended=True)
        self._plain = self.stack.open_chat(content_types=["text/plain"])

    def send(self, *, seconds: float, rate: float) -> None:
        started = time.monotonic()
        for place in itertools.count():
            if place / rate >= seconds:
                return
            time.sleep(max(0.0, started + place / rate - time.monotonic()))
            self._send_one(next(self._number))

    def _send_one(self, number: int) -> None:
        chat = self._chats[number % _CHATS]
        ways = (self._queue, self._api, self._queue, self._event, self._queue, self._direct)
        send = ways[number % len(ways)]
        match number % 40:
            case 8 | 28:
                self._queue(self._ended, number)
            case 14:
                self._queue(chat, number, Colour="none of the fields")
            case 20:
                self._queue(self._plain, number, ContentType="text/markdown")
            case 26:
                self._event(chat, number, ExpiresAt="2020-01-01T00:00:00Z")
            case 32:
                self._execute(self._ended, number)
            case 2 | 22:
                self._execute(chat, number)
            case 5 | 25:
                self._api_sync(chat, number)
            case _:
                send(chat, number)

    def _request(self, chat: OpenChat, number: int, fields: dict[str, str]) -> dict[str, str]:
        return {
            "ConnectionToken": chat.connection_token,
            "ContactId": chat.contact_id,
            "ContentType": "text/plain",
            "Content": f"Message {number}",
            "ClientToken": f"message-{number}",
            **fields,
        }

    def _queue(self, chat: OpenChat, number: int, **fields: str) -> None:
        at = time.time()
        message_id = self.stack.send_to_queue(
            json.dumps(self._request(chat, number, fields)),
            group=chat.contact_id,
            deduplication_id=str(number),
        )
        self.queued_at[message_id] = at

    def _api(self, chat: OpenChat, number: int) -> None:
        at = time.time()
        answer = self._post(QUEUE_PATH, self._request(chat, number, {}))
        self.queued_at[answer["MessageId"]] = at

    def _api_sync(self, chat: OpenChat, number: int) -> None:
        self._post(SYNCHRONOUS_PATH, self._request(chat, number, {}))

    def _post(self, path: str, request: dict[str, str]) -> Any:  # noqa: ANN401  # JSON
        answer = self.stack.api.post(path, json.dumps(request))
        name = self.stack.outputs.stack_name
        of_the_api = partial(metric, "AWS/ApiGateway", ApiName=name, Stage="v1")
        self.recording.seen |= {of_the_api("4XXError"), of_the_api("5XXError")}
        self.recording.add(of_the_api("Count"), time.time())
        if answer.status >= HTTPStatus.BAD_REQUEST:
            self.recording.add(of_the_api(f"{answer.status // 100}XXError"), time.time())
        return answer.payload

    def _event(self, chat: OpenChat, number: int, **fields: str) -> None:
        self.stack.put_event(json.dumps(self._request(chat, number, fields)))

    def _direct(self, chat: OpenChat, number: int) -> None:
        self.stack.invoke(self._request(chat, number, {}))

    def _execute(self, chat: OpenChat, number: int) -> None:
        self.stack.start_execution(self._request(chat, number, {}))


@contextmanager
def _sampled(stack: LocalStack, recording: Recording, traffic: _Traffic) -> Iterator[None]:
    """Look at the queues every second, as SQS does every minute."""
    over = threading.Event()

    def sample_until_over() -> None:
        while not over.wait(_SAMPLE_SECONDS):
            # All that are there, ten at most a call, or messages would look older than they became
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
        for attribute, name in (
            ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesVisible"),
            ("ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesNotVisible"),
        ):
            answer = stack.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[attribute])
            depth = float(answer["Attributes"][attribute])
            recording.add(metric("AWS/SQS", name, QueueName=url.rpartition("/")[2]), now, depth)
    ended = stack.results.source_ids
    waiting = [at for message_id, at in traffic.queued_at.copy().items() if message_id not in ended]
    age = metric(
        "AWS/SQS",
        "ApproximateAgeOfOldestMessage",
        QueueName=outputs.message_queue_url.rpartition("/")[2],
    )
    recording.add(age, now, now - min(waiting, default=now))


def _wait_until_empty(stack: LocalStack) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while stack.queue_depths().messages and time.monotonic() < deadline:
        time.sleep(_SAMPLE_SECONDS)


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
    # AWS makes it of the log of the state machine
    timed_out = metric(recording.own_namespace, "WorkflowTimeouts")
    recording.seen |= {timed_out, *of_the_machine.values()}
    pages = stack.step_functions.get_paginator("list_executions").paginate(stateMachineArn=arn)
    for execution in itertools.chain.from_iterable(page["executions"] for page in pages):
        if execution["status"] in of_the_machine:
            recording.add(of_the_machine[execution["status"]], execution["stopDate"].timestamp())
        described = stack.step_functions.describe_execution(executionArn=execution["executionArn"])
        if described.get("error") == "States.Timeout" or execution["status"] == "TIMED_OUT":
            recording.add(timed_out, execution["stopDate"].timestamp())
