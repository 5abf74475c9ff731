"""Direct invocations of the deployed function, as by Step Functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from tests.support.schemas import RESULT_SCHEMA

if TYPE_CHECKING:
    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation, Conversations

pytestmark = pytest.mark.e2e


def test_the_answer_is_the_published_result(alice: Conversation) -> None:
    answer = alice.invoke("Friday, please", ClientToken="appointment-1")

    jsonschema.validate(answer.payload, RESULT_SCHEMA)
    assert answer.payload["Outcome"] == "SENT"
    assert alice.result_of(answer.payload["SourceId"]).detail == answer.payload
    assert [message.id for message in alice.messages] == [answer.payload["Message"]["Id"]]


def test_a_call_that_is_repeated_sends_one_message(alice: Conversation) -> None:
    answers = [alice.invoke("Friday, please", ClientToken="appointment-1") for _ in range(2)]

    assert len({answer.payload["SourceId"] for answer in answers}) == 2
    assert len({answer.payload["Message"]["Id"] for answer in answers}) == 1
    assert alice.texts == ["Friday, please"]


@pytest.mark.parametrize(
    ("fields", "error_type"),
    [
        ({}, "InvalidRequestError"),
        ({"ClientToken": "a-1", "ContentType": "text/html"}, "InvalidRequestError"),
        ({"ClientToken": "a-1", "ExpiresAt": "2026-01-31T12:00:00Z"}, "ExpiredError"),
    ],
)
def test_an_error_has_its_own_name(
    alice: Conversation, stack: LocalStack, fields: dict[str, Any], error_type: str
) -> None:
    if not stack.has_error_types:
        pytest.skip("the emulator's own worker loses the type of errors")

    answer = alice.invoke("Friday, please", **fields)

    assert answer.error_type == error_type
    event = alice.result_of(answer.payload["requestId"])
    assert (event.outcome, f"{event.code}Error") == ("REJECTED", error_type)
    assert alice.texts == []


def test_an_ended_chat_is_an_access_denied_error(conversations: Conversations, stack: LocalStack) -> None:
    if not stack.has_error_types:
        pytest.skip("the emulator's own worker loses the type of errors")
    ended = conversations.open(ended=True)

    assert ended.invoke("One more thing", ClientToken="a-1").error_type == "AccessDeniedError"


def test_an_event_of_no_known_source_is_an_error_that_lists_what_is_accepted(stack: LocalStack) -> None:
    answer = stack.invoke({"detail-type": "Something else"})

    assert answer.error_type
    assert "It accepts" in answer.payload["errorMessage"]
