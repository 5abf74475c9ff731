"""Redrive a queue of dead letters: each is redriven, finalized, deleted or kept."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

from message_sender.errors import (
    AwsCallError,
    InvalidRequestError,
    MessageSenderError,
    ResultNotPublishedError,
)
from message_sender.result import Rejected
from ops.aws import CALL_TIMEOUT
from ops.dead_letters import UnreadableError, read_dead_letter
from ops.redrive_policy import Done, decide

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from types_boto3_sqs.type_defs import MessageTypeDef

    from message_sender.clock import Clock
    from message_sender.publisher import Publisher
    from message_sender.queues import Queues
    from message_sender.result import Failed
    from message_sender.task_callback import TaskCallback
    from ops.dead_letters import DeadLetter, DeadLetterQueue
    from ops.queue_reader import QueueReader
    from ops.redrive_policy import RedriveFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """A message, and what the run did with it.

    Attributes:
        dead_letter: None if it cannot be read.
        age: At least the time since it was queued. None if it cannot be read.
    """

    message_id: str
    dead_letter: DeadLetter | None
    done: Done
    reason: str
    age: timedelta | None


@dataclass(slots=True, kw_only=True)
class Totals:
    """What a run did with all messages.

    Attributes:
        need_results: How many were kept without a result that finalizing would publish.
        expired_tokens: How many were redriven although their connection token must have expired.
        is_complete: Whether the run saw every message that the queue returns.
    """

    count: Counter[Done] = field(default_factory=Counter)
    need_results: int = 0
    expired_tokens: int = 0
    is_complete: bool = False

    @property
    def all_done(self) -> bool:
        return self.is_complete and not self.count[Done.ERROR]


@dataclass(slots=True, kw_only=True)
class RedriveRun:
    """One run through a queue.

    You can interrupt and repeat it at any time: it deletes a dead letter only after another queue has the
    message, or if you asked to delete those that have their result. SQS drops a repeat within five minutes.
    Amazon Connect drops a later one while it remembers the ClientToken.

    Attributes:
        queues: Gets the messages, by the function's own code.
        publisher: Publishes the results of finalized dead letters.
        tasks: Completes the tasks that wait for these results.
        dry_run: Decide, and change nothing.
        on_handled: Gets each dead letter and what the run did with it.
    """

    queue: DeadLetterQueue
    reader: QueueReader
    queues: Queues
    publisher: Publisher
    tasks: TaskCallback
    messages_queue_arn: str
    redrive_filter: RedriveFilter
    dry_run: bool
    clock: Clock
    on_handled: Callable[[Handled], None]
    totals: Totals = field(default_factory=Totals)
    _finished: dict[tuple[str | None, str], Done] = field(default_factory=dict)
    _blocked_groups: set[str] = field(default_factory=set)

    def run(self) -> Totals:
        """Handle every dead letter that the queue returns. Those that stay are visible again at the end.

        Raises:
            AwsCallError: The queue cannot be read.
        """
        with closing(self.reader.batches()) as batches:
            for message in chain.from_iterable(batches):
                self._handle(message)
        self.totals.is_complete = self.reader.is_complete
        return self.totals

    def _handle(self, message: MessageTypeDef) -> None:
        dead_letter = age = None
        try:
            dead_letter = read_dead_letter(
                message, queue=self.queue, messages_queue_arn=self.messages_queue_arn
            )
            age = self.clock.now() - dead_letter.queued_at
            if dead_letter.has_outcome and self._finished.get(dead_letter.identity) is Done.FINALIZED:
                return  # the copy that this run made
            done, reason = self._act(dead_letter, message)
        except UnreadableError as error:
            done, reason = Done.KEPT, str(error)
        except MessageSenderError as error:
            done, reason = Done.ERROR, str(error)
        except Exception as defect:  # noqa: BLE001  # one dead letter must not stop the others
            # Its text could quote the message
            done, reason = Done.ERROR, f"unexpected {type(defect).__name__}"
        self.totals.count[done] += 1
        self.on_handled(
            Handled(
                message_id=message["MessageId"], dead_letter=dead_letter, done=done, reason=reason, age=age
            )
        )

    def _act(self, dead_letter: DeadLetter, message: MessageTypeDef) -> tuple[Done, str]:
        """Carry out the decision. Return what was done, and why.

        Raises:
            MessageSenderError: The dead letter stays in its queue.
        """
        if dead_letter.identity in self._finished:
            return Done.KEPT, "this run has handled the same message before"
        decision = decide(dead_letter, self.redrive_filter, self.clock.now())
        reason = decision.reason
        if decision.done is Done.REDRIVEN:
            self._redrive(dead_letter)
        elif decision.done is Done.FINALIZED and decision.outcome:
            reason += self._finalize(dead_letter, decision.outcome)
        if decision.done is not Done.KEPT and not self.dry_run:
            self.reader.delete(message)
        self.totals.need_results += decision.needs_result
        if decision.has_expired_token:
            self.totals.expired_tokens += 1
            reason = "its connection token has expired"
        return decision.done, reason

    def _redrive(self, dead_letter: DeadLetter) -> None:
        if dead_letter.chat in self._blocked_groups:
            raise MessageSenderError("an earlier message of its group could not be redriven")
        if not self.dry_run:
            try:
                self.queues.enqueue_for_retry(
                    dead_letter.parsed,
                    origin=dead_letter.origin,
                    message_group=dead_letter.chat,
                    deduplication_id=dead_letter.deduplication_id,
                    until=self._deadline(),
                )
            except Exception:
                self._blocked_groups.add(dead_letter.chat)
                raise
        self._finished[dead_letter.identity] = Done.REDRIVEN

    def _finalize(self, dead_letter: DeadLetter, outcome: Rejected | Failed) -> str:
        """Do what the function does with a finished message: copy it, publish, complete its task.

        Return what to add to the reason.
        """
        if self.dry_run:
            self._finished[dead_letter.identity] = Done.FINALIZED
            return ""
        parsed, result = dead_letter.parsed, dead_letter.result(outcome, self.clock.now())
        if isinstance(outcome, Rejected):
            is_invalid = isinstance(outcome.error, InvalidRequestError)
            group = dead_letter.message_group if is_invalid else dead_letter.chat
            self.queues.copy_to_rejected(parsed, result, message_group=group, until=self._deadline())
        else:
            self.queues.copy_to_dead_letters(
                parsed,
                result,
                message_group=dead_letter.chat,
                # With the plain id, which the dead letter has in this queue, SQS would drop the copy
                message_id=f"finalized-{dead_letter.deduplication_id}",
                until=self._deadline(),
                queued_at=dead_letter.queued_at,
            )
        self._finished[dead_letter.identity] = Done.FINALIZED
        if not all(self.publisher.publish([result], until=self._deadline())):
            raise ResultNotPublishedError("The result is neither on the bus nor in the queue")
        try:
            if (task_token := parsed.task_token) is not None:
                self.tasks.complete(task_token, result, until=self._deadline())
        except AwsCallError as error:
            return f"; its task is still waiting: {error}"
        return ""

    def _deadline(self) -> float:
        return self.clock.monotonic() + CALL_TIMEOUT
