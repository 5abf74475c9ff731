"""The queue: chats side by side, each chat in order, and a partial batch response."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from message_sender.deadlines import Deadlines
from message_sender.errors import (
    AwsCallError,
    DeadlineExceededError,
    InternalError,
    MessageSenderError,
    PredecessorPendingError,
    ResultNotPublishedError,
    RetryableError,
)
from message_sender.queues import origin_of
from message_sender.request import derive_client_token, parse_request
from message_sender.result import Deferred, Failed, Origin, Rejected
from message_sender.retry import READ_TIMEOUT, TimeBudget, redelivery_delay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import timedelta

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from message_sender.clock import Clock
    from message_sender.delivery import Delivery, MessageSender
    from message_sender.observability import Telemetry
    from message_sender.publisher import Publisher
    from message_sender.queues import Queues
    from message_sender.request import ContentLimits, ParsedRequest
    from message_sender.result import MessageResult, Outcome
    from message_sender.task_callback import TaskCallback
    from message_sender.worker_pool import WorkerPool

RETRY_SECONDS: Final = READ_TIMEOUT
"""For how long a chat retries in this invocation, from the start of its first failed attempt.

So a chat that does not answer gets one attempt: a second one would keep the whole batch waiting again. The
queue retries later.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SqsRecord:
    """The ids of a record. `message_group` is None in a standard queue."""

    message_id: str
    receipt_handle: str
    event_source_arn: str
    message_group: str | None


@dataclass(slots=True, kw_only=True)
class HandledRecord:
    """A record of a batch and what became of it.

    Attributes:
        parsed: None if the text met a defect of the parser.
        chat: What keeps its order: the message group; without one the contact; else it stands alone.
        queued_at: When the queue accepted it. Its origin may have been accepted before.
        delivery: None if it was not tried.
        outcome: None while there is none.
        error: Why the record comes back, None if it is done.
    """

    record: SqsRecord
    parsed: ParsedRequest | None
    chat: str
    queued_at: datetime
    origin: Origin
    delivery: Delivery | None = None
    outcome: Outcome | None = None
    error: MessageSenderError | None = None


def process_batch(
    records: Iterable[HandledRecord],
    handle_chat: Callable[[list[HandledRecord], list[HandledRecord]], None],
    *,
    finish: Callable[[Sequence[HandledRecord]], None],
    timeout: float,
    workers: WorkerPool,
) -> dict[str, Any]:
    """Handle the chats of a batch side by side. Return what Lambda calls a partial batch response.

    Args:
        handle_chat: Takes the records of one chat and a list. It handles them in order, appends each to the
            list when it is handled, and stops after the first that is not done.
        finish: Called once, in this thread, with all records, chat by chat; may still set errors.
        timeout: Seconds that the chats may take. What is not handled by then comes back: no chat can hold up
            the answer for the others.
        workers: Runs the chats.
    """
    chats: dict[str, list[HandledRecord]] = defaultdict(list)
    for record in records:
        chats[record.chat].append(record)
    runs: list[tuple[list[HandledRecord], list[HandledRecord]]] = [(chat, []) for chat in chats.values()]
    workers([partial(handle_chat, *run) for run in runs], timeout=timeout)
    # Copies of the lists: a thread that is late may still add to its own.
    handled = [item for chat, so_far in runs for item in _all_items(chat, list(so_far))]
    finish(handled)
    failed = [item.record.message_id for item in handled if item.error is not None]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _all_items(chat: Sequence[HandledRecord], handled: list[HandledRecord]) -> list[HandledRecord]:
    """Return what was handled, and behind it a new item for each record that was not."""
    reason: MessageSenderError = DeadlineExceededError("The time of this invocation is used up")
    if handled and handled[-1].error is not None:
        reason = PredecessorPendingError("An earlier message of this chat is not done yet")
    rest = chat[len(handled) :]
    return handled + [replace(item, delivery=None, outcome=None, error=reason) for item in rest]


class SqsSource:
    """Works off batches of the queue.

    Args:
        random: Returns a number from 0 to 1, for jitter.
        retry_window: A message that was tried and is older is given up.
        workers: Runs chats at the same time, and calls for several chats.
    """

    def __init__(
        self,
        *,
        content_limits: ContentLimits,
        sender: MessageSender,
        queues: Queues,
        publisher: Publisher,
        tasks: TaskCallback,
        telemetry: Telemetry,
        clock: Clock,
        random: Callable[[], float],
        retry_window: timedelta,
        workers: WorkerPool,
    ) -> None:
        self._content_limits = content_limits
        self._sender = sender
        self._queues = queues
        self._publisher = publisher
        self._tasks = tasks
        self._telemetry = telemetry
        self._clock = clock
        self._random = random
        self._retry_window = retry_window
        self._workers = workers

    def handle(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Work off a batch. Return which of its records come back."""
        deadlines = Deadlines.of_invocation(context, self._clock)
        records = [self.read(raw) for raw in event["Records"]]
        return process_batch(
            records,
            self._telemetry.in_this_trace(partial(self._deliver_chat, deadlines=deadlines)),
            finish=partial(self._finish, deadlines=deadlines),
            timeout=deadlines.copy - self._clock.monotonic(),
            workers=self._workers,
        )

    def read(self, raw: dict[str, Any]) -> HandledRecord:
        """Read a record, and parse its request once."""
        attributes = raw["attributes"]
        record = SqsRecord(
            message_id=raw["messageId"],
            receipt_handle=raw["receiptHandle"],
            event_source_arn=raw["eventSourceARN"],
            message_group=attributes.get("MessageGroupId"),
        )
        parsed, error = self._parse(raw["body"], record)
        queued_at = datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC)
        receive_count = int(attributes["ApproximateReceiveCount"])
        kept = origin_of(raw.get("messageAttributes"), queued_at=queued_at, receive_count=receive_count)
        return HandledRecord(
            record=record,
            parsed=parsed,
            chat=record.message_group or (parsed and parsed.correlation.contact_id) or record.message_id,
            queued_at=queued_at,
            origin=kept
            or Origin(
                event_source="sqs",
                source_id=record.message_id,
                accepted_at=queued_at,
                receive_count=receive_count,
            ),
            error=error,
        )

    def _parse(self, body: str, record: SqsRecord) -> tuple[ParsedRequest | None, InternalError | None]:
        client_token = derive_client_token(record.event_source_arn, record.message_id)
        try:
            return parse_request(body, client_token=client_token, content_limits=self._content_limits), None
        except Exception as defect:  # noqa: BLE001  # it fails its own record, not the batch
            return None, InternalError.caused_by(defect)

    def _deliver_chat(
        self, chat: Sequence[HandledRecord], handled: list[HandledRecord], *, deadlines: Deadlines
    ) -> None:
        """Send the messages of one chat in order, up to the first that is not done."""
        budget = TimeBudget(deadline=deadlines.send, retry_seconds=RETRY_SECONDS)
        for item in chat:
            if self._clock.monotonic() >= deadlines.send:
                return
            self._deliver(item, budget, deadlines)
            handled.append(item)
            if item.error is not None:
                return

    def _deliver(self, item: HandledRecord, budget: TimeBudget, deadlines: Deadlines) -> None:
        if item.parsed is None:
            return
        try:
            item.delivery = self._sender.deliver(item.parsed, budget=budget)
            outcome = self._outcome(item, item.delivery)
            if isinstance(outcome, Deferred):
                item.error = outcome.error
                return
            self._copy(item, item.delivery, outcome, until=deadlines.copy)
            item.outcome = outcome
        except MessageSenderError as error:
            item.error = error
        except Exception as defect:  # noqa: BLE001  # it fails its own record, not the batch
            item.error = InternalError.caused_by(defect)

    def _outcome(self, item: HandledRecord, delivery: Delivery) -> Outcome | Deferred:
        """Give a message up that was tried now and has been in the queue longer than the retry window."""
        outcome = delivery.outcome
        if not isinstance(outcome, Deferred):
            return outcome
        too_old = self._clock.now() - item.queued_at > self._retry_window
        if too_old and delivery.attempts > 0:
            return Failed(outcome.error, outcome.maybe_delivered)
        return outcome

    def _copy(self, item: HandledRecord, delivery: Delivery, outcome: Outcome, *, until: float) -> None:
        record, result = item.record, delivery.result(outcome, item.origin)
        if isinstance(outcome, Rejected):
            self._queues.copy_to_rejected(
                delivery.parsed, result, message_group=record.message_group, until=until
            )
        elif isinstance(outcome, Failed):
            # A FIFO queue needs a group, also for the message of a standard queue.
            self._queues.copy_to_dead_letters(
                delivery.parsed, result, message_group=item.chat, message_id=record.message_id, until=until
            )

    def _finish(self, handled: Sequence[HandledRecord], *, deadlines: Deadlines) -> None:
        """Publish the outcomes, tell of everything, and answer the tasks of what is done.

        A record whose result is safe nowhere comes back, and is sent again under the same ClientToken.
        """
        ended = [
            (item, item.delivery, item.delivery.result(item.outcome, item.origin))
            for item in handled
            if item.delivery is not None and item.outcome is not None
        ]
        try:
            safe = self._publisher.publish([result for _, _, result in ended], until=deadlines.publish)
            for (item, delivery, result), is_safe in zip(ended, safe, strict=True):
                self._telemetry.ended(result, delivery)
                if not is_safe:
                    item.error = ResultNotPublishedError("The result is neither on the bus nor in the queue")
            for item in handled:
                self._tell_of_error(item)
        except Exception as defect:  # noqa: BLE001  # the answer must still name the records that failed
            self._telemetry.unhandled(defect)
            for item, _, _ in ended:
                item.error = item.error or InternalError.caused_by(defect)
        self._answer_tasks([(item, result) for item, _, result in ended], until=deadlines.answer_tasks)
        self._delay(handled, until=deadlines.answer_tasks)

    def _answer_tasks(self, ended: Sequence[tuple[HandledRecord, MessageResult]], *, until: float) -> None:
        """Answer the tasks that wait for a message, side by side, unless its record comes back.

        A task that cannot be answered brings no record back: its message has been sent, and published.
        """
        waiting = [
            (result, partial(self._tasks.answer, item.delivery.task_token, result, until=until))
            for item, result in ended
            if item.error is None and item.delivery is not None and item.delivery.task_token is not None
        ]
        if not waiting:
            return
        answers = [answer for _, answer in waiting]
        errors = self._workers(answers, timeout=until - self._clock.monotonic())
        for (result, _), error in zip(waiting, errors, strict=True):
            if error is not None:
                self._telemetry.task_not_answered(result.origin, error)

    def _delay(self, handled: Sequence[HandledRecord], *, until: float) -> None:
        """Let what comes back of each chat come back together, after the backoff of its first message.

        One value for all of a chat: SQS returns a group only up to its first hidden message. If it fails,
        they come back when their visibility timeout ends.
        """
        chats: dict[str, list[HandledRecord]] = defaultdict(list)
        for item in handled:
            chats[item.chat].append(item)
        calls = [
            partial(
                self._queues.delay,
                [item.record.receipt_handle for item in failed],
                seconds=self._delay_of(failed[0], is_head=failed[0] is items[0]),
                until=until,
            )
            for items in chats.values()
            if (failed := [item for item in items if item.error is not None])
        ]
        if not calls:
            return
        for error in self._workers(calls, timeout=until - self._clock.monotonic()):
            if error is not None:
                self._telemetry.delay_failed(error)

    def _delay_of(self, item: HandledRecord, *, is_head: bool) -> int:
        """Return the backoff in seconds. Receives in which a message was not tried do not count."""
        was_tried = item.delivery is not None and item.delivery.attempts > 0
        tries = item.origin.receive_count if was_tried and is_head else 1
        retry_after = item.error.retry_after if isinstance(item.error, RetryableError) else None
        return redelivery_delay(tries, random=self._random, retry_after=retry_after or 0.0)

    def _tell_of_error(self, item: HandledRecord) -> None:
        match item.error:
            case RetryableError() as error:
                self._telemetry.not_delivered_yet(item.origin, item.delivery, error)
            case AwsCallError() as error:
                self._telemetry.copy_failed(item.origin, item.delivery, error)
            case ResultNotPublishedError():
                self._telemetry.publish_failed(item.origin)
            case InternalError() as error:
                self._telemetry.unhandled(error, origin=item.origin)
