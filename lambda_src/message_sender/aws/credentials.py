"""The function's own credentials."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

import urllib3
from urllib3.exceptions import HTTPError

from message_sender.aws.endpoints import is_safe_url
from message_sender.errors import AwsCallError
from message_sender.response_body import read_body

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TIMEOUT: Final = urllib3.Timeout(connect=1.0, read=2.0)
_MAX_ANSWER_SECONDS: Final = 3.0
_REFRESH_BEFORE_EXPIRY: Final = 300.0
_PAUSE_AFTER_FAILURE: Final = 10.0

# The container endpoints of ECS and EKS, which have no TLS. The AWS SDKs accept the same addresses.
_CONTAINER_HOSTS: Final = frozenset({"169.254.170.2", "169.254.170.23", "fd00:ec2::23"})

_VISIBLE: Final = re.compile(r"[!-~]+")


class Credentials(NamedTuple):
    """The keys that sign a request. `token` is None for credentials that do not expire."""

    access_key: str
    secret_key: str
    token: str | None

    def __repr__(self) -> str:
        return "Credentials(...)"


class _Refresh(NamedTuple):
    """The result of the latest refresh. Times are seconds since the epoch.

    Attributes:
        credentials: Of this refresh, or after a failure of an earlier one.
        error: The cause of a failed refresh: the name and the HTTP status of an `AwsCallError`.
    """

    credentials: Credentials | None
    expires: float
    next_refresh: float
    error: tuple[str, int | None] | None


class EnvironmentCredentials:
    """The function's credentials: from the environment, or, with SnapStart, from the container endpoint.

    Safe to call from several threads. One thread refreshes credentials, from five minutes before they expire.
    The others use the old ones while these are valid, and then wait for the new ones. A failed refresh is
    retried after ten seconds while credentials are valid, and at every call without valid ones.

    Args:
        now: Returns seconds since the epoch.
    """

    def __init__(
        self,
        *,
        environ: Mapping[str, str],
        pools: urllib3.PoolManager,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._environ = environ
        self._pools = pools
        self._now = now
        self._refreshing = Lock()
        self._latest = _Refresh(None, expires=0.0, next_refresh=0.0, error=None)

    def __call__(self) -> Credentials:
        """Return credentials that are valid now.

        Raises:
            AwsCallError: There are none, or the endpoint did not return them.
        """
        environ = self._environ
        if "AWS_ACCESS_KEY_ID" in environ and "AWS_SECRET_ACCESS_KEY" in environ:
            try:
                return Credentials(
                    _visible(environ["AWS_ACCESS_KEY_ID"]),
                    _visible(environ["AWS_SECRET_ACCESS_KEY"]),
                    _visible(token) if (token := environ.get("AWS_SESSION_TOKEN")) else None,
                )
            except ValueError:
                raise AwsCallError("GetCredentials", name="InvalidCredentials", http_status=None) from None
        latest, now = self._latest, self._now()
        if now >= min(latest.next_refresh, latest.expires):
            # Wait for another thread's refresh only without valid credentials
            if self._refreshing.acquire(blocking=now >= latest.expires):
                try:
                    if self._latest is latest:
                        self._latest = self._refresh(latest)
                finally:
                    self._refreshing.release()
            latest = self._latest
        if latest.credentials is not None and (latest.error is None or self._now() < latest.expires):
            return latest.credentials
        name, http_status = latest.error or ("NoCredentials", None)
        raise AwsCallError("GetCredentials", name=name, http_status=http_status)

    def _refresh(self, latest: _Refresh) -> _Refresh:
        try:
            credentials, expires = self._fetch()
        except AwsCallError as error:
            return latest._replace(
                next_refresh=self._now() + _PAUSE_AFTER_FAILURE, error=(error.name, error.http_status)
            )
        return _Refresh(credentials, expires, next_refresh=expires - _REFRESH_BEFORE_EXPIRY, error=None)

    def _fetch(self) -> tuple[Credentials, float]:
        try:
            url = self._environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
            if not is_safe_url(url, plain_http_hosts=_CONTAINER_HOSTS):
                raise AwsCallError("GetCredentials", name="UnsafeEndpoint", http_status=None)
            answer = self._pools.request(
                "GET",
                url,
                headers=self._headers(),
                timeout=_TIMEOUT,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            if answer.status != HTTPStatus.OK:
                answer.close()  # behind an informational answer, the next call would read the real one
                raise AwsCallError("GetCredentials", name="NoCredentials", http_status=answer.status)
            found = json.loads(read_body(answer, deadline=time.monotonic() + _MAX_ANSWER_SECONDS) or b"")
            credentials = Credentials(
                _visible(found["AccessKeyId"]), _visible(found["SecretAccessKey"]), _visible(found["Token"])
            )
            expiration = datetime.fromisoformat(found["Expiration"])
        except (HTTPError, KeyError, OSError, RecursionError, TypeError, ValueError) as error:
            name = type(error).__name__
            raise AwsCallError("GetCredentials", name=name, http_status=None) from None
        if expiration.tzinfo is None:
            expiration = expiration.replace(tzinfo=UTC)
        return credentials, expiration.timestamp()

    def _headers(self) -> dict[str, str]:
        if file := self._environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
            token = Path(file).read_text()
        elif not (token := self._environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")):
            return {}
        words = token.strip().split(" ")  # such as `Bearer` and the token
        return {"Authorization": " ".join(map(_visible, words))}


def _visible(value: object) -> str:
    """Return a text of visible ASCII characters, the only ones that a header accepts.

    Raises:
        ValueError: The value is something else. The text holds nothing of it.
    """
    if not isinstance(value, str) or not _VISIBLE.fullmatch(value):
        raise ValueError("not a text of visible ASCII characters")
    return value
