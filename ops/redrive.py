"""Goes through a queue of letters: each is tried again, given its outcome, discarded, or left."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from message_sender.errors import AwsCallError, MessageSenderError, ResultNotPublishedError
from message_sender.result import Rejected
from ops.aws import PATIENCE
from ops.dead_letters import DeadLetter, UnreadableDeadLetter, read_dead_letter
from ops.redrive_policy import Discard, Leave, Redrive, decide

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    from message_sender.clock import Clock
    from message_sender.publisher import Publisher
    from message_sender.queues import Queues
    from message_sender.result import MessageResult
    from message_sender.task_callback import TaskCallback
    from ops.dead_letters import DeadLetterQueue
    from ops.queue_reader import QueueReader
    from ops.redrive_policy import Rules, Settle


class Done(StrEnum):
    """What became of a letter, or would in a run that changes nothing."""

    REDRIVEN = "redrive"
    SETTLED = "settle"
    DISCARDED = "discard"
    LEFT = "leave"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """A letter, and what became of it. `age` is at least that: None of a letter that cannot be read."""

    letter: DeadLetter | UnreadableDeadLetter
    done: Done
    reason: str
    age: timedelta | None


@dataclass(slots=True, kw_only=True)
class Totals:
    """What became of all letters.

    Attributes:
        due: DeadLetters that were left without an outcome, and would get one if that were asked for.
        dead_tokens: DeadLetters tried again although their connection token must have expired.
        is_complete: Whether the queue had no more letters to give.
    """

    count: Counter[Done] = field(default_factory=Counter)
    due: int = 0
    dead_tokens: int = 0
    is_complete: bool = False


@dataclass(slots=True, kw_only=True)
class RedriveRun:
    """One run through a queue.

    May be cut off at any moment and repeated: a letter is deleted only after it is safe elsewhere, or if it
    has its outcome and is to be discarded. A repeat within five minutes is dropped by SQS, and a later one is
    the same message for Amazon Connect, as long as that remembers its ClientToken.

    Attributes:
        queues: Where letters go, by the function's own code.
        publisher: For outcomes that are due.
        tasks: For the tasks that wait for these.
        dry_run: Decide, and change nothing.
        tell: Gets each letter with what became of it.
    """

    queue: DeadLetterQueue
    reader: QueueReader
    queues: Queues
    publisher: Publisher
    tasks: TaskCallback
    messages_queue_arn: str
    rules: Rules
    dry_run: bool
    clock: Clock
    tell: Callable[[Handled], None]
    totals: Totals = field(default_factory=Totals)
    _ended: dict[tuple[str | None, str], Done] = field(default_factory=dict)
    _blocked: set[str] = field(default_factory=set)

    def run(self) -> Totals:
        """Handle every letter that the queue gives. What stays is visible again at the end.

        Raises:
            AwsCallError: The queue cannot be read.
        """
        with self.reader:
            for messages in self.reader.batches():
                for message in messages:
                    self._handle(message)
        self.totals.is_complete = self.reader.is_read
        return self.totals

    def _handle(self, message: Mapping[str, Any]) -> None:
        letter = read_dead_letter(message, queue=self.queue, messages_queue_arn=self.messages_queue_arn)
        if isinstance(letter, UnreadableDeadLetter):
            self._tell(letter, Done.LEFT, letter.reason)
            return
        before = self._ended.get(_identity(letter))
        if before is Done.SETTLED and letter.has_outcome:
            return  # the copy that this run has made of it
        if before is not None:
            self._tell(letter, Done.LEFT, "the same message has come before in this run")
            return
        try:
            decision = decide(letter, self.rules, self.clock.now())
            if isinstance(decision, Leave):
                self.totals.due += decision.outcome_is_due
                self._tell(letter, Done.LEFT, decision.reason)
            elif isinstance(decision, Redrive):
                self._redrive(letter, decision, message)
            elif isinstance(decision, Discard):
                self._discard(letter, decision, message)
            else:
                self._settle(letter, decision, message)
        except MessageSenderError as error:
            self._tell(letter, Done.ERROR, str(error))
        except Exception as defect:  # noqa: BLE001  # no letter may keep the others from being handled
            # Its text could hold anything
            self._tell(letter, Done.ERROR, f"unexpected {type(defect).__name__}")

    def _redrive(self, letter: DeadLetter, decision: Redrive, message: Mapping[str, Any]) -> None:
        if decision.message_group in self._blocked:
            self._tell(letter, Done.ERROR, "an earlier letter of its group could not be put back")
            return
        if not self.dry_run:
            try:
                self.queues.enqueue_for_retry(
                    letter.parsed,
                    origin=letter.origin,
                    message_group=decision.message_group,
                    deduplication_id=letter.deduplication_id,
                    until=self._timeout(),
                )
            except Exception:
                self._blocked.add(decision.message_group)
                raise
        self._ended[_identity(letter)] = Done.REDRIVEN
        if not self.dry_run:
            self.reader.delete(message)
        self.totals.dead_tokens += decision.has_dead_token
        self._tell(
            letter, Done.REDRIVEN, "its connection token has expired" if decision.has_dead_token else ""
        )

    def _settle(self, letter: DeadLetter, decision: Settle, message: Mapping[str, Any]) -> None:
        """Do what the function does with a message that has ended: copy, publish, answer its task, delete."""
        reason = decision.reason
        if not self.dry_run:
            self._copy(letter, decision, result := decision.result(letter, self.clock.now()))
        self._ended[_identity(letter)] = Done.SETTLED
        if not self.dry_run:
            if not all(self.publisher.publish([result], until=self._timeout())):
                raise ResultNotPublishedError("The result is neither on the bus nor in the queue")
            try:
                self._answer_task(letter, result)
            except AwsCallError as error:
                reason = f"{reason}; the task that waits for it is not answered: {error}"
            self.reader.delete(message)
        self._tell(letter, Done.SETTLED, reason)

    def _discard(self, letter: DeadLetter, decision: Discard, message: Mapping[str, Any]) -> None:
        if not self.dry_run:
            self.reader.delete(message)
        self._tell(letter, Done.DISCARDED, decision.reason)

    def _answer_task(self, letter: DeadLetter, result: MessageResult) -> None:
        if (task_token := letter.parsed.task_token) is not None:
            self.tasks.answer(task_token, result, until=self._timeout())

    def _copy(self, letter: DeadLetter, decision: Settle, result: MessageResult) -> None:
        group = decision.message_group
        if isinstance(decision.outcome, Rejected):
            self.queues.copy_to_rejected(letter.parsed, result, message_group=group, until=self._timeout())
            return
        self.queues.copy_to_dead_letters(
            letter.parsed,
            result,
            message_group=group or "",
            # Not the bare id: that is the letter's own in this queue, and SQS would drop the copy as a repeat
            message_id=f"settled-{letter.deduplication_id}",
            until=self._timeout(),
            queued_at=letter.queued_at,
        )

    def _timeout(self) -> float:
        return self.clock.monotonic() + PATIENCE

    def _tell(self, letter: DeadLetter | UnreadableDeadLetter, done: Done, reason: str) -> None:
        self.totals.count[done] += 1
        age = self.clock.now() - letter.queued_at if isinstance(letter, DeadLetter) else None
        self.tell(Handled(letter=letter, done=done, reason=reason, age=age))


def _identity(letter: DeadLetter) -> tuple[str | None, str]:
    """Return what two dead letters of one message share.

    Not the ClientToken alone: a producer can use that of a message in another group. That message would be
    left, and the messages behind it would overtake it.
    """
    return letter.message_group or letter.parsed.message_group, letter.client_token
