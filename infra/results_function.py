"""The second function, `Results`: it publishes the results that the event bus did not accept before."""

from typing import Final

from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from .gates import acknowledge
from .message_queues import MessageQueues
from .options import Options
from .retention import log_group
from .sender_function import RUNTIME, SERVICE, TIMEOUT, VERSION, SenderFunction, connect
from .timing import BATCH_SIZE

# The least that SQS allows: a backlog of results is no hurry, and must not use the account's concurrency
_MAXIMUM_CONCURRENCY: Final = 2

_MEMORY_MB: Final = 256


class ResultsFunction(Construct):
    """The function and its event source mapping. Its role has no permissions until the sender grants them.

    It has the package of the sender function and another handler. No producer may invoke it: it would publish
    a forged record as a result.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        key: kms.IKey,
        queues: MessageQueues,
        bus: events.IEventBus,
        sender: SenderFunction,
        options: Options,
    ) -> None:
        super().__init__(scope, construct_id)
        self.log_group = log_group(self, "Logs", key=key, options=options)
        self.role = iam.Role(self, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
        self.function = lambda_.Function(
            self,
            "Function",
            description=(
                "Publishes results that the event bus did not accept, and answers for outcomes "
                f"(version {VERSION})"
            ),
            runtime=RUNTIME,
            architecture=lambda_.Architecture.ARM_64,
            code=sender.code,
            handler="message_sender.results.lambda_handler",
            timeout=TIMEOUT,
            memory_size=_MEMORY_MB,
            role=self.role,
            environment={
                "EVENT_BUS_NAME": bus.event_bus_name,
                "POWERTOOLS_SERVICE_NAME": SERVICE,
                "POWERTOOLS_METRICS_NAMESPACE": name,
                "POWERTOOLS_LOG_LEVEL": options.log_level,
            },
            environment_encryption=key,
            log_group=self.log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            application_log_level_v2=lambda_.ApplicationLogLevel[options.log_level],
            tracing=lambda_.Tracing.ACTIVE if options.traced else lambda_.Tracing.DISABLED,
        )
        mapping = self.function.add_event_source_mapping(
            "UnpublishedResults",
            event_source_arn=queues.unpublished_results.queue_arn,
            batch_size=BATCH_SIZE,
            max_concurrency=_MAXIMUM_CONCURRENCY,
            report_batch_item_failures=True,
        )
        acknowledge(
            self.function,
            "Serverless-LambdaDLQ",
            because="A result that it cannot publish stays in its queue",
        )
        acknowledge(
            mapping,
            "Serverless-LambdaEventSourceMappingDestination",
            because="The queue keeps a result until it is published, and has an alarm",
        )
        connect(self.function, role=self.role, options=options)
