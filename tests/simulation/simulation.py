"""The real handler with models around it: hours of virtual time in seconds."""

from __future__ import annotations

from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Final

from infra.timing import max_receive_count
from sandbox.participant_service.api import ParticipantApi
from tests.simulation.accepted import SECRET_WORD, TASK_TOKEN_PREFIX
from tests.simulation.capture import Capture
from tests.simulation.fault_profiles import NO_FAULTS, FaultInjector, FaultProfile, ServiceFaults
from tests.simulation.function import (
    QUOTA,
    RETRY_WINDOW_MINUTES,
    new_handler,
    new_results_handler,
    urllib3_in_virtual_time,
)
from tests.simulation.models.aws import Bus, KeyService, ParticipantHost, Sqs, StepFunctions, Table
from tests.simulation.models.clock import VirtualTime
from tests.simulation.models.lambda_service import (
    FUNCTION_TIMEOUT,
    EventDelivery,
    EventSourceMapping,
    Function,
)
from tests.simulation.models.network import Network
from tests.simulation.models.operator import Operator
from tests.simulation.models.sqs import Queue
from tests.simulation.workload import Producers
from tests.support.kms import Kms

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.models.lambda_service import Handler
    from tests.simulation.models.network import Service

VISIBILITY_TIMEOUT: Final = 6 * FUNCTION_TIMEOUT
CONCURRENCY: Final = 50
_RESULTS_CONCURRENCY: Final = 2
_LONGEST_DELIVERY: Final = 200.0
"""Seconds that a result event takes to its target: longer than a redelivery."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The differences between simulations.

    Attributes:
        profile: The faults that can occur, and how often.
        concurrency: The maximum concurrency of the event source mapping.
        idempotency_window: Of the Participant Service, in seconds. None: as long as the chat exists.
        poison: Returns whether an event kills the function.
        quota: SendMessage calls per second, by the function's settings.
        outcome_lookup: Whether a rule passes results to the function `Results`, which stores them.
        maximum_age_minutes: The age at which messages expire. None: they do not expire by their age.
        groups_in_turn: Whether SQS takes the chats in turn, instead of at random.
    """

    seed: object = 0
    profile: FaultProfile | None = None
    concurrency: int = CONCURRENCY
    idempotency_window: float | None = None
    poison: Callable[[dict[str, Any]], bool] = lambda _: False
    quota: float = QUOTA
    groups_in_turn: bool = False
    outcome_lookup: bool = False
    maximum_age_minutes: int | None = None


class Simulation:
    """One run. All parts are public, because scenarios change them."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.time = VirtualTime()
        self.injector = FaultInjector(
            time=self.time, random=self.random("faults"), profile=setup.profile or NO_FAULTS
        )
        self.participant = ParticipantApi(clock=self.time.epoch)
        self.participant.faults = ServiceFaults(self.injector)
        self.participant.service.set_idempotency_window(setup.idempotency_window)
        self.dead_letters = self._queue("dead-letter.fifo")
        self.messages = Queue(
            "messages.fifo",
            time=self.time,
            random=self.random("messages"),
            visibility_timeout=VISIBILITY_TIMEOUT,
            dead_letters=self.dead_letters,
            max_receive_count=max_receive_count(
                retry_window_minutes=RETRY_WINDOW_MINUTES,
                maximum_concurrency=setup.concurrency,
                send_quota_per_second=round(setup.quota),
            ),
            groups_in_turn=setup.groups_in_turn,
        )
        self.rejected = self._queue("rejected")
        self.unpublished = self._queue("unpublished", visibility_timeout=VISIBILITY_TIMEOUT)
        self.events_dead_letters = self._queue("events-dead-letter")
        self.bus = Bus(self.time, self.injector)
        self.kms = Kms()
        self.table = Table()
        self.step_functions = StepFunctions(self.time, self.injector, TASK_TOKEN_PREFIX)
        queues = (
            self.messages,
            self.dead_letters,
            self.rejected,
            self.unpublished,
            self.events_dead_letters,
        )
        self.services: dict[str, Service] = {
            "participant": ParticipantHost(self.participant, self.injector),
            "events": self.bus,
            "sqs": Sqs({queue.name: queue for queue in queues}, self.injector),
            "kms": KeyService(self.kms, self.injector),
            "states": self.step_functions,
            "dynamodb": self.table,
        }
        self.network = Network(
            time=self.time,
            random=self.random("network"),
            services=self.services,
            faults=self.injector,
            typical_seconds={"participant": 0.08},
        )
        self.capture = Capture(
            secret_words=[SECRET_WORD],
            secrets=lambda: (token for chat in self.producers.chats for token in chat.connection_tokens),
        )
        self._instances = 0
        self.function = Function(
            time=self.time,
            random=self.random("function"),
            injector=self.injector,
            new_instance=self.new_instance,
            poison=setup.poison,
            log=self.capture.write,
        )
        self.injector.holders = self.function.holders
        self.mapping = EventSourceMapping(
            time=self.time,
            queue=self.messages,
            function=self.function,
            injector=self.injector,
            maximum_concurrency=setup.concurrency,
        )
        self.results_function = Function(
            time=self.time,
            random=self.random("results function"),
            injector=self.injector,
            new_instance=self._new_results_instance,
            log=self.capture.write,
        )
        self.results_mapping = EventSourceMapping(
            time=self.time,
            queue=self.unpublished,
            function=self.results_function,
            injector=self.injector,
            maximum_concurrency=_RESULTS_CONCURRENCY,
        )
        self.lost_lookups = self._queue("lost-lookups")
        self.results_rule = EventDelivery(
            time=self.time,
            function=self.results_function,
            dead_letters=self.lost_lookups,
            injector=self.injector,
        )
        if setup.outcome_lookup:
            self.bus.on_result = self._pass_on_result
        self.events = EventDelivery(
            time=self.time,
            function=self.function,
            dead_letters=self.events_dead_letters,
            injector=self.injector,
        )
        self.producers = Producers(
            time=self.time,
            random=self.random("producers"),
            sealing=self.random("sealing"),
            kms=self.kms,
            injector=self.injector,
            api=self.participant,
            queue=self.messages,
            function=self.function,
            events=self.events,
            step_functions=self.step_functions,
        )
        self.operator = Operator(
            time=self.time, random=self.random("operator"), injector=self.injector, services=self.services
        )
        self.dead_letters_handled = False
        """Whether operators have handled all dead letters, so that their queues must be empty."""

    def run(self, *, until: float = float("inf")) -> None:
        """Let time pass until the agenda is empty, or to a moment."""
        with (
            redirect_stdout(self.capture),
            redirect_stderr(self.capture),
            urllib3_in_virtual_time(self.time),
        ):
            self.time.run(until=until)
        if until == float("inf"):
            self.time.close()

    def new_instance(self) -> Handler:
        """Start an instance of the function."""
        self._instances += 1
        return new_handler(
            time=self.time,
            random=self.random(f"instance-{self._instances}").random,
            network=self.network,
            maximum_concurrency=self.setup.concurrency,
            maximum_age_minutes=self.setup.maximum_age_minutes,
        )

    def _pass_on_result(self, event: dict[str, Any]) -> None:
        """Deliver a result event after a moment, so that results overtake each other."""
        seconds = self.injector.random.uniform(0, _LONGEST_DELIVERY)
        self.time.after(seconds, partial(self.results_rule.deliver, event))

    def _new_results_instance(self) -> Handler:
        self._instances += 1
        random = self.random(f"instance-{self._instances}").random
        return new_results_handler(time=self.time, random=random, network=self.network)

    def random(self, name: str) -> Random:
        """Return the generator of one part: no part changes the draws of another."""
        return Random(f"{self.setup.seed}/{name}")

    def _queue(self, name: str, *, visibility_timeout: float = 30.0) -> Queue:
        return Queue(name, time=self.time, random=self.random(name), visibility_timeout=visibility_timeout)
