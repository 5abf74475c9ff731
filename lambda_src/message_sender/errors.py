"""The errors of the function, as a tree.

MessageSenderError
├── UnsupportedEventError         the event comes from no source that the function knows
├── InternalError                 a defect of the function itself
├── AwsCallError                  a call of EventBridge, SQS or Step Functions failed
├── PredecessorPendingError                 an earlier message of the same chat is not done yet
├── ResultNotPublishedError       the result of a message is safe nowhere
└── DeliveryError                 a message was not sent
    ├── RejectedError             ... and cannot be sent as it is
    │   ├── InvalidRequestError       our validation
    │   ├── ServiceValidationError    400
    │   ├── AccessDeniedError         403
    │   ├── ExpiredError              ExpiresAt is past; no call was made
    │   ├── ProcessingRejectedError   200, but the service says REJECTED or FAILED
    │   └── UnexpectedResponseError   any other 3xx or 4xx
    └── RetryableError            ... and may be sent later
        ├── ThrottledError            429
        ├── ServiceUnavailableError   5xx, 408, 425, or a 2xx without a valid body
        ├── ConnectionFailedError     DNS, TLS, refused, reset, timeout
        └── DeadlineExceededError     not enough time left to try

The names below `RejectedError` and `RetryableError` are public: state machines match them, and without
`Error` they are the codes of the result event. No text of an error ever holds a token or message text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_ERROR_NAME: Final = re.compile(r"[A-Za-z.]{1,80}")


class MessageSenderError(Exception):
    """The root of the function's errors."""


class UnsupportedEventError(MessageSenderError):
    """The event comes from no source that the function knows."""


class InternalError(MessageSenderError):
    """A defect of the function itself, told without the text of its cause, which could hold anything."""

    defect: BaseException | None = None

    @classmethod
    def caused_by(cls, defect: BaseException) -> InternalError:
        """Return the error that stands for a defect. Raise it `from None`."""
        error = cls(f"Unexpected {type(defect).__name__}: the log has the place")
        error.defect = defect
        return error


class AwsCallError(MessageSenderError):
    """A call of EventBridge, SQS or Step Functions failed."""

    def __init__(self, operation: str, *, name: str, http_status: int | None) -> None:
        # The name comes from the service, and goes to the log
        self.name = name if _ERROR_NAME.fullmatch(name) else "UnknownError"
        super().__init__(f"{operation} failed: {self.name} ({http_status or 'no response'})")
        self.operation = operation
        self.http_status = http_status

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed a moment later."""
        return (
            self.http_status is None
            or self.http_status in {408, 425, 429}
            or self.http_status >= 500  # noqa: PLR2004  # the HTTP class of server errors
            or "Throttl" in self.name
        )


class PredecessorPendingError(MessageSenderError):
    """An earlier message of the same chat is not done yet."""


class ResultNotPublishedError(MessageSenderError):
    """The result of a message is neither on the bus nor in the unpublished-results queue."""


class DeliveryError(MessageSenderError):
    """A message was not sent.

    Attributes:
        reason: For people. Names fields and rules, never values.
        http_status: What the Participant Service answered, None without an answer.
        request_id: The service's own id of the call.
        maybe_delivered: Whether this very try may have reached the chat all the same.
    """

    def __init__(
        self,
        reason: str,
        *,
        http_status: int | None = None,
        request_id: str | None = None,
        maybe_delivered: bool = False,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.http_status = http_status
        self.request_id = request_id
        self.maybe_delivered = maybe_delivered

    @property
    def code(self) -> str:
        """The code of the result event: the name of the class without `Error`."""
        return type(self).__name__.removesuffix("Error")


class RejectedError(DeliveryError):
    """The message cannot be sent as it is."""


class InvalidRequestError(RejectedError):
    """The request breaks a rule of the contract."""


class ServiceValidationError(RejectedError):
    """The Participant Service found the request invalid."""


class AccessDeniedError(RejectedError):
    """The Participant Service refused the connection token."""


class ExpiredError(RejectedError):
    """`ExpiresAt` is past."""


class ProcessingRejectedError(RejectedError):
    """The service answered 200 and said in the body that the message was not delivered."""


class UnexpectedResponseError(RejectedError):
    """The service answered with a status that its documentation does not name."""


class RetryableError(DeliveryError):
    """The message may be sent later.

    Attributes:
        retry_after: Seconds that the service asked to wait, None where it asked for nothing.
    """

    def __init__(
        self,
        reason: str,
        *,
        http_status: int | None = None,
        request_id: str | None = None,
        maybe_delivered: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(
            reason, http_status=http_status, request_id=request_id, maybe_delivered=maybe_delivered
        )
        self.retry_after = retry_after


class ThrottledError(RetryableError):
    """The quota of SendMessage is used up for now."""


class ServiceUnavailableError(RetryableError):
    """The service failed, or its answer cannot be read."""


class ConnectionFailedError(RetryableError):
    """There was no whole answer.

    Attributes:
        connection_lost: The connection broke while it was in use, as a kept-alive one does that the
            other side had closed. A new connection is worth a try at once.
    """

    def __init__(self, reason: str, *, maybe_delivered: bool = False, connection_lost: bool = False) -> None:
        super().__init__(reason, maybe_delivered=maybe_delivered)
        self.connection_lost = connection_lost


class DeadlineExceededError(RetryableError):
    """The time that is left does not suffice for a try."""


def aws_error_name(headers: Mapping[str, str], body: Mapping[str, Any] | None) -> str:
    """Return the name of the error in a service's answer, empty if there is none. The service chooses it.

    `Denied` also from `com.example#Denied:http://internal/`. Sources: Smithy's specification, "AWS restJson1
    protocol" and "AWS JSON 1.1 protocol", "Operation error serialization".
    """
    fields = body or {}
    for text in (headers.get("x-amzn-errortype"), *map(fields.get, ("__type", "code", "Code"))):
        # A proxy may join two headers of one name by a comma
        name = re.split("[,:]", text)[0].rpartition("#")[2].strip() if isinstance(text, str) else ""
        if name:
            return name
    return ""
