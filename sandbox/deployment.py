"""The stack, deployed into the emulator by the real CDK CLI from what `cdk synth` made of `app.py`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from sandbox.emulator import ACCOUNT, REGION
from sandbox.request_validators import wire_request_validators

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sandbox.emulator import Emulator
    from sandbox.processes import ChildProcesses

_TIMEOUT = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOutputs:
    stack_name: str
    message_queue_url: str
    dead_letter_queue_url: str
    rejected_queue_url: str
    unpublished_results_queue_url: str
    events_dead_letter_queue_url: str
    event_bus_name: str
    function_name: str
    function_alias_arn: str
    api_url: str
    """On AWS; `ApiClient` knows where the emulator has it."""
    state_machine_arn: str

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `cdk deploy --outputs-file` wrote of one stack."""
        ((stack_name, outputs),) = json.loads(path.read_text(encoding="utf-8")).items()
        return cls._from_outputs(stack_name, outputs)

    @classmethod
    def _from_outputs(cls, stack_name: str, outputs: Mapping[str, str]) -> Self:
        return cls(
            stack_name=stack_name,
            message_queue_url=outputs["MessageQueueUrl"],
            dead_letter_queue_url=outputs["DeadLetterQueueUrl"],
            rejected_queue_url=outputs["RejectedQueueUrl"],
            unpublished_results_queue_url=outputs["UnpublishedResultsQueueUrl"],
            events_dead_letter_queue_url=outputs["EventsDeadLetterQueueUrl"],
            event_bus_name=outputs["EventBusName"],
            function_name=outputs["FunctionName"],
            function_alias_arn=outputs["FunctionAliasArn"],
            api_url=outputs["ApiUrl"],
            state_machine_arn=outputs["StateMachineArn"],
        )


def deploy(
    children: ChildProcesses, emulator: Emulator, *, cdk: Path, assembly: Path, folder: Path
) -> StackOutputs:
    """Bootstrap the emulator's account and deploy the stack.

    Args:
        cdk: the CDK CLI.
        assembly: the folder that `cdk synth` wrote.
        folder: for all that the CLI writes.

    Raises:
        ProcessError: The CLI failed.
    """
    outputs = folder / "outputs.json"
    environ = {
        **emulator.environ(home=folder / "cdk"),
        "CDK_HOME": str(folder / "cdk"),
        "CDK_DISABLE_CLI_TELEMETRY": "true",
    }
    for arguments in (
        ["bootstrap", f"aws://{ACCOUNT}/{REGION}"],
        ["deploy", "--all", f"--app={assembly}", "--require-approval=never", f"--outputs-file={outputs}"],
    ):
        children.run(
            [str(cdk), "--no-notices", "--no-color", *arguments],
            output=folder / "cdk.log",
            environ=environ,
            folder=folder,
            timeout=_TIMEOUT,
        )
    stack = StackOutputs.read(outputs)
    wire_request_validators(emulator, stack_name=stack.stack_name)
    return stack
