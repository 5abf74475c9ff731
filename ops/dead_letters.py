"""Read each kind of dead letter into one form."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
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
from message_sender.result import MessageResult, Origin

if TYPE_CHECKING:
    from types_boto3_sqs.type_defs import MessageTypeDef

    from message_sender.request import ParsedRequest
    from message_sender.result import Failed, Rejected

_NO_ERROR_CODE: Final = "NoErrorCode"
"""The code of an event for which EventBridge or Lambda gave none."""


_parse: Final = partial(parse_request, content_limits="service")


class DeadLetterQueue(StrEnum):
    """A queue that holds requests which were not sent."""

    DEAD_LETTER = "dead-letter"
    EVENTS = "events"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A request that was not sent.

    Attributes:
        code: The code of its result. Without a result, why it is here: `MovedBySQS` after too many receives.
        parsed: The request, within the service's limits. The function itself applies its own limits.
        message_group: None if it had none.
        deduplication_id: For the messages queue: the same for a repeat, else different.
        queued_at: When SQS accepted it into this queue, or into the one where it was finalized. It may be
            older. No producer can set this time, so every decision on the age uses it.
        origin: From its attributes, and whether an earlier attempt may have arrived. A producer can forge
            attributes: only `RedriveFilter.keep_maybe_delivered` makes a decision depend on them.
        has_outcome: Whether its result was published already.
        is_truncated: Whether part of the body is missing.
        parts_delivered: How many parts of a long text the last invocation delivered. Only a copy that the
            function made says so, so no producer can forge it.
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
    parts_delivered: int = 0

    @property
    def client_token(self) -> str:
        """The request's own, or the one that the function derives for it."""
        return str(self.parsed.correlation.client_token)

    @property
    def identity(self) -> tuple[str | None, str]:
        """The same for all dead letters of one message.

        The ClientToken alone is not enough: a producer can use the same one for a message in another group.
        That message would be kept, and those behind it would overtake it.
        """
        return self.message_group or self.parsed.message_group, self.client_token

    @property
    def chat(self) -> str:
        """The message group to redrive it in."""
        return self.message_group or self.parsed.message_group or self.message_id

    def result(self, outcome: Rejected | Failed, now: datetime) -> MessageResult:
        """Return its result, completed now."""
        return MessageResult(
            outcome=outcome,
            origin=self.origin,
            correlation=self.parsed.correlation,
            completed_at=now,
            attempts=0,
        )


class UnreadableError(Exception):
    """The message has no readable request. The text quotes nothing of it."""


def read_dead_letter(
    message: MessageTypeDef, *, queue: DeadLetterQueue, messages_queue_arn: str
) -> DeadLetter:
    """Read a received message with all its attributes.

    Args:
        messages_queue_arn: The source of a message that SQS moved, if the message does not name it.

    Raises:
        UnreadableError: It has no readable request.
    """
    try:
        if queue is DeadLetterQueue.EVENTS:
            return _read_event(message)
        return _read_message(message, queue, messages_queue_arn)
    except UnreadableError:
        raise
    except Exception as defect:  # noqa: BLE001  # one dead letter must not stop the others
        raise UnreadableError(f"cannot be read: {type(defect).__name__}") from None


def _read_message(message: MessageTypeDef, queue: DeadLetterQueue, messages_queue_arn: str) -> DeadLetter:
    """Read a copy that the function made, or a message that SQS moved.

    SQS keeps body, attributes, group and message id of what it moves, and adds an attribute. A `Code` does
    not prove a copy: a producer may have set it.
    """
    message_id, system, attributes = message["MessageId"], message["Attributes"], _attributes(message)
    was_moved = queue is DeadLetterQueue.DEAD_LETTER and (
        "DeadLetterQueueSourceArn" in system or "Code" not in attributes
    )
    if was_moved:
        receive_count, own_attributes = int(system["ApproximateReceiveCount"]), {}
        source_arn = system.get("DeadLetterQueueSourceArn") or messages_queue_arn
        request = _parse(message["Body"], client_token=derive_client_token(source_arn, message_id))
    elif "Code" not in attributes:
        raise UnreadableError("not a copy that the function made")
    else:
        receive_count, own_attributes = 1, attributes
        request = _parse(message["Body"], client_token=attributes.get("ClientToken"))
        if request.correlation.client_token is None:
            raise UnreadableError("has no ClientToken")
    queued_at = _queued_at(message)
    origin = read_origin(attributes, queued_at=queued_at, receive_count=receive_count)
    if "QueuedAt" in own_attributes:  # of a finalized dead letter
        queued_at = min(queued_at, datetime.fromisoformat(own_attributes["QueuedAt"]))
    if origin is None:
        origin = Origin(
            event_source="sqs",
            source_id=own_attributes.get("SourceId") or message_id,
            accepted_at=queued_at,
            receive_count=receive_count,
            maybe_delivered=True,
        )
    return DeadLetter(
        message_id=message_id,
        code=own_attributes.get("Code", "MovedBySQS"),
        parsed=request,
        message_group=system.get("MessageGroupId") or own_attributes.get("MessageGroupId"),
        deduplication_id=message_id,
        queued_at=queued_at,
        # The function received a moved message each time, and ended before it could report a result
        origin=replace(origin, maybe_delivered=was_moved or origin.maybe_delivered),
        has_outcome=not was_moved,
        is_truncated="Truncated" in own_attributes,
        parts_delivered=int(own_attributes.get("PartsDelivered", 0)),
    )


def _read_event(message: MessageTypeDef) -> DeadLetter:
    """Read an event that EventBridge did not deliver to Lambda, or the record of a failed invocation.

    Sources: EventBridge user guide, "Using dead-letter queues"; Lambda developer guide, "Capturing records of
    Lambda asynchronous invocations".
    """
    match json.loads(message["Body"]):
        case {"requestPayload": event, "requestContext": dict(context)}:
            was_invoked, receive_count = True, max(1, int(context.get("approximateInvokeCount") or 1))
            code = str(context.get("condition") or _NO_ERROR_CODE)
        case event:
            was_invoked, receive_count = False, 1
            code = _attributes(message).get("ERROR_CODE", _NO_ERROR_CODE)
    try:
        source = detect(event)
    except UnsupportedEventError:
        raise UnreadableError("neither an event nor the record of an invocation") from None
    if source != "eventbridge":
        raise UnreadableError("not an event from the bus: its caller must invoke the function again")
    request = _parse(json_text(event["detail"]), client_token=client_token_of_event(event))
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
