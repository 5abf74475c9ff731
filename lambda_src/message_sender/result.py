"""The outcome of a message, and the result event that reports it (`schemas/message_result.json`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeAlias

from message_sender.errors import InvalidRequestError

if TYPE_CHECKING:
    from message_sender.errors import RejectedError, RetryableError
    from message_sender.request import Correlation

EventSource: TypeAlias = Literal["sqs", "eventbridge", "direct", "api_gateway"]
"""As the result schema enumerates them."""

RESULT_SOURCE: Final = "connect-message-sender"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The service accepted the message. With the status PROCESSING it can still fail later.

    Attributes:
        is_malformed: Whether the id, the time or the status in the answer is not in the documented form. Such
            a value is left out: it could be anything, even a part of the message.
        parts: The answers for the parts of a message with `SplitAt`, in order. The last one is the message's.
    """

    message_id: str | None
    absolute_time: str | None
    processing_status: str | None
    is_malformed: bool = False
    parts: tuple[Sent, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """The message can never be sent.

    Attributes:
        parts_delivered: Of a message with `SplitAt`: how many parts the service accepted in this invocation.
    """

    error: RejectedError
    maybe_delivered: bool = False
    parts_delivered: int | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The message could not be sent in the time allowed."""

    error: RetryableError
    maybe_delivered: bool = False
    parts_delivered: int | None = None


@dataclass(frozen=True, slots=True)
class Deferred:
    """No outcome yet: the message may be sent later. The event source decides how."""

    error: RetryableError
    maybe_delivered: bool = False
    parts_delivered: int | None = None


Outcome: TypeAlias = Sent | Rejected | Failed

_NAMES: Final[dict[type[Outcome], str]] = {Sent: "SENT", Rejected: "REJECTED", Failed: "FAILED"}
DETAIL_TYPES: Final[dict[type[Outcome], str]] = {
    Sent: "Message Sent",
    Rejected: "Message Rejected",
    Failed: "Message Failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The origin of a message.

    Attributes:
        source_id: The id that the producer got: the SQS message id, the event id, or the request id.
        receive_count: How often SQS delivered the message, this time included.
        maybe_delivered: Whether an earlier attempt may have reached the chat: of an event that Lambda
            repeats, or of a message that was enqueued for retry or redriven.
    """

    event_source: EventSource
    source_id: str
    accepted_at: datetime
    receive_count: int = 1
    maybe_delivered: bool = False


class MessageResult(NamedTuple):
    """The outcome of one message, as the function publishes it and returns it to a synchronous caller."""

    outcome: Outcome
    origin: Origin
    correlation: Correlation
    completed_at: datetime
    attempts: int

    @property
    def name(self) -> str:
        """`SENT`, `REJECTED` or `FAILED`."""
        return _NAMES[type(self.outcome)]

    @property
    def code(self) -> str | None:
        """The code of the error, None for a message that was sent."""
        return None if isinstance(self.outcome, Sent) else self.outcome.error.code

    @property
    def detail_type(self) -> str:
        return DETAIL_TYPES[type(self.outcome)]

    @property
    def parts_delivered(self) -> int:
        """How many parts of a message without the outcome SENT are in the chat, by this invocation."""
        return 0 if isinstance(self.outcome, Sent) else self.outcome.parts_delivered or 0

    @property
    def maybe_delivered(self) -> bool:
        """Whether a message without the outcome SENT may be in the chat all the same."""
        if isinstance(self.outcome, Sent):
            return False
        # The outcome of an earlier receive is unknown. Only an invalid request was certainly never sent.
        attempted_before = self.origin.maybe_delivered or self.origin.receive_count > 1
        earlier = attempted_before and not isinstance(self.outcome.error, InvalidRequestError)
        return self.outcome.maybe_delivered or earlier

    def detail(self) -> dict[str, Any]:
        """Return the detail of the result event.

        It contains no message text, and no token but the ClientToken, which is an id.
        """
        message: dict[str, Any] | None = None
        error: dict[str, Any] | None = None
        if isinstance(self.outcome, Sent):
            message = {
                "Id": self.outcome.message_id,
                "AbsoluteTime": self.outcome.absolute_time,
                "ProcessingStatus": self.outcome.processing_status,
            }
            if self.outcome.parts:
                message["Parts"] = [
                    {"Id": part.message_id, "AbsoluteTime": part.absolute_time} for part in self.outcome.parts
                ]
        else:
            error = {
                "Code": self.code,
                "Reason": self.outcome.error.reason,
                "HttpStatus": self.outcome.error.http_status,
                "RequestId": self.outcome.error.request_id,
                "MaybeDelivered": self.maybe_delivered,
            }
            if self.outcome.parts_delivered is not None:
                error["PartsDelivered"] = self.outcome.parts_delivered
        return {
            "Version": "1",
            "Outcome": self.name,
            "ClientToken": self.correlation.client_token,
            "ContactId": self.correlation.contact_id,
            "ContentType": self.correlation.content_type,
            "EventSource": self.origin.event_source,
            "SourceId": self.origin.source_id,
            "AcceptedAt": rfc3339(self.origin.accepted_at),
            "CompletedAt": rfc3339(self.completed_at),
            "ReceiveCount": self.origin.receive_count,
            "Attempts": self.attempts,
            "Message": message,
            "Error": error,
            "Metadata": dict(self.correlation.metadata),
        }


def rfc3339(moment: datetime) -> str:
    """Format a time as results and log lines have it, for instance `2026-11-08T02:41:28.172Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
