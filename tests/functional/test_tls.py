"""Amazon's root authorities first, and the others when a certificate needs them."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import trustme
from urllib3.exceptions import ConnectTimeoutError

from message_sender import tls
from message_sender.connections import pool_manager
from message_sender.errors import ConnectionFailedError
from message_sender.tls import AmazonFirst, Connection, tls_context
from tests.functional.conftest import function_on_fake_service
from tests.support.http_server import running_server
from tests.support.lambda_events import record, request

if TYPE_CHECKING:
    from pathlib import Path

    import urllib3

AMAZON, OTHER, UNKNOWN = trustme.CA(), trustme.CA(), trustme.CA()


@pytest.fixture
def amazon_roots(tmp_path: Path) -> Path:
    """The file with Amazon's roots, as the build writes it."""
    file = tmp_path / "amazon_roots.pem"
    AMAZON.cert_pem.write_to_path(str(file))
    return file


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the runtime trust Amazon and another authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle(tmp_path / "runtime.pem", AMAZON, OTHER)))


def bundle(file: Path, *authorities: trustme.CA) -> Path:
    file.write_bytes(b"".join(authority.cert_pem.bytes() for authority in authorities))
    return file


def server_context(authority: trustme.CA, *, host: str = "127.0.0.1", days: int = 1) -> SSLContext:
    context = SSLContext(PROTOCOL_TLS_SERVER)
    ends = datetime.now(UTC) + timedelta(days=days)
    authority.issue_cert(host, not_before=ends - timedelta(days=2), not_after=ends).configure_cert(context)
    return context


def context_of(pools: urllib3.PoolManager) -> AmazonFirst:
    context = pools.connection_pool_kw["ssl_context"]
    assert isinstance(context, AmazonFirst)
    return context


def test_a_certificate_of_amazon_needs_no_other_authority(amazon_roots: Path) -> None:
    pools = pool_manager(ca_bundle=None, maxsize=10, amazon_roots=amazon_roots)

    with function_on_fake_service(tls=server_context(AMAZON), pools=pools) as function:
        function(request(ClientToken="t-1"))

    assert function.service.connections == 1
    assert context_of(pools).complete is None


def test_a_certificate_of_another_authority_needs_one_more_connection_once(amazon_roots: Path) -> None:
    pools = pool_manager(ca_bundle=None, maxsize=10, amazon_roots=amazon_roots)
    with function_on_fake_service(tls=server_context(OTHER), pools=pools) as function:
        function.service.headers = {"Connection": "close"}

        function(request(ClientToken="t-1"))
        first = function.service.connections
        function(request(ClientToken="t-2"))

    assert (first, function.service.connections) == (2, 3)


@pytest.mark.parametrize(
    ("service", "connections"),
    [
        (server_context(UNKNOWN), 2),
        (server_context(AMAZON, host="127.0.0.2"), 1),
        (server_context(AMAZON, days=-1), 1),
        (server_context(OTHER, host="127.0.0.2"), 2),
        (server_context(OTHER, days=-1), 2),
    ],
    ids=["unknown", "another host", "expired", "other, another host", "other, expired"],
)
def test_an_invalid_certificate_is_refused(amazon_roots: Path, service: SSLContext, connections: int) -> None:
    pools = pool_manager(ca_bundle=None, maxsize=10, amazon_roots=amazon_roots)
    with running_server(tls=service) as server:
        pool = pools.connection_from_url(server.url)

        with pytest.raises(Exception, match="certificate verify failed"):
            pool.urlopen("POST", "/", retries=False)

    assert (server.connections, server.requests) == (connections, [])
    assert (context_of(pools).complete is None) is (connections == 1)


def test_ten_chats_at_once_load_the_other_authorities_once(
    amazon_roots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[SSLContext] = []
    load = tls._with_all  # noqa: SLF001  # counts its calls

    def counted(ca_bundle: str | None) -> SSLContext:
        loaded.append(load(ca_bundle))
        return loaded[-1]

    monkeypatch.setattr(tls, "_with_all", counted)
    pools = pool_manager(ca_bundle=None, maxsize=10, amazon_roots=amazon_roots)
    batch = {"Records": [record(request(), group=f"chat-{number}") for number in range(10)]}

    with function_on_fake_service(tls=server_context(OTHER), pools=pools) as function:
        assert function(batch) == {"batchItemFailures": []}

    assert loaded == [context_of(pools).complete]


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
@pytest.mark.parametrize(
    ("authorities", "issuer", "connections", "sent"),
    [
        ([OTHER], OTHER, 1, True),
        ([OTHER], AMAZON, 1, False),
        ([OTHER, AMAZON], AMAZON, 1, True),
        ([OTHER, AMAZON], OTHER, 2, True),
        ([AMAZON], OTHER, 2, False),
    ],
)
def test_a_file_of_authorities_replaces_all_others(
    amazon_roots: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    authorities: list[trustme.CA],
    issuer: trustme.CA,
    connections: int,
    sent: bool,
) -> None:
    file = str(bundle(tmp_path / "bundle.pem", *authorities))
    if variable == "SSL_CERT_FILE":  # OpenSSL's
        monkeypatch.setenv(variable, file)
    ca_bundle = file if variable == "AWS_CA_BUNDLE" else None
    pools = pool_manager(ca_bundle=ca_bundle, maxsize=10, amazon_roots=amazon_roots)
    with function_on_fake_service(tls=server_context(issuer), pools=pools) as function:
        failures = []
        try:
            function(request(ClientToken="t-1"))
        except ConnectionFailedError as error:
            failures = [(error.reason, error.maybe_delivered)]

    assert failures == ([] if sent else [("The certificate of the service is not trusted", False)])
    assert bool(function.service.requests) is sent
    # A failed message has three attempts. After the first, all authorities are loaded.
    assert function.service.connections == (connections if sent else connections + 2)


@pytest.mark.parametrize("before", [b"#", b"Removed: "])
def test_a_root_that_openssl_skips_in_the_file_is_not_trusted(
    amazon_roots: Path, tmp_path: Path, before: bytes
) -> None:
    file = tmp_path / "bundle.pem"
    file.write_bytes(before + AMAZON.cert_pem.bytes() + OTHER.cert_pem.bytes())
    pools = pool_manager(ca_bundle=str(file), maxsize=10, amazon_roots=amazon_roots)

    with (
        function_on_fake_service(tls=server_context(AMAZON), pools=pools) as function,
        pytest.raises(ConnectionFailedError, match="The certificate of the service is not trusted"),
    ):
        function(request(ClientToken="t-1"))

    assert function.service.requests == []


@pytest.mark.parametrize(("old", "new"), [(b"\n", b"\r\n"), (b"-----BEGIN", b"# a comment\n-----BEGIN")])
def test_a_file_with_other_line_ends_or_comments_starts_with_the_roots_of_amazon(
    amazon_roots: Path, tmp_path: Path, old: bytes, new: bytes
) -> None:
    file = bundle(tmp_path / "bundle.pem", OTHER, AMAZON)
    file.write_bytes(file.read_bytes().replace(old, new).rstrip())

    context = tls_context(str(file), amazon_roots)

    assert isinstance(context, AmazonFirst)


def test_a_certificate_that_is_damaged_later_in_the_file_is_not_trusted(
    amazon_roots: Path, tmp_path: Path
) -> None:
    damaged = OTHER.cert_pem.bytes().replace(b"M", b"A")
    file = tmp_path / "bundle.pem"
    file.write_bytes(AMAZON.cert_pem.bytes() + damaged)
    pools = pool_manager(ca_bundle=str(file), maxsize=10, amazon_roots=amazon_roots)

    with (
        function_on_fake_service(tls=server_context(OTHER), pools=pools) as function,
        pytest.raises(ConnectionFailedError, match="The certificate of the service is not trusted"),
    ):
        function(request(ClientToken="t-1"))

    assert function.service.requests == []


def test_both_attempts_share_the_time_to_connect(amazon_roots: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = tls_context(None, amazon_roots)
    assert isinstance(context, AmazonFirst)
    load = context.load_all

    def load_slowly() -> SSLContext:
        time.sleep(0.2)
        return load()

    monkeypatch.setattr(context, "load_all", load_slowly)
    with running_server(tls=server_context(OTHER)) as server:
        port = urlsplit(server.url).port
        impatient = Connection("127.0.0.1", port, timeout=0.2, ssl_context=context)
        with pytest.raises(ConnectTimeoutError):
            impatient.connect()
        context.complete = None
        patient = Connection("127.0.0.1", port, timeout=5.0, ssl_context=context)
        patient.connect()
        timeouts = patient.timeout, patient.sock.gettimeout()
        patient.close()

    assert timeouts == (5.0, 5.0)
    assert server.connections == 3


def test_without_the_file_all_authorities_are_loaded_at_once(tmp_path: Path) -> None:
    pools = pool_manager(ca_bundle=None, maxsize=10, amazon_roots=tmp_path / "missing.pem")

    with function_on_fake_service(tls=server_context(OTHER), pools=pools) as function:
        function(request(ClientToken="t-1"))

    assert function.service.connections == 1
