"""Read each kind of dead letter into one form."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from message_sender.errors import UnsupportedEventError
from message_sender.event_sources import detect
from message_sender.event_sources.eventbridge import (
    client_token_of_event,
    deduplication_id_of_event,
    origin_of_event,
)
from message_sender.queues import read_origin
from message_sender.request import derive_client_token, json_text, parse_request
from message_sender.result import Origin

if TYPE_CHECKING:
    from types_boto3_sqs.type_defs import MessageTypeDef

    from message_sender.request import ParsedRequest

MOVED_BY_SQS: Final = "MovedBySQS"
"""The code of a message that SQS moved because it was received too often."""
NO_ERROR_CODE: Final = "NotHandedOver"
"""The code of an event for which EventBridge or Lambda gave none."""


class DeadLetterQueue(StrEnum):
    """A queue that holds requests which were not sent."""

    DEAD_LETTER = "dead-letter"
    EVENTS = "events"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A request that was not sent.

    Attributes:
        code: The code of its result. Without a result, why it is here.
        parsed: The request, within the service's limits. The function itself applies its own limits.
        message_group: None if it had none.
        deduplication_id: For the messages queue: the same for a repeat, else different.
        queued_at: When SQS accepted it into this queue, or into the one where it was finalized. It may be
            older. No producer can set this time, so every decision on the age uses it.
        origin: From its attributes, and whether an earlier attempt may have arrived. A producer can forge
            attributes, so no decision depends on them.
        has_outcome: Whether its result was published already.
        is_truncated: Whether part of the body is missing.
    """

    message_id: str
    code: str
    parsed: ParsedRequest
    message_group: str | None
    deduplication_id: str
    queued_at: datetime
    origin: Origin
    has_outcome: bool
    is_truncated: bool = False

    @property
    def client_token(self) -> str:
        """The request's own, or the one that the function derives for it."""
        return str(self.parsed.correlation.client_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableDeadLetter:
    """A message without a readable request. The reason quotes nothing of it."""

    message_id: str
    reason: str


class _UnreadableError(Exception):
    pass


def read_dead_letter(
    message: MessageTypeDef, *, queue: DeadLetterQueue, messages_queue_arn: str
) -> DeadLetter | UnreadableDeadLetter:
    """Read a received message with all its attributes. Never raises.

    Args:
        messages_queue_arn: The source of a message that SQS moved, if the message does not name it.
    """
    try:
        if queue is DeadLetterQueue.EVENTS:
            return _read_event(message)
        if queue is DeadLetterQueue.DEAD_LETTER and _was_moved_by_sqs(message):
            return _read_moved(message, messages_queue_arn)
        return _read_copy(message)
    except _UnreadableError as error:
        reason = str(error)
    except Exception as defect:  # noqa: BLE001  # one dead letter must not stop the others
        reason = f"cannot be read: {type(defect).__name__}"
    return UnreadableDeadLetter(message_id=message["MessageId"], reason=reason)


def _was_moved_by_sqs(message: MessageTypeDef) -> bool:
    """Distinguish a message that SQS moved from a copy that the function made.

    SQS gives what it moves an attribute. A `Code` proves nothing: a producer may have set it.
    """
    return "DeadLetterQueueSourceArn" in message["Attributes"] or "Code" not in _attributes(message)


def _read_copy(message: MessageTypeDef) -> DeadLetter:
    attributes = _attributes(message)
    if "Code" not in attributes:
        raise _UnreadableError("not a copy that the function made")
    request = _parse(message["Body"], attributes.get("ClientToken"))
    if request.correlation.client_token is None:
        raise _UnreadableError("has no ClientToken")
    queued_at = copied_at = _queued_at(message)
    if "QueuedAt" in attributes:  # of a finalized dead letter
        queued_at = min(copied_at, datetime.fromisoformat(attributes["QueuedAt"]))
    origin = read_origin(attributes, queued_at=copied_at, receive_count=1) or Origin(
        event_source="sqs",
        source_id=attributes.get("SourceId") or message["MessageId"],
        accepted_at=queued_at,
        maybe_delivered=True,
    )
    return DeadLetter(
        message_id=message["MessageId"],
        code=attributes["Code"],
        parsed=request,
        message_group=message["Attributes"].get("MessageGroupId") or attributes.get("MessageGroupId"),
        deduplication_id=message["MessageId"],
        queued_at=queued_at,
        origin=origin,
        has_outcome=True,
        is_truncated="Truncated" in attributes,
    )


def _read_moved(message: MessageTypeDef, messages_queue_arn: str) -> DeadLetter:
    """Read a message that SQS moved. It keeps its body, attributes, group and message id."""
    message_id, system = message["MessageId"], message["Attributes"]
    derived = derive_client_token(system.get("DeadLetterQueueSourceArn") or messages_queue_arn, message_id)
    queued_at = _queued_at(message)
    receive_count = int(system["ApproximateReceiveCount"])
    origin = read_origin(_attributes(message), queued_at=queued_at, receive_count=receive_count) or Origin(
        event_source="sqs", source_id=message_id, accepted_at=queued_at, receive_count=receive_count
    )
    return DeadLetter(
        message_id=message_id,
        code=MOVED_BY_SQS,
        parsed=_parse(message["Body"], derived),
        message_group=system.get("MessageGroupId"),
        deduplication_id=message_id,
        queued_at=queued_at,
        # The function received it each time, and ended before it could report a result
        origin=replace(origin, maybe_delivered=True),
        has_outcome=False,
    )


def _read_event(message: MessageTypeDef) -> DeadLetter:
    """Read an event that EventBridge did not deliver to Lambda, or the record of a failed invocation.

    Sources: EventBridge user guide, "Using dead-letter queues"; Lambda developer guide, "Capturing records of
    Lambda asynchronous invocations".
    """
    match json.loads(message["Body"]):
        case {"requestPayload": event, "requestContext": dict(context)}:
            was_invoked, receive_count = True, max(1, int(context.get("approximateInvokeCount") or 1))
            code = str(context.get("condition") or NO_ERROR_CODE)
        case event:
            was_invoked, receive_count = False, 1
            code = _attributes(message).get("ERROR_CODE", NO_ERROR_CODE)
    try:
        source = detect(event)
    except UnsupportedEventError:
        raise _UnreadableError("neither an event nor the record of an invocation") from None
    if source != "eventbridge":
        raise _UnreadableError("not an event from the bus: its caller must invoke the function again")
    request = _parse(json_text(event["detail"]), client_token_of_event(event))
    queued_at = _queued_at(message)
    origin = origin_of_event(event, now=queued_at)
    return DeadLetter(
        message_id=message["MessageId"],
        code=code,
        parsed=request,
        message_group=None,
        deduplication_id=deduplication_id_of_event(origin, request),
        queued_at=queued_at,
        origin=replace(origin, receive_count=receive_count, maybe_delivered=was_invoked),
        has_outcome=False,
    )


def _parse(text: str, client_token: str | None) -> ParsedRequest:
    return parse_request(text, client_token=client_token, content_limits="service")


def _attributes(message: MessageTypeDef) -> dict[str, str]:
    """Return the message attributes that are strings."""
    return {
        name: value["StringValue"]
        for name, value in message.get("MessageAttributes", {}).items()
        if "StringValue" in value
    }


def _queued_at(message: MessageTypeDef) -> datetime:
    """Return when SQS accepted the message into its queue.

    SQS restarts this time for messages that it moves between FIFO queues. Source: SQS developer guide,
    "Setting-up dead-letter queue retention".
    """
    return datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)
