"""Operators: `python -m ops redrive` and `republish` over the models, in virtual time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from functools import partial
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
from ops.redrive_policy import RedriveFilter
from ops.republish import RepublishRun
from sandbox.participant_service.api import Ending
from tests.simulation.fault_profiles import Strike
from tests.simulation.models.aws import NO_ANSWER_SECONDS
from tests.simulation.models.clock import KilledError
from tests.simulation.models.network import Request
from tests.simulation.models.sqs import arn_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

    from tests.simulation.fault_profiles import Weather
    from tests.simulation.models.clock import Task, VirtualTime
    from tests.simulation.models.network import Service

Command: TypeAlias = Callable[[], bool]
"""Runs once. Returns whether it has done all."""

_CALL_SECONDS: Final = 0.02
_CUT_OFF_WITHIN: Final = 2.0
_AGAIN_AFTER: Final = 960.0
"""Seconds, above the time for which a run that is cut off hides its letters."""
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
    """A client of boto3 for one of the models: any method, by the name that boto3 gives it."""

    def __init__(self, service: Service, time: VirtualTime) -> None:
        self._service = service
        self._time = time

    def __getattr__(self, name: str) -> Callable[..., dict[str, Any]]:
        return partial(self._call, name.title().replace("_", ""))

    def _call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401  # as boto3 has them
        self._time.sleep(_CALL_SECONDS)
        headers = {"x-amz-target": f"Service.{operation}"}
        answer = self._service(Request("POST", "/", headers, json.dumps(parameters).encode()))
        if answer.ending is Ending.RESET:
            raise ConnectionClosedError(endpoint_url="https://aws")
        if answer.latency >= NO_ANSWER_SECONDS:
            self._time.sleep(NO_ANSWER_SECONDS)
            raise ReadTimeoutError(endpoint_url="https://aws")
        document: dict[str, Any] = json.loads(answer.body)
        if answer.status != 200:  # OK
            error = {
                "Error": {"Code": document["__type"].rpartition("#")[2], "Message": ""},
                "ResponseMetadata": {"HTTPStatusCode": answer.status},
            }
            raise ClientError(error, operation)
        return document


class Operator:
    """Somebody who runs the commands, and runs one again that was cut off or could not do all.

    Attributes:
        done: What became of letters, over all runs.
        republished: Results that were published at last.
    """

    def __init__(
        self, *, time: VirtualTime, random: Random, weather: Weather, services: Mapping[str, Service]
    ) -> None:
        self._time = time
        self._random = random
        self._weather = weather
        self.services = services
        self.done: Counter[Done] = Counter()
        self.republished = 0

    def carry_out(self, commands: Sequence[Command]) -> None:
        """Run commands one after the other, each until it has done all. Some runs are cut off."""
        self._begin(commands, 1)

    def redrive(
        self, queue: DeadLetterQueue, *, max_age: timedelta = FOREVER, finalize: bool = False
    ) -> Command:
        """Return the command `python -m ops redrive --apply`."""
        return partial(self._redrive, queue, RedriveFilter(max_age=max_age, finalize=finalize))

    def republish(self) -> bool:
        """Run `python -m ops republish --apply`."""
        run = RepublishRun(
            reader=self._reader("unpublished"),
            events=self._api("events"),
            event_bus_name="bus",
            event_bus_arn="arn:aws:events:eu-central-1:000000000000:event-bus/bus",
            dry_run=False,
            clock=self._time,
            random=self._random.random,
            on_result=lambda *_: None,
        )
        try:
            totals = run.run()
        finally:
            self.republished += run.totals.count[Done.PUBLISHED]
        return totals.all_done

    def _redrive(self, queue: DeadLetterQueue, redrive_filter: RedriveFilter) -> bool:
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
            redrive_filter=redrive_filter,
            dry_run=False,
            clock=self._time,
            on_handled=lambda _: None,
        )
        try:
            totals = run.run()
        finally:
            self.done += run.totals.count
        return totals.all_done

    def _reader(self, queue: str) -> QueueReader:
        return QueueReader(self._api("sqs"), _url(queue), clock=self._time, random=self._random.random)

    def _api(self, host: str) -> BotoApi:
        return BotoApi(AwsClient(self.services[host], self._time))

    def _begin(self, commands: Sequence[Command], runs: int) -> None:
        if not commands:
            return
        task = self._time.start(commands[0])
        task.when_done(partial(self._ended, task, commands, runs))
        if self._weather.strikes(Strike.OPERATOR_CUT_OFF):
            self._time.after(self._random.uniform(0, _CUT_OFF_WITHIN), task.kill)

    def _ended(self, task: Task, commands: Sequence[Command], runs: int) -> None:
        if task.error is not None and not isinstance(task.error, (KilledError, AwsCallError)):
            raise task.error
        if task.result is True or runs == _MOST_RUNS:
            self._begin(commands[1:], 1)
        else:
            self._time.after(_AGAIN_AFTER, partial(self._begin, commands, runs + 1))
