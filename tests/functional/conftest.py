"""The handler, with a Participant Service and an AWS endpoint on loopback."""

from __future__ import annotations

import json
import logging
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from message_sender.application import create_handler
from message_sender.clock import SystemClock
from sandbox.participant_service.chats import CONTENT_TYPES
from sandbox.participant_service.server import running_participant_service
from tests.support.aws_endpoint import AwsEndpoint, running_aws_endpoint
from tests.support.http_server import running_server
from tests.support.lambda_events import FakeLambdaContext, request

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from datetime import datetime
    from ssl import SSLContext

    import urllib3

    from message_sender.clock import Clock
    from sandbox.participant_service.server import RunningParticipantService
    from tests.support.http_server import FakeServer


@dataclass
class Chat:
    """A chat, and the connection token that a producer has for it."""

    service: RunningParticipantService
    contact_id: str
    connection_token: str

    @property
    def texts(self) -> list[str]:
        """The contents of the chat's messages, in the order of the transcript."""
        return [str(item.content) for item in self.service.service.messages(self.contact_id)]

    def request(self, **fields: object) -> dict[str, Any]:
        return request(**{"ConnectionToken": self.connection_token} | fields)


class SkippingClock(SystemClock):
    """The clock of the machine, but it skips the time that the function waits."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self._skipped)

    def monotonic(self) -> float:
        return super().monotonic() + self._skipped

    def sleep(self, seconds: float) -> None:
        self._skipped += seconds


@dataclass
class Function:
    """The function and the services that it calls."""

    participant: RunningParticipantService
    aws: AwsEndpoint
    handler: Any
    clock: SkippingClock

    def __call__(self, event: object, context: FakeLambdaContext | None = None) -> dict[str, Any]:
        answer: dict[str, Any] = self.handler(event, context or FakeLambdaContext())
        return answer

    def batch(self, *records: dict[str, Any], context: FakeLambdaContext | None = None) -> list[str]:
        """Handle an SQS event and return the ids of the batch item failures."""
        answer = self({"Records": list(records)}, context)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def start_chat(self, *, content_types: Collection[str] = CONTENT_TYPES) -> Chat:
        service = self.participant.service
        chat = service.start_chat(content_types=content_types)
        connection = service.create_connection(chat.participant_token)
        return Chat(self.participant, chat.contact_id, connection.connection_token)


def function_environ(participant_url: str, aws_url: str, **more: str) -> dict[str, str]:
    return {
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "000000000000",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_ENDPOINT_URL_CONNECTPARTICIPANT": participant_url,
        "EVENT_BUS_NAME": "results-bus",
        "MESSAGE_QUEUE_URL": f"{aws_url}/000000000000/messages.fifo",
        "DEAD_LETTER_QUEUE_URL": f"{aws_url}/000000000000/dead-letter.fifo",
        "REJECTED_QUEUE_URL": f"{aws_url}/000000000000/rejected",
        "UNPUBLISHED_RESULTS_QUEUE_URL": f"{aws_url}/000000000000/unpublished",
    } | more


class CurrentStdout:
    """The stream that `print` uses now. Powertools keeps the stream of the first logger."""

    def write(self, text: str) -> None:
        sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


def capture_logs() -> None:
    """Let the function's logger write where pytest captures."""
    for log_handler in logging.getLogger("connect-message-sender").handlers:
        assert isinstance(log_handler, logging.StreamHandler)
        log_handler.setStream(CurrentStdout())


@dataclass
class FunctionOnFakeService:
    """The function and a Participant Service whose answers the test sets."""

    service: FakeServer
    aws: AwsEndpoint
    handler: Callable[[dict[str, Any], FakeLambdaContext], dict[str, Any]]

    def __call__(self, event: dict[str, Any]) -> dict[str, Any]:
        return self.handler(event, FakeLambdaContext())


@contextmanager
def function_on_fake_service(
    *,
    tls: SSLContext | None = None,
    clock: Clock | None = None,
    pools: urllib3.PoolManager | None = None,
    **environ: str,
) -> Iterator[FunctionOnFakeService]:
    """Serve the function. Until the test sets another answer, the service accepts every message.

    Args:
        pools: The function's connections. By default as its settings say.
        environ: More environment variables of the function.
    """
    with running_server(tls=tls) as service, running_aws_endpoint() as aws:
        service.body = json.dumps({"Id": "m-1", "AbsoluteTime": "2026-01-31T12:00:00.000Z"}).encode()
        handler = create_handler(function_environ(service.url, aws.url, **environ), clock=clock, pools=pools)
        capture_logs()
        yield FunctionOnFakeService(service, aws, handler)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with running_server() as running:
        yield running


@contextmanager
def running_function(**environ: str) -> Iterator[Function]:
    """Serve the function and the services that it calls.

    Args:
        environ: More environment variables of the function.
    """
    with running_participant_service() as participant, running_aws_endpoint() as aws:
        clock = SkippingClock()
        handler = create_handler(function_environ(participant.url, aws.url, **environ), clock=clock)
        capture_logs()
        yield Function(participant, aws, handler, clock)


@pytest.fixture
def function() -> Iterator[Function]:
    with running_function() as running:
        yield running
