"""The real handler in a world of models: everything that happens to it in hours, in seconds."""

from __future__ import annotations

import logging
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

from aws_lambda_powertools.metrics import EphemeralMetrics

from infra.timing import max_receive_count
from message_sender.application import create_handler
from sandbox.participant_service.api import ParticipantApi
from tests.simulation.capture import Output
from tests.simulation.fault_profiles import CALM, ServiceFaults, Weather
from tests.simulation.models.aws import Bus, ParticipantHost, Sqs, StepFunctions
from tests.simulation.models.clock import VirtualTime
from tests.simulation.models.lambda_ import FUNCTION_TIMEOUT, EventDelivery, EventSourceMapping, Function
from tests.simulation.models.network import Network
from tests.simulation.models.operator import Operator
from tests.simulation.models.sqs import Queue
from tests.simulation.workload import SECRET_WORD, TASK_TOKEN_PREFIX, Producers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.simulation.fault_profiles import Rates
    from tests.simulation.models.lambda_ import Handler
    from tests.simulation.models.network import Service

RETRY_WINDOW_MINUTES: Final = 10
VISIBILITY_TIMEOUT: Final = 6 * FUNCTION_TIMEOUT
CONCURRENCY: Final = 50
QUOTA: Final = 10
"""SendMessage calls a second, as the function is told. What the service grants is the weather's matter."""
MOST_RECEIVES: Final = max_receive_count(
    retry_window_minutes=RETRY_WINDOW_MINUTES, maximum_concurrency=CONCURRENCY, send_quota_per_second=QUOTA
)

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


@dataclass(frozen=True, slots=True)
class Setup:
    """What differs between simulations.

    Attributes:
        concurrency: The most batches of the queue at the same time.
        idempotency_window: Of the Participant Service, in seconds; None for as long as the chat exists.
        poison: Says of an event whether the function dies of it, each time.
    """

    seed: object = 0
    rates: Rates | None = None
    concurrency: int = CONCURRENCY
    idempotency_window: float | None = None
    poison: Callable[[dict[str, Any]], bool] = lambda _: False


class Simulation:
    """One world. Everything in it is public: scenarios do to it what they like."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.time = VirtualTime()
        self.weather = Weather(
            time=self.time, random=self._random("weather"), rates=CALM if setup.rates is None else setup.rates
        )
        self.participant = ParticipantApi(clock=self.time.epoch)
        self.participant.faults = ServiceFaults(self.weather)
        self.participant.service.set_idempotency_window(setup.idempotency_window)
        self.dead_letters = self._queue("dead-letter.fifo")
        self.messages = Queue(
            "messages.fifo",
            time=self.time,
            random=self._random("messages"),
            visibility_timeout=VISIBILITY_TIMEOUT,
            dead_letters=self.dead_letters,
            max_receive_count=MOST_RECEIVES,
        )
        self.rejected = self._queue("rejected")
        self.unpublished = self._queue("unpublished")
        self.events_dead_letters = self._queue("events-dead-letter")
        self.bus = Bus(self.time, self.weather)
        self.step_functions = StepFunctions(self.time, self.weather, TASK_TOKEN_PREFIX)
        queues = (
            self.messages,
            self.dead_letters,
            self.rejected,
            self.unpublished,
            self.events_dead_letters,
        )
        self.services: dict[str, Service] = {
            "participant": ParticipantHost(self.participant, self.weather),
            "events": self.bus,
            "sqs": Sqs({queue.name: queue for queue in queues}, self.weather),
            "states": self.step_functions,
        }
        self.network = Network(
            time=self.time,
            random=self._random("network"),
            services=self.services,
            trouble=self.weather,
            typical_seconds={"participant": 0.08},
        )
        self._instances = 0
        self.function = Function(
            time=self.time,
            random=self._random("function"),
            weather=self.weather,
            new_instance=self.new_instance,
            poison=setup.poison,
        )
        self.mapping = EventSourceMapping(
            time=self.time,
            queue=self.messages,
            function=self.function,
            weather=self.weather,
            maximum_concurrency=setup.concurrency,
        )
        self.events = EventDelivery(
            time=self.time,
            function=self.function,
            dead_letters=self.events_dead_letters,
            weather=self.weather,
        )
        self.producers = Producers(
            time=self.time,
            random=self._random("producers"),
            weather=self.weather,
            api=self.participant,
            queue=self.messages,
            function=self.function,
            events=self.events,
            step_functions=self.step_functions,
        )
        self.operator = Operator(
            time=self.time, random=self._random("operator"), weather=self.weather, services=self.services
        )
        self.worked_off = False
        """Whether operators have worked off all letters, so that nothing may be left."""
        self.output = Output(
            secret_words=[SECRET_WORD],
            secrets=lambda: (chat.connection_token for chat in self.producers.chats),
        )

    def run(self, *, until: float = float("inf")) -> None:
        """Let time pass: until nothing is left to happen, or to a moment."""
        with self._captured(), _time_of_urllib3(self.time):
            self.time.run(until=until)
        if until == float("inf"):
            self.time.close()

    def _random(self, name: str) -> Random:
        """Return a generator of its own for each part, so that one does not disturb another."""
        return Random(f"{self.setup.seed}/{name}")

    def _queue(self, name: str) -> Queue:
        return Queue(name, time=self.time, random=self._random(name))

    def new_instance(self) -> Handler:
        """Start the function as in a process of its own."""
        self._instances += 1
        # Powertools shares the loggers of one service, and all metrics, within a process
        service = f"instance-{id(self)}-{self._instances}"
        with patch("message_sender.application.Metrics", EphemeralMetrics):
            handler = create_handler(
                _ENVIRON
                | {"POWERTOOLS_SERVICE_NAME": service, "MAXIMUM_CONCURRENCY": str(self.setup.concurrency)},
                clock=self.time,
                random=self._random(f"instance-{self._instances}").random,
                pools=self.network.pools(),
                workers=self.time.workers,
            )
        logger = logging.Logger.manager.loggerDict.pop(service)
        assert isinstance(logger, logging.Logger)  # Powertools has just made it
        logger.propagate = False  # pytest would keep every line of it
        return handler

    @contextmanager
    def _captured(self) -> Iterator[None]:
        with redirect_stdout(self.output), redirect_stderr(self.output):
            yield


@contextmanager
def _time_of_urllib3(time: VirtualTime) -> Iterator[None]:
    """Have urllib3 measure in virtual time how much of a timeout is left after connecting."""
    clock: Mapping[str, Callable[[], float]] = {"monotonic": time.monotonic}
    with patch("urllib3.util.timeout.time", SimpleNamespace(**clock)):
        yield
