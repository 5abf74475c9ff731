"""Operators, who run `make redrive` and `make republish` over the models, in virtual time."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from message_sender.errors import AwsCallError
from message_sender.publisher import Publisher
from message_sender.queues import Queues
from message_sender.task_callback import TaskCallback
from ops.aws import BotoApi
from ops.dead_letters import DeadLetterQueue
from ops.queue_reader import QueueReader
from ops.redrive import Done, RedriveRun
from ops.redrive_policy import Rules
from ops.republish import RepublishRun
from sandbox.participant_service.api import Ending
from tests.simulation.fault_profiles import Fault
from tests.simulation.models.aws import NO_ANSWER_SECONDS
from tests.simulation.models.clock import KilledError
from tests.simulation.models.network import Request
from tests.simulation.models.sqs import arn_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

    from tests.simulation.fault_profiles import FaultInjector
    from tests.simulation.models.clock import Task, VirtualTime
    from tests.simulation.models.network import Service

Command: TypeAlias = Callable[[], bool]
"""Runs once. Returns whether nothing is left to do."""

_CALL_SECONDS: Final = 0.02
_CUT_OFF_WITHIN: Final = 2.0
_AGAIN_AFTER: Final = 960.0
"""Seconds: longer than an interrupted run hides the dead letters that it received."""
_MOST_RUNS: Final = 12
FOREVER: Final = timedelta(days=365)

_QUEUES: Final = {
    DeadLetterQueue.DEAD_LETTER: "dead-letter.fifo",
    DeadLetterQueue.EVENTS: "events-dead-letter",
    DeadLetterQueue.REJECTED: "rejected",
}


def _url(name: str) -> str:
    return f"https://sqs/000000000000/{name}"


class AwsClient:
    """A boto3 client for one of the models. It has every method, by boto3's name for the operation."""

    def __init__(self, service: Service, time: VirtualTime) -> None:
        self._service = service
        self._time = time

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        return partial(self._call, name.title().replace("_", ""))

    def _call(self, operation: str, /, **parameters: object) -> dict[str, Any]:
        self._time.sleep(_CALL_SECONDS)
        headers = {"x-amz-target": f"Service.{operation}"}
        answer = self._service(Request("POST", "/", headers, json.dumps(parameters).encode()))
        if answer.ending is Ending.RESET:
            raise ConnectionClosedError(endpoint_url="https://aws")
        if answer.latency >= NO_ANSWER_SECONDS:
            self._time.sleep(NO_ANSWER_SECONDS)
            raise ReadTimeoutError(endpoint_url="https://aws")
        document: dict[str, Any] = json.loads(answer.body)
        if answer.status != HTTPStatus.OK:
            error: Any = {
                "Error": {"Code": document["__type"].rpartition("#")[2], "Message": ""},
                "ResponseMetadata": {"HTTPStatusCode": answer.status},
            }
            raise ClientError(error, operation)
        return document


class Operator:
    """A person who runs the commands, and repeats a run that was interrupted or has left something.

    Attributes:
        redriven, finalized: Dead letters, over all runs.
        republished: Results, over all runs.
    """

    def __init__(
        self, *, time: VirtualTime, random: Random, injector: FaultInjector, services: Mapping[str, Service]
    ) -> None:
        self._time = time
        self._random = random
        self._injector = injector
        self.services = services
        self.redriven = 0
        self.finalized = 0
        self.republished = 0

    def carry_out(self, commands: Sequence[Command]) -> None:
        """Run commands one after the other, each until nothing is left to do. Some runs are interrupted."""
        self._begin(commands, 1)

    def redrive(
        self, queue: DeadLetterQueue, *, max_age: timedelta = FOREVER, finalize: bool = False
    ) -> Command:
        """Return the command `make redrive DRY_RUN=no`."""
        return partial(
            self._redrive, queue, Rules(codes=None, codes_required=False, max_age=max_age, settle=finalize)
        )

    def republish(self) -> bool:
        """Run `make republish DRY_RUN=no`."""
        run = RepublishRun(
            reader=self._reader("unpublished"),
            events=self._api("events"),
            event_bus_name="bus",
            event_bus_arn="arn:aws:events:eu-central-1:000000000000:event-bus/bus",
            dry_run=False,
            clock=self._time,
            random=self._random.random,
            tell=lambda *_: None,
        )
        try:
            totals = run.run()
        finally:
            self.republished += run.totals.published
        return totals.is_complete and not totals.errors

    def _redrive(self, queue: DeadLetterQueue, rules: Rules) -> bool:
        queues = Queues(
            sqs=self._api("sqs"),
            message_queue_url=_url("messages.fifo"),
            dead_letter_queue_url=_url("dead-letter.fifo"),
            rejected_queue_url=_url("rejected"),
            unpublished_results_queue_url=_url("unpublished"),
            clock=self._time,
            random=self._random.random,
        )
        run = RedriveRun(
            queue=queue,
            reader=self._reader(_QUEUES[queue]),
            queues=queues,
            publisher=Publisher(
                events=self._api("events"),
                event_bus_name="bus",
                queues=queues,
                clock=self._time,
                random=self._random.random,
            ),
            tasks=TaskCallback(
                step_functions=self._api("states"), clock=self._time, random=self._random.random
            ),
            messages_queue_arn=arn_of("messages.fifo"),
            rules=rules,
            dry_run=False,
            clock=self._time,
            tell=lambda _: None,
        )
        try:
            totals = run.run()
        finally:
            self.redriven += run.totals.count[Done.REDRIVEN]
            self.finalized += run.totals.count[Done.SETTLED]
        return totals.is_complete and not totals.count[Done.ERROR]

    def _reader(self, queue: str) -> QueueReader:
        return QueueReader(self._api("sqs"), _url(queue), clock=self._time, random=self._random.random)

    def _api(self, host: str) -> BotoApi:
        return BotoApi(AwsClient(self.services[host], self._time))

    def _begin(self, commands: Sequence[Command], runs: int) -> None:
        if not commands:
            return
        task = self._time.start(commands[0])
        task.when_done(partial(self._ended, task, commands, runs))
        if self._injector.occurs(Fault.OPERATOR_CUT_OFF):
            self._time.after(self._random.uniform(0, _CUT_OFF_WITHIN), task.kill)

    def _ended(self, task: Task, commands: Sequence[Command], runs: int) -> None:
        if task.error is not None and not isinstance(task.error, (KilledError, AwsCallError)):
            raise task.error
        if task.result is True or runs == _MOST_RUNS:
            self._begin(commands[1:], 1)
        else:
            self._time.after(_AGAIN_AFTER, partial(self._begin, commands, runs + 1))
