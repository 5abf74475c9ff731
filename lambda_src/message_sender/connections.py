"""The network side of a function: one pool of connections, and clients of AWS services that share it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

import urllib3
from urllib3.connection import HTTPConnection

from message_sender.aws.client import AwsClient, JsonApi
from message_sender.tls import AMAZON_ROOTS, Connection, tls_context

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from message_sender.aws.credentials import Credentials
    from message_sender.clock import Clock


class AwsClients(NamedTuple):
    """Makes clients of AWS services.

    Attributes:
        pools: Must not retry by itself.
        random: Returns a number from 0 to 1, for jitter.
    """

    region: str
    pools: urllib3.PoolManager
    credentials: Callable[[], Credentials]
    clock: Clock
    random: Callable[[], float]

    def client(self, *, endpoint: str, signing_name: str, target: str, json_version: str) -> AwsClient:
        """Return the client of one service, with the names from the service's model."""
        api = JsonApi(
            pools=self.pools,
            endpoint=endpoint,
            region=self.region,
            signing_name=signing_name,
            target=target,
            content_type=f"application/x-amz-json-{json_version}",
            credentials=self.credentials,
        )
        return AwsClient(api, clock=self.clock, random=self.random)

    def events(self, endpoint: str) -> AwsClient:
        """Return a client of EventBridge."""
        return self.client(endpoint=endpoint, signing_name="events", target="AWSEvents", json_version="1.1")


class _OnePiece(HTTPConnection):
    """Sends a request in one piece. urllib3 sends head and body as two packets, and two records of TLS."""

    _pieces: list[bytes] | None = None

    def request(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # forwarded
        pieces = self._pieces = []
        try:
            super().request(*args, **options)
        finally:
            self._pieces = None
        self.send(b"".join(pieces))

    def send(self, data: Any) -> None:  # noqa: ANN401  # as http.client
        if self._pieces is None:
            super().send(data)
        else:
            self._pieces.append(data)


class _TlsConnection(_OnePiece, Connection):
    pass


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _OnePiece


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


def pool_manager(
    *, ca_bundle: str | None, maxsize: int, amazon_roots: Path = AMAZON_ROOTS
) -> urllib3.PoolManager:
    """Return a pool that does not retry. Opens no connection.

    Raises:
        ValueError: A certificate in the file is damaged. The text names the variable.
    """
    pools = urllib3.PoolManager(
        maxsize=maxsize, retries=False, ssl_context=tls_context(ca_bundle, amazon_roots)
    )
    pools.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return pools


def silence_libraries() -> None:
    """Let no library log: they would log requests, and parts of answers that they cannot read."""
    for library in ("botocore", "urllib3"):  # the X-Ray SDK has botocore
        logging.getLogger(library).setLevel(logging.CRITICAL + 1)
