"""The function that sends the messages, and its event source on the queue."""

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.message_queues import MessageQueues
from infra.options import StageOptions
from infra.python_asset import python_code

RUNTIME = lambda_.Runtime.PYTHON_3_13

# One for all event sources, below the 29 seconds that API Gateway waits
TIMEOUT = cdk.Duration.seconds(28)

# The most that a FIFO queue hands to one invocation
_BATCH_SIZE = 10

_SOURCE = Path(__file__).parent.parent / "lambda_src"


class SenderFunction(Construct):
    """The function, with a role that may do nothing until the stack grants it, and the alias `live`."""

    def __init__(  # noqa: PLR0913  # what the function uses, all named
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
                "POWERTOOLS_SERVICE_NAME": "connect-message-sender",
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
        )

        # Every invoker uses the alias: it moves to a new version only when the version is ready
        self.alias = lambda_.Alias(self, "Live", alias_name="live", version=self.function.current_version)
        self.alias.add_event_source_mapping(
            "Messages",
            event_source_arn=queues.messages.queue_arn,
            batch_size=_BATCH_SIZE,
            max_concurrency=options.maximum_concurrency,
            report_batch_item_failures=True,
        )
