"""Messages by the state machine of the deployed stack, and what an execution holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from tests.support.schemas import RESULT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation, Conversations

pytestmark = pytest.mark.e2e

SECRET_TEXT = "the text of the message"

# On AWS also TaskScheduled, which has the task's parameters there. None that follows.
HOLDING_THE_INPUT = {"ExecutionStarted", "PassStateEntered", "PassStateExited", "TaskStateEntered"}


def history_of(stack: LocalStack, execution: str) -> list[dict[str, Any]]:
    answer = stack.step_functions.get_execution_history(executionArn=execution, maxResults=1000)
    events: list[dict[str, Any]] = answer["events"]
    return events


def holding(secret: str, events: Sequence[dict[str, Any]]) -> set[str]:
    """Return the types of those events that hold a text."""
    escaped = json.dumps(secret)[1:-1]
    return {event["type"] for event in events if escaped in json.dumps(event, default=str)}


def test_the_output_is_the_published_result(alice: Conversation) -> None:
    _, answer = alice.execute("Friday, please")

    jsonschema.validate(answer.payload, RESULT_SCHEMA)
    assert answer.payload["Outcome"] == "SENT"
    assert alice.result_of(answer.payload["SourceId"]).detail == answer.payload
    assert alice.texts == ["Friday, please"]


def test_each_execution_makes_a_message_unless_they_share_a_client_token(alice: Conversation) -> None:
    ids = [alice.execute("ok")[1].payload["Message"]["Id"] for _ in range(2)]
    same = [alice.execute("I am here", ClientToken="sms-1")[1].payload["Message"]["Id"] for _ in range(2)]

    assert (len(set(ids)), len(set(same))) == (2, 1)
    assert alice.texts == ["ok", "ok", "I am here"]


@pytest.mark.parametrize(
    ("ended", "fields", "error"),
    [
        (True, {}, "AccessDeniedError"),
        (False, {"ContentType": "text/html"}, "InvalidRequestError"),
        (False, {"ExpiresAt": "2026-01-31T12:00:00Z"}, "ExpiredError"),
    ],
)
def test_a_rejected_message_is_caught_by_the_name_of_its_error(
    conversations: Conversations, stack: LocalStack, ended: bool, fields: dict[str, Any], error: str
) -> None:
    if not stack.has_error_types:
        pytest.skip("the emulator's own worker loses the type of errors")
    chat = conversations.open(ended=ended)

    execution, answer = chat.execute("One more thing", **fields)

    assert answer.error_type == error
    entered = [event["stateEnteredEventDetails"]["name"] for event in _entered(history_of(stack, execution))]
    assert entered == ["MakeClientToken", "SendMessage", "Rejected"]


def test_an_execution_holds_the_token_in_inputs_and_in_nothing_that_it_ends_with(
    conversations: Conversations, stack: LocalStack
) -> None:
    alice, ended = conversations.open(), conversations.open(ended=True)

    for chat in (alice, ended):
        execution, answer = chat.execute(SECRET_TEXT)
        description = stack.step_functions.describe_execution(executionArn=execution)
        history = history_of(stack, execution)

        for secret in (chat.chat.connection_token, SECRET_TEXT):
            assert secret not in json.dumps(answer.payload)
            assert {name for name, value in description.items() if secret in str(value)} == {"input"}
            assert holding(secret, history) == HOLDING_THE_INPUT


def _entered(history: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in history if "stateEnteredEventDetails" in event]
