"""Builds the functions under test over the models. No other module here knows how they are built."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from unittest.mock import patch

from aws_lambda_powertools.metrics import EphemeralMetrics

from message_sender.application import create_handler
from message_sender.aws.client import AwsClient
from message_sender.event_sources.direct import DirectSource
from message_sender.event_sources.eventbridge import EventBridgeSource
from message_sender.event_sources.sqs import SqsSource
from message_sender.event_sources.synchronous import SynchronousDelivery
from message_sender.publisher import Publisher
from message_sender.queues import Queues
from message_sender.results_application import create_handler as create_results_handler
from message_sender.task_callback import TaskCallback
from ops.aws import BotoApi
from tests.simulation.models.boto_client import BotoClient
from tests.support.kms import TOKEN_KEY_ARN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from message_sender.delivery import MessageSender
    from message_sender.worker_pool import WorkerPool
    from tests.simulation.models.clock import VirtualTime
    from tests.simulation.models.lambda_service import Handler
    from tests.simulation.models.network import Network, Service

RETRY_WINDOW_MINUTES: Final = 10
QUOTA: Final = 10
"""SendMessage calls a second, by the function's settings. The model of the service has a limit of its own."""

_ENVIRON: Final = {
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "000000000000",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_ENDPOINT_URL_CONNECTPARTICIPANT": "https://participant",
    "AWS_ENDPOINT_URL_EVENTBRIDGE": "https://events",
    "AWS_ENDPOINT_URL_KMS": "https://kms",
    "AWS_ENDPOINT_URL_SQS": "https://sqs",
    "AWS_ENDPOINT_URL_DYNAMODB": "https://dynamodb",
    "AWS_ENDPOINT_URL_SFN": "https://states",
    "AWS_ENDPOINT_URL": "https://aws",
    "EVENT_BUS_NAME": "bus",
    "MESSAGE_QUEUE_URL": "https://sqs/000000000000/messages.fifo",
    "DEAD_LETTER_QUEUE_URL": "https://sqs/000000000000/dead-letter.fifo",
    "REJECTED_QUEUE_URL": "https://sqs/000000000000/rejected",
    "UNPUBLISHED_RESULTS_QUEUE_URL": "https://sqs/000000000000/unpublished",
    "TOKEN_KEY_ARN": TOKEN_KEY_ARN,
    "OUTCOME_TABLE_NAME": "outcomes",
    "RETRY_WINDOW_MINUTES": str(RETRY_WINDOW_MINUTES),
    "SEND_QUOTA_PER_SECOND": str(QUOTA),
    "POWERTOOLS_TRACE_DISABLED": "true",
}
_instances = count(1)
_SLEEPS_LATE: Final = 0.0002
"""Seconds. Exact sleeps once hid that an attempt at the last possible moment was never made."""


class FunctionClock:
    """The clock of the function. As of any machine, its sleeps end a little late."""

    def __init__(self, time: VirtualTime) -> None:
        self._time = time
        self.now, self.monotonic = time.now, time.monotonic

    def sleep(self, seconds: float) -> None:
        self._time.sleep(seconds + _SLEEPS_LATE)


def new_handler(
    *,
    time: VirtualTime,
    random: Callable[[], float],
    network: Network,
    maximum_concurrency: int,
    maximum_age_minutes: int | None = None,
) -> Handler:
    """Return the handler of a new instance, as in its own process."""
    options = {"MAXIMUM_CONCURRENCY": maximum_concurrency, "MAXIMUM_AGE_MINUTES": maximum_age_minutes}
    given = {name: str(value) for name, value in options.items() if value is not None}
    with _new_process("message_sender.application") as environ:
        return create_handler(
            environ | given,
            clock=FunctionClock(time),
            random=random,
            pools=network.pools(),
            workers=time.workers,
        )


def new_results_handler(*, time: VirtualTime, random: Callable[[], float], network: Network) -> Handler:
    """Return the handler of a new instance of the function `Results`, as in its own process."""
    with _new_process("message_sender.results_application") as environ:
        return create_results_handler(
            environ, clock=FunctionClock(time), random=random, pools=network.pools()
        )


@contextmanager
def _new_process(application: str) -> Iterator[dict[str, str]]:
    """Keep Powertools from sharing the logger of a service, and all metrics, with other instances."""
    service = f"instance-{next(_instances)}"
    with patch(f"{application}.Metrics", EphemeralMetrics):
        yield _ENVIRON | {"POWERTOOLS_SERVICE_NAME": service}
    logger = logging.Logger.manager.loggerDict.pop(service)
    assert isinstance(logger, logging.Logger)  # Powertools has just made it
    logger.propagate = False  # pytest would keep every line of it


class Outputs(NamedTuple):
    """The parts of the function that write to queues, bus and Step Functions. Operators use them too."""

    queues: Queues
    publisher: Publisher
    tasks: TaskCallback


def new_outputs(
    services: Mapping[str, Service],
    *,
    time: VirtualTime,
    random: Callable[[], float],
    queues_type: type[Queues] = Queues,
) -> Outputs:
    """Return the outputs over the models, without the network between them: it would cost too much time."""
    sqs, events, states = (
        AwsClient(BotoApi(BotoClient(services[name], time)), clock=FunctionClock(time), random=random)
        for name in ("sqs", "events", "states")
    )
    queues = queues_type(
        sqs=sqs,
        message_queue_url=_ENVIRON["MESSAGE_QUEUE_URL"],
        dead_letter_queue_url=_ENVIRON["DEAD_LETTER_QUEUE_URL"],
        rejected_queue_url=_ENVIRON["REJECTED_QUEUE_URL"],
        unpublished_results_queue_url=_ENVIRON["UNPUBLISHED_RESULTS_QUEUE_URL"],
    )
    publisher = Publisher(events=events, event_bus_name="bus", queues=queues)
    return Outputs(queues, publisher, TaskCallback(step_functions=states))


class _NoTelemetry:
    """Writes no logs and no metrics: these would take most of the time of a long study."""

    @staticmethod
    def in_this_trace(call: Callable[..., None]) -> Callable[..., None]:
        return call

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_args, **_kwargs: None


def handler_of_parts(
    *,
    sender: MessageSender,
    synchronous_sender: MessageSender,
    outputs: Outputs,
    workers: WorkerPool,
    time: VirtualTime,
    random: Callable[[], float],
) -> Handler:
    """Return a handler with the function's event sources, any senders, and neither network nor telemetry.

    Args:
        sender: For the queue and the bus.
        synchronous_sender: For callers who wait.
    """
    telemetry: Any = _NoTelemetry()
    synchronous = SynchronousDelivery(
        content_limits="specification",
        sender=synchronous_sender,
        publisher=outputs.publisher,
        telemetry=telemetry,
        clock=FunctionClock(time),
    )
    sources: dict[str, Any] = {
        "sqs": SqsSource(
            content_limits="specification",
            sender=sender,
            queues=outputs.queues,
            publisher=outputs.publisher,
            tasks=outputs.tasks,
            telemetry=telemetry,
            clock=FunctionClock(time),
            random=random,
            retry_window=timedelta(minutes=RETRY_WINDOW_MINUTES),
            workers=workers,
        ),
        "eventbridge": EventBridgeSource(
            content_limits="specification",
            sender=sender,
            queues=outputs.queues,
            publisher=outputs.publisher,
            tasks=outputs.tasks,
            telemetry=telemetry,
            clock=FunctionClock(time),
        ),
        "direct": DirectSource(synchronous=synchronous, clock=FunctionClock(time)),
    }

    def handler(event: dict[str, Any], context: LambdaContext) -> object:
        name = "sqs" if "Records" in event else "eventbridge" if "detail" in event else "direct"
        return sources[name].handle(event, context)

    return handler


@contextmanager
def urllib3_in_virtual_time(time: VirtualTime) -> Iterator[None]:
    """Make urllib3 measure in virtual time how much of a timeout is left after it has connected."""
    with patch("urllib3.util.timeout.time", SimpleNamespace(monotonic=time.monotonic)):
        yield
