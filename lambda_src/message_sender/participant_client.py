"""SendMessage of the Amazon Connect Participant Service, one try at a time, over one urllib3 pool.

The call is not signed: the connection token is its only authentication. Source: the Participant Service's
API reference, "SendMessage".
"""

from __future__ import annotations

import json
import re
import time
from ssl import SSLCertVerificationError
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from message_sender import __version__
from message_sender.errors import (
    AccessDeniedError,
    ConnectionFailedError,
    ProcessingRejectedError,
    RejectedError,
    RetryableError,
    ServiceUnavailableError,
    ServiceValidationError,
    ThrottledError,
    UnexpectedResponseError,
    aws_error_name,
)
from message_sender.request import read_time
from message_sender.response_body import read_body
from message_sender.result import Sent
from message_sender.retry import CONNECT_TIMEOUT, READ_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from message_sender.request import SendMessageRequest

_PATH: Final = "/participant/message"
_HEADERS: Final = {
    "Content-Type": "application/json",
    "Accept": "application/json",
    "User-Agent": f"connect-message-sender/{__version__}",
}
_NOT_DELIVERED: Final = frozenset({"REJECTED", "FAILED"})

_ACCESS_DENIED: Final = (
    "The connection token was refused. Possible causes: the chat has ended; the token is older than a day; "
    "it is a participant token; the participant never connected or has disconnected; the chat lives in "
    "another Region. Remedy: make a new connection with the participant token; if that fails too, the chat "
    "is over"
)
_SERVICE_VALIDATION: Final = (
    "The service found the request invalid. A common cause: the content type is not among the "
    "SupportedMessagingContentTypes that the chat was started with"
)

_CONFLICT: Final = (
    "The service answered with status 409, which its documentation does not name for SendMessage. A possible "
    "cause is the state of the contact: it has ended, or is being transferred"
)

# Nothing but these names, numbers and ids is passed on of an answer: the service may quote the message.
# Source: the service model of `connectparticipant`.
_MODELLED_ERRORS: Final = frozenset(
    {
        "AccessDeniedException",
        "ConflictException",
        "InternalServerException",
        "ResourceNotFoundException",
        "ServiceQuotaExceededException",
        "ThrottlingException",
        "ValidationException",
    }
)
_PROCESSING_STATUSES: Final = frozenset({"PROCESSING", *_NOT_DELIVERED})
_MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9-]{1,256}")
_REQUEST_ID: Final = re.compile(
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"  # a UUID
    r"|[A-Za-z0-9_-]{15}="  # the extended id of API Gateway
)
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,9}")

_LONGEST_RETRY_AFTER: Final = 900.0
"""Seconds. The API passes the number on, and a longer one could carry digits of the message."""


class _Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    is_cut_off: bool
    body: dict[str, Any] | None

    @property
    def request_id(self) -> str | None:
        value = self.headers.get("x-amzn-requestid", "")
        return value if _REQUEST_ID.fullmatch(value) else None

    @property
    def error_name(self) -> str:
        return aws_error_name(self.headers, self.body)

    @property
    def retry_after(self) -> float | None:
        """The seconds that the service asks to wait: `x-amz-retry-after` has milliseconds."""
        for header, unit in (("x-amz-retry-after", 0.001), ("Retry-After", 1.0)):
            value = self.headers.get(header, "").strip()
            if _WHOLE_NUMBER.fullmatch(value):
                return min(int(value) * unit, _LONGEST_RETRY_AFTER)
        return None


class ParticipantClient:
    """Sends messages to one Participant Service.

    Args:
        pools: Has a connection for each thread that sends. It must not retry by itself.
        endpoint: The service's URL without a trailing slash.
        monotonic: Returns seconds that never run backwards.
    """

    def __init__(
        self,
        *,
        pools: urllib3.PoolManager,
        endpoint: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._pool = pools.connection_from_url(endpoint)
        self._path = f"{urllib3.util.parse_url(endpoint).path or ''}{_PATH}"

    def send_message(self, request: SendMessageRequest, *, timeout: float) -> Sent:
        """Send a message once, and follow no redirect.

        Args:
            request: The message. Its ClientToken makes a repeat of the call harmless.
            timeout: Seconds in all, of which at most 1 to connect, and 5 to wait for each piece of the
                answer. Only a slow name server, headers that trickle in, or a name with several addresses of
                which none answers, a second for each, can make it longer.

        Raises:
            RejectedError: The message cannot be sent as it is.
            RetryableError: The message may be sent later.
        """
        return _read_outcome(self._call(request, timeout))

    def _call(self, request: SendMessageRequest, timeout: float) -> _Answer:
        body = {
            "ContentType": request.content_type,
            "Content": request.content.reveal(),
            "ClientToken": request.client_token,
        }
        deadline = self._monotonic() + timeout
        try:
            response = self._pool.urlopen(
                "POST",
                self._path,
                body=json.dumps(body).encode(),
                headers={**_HEADERS, "X-Amz-Bearer": request.connection_token.reveal()},
                timeout=urllib3.Timeout(total=timeout, connect=CONNECT_TIMEOUT, read=READ_TIMEOUT),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            if response.status >= 200:  # noqa: PLR2004  # the HTTP class of success
                data = read_body(response, deadline=deadline, monotonic=self._monotonic)
                return _Answer(response.status, response.headers, data is None, _json_object(data or b""))
            # Informational: the real answer is still to come, and no other request may read it
            response.close()
            failure = ConnectionFailedError(
                "The service sent an informational answer before the real one", maybe_delivered=True
            )
        except HTTPError as error:
            failure = _connection_failed(error)
        # Not in the block above: the error of urllib3 can hold what the service sent
        raise failure


def _json_object(data: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _connection_failed(error: HTTPError) -> ConnectionFailedError:
    cause = type(error).__name__
    if isinstance(error, NewConnectionError | ConnectTimeoutError):
        return ConnectionFailedError(f"No connection to the service: {cause}")
    if isinstance(error, SSLError) and isinstance(error.args[0], SSLCertVerificationError):
        return ConnectionFailedError("The certificate of the service is not trusted")
    if isinstance(error, ReadTimeoutError):
        return ConnectionFailedError("The service did not answer in time", maybe_delivered=True)
    return ConnectionFailedError(
        f"The connection broke before there was a whole answer: {cause}",
        maybe_delivered=True,
        connection_lost=isinstance(error, ProtocolError),
    )


def _read_outcome(answer: _Answer) -> Sent:
    if not 200 <= answer.status < 300:  # noqa: PLR2004  # the HTTP class of success
        raise _error(answer)
    body = answer.body or {}
    message_id = body.get("Id")
    if not isinstance(message_id, str) or not message_id:
        raise ServiceUnavailableError(
            "The service answered without a valid body",
            http_status=answer.status,
            request_id=answer.request_id,
            maybe_delivered=True,
        )
    metadata = body.get("MessageMetadata")
    status = metadata.get("MessageProcessingStatus") if isinstance(metadata, dict) else None
    known_status = status if isinstance(status, str) and status in _PROCESSING_STATUSES else None
    if known_status in _NOT_DELIVERED:
        raise ProcessingRejectedError(
            f"The service took the message and did not deliver it: MessageProcessingStatus is {known_status}",
            http_status=answer.status,
            request_id=answer.request_id,
        )
    absolute_time = body.get("AbsoluteTime")
    known_id = message_id if _MESSAGE_ID.fullmatch(message_id) else None
    known_time = absolute_time if isinstance(absolute_time, str) and read_time(absolute_time) else None
    return Sent(
        message_id=known_id,
        absolute_time=known_time,
        processing_status=known_status,
        is_malformed=(known_id, known_time, known_status) != (message_id, absolute_time, status)
        or not isinstance(metadata, dict | None),
    )


def _error(answer: _Answer) -> RejectedError | RetryableError:
    status, name = answer.status, answer.error_name
    facts: dict[str, Any] = {"http_status": status, "request_id": answer.request_id}
    named = f" ({name})" if name in _MODELLED_ERRORS else ""
    if status == 429 or "Throttl" in name:  # noqa: PLR2004
        return ThrottledError(
            f"The quota of SendMessage is used up for now{named}", retry_after=answer.retry_after, **facts
        )
    # The part of a 400 that was cut off may have named a throttle
    if status >= 500 or status in {408, 425} or (status == 400 and answer.is_cut_off):  # noqa: PLR2004
        return ServiceUnavailableError(
            f"The service failed with status {status}{named}",
            retry_after=answer.retry_after,
            maybe_delivered=True,
            **facts,
        )
    if status == 403 or (status == 400 and name == "AccessDeniedException"):  # noqa: PLR2004
        return AccessDeniedError(f"{_ACCESS_DENIED}{named}", **facts)
    if status == 400:  # noqa: PLR2004
        return ServiceValidationError(f"{_SERVICE_VALIDATION}{named}", **facts)
    if status == 409:  # noqa: PLR2004
        return UnexpectedResponseError(f"{_CONFLICT}{named}", **facts)
    return UnexpectedResponseError(f"The service answered with status {status}{named}", **facts)
