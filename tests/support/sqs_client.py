"""The part of boto3's clients that `ops` uses, over queues in memory.

A FIFO queue returns nothing of a group that has messages in flight, and drops repeats for five minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from types_boto3_sqs.literals import MessageSystemAttributeNameType
    from types_boto3_sqs.type_defs import MessageTypeDef

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

    def received(self) -> MessageTypeDef:
        return {
            "MessageId": self.message_id,
            "ReceiptHandle": str(self.receipt_handle),
            "Body": self.body,
            "Attributes": cast(
                "dict[MessageSystemAttributeNameType, str]",
                {**self.system, "ApproximateReceiveCount": str(self.receive_count)},
            ),
            "MessageAttributes": {
                name: {"DataType": "String", "StringValue": value} for name, value in self.attributes.items()
            },
        }


@dataclass
class FakeAwsClient:
    """Queues by URL, a bus, and tasks that wait. A queue whose URL ends with `.fifo` is a FIFO queue.

    Attributes:
        failures: For an operation, what its next calls do: an error's code and status, or None for success.
        lost_answers: For an operation, how many of its next calls succeed but seem to fail.
        refused_events: For each of the next calls of PutEvents, the places that it refuses.
        before: Called first with each operation and its parameters. It may raise.
    """

    clock: Clock
    queues: dict[str, list[StoredMessage]] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    task_failures: list[Mapping[str, Any]] = field(default_factory=list)
    failures: dict[str, list[tuple[str, int] | None]] = field(default_factory=dict)
    lost_answers: dict[str, int] = field(default_factory=dict)
    refused_events: list[set[int]] = field(default_factory=list)
    before: Callable[[str, Mapping[str, Any]], None] = lambda _operation, _parameters: None
    calls: list[str] = field(default_factory=list)
    _ids: count[int] = field(default_factory=lambda: count(1))
    _accepted: dict[tuple[str, str, str], float] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        """Return the method that boto3 has for an operation."""
        if name.startswith("_"):
            raise AttributeError(name)
        return partial(self._call, name)

    def _call(self, name: str, /, **parameters: object) -> dict[str, Any]:
        operation = name.title().replace("_", "")
        self.calls.append(operation)
        self.before(operation, parameters)
        failures = self.failures.get(operation)
        if failures and (failure := failures.pop(0)) is not None:
            raise _error(operation, *failure)
        perform: Callable[[Mapping[str, Any]], dict[str, Any]] = getattr(self, f"_{name}")
        answer = perform(parameters)
        if self.lost_answers.get(operation, 0) > 0:
            self.lost_answers[operation] -= 1
            raise _error(operation, "ServiceUnavailable", 503)
        return answer

    def put(
        self,
        queue_url: str,
        body: str,
        *,
        attributes: Mapping[str, str] | None = None,
        age: timedelta = timedelta(),
        **system: str,
    ) -> StoredMessage:
        """Put a message into a queue as if it was sent some time ago."""
        sent = self.clock.now() - age
        message = StoredMessage(
            message_id=f"00000000-0000-4000-8000-{next(self._ids):012d}",
            body=body,
            attributes=dict(attributes or {}),
            system={"SentTimestamp": str(int(sent.timestamp() * 1000)), **system},
        )
        self.queues.setdefault(queue_url, []).append(message)
        if "DeadLetterQueueSourceArn" in system:
            # The de-duplication id of a message that SQS moves is its message id
            key = (queue_url, system["MessageGroupId"], message.message_id)
            self._accepted[key] = self.clock.monotonic()
        return message

    def visible(self, queue_url: str) -> list[StoredMessage]:
        now = self.clock.monotonic()
        return [message for message in self.queues.get(queue_url, []) if message.hidden_until <= now]

    def _receive_message(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        url, now = parameters["QueueUrl"], self.clock.monotonic()
        stored = self.queues.setdefault(url, [])
        in_flight = {message.system.get("MessageGroupId") for message in stored if message.hidden_until > now}
        available = [
            message
            for message in stored
            if message.hidden_until <= now
            and not (url.endswith(".fifo") and message.system["MessageGroupId"] in in_flight)
        ]
        returned = available[: parameters["MaxNumberOfMessages"]]
        for message in returned:
            message.hidden_until = now + parameters["VisibilityTimeout"]
            message.receipt_handle = f"handle-{next(self._ids)}"
            message.receive_count += 1
        return {"Messages": [message.received() for message in returned]} if returned else {}

    def _send_message(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        self._store(parameters["QueueUrl"], parameters)
        return {"MessageId": "m"}

    def _send_message_batch(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        for entry in parameters["Entries"]:
            self._store(parameters["QueueUrl"], entry)
        return {"Successful": [{"Id": entry["Id"]} for entry in parameters["Entries"]]}

    def _delete_message(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        url, handle = parameters["QueueUrl"], parameters["ReceiptHandle"]
        self.queues[url] = [message for message in self.queues[url] if message.receipt_handle != handle]
        return {}

    def _change_message_visibility_batch(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        for entry in parameters["Entries"]:
            for message in self.queues[parameters["QueueUrl"]]:
                if message.receipt_handle == entry["ReceiptHandle"]:
                    message.hidden_until = self.clock.monotonic() + entry["VisibilityTimeout"]
        return {"Successful": [{"Id": entry["Id"]} for entry in parameters["Entries"]]}

    def _put_events(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        entries: Sequence[dict[str, Any]] = parameters["Entries"]
        assert len(entries) <= 10
        refused = self.refused_events.pop(0) if self.refused_events else set()
        self.events += [entry for place, entry in enumerate(entries) if place not in refused]
        answers = [
            {"ErrorCode": "InternalFailure"} if place in refused else {"EventId": "e"}
            for place in range(len(entries))
        ]
        return {"FailedEntryCount": len(refused), "Entries": answers}

    def _send_task_failure(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        self.task_failures.append(parameters)
        return {}

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


def _error(operation: str, code: str, status: int) -> ClientError:
    answer: Any = {
        # A service's own text may quote what it was sent
        "Error": {"Code": code, "Message": "the body was QVFJREFIZ"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, operation)
