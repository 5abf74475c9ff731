"""The handler with requests of API Gateway."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from message_sender.errors import DeliveryError
from message_sender.event_sources.api_gateway import STATUS
from sandbox.participant_service.faults import Processing, ResetBeforeAcceptance, Status
from sandbox.participant_service.transcript import ProcessingStatus
from tests.support.errors import leaves
from tests.support.lambda_events import TEXT, FakeLambdaContext, api_request

if TYPE_CHECKING:
    from sandbox.participant_service.faults import Fault
    from tests.functional.conftest import Function


def post(
    function: Function, body: str | dict[str, Any] | None, *, in_base64: bool = False
) -> tuple[int, dict[str, Any]]:
    answer = function(api_request(body, base64=in_base64))
    assert answer["headers"]["Content-Type"] == "application/json"
    return answer["statusCode"], json.loads(answer["body"])


def test_the_answer_is_the_published_result(function: Function) -> None:
    chat = function.start_chat()

    status, body = post(function, chat.request(ClientToken="t-1"))

    assert status == 200
    assert body["Outcome"] == "SENT"
    assert body["EventSource"] == "api_gateway"
    assert body["SourceId"] == "JKJaXmPLvHcESHA="
    assert function.aws.results == [body]
    assert chat.texts == [TEXT]


def test_a_body_in_base64_is_decoded(function: Function) -> None:
    chat = function.start_chat()
    body = base64.b64encode(json.dumps(chat.request(ClientToken="t-1", Content="Grüße")).encode()).decode()

    status, _ = post(function, body, in_base64=True)

    assert status == 200
    assert chat.texts == ["Grüße"]


@pytest.mark.parametrize(
    ("body", "in_base64"), [(None, False), ("", False), ("junk", False), ("!", True), ("/w==", True)]
)
def test_a_body_that_is_not_json_is_a_400(function: Function, body: str | None, in_base64: bool) -> None:
    status, answer = post(function, body, in_base64=in_base64)

    assert status == 400
    assert answer == {
        "Code": "InvalidRequest",
        "Reason": "The request is not valid JSON",
        "ClientToken": None,
    }


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"Content": ""}, 400, "InvalidRequest"),
        ({"ContentType": "text/markdown"}, 400, "ServiceValidation"),
        ({"ConnectionToken": "unknown"}, 422, "AccessDenied"),
        ({"ExpiresAt": "2020-01-01T00:00:00Z"}, 422, "Expired"),
    ],
)
def test_a_rejected_message_has_the_status_of_its_code(
    function: Function, fields: dict[str, Any], status: int, code: str
) -> None:
    chat = function.start_chat(content_types=["text/plain"])

    actual, answer = post(function, chat.request(**{"ClientToken": "t-1"} | fields))

    assert (actual, answer["Code"], answer["ClientToken"]) == (status, code, "t-1")
    assert set(answer) == {"Code", "Reason", "ClientToken"}
    assert function.aws.results[0]["Error"]["Code"] == code


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Status(status=429), 429, "Throttled"),
        (Status(status=500), 502, "ServiceUnavailable"),
        (ResetBeforeAcceptance(), 502, "ConnectionFailed"),
        (Status(status=404), 502, "UnexpectedResponse"),
        (Processing(status=ProcessingStatus.FAILED), 422, "ProcessingRejected"),
    ],
)
def test_a_fault_of_the_service_has_the_status_of_its_code(
    function: Function, fault: Fault, status: int, code: str
) -> None:
    chat = function.start_chat()
    function.participant.faults.add(fault, times=None)

    actual, answer = post(function, chat.request(ClientToken="t-1"))

    assert (actual, answer["Code"], answer["ClientToken"]) == (status, code, "t-1")


def test_the_answer_has_the_retry_after_of_the_service_in_whole_seconds(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Status(status=429, retry_after_ms=90_100), times=None)

    answer = function(api_request(chat.request(ClientToken="t-1")))

    assert answer["headers"]["Retry-After"] == "91"


def test_a_request_without_time_for_an_attempt_is_a_504(function: Function) -> None:
    chat = function.start_chat()

    answer = function(api_request(chat.request(ClientToken="t-1")), FakeLambdaContext(seconds_left=5))

    assert answer["statusCode"] == 504
    assert json.loads(answer["body"])["Code"] == "DeadlineExceeded"


def test_a_client_token_is_required(function: Function) -> None:
    status, answer = post(function, function.start_chat().request())

    assert status == 400
    assert answer["Reason"].startswith("ClientToken is required here")


def test_every_error_has_a_status() -> None:
    assert set(STATUS) == set(leaves(DeliveryError))
