"""A small client for the AWS APIs that speak JSON: EventBridge, SQS, Step Functions.

urllib3 for the calls, and `signature.py`. A client of boto3 or botocore costs 250 ms of a cold start and
three times the CPU for a call (docs/decisions.md).
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol

import urllib3
from urllib3.exceptions import HTTPError

from message_sender.aws.signature import signed
from message_sender.errors import AwsCallError, aws_error_name
from message_sender.response_body import read_body
from message_sender.retry import MAX_ATTEMPTS, full_jitter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from message_sender.aws.credentials import Credentials
    from message_sender.clock import Clock

_CONNECT_TIMEOUT: Final = 1.0
_READ_TIMEOUT: Final = 2.0

LONGEST_CALL: Final = _CONNECT_TIMEOUT + _READ_TIMEOUT
"""Seconds to plan for one call. Only a slow name server, headers that trickle in, or a name with several
addresses of which none answers, a second for each, can make it longer."""

_BASE_DELAY: Final = 0.1


class AwsApi(Protocol):
    """Calls one service."""

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Call an operation once and return what it answers.

        Raises:
            AwsCallError: The call failed.
        """
        ...


def tries(
    *, clock: Clock, random: Callable[[], float], until: float, most: int = MAX_ATTEMPTS
) -> Iterator[int]:
    """Count the tries of a call, at most three unless told otherwise, and wait between them.

    Ends early when another try could not end in time.

    Args:
        random: Returns a number from 0 to 1, for jitter.
        until: The moment of the monotonic clock at which the last try must be over.
    """
    for attempt in range(1, most + 1):
        if attempt > 1:
            clock.sleep(full_jitter(attempt - 1, base=_BASE_DELAY, random=random))
        if clock.monotonic() + LONGEST_CALL > until:
            return
        yield attempt


class JsonApi:
    """One service, over a signed HTTP request with a JSON body.

    Args:
        pools: Must not retry by itself.
        endpoint: The service's URL.
        target: What stands before the operation in `X-Amz-Target`, such as `AWSEvents`.
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
        self._pools = pools
        self._url = f"{endpoint}/"
        url = urllib3.util.parse_url(self._url)
        is_default_port = url.port == {"http": 80, "https": 443}[str(url.scheme)]
        self._host = str(url.host if is_default_port else url.netloc)  # as botocore signs it
        self._path = str(url.path)
        self._region = region
        self._signing_name = signing_name
        self._target = target
        self._content_type = content_type
        self._credentials = credentials

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Call an operation once and return what it answers.

        Raises:
            AwsCallError: The call failed. The text holds the service's name for the error, and nothing of
                the parameters.
        """
        body = json.dumps(parameters).encode()
        try:
            response = self._pools.request(
                "POST",
                self._url,
                body=body,
                headers=self._signed_headers(operation, body),
                timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT, read=_READ_TIMEOUT),
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            if response.status < 200:  # noqa: PLR2004  # the HTTP class of success
                # Informational: the real answer is still to come, and no other call may read it
                response.close()
                raise AwsCallError(operation, name="InformationalAnswer", http_status=None)
            data = read_body(response, deadline=time.monotonic() + LONGEST_CALL)
        except HTTPError as error:
            raise AwsCallError(operation, name=type(error).__name__, http_status=None) from None
        try:
            answer = None if data is None else json.loads(data or b"{}")
        except (ValueError, RecursionError):
            answer = None
        if response.status == 200 and isinstance(answer, dict):  # noqa: PLR2004
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
