"""Assembles the second function, `Results`: unpublished results, and outcomes by id."""

from __future__ import annotations

from random import SystemRandom
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from aws_lambda_powertools import Logger, Metrics

from message_sender.aws.credentials import EnvironmentCredentials
from message_sender.clock import SystemClock
from message_sender.connections import AwsClients, pool_manager, silence_libraries
from message_sender.errors import UnsupportedEventError
from message_sender.event_sources import is_sqs_event
from message_sender.observability import LogFormatter, Telemetry
from message_sender.outcome_lookup import OutcomeLookup
from message_sender.outcome_table import OutcomeTable
from message_sender.result import DETAIL_TYPES, RESULT_SOURCE
from message_sender.settings import ResultsSettings
from message_sender.unpublished_results import UnpublishedResults

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import urllib3
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from message_sender.clock import Clock

    Route: TypeAlias = Callable[[dict[str, Any], LambdaContext], dict[str, Any]]

_ACCEPTED: Final = (
    "The event is not one that this function accepts. It accepts an SQS event and, with OUTCOME_TABLE_NAME, "
    "a result event of EventBridge and a GET request of API Gateway"
)
_CONNECTIONS: Final = 1
"""To each service: the function makes one call at a time."""


def create_handler(
    environ: Mapping[str, str],
    *,
    clock: Clock | None = None,
    random: Callable[[], float] | None = None,
    pools: urllib3.PoolManager | None = None,
) -> Route:
    """Return the Lambda handler for these environment variables. Opens no connection.

    Args:
        clock: Replaces the machine's clock.
        random: Replaces the machine's random numbers from 0 to 1, for jitter.
        pools: Replaces connections over the network. Must not retry by itself.

    Raises:
        ValueError: A variable is missing or invalid. The text names it.
    """
    settings = ResultsSettings.from_environ(environ)
    silence_libraries()
    logger = Logger(service=settings.service, logger_formatter=LogFormatter())
    metrics = Metrics(namespace=settings.metrics_namespace, service=settings.service)
    telemetry = Telemetry(logger=logger, metrics=metrics, tracer=None)
    clock = clock or SystemClock()
    pools = pools or pool_manager(ca_bundle=settings.ca_bundle, maxsize=_CONNECTIONS)
    aws = AwsClients(
        region=settings.region,
        pools=pools,
        credentials=EnvironmentCredentials(environ=environ, pools=pools),
        clock=clock,
        random=random or SystemRandom().random,
    )
    unpublished = UnpublishedResults(
        events=aws.events(settings.eventbridge_url),
        event_bus_name=settings.event_bus_name,
        telemetry=telemetry,
        clock=clock,
    )
    routes: dict[str, Route] = {"unpublished": unpublished.handle}
    if settings.outcome_table_name is not None:
        table = OutcomeTable(
            dynamodb=aws.client(
                endpoint=settings.dynamodb_url,
                signing_name="dynamodb",
                target="DynamoDB_20120810",
                json_version="1.0",
            ),
            table_name=settings.outcome_table_name,
            retention=settings.outcome_retention,
            clock=clock,
        )
        lookup = OutcomeLookup(table=table, telemetry=telemetry, clock=clock)
        routes |= {"result": lookup.store, "lookup": lookup.answer}

    @logger.inject_lambda_context(log_event=False)
    def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        with telemetry.invocation():
            route = routes.get(_kind(event))
            if route is None:
                raise UnsupportedEventError(_ACCEPTED)
            return route(event, context)

    return lambda_handler


def _kind(event: object) -> str:
    """Return the kind of an event. An event with marks of two kinds has none."""
    fields = event if isinstance(event, dict) else {}
    match [mark for mark in ("Records", "detail", "requestContext") if mark in fields]:
        case ["Records"] if is_sqs_event(fields):
            return "unpublished"
        case ["detail"] if _is_result_event(fields):
            return "result"
        case ["requestContext"] if fields.get("httpMethod") == "GET" and _has_path_id(fields):
            return "lookup"
    return "unknown"


def _is_result_event(event: dict[str, Any]) -> bool:
    return (
        event.get("source") == RESULT_SOURCE
        and event.get("detail-type") in DETAIL_TYPES.values()
        and isinstance(event["detail"], dict)
    )


def _has_path_id(event: dict[str, Any]) -> bool:
    parameters = event.get("pathParameters")
    return isinstance(parameters, dict) and isinstance(parameters.get("id"), str)
