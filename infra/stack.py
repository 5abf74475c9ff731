"""The stack of one stage, as `app.py` deploys it: a sender, and its addresses as outputs."""

import aws_cdk as cdk
from constructs import Construct

from .addresses import OUTPUTS
from .message_sender import MessageSender
from .options import StageOptions
from .stage import stack_name


class ConnectMessageSender(cdk.Stack):
    """The stack of a stage. Its name contains the stage, so that every stage can live in the same account."""

    def __init__(self, scope: Construct, *, stage: str, options: StageOptions) -> None:
        name = stack_name(stage)
        super().__init__(
            scope,
            name,
            # Without an account or a Region: those of the credentials
            env=cdk.Environment(account=options.account, region=options.region),
            description="Delivers chat messages to Amazon Connect",
            # CloudFormation passes them on to all resources that can have tags
            tags={**options.tags, "project": "connect-message-sender", "stage": stage},
            termination_protection=options.retain_data,
        )
        # The CDK leaves this id out of logical ids: they are those of a stack without a construct around it
        sender = MessageSender(self, "Default", name=name, options=options)
        for output, value in sender.outputs.items():
            cdk.CfnOutput(self, output, value=value, description=OUTPUTS[output])
