"""Direct invocations of the deployed function."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from infra.producer import EventSource
from tests.support.schemas import RESULT_SCHEMA

if TYPE_CHECKING:
    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation, Conversations

pytestmark = pytest.mark.e2e


def test_an_invocation_answers_the_published_result(alice: Conversation) -> None:
    detail = alice.sent(EventSource.DIRECT, "Friday, please", ClientToken="appointment-1")

    jsonschema.validate(detail, RESULT_SCHEMA)
    assert detail["Outcome"] == "SENT"
    assert alice.result_of(detail["SourceId"]).detail == detail
    assert [message.id for message in alice.messages] == [detail["Message"]["Id"]]


def test_a_repeated_call_sends_one_message(alice: Conversation) -> None:
    details = [
        alice.sent(EventSource.DIRECT, "Friday, please", ClientToken="appointment-1") for _ in range(2)
    ]

    assert len({detail["SourceId"] for detail in details}) == 2
    assert len({detail["Message"]["Id"] for detail in details}) == 1
    assert alice.texts == ["Friday, please"]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, "InvalidRequest"),
        ({"ClientToken": "a-1", "ContentType": "text/html"}, "InvalidRequest"),
        ({"ClientToken": "a-1", "ExpiresAt": "2026-01-31T12:00:00Z"}, "Expired"),
    ],
)
def test_an_error_has_the_name_of_its_code(
    alice: Conversation, stack: LocalStack, fields: dict[str, Any], code: str
) -> None:
    if not stack.has_error_types:
        pytest.skip("the emulator's own worker loses the type of errors")

    error = alice.refused(EventSource.DIRECT, "Friday, please", **fields)

    assert error.code == code
    assert error.source_id
    result = alice.result_of(error.source_id)
    assert (result.outcome, result.code, result.reason) == ("REJECTED", code, error.reason)
    assert alice.texts == []


def test_an_ended_chat_is_an_access_denied_error(conversations: Conversations, stack: LocalStack) -> None:
    if not stack.has_error_types:
        pytest.skip("the emulator's own worker loses the type of errors")
    ended = conversations.open(ended=True)

    assert ended.refused(EventSource.DIRECT, "One more thing", ClientToken="a-1").code == "AccessDenied"


def test_an_unknown_event_is_an_error_that_lists_the_event_sources(stack: LocalStack) -> None:
    answer = stack.lambda_.invoke(
        FunctionName=stack.outputs.function_alias_arn, Payload=json.dumps({"detail-type": "Something else"})
    )

    assert "FunctionError" in answer
    assert "It accepts" in json.load(answer["Payload"])["errorMessage"]
