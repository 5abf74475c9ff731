"""Assembles the sender function: settings in, handler out. The only module that knows all its parts."""

from __future__ import annotations

from random import SystemRandom
from typing import TYPE_CHECKING, Any, Protocol

from aws_lambda_powertools import Logger, Metrics

from message_sender.aws.credentials import EnvironmentCredentials
from message_sender.clock import SystemClock
from message_sender.connections import AwsClients, pool_manager, silence_libraries
from message_sender.delivery import MessageSender
from message_sender.event_sources import MAX_RECORDS, detect
from message_sender.event_sources.api_gateway import ApiGatewaySource
from message_sender.event_sources.direct import DirectSource
from message_sender.event_sources.eventbridge import EventBridgeSource
from message_sender.event_sources.sqs import SqsSource
from message_sender.event_sources.synchronous import SynchronousDelivery
from message_sender.observability import LogFormatter, Telemetry, TracedParticipant
from message_sender.participant_client import ParticipantClient
from message_sender.publisher import Publisher
from message_sender.queues import Queues
from message_sender.rate_limiter import RateLimiter
from message_sender.request import warm_up
from message_sender.settings import Settings
from message_sender.task_callback import TaskCallback
from message_sender.worker_pool import ThreadPool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import urllib3
    from aws_lambda_powertools import Tracer
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from message_sender.clock import Clock
    from message_sender.delivery import Participant
    from message_sender.result import EventSource
    from message_sender.token_key import TokenKey
    from message_sender.worker_pool import WorkerPool


class Source(Protocol):
    """Handles the events of one source."""

    def handle(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]: ...


def create_handler(
    environ: Mapping[str, str],
    *,
    clock: Clock | None = None,
    random: Callable[[], float] | None = None,
    pools: urllib3.PoolManager | None = None,
    workers: WorkerPool | None = None,
) -> Callable[[dict[str, Any], LambdaContext], dict[str, Any]]:
    """Return the Lambda handler for these environment variables.

    Opens no connection, so that a snapshot can keep everything (SnapStart).

    Args:
        clock: Replaces the machine's clock.
        random: Replaces the machine's random numbers from 0 to 1, for jitter.
        pools: Replaces connections over the network. Must not retry by itself.
        workers: Replaces threads.

    Raises:
        ValueError: A variable is missing or invalid. The text names it.
    """
    settings = Settings.from_environ(environ)
    silence_libraries()
    logger = Logger(service=settings.service, logger_formatter=LogFormatter())
    metrics = Metrics(namespace=settings.metrics_namespace, service=settings.service)
    tracer = _tracer(settings)
    telemetry = Telemetry(logger=logger, metrics=metrics, tracer=tracer)
    sources = _event_sources(
        settings,
        environ,
        telemetry,
        tracer,
        clock=clock or SystemClock(),
        random=random or SystemRandom().random,
        pools=pools or pool_manager(ca_bundle=settings.ca_bundle, maxsize=MAX_RECORDS),
        workers=workers or ThreadPool(),
    )
    warm_up()

    # The event contains the token: it is never logged, whatever POWERTOOLS_LOGGER_LOG_EVENT says
    @logger.inject_lambda_context(log_event=False)
    def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        with telemetry.invocation():
            source = detect(event)
            telemetry.set_event_source(source)
            return sources[source].handle(event, context)

    if tracer is None:
        return lambda_handler
    return tracer.capture_lambda_handler(lambda_handler, capture_response=False, capture_error=False)


def _event_sources(
    settings: Settings,
    environ: Mapping[str, str],
    telemetry: Telemetry,
    tracer: Tracer | None,
    *,
    clock: Clock,
    random: Callable[[], float],
    pools: urllib3.PoolManager,
    workers: WorkerPool,
) -> dict[EventSource, Source]:
    aws = AwsClients(
        region=settings.region,
        pools=pools,
        credentials=EnvironmentCredentials(environ=environ, pools=pools),
        clock=clock,
        random=random,
    )
    participant: Participant = ParticipantClient(
        pools=pools, endpoint=settings.participant_url, monotonic=clock.monotonic
    )
    if tracer is not None:
        participant = TracedParticipant(participant, tracer=tracer)
    fair_share = settings.send_quota / settings.maximum_concurrency
    token_key: TokenKey | None = None
    if settings.token_key_arn is not None:
        from message_sender.token_key import TokenKey  # noqa: PLC0415  # the option is off in most stacks

        token_key = TokenKey(
            kms=aws.client(
                endpoint=settings.kms_url, signing_name="kms", target="TrentService", json_version="1.1"
            ),
            arn=settings.token_key_arn,
            clock=clock,
        )
    sender = MessageSender(
        participant=participant,
        clock=clock,
        random=random,
        rate_limiter=RateLimiter(fair_share=fair_share, random=random),
        token_key=token_key,
        maximum_age=settings.maximum_age,
    )
    queues = Queues(
        sqs=aws.client(endpoint=settings.sqs_url, signing_name="sqs", target="AmazonSQS", json_version="1.0"),
        message_queue_url=settings.message_queue_url,
        dead_letter_queue_url=settings.dead_letter_queue_url,
        rejected_queue_url=settings.rejected_queue_url,
        unpublished_results_queue_url=settings.unpublished_results_queue_url,
    )
    publisher = Publisher(
        events=aws.events(settings.eventbridge_url),
        event_bus_name=settings.event_bus_name,
        queues=queues,
    )
    tasks = TaskCallback(
        step_functions=aws.client(
            endpoint=settings.step_functions_url,
            signing_name="states",
            target="AWSStepFunctions",
            json_version="1.0",
        )
    )
    synchronous = SynchronousDelivery(
        content_limits=settings.content_limits,
        # Without a rate limiter, since a caller waits. Throttles make the messages of the queue wait instead.
        sender=MessageSender(participant=participant, clock=clock, random=random, token_key=token_key),
        publisher=publisher,
        telemetry=telemetry,
        clock=clock,
    )
    return {
        "sqs": SqsSource(
            content_limits=settings.content_limits,
            sender=sender,
            queues=queues,
            publisher=publisher,
            tasks=tasks,
            telemetry=telemetry,
            clock=clock,
            random=random,
            retry_window=settings.retry_window,
            workers=workers,
        ),
        "eventbridge": EventBridgeSource(
            content_limits=settings.content_limits,
            sender=sender,
            queues=queues,
            publisher=publisher,
            tasks=tasks,
            telemetry=telemetry,
            clock=clock,
        ),
        "direct": DirectSource(synchronous=synchronous, clock=clock),
        "api_gateway": ApiGatewaySource(synchronous=synchronous, clock=clock),
    }


def _tracer(settings: Settings) -> Tracer | None:
    if settings.tracing != "subsegments":
        return None  # the package has no X-Ray SDK, which the Tracer imports
    from aws_lambda_powertools import Tracer  # noqa: PLC0415  # 100 ms of a cold start, so only if it is used

    return Tracer(service=settings.service, auto_patch=False)
