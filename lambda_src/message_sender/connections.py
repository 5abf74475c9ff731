"""The network side of a function: one pool of connections, and clients of AWS services that share it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from ssl import PROTOCOL_TLS_CLIENT, VERIFY_X509_PARTIAL_CHAIN, VERIFY_X509_STRICT, SSLContext, TLSVersion
from typing import TYPE_CHECKING

import urllib3

from message_sender.aws.client import AwsClient, JsonApi
from message_sender.settings import CA_BUNDLE_RULE

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_sender.aws.credentials import Credentials
    from message_sender.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsClients:
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


def pool_manager(*, ca_bundle: str | None, maxsize: int) -> urllib3.PoolManager:
    """Return a pool that does not retry. Opens no connection.

    Raises:
        ValueError: A certificate in the file is damaged. The text names the variable.
    """
    return urllib3.PoolManager(maxsize=maxsize, retries=False, ssl_context=_ssl_context(ca_bundle))


def silence_libraries() -> None:
    """Let no library log: they would log requests, and parts of answers that they cannot read."""
    for library in ("botocore", "urllib3"):  # the X-Ray SDK has botocore
        logging.getLogger(library).setLevel(logging.CRITICAL + 1)


def _ssl_context(ca_bundle: str | None) -> SSLContext:
    """Return one context for all connections: each would cost 20 ms of CPU.

    It is as strict as the ones of urllib3 and `ssl.create_default_context`. Both of these would write all
    session keys to the file that SSLKEYLOGFILE names.

    Raises:
        ValueError: A certificate in the file is damaged. The text names the variable.
    """
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    context.minimum_version = TLSVersion.TLSv1_2
    context.verify_flags |= VERIFY_X509_PARTIAL_CHAIN | VERIFY_X509_STRICT
    context.hostname_checks_common_name = False
    if ca_bundle is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(cafile=ca_bundle)
    except OSError:  # an SSLError is one
        raise ValueError(CA_BUNDLE_RULE) from None
    return context
