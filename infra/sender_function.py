"""The Lambda function that sends the messages, and its event source mapping for the queue."""

import re
from typing import cast

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from .contract import FUNCTION_SOURCES
from .gates import UNTRACED, acknowledge
from .message_queues import MessageQueues
from .options import Options
from .python_asset import python_code
from .retention import log_group
from .timing import BATCH_SIZE, FUNCTION_TIMEOUT_SECONDS

RUNTIME = lambda_.Runtime.PYTHON_3_13

# A dimension of every metric and a key in every log line
SERVICE = "connect-message-sender"

# The release, which the descriptions of the functions show to operators
[VERSION] = re.findall(
    r'^__version__ = "(.+)"$',
    (FUNCTION_SOURCES / "message_sender" / "__init__.py").read_text(encoding="utf-8"),
    re.MULTILINE,
)

TIMEOUT = cdk.Duration.seconds(FUNCTION_TIMEOUT_SECONDS)

# A safety net behind the function's own redaction. A hundred Base64 characters in a row are a token: no id or
# path is that long. Without its first hundred characters a token is useless, so the rest may remain. AWS does
# not document whether every Region, such as those of GovCloud, accepts such a policy.
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
    """The function with the alias `live`. Its role has no permissions until the sender grants them."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        key: kms.IKey,
        queues: MessageQueues,
        bus: events.IEventBus,
        token_key: kms.IKey | None,
        options: Options,
    ) -> None:
        super().__init__(scope, construct_id)
        self.code = python_code(
            FUNCTION_SOURCES,
            runtime=RUNTIME,
            with_tracer=options.tracing == "subsegments",
            # One package, whatever machine builds it: another would be another version of the function
            compiled="required" if options.retain_data else "preferred",
        )

        self.log_group = log_group(
            self,
            "Logs",
            key=key,
            options=options,
            # The metric LogEventsWithFindings counts the findings. A copy of them would be another log.
            data_protection_policy=logs.DataProtectionPolicy(
                name="never-logged", description="Masks tokens and secrets", identifiers=[*_NEVER_LOGGED]
            ),
        )
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.function = lambda_.Function(
            self,
            "Function",
            description=f"Delivers chat messages to Amazon Connect (version {VERSION})",
            runtime=RUNTIME,
            architecture=lambda_.Architecture.ARM_64,
            code=self.code,
            handler="message_sender.handler.lambda_handler",
            timeout=TIMEOUT,
            memory_size=options.memory_size_mb,
            role=self.role,
            # Keeps the previous version for a rollback. The version of a failed first deployment is deleted:
            # Lambda does not publish a second version of the same code.
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
                "TRACING": options.tracing,
                **({"CONNECT_REGION": options.connect_region} if options.connect_region else {}),
                **({"TOKEN_KEY_ARN": token_key.key_arn} if token_key else {}),
                **(
                    {"MAXIMUM_AGE_MINUTES": str(options.maximum_age_minutes)}
                    if options.maximum_age_minutes
                    else {}
                ),
                "POWERTOOLS_SERVICE_NAME": SERVICE,
                "POWERTOOLS_METRICS_NAMESPACE": name,
                "POWERTOOLS_LOG_LEVEL": options.log_level,
            },
            environment_encryption=key,
            log_group=self.log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            # Takes precedence over the level of the logger. The default is INFO.
            application_log_level_v2=lambda_.ApplicationLogLevel[options.log_level],
            tracing=lambda_.Tracing.ACTIVE if options.traced else lambda_.Tracing.DISABLED,
            reserved_concurrent_executions=options.reserved_concurrency,
            snap_start=lambda_.SnapStartConf.ON_PUBLISHED_VERSIONS if options.snap_start else None,
        )
        acknowledge(
            self.function,
            "Serverless-LambdaDLQ",
            because="The alias has a failure destination, which also reports the reason",
        )
        if options.snap_start:
            cdk.Annotations.of(self.function).acknowledge_warning(
                "@aws-cdk/aws-lambda:snapStartRequirePublish", "All invokers use the alias of a version"
            )
        connect(self.function, role=self.role, options=options)

        # All invokers use the alias. It moves to a new version only when that version is ready.
        self.alias = lambda_.Alias(self, "Live", alias_name="live", version=self.function.current_version)
        messages = self.alias.add_event_source_mapping(
            "Messages",
            event_source_arn=queues.messages.queue_arn,
            batch_size=BATCH_SIZE,
            max_concurrency=options.maximum_concurrency,
            report_batch_item_failures=True,
        )
        acknowledge(
            messages,
            "Serverless-LambdaEventSourceMappingDestination",
            because="The queue has a dead-letter queue for messages whose retries are exhausted",
        )


def connect(function: lambda_.Function, *, role: iam.Role, options: Options) -> None:
    """Run a function in the subnets that the options name, and acknowledge the findings of both functions."""
    acknowledge(
        function,
        "AwsSolutions-L1",
        "Serverless-LambdaLatestVersion",
        because="The tests run on this Python. A later one comes when they pass on it",
    )
    if not options.traced:
        acknowledge(function, "Serverless-LambdaTracing", because=UNTRACED)
    if options.vpc_subnet_ids:
        _connect_to_vpc(function, role=role, options=options)
    if options.traced or options.vpc_subnet_ids:
        acknowledge(
            role,
            "AwsSolutions-IAM5[Resource::*]",
            because="X-Ray has no resource types, and Lambda creates network interfaces later",
        )


def _connect_to_vpc(function: lambda_.Function, *, role: iam.Role, options: Options) -> None:
    """Run a function in the existing subnets of the options."""
    resource = cast("lambda_.CfnFunction", function.node.default_child)
    # The CDK's own `vpc` would have to look up the VPC in the account
    resource.vpc_config = lambda_.CfnFunction.VpcConfigProperty(
        subnet_ids=[*options.vpc_subnet_ids], security_group_ids=[*options.vpc_security_group_ids]
    )
    role.add_to_principal_policy(
        iam.PolicyStatement(
            actions=[*_NETWORK_INTERFACES],
            resources=["*"],
            # Lambda may do it. The code of the function may not.
            conditions={"Null": {"lambda:SourceFunctionArn": "true"}},
        )
    )
