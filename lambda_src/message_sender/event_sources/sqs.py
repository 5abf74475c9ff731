"""The messages queue: concurrent chats, each in order, and a partial batch response."""

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
    ThrottledError,
)
from message_sender.queues import is_redriven, read_origin, string_attributes
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
"""The time for a chat's retries in one invocation, from the start of its first failed attempt.

A chat that does not respond gets one attempt. A second one would delay the whole batch again, so the queue
retries later.
"""

_FEWEST_RECEIVES: Final = 3
"""Before a message fails because it is throttled."""


@dataclass(slots=True, kw_only=True)
class Record:
    """A record of a batch, and the state of its message.

    Attributes:
        message_group: None in a standard queue.
        parsed: None if the parser failed on the text.
        chat: The key of the chat whose order is kept: the message group, else the contact id, else the
            message id.
        queued_at: When the queue accepted the message. An event was accepted before that.
        age_from: The start of its age: for an event that was enqueued, its acceptance.
        delivery: None if there was no attempt.
        outcome: None without an outcome.
        error: The reason why the record is reported as a batch item failure, None if it is finished.
    """

    message_id: str
    receipt_handle: str
    message_group: str | None
    parsed: ParsedRequest | None
    chat: str
    queued_at: datetime
    age_from: datetime
    origin: Origin
    delivery: Delivery | None = None
    outcome: Outcome | None = None
    error: MessageSenderError | None = None


def process_batch(
    records: Iterable[Record],
    handle_chat: Callable[[list[Record], list[Record]], None],
    *,
    finish: Callable[[Sequence[Record]], None],
    timeout: float,
    workers: WorkerPool,
) -> dict[str, Any]:
    """Handle the chats of a batch concurrently. Return a partial batch response.

    Args:
        handle_chat: Takes the records of one chat and a list. Handles them in order, appends each to the list
            when it is handled, and stops after the first that is not finished.
        finish: Called once, in this thread, with all records, chat by chat. May still set errors.
        timeout: Seconds for the chats. Records that are not handled by then are batch item failures, so no
            chat can delay the response for the others.
    """
    chats: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        chats[record.chat].append(record)
    runs: list[tuple[list[Record], list[Record]]] = [(chat, []) for chat in chats.values()]
    workers([partial(handle_chat, *run) for run in runs], timeout=timeout)
    # Copies of the lists: an overdue thread may still append to its list
    handled = [record for chat, so_far in runs for record in _all_records(chat, list(so_far))]
    finish(handled)
    failed = [record.message_id for record in handled if record.error is not None]
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _all_records(chat: Sequence[Record], handled: list[Record]) -> list[Record]:
    """Return the handled records, and a new one with an error for each of the others."""
    reason: MessageSenderError = DeadlineExceededError("The time of this invocation is used up")
    if handled and handled[-1].error is not None:
        reason = PredecessorPendingError("An earlier message of this chat is not finished")
    rest = chat[len(handled) :]
    return handled + [replace(record, delivery=None, outcome=None, error=reason) for record in rest]


class SqsSource:
    """Processes batches of the messages queue.

    Args:
        random: Returns a number from 0 to 1, for jitter.
        retry_window: An older message fails at its next unsuccessful attempt, unless messages before it in
            its chat took its time.
        workers: Runs chats concurrently, and calls for several chats.
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
        """Process a batch. The response names the records that SQS must deliver again."""
        deadlines = Deadlines.of_invocation(context, self._clock)
        return process_batch(
            [self.read(raw) for raw in event["Records"]],
            self._telemetry.in_this_trace(partial(self._deliver_chat, deadlines=deadlines)),
            finish=partial(self._finish, deadlines=deadlines),
            timeout=deadlines.copy - self._clock.monotonic(),
            workers=self._workers,
        )

    def read(self, raw: dict[str, Any]) -> Record:
        """Read a record, and parse its request once."""
        attributes, message_id = raw["attributes"], raw["messageId"]
        parsed, error = self._parse(raw["body"], derive_client_token(raw["eventSourceARN"], message_id))
        message_group = attributes.get("MessageGroupId")
        queued_at = datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC)
        receive_count = int(attributes["ApproximateReceiveCount"])
        enqueued = string_attributes(raw.get("messageAttributes"))
        origin = read_origin(enqueued, queued_at=queued_at, receive_count=receive_count) or Origin(
            event_source="sqs", source_id=message_id, accepted_at=queued_at, receive_count=receive_count
        )
        if origin.event_source == "eventbridge":
            # EventBridge can deliver an event twice, even at once. The other one may have had an attempt,
            # and SQS drops its message as a repeat of this one.
            origin = replace(origin, maybe_delivered=True)
        return Record(
            message_id=message_id,
            receipt_handle=raw["receiptHandle"],
            message_group=message_group,
            parsed=parsed,
            chat=message_group or (parsed and parsed.correlation.contact_id) or message_id,
            queued_at=queued_at,
            age_from=queued_at if is_redriven(enqueued) else origin.accepted_at,
            origin=origin,
            error=error,
        )

    def _parse(self, body: str, client_token: str) -> tuple[ParsedRequest | None, InternalError | None]:
        try:
            return parse_request(body, client_token=client_token, content_limits=self._content_limits), None
        except Exception as defect:  # noqa: BLE001  # it fails its own record, not the batch
            return None, InternalError.caused_by(defect)

    def _deliver_chat(self, chat: Sequence[Record], handled: list[Record], *, deadlines: Deadlines) -> None:
        """Send the messages of one chat in order, up to the first that is not finished."""
        start = self._clock.monotonic()
        budget = TimeBudget(deadline=deadlines.send, retry_seconds=RETRY_SECONDS, start=start)
        for record in chat:
            if self._clock.monotonic() >= deadlines.send:
                return
            if record.parsed is not None:
                self._deliver(record, record.parsed, budget, deadlines, is_head=record is chat[0])
            handled.append(record)
            if record.error is not None:
                return

    def _deliver(
        self,
        record: Record,
        parsed: ParsedRequest,
        budget: TimeBudget,
        deadlines: Deadlines,
        *,
        is_head: bool,
    ) -> None:
        try:
            record.delivery = self._sender.deliver(parsed, budget=budget, age_from=record.age_from)
            outcome = self._outcome(record, record.delivery, is_head=is_head)
            if isinstance(outcome, Deferred):
                record.error = outcome.error
                return
            self._copy(record, record.delivery, outcome, until=deadlines.copy)
            record.outcome = outcome
        except MessageSenderError as error:
            record.error = error
        except Exception as defect:  # noqa: BLE001  # it fails its own record, not the batch
            record.error = InternalError.caused_by(defect)

    def _outcome(self, record: Record, delivery: Delivery, *, is_head: bool) -> Outcome | Deferred:
        """Return the outcome. A deferred message that had an attempt fails after the retry window.

        A message that others of its chat left too little time does not fail: it has all of the next
        invocation. Nor does one that is throttled at its first receives: after a pause of the queue, all
        messages are old, and nothing is known of the quota.
        """
        outcome = delivery.outcome
        if not isinstance(outcome, Deferred):
            return outcome
        too_old = self._clock.now() - record.queued_at > self._retry_window
        had_its_time = is_head or not delivery.ran_out_of_time
        is_throttled = isinstance(outcome.error, ThrottledError)
        had_its_receives = not is_throttled or record.origin.receive_count >= _FEWEST_RECEIVES
        if too_old and delivery.was_attempted and had_its_time and had_its_receives:
            return Failed(outcome.error, outcome.maybe_delivered, outcome.parts_delivered)
        return outcome

    def _copy(self, record: Record, delivery: Delivery, outcome: Outcome, *, until: float) -> None:
        parsed, result = delivery.parsed, delivery.result(outcome, record.origin)
        if isinstance(outcome, Rejected):
            self._queues.copy_to_rejected(parsed, result, message_group=record.message_group, until=until)
        elif isinstance(outcome, Failed):
            # A FIFO queue needs a group, also for the message of a standard queue
            self._queues.copy_to_dead_letters(
                parsed, result, message_group=record.chat, message_id=record.message_id, until=until
            )

    def _finish(self, handled: Sequence[Record], *, deadlines: Deadlines) -> None:
        """Publish results, log and count every record, complete waiting tasks.

        A record without a published or kept result is a batch item failure. Its message is sent again under
        the same ClientToken.
        """
        ended = [
            (record, record.delivery, record.delivery.result(record.outcome, record.origin))
            for record in handled
            if record.delivery is not None and record.outcome is not None
        ]
        try:
            errors = self._publisher.publish([result for _, _, result in ended], until=deadlines.publish)
            for (record, delivery, result), error in zip(ended, errors, strict=True):
                self._telemetry.on_outcome(result, delivery)
                record.error = error or record.error
            for record in handled:
                self._report_error(record)
        except Exception as defect:  # noqa: BLE001  # the response must still name the records that failed
            self._telemetry.on_defect(defect)
            for record, _, _ in ended:
                record.error = record.error or InternalError.caused_by(defect)
        self._complete_tasks(
            [(record, delivery, result) for record, delivery, result in ended if record.error is None],
            until=deadlines.complete_tasks,
        )
        # Last: until here, more records can fail, and a finished record must keep its visibility timeout
        self._delay_redelivery(handled, until=deadlines.complete_tasks)

    def _complete_tasks(
        self, ended: Sequence[tuple[Record, Delivery, MessageResult]], *, until: float
    ) -> None:
        """Complete the tasks that wait for finished messages, concurrently.

        A task that cannot be completed does not fail its record: the message is sent and published.
        """
        waiting = [
            (record.origin, partial(self._tasks.complete, delivery.task_token, result, until=until))
            for record, delivery, result in ended
            if delivery.task_token is not None
        ]
        if not waiting:
            return
        calls = [call for _, call in waiting]
        errors = self._workers(calls, timeout=until - self._clock.monotonic())
        for (origin, _), error in zip(waiting, errors, strict=True):
            if error is not None:
                self._telemetry.on_task_not_completed(origin, error)

    def _delay_redelivery(self, handled: Sequence[Record], *, until: float) -> None:
        """Give all failed records of a chat one visibility timeout: the backoff of the first.

        SQS returns a group only up to its first hidden message. If this fails, SQS redelivers them when the
        visibility timeout of the queue ends.
        """
        chats: dict[str, list[Record]] = defaultdict(list)
        for record in handled:
            chats[record.chat].append(record)
        calls = [
            partial(
                self._queues.delay_redelivery,
                [record.receipt_handle for record in failed],
                seconds=self._backoff(failed[0], is_head=failed[0] is records[0]),
                until=until,
            )
            for records in chats.values()
            if (failed := [record for record in records if record.error is not None])
        ]
        if not calls:
            return
        for error in self._workers(calls, timeout=until - self._clock.monotonic()):
            if error is not None:
                self._telemetry.on_visibility_not_changed(error)

    def _backoff(self, record: Record, *, is_head: bool) -> int:
        """Return the backoff in seconds. A receive without a slot for an attempt does not lengthen it."""
        got_no_slot = (
            record.delivery is not None  # else an attempt did not end in time
            and not record.delivery.was_attempted
            and isinstance(record.error, DeadlineExceededError)
        )
        receive_count = record.origin.receive_count if is_head and not got_no_slot else 1
        retry_after = record.error.retry_after if isinstance(record.error, RetryableError) else None
        return redelivery_delay(receive_count, random=self._random, retry_after=retry_after or 0.0)

    def _report_error(self, record: Record) -> None:
        match record.error:
            case RetryableError() as error:
                self._telemetry.on_deferred(record.origin, record.delivery, error)
            case AwsCallError() as error:
                self._telemetry.on_copy_failed(record.origin, record.delivery, error)
            case ResultNotPublishedError() as error:
                self._telemetry.on_publish_failed(record.origin, error)
            case InternalError() as error:
                self._telemetry.on_defect(error, origin=record.origin)
