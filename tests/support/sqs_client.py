"""The part of boto3's clients that operations use, over queues in memory.

A FIFO queue gives nothing of a group while messages of it are held, and drops repeats for five minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from message_sender.clock import Clock

_DEDUPLICATION = timedelta(minutes=5)


@dataclass
class StoredMessage:
    message_id: str
    body: str
    attributes: dict[str, str]
    system: dict[str, str]
    hidden_until: float = 0.0
    receipt_handle: str | None = None
    receive_count: int = 0

    def received(self) -> dict[str, Any]:
        return {
            "MessageId": self.message_id,
            "ReceiptHandle": self.receipt_handle,
            "Body": self.body,
            "Attributes": {**self.system, "ApproximateReceiveCount": str(self.receive_count)},
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value} for name, value in self.attributes.items()
            },
        }


@dataclass
class FakeAwsClient:
    """Queues by URL, one whose URL ends with `.fifo` is a FIFO queue; a bus; and tasks that wait.

    Attributes:
        failures: For an operation, what its next calls do: an error's code and status, or None for success.
        lost_answers: For an operation, how many of its next calls are carried out, and seem not to be.
        refused_events: For each of the next calls of PutEvents, the places that it refuses.
        before: Called with each operation and its parameters first; may raise.
    """

    clock: Clock
    queues: dict[str, list[StoredMessage]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    task_failures: list[dict[str, Any]] = field(default_factory=list)
    failures: dict[str, list[tuple[str, int] | None]] = field(default_factory=dict)
    lost_answers: dict[str, int] = field(default_factory=dict)
    refused_events: list[set[int]] = field(default_factory=list)
    before: Callable[[str, Mapping[str, Any]], None] = lambda _operation, _parameters: None
    calls: list[str] = field(default_factory=list)
    _ids: count[int] = field(default_factory=lambda: count(1))
    _accepted: dict[tuple[str, str, str], float] = field(default_factory=dict)

    def put(
        self,
        queue_url: str,
        body: str,
        *,
        attributes: Mapping[str, str] | None = None,
        age: timedelta = timedelta(),
        **system: str,
    ) -> StoredMessage:
        """Put a message into a queue, as somebody else has done some time ago."""
        sent = self.clock.now() - age
        message = StoredMessage(
            message_id=f"00000000-0000-4000-8000-{next(self._ids):012d}",
            body=body,
            attributes=dict(attributes or {}),
            system={"SentTimestamp": str(int(sent.timestamp() * 1000)), **system},
        )
        self.queues.setdefault(queue_url, []).append(message)
        if "DeadLetterQueueSourceArn" in system:
            # What SQS moves has its message id for a de-duplication id
            key = (queue_url, system["MessageGroupId"], message.message_id)
            self._accepted[key] = self.clock.monotonic()
        return message

    def receive_message(self, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401  # as boto3 has them
        self._called("ReceiveMessage", parameters)
        url, now = parameters["QueueUrl"], self.clock.monotonic()
        stored = self.queues.setdefault(url, [])
        held = {message.system.get("MessageGroupId") for message in stored if message.hidden_until > now}
        free = [
            message
            for message in stored
            if message.hidden_until <= now
            and not (url.endswith(".fifo") and message.system["MessageGroupId"] in held)
        ]
        given = free[: parameters["MaxNumberOfMessages"]]
        for message in given:
            message.hidden_until = now + parameters["VisibilityTimeout"]
            message.receipt_handle = f"handle-{next(self._ids)}"
            message.receive_count += 1
        self._answered("ReceiveMessage")
        return {"Messages": [message.received() for message in given]} if given else {}

    def send_message(self, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401  # as boto3 has them
        self._called("SendMessage", parameters)
        self._store(parameters["QueueUrl"], parameters)
        self._answered("SendMessage")
        return {"MessageId": "m"}

    def send_message_batch(self, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401  # as boto3 has them
        self._called("SendMessageBatch", parameters)
        for entry in parameters["Entries"]:
            self._store(parameters["QueueUrl"], entry)
        return {"Successful": [{"Id": entry["Id"]} for entry in parameters["Entries"]]}

    def delete_message(self, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401  # as boto3 has them
        self._called("DeleteMessage", parameters)
        url, handle = parameters["QueueUrl"], parameters["ReceiptHandle"]
        self.queues[url] = [message for message in self.queues[url] if message.receipt_handle != handle]
        self._answered("DeleteMessage")
        return {}

    def change_message_visibility_batch(self, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401  # as boto3 has them
        self._called("ChangeMessageVisibilityBatch", parameters)
        for entry in parameters["Entries"]:
            for message in self.queues[parameters["QueueUrl"]]:
                if message.receipt_handle == entry["ReceiptHandle"]:
                    message.hidden_until = self.clock.monotonic() + entry["VisibilityTimeout"]
        return {"Successful": [{"Id": entry["Id"]} for entry in parameters["Entries"]]}

    def put_events(self, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401  # as boto3 has them
        self._called("PutEvents", parameters)
        entries: Sequence[dict[str, Any]] = parameters["Entries"]
        assert len(entries) <= 10
        refused = self.refused_events.pop(0) if self.refused_events else set()
        self.events += [entry for place, entry in enumerate(entries) if place not in refused]
        self._answered("PutEvents")
        answers = [
            {"ErrorCode": "InternalFailure"} if place in refused else {"EventId": "e"}
            for place in range(len(entries))
        ]
        return {"FailedEntryCount": len(refused), "Entries": answers}

    def send_task_failure(self, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401  # as boto3 has them
        self._called("SendTaskFailure", parameters)
        self.task_failures.append(parameters)
        return {}

    def visible(self, queue_url: str) -> list[StoredMessage]:
        now = self.clock.monotonic()
        return [message for message in self.queues.get(queue_url, []) if message.hidden_until <= now]

    def _store(self, url: str, parameters: Mapping[str, Any]) -> None:
        attributes = {
            name: value["StringValue"] for name, value in parameters.get("MessageAttributes", {}).items()
        }
        system: dict[str, str] = {}
        if url.endswith(".fifo"):
            system = {"MessageGroupId": parameters["MessageGroupId"]}
            key = (url, parameters["MessageGroupId"], parameters["MessageDeduplicationId"])
            now = self.clock.monotonic()
            if now - self._accepted.get(key, -1e9) < _DEDUPLICATION.total_seconds():
                return
            self._accepted[key] = now
        self.put(url, parameters["MessageBody"], attributes=attributes, age=timedelta(), **system)

    def _called(self, operation: str, parameters: Mapping[str, Any]) -> None:
        self.calls.append(operation)
        self.before(operation, parameters)
        failures = self.failures.get(operation)
        if failures and (failure := failures.pop(0)) is not None:
            raise _error(operation, *failure)

    def _answered(self, operation: str) -> None:
        if self.lost_answers.get(operation, 0) > 0:
            self.lost_answers[operation] -= 1
            raise _error(operation, "ServiceUnavailable", 503)


def _error(operation: str, code: str, status: int) -> ClientError:
    answer = {
        # What a service says may quote what it was sent
        "Error": {"Code": code, "Message": "the body was QVFJREFIZ"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, operation)
