"""The bus that requests may come in by and results go out by."""

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.options import StageOptions

# The contract of the bus: docs/architecture.md
RESULT_SOURCE = "connect-message-sender"
REQUEST_DETAIL_TYPE = "SendMessage Requested"

# The most that EventBridge accepts: its backoff grows, and it is the event's age that ends the retries
_DELIVERY_RETRIES = 185

# Of an error that the function raises, after one and two minutes: what Lambda does unless told otherwise
_INVOCATION_RETRIES = 2


class EventRouting(Construct):
    """The bus, and the way of requests from there to the function."""

    def __init__(
        self, scope: Construct, construct_id: str, *, key: kms.Key, dead_letters: sqs.IQueue
    ) -> None:
        super().__init__(scope, construct_id)

        # The bus adds what it needs to the key's policy, except that it binds DescribeKey to an encryption
        # context, which DescribeKey never has:
        # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-encryption-event-bus-cmkey.html
        self.bus = events.EventBus(self, "Bus", kms_key=key, dead_letter_queue=dead_letters)
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="EventBridgeValidation",
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["kms:DescribeKey"],
                resources=["*"],
            )
        )
        # What the bus itself cannot decrypt or encrypt; for the rule, its target writes a policy of its own
        dead_letters.add_to_resource_policy(
            iam.PolicyStatement(
                sid="EventsThatTheBusCannotDecrypt",
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[dead_letters.queue_arn],
                conditions={"ArnEquals": {"aws:SourceArn": self.bus.event_bus_arn}},
            )
        )
        # For the dead letters, in an encrypted queue. The queue's policy names rule and bus; the key's cannot
        # name the rule, which refers to the function, and the function to the key.
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="EventBridgeDeadLetters",
                principals=[iam.ServicePrincipal("events.amazonaws.com")],
                actions=["kms:Decrypt", "kms:GenerateDataKey"],
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Stack.of(self).account}},
            )
        )

    def route_requests(
        self, *, to: lambda_.Alias, dead_letters: sqs.IQueue, options: StageOptions
    ) -> events.Rule:
        """Have the function invoked with the requests on the bus. Return the rule that does it.

        EventBridge hands an event to Lambda, which invokes the function. Each of the two gives up after the
        retry window, since a stale chat message is worse than none, and leaves the event among the dead
        letters: EventBridge what it could not hand over, Lambda what the function failed on.
        """
        retry_window = cdk.Duration.minutes(options.retry_window_minutes)
        rule = events.Rule(
            self,
            "Requests",
            description="Messages to send",
            event_bus=self.bus,
            event_pattern=events.EventPattern(
                detail_type=[REQUEST_DETAIL_TYPE],
                # No result can ever be a request
                source=events.Match.anything_but(RESULT_SOURCE),
            ),
            targets=[
                targets.LambdaFunction(
                    to,
                    dead_letter_queue=dead_letters,
                    max_event_age=retry_window,
                    retry_attempts=_DELIVERY_RETRIES,
                )
            ],
        )
        # Not by the alias's own method, which would grant the function more than SendMessage
        invocation = lambda_.CfnEventInvokeConfig(
            self,
            "Invocation",
            function_name=to.lambda_.function_name,
            qualifier=to.alias_name,
            maximum_event_age_in_seconds=retry_window.to_seconds(),
            maximum_retry_attempts=_INVOCATION_RETRIES,
            destination_config=lambda_.CfnEventInvokeConfig.DestinationConfigProperty(
                on_failure=lambda_.CfnEventInvokeConfig.OnFailureProperty(destination=dead_letters.queue_arn)
            ),
        )
        invocation.node.add_dependency(to)
        return rule
