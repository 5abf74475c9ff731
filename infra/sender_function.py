"""The function that sends the messages, and its event source on the queue."""

from pathlib import Path
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.gates import UNTRACED, acknowledge
from infra.message_queues import MessageQueues
from infra.options import StageOptions
from infra.python_asset import python_code

RUNTIME = lambda_.Runtime.PYTHON_3_13

# A dimension of every metric, and a key of every log line
SERVICE = "connect-message-sender"

# One for all event sources, below the 29 seconds that API Gateway waits
TIMEOUT = cdk.Duration.seconds(28)

# The most that a FIFO queue hands to one invocation
_BATCH_SIZE = 10

_SOURCE = Path(__file__).parent.parent / "lambda_src"

# A second net under the function's own redaction. So long a run of characters of Base64 is a token, of a
# connection, of a task or of the role's session: neither ids nor paths are that long. Without its first
# hundred characters a token is of no use, so what is left over at its end may stay.
_NEVER_LOGGED = (
    logs.CustomDataIdentifier("Token", "[A-Za-z0-9+/=_-]{100}"),
    logs.DataIdentifier.AWSSECRETKEY,
    logs.DataIdentifier.EMAILADDRESS,
)

_NETWORK_INTERFACES = (
    *("ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces"),
    *("ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses", "ec2:DescribeSubnets"),
)


class SenderFunction(Construct):
    """The function with the alias `live`, and a role that may use nothing of the stack until granted."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        key: kms.IKey,
        queues: MessageQueues,
        bus: events.IEventBus,
        options: StageOptions,
    ) -> None:
        super().__init__(scope, construct_id)
        stack = cdk.Stack.of(self)

        self.log_group = logs.LogGroup(
            self,
            "Logs",
            encryption_key=key,
            retention=options.log_retention,
            removal_policy=options.removal_policy,
            # Findings are counted in the metric LogEventsWithFindings; a copy of them would be one log more
            data_protection_policy=logs.DataProtectionPolicy(
                name="never-logged", description="Masks tokens and secrets", identifiers=[*_NEVER_LOGGED]
            ),
        )
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.function = lambda_.Function(
            self,
            "Function",
            description="Delivers chat messages to Amazon Connect",
            runtime=RUNTIME,
            architecture=lambda_.Architecture.ARM_64,
            code=python_code(_SOURCE, runtime=RUNTIME),
            handler="message_sender.handler.lambda_handler",
            timeout=TIMEOUT,
            memory_size=options.memory_size_mb,
            role=self.role,
            # Otherwise each deployment deletes the version before, and there is none to roll back to. What a
            # failed deployment has published goes: Lambda would publish no second version of the same code.
            current_version_options=lambda_.VersionOptions(
                removal_policy=cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE
            ),
            environment={
                "EVENT_BUS_NAME": bus.event_bus_name,
                "MESSAGE_QUEUE_URL": queues.messages.queue_url,
                "DEAD_LETTER_QUEUE_URL": queues.dead_letter.queue_url,
                "REJECTED_QUEUE_URL": queues.rejected.queue_url,
                "UNPUBLISHED_RESULTS_QUEUE_URL": queues.unpublished_results.queue_url,
                "RETRY_WINDOW_MINUTES": str(options.retry_window_minutes),
                "SEND_QUOTA_PER_SECOND": str(options.send_quota_per_second),
                "MAXIMUM_CONCURRENCY": str(options.maximum_concurrency),
                "CONTENT_LIMITS": options.content_limits,
                **({"CONNECT_REGION": options.connect_region} if options.connect_region else {}),
                "POWERTOOLS_SERVICE_NAME": SERVICE,
                "POWERTOOLS_METRICS_NAMESPACE": stack.stack_name,  # else stages in one account would add up
                "POWERTOOLS_LOG_LEVEL": options.log_level,
                **({} if options.tracing else {"POWERTOOLS_TRACE_DISABLED": "true"}),
            },
            environment_encryption=key,
            log_group=self.log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            # Takes precedence over the logger's own level, and is INFO unless set
            application_log_level_v2=lambda_.ApplicationLogLevel[options.log_level],
            tracing=lambda_.Tracing.ACTIVE if options.tracing else lambda_.Tracing.DISABLED,
            reserved_concurrent_executions=options.reserved_concurrency,
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if options.snap_start else None,
        )
        acknowledge(
            self.function,
            "AwsSolutions-L1",
            "Serverless-LambdaLatestVersion",
            because="What is tested is what is deployed: a later Python comes when the tests have run on it",
        )
        acknowledge(
            self.function,
            "Serverless-LambdaDLQ",
            because="The alias has a failure destination, which tells why, too",
        )
        if options.snap_start:
            cdk.Annotations.of(self.function).acknowledge_warning(
                "@aws-cdk/aws-lambda:snapStartRequirePublish", "Every invoker uses the alias of a version"
            )
        if not options.tracing:
            acknowledge(self.function, "Serverless-LambdaTracing", because=UNTRACED)
        if options.vpc_subnet_ids:
            self._connect_to_vpc(options)
        if options.tracing or options.vpc_subnet_ids:
            acknowledge(
                self.role,
                "AwsSolutions-IAM5[Resource::*]",
                because="Neither X-Ray nor the making of a network interface knows resources beforehand",
            )

        # Every invoker uses the alias: it moves to a new version only when the version is ready
        self.alias = lambda_.Alias(self, "Live", alias_name="live", version=self.function.current_version)
        messages = self.alias.add_event_source_mapping(
            "Messages",
            event_source_arn=queues.messages.queue_arn,
            batch_size=_BATCH_SIZE,
            max_concurrency=options.maximum_concurrency,
            report_batch_item_failures=True,
        )
        acknowledge(
            messages,
            "Serverless-LambdaEventSourceMappingDestination",
            because="The queue has its own: what is given up goes to its dead-letter queue",
        )

    def _connect_to_vpc(self, options: StageOptions) -> None:
        """Let the function out through subnets that there are."""
        resource = cast("lambda_.CfnFunction", self.function.node.default_child)
        # Not the CDK's own `vpc`, which would have to look it up in the account
        resource.vpc_config = lambda_.CfnFunction.VpcConfigProperty(
            subnet_ids=options.vpc_subnet_ids, security_group_ids=options.vpc_security_group_ids
        )
        self.role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=[*_NETWORK_INTERFACES],
                resources=["*"],
                # Lambda may, the function's own code may not
                conditions={"Null": {"lambda:SourceFunctionArn": "true"}},
            )
        )
