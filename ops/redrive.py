"""Redrive a queue of dead letters: each is redriven, finalized, deleted or kept.

`decide` calls no AWS, and the run carries out its decisions.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from itertools import chain
from typing import TYPE_CHECKING, Final

from message_sender.clock import SystemClock
from message_sender.delivery import is_expired
from message_sender.errors import (
    AwsCallError,
    DeadlineExceededError,
    ExpiredError,
    InvalidRequestError,
    MessageSenderError,
)
from message_sender.publisher import Publisher
from message_sender.queues import Queues
from message_sender.result import Failed, Rejected
from message_sender.task_callback import TaskCallback
from ops.aws import CALL_TIMEOUT, aws_client, queue_attribute
from ops.dead_letters import DeadLetterQueue, UnreadableError, read_dead_letter
from ops.queue_reader import QueueReader

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    import boto3
    from types_boto3_sqs.type_defs import MessageTypeDef

    from infra.outputs import StackOutputs
    from message_sender.clock import Clock
    from ops.dead_letters import DeadLetter

CONNECTION_TOKEN_LIFETIME: Final = timedelta(days=1)
"""Source: Amazon Connect Participant Service API reference, "CreateParticipantConnection"."""
_CONNECTION_EXPIRED: Final = "its connection token has expired"

_NOT_SENT: Final = Failed(DeadlineExceededError("The message was not sent in time and will not be retried"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RedriveFilter:
    """Select the dead letters to redrive, and say what happens to the others.

    Attributes:
        codes: Touch only dead letters with these codes. None selects every code.
        codes_required: Redrive nothing unless `codes` names its code.
        max_age: Redrive no dead letter that has been in its queue for longer.
        finalize: Publish the result of each dead letter that has none and is not redriven.
        delete: Delete each dead letter that has its result, if it is too old or can never be sent.
        keep_maybe_delivered: Redrive no dead letter that an earlier attempt may have delivered.
        resend_parts: Redrive also a long text of which the chat has the first parts. Amazon Connect drops
            these only as long as it remembers their ClientTokens.
    """

    codes: AbstractSet[str] | None = None
    codes_required: bool = False
    max_age: timedelta = timedelta(days=1)
    finalize: bool = False
    delete: bool = False
    keep_maybe_delivered: bool = False
    resend_parts: bool = False


class Done(StrEnum):
    """What a run did with a message, or would do in a dry run."""

    REDRIVEN = "redrive"
    FINALIZED = "finalize"
    DELETED = "delete"
    KEPT = "keep"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a dead letter.

    Attributes:
        done: REDRIVEN: send it again through the messages queue. FINALIZED: publish its outcome, and copy it
            to the queue for messages with that outcome. DELETED: it has its result. KEPT: change nothing.
        outcome: Of a dead letter without a result that is not redriven. If it is kept, it needs a result.
    """

    done: Done
    reason: str = ""
    outcome: Rejected | Failed | None = None


def decide(dead_letter: DeadLetter, redrive_filter: RedriveFilter, now: datetime) -> Decision:
    """Decide what happens to a dead letter. One whose code is not selected is kept in any case."""
    if redrive_filter.codes is not None and dead_letter.code not in redrive_filter.codes:
        return Decision(Done.KEPT, "--code does not name its code")
    delete_or_keep = Done.DELETED if redrive_filter.delete else Done.KEPT
    if dead_letter.is_truncated:
        return Decision(delete_or_keep, "part of the message is missing: it was too large to copy")
    age = now - dead_letter.queued_at
    outcome = _outcome(dead_letter, now, is_too_old=age > redrive_filter.max_age)
    if outcome is None:
        return _redrive_or_keep(dead_letter, redrive_filter, age)
    if dead_letter.has_outcome:
        return Decision(delete_or_keep, "older than --max-age" if outcome is _NOT_SENT else _words(outcome))
    return _finalize_or_keep(redrive_filter, outcome, _words(outcome))


def _outcome(dead_letter: DeadLetter, now: datetime, *, is_too_old: bool) -> Rejected | Failed | None:
    """Return the outcome of a dead letter that is too old or can never be sent."""
    request = dead_letter.parsed.request
    if isinstance(request, InvalidRequestError):
        return Rejected(request)
    if is_expired(request, now):
        return Rejected(ExpiredError("ExpiresAt is past"))
    return _NOT_SENT if is_too_old else None


def _redrive_or_keep(dead_letter: DeadLetter, redrive_filter: RedriveFilter, age: timedelta) -> Decision:
    if redrive_filter.codes is None and redrive_filter.codes_required:
        return Decision(Done.KEPT, "rejected messages are redriven only by a code that you choose (--code)")
    if dead_letter.parts_delivered and not redrive_filter.resend_parts:
        reason = (
            f"the chat has its first parts ({dead_letter.parts_delivered}): --resend-parts sends all of it"
        )
        return Decision(Done.KEPT, reason)
    if not (dead_letter.origin.maybe_delivered and redrive_filter.keep_maybe_delivered):
        return Decision(Done.REDRIVEN, _CONNECTION_EXPIRED if age > CONNECTION_TOKEN_LIFETIME else "")
    reason = "it may have been delivered"
    if dead_letter.has_outcome:
        return Decision(Done.KEPT, reason)
    return _finalize_or_keep(redrive_filter, _NOT_SENT, reason)


def _finalize_or_keep(redrive_filter: RedriveFilter, outcome: Rejected | Failed, reason: str) -> Decision:
    if redrive_filter.finalize:
        return Decision(Done.FINALIZED, _words(outcome), outcome)
    return Decision(Done.KEPT, reason, outcome)


def _words(outcome: Rejected | Failed) -> str:
    return f"{outcome.error.code}: {outcome.error.reason}"


@dataclass(frozen=True, slots=True)
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
            arn = self.messages_queue_arn
            dead_letter = read_dead_letter(message, queue=self.queue, messages_queue_arn=arn)
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
        self.on_handled(Handled(message["MessageId"], dead_letter, done, reason, age))

    def _act(self, dead_letter: DeadLetter, message: MessageTypeDef) -> tuple[Done, str]:
        """Carry out the decision. Return what was done, and why.

        Raises:
            MessageSenderError: The dead letter stays in its queue.
        """
        if dead_letter.identity in self._finished:
            return Done.KEPT, "this run has handled the same message before"
        decision = decide(dead_letter, self.redrive_filter, self.clock.now())
        added = ""
        if decision.done is Done.REDRIVEN:
            self._redrive(dead_letter)
        elif decision.done is Done.FINALIZED:
            if decision.outcome is None:
                raise ValueError("a decision to finalize needs the outcome")
            added = self._finalize(dead_letter, decision.outcome)
        if decision.done is not Done.KEPT and not self.dry_run:
            self.reader.delete(message)
        self.totals.need_results += decision.done is Done.KEPT and decision.outcome is not None
        self.totals.expired_tokens += decision.reason == _CONNECTION_EXPIRED
        return decision.done, decision.reason + added

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
                    redriven=True,
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
        [unpublished] = self.publisher.publish([result], until=self._deadline())
        if unpublished is not None:
            raise unpublished
        try:
            if (task_token := parsed.task_token) is not None:
                self.tasks.complete(task_token, result, until=self._deadline())
        except AwsCallError as error:
            return f"; its task is still waiting: {error}"
        return ""

    def _deadline(self) -> float:
        return self.clock.monotonic() + CALL_TIMEOUT


def redrive_run(
    session: boto3.Session,
    outputs: StackOutputs,
    *,
    queue: DeadLetterQueue,
    redrive_filter: RedriveFilter,
    dry_run: bool,
    on_handled: Callable[[Handled], None],
    endpoint_url: str | None = None,
) -> RedriveRun:
    """Return a run through a queue of a deployed stack.

    Args:
        endpoint_url: Of an emulator.

    Raises:
        AwsCallError: The messages queue cannot be read.
    """
    queue_url = {
        DeadLetterQueue.DEAD_LETTER: outputs.dead_letter_queue_url,
        DeadLetterQueue.EVENTS: outputs.events_dead_letter_queue_url,
        DeadLetterQueue.REJECTED: outputs.rejected_queue_url,
    }[queue]
    sqs, clock = aws_client(session, "sqs", endpoint_url=endpoint_url), SystemClock()
    queues = Queues(
        sqs=sqs,
        message_queue_url=outputs.message_queue_url,
        dead_letter_queue_url=outputs.dead_letter_queue_url,
        rejected_queue_url=outputs.rejected_queue_url,
        unpublished_results_queue_url=outputs.unpublished_results_queue_url,
    )
    return RedriveRun(
        queue=queue,
        reader=QueueReader(sqs, queue_url, clock=clock),
        queues=queues,
        publisher=Publisher(
            events=aws_client(session, "events", endpoint_url=endpoint_url),
            event_bus_name=outputs.event_bus_name,
            queues=queues,
        ),
        tasks=TaskCallback(step_functions=aws_client(session, "stepfunctions", endpoint_url=endpoint_url)),
        messages_queue_arn=queue_attribute(sqs, outputs.message_queue_url, "QueueArn"),
        redrive_filter=redrive_filter,
        dry_run=dry_run,
        clock=clock,
        on_handled=on_handled,
    )
