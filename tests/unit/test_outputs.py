"""The outputs of a stack."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from infra.outputs import OutputsError, StackOutputs, read_outputs

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient

REQUIRED = {
    "MessageQueueUrl": "https://sqs/messages",
    "DeadLetterQueueUrl": "https://sqs/dead-letters",
    "RejectedQueueUrl": "https://sqs/rejected",
    "UnpublishedResultsQueueUrl": "https://sqs/unpublished",
    "EventsDeadLetterQueueUrl": "https://sqs/events",
    "EventBusName": "bus",
    "FunctionName": "function",
    "FunctionAliasArn": "arn:function:live",
}


def cloudformation(answer: dict[str, Any] | Exception) -> CloudFormationClient:
    def describe_stacks(**parameters: str) -> dict[str, Any]:
        assert parameters == {"StackName": "stack"}
        if isinstance(answer, Exception):
            raise answer
        return answer

    fake = SimpleNamespace(describe_stacks=describe_stacks, meta=SimpleNamespace(region_name="eu-west-1"))
    return cast("CloudFormationClient", fake)


def test_outputs_are_read_from_cloudformation() -> None:
    outputs = {
        **REQUIRED,
        "ApiUrl": "https://api/",
        "StateMachineArn": "arn:machine",
        "TokenKeyArn": "arn:key",
        "Another": "x",
    }
    stack = {"Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]}

    read = read_outputs(cloudformation({"Stacks": [stack]}), "stack")

    assert (read.stack_name, read.message_queue_url) == ("stack", "https://sqs/messages")
    assert (read.api_url, read.state_machine_arn) == ("https://api/", "arn:machine")
    assert read.token_key_arn == "arn:key"
    assert read.events_dead_letter_queue_url == "https://sqs/events"


def test_a_stack_can_do_without_api_state_machine_and_token_key() -> None:
    read = StackOutputs.from_mapping("stack", REQUIRED)

    assert (read.api_url, read.state_machine_arn, read.token_key_arn) == ("", "", "")


@pytest.mark.parametrize("output", REQUIRED)
def test_a_missing_output_is_named(output: str) -> None:
    outputs = {key: value for key, value in REQUIRED.items() if key != output}

    with pytest.raises(OutputsError, match=f"The stack stack has no output {output}"):
        StackOutputs.from_mapping("stack", outputs)


def test_a_stack_without_outputs_is_named() -> None:
    with pytest.raises(OutputsError, match="has no output MessageQueueUrl"):
        read_outputs(cloudformation({"Stacks": [{}]}), "stack")


def test_a_stack_that_does_not_exist_is_named_with_its_region() -> None:
    missing = ClientError({"Error": {"Code": "ValidationError", "Message": ""}}, "DescribeStacks")

    with pytest.raises(OutputsError, match="There is no stack stack in eu-west-1"):
        read_outputs(cloudformation(missing), "stack")


def test_another_error_of_cloudformation_is_not_hidden() -> None:
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": ""}}, "DescribeStacks")

    with pytest.raises(ClientError, match="AccessDenied"):
        read_outputs(cloudformation(denied), "stack")
