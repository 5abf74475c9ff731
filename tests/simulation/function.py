"""Builds the function under test over the models. No other module of the simulation knows how it is built."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final
from unittest.mock import patch

from aws_lambda_powertools.metrics import EphemeralMetrics

from message_sender.application import create_handler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.simulation.models.clock import VirtualTime
    from tests.simulation.models.lambda_service import Handler
    from tests.simulation.models.network import Network

RETRY_WINDOW_MINUTES: Final = 10
QUOTA: Final = 10
"""SendMessage calls a second, by the function's settings. The model of the service has a limit of its own."""

_ENVIRON: Final = {
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "000000000000",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_ENDPOINT_URL_CONNECTPARTICIPANT": "https://participant",
    "AWS_ENDPOINT_URL_EVENTBRIDGE": "https://events",
    "AWS_ENDPOINT_URL_SQS": "https://sqs",
    "AWS_ENDPOINT_URL_SFN": "https://states",
    "AWS_ENDPOINT_URL": "https://aws",
    "EVENT_BUS_NAME": "bus",
    "MESSAGE_QUEUE_URL": "https://sqs/000000000000/messages.fifo",
    "DEAD_LETTER_QUEUE_URL": "https://sqs/000000000000/dead-letter.fifo",
    "REJECTED_QUEUE_URL": "https://sqs/000000000000/rejected",
    "UNPUBLISHED_RESULTS_QUEUE_URL": "https://sqs/000000000000/unpublished",
    "RETRY_WINDOW_MINUTES": str(RETRY_WINDOW_MINUTES),
    "SEND_QUOTA_PER_SECOND": str(QUOTA),
    "POWERTOOLS_TRACE_DISABLED": "true",
}
_instances = count(1)


def new_handler(
    *, time: VirtualTime, random: Callable[[], float], network: Network, maximum_concurrency: int
) -> Handler:
    """Return the handler of a new instance, as in its own process."""
    # Powertools shares the loggers of one service, and all metrics, within a process
    service = f"instance-{next(_instances)}"
    with patch("message_sender.application.Metrics", EphemeralMetrics):
        handler = create_handler(
            _ENVIRON | {"POWERTOOLS_SERVICE_NAME": service, "MAXIMUM_CONCURRENCY": str(maximum_concurrency)},
            clock=time,
            random=random,
            pools=network.pools(),
            workers=time.workers,
        )
    logger = logging.Logger.manager.loggerDict.pop(service)
    assert isinstance(logger, logging.Logger)  # Powertools has just made it
    logger.propagate = False  # pytest would keep every line of it
    return handler


@contextmanager
def urllib3_in_virtual_time(time: VirtualTime) -> Iterator[None]:
    """Make urllib3 measure in virtual time how much of a timeout is left after it has connected."""
    with patch("urllib3.util.timeout.time", SimpleNamespace(monotonic=time.monotonic)):
        yield
