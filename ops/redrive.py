"""Redrive a queue of dead letters: each is redriven, finalized, deleted or kept."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING

from message_sender.errors import AwsCallError, MessageSenderError, ResultNotPublishedError
from message_sender.result import Rejected
from ops.aws import CALL_TIMEOUT
from ops.dead_letters import DeadLetter, UnreadableDeadLetter, read_dead_letter
from ops.redrive_policy import Delete, Finalize, Keep, Redrive, decide

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from types_boto3_sqs.type_defs import MessageTypeDef

    from message_sender.clock import Clock
    from message_sender.publisher import Publisher
    from message_sender.queues import Queues
    from message_sender.result import MessageResult
    from message_sender.task_callback import TaskCallback
    from ops.dead_letters import DeadLetterQueue
    from ops.queue_reader import QueueReader
    from ops.redrive_policy import RedriveFilter


class Done(StrEnum):
    """What a run did with a message, or would do in a dry run."""

    PUBLISHED = "publish"
    REDRIVEN = "redrive"
    FINALIZED = "finalize"
    DELETED = "delete"
    KEPT = "keep"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """A dead letter, and what the run did with it.

    Attributes:
        age: At least the time since it was queued. None if it cannot be read.
    """

    dead_letter: DeadLetter | UnreadableDeadLetter
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
        dead_letter = read_dead_letter(message, queue=self.queue, messages_queue_arn=self.messages_queue_arn)
        if isinstance(dead_letter, UnreadableDeadLetter):
            self._report(dead_letter, Done.KEPT, dead_letter.reason)
            return
        earlier = self._finished.get(_identity(dead_letter))
        if earlier is Done.FINALIZED and dead_letter.has_outcome:
            return  # the copy that this run made
        if earlier is not None:
            self._report(dead_letter, Done.KEPT, "this run has handled the same message before")
            return
        try:
            match decide(dead_letter, self.redrive_filter, self.clock.now()):
                case Keep(reason=reason, needs_result=needs_result):
                    self.totals.need_results += needs_result
                    self._report(dead_letter, Done.KEPT, reason)
                case Delete(reason=reason):
                    self._delete(message)
                    self._report(dead_letter, Done.DELETED, reason)
                case Redrive() as redrive:
                    self._redrive(dead_letter, redrive, message)
                case Finalize() as finalize:
                    self._finalize(dead_letter, finalize, message)
        except MessageSenderError as error:
            self._report(dead_letter, Done.ERROR, str(error))
        except Exception as defect:  # noqa: BLE001  # one dead letter must not stop the others
            # Its text could quote the message
            self._report(dead_letter, Done.ERROR, f"unexpected {type(defect).__name__}")

    def _redrive(self, dead_letter: DeadLetter, redrive: Redrive, message: MessageTypeDef) -> None:
        if redrive.message_group in self._blocked_groups:
            self._report(dead_letter, Done.ERROR, "an earlier message of its group could not be redriven")
            return
        if not self.dry_run:
            try:
                self.queues.enqueue_for_retry(
                    dead_letter.parsed,
                    origin=dead_letter.origin,
                    message_group=redrive.message_group,
                    deduplication_id=dead_letter.deduplication_id,
                    until=self._deadline(),
                )
            except Exception:
                self._blocked_groups.add(redrive.message_group)
                raise
        self._finished[_identity(dead_letter)] = Done.REDRIVEN
        self._delete(message)
        self.totals.expired_tokens += redrive.has_expired_token
        reason = "its connection token has expired" if redrive.has_expired_token else ""
        self._report(dead_letter, Done.REDRIVEN, reason)

    def _finalize(self, dead_letter: DeadLetter, finalize: Finalize, message: MessageTypeDef) -> None:
        """Do what the function does with a finished message: copy, publish, complete its task, delete."""
        reason, result = finalize.reason, finalize.result(dead_letter, self.clock.now())
        if not self.dry_run:
            self._copy(dead_letter, finalize, result)
        self._finished[_identity(dead_letter)] = Done.FINALIZED
        if not self.dry_run:
            if not all(self.publisher.publish([result], until=self._deadline())):
                raise ResultNotPublishedError("The result is neither on the bus nor in the queue")
            try:
                if (task_token := dead_letter.parsed.task_token) is not None:
                    self.tasks.complete(task_token, result, until=self._deadline())
            except AwsCallError as error:
                reason = f"{reason}; its task is still waiting: {error}"
        self._delete(message)
        self._report(dead_letter, Done.FINALIZED, reason)

    def _copy(self, dead_letter: DeadLetter, finalize: Finalize, result: MessageResult) -> None:
        group = finalize.message_group
        if isinstance(finalize.outcome, Rejected):
            self.queues.copy_to_rejected(
                dead_letter.parsed, result, message_group=group, until=self._deadline()
            )
            return
        self.queues.copy_to_dead_letters(
            dead_letter.parsed,
            result,
            message_group=group or "",
            # With the plain id, which the dead letter has in this queue, SQS would drop the copy as a repeat
            message_id=f"finalized-{dead_letter.deduplication_id}",
            until=self._deadline(),
            queued_at=dead_letter.queued_at,
        )

    def _delete(self, message: MessageTypeDef) -> None:
        if not self.dry_run:
            self.reader.delete(message)

    def _deadline(self) -> float:
        return self.clock.monotonic() + CALL_TIMEOUT

    def _report(self, dead_letter: DeadLetter | UnreadableDeadLetter, done: Done, reason: str) -> None:
        self.totals.count[done] += 1
        age = self.clock.now() - dead_letter.queued_at if isinstance(dead_letter, DeadLetter) else None
        self.on_handled(Handled(dead_letter=dead_letter, done=done, reason=reason, age=age))


def _identity(dead_letter: DeadLetter) -> tuple[str | None, str]:
    """Return what two dead letters of one message share.

    The ClientToken alone is not enough: a producer can use the same one for a message in another group. That
    message would be kept, and those behind it would overtake it.
    """
    return dead_letter.message_group or dead_letter.parsed.message_group, dead_letter.client_token
