"""A consumer of the result events, as any would be: a rule on the bus, a queue behind it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sandbox.emulator import Emulator

_PATTERN = {
    "source": ["connect-message-sender"],
    "detail-type": ["Message Sent", "Message Rejected", "Message Failed"],
}
_NAME = "sandbox-results"
_POLL_SECONDS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultEvent:
    """A result event; `detail` is all of its detail."""

    detail_type: str
    outcome: str
    event_source: str
    source_id: str
    client_token: str | None
    contact_id: str | None
    code: str | None
    reason: str | None
    message_id: str | None
    completed_at: str
    detail: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        event = json.loads(text)
        detail = event["detail"]
        message, error = detail["Message"] or {}, detail["Error"] or {}
        return cls(
            detail_type=event["detail-type"],
            outcome=detail["Outcome"],
            event_source=detail["EventSource"],
            source_id=detail["SourceId"],
            client_token=detail["ClientToken"],
            contact_id=detail["ContactId"],
            code=error.get("Code"),
            reason=error.get("Reason"),
            message_id=message.get("Id"),
            completed_at=detail["CompletedAt"],
            detail=detail,
        )


class ResultEvents:
    """All result events since this was made. EventBridge delivers each at least once, in any order."""

    def __init__(self, emulator: Emulator, *, event_bus_name: str) -> None:
        self._sqs = emulator.client("sqs")
        self._queue_url = self._sqs.create_queue(QueueName=_NAME)["QueueUrl"]
        queue_arn = self._sqs.get_queue_attributes(QueueUrl=self._queue_url, AttributeNames=["QueueArn"])
        events = emulator.client("events")
        # On AWS the queue would need a policy too, which lets EventBridge send to it
        events.put_rule(Name=_NAME, EventBusName=event_bus_name, EventPattern=json.dumps(_PATTERN))
        events.put_targets(
            Rule=_NAME,
            EventBusName=event_bus_name,
            Targets=[{"Id": _NAME, "Arn": queue_arn["Attributes"]["QueueArn"]}],
        )
        self._received: list[ResultEvent] = []

    @property
    def received(self) -> Sequence[ResultEvent]:
        return tuple(self._received)

    @property
    def source_ids(self) -> set[str]:
        return {event.source_id for event in self._received}

    def wait_for(self, source_id: str, *, timeout: float = 20.0) -> ResultEvent:
        """Return the first result of one message.

        Raises:
            TimeoutError: None came within the timeout, in seconds.
        """
        return self.wait_for_any(lambda event: event.source_id == source_id, timeout=timeout)

    def wait_for_any(self, is_wanted: Callable[[ResultEvent], bool], *, timeout: float) -> ResultEvent:
        """Return the first result that is wanted.

        Raises:
            TimeoutError: None came within the timeout, in seconds.
        """
        deadline = time.monotonic() + timeout
        while not (wanted := list(filter(is_wanted, self._received))):
            if time.monotonic() > deadline:
                raise TimeoutError(f"No such result within {timeout:g} seconds")
            self.receive()
        return wanted[0]

    def receive(self) -> Sequence[ResultEvent]:
        """Wait for a second at most, and return what has come since the last time."""
        answer = self._sqs.receive_message(
            QueueUrl=self._queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=_POLL_SECONDS
        )
        messages = answer.get("Messages", [])
        received = [ResultEvent.parse(message["Body"]) for message in messages]
        self._received.extend(received)
        for message in messages:
            self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])
        return received
