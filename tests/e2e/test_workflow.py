"""Messages by the state machine of the deployed stack, and what an execution holds."""

from __future__ import annotations

import json
import time
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from sandbox.participant_service.faults import AcceptedThenCut, Latency, Status
from tests.e2e.test_local_stack import log_lines
from tests.support.schemas import RESULT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation, Conversations

pytestmark = pytest.mark.e2e

SECRET_TEXT = "the text of the message"

# By what the input has, and which state it leads to
THROUGH_THE_QUEUE: dict[str, Any] = {}
BY_THE_FUNCTION: dict[str, Any] = {"ContactId": ...}
STATES = {id(THROUGH_THE_QUEUE): "SendToQueue", id(BY_THE_FUNCTION): "SendMessage"}
EITHER_WAY = pytest.mark.parametrize("way", [THROUGH_THE_QUEUE, BY_THE_FUNCTION], ids=["queue", "function"])

# On AWS also TaskScheduled, which has the task's parameters there. None that follows.
HOLDING_THE_INPUT = {
    *("ExecutionStarted", "PassStateEntered", "PassStateExited"),
    *("ChoiceStateEntered", "ChoiceStateExited", "TaskStateEntered"),
}

TRIES_OF_AN_INVOCATION = 3


def history_of(stack: LocalStack, execution: str) -> list[dict[str, Any]]:
    answer = stack.step_functions.get_execution_history(executionArn=execution, maxResults=1000)
    events: list[dict[str, Any]] = answer["events"]
    return events


def holding(secret: str, events: Sequence[dict[str, Any]]) -> set[str]:
    """Return the types of those events that hold a text."""
    escaped = json.dumps(secret)[1:-1]
    return {event["type"] for event in events if escaped in json.dumps(event, default=str)}


@EITHER_WAY
def test_the_output_is_the_published_result(
    alice: Conversation, stack: LocalStack, way: dict[str, Any]
) -> None:
    execution, answer = alice.execute("Friday, please", **way)

    jsonschema.validate(answer.payload, RESULT_SCHEMA)
    assert answer.payload["Outcome"] == "SENT"
    assert alice.result_of(answer.payload["SourceId"]).detail == answer.payload
    assert alice.texts == ["Friday, please"]
    entered = ["IsOneRequest", "MakeClientToken", "HasMessageGroup", STATES[id(way)]]
    assert states_of(stack, execution) == entered


@pytest.mark.parametrize("messages", [["first", "second"], ["only"], []])
def test_an_input_that_is_not_one_request_fails_by_name_and_sends_nothing(
    alice: Conversation, stack: LocalStack, messages: list[str]
) -> None:
    execution = stack.start_execution([alice.request(message) for message in messages])

    answer = stack.wait_for_execution(execution)

    assert answer.error_type == "InvalidRequestError"
    assert states_of(stack, execution) == ["IsOneRequest", "NotOneRequest"]
    assert alice.texts == []


@EITHER_WAY
def test_each_execution_makes_a_message_unless_they_share_a_client_token(
    alice: Conversation, way: dict[str, Any]
) -> None:
    def message_id(content: str, **fields: str) -> str:
        return str(alice.execute(content, **fields, **way)[1].payload["Message"]["Id"])

    ids = {message_id("ok") for _ in range(2)}
    same = {message_id("I am here", ClientToken="sms-1") for _ in range(2)}

    assert (len(ids), len(same)) == (2, 1)
    assert alice.texts == ["ok", "ok", "I am here"]


@EITHER_WAY
@pytest.mark.parametrize(
    ("ended", "fields", "error"),
    [
        (True, {}, "AccessDeniedError"),
        (False, {"ContentType": "text/html"}, "InvalidRequestError"),
        (False, {"ExpiresAt": "2026-01-31T12:00:00Z"}, "ExpiredError"),
    ],
)
def test_a_rejected_message_is_caught_by_the_name_of_its_error(
    conversations: Conversations,
    stack: LocalStack,
    way: dict[str, Any],
    ended: bool,
    fields: dict[str, Any],
    error: str,
) -> None:
    if way is BY_THE_FUNCTION and not stack.has_error_types:
        pytest.skip("the emulator's own worker loses the type of errors")
    chat = conversations.open(ended=ended)

    execution, answer = chat.execute("One more thing", **fields, **way)

    assert answer.error_type == error
    entered = ["IsOneRequest", "MakeClientToken", "HasMessageGroup", STATES[id(way)], "Rejected"]
    assert states_of(stack, execution) == entered


@pytest.mark.parametrize(
    "fields", [{"ContactId": "not a contact"}, {"ContactId": ["c-1"]}, {"ContactId": ""}, {"TaskToken": "t"}]
)
def test_what_is_no_message_group_and_a_task_token_are_refused_by_the_function(
    alice: Conversation, stack: LocalStack, fields: dict[str, Any]
) -> None:
    execution, answer = alice.execute("Friday, please", **fields)

    assert states_of(stack, execution)[:4] == [
        "IsOneRequest",
        "MakeClientToken",
        "HasMessageGroup",
        "SendMessage",
    ]
    assert next(iter(fields)) in answer.payload["cause"]
    assert alice.texts == []


def test_executions_for_one_contact_keep_their_order(alice: Conversation, stack: LocalStack) -> None:
    unavailable = Status(status=503)
    stack.participant.add_fault(unavailable, contact_id=alice.chat.contact_id, times=TRIES_OF_AN_INVOCATION)

    executions = []
    for text in ("one", "two", "three"):
        executions.append(stack.start_execution(alice.request(text)))
        _wait_for_task(stack, executions[-1])
    answers = [stack.wait_for_execution(execution) for execution in executions]

    assert [answer.payload["Outcome"] for answer in answers] == ["SENT"] * 3
    assert alice.texts == ["one", "two", "three"]
    assert answers[0].payload["ReceiveCount"] == 2


def test_a_message_accepted_then_cut_off_then_retried_by_the_state_machine_appears_once(
    alice: Conversation, stack: LocalStack
) -> None:
    if not stack.has_error_types:
        pytest.skip("the emulator's own worker loses the type of errors")
    stack.participant.add_fault(
        AcceptedThenCut(), contact_id=alice.chat.contact_id, times=TRIES_OF_AN_INVOCATION
    )

    execution, answer = alice.execute("Friday, please", **BY_THE_FUNCTION)

    failed = [event for event in history_of(stack, execution) if event["type"] == "TaskFailed"]
    assert [event["taskFailedEventDetails"]["error"] for event in failed] == ["ConnectionFailedError"]
    assert answer.payload["Outcome"] == "SENT"
    assert alice.texts == ["Friday, please"]


@pytest.fixture
def hasty(stack: LocalStack) -> Iterator[Callable[..., str]]:
    """Make copies of the state machine whose task gives up waiting after a second."""
    arns = []

    def make(*, retries: int) -> str:
        deployed = stack.step_functions.describe_state_machine(
            stateMachineArn=stack.outputs.state_machine_arn
        )
        definition = json.loads(deployed["definition"])
        task = definition["States"]["SendToQueue"]
        task["TimeoutSeconds"] = 1
        again = {"ErrorEquals": ["States.Timeout"], "MaxAttempts": retries, "IntervalSeconds": 1}
        task["Retry"] = [again, *task["Retry"]]
        made = stack.step_functions.create_state_machine(
            name=f"hasty-{uuid.uuid4()}", definition=json.dumps(definition), roleArn=deployed["roleArn"]
        )
        arns.append(made["stateMachineArn"])
        return str(arns[-1])

    yield make
    for arn in arns:
        stack.step_functions.delete_state_machine(stateMachineArn=arn)


def test_a_task_that_has_timed_out_before_its_answer_is_no_error(
    alice: Conversation, stack: LocalStack, folder: Path, hasty: Callable[..., str]
) -> None:
    client_token = str(uuid.uuid4())
    stack.participant.add_fault(Latency(latency=3.0), contact_id=alice.chat.contact_id, times=1)

    execution = stack.start_execution(
        alice.request("Friday, please", ClientToken=client_token), state_machine_arn=hasty(retries=0)
    )
    answer = stack.wait_for_execution(execution)
    ended_at = stack.step_functions.describe_execution(executionArn=execution)["stopDate"]
    result = stack.results.wait_for_any(lambda event: event.client_token == client_token, timeout=20)
    _wait_for_empty_queue(stack)

    assert answer.error_type == "States.Timeout"
    assert datetime.fromisoformat(result.detail["CompletedAt"]) > ended_at
    assert result.outcome == "SENT"
    assert alice.texts == ["Friday, please"]
    said = list(log_lines(stack, folder))
    # The emulator also prints the first lines of a new function
    [ended] = {line.strip() for line in said if client_token in line and '"Message ended"' in line}
    assert json.loads(ended)["level"] == "INFO"
    assert [line for line in said if result.source_id in line and "Task not answered" in line] == []
    assert [line for line in said if '"TaskCallbackFailures"' in line] == []


def test_a_task_that_is_tried_again_while_its_message_is_under_way_shows_it_once(
    alice: Conversation, stack: LocalStack, hasty: Callable[..., str]
) -> None:
    # Accepted and cut off, so that it comes back to the queue when the task has timed out
    stack.participant.add_fault(
        AcceptedThenCut(), contact_id=alice.chat.contact_id, times=TRIES_OF_AN_INVOCATION
    )

    execution = stack.start_execution(alice.request("Friday, please"), state_machine_arn=hasty(retries=20))
    answer = stack.wait_for_execution(execution)
    _wait_for_empty_queue(stack)

    timeouts = [event for event in history_of(stack, execution) if event["type"] == "TaskFailed"]
    assert {event["taskFailedEventDetails"]["error"] for event in timeouts} == {"States.Timeout"}
    assert answer.payload["Outcome"] == "SENT"
    assert alice.texts == ["Friday, please"]
    # Each try has put a message of its own into the queue: none was dropped as a duplicate. On AWS each try
    # has a task token of its own too; the emulator keeps the first.
    client_token = answer.payload["ClientToken"]
    results = [event for event in stack.results.received if event.client_token == client_token]
    assert len({event.source_id for event in results}) == len(timeouts) + 1


@EITHER_WAY
def test_an_execution_holds_the_token_in_inputs_and_in_nothing_that_it_ends_with(
    conversations: Conversations, stack: LocalStack, way: dict[str, Any]
) -> None:
    alice, ended = conversations.open(), conversations.open(ended=True)

    for chat in (alice, ended):
        execution, answer = chat.execute(SECRET_TEXT, **way)
        description = stack.step_functions.describe_execution(executionArn=execution)
        history = history_of(stack, execution)

        for secret in (chat.chat.connection_token, SECRET_TEXT):
            assert secret not in json.dumps(answer.payload)
            assert {name for name, value in description.items() if secret in str(value)} == {"input"}
            assert holding(secret, history) == HOLDING_THE_INPUT


def states_of(stack: LocalStack, execution: str) -> list[str]:
    """Return the names of the states that an execution has entered, in order."""
    entered = (event.get("stateEnteredEventDetails") for event in history_of(stack, execution))
    return [details["name"] for details in entered if details is not None]


def _wait_for_task(stack: LocalStack, execution: str) -> None:
    """Wait until the task of an execution has been scheduled, and so its message sent."""
    wait_until(lambda: any(event["type"] == "TaskScheduled" for event in history_of(stack, execution)))
    time.sleep(0.2)


def _wait_for_empty_queue(stack: LocalStack) -> None:
    wait_until(lambda: stack.queue_depths().messages == 0)
    while stack.results.receive():
        pass


def wait_until(holds: Callable[[], bool], *, timeout: float = 20.0) -> None:
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.1)
