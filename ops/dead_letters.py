"""What lies in the queues that hold requests: each kind of letter, read into one form."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

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
    from collections.abc import Mapping

    from message_sender.request import ParsedRequest

MOVED_BY_SQS: Final = "MovedBySQS"
"""Stands for a code where SQS itself has moved a message that was received too often."""
NOT_HANDED_OVER: Final = "NotHandedOver"
"""Stands for a code that EventBridge or Lambda did not give."""


class DeadLetterQueue(StrEnum):
    """A queue that holds requests which were not sent."""

    DEAD_LETTER = "dead-letter"
    EVENTS = "events"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A request that was not sent.

    Attributes:
        code: Of its outcome; where it has none, why it is here.
        parsed: The request, by the longer limits: the function rejects what is too long for it.
        message_group: None where it had none.
        deduplication_id: For the messages queue: another letter has another one, a repeat has the same.
        queued_at: When SQS accepted it into this queue, or into the one where it was finalized: it is at
            least that old. No producer can set this time, so it decides all that depends on the age.
        origin: As its attributes say. A producer can forge them, so they decide nothing and are only shown.
            Also whether an earlier attempt may have arrived.
        has_outcome: Whether its result was published before it came here.
        is_truncated: Whether a part of the body is missing.
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
        """The request's own, or the one that the function has given it, or would have."""
        return str(self.parsed.correlation.client_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableDeadLetter:
    """A letter that no request can be read from. The reason holds nothing of it."""

    message_id: str
    reason: str


class _UnreadableError(Exception):
    pass


def read_dead_letter(
    message: Mapping[str, Any], *, queue: DeadLetterQueue, messages_queue_arn: str
) -> DeadLetter | UnreadableDeadLetter:
    """Read a message as ReceiveMessage answers it, all its attributes included. Never raises.

    Args:
        messages_queue_arn: The source of what SQS has moved, should the message not name it.
    """
    message_id = message["MessageId"]
    try:
        if queue is DeadLetterQueue.EVENTS:
            return _undelivered_event(message)
        if queue is DeadLetterQueue.DEAD_LETTER and _was_moved_by_sqs(message):
            return _moved_by_sqs(message, messages_queue_arn)
        return _copy(message)
    except _UnreadableError as error:
        return UnreadableDeadLetter(message_id=message_id, reason=str(error))
    except Exception as defect:  # noqa: BLE001  # no letter may keep the others from being read
        return UnreadableDeadLetter(
            message_id=message_id, reason=f"it cannot be read: {type(defect).__name__}"
        )


def _was_moved_by_sqs(message: Mapping[str, Any]) -> bool:
    """Tell what SQS has moved from what the function has copied.

    By the attribute that SQS gives what it moves: a producer may have given its message a `Code` of its own.
    """
    return "DeadLetterQueueSourceArn" in message["Attributes"] or "Code" not in _attributes(message)


def _copy(message: Mapping[str, Any]) -> DeadLetter:
    attributes = _attributes(message)
    if "Code" not in attributes:
        raise _UnreadableError("it is no copy that the function has made")
    request = _parse(message["Body"], attributes.get("ClientToken"))
    if request.correlation.client_token is None:
        raise _UnreadableError("it has no ClientToken")
    queued_at = _queued_at(message)
    if "QueuedAt" in attributes:  # of a finalized dead letter
        queued_at = min(queued_at, datetime.fromisoformat(attributes["QueuedAt"]))
    origin = read_origin(attributes, queued_at=_queued_at(message), receive_count=1) or Origin(
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


def _moved_by_sqs(message: Mapping[str, Any], messages_queue_arn: str) -> DeadLetter:
    """Read a message that was moved as it is: SQS keeps body, attributes, group and message id."""
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
        # The function was at it each time, and did not live to say what came of it
        origin=replace(origin, maybe_delivered=True),
        has_outcome=False,
    )


def _undelivered_event(message: Mapping[str, Any]) -> DeadLetter:
    """Read an event that EventBridge could not hand over, or the record of an invocation that failed.

    Sources: EventBridge user guide, "Using dead-letter queues"; Lambda developer guide, "Capturing records of
    Lambda asynchronous invocations".
    """
    event = json.loads(message["Body"])
    code = _attributes(message).get("ERROR_CODE", NOT_HANDED_OVER)
    was_invoked, receive_count = False, 1
    if (
        isinstance(event, dict)
        and "requestPayload" in event
        and isinstance(event.get("requestContext"), dict)
    ):
        context = event["requestContext"]
        code = str(context.get("condition") or NOT_HANDED_OVER)
        was_invoked, receive_count = True, max(1, int(context.get("approximateInvokeCount") or 1))
        event = event["requestPayload"]
    try:
        source = detect(event)
    except UnsupportedEventError:
        raise _UnreadableError("it is neither an event nor the record of an invocation") from None
    if source != "eventbridge":
        raise _UnreadableError("it is no event of the bus: who invoked the function has to do it again")
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


def _attributes(message: Mapping[str, Any]) -> dict[str, str]:
    """Return the message attributes that are strings."""
    return {
        name: value["StringValue"]
        for name, value in message.get("MessageAttributes", {}).items()
        if "StringValue" in value
    }


def _queued_at(message: Mapping[str, Any]) -> datetime:
    """Return when SQS accepted the message into its queue.

    Of what SQS moves between FIFO queues, that is when it moved it. Source: SQS developer guide, "Setting-up
    dead-letter queue retention".
    """
    return datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)
