"""The function put together: TLS, threads, settings, and what no setting may do."""

from __future__ import annotations

import json
import logging
import threading
from ssl import PROTOCOL_TLS_SERVER, SSLContext, TLSVersion
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from message_sender.application import create_handler
from message_sender.errors import ConnectionFailedError, InternalError, InvalidRequestError
from tests.functional.conftest import capture_logs, function_environ
from tests.support.aws_endpoint import running_aws_endpoint
from tests.support.http_server import running_server
from tests.support.lambda_events import TEXT, TOKEN, FakeLambdaContext, record, request

if TYPE_CHECKING:
    from pathlib import Path

    from tests.functional.conftest import Function

TAKEN = json.dumps({"Id": "m-1", "AbsoluteTime": "2026-01-31T12:00:00.000Z"}).encode()


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

    with pytest.raises(
        ValueError,
        match=r"AWS_CA_BUNDLE must name a readable file of certificates$",
    ):
        create_handler(
            function_environ("https://127.0.0.1", "https://127.0.0.1", AWS_CA_BUNDLE=str(tmp_path / name))
        )


@pytest.mark.parametrize(
    ("host", "trusted", "sent"),
    [("127.0.0.1", True, True), ("127.0.0.1", False, False), ("127.0.0.2", True, False)],
    ids=["trusted", "not trusted", "another host's"],
)
def test_a_message_goes_only_to_a_service_whose_certificate_is_right(
    tmp_path: Path, host: str, trusted: bool, sent: bool
) -> None:
    authority = trustme.CA()
    bundle = tmp_path / "ca.pem"
    (authority if trusted else trustme.CA()).cert_pem.write_to_path(str(bundle))
    with running_server(tls=server_context(authority, host)) as service, running_aws_endpoint() as aws:
        service.body = TAKEN
        handler = create_handler(function_environ(service.url, aws.url, AWS_CA_BUNDLE=str(bundle)))

        error = None
        try:
            handler(request(ClientToken="t-1"), FakeLambdaContext())  # type: ignore[arg-type]  # a fake
        except ConnectionFailedError as failure:
            error = failure

    assert (error is None) is sent
    assert bool(service.requests) is sent
    if error is not None:
        assert not error.maybe_delivered


def test_the_keys_of_sessions_are_written_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys, bundle, authority = tmp_path / "keys", tmp_path / "ca.pem", trustme.CA()
    authority.cert_pem.write_to_path(str(bundle))
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    with running_server(tls=server_context(authority, "127.0.0.1")) as service, running_aws_endpoint() as aws:
        service.body = TAKEN
        handler: Any = create_handler(function_environ(service.url, aws.url, AWS_CA_BUNDLE=str(bundle)))

        handler(request(ClientToken="t-1"), FakeLambdaContext())

    assert service.requests
    assert not keys.exists()


@pytest.mark.parametrize("version", [TLSVersion.TLSv1, TLSVersion.TLSv1_1])
def test_a_service_without_a_current_tls_is_not_sent_to(tmp_path: Path, version: TLSVersion) -> None:
    bundle, authority = tmp_path / "ca.pem", trustme.CA()
    authority.cert_pem.write_to_path(str(bundle))
    context = server_context(authority, "127.0.0.1")
    with pytest.warns(DeprecationWarning, match="is deprecated"):
        context.minimum_version, context.maximum_version = version, version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with running_server(tls=context) as service, running_aws_endpoint() as aws:
        handler: Any = create_handler(function_environ(service.url, aws.url, AWS_CA_BUNDLE=str(bundle)))

        with pytest.raises(ConnectionFailedError):
            handler(request(ClientToken="t-1"), FakeLambdaContext())

    assert service.requests == []


def test_ten_chats_of_a_batch_are_sent_side_by_side() -> None:
    with running_server() as service, running_aws_endpoint() as aws:
        service.body = TAKEN
        service.together = threading.Barrier(10, timeout=10)
        handler: Any = create_handler(function_environ(service.url, aws.url))
        batch = [record(request(), group=f"chat-{number}") for number in range(10)]

        # None is answered before all ten are there.
        answer = handler({"Records": batch}, FakeLambdaContext())

        assert answer == {"batchItemFailures": []}
        assert service.connections == 10
        handler({"Records": batch}, FakeLambdaContext())
        assert service.connections == 10


def test_the_longer_contents_that_the_service_takes_can_be_allowed() -> None:
    body = request(ClientToken="t-1", Content="x" * 2000)
    with running_server() as service, running_aws_endpoint() as aws:
        service.body = TAKEN
        strict: Any = create_handler(function_environ(service.url, aws.url))
        wide: Any = create_handler(function_environ(service.url, aws.url, CONTENT_LIMITS="service"))

        with pytest.raises(InvalidRequestError):
            strict(body, FakeLambdaContext())
        assert wide(body, FakeLambdaContext())["Outcome"] == "SENT"


def test_the_text_of_a_defect_reaches_no_caller(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError(TOKEN)

    monkeypatch.setattr("message_sender.event_sources.synchronous.parse_request", broken)

    with pytest.raises(InternalError, match="Unexpected KeyError") as raised:
        function(request(ClientToken="t-1"))

    assert TOKEN not in repr(raised.value)
    assert raised.value.__suppress_context__


def test_no_setting_of_powertools_or_of_the_log_level_prints_a_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for variable, value in {
        "POWERTOOLS_LOGGER_LOG_EVENT": "true",
        "POWERTOOLS_LOG_LEVEL": "DEBUG",
        "POWERTOOLS_DEBUG": "true",
    }.items():
        monkeypatch.setenv(variable, value)
    caplog.set_level(logging.DEBUG)
    with running_server() as service, running_aws_endpoint() as aws:
        service.body = TAKEN
        environ = function_environ(service.url, aws.url, AWS_SESSION_TOKEN="the-session-token")
        handler: Any = create_handler(environ)
        capture_logs()

        handler({"Records": [record(request()), record("{")]}, FakeLambdaContext())

    captured = capsys.readouterr()
    seen = captured.out + captured.err + caplog.text
    assert "Message ended" in seen
    for secret in (TEXT, TOKEN, "the-session-token"):
        assert secret not in seen
