"""The handler on events of the bus."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from message_sender.errors import AwsCallError, ResultNotPublishedError, ThrottledError
from message_sender.request import derive_client_token
from sandbox.participant_service.faults import Status
from tests.support.lambda_events import TEXT, FakeLambdaContext, bus_event

if TYPE_CHECKING:
    from tests.functional.conftest import Function


def test_the_message_of_an_event_reaches_its_chat(function: Function) -> None:
    chat = function.start_chat()
    event = bus_event(chat.request())

    function(event)

    assert chat.texts == [TEXT]
    [result] = function.aws.results
    assert result["EventSource"] == "eventbridge"
    assert result["SourceId"] == event["id"]
    assert result["AcceptedAt"] == "2026-01-31T12:00:00.000Z"
    assert result["ClientToken"] == derive_client_token("eventbridge", event["id"])


def test_an_event_that_comes_twice_is_one_message(function: Function) -> None:
    chat = function.start_chat()
    event = bus_event(chat.request())

    function(event)
    function(event)

    assert chat.texts == [TEXT]


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"Content": "x" * 1025}, "InvalidRequest"), ({"ConnectionToken": "unknown"}, "AccessDenied")],
)
def test_a_rejected_message_is_copied_and_published(
    function: Function, fields: dict[str, Any], code: str
) -> None:
    chat = function.start_chat()
    event = bus_event(chat.request(**fields))

    function(event)

    [copy] = function.aws.messages
    client_token = derive_client_token("eventbridge", event["id"])
    assert json.loads(copy["MessageBody"]) == event["detail"] | {"ClientToken": client_token}
    assert {name: value["StringValue"] for name, value in copy["MessageAttributes"].items()} == {
        "Code": code,
        "ClientToken": client_token,
        "SourceId": event["id"],
    }
    [result] = function.aws.results
    assert result["Error"]["Code"] == code


def test_a_message_that_may_be_sent_later_raises_and_publishes_nothing(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Status(status=429, retry_after_ms=1), times=None)

    with pytest.raises(ThrottledError):
        function(bus_event(chat.request()))

    assert function.aws.events == []


def test_a_copy_that_cannot_be_made_raises_before_anything_is_published(function: Function) -> None:
    function.aws.failures["SendMessage"] = [400]

    with pytest.raises(AwsCallError):
        function(bus_event({}))

    assert function.aws.events == []


def test_a_result_that_is_safe_nowhere_raises(function: Function) -> None:
    chat = function.start_chat()
    function.aws.failures = {"PutEvents": [500] * 3, "SendMessageBatch": [500] * 3}

    with pytest.raises(ResultNotPublishedError):
        function(bus_event(chat.request()))


def test_without_time_nothing_is_sent(function: Function) -> None:
    chat = function.start_chat()

    with pytest.raises(Exception, match="not enough time"):
        function(bus_event(chat.request()), FakeLambdaContext(seconds_left=8))

    assert chat.texts == []
