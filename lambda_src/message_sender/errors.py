"""The errors of the function, as a tree.

MessageSenderError
├── UnsupportedEventError         the event is from no event source that the function knows
├── InternalError                 a defect of the function itself
├── AwsCallError                  a call of another AWS service failed
├── PredecessorPendingError       an earlier message of the same chat is not finished
├── ResultNotPublishedError       the result is neither on the bus nor in the queue for unpublished results
└── DeliveryError                 a message was not sent
    ├── RejectedError             ... and never can be
    │   ├── InvalidRequestError       the request breaks a rule of the contract
    │   ├── TokenUnreadableError      the sealed connection token cannot be decrypted
    │   ├── ServiceValidationError    400
    │   ├── AccessDeniedError         403
    │   ├── ExpiredError              ExpiresAt is past, or the message is too old
    │   ├── ProcessingRejectedError   200, but the body says REJECTED or FAILED
    │   └── UnexpectedResponseError   any other 3xx or 4xx
    └── RetryableError            ... and may be sent later
        ├── ThrottledError            429
        ├── ServiceUnavailableError   5xx, 408, 425, or a 2xx without a valid body
        ├── ConnectionFailedError     DNS, TLS, refused, reset, timeout
        ├── KeyUnavailableError       the key of sealed connection tokens cannot be used now
        └── DeadlineExceededError     too little time left for an attempt

The names below `RejectedError` and `RetryableError` are public. State machines match them; without `Error`
they are the codes of the result event. No error text contains a token or message text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypedDict, Unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

_ERROR_NAME: Final = re.compile(r"[A-Za-z.]{1,80}")
SERVER_ERRORS: Final = range(500, 1000)
TASK_IS_OVER: Final = frozenset({"TaskDoesNotExist", "TaskTimedOut"})
"""Errors of Step Functions for a task that timed out, was stopped, or is complete."""


class MessageSenderError(Exception):
    """The root of the function's errors."""


class UnsupportedEventError(MessageSenderError):
    """The event is from no event source that the function knows."""


class InternalError(MessageSenderError):
    """A defect of the function itself.

    The text names only the type of the cause: its own text could quote a message.
    """

    defect: BaseException | None = None

    @classmethod
    def caused_by(cls, defect: BaseException) -> InternalError:
        """Return the error that stands for a defect. Raise it `from None`."""
        error = cls(f"Unexpected {type(defect).__name__}: the log has the place")
        error.defect = defect
        return error


class AwsCallError(MessageSenderError):
    """A call of DynamoDB, EventBridge, KMS, SQS or Step Functions failed."""

    def __init__(self, operation: str, *, name: str, http_status: int | None) -> None:
        # The service chooses the name, and the log shows it
        self.name = name if _ERROR_NAME.fullmatch(name) else "UnknownError"
        super().__init__(f"{operation} failed: {self.name} ({http_status or 'no response'})")
        self.operation = operation
        self.http_status = http_status

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed a moment later."""
        status = self.http_status
        if self.name in TASK_IS_OVER:
            return False
        passing = status is None or status in {408, 425, 429} or status in SERVER_ERRORS
        # DynamoDB has a name of its own for a throttle: "Error handling with DynamoDB" in its developer guide
        return passing or "Throttl" in self.name or "ThroughputExceeded" in self.name


class PredecessorPendingError(MessageSenderError):
    """An earlier message of the same chat is not finished."""


class ResultNotPublishedError(MessageSenderError):
    """The result is neither on the bus nor in the queue for unpublished results. The text has both errors."""


class CallFacts(TypedDict, total=False):
    """The attributes of a `DeliveryError` besides its reason."""

    http_status: int | None
    request_id: str | None
    maybe_delivered: bool


class DeliveryError(MessageSenderError):
    """A message was not sent.

    Attributes:
        reason: For people. Names fields and rules, never values.
        http_status: The status of the Participant Service's answer, None without an answer.
        request_id: The service's id of the call.
        maybe_delivered: Whether this attempt may have reached the chat although it failed.
    """

    def __init__(self, reason: str, **facts: Unpack[CallFacts]) -> None:
        super().__init__(reason)
        self.reason = reason
        self.http_status = facts.get("http_status")
        self.request_id = facts.get("request_id")
        self.maybe_delivered = facts.get("maybe_delivered", False)

    @property
    def code(self) -> str:
        """The code of the result event: the name of the class without `Error`."""
        return type(self).__name__.removesuffix("Error")


class RejectedError(DeliveryError):
    """The message can never be sent."""


class InvalidRequestError(RejectedError):
    """The request breaks a rule of the contract."""


class TokenUnreadableError(RejectedError):
    """The sealed connection token cannot be decrypted: it is malformed, or sealed for another key or chat."""


class ServiceValidationError(RejectedError):
    """The Participant Service found the request invalid."""


class AccessDeniedError(RejectedError):
    """The Participant Service refused the connection token."""


class ExpiredError(RejectedError):
    """`ExpiresAt` is past, or the message is older than `maximum_age_minutes`."""


class ProcessingRejectedError(RejectedError):
    """The service answered 200, and its body says that the message was not delivered."""


class UnexpectedResponseError(RejectedError):
    """The service answered with a status that its documentation does not list."""


class RetryableError(DeliveryError):
    """The message may be sent later.

    Attributes:
        retry_after: Seconds that the service asked to wait, None if it did not ask.
    """

    def __init__(self, reason: str, *, retry_after: float | None = None, **facts: Unpack[CallFacts]) -> None:
        super().__init__(reason, **facts)
        self.retry_after = retry_after


class ThrottledError(RetryableError):
    """The quota of SendMessage is used up for now."""


class ServiceUnavailableError(RetryableError):
    """The service failed, or its answer cannot be read."""


class ConnectionFailedError(RetryableError):
    """The function received no complete answer.

    Attributes:
        connection_lost: The connection broke while in use. The service may have closed it while it was idle,
            so an attempt over a new connection is worthwhile at once.
    """

    def __init__(self, reason: str, *, connection_lost: bool = False, **facts: Unpack[CallFacts]) -> None:
        super().__init__(reason, **facts)
        self.connection_lost = connection_lost


class KeyUnavailableError(RetryableError):
    """KMS did not decrypt a sealed connection token, for a reason that can pass or be fixed."""


class DeadlineExceededError(RetryableError):
    """The invocation has too little time left for an attempt."""


def aws_error_name(headers: Mapping[str, str], body: Mapping[str, Any] | None) -> str:
    """Return the error name in a service's answer, empty if it has none. The text is the service's choice.

    Returns `Denied` also for `com.example#Denied:http://internal/`. Sources: Smithy's specification, "AWS
    restJson1 protocol" and "AWS JSON 1.1 protocol", "Operation error serialization".
    """
    fields = body or {}
    for text in (headers.get("x-amzn-errortype"), *map(fields.get, ("__type", "code", "Code"))):
        # A proxy may join two headers of one name by a comma
        name = re.split("[,:]", text)[0].rpartition("#")[2].strip() if isinstance(text, str) else ""
        if name:
            return name
    return ""
