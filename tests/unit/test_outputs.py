"""The addresses of a sender, from the outputs of a stack or from parameters."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError

from infra.outputs import OutputsError, StackOutputs, read_outputs, read_parameters
from tests.support.recorded_account import RecordedAccount, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

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

    with pytest.raises(OutputsError, match=f"stack has no output {output}"):
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


def parameters(values: Mapping[str, str]) -> RecordedAccount:
    """Return an account with a sender's parameters, in pages of ten as Systems Manager has them."""
    stored = [{"Name": f"/connect-message-sender/chat/{key}", "Value": each} for key, each in values.items()]

    def page(request: Mapping[str, Any]) -> dict[str, Any]:
        assert request["Path"] == "/connect-message-sender/chat"
        start = int(request.get("NextToken", 0))
        more = {"NextToken": str(start + 10)} if start + 10 < len(stored) else {}
        return {"Parameters": stored[start : start + 10], **more}

    return RecordedAccount({("ssm", "GetParametersByPath"): page})


def test_addresses_of_a_sender_in_any_stack_are_read_from_parameters() -> None:
    optional = {"ApiUrl": "https://api/", "StateMachineArn": "arn:machine", "DataKeyArn": "x", "Another": "x"}
    account = parameters({**REQUIRED, **optional})

    read = read_parameters(account.client("ssm"), "chat")

    assert account.operations == ["GetParametersByPath"] * 2
    assert (read.stack_name, read.message_queue_url) == ("chat", "https://sqs/messages")
    assert (read.api_url, read.state_machine_arn) == ("https://api/", "arn:machine")


def test_a_sender_that_does_not_exist_is_named_with_its_region() -> None:
    with pytest.raises(OutputsError, match="There is no sender chat in eu-central-1"):
        read_parameters(parameters({}).client("ssm"), "chat")


def test_a_missing_parameter_is_named() -> None:
    account = parameters({"MessageQueueUrl": "https://sqs/messages"})

    with pytest.raises(OutputsError, match="chat has no output EventBusName"):
        read_parameters(account.client("ssm"), "chat")


def test_an_error_of_systems_manager_is_not_hidden() -> None:
    account = RecordedAccount({("ssm", "GetParametersByPath"): Refusal("AccessDeniedException")})

    with pytest.raises(ClientError, match="AccessDeniedException"):
        read_parameters(account.client("ssm"), "chat")
