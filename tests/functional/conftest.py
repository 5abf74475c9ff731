"""The handler, with a Participant Service and an AWS endpoint on loopback."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from message_sender.application import create_handler
from message_sender.clock import SystemClock
from sandbox.participant_service.server import running_participant_service
from tests.support.aws_endpoint import AwsEndpoint, running_aws_endpoint
from tests.support.lambda_events import FakeLambdaContext, request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sandbox.participant_service.server import RunningParticipantService


@dataclass
class Chat:
    """A chat with a connection, as a producer has it."""

    service: RunningParticipantService
    contact_id: str
    connection_token: str

    @property
    def texts(self) -> list[str]:
        """The contents of the chat's messages, in the order of the transcript."""
        return [str(item.content) for item in self.service.service.messages(self.contact_id)]

    def request(self, **fields: Any) -> dict[str, Any]:  # noqa: ANN401  # wrong types are among what tests need
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
        """Handle an SQS event and return the ids of the records that come back."""
        answer = self({"Records": list(records)}, context)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def start_chat(self, **options: Any) -> Chat:  # noqa: ANN401  # handed on
        service = self.participant.service
        chat = service.start_chat(**options)
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
        "POWERTOOLS_TRACE_DISABLED": "true",
    } | more


class CurrentStdout:
    """Where `print` would write now. Powertools keeps the stream of the first logger for good."""

    def write(self, text: str) -> None:
        sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


def capture_logs() -> None:
    """Let the function's logger write where pytest captures."""
    for log_handler in logging.getLogger("connect-message-sender").handlers:
        assert isinstance(log_handler, logging.StreamHandler)
        log_handler.setStream(CurrentStdout())


@pytest.fixture
def function() -> Iterator[Function]:
    with running_participant_service() as participant, running_aws_endpoint() as aws:
        clock = SkippingClock()
        handler = create_handler(function_environ(participant.url, aws.url), clock=clock)
        capture_logs()
        yield Function(participant, aws, handler, clock)
