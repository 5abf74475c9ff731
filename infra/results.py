"""Read the results that a sender publishes on its event bus, or answers to a caller that waits.

    def lambda_handler(event: dict[str, Any], context: object) -> None:
        result = parse_result(event)
        if result.outcome is not Outcome.SENT:
            ...

EventBridge delivers a result at least once, and in any order. `MessageResult.deduplication_key` identifies
the repeats.
This module needs neither boto3 nor the CDK.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self, TypeVar

from .contract import RESULT_DETAIL_TYPES, RESULT_SOURCE

E = TypeVar("E", bound=StrEnum)

_VERSION: Final = "1"
_NONE: Final = type(None)
_NO_MESSAGE: Final = {"Id": None, "AbsoluteTime": None, "ProcessingStatus": None}
_NO_ERROR: Final = {"HttpStatus": None, "RequestId": None, "MaybeDelivered": False}


class Outcome(StrEnum):
    """SENT: Amazon Connect accepted it. REJECTED: it can never be sent. FAILED: its retries are exhausted."""

    SENT = "SENT"
    REJECTED = "REJECTED"
    FAILED = "FAILED"


class ErrorCode(StrEnum):
    """Why a message was not sent. `docs/reference/errors.md` says for each code what you do."""

    INVALID_REQUEST = "InvalidRequest"
    TOKEN_UNREADABLE = "TokenUnreadable"  # noqa: S105  # a code
    SERVICE_VALIDATION = "ServiceValidation"
    ACCESS_DENIED = "AccessDenied"
    EXPIRED = "Expired"
    PROCESSING_REJECTED = "ProcessingRejected"
    UNEXPECTED_RESPONSE = "UnexpectedResponse"
    THROTTLED = "Throttled"
    SERVICE_UNAVAILABLE = "ServiceUnavailable"
    CONNECTION_FAILED = "ConnectionFailed"
    KEY_UNAVAILABLE = "KeyUnavailable"
    DEADLINE_EXCEEDED = "DeadlineExceeded"

    @property
    def is_retryable(self) -> bool:
        """Whether the same request can succeed later, under the same ClientToken."""
        return self in _RETRYABLE


_RETRYABLE: Final = frozenset(
    {
        ErrorCode.THROTTLED,
        ErrorCode.SERVICE_UNAVAILABLE,
        ErrorCode.CONNECTION_FAILED,
        ErrorCode.KEY_UNAVAILABLE,
        ErrorCode.DEADLINE_EXCEEDED,
    }
)


class ReportedSource(StrEnum):
    """How a message reached the function. POST /messages counts as SQS."""

    SQS = "sqs"
    EVENTBRIDGE = "eventbridge"
    DIRECT = "direct"
    API_GATEWAY = "api_gateway"


class NotAResultError(ValueError):
    """The value is not a result of a sender. The text names the field and quotes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageResult:
    """The outcome of one message. It holds no token and no message text.

    A later version of the sender may add codes and event sources. Such a value is a plain string, so give
    each `match` a default case.

    Attributes:
        client_token: The identity of the message. None only if the request of a caller that waits has none.
        source_id: The id of the SQS message, of the event or of the invocation.
        accepted_at: When the queue, the event bus or the function first accepted the message, in UTC.
        completed_at: When the function knew the outcome, in UTC.
        receive_count: How often the message reached the function.
        attempts: Calls of Amazon Connect for this message in its last invocation.
        code: Why the message was not sent. None for SENT.
        reason: The cause in words. It names fields and rules, never values.
        http_status: The status of Amazon Connect's answer, None without an answer or for SENT.
        request_id: Of Amazon Connect's answer, for AWS Support.
        maybe_delivered: Whether a message that is not SENT may be in the chat all the same.
        message_id: The id of the message in the chat, for SENT.
        message_time: The time of the message in the chat, for SENT.
        processing_status: `PROCESSING` means that a SENT message can still fail.
        metadata: The Metadata of the request.
        detail: All fields, as `schemas/message_result.json` describes them.
    """

    outcome: Outcome
    event_source: ReportedSource | str
    source_id: str
    client_token: str | None
    contact_id: str | None
    content_type: str | None
    accepted_at: datetime
    completed_at: datetime
    receive_count: int
    attempts: int
    code: ErrorCode | str | None
    reason: str | None
    http_status: int | None
    request_id: str | None
    maybe_delivered: bool
    message_id: str | None
    message_time: datetime | None
    processing_status: str | None
    metadata: Mapping[str, str] = field(hash=False)
    detail: Mapping[str, Any] = field(repr=False, hash=False)

    @property
    def deduplication_key(self) -> str:
        """The same for each repeat of this result. Another outcome of the same message has another key."""
        return f"{self.source_id}:{self.outcome}"

    @classmethod
    def from_detail(cls, detail: Mapping[str, Any]) -> Self:
        """Read the detail of a result event, or the answer of a synchronous call.

        Raises:
            NotAResultError: It is not a result, or one of another version of the contract.
        """
        if _read(detail, "Version", str) != _VERSION:
            raise NotAResultError(f"Version is not {_VERSION}")
        outcome = as_member(Outcome, _read(detail, "Outcome", str))
        if not isinstance(outcome, Outcome):
            raise NotAResultError("Outcome is unknown")
        is_sent = outcome is Outcome.SENT
        message = _read(detail, "Message", Mapping if is_sent else _NONE) or _NO_MESSAGE
        error = _read(detail, "Error", _NONE if is_sent else Mapping) or _NO_ERROR
        return cls(
            outcome=outcome,
            event_source=as_member(ReportedSource, _read(detail, "EventSource", str)),
            source_id=_read(detail, "SourceId", str),
            client_token=_read(detail, "ClientToken", str, _NONE),
            contact_id=_read(detail, "ContactId", str, _NONE),
            content_type=_read(detail, "ContentType", str, _NONE),
            accepted_at=_time(detail, "AcceptedAt"),
            completed_at=_time(detail, "CompletedAt"),
            receive_count=_read(detail, "ReceiveCount", int),
            attempts=_read(detail, "Attempts", int),
            code=None if is_sent else as_member(ErrorCode, _read(error, "Code", str)),
            reason=None if is_sent else _read(error, "Reason", str),
            http_status=_read(error, "HttpStatus", int, _NONE),
            request_id=_read(error, "RequestId", str, _NONE),
            maybe_delivered=_read(error, "MaybeDelivered", bool),
            message_id=_read(message, "Id", str, _NONE),
            message_time=_moment(_read(message, "AbsoluteTime", str, _NONE)),
            processing_status=_read(message, "ProcessingStatus", str, _NONE),
            metadata=_read(detail, "Metadata", Mapping),
            detail=detail,
        )


def parse_result(value: Mapping[str, Any] | str | bytes) -> MessageResult:
    """Read a result from what a rule's target gets, or from the answer of a caller that waits.

    Args:
        value: The event that EventBridge passes to a Lambda function, or its detail alone. As text, the body
            of an SQS message, the Message of an SNS notification, or the answer of POST /messages/sync.

    Raises:
        NotAResultError: It is something else, such as a request on the same bus.
    """
    document = _decoded(value) if isinstance(value, str | bytes) else value
    if not isinstance(document, Mapping):
        raise NotAResultError("The value is not a JSON object")
    if "detail" not in document:
        return MessageResult.from_detail(document)
    if document.get("source") != RESULT_SOURCE:
        raise NotAResultError(f"The source of the event is not {RESULT_SOURCE}")
    if document.get("detail-type") not in RESULT_DETAIL_TYPES:
        raise NotAResultError("The detail-type of the event is not one of a result")
    return MessageResult.from_detail(_read(document, "detail", Mapping))


def _decoded(text: str | bytes) -> object:
    try:
        document: object = json.loads(text)
    except (ValueError, RecursionError):
        failure = NotAResultError("The text is not valid JSON")
    else:
        return document
    raise failure  # not from the error above, which has the text


def _read(document: Mapping[str, Any], name: str, *types: type) -> Any:  # noqa: ANN401  # as `types` say
    value = document.get(name, ...)
    if not isinstance(value, types):
        raise NotAResultError(f"{name} is missing, or has another type")
    return value


def as_member(enum: type[E], value: str) -> E | str:
    """Return the member with a value. A value that this version does not know stays a string."""
    try:
        return enum(value)
    except ValueError:
        return value


def _time(detail: Mapping[str, Any], name: str) -> datetime:
    if (time := _moment(_read(detail, name, str))) is None:
        raise NotAResultError(f"{name} is not a time with an offset")
    return time


def _moment(text: str | None) -> datetime | None:
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:  # RFC 3339 permits a leap second, Python does not
        return None
    return time if time.tzinfo else None
