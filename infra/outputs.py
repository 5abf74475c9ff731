"""Read the addresses of a deployed sender: from the outputs of its stack, or from parameters."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Self

from botocore.exceptions import ClientError

from .stage import parameter_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_ssm import SSMClient


class OutputsError(Exception):
    """The stack or the sender does not exist, or is not one of this project.

    Attributes:
        stack_name: The name that was asked for.
    """

    def __init__(self, stack_name: str, problem: str) -> None:
        super().__init__(problem)
        self.stack_name = stack_name

    def __reduce__(self) -> tuple[object, ...]:  # pickle gives __init__ the text alone
        return type(self), (self.stack_name, str(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """The addresses that a producer sends to. Give those of the event sources that you use."""

    message_queue_url: str = ""
    event_bus_name: str = ""
    function_alias_arn: str = ""
    api_url: str = ""
    state_machine_arn: str = ""
    token_key_arn: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOutputs(Addresses):
    """All addresses of one sender. Those of parts that the options leave out are empty.

    Attributes:
        stack_name: The name of the sender. That of a stage is also the name of its stack.
    """

    stack_name: str
    message_queue_url: str
    dead_letter_queue_url: str
    rejected_queue_url: str
    unpublished_results_queue_url: str
    events_dead_letter_queue_url: str
    event_bus_name: str
    function_name: str
    function_alias_arn: str

    @classmethod
    def from_mapping(cls, stack_name: str, outputs: Mapping[str, str]) -> Self:
        """Read addresses by the names of the outputs, such as `MessageQueueUrl`.

        Raises:
            OutputsError: One is missing.
        """
        values = {"stack_name": stack_name}
        for field in fields(cls):
            output = field.name.title().replace("_", "")
            if output in outputs:
                values[field.name] = outputs[output]
            elif field.default is MISSING and field.name not in values:
                raise OutputsError(stack_name, f"{stack_name} has no output {output}.")
        return cls(**values)


def read_outputs(cloudformation: CloudFormationClient, stack_name: str) -> StackOutputs:
    """Read the outputs of a deployed stack. This takes the permission `cloudformation:DescribeStacks`.

    Raises:
        OutputsError: The stack does not exist, or lacks an output.
        ClientError: CloudFormation refused the call for another reason.
    """
    try:
        (stack,) = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
    except ClientError as error:
        # CloudFormation answers this for a stack that does not exist
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        problem = f"There is no stack {stack_name} in {cloudformation.meta.region_name}."
        raise OutputsError(stack_name, problem) from None
    outputs = {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", [])}
    return StackOutputs.from_mapping(stack_name, outputs)


def read_parameters(ssm: SSMClient, name: str) -> StackOutputs:
    """Read the addresses of a deployed sender, in whatever stack it is.

    This takes the permission `ssm:GetParametersByPath` on `parameter/connect-message-sender/<name>`.

    Args:
        name: The name of the sender. Its construct has it as `name`, too.

    Raises:
        OutputsError: There is no such sender, or it lacks an address.
        ClientError: Systems Manager refused the call.
    """
    path = parameter_path(name)
    pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=path)
    values = {each["Name"].rpartition("/")[2]: each["Value"] for page in pages for each in page["Parameters"]}
    if not values:
        raise OutputsError(
            name, f"There is no sender {name} in {ssm.meta.region_name}: it has no parameters under {path}."
        )
    return StackOutputs.from_mapping(name, values)
