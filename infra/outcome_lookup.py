"""Outcome by id: a rule hands every result to the function `Results`, which keeps it in a table."""

from typing import Final

import aws_cdk as cdk
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from constructs import Construct

from .contract import RESULT_DETAIL_TYPES, RESULT_SOURCE
from .gates import acknowledge
from .message_api import MessageApi
from .options import Options
from .results_function import ResultsFunction
from .retention import removal_policy

# The maximum of EventBridge: a result that comes late is still the answer
_DELIVERY_HOURS: Final = 24
_DELIVERY_RETRIES: Final = 185


class OutcomeReaderPolicy(iam.ManagedPolicy):
    """The permission to look up outcomes. Producers do not have it: a ClientToken may be guessed."""

    def __init__(self, scope: Construct, construct_id: str, *, method: apigateway.Method) -> None:
        super().__init__(
            scope,
            construct_id,
            description="Permission to look up the outcome of a message by its id",
            statements=[
                iam.PolicyStatement(actions=["execute-api:Invoke"], resources=[method.method_arn]),
            ],
        )
        # As cdk-nag writes it, with a reference as `<logical id>`
        parts = cdk.Stack.of(self).resolve(method.method_arn)["Fn::Join"][1]
        arn = "".join(part if isinstance(part, str) else f"<{part['Ref']}>" for part in parts)
        acknowledge(self, f"AwsSolutions-IAM5[Resource::{arn}]", because="The id of any message")


class OutcomeLookup(Construct):
    """The table of outcomes, the rule on the bus that fills it, and the route that answers from it.

    The send path does not know of it: nothing waits for the table, and no message fails because of it.

    Attributes:
        rule: Its metric `FailedInvocations` counts results that did not reach the function.
        readers: The policy for those who look up outcomes.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        key: kms.IKey,
        bus: events.IEventBus,
        results: ResultsFunction,
        api: MessageApi,
        options: Options,
    ) -> None:
        super().__init__(scope, construct_id)
        self.table = dynamodb.Table(
            self,
            "Outcomes",
            partition_key=dynamodb.Attribute(name="Id", type=dynamodb.AttributeType.STRING),
            time_to_live_attribute="ExpiresAt",
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=key,
            removal_policy=removal_policy(options),
        )
        acknowledge(
            self.table,
            "AwsSolutions-DDB3",
            because="The table repeats result events for some days. Nothing is restored from it",
        )
        results.function.add_environment("OUTCOME_TABLE_NAME", self.table.table_name)
        results.function.add_environment("OUTCOME_RETENTION_DAYS", str(options.outcome_retention_days))
        results.role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["dynamodb:GetItem", "dynamodb:PutItem"], resources=[self.table.table_arn]
            )
        )
        # DynamoDB uses the key in the name of its caller, too. The actions are those of its documented
        # policy, without wildcards:
        # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
        results.role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=[
                    *("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"),
                    *("kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"),
                ],
                resources=[key.key_arn],
                conditions={
                    "StringEquals": {"kms:ViaService": f"dynamodb.{cdk.Stack.of(self).region}.amazonaws.com"}
                },
            )
        )
        self.rule = events.Rule(
            self,
            "Results",
            description="Hands results to the function that keeps them for the look-up by id",
            event_bus=bus,
            event_pattern=events.EventPattern(source=[RESULT_SOURCE], detail_type=[*RESULT_DETAIL_TYPES]),
            targets=[
                targets.LambdaFunction(
                    results.function,
                    max_event_age=cdk.Duration.hours(_DELIVERY_HOURS),
                    retry_attempts=_DELIVERY_RETRIES,
                )
            ],
        )
        acknowledge(
            self.rule,
            "Serverless-EventBusDLQ",
            because="A result that is lost here is still an event and a log line. An alarm counts it",
        )
        self.readers = OutcomeReaderPolicy(self, "ReaderPolicy", method=api.add_lookup(results.function))
