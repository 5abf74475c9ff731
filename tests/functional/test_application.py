"""The assembled function: TLS, threads and settings."""

from __future__ import annotations

import logging
import threading
from ssl import PROTOCOL_TLS_SERVER, SSLContext, TLSVersion
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from message_sender.application import create_handler
from message_sender.connections import pool_manager
from message_sender.errors import ConnectionFailedError, InternalError, InvalidRequestError
from tests.functional.conftest import function_environ, function_on_fake_service
from tests.support.http_server import running_server
from tests.support.lambda_events import TEXT, TOKEN, record, request
from tests.support.limits import TOO_LONG

if TYPE_CHECKING:
    from pathlib import Path

    from tests.functional.conftest import Function


def server_context(authority: trustme.CA, host: str) -> SSLContext:
    context = SSLContext(PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    return context


@pytest.mark.parametrize("name", ["missing", "folder", "empty", "text", "key", "damaged", "half"])
def test_a_file_without_certificates_is_refused(tmp_path: Path, name: str) -> None:
    certificate = trustme.CA().cert_pem.bytes().decode()
    (tmp_path / "folder").mkdir()
    for file, content in {
        "empty": "",
        "text": "no certificate",
        "key": trustme.CA().private_key_pem.bytes().decode(),
        "damaged": certificate.replace("M", "A"),
        "half": certificate + certificate[: len(certificate) // 2],
    }.items():
        (tmp_path / file).write_text(content)

    with pytest.raises(ValueError, match=r"AWS_CA_BUNDLE must name a readable file of certificates$"):
        create_handler(
            function_environ("https://127.0.0.1", "https://127.0.0.1", AWS_CA_BUNDLE=str(tmp_path / name))
        )


@pytest.mark.parametrize(
    ("host", "trusted", "sent"),
    [("127.0.0.1", True, True), ("127.0.0.1", False, False), ("127.0.0.2", True, False)],
    ids=["trusted", "not trusted", "another host"],
)
def test_a_message_is_sent_only_to_a_service_with_a_valid_certificate(
    tmp_path: Path, host: str, trusted: bool, sent: bool
) -> None:
    authority = trustme.CA()
    bundle = tmp_path / "ca.pem"
    (authority if trusted else trustme.CA()).cert_pem.write_to_path(str(bundle))
    tls = server_context(authority, host)
    with function_on_fake_service(tls=tls, AWS_CA_BUNDLE=str(bundle)) as function:
        error = None
        try:
            function(request(ClientToken="t-1"))
        except ConnectionFailedError as failure:
            error = failure

    assert (error is None) is sent
    assert bool(function.service.requests) is sent
    if error is not None:
        assert not error.maybe_delivered


def test_the_keys_of_tls_sessions_are_not_written_to_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, bundle, authority = tmp_path / "keys", tmp_path / "ca.pem", trustme.CA()
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    tls = server_context(authority, "127.0.0.1")

    with function_on_fake_service(tls=tls, AWS_CA_BUNDLE=str(bundle)) as function:
        function(request(ClientToken="t-1"))

    assert function.service.requests
    assert not keys.exists()


@pytest.mark.parametrize("version", [TLSVersion.TLSv1, TLSVersion.TLSv1_1])
def test_a_message_is_not_sent_over_an_old_version_of_tls(tmp_path: Path, version: TLSVersion) -> None:
    bundle, authority = tmp_path / "ca.pem", trustme.CA()
    authority.cert_pem.write_to_path(str(bundle))
    context = server_context(authority, "127.0.0.1")
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        context.minimum_version, context.maximum_version = version, version
    context.set_ciphers("ALL:@SECLEVEL=0")

    with (
        function_on_fake_service(tls=context, AWS_CA_BUNDLE=str(bundle)) as function,
        pytest.raises(ConnectionFailedError),
    ):
        function(request(ClientToken="t-1"))

    assert function.service.requests == []


def test_ten_chats_of_a_batch_are_sent_concurrently() -> None:
    batch = {"Records": [record(request(), group=f"chat-{number}") for number in range(10)]}
    with function_on_fake_service() as function:
        function.service.barrier = threading.Barrier(10, timeout=10)  # no answer before all ten requests

        answer = function(batch)

        assert answer == {"batchItemFailures": []}
        assert function.service.connections == 10
        function(batch)
        assert function.service.connections == 10


def test_a_setting_allows_the_longer_contents_that_the_service_accepts() -> None:
    body = request(ClientToken="t-1", Content=TOO_LONG)

    with function_on_fake_service() as function, pytest.raises(InvalidRequestError):
        function(body)
    with function_on_fake_service(CONTENT_LIMITS="service") as function:
        assert function(body)["Outcome"] == "SENT"


def test_the_error_of_a_defect_does_not_contain_its_text(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError(TOKEN)

    monkeypatch.setattr("message_sender.event_sources.synchronous.parse_request", broken)

    with pytest.raises(InternalError, match="Unexpected KeyError") as raised:
        function(request(ClientToken="t-1"))

    assert TOKEN not in repr(raised.value)
    assert raised.value.__suppress_context__


def test_no_log_setting_prints_a_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for variable, value in {
        "POWERTOOLS_LOGGER_LOG_EVENT": "true",
        "POWERTOOLS_LOG_LEVEL": "DEBUG",
        "POWERTOOLS_DEBUG": "true",
    }.items():
        monkeypatch.setenv(variable, value)
    caplog.set_level(logging.DEBUG)

    with function_on_fake_service(AWS_SESSION_TOKEN="the-session-token") as function:
        function({"Records": [record(request()), record("{")]})

    captured = capsys.readouterr()
    output = captured.out + captured.err + caplog.text
    assert "Message ended" in output
    for secret in (TEXT, TOKEN, "the-session-token"):
        assert secret not in output


class RecordingSocket:
    """A socket that records what is sent."""

    def __init__(self, sock: Any) -> None:  # noqa: ANN401  # plain or TLS
        self._sock = sock
        self.sent: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.sent.append(data)
        self._sock.sendall(data)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # the socket's
        return getattr(self._sock, name)


@pytest.mark.parametrize("is_tls", [False, True])
def test_a_request_is_sent_in_one_piece(tmp_path: Path, is_tls: bool) -> None:
    authority, bundle = trustme.CA(), tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    tls = server_context(authority, "127.0.0.1") if is_tls else None
    with running_server(tls=tls) as server:
        pool = pool_manager(ca_bundle=str(bundle), maxsize=1).connection_from_url(server.url)
        connection: Any = pool.ConnectionCls("127.0.0.1", pool.port, **pool.conn_kw)
        connection.connect()
        connection.sock = recording = RecordingSocket(connection.sock)

        connection.request("POST", "/path", body=b"x" * 100_000, headers={"X-A": "b"})
        answer = connection.getresponse()
        answer.read()
        connection.request("GET", "/other")
        connection.getresponse().read()
        connection.close()

    [first, second] = recording.sent
    assert first.startswith(b"POST /path HTTP/1.1\r\n")
    assert first.endswith(b"\r\nX-A: b\r\n\r\n" + b"x" * 100_000)
    assert second.startswith(b"GET /other HTTP/1.1\r\n")
    assert [each.path for each in server.requests] == ["/path", "/other"]
