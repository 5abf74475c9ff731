"""The deployed stack, as its outputs describe it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from ops.smoke.sources import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

_OUTPUTS = {
    Source.QUEUE: "MessageQueueUrl",
    Source.EVENT: "EventBusName",
    Source.DIRECT: "FunctionAliasArn",
    Source.WORKFLOW: "StateMachineArn",
    Source.API: "ApiUrl",
    Source.API_SYNC: "ApiUrl",
}


class DeploymentError(Exception):
    """The stack is not there, or not as it is needed. The text says what, and the line that mends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    stack_name: str
    outputs: Mapping[str, str]

    def sources(self, wanted: tuple[Source, ...] | None) -> tuple[Source, ...]:
        """Return the wanted sources, or all that the stack offers.

        Raises:
            DeploymentError: The stack does not offer one that is wanted.
        """
        offered = tuple(source for source in Source if _OUTPUTS[source] in self.outputs)
        for source in wanted or ():
            if source not in offered:
                raise DeploymentError(
                    f"The stack {self.stack_name} has no output {_OUTPUTS[source]}, so it does not offer the "
                    f"source {source}. Deploy it as it is here:\n    {self._deploy}"
                )
        return offered if wanted is None else wanted

    @property
    def event_bus_name(self) -> str:
        if name := self.outputs.get(_OUTPUTS[Source.EVENT]):
            return name
        raise DeploymentError(
            f"The stack {self.stack_name} has no output EventBusName: this is not the stack that is meant. "
            f"Deploy it:\n    {self._deploy}"
        )

    @property
    def _deploy(self) -> str:
        return f"make deploy STAGE={self.stack_name.partition('-')[2]}"


def read_deployment(cloudformation: Any, stack_name: str) -> Deployment:  # noqa: ANN401  # boto3 has no types
    """Read the stack's outputs.

    Raises:
        DeploymentError: There is no such stack.
    """
    try:
        (stack,) = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
    except ClientError as error:
        # What CloudFormation answers for a stack that does not exist
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise DeploymentError(
            f"There is no stack {stack_name} in {cloudformation.meta.region_name}. "
            "Name another stage or Region, or deploy it:\n"
            f"    make deploy STAGE={stack_name.partition('-')[2]}"
        ) from None
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    return Deployment(stack_name=stack_name, outputs=outputs)
