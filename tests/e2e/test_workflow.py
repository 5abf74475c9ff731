"""Messages by the state machine of the deployed stack, and the contents of its executions."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from infra.producer import EventSource, NotSentError
from sandbox.participant_service.faults import AcceptedThenCut, Latency, Status
from tests.e2e.test_local_stack import log_lines
from tests.support.schemas import RESULT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from types_boto3_stepfunctions.type_defs import HistoryEventTypeDef

    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation, Conversations

pytestmark = pytest.mark.e2e

SECRET_TEXT = "the text of the message"

# Changes of the input, and the state that each leads to
THROUGH_THE_QUEUE: dict[str, Any] = {}
BY_THE_FUNCTION: dict[str, Any] = {"ContactId": ...}
STATES = {id(THROUGH_THE_QUEUE): "SendToQueue", id(BY_THE_FUNCTION): "SendMessage"}
EITHER_WAY = pytest.mark.parametrize("way", [THROUGH_THE_QUEUE, BY_THE_FUNCTION], ids=["queue", "function"])

# On AWS also TaskScheduled, which has the task's parameters there. None that follows.
HOLDING_THE_INPUT = {
    *("ExecutionStarted", "PassStateEntered", "PassStateExited"),
    *("ChoiceStateEntered", "ChoiceStateExited", "TaskStateEntered"),
}

ATTEMPTS_PER_INVOCATION = 3


def history_of(stack: LocalStack, execution: str) -> list[HistoryEventTypeDef]:
    return stack.step_functions.get_execution_history(executionArn=execution, maxResults=1000)["events"]


def holding(secret: str, events: Sequence[HistoryEventTypeDef]) -> set[str]:
    """Return the types of the events that hold a text."""
    escaped = json.dumps(secret)[1:-1]
    return {event["type"] for event in events if escaped in json.dumps(event, default=str)}


def output_of(stack: LocalStack, execution: str) -> dict[str, Any]:
    """Wait for an execution, and return its output."""
    result = stack.producer.wait_for_execution(execution, timeout=60).result
    assert result is not None
    return dict(result.detail)


def error_of(stack: LocalStack, execution: str) -> NotSentError:
    """Wait for an execution, and return the error that it failed with."""
    with pytest.raises(NotSentError) as raised:
        stack.producer.wait_for_execution(execution, timeout=60)
    return raised.value


@EITHER_WAY
def test_the_output_is_the_published_result(
    alice: Conversation, stack: LocalStack, way: dict[str, Any]
) -> None:
    execution = alice.start("Friday, please", **way)
    output = output_of(stack, execution)

    jsonschema.validate(output, RESULT_SCHEMA)
    assert output["Outcome"] == "SENT"
    assert alice.result_of(output["SourceId"]).detail == output
    assert alice.texts == ["Friday, please"]
    entered = ["IsOneRequest", "MakeClientToken", "HasMessageGroup", STATES[id(way)]]
    assert states_of(stack, execution) == entered


@pytest.mark.parametrize("messages", [["first", "second"], ["only"], []])
def test_an_input_that_is_not_one_request_fails_by_name_and_sends_nothing(
    alice: Conversation, stack: LocalStack, messages: list[str]
) -> None:
    requests = json.dumps([alice.request(message) for message in messages])

    execution = stack.producer.send_text(requests, through=EventSource.WORKFLOW).source_id

    assert error_of(stack, execution).code == "InvalidRequest"
    assert states_of(stack, execution) == ["IsOneRequest", "NotOneRequest"]
    assert alice.texts == []


@EITHER_WAY
def test_each_execution_makes_a_message_unless_they_share_a_client_token(
    alice: Conversation, stack: LocalStack, way: dict[str, Any]
) -> None:
    def message_id(content: str, **fields: str) -> str:
        return str(output_of(stack, alice.start(content, **fields, **way))["Message"]["Id"])

    ids = {message_id("ok") for _ in range(2)}
    same = {message_id("I am here", ClientToken="sms-1") for _ in range(2)}

    assert (len(ids), len(same)) == (2, 1)
    assert alice.texts == ["ok", "ok", "I am here"]


@EITHER_WAY
@pytest.mark.parametrize(
    ("ended", "fields", "code"),
    [
        (True, {}, "AccessDenied"),
        (False, {"ContentType": "text/html"}, "InvalidRequest"),
        (False, {"ExpiresAt": "2026-01-31T12:00:00Z"}, "Expired"),
    ],
)
def test_a_rejected_message_is_caught_by_the_name_of_its_error(
    conversations: Conversations,
    stack: LocalStack,
    way: dict[str, Any],
    ended: bool,
    fields: dict[str, Any],
    code: str,
) -> None:
    if way is BY_THE_FUNCTION and not stack.has_error_types:
        pytest.skip("the emulator's own worker loses the type of errors")
    chat = conversations.open(ended=ended)

    execution = chat.start("One more thing", **fields, **way)

    assert error_of(stack, execution).code == code
    entered = ["IsOneRequest", "MakeClientToken", "HasMessageGroup", STATES[id(way)], "Rejected"]
    assert states_of(stack, execution) == entered


@pytest.mark.parametrize(
    "fields", [{"ContactId": "not a contact"}, {"ContactId": ["c-1"]}, {"ContactId": ""}, {"TaskToken": "t"}]
)
def test_an_invalid_contact_id_and_a_task_token_are_refused_by_the_function(
    alice: Conversation, stack: LocalStack, fields: dict[str, Any]
) -> None:
    execution = alice.start("Friday, please", **fields)
    error = error_of(stack, execution)

    assert states_of(stack, execution)[:4] == [
        "IsOneRequest",
        "MakeClientToken",
        "HasMessageGroup",
        "SendMessage",
    ]
    if stack.has_error_types:
        assert next(iter(fields)) in str(error)
    assert alice.texts == []


def test_the_log_group_of_the_executions_is_named_after_this_stack(stack: LocalStack) -> None:
    [deployed] = stack.emulator.client("cloudformation").describe_stacks(StackName=stack.outputs.stack_name)[
        "Stacks"
    ]
    unique = deployed["StackId"].rpartition("/")[2]

    prefix = f"/aws/vendedlogs/states/{deployed['StackName']}"
    found = stack.emulator.client("logs").describe_log_groups(logGroupNamePrefix=prefix)

    assert [group["logGroupName"] for group in found["logGroups"]] == [f"{prefix}-{unique}"]


def test_executions_for_one_contact_keep_their_order(alice: Conversation, stack: LocalStack) -> None:
    unavailable = Status(status=503)
    stack.participant.add_fault(unavailable, contact_id=alice.chat.contact_id, times=ATTEMPTS_PER_INVOCATION)

    executions = []
    for text in ("one", "two", "three"):
        executions.append(alice.start(text))
        _wait_for_task(stack, executions[-1])
    outputs = [output_of(stack, execution) for execution in executions]

    assert [output["Outcome"] for output in outputs] == ["SENT"] * 3
    assert alice.texts == ["one", "two", "three"]
    assert outputs[0]["ReceiveCount"] == 2


def test_a_message_accepted_then_cut_off_then_retried_by_the_state_machine_appears_once(
    alice: Conversation, stack: LocalStack
) -> None:
    if not stack.has_error_types:
        pytest.skip("the emulator's own worker loses the type of errors")
    stack.participant.add_fault(
        AcceptedThenCut(), contact_id=alice.chat.contact_id, times=ATTEMPTS_PER_INVOCATION
    )

    execution = alice.start("Friday, please", **BY_THE_FUNCTION)
    output = output_of(stack, execution)

    failed = [event for event in history_of(stack, execution) if event["type"] == "TaskFailed"]
    assert [event["taskFailedEventDetails"]["error"] for event in failed] == ["ConnectionFailedError"]
    assert output["Outcome"] == "SENT"
    assert alice.texts == ["Friday, please"]


@pytest.fixture
def start_impatient(stack: LocalStack) -> Iterator[Callable[..., str]]:
    """Start executions of copies of the state machine whose task times out after a second."""
    arns = []

    def start(request: dict[str, Any], *, retries: int) -> str:
        deployed = stack.step_functions.describe_state_machine(
            stateMachineArn=stack.outputs.state_machine_arn
        )
        definition = json.loads(deployed["definition"])
        task = definition["States"]["SendToQueue"]
        task["TimeoutSeconds"] = 1
        again = {"ErrorEquals": ["States.Timeout"], "MaxAttempts": retries, "IntervalSeconds": 1}
        task["Retry"] = [again, *task["Retry"]]
        made = stack.step_functions.create_state_machine(
            name=f"impatient-{uuid.uuid4()}", definition=json.dumps(definition), roleArn=deployed["roleArn"]
        )
        arns.append(made["stateMachineArn"])
        started = stack.step_functions.start_execution(
            stateMachineArn=made["stateMachineArn"], input=json.dumps(request)
        )
        return started["executionArn"]

    yield start
    for arn in arns:
        stack.step_functions.delete_state_machine(stateMachineArn=arn)


def test_a_task_that_times_out_before_its_answer_is_not_an_error_of_the_function(
    alice: Conversation, stack: LocalStack, folder: Path, start_impatient: Callable[..., str]
) -> None:
    client_token = str(uuid.uuid4())
    stack.participant.add_fault(Latency(latency=3.0), contact_id=alice.chat.contact_id, times=1)

    execution = start_impatient(alice.request("Friday, please", ClientToken=client_token), retries=0)
    error = error_of(stack, execution)
    ended_at = stack.step_functions.describe_execution(executionArn=execution)["stopDate"]
    result = stack.results.wait_for(lambda event: event.client_token == client_token)
    _wait_for_empty_queue(stack)

    assert error.code == "States.Timeout"
    assert datetime.fromisoformat(result.detail["CompletedAt"]) > ended_at
    assert result.outcome == "SENT"
    assert alice.texts == ["Friday, please"]
    said = list(log_lines(stack, folder))
    # The emulator also prints the first lines of a new function
    [ended] = {line.strip() for line in said if client_token in line and '"Message ended"' in line}
    assert json.loads(ended)["level"] == "INFO"
    assert [line for line in said if result.source_id in line and "Task not answered" in line] == []
    assert [line for line in said if '"TaskCallbackFailures"' in line] == []


def test_a_task_that_is_retried_before_its_message_is_done_shows_it_once(
    alice: Conversation, stack: LocalStack, start_impatient: Callable[..., str]
) -> None:
    # Accepted and cut off, so that it is redelivered after the task has timed out
    stack.participant.add_fault(
        AcceptedThenCut(), contact_id=alice.chat.contact_id, times=ATTEMPTS_PER_INVOCATION
    )

    execution = start_impatient(alice.request("Friday, please"), retries=20)
    output = output_of(stack, execution)
    _wait_for_empty_queue(stack)

    timeouts = [event for event in history_of(stack, execution) if event["type"] == "TaskFailed"]
    assert {event["taskFailedEventDetails"]["error"] for event in timeouts} == {"States.Timeout"}
    assert output["Outcome"] == "SENT"
    assert alice.texts == ["Friday, please"]
    # Each attempt put another message into the queue: none was dropped as a duplicate. On AWS each attempt
    # also has another task token. The emulator keeps the first.
    client_token = output["ClientToken"]
    results = [event for event in stack.results.received if event.client_token == client_token]
    assert len({event.source_id for event in results}) == len(timeouts) + 1


@EITHER_WAY
def test_an_execution_holds_token_and_text_in_inputs_only(
    conversations: Conversations, stack: LocalStack, way: dict[str, Any]
) -> None:
    alice, ended = conversations.open(), conversations.open(ended=True)

    for chat in (alice, ended):
        execution = chat.start(SECRET_TEXT, **way)
        with suppress(NotSentError):
            output_of(stack, execution)
        description = stack.step_functions.describe_execution(executionArn=execution)
        history = history_of(stack, execution)

        for secret in (chat.chat.connection_token, SECRET_TEXT):
            assert {name for name, value in description.items() if secret in str(value)} == {"input"}
            assert holding(secret, history) == HOLDING_THE_INPUT


def states_of(stack: LocalStack, execution: str) -> list[str]:
    """Return the names of the states that an execution has entered, in order."""
    entered = (event.get("stateEnteredEventDetails") for event in history_of(stack, execution))
    return [details["name"] for details in entered if details is not None]


def _wait_for_task(stack: LocalStack, execution: str) -> None:
    """Wait until the task of an execution is scheduled: then its message is in the queue."""
    wait_until(lambda: any(event["type"] == "TaskScheduled" for event in history_of(stack, execution)))
    time.sleep(0.2)


def _wait_for_empty_queue(stack: LocalStack) -> None:
    wait_until(lambda: stack.queue_depths().messages == 0)
    while stack.results.receive():
        pass


def wait_until(holds: Callable[[], bool], *, timeout: float = 20.0) -> None:
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
