"""SendMessage on the server: what is sent, and what each answer means."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import boto3
import pytest
import urllib3
from botocore.config import Config
from urllib3.exceptions import ProtocolError

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
    from collections.abc import Iterator, Mapping

    from message_sender.result import Sent
    from tests.functional.conftest import Function
    from tests.support.http_server import FakeServer

REQUEST_ID = "5607c900-550f-4b4a-abbb-db01d23ce611"
TAKEN = {"Id": "m-1", "AbsoluteTime": "2026-01-31T12:00:00.000Z"}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with running_server() as running:
        running.body = json.dumps(TAKEN).encode()
        yield running


def a_request(**fields: Any) -> SendMessageRequest:  # noqa: ANN401  # wrong types are among what tests need
    parsed = parse_request(json.dumps(request(**fields)), client_token="t-1").request
    assert isinstance(parsed, SendMessageRequest)
    return parsed


def send(url: str, message: SendMessageRequest | None = None, *, timeout: float = 6.0) -> Sent:
    client = ParticipantClient(pools=urllib3.PoolManager(retries=False), endpoint=url)
    return client.send_message(message or a_request(), timeout=timeout)


def test_the_call_is_that_of_the_specification(server: FakeServer) -> None:
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


def test_the_call_is_the_one_that_boto3_makes(server: FakeServer) -> None:
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


def test_what_the_service_answers_is_passed_on(server: FakeServer) -> None:
    server.body = json.dumps(TAKEN | {"MessageMetadata": {"MessageProcessingStatus": "PROCESSING"}}).encode()

    sent = send(server.url)

    assert sent.message_id == "m-1"
    assert sent.absolute_time == "2026-01-31T12:00:00.000Z"
    assert sent.processing_status == "PROCESSING"


@dataclass(frozen=True)
class Case:
    """An answer of the service and what it means. `maybe`: whether the message may have arrived."""

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
    Case(200, ProcessingRejectedError, TAKEN | {"MessageMetadata": {"MessageProcessingStatus": "REJECTED"}}),
    Case(200, ProcessingRejectedError, TAKEN | {"MessageMetadata": {"MessageProcessingStatus": "FAILED"}}),
    Case(301, UnexpectedResponseError, headers={"Location": "/elsewhere"}),
    Case(307, UnexpectedResponseError, headers={"Location": "/elsewhere"}),
    Case(401, UnexpectedResponseError),
    Case(404, UnexpectedResponseError),
    Case(409, UnexpectedResponseError, {"Message": "x"}, {"x-amzn-errortype": "ConflictException"}),
    Case(413, UnexpectedResponseError),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.status}-{case.error.__name__}")
def test_every_answer_means_one_error(server: FakeServer, case: Case) -> None:
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
def test_what_the_service_asks_to_wait_is_read(
    server: FakeServer, status: int, headers: dict[str, str], seconds: float | None
) -> None:
    server.status, server.headers = status, headers

    with pytest.raises((ThrottledError, ServiceUnavailableError)) as raised:
        send(server.url)

    assert raised.value.retry_after == (None if seconds is None else pytest.approx(seconds))


def test_an_error_that_the_service_documents_is_named(server: FakeServer) -> None:
    server.status, server.headers = 400, {"x-amzn-errortype": "ValidationException:http://internal/"}
    server.body = json.dumps({"Message": "ContentType is not enabled"}).encode()

    with pytest.raises(ServiceValidationError) as raised:
        send(server.url)

    assert raised.value.reason.endswith("of the chat (ValidationException)")
    assert "not enabled" not in raised.value.reason


@pytest.mark.parametrize("name", ["Passw0rd1", "Password", "no name", "x" * 81, "Throttling-hunter2"])
def test_an_error_that_the_service_does_not_document_is_not_named(server: FakeServer, name: str) -> None:
    server.status, server.headers, server.body = 400, {"x-amzn-errortype": name}, b""

    with pytest.raises(DeliveryError) as raised:
        send(server.url)

    assert name not in raised.value.reason


def test_a_conflict_names_the_state_of_the_contact_as_a_possible_cause(server: FakeServer) -> None:
    server.status = 409

    with pytest.raises(UnexpectedResponseError, match="state of the contact"):
        send(server.url)


@pytest.mark.parametrize(
    "request_id", [REQUEST_ID, REQUEST_ID.upper(), "JKJaXmPLvHcESHA=", "Aa0_-XmPLvHcESH="]
)
def test_a_request_id_in_a_form_of_aws_is_kept(server: FakeServer, request_id: str) -> None:
    server.status, server.headers = 403, {"x-amzn-requestid": request_id}

    with pytest.raises(AccessDeniedError) as raised:
        send(server.url)

    assert raised.value.request_id == request_id


@pytest.mark.parametrize(
    "request_id", ["two words", "x" * 36, f"{REQUEST_ID}0", TOKEN, "<script>", "", "PIN-4711", "aHVudGVyMg=="]
)
def test_a_request_id_in_another_form_is_left_out(server: FakeServer, request_id: str) -> None:
    server.status, server.headers = 403, {"x-amzn-requestid": request_id}

    with pytest.raises(AccessDeniedError) as raised:
        send(server.url)

    assert raised.value.request_id is None


@pytest.mark.parametrize(
    ("fields", "message_id", "time"),
    [
        ({"Id": "Where is my parcel?"}, None, TAKEN["AbsoluteTime"]),
        ({"Id": "x" * 257}, None, TAKEN["AbsoluteTime"]),
        ({"Id": "m-1\n"}, None, TAKEN["AbsoluteTime"]),
        ({"Id": "\ud83d"}, None, TAKEN["AbsoluteTime"]),
        ({"AbsoluteTime": "noon"}, "m-1", None),
        ({"AbsoluteTime": "2026-01-31"}, "m-1", None),
        ({"AbsoluteTime": "2026-02-31T12:00:00Z"}, "m-1", None),
        ({"AbsoluteTime": "2026-01-31T12:00:00Z\n"}, "m-1", None),
        ({"AbsoluteTime": 4711}, "m-1", None),
        ({"MessageMetadata": {"MessageProcessingStatus": "hunter2"}}, "m-1", TAKEN["AbsoluteTime"]),
        ({"MessageMetadata": "hunter2"}, "m-1", TAKEN["AbsoluteTime"]),
        ({"MessageMetadata": "REJECTED"}, "m-1", TAKEN["AbsoluteTime"]),
    ],
)
def test_what_is_not_in_its_documented_form_is_left_out(
    server: FakeServer, fields: dict[str, object], message_id: str | None, time: str | None
) -> None:
    server.body = json.dumps(TAKEN | fields).encode()

    sent = send(server.url)

    assert (sent.message_id, sent.absolute_time, sent.processing_status) == (message_id, time, None)
    assert sent.is_malformed


def test_an_answer_in_the_documented_form_is_not_malformed(server: FakeServer) -> None:
    assert not send(server.url).is_malformed


@pytest.mark.parametrize("status", [102, 103, 199])
def test_an_informational_answer_is_not_the_outcome_of_any_message(server: FakeServer, status: int) -> None:
    client = ParticipantClient(pools=urllib3.PoolManager(retries=False), endpoint=server.url)
    server.status, server.body = 200, json.dumps(TAKEN | {"Id": "first"}).encode()
    server.preamble = f"HTTP/1.1 {status} Early Hints\r\nLink: </style.css>\r\n\r\n".encode()

    with pytest.raises(ConnectionFailedError) as raised:
        client.send_message(a_request(), timeout=6.0)
    server.preamble, server.status = b"", 403
    with pytest.raises(AccessDeniedError):
        client.send_message(a_request(), timeout=6.0)

    assert raised.value.maybe_delivered
    assert server.connections == 2


def test_a_service_that_says_continue_is_waited_for(server: FakeServer) -> None:
    server.preamble = b"HTTP/1.1 100 Continue\r\n\r\n"

    assert send(server.url).message_id == "m-1"


@pytest.mark.parametrize("status", [["REJECTED"], {"a": 1}, 7, None, "", "rejected"])
def test_a_processing_status_of_no_sense_is_none(server: FakeServer, status: object) -> None:
    server.body = json.dumps(TAKEN | {"MessageMetadata": {"MessageProcessingStatus": status}}).encode()

    assert send(server.url).processing_status is None


def test_a_body_that_does_not_end_in_time_is_cut_off(server: FakeServer) -> None:
    server.body, server.trickle = json.dumps(TAKEN).encode(), 0.04

    with pytest.raises(ServiceUnavailableError) as raised:
        send(server.url, timeout=0.1)

    assert raised.value.maybe_delivered


def test_a_compressed_body_is_not_decoded(server: FakeServer) -> None:
    server.headers, server.body = {"Content-Encoding": "gzip"}, gzip.compress(json.dumps(TAKEN).encode())

    with pytest.raises(ServiceUnavailableError) as raised:
        send(server.url)

    assert raised.value.maybe_delivered


def test_a_body_that_arrives_in_too_many_pieces_is_cut_off(server: FakeServer) -> None:
    server.headers = {"Transfer-Encoding": "chunked"}
    server.body = b"1\r\n \r\n" * 20_000 + b"0\r\n\r\n"

    with pytest.raises(ServiceUnavailableError):
        send(server.url)


def test_a_400_that_is_cut_off_may_be_a_throttle(server: FakeServer) -> None:
    server.status = 400
    server.body = json.dumps({"message": "x" * 70_000, "code": "ThrottlingException"}).encode()

    with pytest.raises(ServiceUnavailableError):
        send(server.url)


def test_a_body_of_no_sensible_size_is_not_read(server: FakeServer) -> None:
    server.body = json.dumps(TAKEN | {"Filler": "x" * 1_000_000}).encode()

    with pytest.raises(ServiceUnavailableError):
        send(server.url)


class FakePool:
    """Keeps what the client asks of urllib3."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}

    def connection_from_url(self, _: str) -> FakePool:
        return self

    def urlopen(self, *_: object, **options: object) -> NoReturn:
        self.options = options
        raise ProtocolError("told to fail")


def test_the_limits_of_a_try_are_those_of_the_design() -> None:
    pool = FakePool()
    client = ParticipantClient(pools=pool, endpoint="http://127.0.0.1")  # type: ignore[arg-type]  # a fake

    with pytest.raises(ConnectionFailedError) as raised:
        client.send_message(a_request(), timeout=3.5)

    timeout = pool.options["timeout"]
    assert (timeout.total, timeout.connect_timeout, timeout._read) == (3.5, 1.0, 5.0)  # noqa: SLF001  # no other way
    assert pool.options["retries"] is False
    assert pool.options["redirect"] is False
    assert raised.value.connection_lost


def test_a_body_that_cannot_be_read_does_no_harm(server: FakeServer) -> None:
    server.status, server.body = 403, b"[" * 100_000

    with pytest.raises(AccessDeniedError):
        send(server.url)


def test_a_refused_connection_did_not_deliver() -> None:
    with running_server() as server:
        url = server.url

    with pytest.raises(ConnectionFailedError) as raised:
        send(url)

    assert not raised.value.maybe_delivered


def test_an_unknown_host_did_not_deliver() -> None:
    with pytest.raises(ConnectionFailedError) as raised:
        send("http://nowhere.invalid")

    assert not raised.value.maybe_delivered


def test_a_plain_answer_to_tls_is_a_failed_connection(server: FakeServer) -> None:
    with pytest.raises(ConnectionFailedError):
        send(server.url.replace("http:", "https:"))


def test_an_answer_that_does_not_come_in_time_may_have_delivered(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Latency(latency=5.0))

    with pytest.raises(ConnectionFailedError) as raised:
        send(function.participant.url, a_request(ConnectionToken=chat.connection_token), timeout=0.05)

    assert raised.value.maybe_delivered
    assert chat.texts == [TEXT]


def test_a_kept_alive_connection_is_used_again(server: FakeServer) -> None:
    client = ParticipantClient(pools=urllib3.PoolManager(retries=False), endpoint=server.url)

    for _ in range(3):
        client.send_message(a_request(), timeout=6.0)

    assert len(server.requests) == 3
    assert server.connections == 1
