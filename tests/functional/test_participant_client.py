"""SendMessage on the wire: what is sent, and what each answer means."""

from __future__ import annotations

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
from message_sender.participant import ParticipantClient
from message_sender.request import parse_request
from sandbox.participant_service.faults import Latency
from tests.support.lambda_events import TEXT, TOKEN, request
from tests.support.wire import running_wire

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from message_sender.outcome import Sent
    from message_sender.request import SendMessageRequest
    from tests.functional.conftest import Function
    from tests.support.wire import Wire

TAKEN = {"Id": "m-1", "AbsoluteTime": "2026-01-31T12:00:00.000Z"}


@pytest.fixture
def wire() -> Iterator[Wire]:
    with running_wire() as running:
        running.body = json.dumps(TAKEN).encode()
        yield running


def a_request(**fields: Any) -> SendMessageRequest:  # noqa: ANN401  # wrong types are among what tests need
    return parse_request(json.dumps(request(**fields)), client_token="t-1")


def send(url: str, message: SendMessageRequest | None = None, *, timeout: float = 6.0) -> Sent:
    client = ParticipantClient(pools=urllib3.PoolManager(retries=False), endpoint=url)
    return client.send_message(message or a_request(), timeout=timeout)


def test_the_call_is_that_of_the_specification(wire: Wire) -> None:
    send(wire.url, a_request(Content="Grüße 😀", ContentType="text/markdown"))

    [sent] = wire.requests
    assert (sent.method, sent.path) == ("POST", "/participant/message")
    assert sent.headers["x-amz-bearer"] == TOKEN
    assert sent.headers["content-type"] == "application/json"
    assert "authorization" not in sent.headers
    assert json.loads(sent.body) == {
        "ContentType": "text/markdown",
        "Content": "Grüße 😀",
        "ClientToken": "t-1",
    }


def test_the_call_is_the_one_that_boto3_makes(wire: Wire) -> None:
    client = boto3.client(
        "connectparticipant",
        endpoint_url=wire.url,
        region_name="eu-central-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(retries={"total_max_attempts": 1}),
    )

    send(wire.url)
    client.send_message(ContentType="text/plain", Content=TEXT, ClientToken="t-1", ConnectionToken=TOKEN)

    ours, theirs = wire.requests
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    assert json.loads(ours.body) == json.loads(theirs.body)
    for header in ("host", "content-type", "x-amz-bearer"):
        assert ours.headers[header] == theirs.headers[header]


def test_what_the_service_answers_is_passed_on(wire: Wire) -> None:
    wire.body = json.dumps(TAKEN | {"MessageMetadata": {"MessageProcessingStatus": "PROCESSING"}}).encode()

    sent = send(wire.url)

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
def test_every_answer_means_one_error(wire: Wire, case: Case) -> None:
    wire.status = case.status
    wire.headers = {"x-amzn-requestid": "r-1", **case.headers}
    wire.body = b"" if case.status == 204 else json.dumps(case.body).encode()

    with pytest.raises(DeliveryError) as raised:
        send(wire.url)

    assert type(raised.value) is case.error
    assert raised.value.http_status == case.status
    assert raised.value.request_id == "r-1"
    assert raised.value.maybe_delivered is case.maybe
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-amz-retry-after": "1500"}, 1.5),
        ({"Retry-After": "2"}, 2.0),
        ({"x-amz-retry-after": "300", "Retry-After": "9"}, 0.3),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "9" * 5000}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_what_the_service_asks_to_wait_is_read(
    wire: Wire, status: int, headers: dict[str, str], seconds: float | None
) -> None:
    wire.status, wire.headers = status, headers

    with pytest.raises((ThrottledError, ServiceUnavailableError)) as raised:
        send(wire.url)

    assert raised.value.retry_after == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("spelling", ["Message", "message"])
def test_the_words_of_the_service_are_in_the_reason(wire: Wire, spelling: str) -> None:
    wire.status, wire.headers = 400, {"x-amzn-errortype": "ValidationException"}
    wire.body = json.dumps({spelling: "ContentType is not enabled"}).encode()

    with pytest.raises(ServiceValidationError, match=r"ValidationException: ContentType is not enabled"):
        send(wire.url)


@pytest.mark.parametrize(
    "words",
    [
        f"Value '{TEXT}' at 'content' failed to satisfy constraint",
        f"Value '{TEXT.upper()}' is bad",
        f"Invalid token: {TOKEN}",
        f"Value '...{TEXT[5:16]}...' is bad",
    ],
)
def test_words_that_repeat_the_request_are_left_out(wire: Wire, words: str) -> None:
    wire.status, wire.body = 400, json.dumps({"Message": words}).encode()

    with pytest.raises(ServiceValidationError) as raised:
        send(wire.url)

    assert words not in raised.value.reason
    assert "message left out" in raised.value.reason


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("PIN 12", "the value PIN 12 is bad"),
        ("4711", "PIN_4711 is bad"),
        ("ok", "'ok'"),
        ("!!", "what is !! supposed to mean"),
        ("café 你好", r"the value caf\u00e9 \u4f60\u597d is bad"),
    ],
)
def test_words_that_repeat_a_short_text_are_left_out(wire: Wire, content: str, words: str) -> None:
    wire.status, wire.headers = 400, {"x-amzn-errortype": "ValidationException"}
    wire.body = json.dumps({"Message": words}).encode()

    with pytest.raises(ServiceValidationError) as raised:
        send(wire.url, a_request(Content=content))

    assert words not in raised.value.reason
    assert "(ValidationException: message left out" in raised.value.reason


@pytest.mark.parametrize("name", ["Passw0rd1", "no name", "x" * 81])
def test_a_name_that_is_none_of_the_service_is_checked_too(wire: Wire, name: str) -> None:
    wire.status, wire.headers, wire.body = 400, {"x-amzn-errortype": name}, b""

    with pytest.raises(ServiceValidationError) as raised:
        send(wire.url, a_request(Content="Passw0rd1"))

    assert name not in raised.value.reason


def test_the_words_of_the_service_are_cut_short(wire: Wire) -> None:
    wire.status, wire.body = 400, json.dumps({"Message": "-" * 5000}).encode()

    with pytest.raises(ServiceValidationError) as raised:
        send(wire.url)

    assert raised.value.reason.count("-") == 300


@pytest.mark.parametrize("request_id", ["two words", "x" * 129, "<script>", ""])
def test_a_request_id_that_is_none_is_left_out(wire: Wire, request_id: str) -> None:
    wire.status, wire.headers = 403, {"x-amzn-requestid": request_id}

    with pytest.raises(AccessDeniedError) as raised:
        send(wire.url)

    assert raised.value.request_id is None


@pytest.mark.parametrize("status", [["REJECTED"], {"a": 1}, 7, None])
def test_a_processing_status_of_no_sense_is_none(wire: Wire, status: object) -> None:
    wire.body = json.dumps(TAKEN | {"MessageMetadata": {"MessageProcessingStatus": status}}).encode()

    assert send(wire.url).processing_status is None


def test_a_body_that_does_not_end_in_time_is_cut_off(wire: Wire) -> None:
    wire.body, wire.trickle = json.dumps(TAKEN).encode(), 0.04

    with pytest.raises(ServiceUnavailableError) as raised:
        send(wire.url, timeout=0.1)

    assert raised.value.maybe_delivered


def test_a_body_of_no_sensible_size_is_not_read(wire: Wire) -> None:
    wire.body = json.dumps(TAKEN | {"Filler": "x" * 1_000_000}).encode()

    with pytest.raises(ServiceUnavailableError):
        send(wire.url)


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


def test_a_body_that_cannot_be_read_does_no_harm(wire: Wire) -> None:
    wire.status, wire.body = 403, b"[" * 100_000

    with pytest.raises(AccessDeniedError):
        send(wire.url)


def test_a_refused_connection_did_not_deliver() -> None:
    with running_wire() as wire:
        url = wire.url

    with pytest.raises(ConnectionFailedError) as raised:
        send(url)

    assert not raised.value.maybe_delivered


def test_an_unknown_host_did_not_deliver() -> None:
    with pytest.raises(ConnectionFailedError) as raised:
        send("http://nowhere.invalid")

    assert not raised.value.maybe_delivered


def test_a_plain_answer_to_tls_is_a_failed_connection(wire: Wire) -> None:
    with pytest.raises(ConnectionFailedError):
        send(wire.url.replace("http:", "https:"))


def test_an_answer_that_does_not_come_in_time_may_have_delivered(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Latency(latency=5.0))

    with pytest.raises(ConnectionFailedError) as raised:
        send(function.participant.url, a_request(ConnectionToken=chat.connection_token), timeout=0.05)

    assert raised.value.maybe_delivered
    assert chat.texts == [TEXT]


def test_a_kept_alive_connection_is_used_again(wire: Wire) -> None:
    client = ParticipantClient(pools=urllib3.PoolManager(retries=False), endpoint=wire.url)

    for _ in range(3):
        client.send_message(a_request(), timeout=6.0)

    assert len(wire.requests) == 3
    assert wire.connections == 1
