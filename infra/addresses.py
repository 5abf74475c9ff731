"""Publish the addresses of a sender: outputs of its stack, and Systems Manager parameters. Needs the CDK."""

from collections.abc import Mapping
from typing import Final

from aws_cdk import aws_ssm as ssm
from constructs import Construct

from .stage import parameter_path

OUTPUTS: Final[Mapping[str, str]] = {
    "MessageQueueUrl": "The messages queue. Producers put requests here",
    "DeadLetterQueueUrl": "The dead-letter queue: messages that failed",
    "RejectedQueueUrl": "The rejected queue: copies of rejected messages",
    "UnpublishedResultsQueueUrl": "The unpublished-results queue: results that the event bus did not accept",
    "EventsDeadLetterQueueUrl": (
        "The events dead-letter queue: events that did not reach the function or that it failed on"
    ),
    "EventBusName": "The event bus for requests and results",
    "FunctionName": "The function that sends the messages",
    "FunctionAliasArn": "The alias of the function, for direct invocations",
    "ApiUrl": "The base URL of the REST API. It ends with a slash",
    "StateMachineArn": "The state machine that sends one message",
    "DataKeyArn": "The KMS key that encrypts queues, logs and settings",
    "ProducerPolicyArn": "The managed policy for producers in this account",
    "TokenKeyArn": "The KMS key for sealed connection tokens",
    "OutcomeReaderPolicyArn": "The managed policy for those who look up outcomes by id",
}
"""The addresses and their descriptions. `docs/reference/stack.md` shows them."""


class Parameters(Construct):
    """Parameters with the addresses, such as `/connect-message-sender/<name>/EventBusName`."""

    def __init__(self, scope: Construct, construct_id: str, *, name: str, values: Mapping[str, str]) -> None:
        super().__init__(scope, construct_id)
        for address, value in values.items():
            ssm.StringParameter(
                self,
                address,
                parameter_name=f"{parameter_path(name)}/{address}",
                description=OUTPUTS[address],
                string_value=value,
            )
