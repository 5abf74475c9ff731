"""The function's own credentials."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple

import urllib3
from urllib3.exceptions import HTTPError

from message_sender.errors import AwsCallError

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUT: Final = urllib3.Timeout(connect=1.0, read=2.0)
_REFRESH_BEFORE_EXPIRY: Final = timedelta(minutes=5)


class Credentials(NamedTuple):
    """What a signature is made with. `token` is None for credentials that do not expire."""

    access_key: str
    secret_key: str
    token: str | None

    def __repr__(self) -> str:
        return "Credentials(...)"


class EnvironmentCredentials:
    """The function's credentials: from the environment, or, with SnapStart, from the container endpoint.

    Called from several threads. Credentials that expire are fetched anew five minutes before they do.
    """

    def __init__(self, *, environ: Mapping[str, str], pools: urllib3.PoolManager) -> None:
        self._environ = environ
        self._pools = pools
        self._lock = Lock()
        self._fetched: Credentials | None = None
        self._expires = datetime.min.replace(tzinfo=UTC)

    def __call__(self) -> Credentials:
        """Return credentials that are valid now.

        Raises:
            AwsCallError: There are none, or the endpoint did not give them.
        """
        environ = self._environ
        if "AWS_ACCESS_KEY_ID" in environ and "AWS_SECRET_ACCESS_KEY" in environ:
            return Credentials(
                environ["AWS_ACCESS_KEY_ID"],
                environ["AWS_SECRET_ACCESS_KEY"],
                environ.get("AWS_SESSION_TOKEN") or None,
            )
        with self._lock:
            now = datetime.now(UTC)
            if self._fetched is None or now >= self._expires - _REFRESH_BEFORE_EXPIRY:
                try:
                    self._fetched, self._expires = self._fetch()
                except AwsCallError:
                    if self._fetched is None or now >= self._expires:
                        raise
            return self._fetched

    def _fetch(self) -> tuple[Credentials, datetime]:
        try:
            url = self._environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
            answer = self._pools.request(
                "GET",
                url,
                headers={"Authorization": self._authorization()},
                timeout=_TIMEOUT,
                retries=False,
                redirect=False,
            )
            if answer.status != 200:  # noqa: PLR2004
                raise AwsCallError("GetCredentials", name="NoCredentials", http_status=answer.status)
            found = json.loads(answer.data)
            credentials = Credentials(found["AccessKeyId"], found["SecretAccessKey"], found["Token"])
            return credentials, datetime.fromisoformat(found["Expiration"])
        except (HTTPError, KeyError, OSError, TypeError, ValueError) as error:
            name = type(error).__name__
            raise AwsCallError("GetCredentials", name=name, http_status=None) from None

    def _authorization(self) -> str:
        file = self._environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
        return Path(file).read_text() if file else self._environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
