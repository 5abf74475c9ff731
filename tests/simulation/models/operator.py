"""Operators: `python -m ops redrive` over the models, in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from message_sender.aws.client import AwsClient
from message_sender.errors import AwsCallError
from ops.aws import BotoApi
from ops.dead_letters import DeadLetterQueue
from ops.queue_reader import QueueReader
from ops.redrive import Done, RedriveFilter, RedriveRun
from tests.simulation.fault_profiles import Fault
from tests.simulation.function import new_outputs
from tests.simulation.models.aws import Sqs
from tests.simulation.models.boto_client import BotoClient
from tests.simulation.models.clock import KilledError
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


class Operator:
    """A person who runs the commands, and repeats a run that was interrupted or has left something.

    Attributes:
        redriven, finalized: Dead letters, over all runs.
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

    def carry_out(self, commands: Sequence[Command]) -> None:
        """Run commands one after the other, each until nothing is left to do. Some runs are interrupted."""
        self._begin(commands, 1)

    def redrive(
        self,
        queue: DeadLetterQueue,
        *,
        max_age: timedelta = FOREVER,
        finalize: bool = False,
        resend_parts: bool = False,
        keep_maybe_delivered: bool = False,
    ) -> Command:
        """Return the command `python -m ops redrive --apply`."""
        redrive_filter = RedriveFilter(
            max_age=max_age,
            finalize=finalize,
            resend_parts=resend_parts,
            keep_maybe_delivered=keep_maybe_delivered,
        )
        return partial(self._redrive, queue, redrive_filter)

    def _redrive(self, queue: DeadLetterQueue, redrive_filter: RedriveFilter) -> bool:
        outputs = new_outputs(self.services, time=self._time, random=self._random.random)
        run = RedriveRun(
            queue=queue,
            reader=self._reader(_QUEUES[queue]),
            queues=outputs.queues,
            publisher=outputs.publisher,
            tasks=outputs.tasks,
            messages_queue_arn=arn_of("messages.fifo"),
            redrive_filter=redrive_filter,
            dry_run=False,
            clock=self._time,
            on_handled=lambda _: None,
        )
        try:
            totals = run.run()
        finally:
            self.redriven += run.totals.count[Done.REDRIVEN]
            self.finalized += run.totals.count[Done.FINALIZED]
        return totals.all_done

    def _reader(self, queue: str) -> QueueReader:
        return QueueReader(self._api("sqs"), _url(queue), clock=self._time)

    def _api(self, host: str) -> AwsClient:
        api = BotoApi(BotoClient(self.services[host], self._time))
        return AwsClient(api, clock=self._time, random=self._random.random)

    def _begin(self, commands: Sequence[Command], runs: int) -> None:
        if not commands:
            return
        task = self._time.start(commands[0])
        task.when_done(partial(self._ended, task, commands, runs))
        if self._injector.occurs(Fault.OPERATOR_CUT_OFF):
            self._time.after(self._random.uniform(0, _CUT_OFF_WITHIN), partial(self._cut_off, task))

    def _cut_off(self, task: Task) -> None:
        """Interrupt a run, which has received some dead letters."""
        if not task.done:
            self._injector.hit(Fault.OPERATOR_CUT_OFF, self._received)
            task.kill()

    @property
    def _received(self) -> list[str]:
        """The ids of the dead letters that an operator has received and not yet deleted."""
        sqs, now = self.services.get("sqs"), self._time.monotonic()
        queues = sqs.queues if isinstance(sqs, Sqs) else {}
        return [
            message.message_id
            for name in _QUEUES.values()
            if name in queues
            for message in queues[name].messages
            if message.visible_at > now
        ]

    def _ended(self, task: Task, commands: Sequence[Command], runs: int) -> None:
        if task.error is not None and not isinstance(task.error, (KilledError, AwsCallError)):
            raise task.error
        if task.result is True or runs == _MOST_RUNS:
            self._begin(commands[1:], 1)
        else:
            self._time.after(_AGAIN_AFTER, partial(self._begin, commands, runs + 1))
