"""The key that encrypts queues, logs, execution histories and the function's settings."""

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from .options import Options
from .retention import removal_policy


class DataKey(kms.Key):
    """A customer managed key. Identities of this account may use it as their own policies say.

    The key policy itself permits only services that use the key in their own name, and producers in other
    accounts. CloudWatch Logs is here; `SendWorkflow` and `access` add theirs. SQS and Lambda use the key in
    the name of their caller.
    """

    def __init__(self, scope: Construct, construct_id: str, *, name: str, options: Options) -> None:
        stack = cdk.Stack.of(scope)
        super().__init__(
            scope,
            construct_id,
            # The alias is deleted with the stack, even if the key is kept. The next stack can have it.
            alias=f"alias/{name}",
            description="Encrypts messages, results, logs and settings of the connect-message-sender",
            enable_key_rotation=True,
            removal_policy=removal_policy(options),
        )

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

    def use_through_sqs(self) -> iam.PolicyStatement:
        """Return the permission to put messages on the encrypted queues, and to receive them."""
        # https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-via-service
        region = cdk.Stack.of(self).region
        return iam.PolicyStatement(
            actions=["kms:Decrypt", "kms:GenerateDataKey"],
            resources=[self.key_arn],
            conditions={"StringEquals": {"kms:ViaService": f"sqs.{region}.amazonaws.com"}},
        )

    def read_environment(self) -> iam.PolicyStatement:
        """Return the permission to decrypt a function's environment while Lambda starts the function.

        Lambda documents a grant for this, which it makes when the function is created. Without the grant it
        decrypts in the name of the function, and no document says under which `kms:ViaService`:
        https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
        """
        return iam.PolicyStatement(actions=["kms:Decrypt"], resources=[self.key_arn])
