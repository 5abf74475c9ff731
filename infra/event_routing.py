"""The bus that requests may come in by and results go out by."""

from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct


class EventRouting(Construct):
    def __init__(self, scope: Construct, construct_id: str, *, key: kms.Key) -> None:
        super().__init__(scope, construct_id)

        # The bus adds what it needs to the key's policy, except that it binds DescribeKey to an encryption
        # context, which DescribeKey never has:
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-encryption-event-bus-cmkey.html
        self.bus = events.EventBus(self, "Bus", kms_key=key)
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="EventBridgeValidation",
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["kms:DescribeKey"],
                resources=["*"],
            )
        )
