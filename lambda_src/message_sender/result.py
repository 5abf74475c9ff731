"""What becomes of a message, and the result event that says so (`schemas/message_result.json`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from message_sender.errors import InvalidRequestError

if TYPE_CHECKING:
    from message_sender.errors import RejectedError, RetryableError
    from message_sender.request import Correlation

EventSource: TypeAlias = Literal["sqs", "eventbridge", "direct", "api_gateway"]

RESULT_SOURCE: Final = "connect-message-sender"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The service took the message. A processing status of PROCESSING can still end otherwise.

    Attributes:
        is_malformed: Whether the answer had an id, a time or a status that is not in the documented form. It
            is left out: it could be anything, a part of the message too.
    """

    message_id: str | None
    absolute_time: str | None
    processing_status: str | None
    is_malformed: bool = False


@dataclass(frozen=True, slots=True)
class Rejected:
    """The message can never be sent as it is."""

    error: RejectedError
    maybe_delivered: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """The message could not be sent in the time allowed."""

    error: RetryableError
    maybe_delivered: bool = False


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not an outcome yet: the message may be sent later. What that means is the event source's matter."""

    error: RetryableError
    maybe_delivered: bool = False


Outcome: TypeAlias = Sent | Rejected | Failed

_NAMES: Final[dict[type[Outcome], str]] = {Sent: "SENT", Rejected: "REJECTED", Failed: "FAILED"}
_DETAIL_TYPES: Final[dict[type[Outcome], str]] = {
    Sent: "Message Sent",
    Rejected: "Message Rejected",
    Failed: "Message Failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a message came from.

    Attributes:
        source_id: What the producer was given: the SQS message id, the event id, or the request id.
        receive_count: How often the message came, this time included.
        maybe_delivered: Whether an earlier try may have arrived: of an event that Lambda repeats, or of one
            before a hand-over or a redrive.
    """

    event_source: EventSource
    source_id: str
    accepted_at: datetime
    receive_count: int = 1
    maybe_delivered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageResult:
    """The outcome of one message, as it is published and as a synchronous caller gets it."""

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
        return _DETAIL_TYPES[type(self.outcome)]

    @property
    def maybe_delivered(self) -> bool:
        """Whether the message is not known as sent, and may have arrived all the same."""
        if isinstance(self.outcome, Sent):
            return False
        # What an earlier receive did is not known here. Only an invalid request was certainly never sent.
        tried_before = self.origin.maybe_delivered or self.origin.receive_count > 1
        earlier = tried_before and not isinstance(self.outcome.error, InvalidRequestError)
        return self.outcome.maybe_delivered or earlier

    def detail(self) -> dict[str, Any]:
        """Return the detail of the result event.

        It holds no message text, and of the tokens only the ClientToken, which is an id.
        """
        return {
            "Version": "1",
            "Outcome": self.name,
            "ClientToken": self.correlation.client_token,
            "ContactId": self.correlation.contact_id,
            "ContentType": self.correlation.content_type,
            "EventSource": self.origin.event_source,
            "SourceId": self.origin.source_id,
            "AcceptedAt": _rfc3339(self.origin.accepted_at),
            "CompletedAt": _rfc3339(self.completed_at),
            "ReceiveCount": self.origin.receive_count,
            "Attempts": self.attempts,
            "Message": self._message(),
            "Error": self._error(),
            "Metadata": dict(self.correlation.metadata),
        }

    def _message(self) -> dict[str, str | None] | None:
        if not isinstance(self.outcome, Sent):
            return None
        return {
            "Id": self.outcome.message_id,
            "AbsoluteTime": self.outcome.absolute_time,
            "ProcessingStatus": self.outcome.processing_status,
        }

    def _error(self) -> dict[str, Any] | None:
        if isinstance(self.outcome, Sent):
            return None
        error = self.outcome.error
        return {
            "Code": error.code,
            "Reason": error.reason,
            "HttpStatus": error.http_status,
            "RequestId": error.request_id,
            "MaybeDelivered": self.maybe_delivered,
        }


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
