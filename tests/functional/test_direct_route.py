"""The handler with direct invocations, as Step Functions makes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from message_sender.errors import (
    AccessDeniedError,
    ConnectionFailedError,
    DeadlineExceededError,
    ExpiredError,
    InvalidRequestError,
    RejectedError,
    ServiceValidationError,
    ThrottledError,
    UnexpectedResponseError,
    UnsupportedEventError,
)
from sandbox.participant_service.faults import AcceptedThenCut, Status
from tests.support.lambda_events import TEXT, FakeLambdaContext, request
from tests.support.limits import TOO_LONG

if TYPE_CHECKING:
    from tests.functional.conftest import Function


def test_the_answer_is_the_published_result(function: Function) -> None:
    chat = function.start_chat()

    answer = function(chat.request(ClientToken="t-1", ContactId=chat.contact_id))

    assert chat.texts == [TEXT]
    assert answer["Outcome"] == "SENT"
    assert answer["ClientToken"] == "t-1"
    assert answer["EventSource"] == "direct"
    assert answer["SourceId"] == FakeLambdaContext.aws_request_id
    assert function.aws.results == [answer]


def test_a_repeated_call_with_the_same_client_token_sends_once(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(AcceptedThenCut(), times=3)

    with pytest.raises(ConnectionFailedError) as raised:
        function(chat.request(ClientToken="t-1"))
    function(chat.request(ClientToken="t-1"))

    assert raised.value.maybe_delivered
    assert chat.texts == [TEXT]


def test_a_missing_client_token_is_an_error_with_its_reason(function: Function) -> None:
    chat = function.start_chat()

    with pytest.raises(InvalidRequestError, match=r"ClientToken is required.*retry"):
        function(chat.request())

    [result] = function.aws.results
    assert result["ClientToken"] is None
    assert chat.texts == []


def test_a_task_token_is_refused(function: Function) -> None:
    chat = function.start_chat()

    with pytest.raises(InvalidRequestError, match="TaskToken"):
        function(chat.request(ClientToken="t-1", TaskToken="secret-task-token"))


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"Content": TOO_LONG}, InvalidRequestError),
        ({"ConnectionToken": "unknown"}, AccessDeniedError),
        ({"ExpiresAt": "2020-01-01T00:00:00Z"}, ExpiredError),
        ({"ContentType": "text/markdown"}, ServiceValidationError),
    ],
)
def test_a_rejected_message_raises_its_named_error_and_is_published(
    function: Function, fields: dict[str, Any], error: type[Exception]
) -> None:
    chat = function.start_chat(content_types=["text/plain"])

    with pytest.raises(error):
        function(chat.request(ClientToken="t-1", **fields))

    [result] = function.aws.results
    assert result["Outcome"] == "REJECTED"
    assert f"{result['Error']['Code']}Error" == error.__name__
    assert function.aws.messages == []


@pytest.mark.parametrize("status", [302, 404, 409, 413])
def test_a_message_with_an_undocumented_answer_is_rejected_and_no_redirect_is_followed(
    function: Function, status: int
) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Status(status=status, location=f"{function.aws.url}/elsewhere"))

    with pytest.raises(UnexpectedResponseError):
        function(chat.request(ClientToken="t-1"))

    assert chat.texts == []
    assert set(function.aws.calls) == {"PutEvents"}


def test_a_deferred_message_raises_and_publishes_nothing(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Status(status=429, retry_after_ms=1), times=None)

    with pytest.raises(ThrottledError):
        function(chat.request(ClientToken="t-1"))

    assert function.aws.events == []


def test_an_attempt_that_could_not_end_in_time_is_not_made(function: Function) -> None:
    chat = function.start_chat()

    with pytest.raises(DeadlineExceededError):
        function(chat.request(ClientToken="t-1"), FakeLambdaContext(seconds_left=7.4))

    assert chat.texts == []


def test_the_caller_gets_its_answer_if_the_result_cannot_be_published(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = function.start_chat()
    function.aws.failures = {"PutEvents": [500] * 3, "SendMessageBatch": [500] * 3}

    answer = function(chat.request(ClientToken="t-1"))

    assert answer["Outcome"] == "SENT"
    assert '"ResultPublishFailures":[1.0]' in capsys.readouterr().out


def test_an_event_that_is_nested_too_deeply_is_an_invalid_request(function: Function) -> None:
    metadata: dict[str, Any] = {}
    for _ in range(50_000):
        metadata = {"a": metadata}

    with pytest.raises(InvalidRequestError, match="nested more than 64 levels deep"):
        function(request(ClientToken="t-1", Metadata=metadata))


@pytest.mark.parametrize(
    "event", [{}, [], None, "text", 7, {"Records": []}, {"Records": [{"eventSource": "aws:sns"}]}]
)
def test_an_event_of_an_unknown_source_is_an_error_that_lists_the_sources(
    function: Function, event: object, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(
        UnsupportedEventError, match=r"an SQS event .* an EventBridge event .* a direct invocation"
    ):
        function(event)

    output = capsys.readouterr().out
    assert '"UnsupportedEvents":[1.0]' in output
    assert "UnhandledErrors" not in output, "any invoker could stop a roll-out"


def test_no_secret_reaches_a_log_an_error_or_a_result(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = function.start_chat(content_types=["text/plain"])
    errors: list[str] = []
    for fields in (
        {},
        {"ContentType": "text/markdown"},
        {"Unknown": TEXT},
        {"TaskToken": "secret-task-token"},
        {"Content": {"text": TEXT}},
        {"ClientToken": 7},
    ):
        try:
            function(chat.request(**{"ClientToken": "t-1"} | fields))
        except RejectedError as error:
            errors.append(repr(error))

    captured = capsys.readouterr()
    output = captured.out + captured.err + "".join(errors) + json.dumps(function.aws.events)
    assert len(errors) == 5
    for secret in (TEXT, chat.connection_token, "secret-task-token"):
        assert secret not in output
