"""Calls of one AWS service: `AwsClient` retries, `JsonApi` makes a single signed request with urllib3."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Protocol

import urllib3
from urllib3.exceptions import HTTPError

from message_sender.aws.signature import signed
from message_sender.errors import AwsCallError, aws_error_name
from message_sender.response_body import read_body
from message_sender.retry import MAX_ATTEMPTS, full_jitter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from message_sender.aws.credentials import Credentials
    from message_sender.clock import Clock

_CONNECT_TIMEOUT: Final = 1.0
_READ_TIMEOUT: Final = 2.0

MAX_CALL_SECONDS: Final = _CONNECT_TIMEOUT + _READ_TIMEOUT
"""Time to plan for one attempt. Only a slow name server, headers or a body that trickle in, or a name with
several addresses that do not answer, a second for each, can make it longer."""

_BASE_DELAY: Final = 0.1

NO_RETRIES: Final = urllib3.Retry(total=False, redirect=False)
"""As `retries=False`, which would make urllib3 create such an object for every request."""


class AwsApi(Protocol):
    """Makes single attempts to call a service."""

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Call an operation once and return the answer.

        Raises:
            AwsCallError: The call failed.
        """
        ...


class AwsClient:
    """Calls one service, and retries what may succeed a moment later.

    Args:
        api: Must not retry by itself.
        random: Returns a number from 0 to 1, for jitter.
    """

    def __init__(self, api: AwsApi, *, clock: Clock, random: Callable[[], float]) -> None:
        self._api = api
        self._clock = clock
        self._random = random

    def call(
        self,
        operation: str,
        parameters: Mapping[str, Any],
        *,
        until: float,
        max_attempts: int = MAX_ATTEMPTS,
        remaining: Callable[[dict[str, Any]], Mapping[str, Any] | None] | None = None,
    ) -> dict[str, Any]:
        """Call an operation and return the answer.

        Args:
            until: The moment of the monotonic clock by which the last attempt must be over.
            remaining: For a call that can fail in part. Gets each answer and returns the parameters to send
                again, None if nothing is left.

        Raises:
            AwsCallError: Every attempt failed, the error is not retryable, or no time was left.
        """
        failure = AwsCallError(operation, name="DeadlineExceeded", http_status=None)
        for attempt in range(1, max_attempts + 1):
            if attempt > 1:
                self._clock.sleep(full_jitter(attempt - 1, base=_BASE_DELAY, random=self._random))
            if self._clock.monotonic() + MAX_CALL_SECONDS > until:
                break
            try:
                answer = self._api.call(operation, parameters)
            except AwsCallError as error:
                failure = error
                if not error.retryable:
                    break
                continue
            rest = None if remaining is None else remaining(answer)
            if rest is None:
                return answer
            parameters, failure = rest, failed_in_part(operation)
        raise failure


def failed_in_part(operation: str) -> AwsCallError:
    """Return the error of a call that succeeded only for some of its entries."""
    return AwsCallError(operation, name="FailedInPart", http_status=HTTPStatus.OK)


class JsonApi:
    """One service, over a signed HTTP request with a JSON body.

    Args:
        pools: Must not retry by itself.
        endpoint: The service's URL.
        target: The prefix of the operation in `X-Amz-Target`, such as `AWSEvents`.
        content_type: `application/x-amz-json-1.1` or `-1.0`, as the service's model says.
    """

    def __init__(
        self,
        *,
        pools: urllib3.PoolManager,
        endpoint: str,
        region: str,
        signing_name: str,
        target: str,
        content_type: str,
        credentials: Callable[[], Credentials],
    ) -> None:
        self._pool = pools.connection_from_url(endpoint)
        url = urllib3.util.parse_url(f"{endpoint}/")
        is_default_port = url.port == {"http": 80, "https": 443}[str(url.scheme)]
        self._host = str(url.host if is_default_port else url.netloc)  # as botocore signs it
        self._path = str(url.path)
        self._region = region
        self._signing_name = signing_name
        self._target = target
        self._content_type = content_type
        self._credentials = credentials

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Call an operation once and return the answer.

        Raises:
            AwsCallError: The call failed. The text contains the service's name for the error, and nothing of
                the parameters.
        """
        body = json.dumps(parameters).encode()
        try:
            response = self._pool.urlopen(
                "POST",
                self._path,
                body=body,
                headers=self._signed_headers(operation, body),
                timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT, read=_READ_TIMEOUT),
                retries=NO_RETRIES,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            if response.status < HTTPStatus.OK:
                # Informational: the real answer is still to come, and no other call may read it
                response.close()
                raise AwsCallError(operation, name="InformationalAnswer", http_status=None)
            data = read_body(response, deadline=time.monotonic() + MAX_CALL_SECONDS)
        except HTTPError as error:
            raise AwsCallError(operation, name=type(error).__name__, http_status=None) from None
        try:
            answer = None if data is None else json.loads(data or b"{}")
        except (ValueError, RecursionError):
            answer = None
        if response.status == HTTPStatus.OK and isinstance(answer, dict):
            return answer
        name = aws_error_name(response.headers, answer if isinstance(answer, dict) else None)
        raise AwsCallError(operation, name=name or "UnreadableResponse", http_status=response.status)

    def _signed_headers(self, operation: str, body: bytes) -> dict[str, str]:
        return signed(
            {
                "Host": self._host,
                "Content-Type": self._content_type,
                "X-Amz-Target": f"{self._target}.{operation}",
            },
            body,
            path=self._path,
            region=self._region,
            service=self._signing_name,
            credentials=self._credentials(),
            now=datetime.now(UTC),
        )
