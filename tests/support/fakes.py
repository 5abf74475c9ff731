"""Fakes of the clock, the participant and the AWS APIs, in memory, and results of messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from message_sender.aws.client import AwsClient
from message_sender.queues import Queues
from message_sender.request import Correlation
from message_sender.result import MessageResult, Origin, Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from message_sender.errors import AwsCallError, DeliveryError
    from message_sender.request import SendMessageRequest
    from message_sender.result import Outcome

START = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
SENT = Sent(message_id="m-1", absolute_time=None, processing_status=None)


class FakeClock:
    """A clock that advances only when `sleep` is called."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return 1000.0 + self.elapsed

    def sleep(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError("sleep length must be non-negative")  # as time.sleep does
        self.slept.append(seconds)
        self.elapsed += seconds


@dataclass
class FakeParticipant:
    """Answers each call with the next of `answers`, then with success."""

    answers: list[DeliveryError | Callable[[], Sent]] = field(default_factory=list)
    requests: list[SendMessageRequest] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    _ids: count[int] = field(default_factory=lambda: count(1))

    def send_message(self, request: SendMessageRequest, *, timeout: float) -> Sent:
        self.requests.append(request)
        self.timeouts.append(timeout)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer()
        return Sent(message_id=f"id-{next(self._ids)}", absolute_time=None, processing_status=None)


@dataclass
class FakeAwsApi:
    """Records calls, and answers each with the next of `answers`, then with `usual`."""

    usual: Callable[[Mapping[str, Any]], dict[str, Any]]
    answers: list[AwsCallError | dict[str, Any]] = field(default_factory=list)
    calls: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        self.calls.append((operation, parameters))
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return self.usual(parameters)

    def client(self, clock: FakeClock) -> AwsClient:
        """Return a client that retries with the longest delays."""
        return AwsClient(self, clock=clock, random=lambda: 1.0)


def accepting_bus(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Answer PutEvents as a bus that accepts everything."""
    return {"FailedEntryCount": 0, "Entries": [{"EventId": "e"} for _ in parameters["Entries"]]}


def accepting_queue(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Answer SendMessage and SendMessageBatch as a queue that accepts everything."""
    entries = parameters.get("Entries", [])
    return {"MessageId": "m", "Successful": [{"Id": entry["Id"]} for entry in entries]}


def make_queues(api: FakeAwsApi, clock: FakeClock) -> Queues:
    return Queues(
        sqs=api.client(clock),
        message_queue_url="messages",
        dead_letter_queue_url="dead-letters",
        rejected_queue_url="rejected",
        unpublished_results_queue_url="unpublished",
    )


def result_of(
    outcome: Outcome = SENT,
    *,
    correlation: Correlation | None = None,
    origin: Origin | None = None,
) -> MessageResult:
    """Return the result of a message of the queue that was accepted and completed at `START`."""
    return MessageResult(
        outcome=outcome,
        origin=origin or Origin(event_source="sqs", source_id="s-1", accepted_at=START),
        correlation=correlation or Correlation(client_token="t-1"),
        completed_at=START,
        attempts=1,
    )
