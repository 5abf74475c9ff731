"""SendMessage of the Amazon Connect Participant Service, one attempt at a time, over one urllib3 pool.

The call is not signed: the connection token is the only credential it needs. Source: Participant Service API
reference, "SendMessage".
"""

from __future__ import annotations

import json
import re
import time
from http import HTTPStatus
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

from message_sender import __version__, errors
from message_sender.aws.client import NO_RETRIES
from message_sender.errors import ConnectionFailedError, aws_error_name
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
    "it is a participant token; the participant never connected or has disconnected; the chat is in another "
    "Region. Remedy: create a new connection with the participant token. If that fails too, the chat is over"
)
_SERVICE_VALIDATION: Final = (
    "The service found the request invalid. A common cause: the content type is not among the "
    "SupportedMessagingContentTypes of the chat"
)
_CONFLICT: Final = (
    "The service answered with status 409, which its documentation does not list for SendMessage. A possible "
    "cause is the state of the contact: it has ended, or is being transferred"
)

# The function passes on only these names, numbers and ids of an answer: the service may quote the message.
# Source: the service model of `connectparticipant`.
_DOCUMENTED_ERRORS: Final = frozenset(
    f"{name}Exception"
    for name in (
        *("AccessDenied", "Conflict", "InternalServer", "ResourceNotFound"),
        *("ServiceQuotaExceeded", "Throttling", "Validation"),
    )
)
_PROCESSING_STATUSES: Final = frozenset({"PROCESSING", *_NOT_DELIVERED})
_MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9-]{1,256}")
_REQUEST_ID: Final = re.compile(
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"  # a UUID
    r"|[A-Za-z0-9_-]{15}="  # the extended id of API Gateway
)
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,9}")

_MAX_RETRY_AFTER: Final = 900.0
"""Seconds. The API passes the number on, and a longer one could contain digits of the message."""
_MAYBE_LATER: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY})


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
    def retry_after(self) -> float | None:
        """The seconds that the service asks to wait. `x-amz-retry-after` is in milliseconds."""
        for header, unit in (("x-amz-retry-after", 0.001), ("Retry-After", 1.0)):
            value = self.headers.get(header, "").strip()
            if _WHOLE_NUMBER.fullmatch(value):
                return min(int(value) * unit, _MAX_RETRY_AFTER)
        return None


class ParticipantClient:
    """Sends messages to one Participant Service.

    Args:
        pools: Has a connection for each thread that sends. Must not retry by itself.
        endpoint: The service's URL without a trailing slash.
        monotonic: Returns seconds that never run backwards.
    """

    def __init__(
        self, *, pools: urllib3.PoolManager, endpoint: str, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._pool = pools.connection_from_url(endpoint)
        self._path = f"{urllib3.util.parse_url(endpoint).path or ''}{_PATH}"

    def send_message(self, request: SendMessageRequest, *, timeout: float) -> Sent:
        """Send a message in one attempt, and follow no redirect.

        Args:
            request: The message. Its ClientToken makes a repeated call harmless.
            timeout: Seconds in all. At most 1 to connect, and 5 to wait for each piece of the answer. Only a
                slow name server, headers that trickle in, or a name with several addresses that do not
                answer, a second for each, can take longer.

        Raises:
            RejectedError: The message can never be sent.
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
                retries=NO_RETRIES,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            if response.status >= HTTPStatus.OK:
                data = read_body(response, deadline=deadline, monotonic=self._monotonic)
                return _Answer(response.status, response.headers, data is None, _json_object(data or b""))
            # Informational: the real answer is still to come, and no other request may read it
            response.close()
            failure = ConnectionFailedError(
                "The service sent an informational answer before the real one", maybe_delivered=True
            )
        except HTTPError as error:
            failure = _connection_failed(error)
        # Outside the block above: the error of urllib3 can quote the answer
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
        f"The connection broke before the answer was complete: {cause}",
        maybe_delivered=True,
        connection_lost=isinstance(error, ProtocolError),
    )


def _read_outcome(answer: _Answer) -> Sent:
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        raise _error(answer)
    body = answer.body or {}
    message_id = body.get("Id")
    if not isinstance(message_id, str) or not message_id:
        raise errors.ServiceUnavailableError(
            "The service answered without a valid body",
            http_status=answer.status,
            request_id=answer.request_id,
            maybe_delivered=True,
        )
    metadata = body.get("MessageMetadata")
    status = metadata.get("MessageProcessingStatus") if isinstance(metadata, dict) else None
    known_status = status if isinstance(status, str) and status in _PROCESSING_STATUSES else None
    if known_status in _NOT_DELIVERED:
        raise errors.ProcessingRejectedError(
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


def _error(answer: _Answer) -> errors.RejectedError | errors.RetryableError:
    status, name = answer.status, aws_error_name(answer.headers, answer.body)
    facts: errors.CallFacts = {"http_status": status, "request_id": answer.request_id}
    named = f" ({name})" if name in _DOCUMENTED_ERRORS else ""
    if status == HTTPStatus.TOO_MANY_REQUESTS or "Throttl" in name:
        reason = f"The quota of SendMessage is used up for now{named}"
        return errors.ThrottledError(reason, retry_after=answer.retry_after, **facts)
    is_bad_request = status == HTTPStatus.BAD_REQUEST
    # The part of a 400 that was cut off may have named a throttle
    if status in errors.SERVER_ERRORS or status in _MAYBE_LATER or (is_bad_request and answer.is_cut_off):
        reason, facts["maybe_delivered"] = f"The service failed with status {status}{named}", True
        return errors.ServiceUnavailableError(reason, retry_after=answer.retry_after, **facts)
    if status == HTTPStatus.FORBIDDEN or (is_bad_request and name == "AccessDeniedException"):
        return errors.AccessDeniedError(f"{_ACCESS_DENIED}{named}", **facts)
    if is_bad_request:
        return errors.ServiceValidationError(f"{_SERVICE_VALIDATION}{named}", **facts)
    if status == HTTPStatus.CONFLICT:
        return errors.UnexpectedResponseError(f"{_CONFLICT}{named}", **facts)
    return errors.UnexpectedResponseError(f"The service answered with status {status}{named}", **facts)
