"""The one key that encrypts queues, bus, logs and the function's settings."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct


class DataKey(kms.Key):
    """A customer managed key that the identities of this account use as far as their own policies say.

    The key policy itself permits only services that use the key in their own name: CloudWatch Logs here,
    EventBridge with the bus (`EventRouting`), the delivery of logs with the state machine (`SendWorkflow`);
    and producers in other accounts, through SQS, if the stage has any. SQS and Lambda use it in the name of
    their caller.
    """

    def __init__(self, scope: Construct, construct_id: str, *, removal_policy: cdk.RemovalPolicy) -> None:
        super().__init__(
            scope,
            construct_id,
            description="Messages, results, logs and settings of the connect-message-sender",
            enable_key_rotation=True,
            removal_policy=removal_policy,
        )
        stack = cdk.Stack.of(self)

        # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        self.add_to_resource_policy(
            iam.PolicyStatement(
                sid="CloudWatchLogs",
                principals=[iam.ServicePrincipal(f"logs.{stack.region}.amazonaws.com")],
                actions=[
                    "kms:Decrypt",
                    "kms:DescribeKey",
                    "kms:Encrypt",
                    "kms:GenerateDataKey*",
                    "kms:ReEncrypt*",
                ],
                resources=["*"],
                conditions={
                    "ArnLike": {
                        "kms:EncryptionContext:aws:logs:arn": stack.format_arn(
                            service="logs",
                            resource="log-group",
                            resource_name="*",
                            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
                        )
                    }
                },
            )
        )
