"""SendMessage over HTTP: the request, and the error or result of each answer."""

from __future__ import annotations

import gzip
import json
import time
from dataclasses import dataclass, field
from itertools import count
from ssl import SSLCertVerificationError, SSLEOFError
from typing import TYPE_CHECKING, Any, NoReturn

import boto3
import pytest
import urllib3
from botocore.config import Config
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from message_sender.errors import (
    AccessDeniedError,
    ConnectionFailedError,
    DeliveryError,
    ProcessingRejectedError,
    ServiceUnavailableError,
    ServiceValidationError,
    ThrottledError,
    UnexpectedResponseError,
)
from message_sender.participant_client import ParticipantClient
from message_sender.request import SendMessageRequest, parse_request
from sandbox.participant_service.faults import Latency
from tests.support.http_server import running_server
from tests.support.lambda_events import TEXT, TOKEN, request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_sender.result import Sent
    from tests.functional.conftest import Function
    from tests.support.http_server import FakeServer

REQUEST_ID = "5607c900-550f-4b4a-abbb-db01d23ce611"
ACCEPTED = {"Id": "m-1", "AbsoluteTime": "2026-01-31T12:00:00.000Z"}


@pytest.fixture
def server(server: FakeServer) -> FakeServer:
    """Return a server that accepts every message."""
    server.body = json.dumps(ACCEPTED).encode()
    return server


def a_request(**fields: object) -> SendMessageRequest:
    parsed = parse_request(json.dumps(request(**fields)), client_token="t-1").request
    assert isinstance(parsed, SendMessageRequest)
    return parsed


def send(url: str, message: SendMessageRequest | None = None, *, timeout: float = 6.0) -> Sent:
    client = ParticipantClient(pools=urllib3.PoolManager(retries=False), endpoint=url)
    return client.send_message(message or a_request(), timeout=timeout)


def test_the_call_follows_the_specification(server: FakeServer) -> None:
    send(server.url, a_request(Content="Grüße 😀", ContentType="text/markdown"))

    [sent] = server.requests
    assert (sent.method, sent.path) == ("POST", "/participant/message")
    assert sent.headers["x-amz-bearer"] == TOKEN
    assert sent.headers["content-type"] == "application/json"
    assert "authorization" not in sent.headers
    assert json.loads(sent.body) == {
        "ContentType": "text/markdown",
        "Content": "Grüße 😀",
        "ClientToken": "t-1",
    }


def test_the_call_equals_the_call_of_boto3(server: FakeServer) -> None:
    client = boto3.client(
        "connectparticipant",
        endpoint_url=server.url,
        region_name="eu-central-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"total_max_attempts": 1}),
    )

    send(server.url)
    client.send_message(ContentType="text/plain", Content=TEXT, ClientToken="t-1", ConnectionToken=TOKEN)

    ours, theirs = server.requests
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    assert json.loads(ours.body) == json.loads(theirs.body)
    for header in ("host", "content-type", "x-amz-bearer"):
        assert ours.headers[header] == theirs.headers[header]


def test_the_result_has_the_fields_of_the_answer(server: FakeServer) -> None:
    server.body = json.dumps(
        ACCEPTED | {"MessageMetadata": {"MessageProcessingStatus": "PROCESSING"}}
    ).encode()

    sent = send(server.url)

    assert sent.message_id == "m-1"
    assert sent.absolute_time == "2026-01-31T12:00:00.000Z"
    assert sent.processing_status == "PROCESSING"


@dataclass(frozen=True)
class Case:
    """An answer of the service and its error. `maybe`: whether the message may have arrived."""

    status: int
    error: type[DeliveryError]
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    maybe: bool = False


CASES = [
    Case(400, ServiceValidationError, {"Message": "no"}, {"x-amzn-errortype": "ValidationException"}),
    Case(403, AccessDeniedError, {"Message": "no"}, {"x-amzn-errortype": "AccessDeniedException"}),
    Case(403, AccessDeniedError),
    Case(400, AccessDeniedError, {"__type": "com.amazonaws.connect#AccessDeniedException"}),
    Case(
        429, ThrottledError, {"Message": "slow"}, {"x-amzn-errortype": "ThrottlingException:http://internal/"}
    ),
    Case(400, ThrottledError, {"message": "slow"}, {"x-amzn-errortype": "ThrottlingException"}),
    Case(400, ThrottledError, {"code": "ThrottlingException"}),
    Case(400, ThrottledError, {"Code": "ThrottlingException"}),
    Case(400, ThrottledError, {"__type": "ThrottlingException", "code": "ValidationException"}),
    Case(400, AccessDeniedError, {"code": "com.example#AccessDeniedException:http://internal/"}),
    Case(400, ServiceValidationError, {"code": ["ThrottlingException"], "__type": {"a": "b"}}),
    Case(400, ThrottledError, {"code": "ThrottlingException"}, {"x-amzn-errortype": ":http://internal/"}),
    Case(400, ThrottledError, {"code": "ThrottlingException"}, {"x-amzn-errortype": " "}),
    Case(
        400, AccessDeniedError, headers={"x-amzn-errortype": "AccessDeniedException, AccessDeniedException"}
    ),
    Case(
        500, ServiceUnavailableError, {"Message": "x"}, {"x-amzn-errortype": "InternalServerException"}, True
    ),
    Case(502, ServiceUnavailableError, maybe=True),
    Case(503, ServiceUnavailableError, maybe=True),
    Case(504, ServiceUnavailableError, maybe=True),
    Case(408, ServiceUnavailableError, maybe=True),
    Case(425, ServiceUnavailableError, maybe=True),
    Case(200, ServiceUnavailableError, {}, maybe=True),
    Case(200, ServiceUnavailableError, {"Id": ""}, maybe=True),
    Case(200, ServiceUnavailableError, {"Id": 7}, maybe=True),
    Case(200, ServiceUnavailableError, [], maybe=True),
    Case(200, ServiceUnavailableError, "text", maybe=True),
    Case(204, ServiceUnavailableError, maybe=True),
    Case(
        200, ProcessingRejectedError, ACCEPTED | {"MessageMetadata": {"MessageProcessingStatus": "REJECTED"}}
    ),
    Case(200, ProcessingRejectedError, ACCEPTED | {"MessageMetadata": {"MessageProcessingStatus": "FAILED"}}),
    Case(300, UnexpectedResponseError),
    Case(301, UnexpectedResponseError, headers={"Location": "/elsewhere"}),
    Case(307, UnexpectedResponseError, headers={"Location": "/elsewhere"}),
    Case(401, UnexpectedResponseError),
    Case(404, UnexpectedResponseError),
    Case(409, UnexpectedResponseError, {"Message": "x"}, {"x-amzn-errortype": "ConflictException"}),
    Case(413, UnexpectedResponseError),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.status}-{case.error.__name__}")
def test_each_answer_raises_its_error(server: FakeServer, case: Case) -> None:
    server.status = case.status
    server.headers = {"x-amzn-requestid": REQUEST_ID, **case.headers}
    server.body = b"" if case.status == 204 else json.dumps(case.body).encode()

    with pytest.raises(DeliveryError) as raised:
        send(server.url)

    assert type(raised.value) is case.error
    assert raised.value.http_status == case.status
    assert raised.value.request_id == REQUEST_ID
    assert raised.value.maybe_delivered is case.maybe
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-amz-retry-after": "1500"}, 1.5),
        ({"Retry-After": "2"}, 2.0),
        ({"x-amz-retry-after": "300", "Retry-After": "9"}, 0.3),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "471104711"}, 900.0),
        ({"Retry-After": "9" * 5000}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_error_has_the_retry_after_of_the_service(
    server: FakeServer, status: int, headers: dict[str, str], seconds: float | None
) -> None:
    server.status, server.headers = status, headers

    with pytest.raises((ThrottledError, ServiceUnavailableError)) as raised:
        send(server.url)

    assert raised.value.retry_after == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("status", "name", "body", "reason"),
    [
        (429, "ThrottlingException", {}, "The quota of SendMessage is used up for now (ThrottlingException)"),
        (429, "", {}, "The quota of SendMessage is used up for now"),
        (500, "InternalServerException", {}, "The service failed with status 500 (InternalServerException)"),
        (503, "", {}, "The service failed with status 503"),
        (401, "", {}, "The service answered with status 401"),
        (
            404,
            "ResourceNotFoundException",
            {},
            "The service answered with status 404 (ResourceNotFoundException)",
        ),
        (200, "", {}, "The service answered without a valid body"),
        (
            200,
            "",
            ACCEPTED | {"MessageMetadata": {"MessageProcessingStatus": "REJECTED"}},
            "The service took the message and did not deliver it: MessageProcessingStatus is REJECTED",
        ),
    ],
)
def test_the_reason_says_what_the_service_answered(
    server: FakeServer, status: int, name: str, body: dict[str, object], reason: str
) -> None:
    server.status, server.headers = status, {"x-amzn-errortype": name}
    server.body = json.dumps(body).encode()

    with pytest.raises(DeliveryError) as raised:
        send(server.url)

    assert raised.value.reason == reason


@pytest.mark.parametrize("name", ["", "AccessDeniedException"])
def test_the_reason_of_a_refused_token_lists_possible_causes(server: FakeServer, name: str) -> None:
    server.status, server.headers = 403, {"x-amzn-errortype": name}

    with pytest.raises(AccessDeniedError) as raised:
        send(server.url)

    assert raised.value.reason.startswith("The connection token was refused. Possible causes: ")
    assert raised.value.reason.endswith("the chat is over (AccessDeniedException)" if name else "is over")


def test_the_reason_names_a_documented_error(server: FakeServer) -> None:
    server.status, server.headers = 400, {"x-amzn-errortype": "ValidationException:http://internal/"}
    server.body = json.dumps({"Message": "ContentType is not enabled"}).encode()

    with pytest.raises(ServiceValidationError) as raised:
        send(server.url)

    assert raised.value.reason.endswith("of the chat (ValidationException)")
    assert "not enabled" not in raised.value.reason


@pytest.mark.parametrize("name", ["Passw0rd1", "Password", "no name", "x" * 81, "Throttling-hunter2"])
def test_the_reason_does_not_name_an_undocumented_error(server: FakeServer, name: str) -> None:
    server.status, server.headers, server.body = 400, {"x-amzn-errortype": name}, b""

    with pytest.raises(DeliveryError) as raised:
        send(server.url)

    assert name not in raised.value.reason


def test_the_reason_of_a_conflict_names_a_possible_cause(server: FakeServer) -> None:
    server.status = 409

    with pytest.raises(UnexpectedResponseError, match="state of the contact"):
        send(server.url)


@pytest.mark.parametrize(
    "request_id", [REQUEST_ID, REQUEST_ID.upper(), "JKJaXmPLvHcESHA=", "Aa0_-XmPLvHcESH="]
)
def test_a_well_formed_request_id_is_kept(server: FakeServer, request_id: str) -> None:
    server.status, server.headers = 403, {"x-amzn-requestid": request_id}

    with pytest.raises(AccessDeniedError) as raised:
        send(server.url)

    assert raised.value.request_id == request_id


@pytest.mark.parametrize(
    "request_id", ["two words", "x" * 36, f"{REQUEST_ID}0", TOKEN, "<script>", "", "PIN-4711", "aHVudGVyMg=="]
)
def test_a_malformed_request_id_is_left_out(server: FakeServer, request_id: str) -> None:
    server.status, server.headers = 403, {"x-amzn-requestid": request_id}

    with pytest.raises(AccessDeniedError) as raised:
        send(server.url)

    assert raised.value.request_id is None


@pytest.mark.parametrize(
    ("fields", "message_id", "time"),
    [
        ({"Id": "Where is my parcel?"}, None, ACCEPTED["AbsoluteTime"]),
        ({"Id": "x" * 257}, None, ACCEPTED["AbsoluteTime"]),
        ({"Id": "m-1\n"}, None, ACCEPTED["AbsoluteTime"]),
        ({"Id": "\ud83d"}, None, ACCEPTED["AbsoluteTime"]),
        ({"AbsoluteTime": "noon"}, "m-1", None),
        ({"AbsoluteTime": "2026-01-31"}, "m-1", None),
        ({"AbsoluteTime": "2026-02-31T12:00:00Z"}, "m-1", None),
        ({"AbsoluteTime": "2026-01-31T12:00:00Z\n"}, "m-1", None),
        ({"AbsoluteTime": 4711}, "m-1", None),
        ({"MessageMetadata": {"MessageProcessingStatus": "hunter2"}}, "m-1", ACCEPTED["AbsoluteTime"]),
        ({"MessageMetadata": "hunter2"}, "m-1", ACCEPTED["AbsoluteTime"]),
        ({"MessageMetadata": "REJECTED"}, "m-1", ACCEPTED["AbsoluteTime"]),
    ],
)
def test_a_malformed_field_of_an_answer_is_left_out(
    server: FakeServer, fields: dict[str, object], message_id: str | None, time: str | None
) -> None:
    server.body = json.dumps(ACCEPTED | fields).encode()

    sent = send(server.url)

    assert (sent.message_id, sent.absolute_time, sent.processing_status) == (message_id, time, None)
    assert sent.is_malformed


def test_a_documented_answer_is_not_malformed(server: FakeServer) -> None:
    assert not send(server.url).is_malformed


@pytest.mark.parametrize("status", [102, 103, 199])
def test_an_informational_answer_is_an_error_and_its_connection_is_closed(
    server: FakeServer, status: int
) -> None:
    client = ParticipantClient(pools=urllib3.PoolManager(retries=False), endpoint=server.url)
    server.status, server.body = 200, json.dumps(ACCEPTED | {"Id": "first"}).encode()
    server.preamble = f"HTTP/1.1 {status} Early Hints\r\nLink: </style.css>\r\n\r\n".encode()

    with pytest.raises(ConnectionFailedError) as raised:
        client.send_message(a_request(), timeout=6.0)
    server.preamble, server.status = b"", 403
    with pytest.raises(AccessDeniedError):
        client.send_message(a_request(), timeout=6.0)

    assert raised.value.reason == "The service sent an informational answer before the real one"
    assert raised.value.maybe_delivered
    assert server.connections == 2


def test_the_client_waits_for_the_answer_after_100_continue(server: FakeServer) -> None:
    server.preamble = b"HTTP/1.1 100 Continue\r\n\r\n"

    assert send(server.url).message_id == "m-1"


@pytest.mark.parametrize("status", [["REJECTED"], {"a": 1}, 7, None, "", "rejected"])
def test_an_unknown_processing_status_is_left_out(server: FakeServer, status: object) -> None:
    server.body = json.dumps(ACCEPTED | {"MessageMetadata": {"MessageProcessingStatus": status}}).encode()

    assert send(server.url).processing_status is None


def test_a_body_that_arrives_too_slowly_is_cut_off(server: FakeServer) -> None:
    server.body, server.trickle = json.dumps(ACCEPTED).encode(), 0.04

    with pytest.raises(ServiceUnavailableError) as raised:
        send(server.url, timeout=0.1)

    assert raised.value.maybe_delivered


@pytest.mark.parametrize(("seconds_per_look", "is_read"), [(0.0, True), (3600.0, False)])
def test_the_time_for_a_body_is_that_of_the_given_clock(
    server: FakeServer, seconds_per_look: float, is_read: bool
) -> None:
    clock = count(-1e9, seconds_per_look)
    client = ParticipantClient(
        pools=urllib3.PoolManager(retries=False), endpoint=server.url, monotonic=lambda: next(clock)
    )

    if is_read:
        assert client.send_message(a_request(), timeout=6.0).message_id == "m-1"
    else:
        with pytest.raises(ServiceUnavailableError):
            client.send_message(a_request(), timeout=6.0)


def test_a_compressed_body_is_not_decoded(server: FakeServer) -> None:
    server.headers, server.body = {"Content-Encoding": "gzip"}, gzip.compress(json.dumps(ACCEPTED).encode())

    with pytest.raises(ServiceUnavailableError) as raised:
        send(server.url)

    assert raised.value.maybe_delivered


def test_a_body_that_arrives_in_too_many_pieces_is_cut_off(server: FakeServer) -> None:
    server.headers = {"Transfer-Encoding": "chunked"}
    server.body = b"1\r\n \r\n" * 20_000 + b"0\r\n\r\n"

    with pytest.raises(ServiceUnavailableError):
        send(server.url)


def test_a_cut_off_400_is_a_retryable_error(server: FakeServer) -> None:
    server.status = 400
    server.body = json.dumps({"message": "x" * 70_000, "code": "ThrottlingException"}).encode()

    with pytest.raises(ServiceUnavailableError):
        send(server.url)


def test_a_body_that_is_too_large_is_not_read(server: FakeServer) -> None:
    server.body = json.dumps(ACCEPTED | {"Filler": "x" * 1_000_000}).encode()

    with pytest.raises(ServiceUnavailableError):
        send(server.url)


def test_an_attempt_has_timeouts_and_no_retries_and_no_redirects(monkeypatch: pytest.MonkeyPatch) -> None:
    options: dict[str, Any] = {}

    def urlopen(*_: object, **given: object) -> NoReturn:
        options.update(given)
        raise ProtocolError("set by the test")

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", urlopen)

    with pytest.raises(ConnectionFailedError) as raised:
        send("http://127.0.0.1", timeout=3.5)

    timeout = options["timeout"]
    assert (timeout.total, timeout.connect_timeout, timeout.read_timeout) == (3.5, 1.0, 5.0)
    assert vars(options["retries"]) == vars(urllib3.Retry.from_int(retries=False, redirect=False))
    assert options["redirect"] is False
    assert raised.value.connection_lost


def test_an_unreadable_body_does_not_change_the_error(server: FakeServer) -> None:
    server.status, server.body = 403, b"[" * 100_000

    with pytest.raises(AccessDeniedError):
        send(server.url)


@pytest.mark.parametrize(
    ("failure", "reason", "maybe_delivered", "connection_lost"),
    [
        (
            NewConnectionError(HTTPConnection("127.0.0.1"), "refused"),
            "No connection to the service: NewConnectionError",
            False,
            False,
        ),
        (ConnectTimeoutError("slow"), "No connection to the service: ConnectTimeoutError", False, False),
        (
            SSLError(SSLCertVerificationError("self-signed")),
            "The certificate of the service is not trusted",
            False,
            False,
        ),
        (
            SSLError(SSLEOFError("cut")),
            "The connection broke before the answer was complete: SSLError",
            True,
            False,
        ),
        (
            ReadTimeoutError(HTTPConnectionPool("127.0.0.1"), "/", "slow"),
            "The service did not answer in time",
            True,
            False,
        ),
        (
            ProtocolError("cut"),
            "The connection broke before the answer was complete: ProtocolError",
            True,
            True,
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_the_error_of_a_connection_has_a_reason_and_says_if_the_message_may_be_delivered(
    monkeypatch: pytest.MonkeyPatch,
    failure: HTTPError,
    reason: str,
    maybe_delivered: bool,
    connection_lost: bool,
) -> None:
    def urlopen(*_: object, **__: object) -> NoReturn:
        raise failure

    monkeypatch.setattr(urllib3.HTTPConnectionPool, "urlopen", urlopen)

    with pytest.raises(ConnectionFailedError) as raised:
        send("http://127.0.0.1")

    error = raised.value
    assert error.reason == reason
    assert (error.maybe_delivered, error.connection_lost) == (maybe_delivered, connection_lost)
    assert error.__context__ is None  # the error of urllib3 can quote the answer


def test_an_endpoint_may_have_a_path(server: FakeServer) -> None:
    send(f"{server.url}/proxy/connect")

    assert [request.path for request in server.requests] == ["/proxy/connect/participant/message"]


def test_a_message_was_not_delivered_if_the_connection_is_refused() -> None:
    with running_server() as server:
        url = server.url

    with pytest.raises(ConnectionFailedError) as raised:
        send(url)

    assert not raised.value.maybe_delivered


def test_a_message_was_not_delivered_if_the_host_is_unknown() -> None:
    with pytest.raises(ConnectionFailedError) as raised:
        send("http://nowhere.invalid")

    assert not raised.value.maybe_delivered


def test_an_unencrypted_answer_to_tls_is_a_failed_connection(server: FakeServer) -> None:
    with pytest.raises(ConnectionFailedError):
        send(server.url.replace("http:", "https:"))


def test_a_message_may_be_delivered_if_the_answer_is_too_late(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Latency(latency=5.0))

    with pytest.raises(ConnectionFailedError) as raised:
        send(function.participant.url, a_request(ConnectionToken=chat.connection_token), timeout=0.05)

    assert raised.value.maybe_delivered
    until = time.monotonic() + 10  # the service is in a thread, which a busy machine may delay
    while not chat.texts and time.monotonic() < until:
        time.sleep(0.01)
    assert chat.texts == [TEXT]


def test_a_connection_is_reused(server: FakeServer) -> None:
    client = ParticipantClient(pools=urllib3.PoolManager(retries=False), endpoint=server.url)

    for _ in range(3):
        client.send_message(a_request(), timeout=6.0)

    assert len(server.requests) == 3
    assert server.connections == 1
