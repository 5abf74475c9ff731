"""The queue: chats side by side, each chat in order, and a partial batch response."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import wait
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from message_sender.deadlines import Deadlines
from message_sender.errors import (
    AwsCallError,
    DeadlineExceededError,
    HeldBackError,
    InternalError,
    MessageSenderError,
    ResultNotPublishedError,
    RetryableError,
)
from message_sender.outcome import Failed, Origin, Rejected, Undelivered
from message_sender.queues import origin_of
from message_sender.request import contact_id_of, derive_client_token
from message_sender.retry import TimeBudget, redelivery_delay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from concurrent.futures import Executor

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from message_sender.clock import Clock
    from message_sender.delivery import Delivery, MessageSender
    from message_sender.observability import Telemetry
    from message_sender.outcome import MessageResult, Outcome
    from message_sender.publisher import Publisher
    from message_sender.queues import Queues

_RETRY_SECONDS: Final = 5.0
"""For how long after a chat's first failure to try again in this invocation. Longer waits are the queue's."""


@dataclass(slots=True)
class HandledRecord:
    """What became of one record of a batch.

    Attributes:
        delivery: None if it was not tried.
        outcome: None while there is none.
        error: Why the record comes back, None if it is done.
    """

    record: SQSRecord
    origin: Origin
    delivery: Delivery | None = None
    outcome: Outcome | None = None
    error: MessageSenderError | None = None


class ChatBatchProcessor(BatchProcessor):
    """A batch processor that runs chats side by side.

    Its record handler takes the records of one chat and a list. It handles them in order, appends each to
    the list when it is handled, and stops after the first that is not done.

    Args:
        workers: Where the chats run.
        patience: Seconds that the chats may take. What is not handled by then comes back: no chat can hold up
            the answer for the others.
        finish: Called once, in the main thread, with an item for each record; may still set errors.
    """

    def __init__(
        self,
        *,
        workers: Executor,
        patience: float,
        finish: Callable[[Sequence[HandledRecord]], None],
    ) -> None:
        super().__init__(EventType.SQS, raise_on_entire_batch_failure=False)
        self._workers = workers
        self._patience = patience
        self._finish = finish

    def process(self) -> list[tuple[Any, ...]]:
        """Handle the batch and report each record as done or failed."""
        runs: list[tuple[list[SQSRecord], list[HandledRecord]]] = [
            (chat, []) for chat in _by_chat(map(SQSRecord, self.records))
        ]
        wait([self._workers.submit(self.handler, *run) for run in runs], timeout=max(0.0, self._patience))
        # Copies of the lists: a thread that is late may still add to its own.
        handled = [item for chat, so_far in runs for item in _all_items(chat, list(so_far))]
        self._finish(handled)
        return [
            self.success_handler(item.record, item.delivery)
            if item.error is None
            else self.failure_handler(item.record, (type(item.error), item.error, None))
            for item in handled
        ]


def _all_items(chat: Sequence[SQSRecord], handled: list[HandledRecord]) -> list[HandledRecord]:
    """Return what was handled, and behind it an item for each record that was not."""
    reason: MessageSenderError = DeadlineExceededError("The time of this invocation is used up")
    if handled and handled[-1].error is not None:
        reason = HeldBackError("An earlier message of this chat is not done yet")
    rest = chat[len(handled) :]
    return handled + [HandledRecord(record, _origin(record), error=reason) for record in rest]


class SqsSource:
    """Works off batches of the queue.

    Args:
        random: Returns a number from 0 to 1, for jitter.
        workers: Has a thread for each chat of a batch.
        retry_window: A message that was tried and is older is given up.
    """

    def __init__(  # noqa: PLR0913  # one collaborator for each effect in the table of effects
        self,
        *,
        sender: MessageSender,
        queues: Queues,
        publisher: Publisher,
        telemetry: Telemetry,
        clock: Clock,
        random: Callable[[], float],
        workers: Executor,
        retry_window: timedelta,
    ) -> None:
        self._sender = sender
        self._queues = queues
        self._publisher = publisher
        self._telemetry = telemetry
        self._clock = clock
        self._random = random
        self._workers = workers
        self._retry_window = retry_window

    def handle(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Work off a batch. Return which of its records come back."""
        deadlines = Deadlines.of_invocation(context, self._clock)
        processor = ChatBatchProcessor(
            workers=self._workers,
            patience=deadlines.copy - self._clock.monotonic(),
            finish=partial(self._finish, deadlines=deadlines),
        )
        deliver_chat = self._telemetry.in_this_trace(partial(self._deliver_chat, deadlines=deadlines))
        with processor(event["Records"], deliver_chat):
            processor.process()
        return dict(processor.response())

    def _deliver_chat(
        self, records: Sequence[SQSRecord], handled: list[HandledRecord], *, deadlines: Deadlines
    ) -> None:
        """Send the messages of one chat in order, up to the first that is not done."""
        budget = TimeBudget(deadline=deadlines.send, retry_seconds=_RETRY_SECONDS)
        for record in records:
            if self._clock.monotonic() >= deadlines.send:
                return
            item = HandledRecord(record, _origin(record))
            self._deliver(item, budget, deadlines)
            handled.append(item)
            if item.error is not None:
                return

    def _deliver(self, item: HandledRecord, budget: TimeBudget, deadlines: Deadlines) -> None:
        record = item.record
        client_token = derive_client_token(record.event_source_arn, record.message_id)
        try:
            item.delivery = self._sender.deliver(record.body, client_token=client_token, budget=budget)
            outcome = self._outcome(item.delivery, item.origin)
            if isinstance(outcome, Undelivered):
                item.error = outcome.error
                return
            self._copy(record, item.delivery.result(outcome, item.origin), until=deadlines.copy)
            item.outcome = outcome
        except MessageSenderError as error:
            item.error = error
        except Exception as defect:  # noqa: BLE001  # it fails its own record, not the batch
            item.error = InternalError.caused_by(defect)

    def _outcome(self, delivery: Delivery, origin: Origin) -> Outcome | Undelivered:
        """Give a message up that was tried now and is older than the retry window."""
        outcome = delivery.outcome
        if not isinstance(outcome, Undelivered):
            return outcome
        too_old = self._clock.now() - origin.accepted_at > self._retry_window
        if too_old and delivery.attempts > 0:
            return Failed(outcome.error, outcome.maybe_delivered)
        return outcome

    def _copy(self, record: SQSRecord, result: MessageResult, *, until: float) -> None:
        _, group = _chat_of(record)
        if isinstance(result.outcome, Rejected):
            own_group = record.raw_event["attributes"].get("MessageGroupId")
            self._queues.copy_to_rejected(record.body, result, message_group=own_group, until=until)
        elif isinstance(result.outcome, Failed):
            self._queues.copy_to_dead_letters(
                record.body, result, message_group=group, message_id=record.message_id, until=until
            )

    def _finish(self, handled: Sequence[HandledRecord], *, deadlines: Deadlines) -> None:
        """Publish the outcomes and tell of everything.

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
        self._delay([item for item in handled if item.error is not None], until=deadlines.publish)

    def _delay(self, failed: Sequence[HandledRecord], *, until: float) -> None:
        """Let what comes back of each chat come back together, after the backoff of its first message.

        One value for all of a chat: SQS returns a group only up to its first hidden message. If it fails,
        they come back when their visibility timeout ends.
        """
        chats: dict[tuple[str, str], list[HandledRecord]] = defaultdict(list)
        for item in failed:
            chats[_chat_of(item.record)].append(item)
        calls = []
        for items in chats.values():
            first = items[0]
            retry_after = first.error.retry_after if isinstance(first.error, RetryableError) else None
            seconds = redelivery_delay(
                first.origin.receive_count, random=self._random, retry_after=retry_after or 0.0
            )
            handles = [item.record.receipt_handle for item in items]
            calls.append(self._workers.submit(self._queues.delay, handles, seconds=seconds, until=until))
        done, _ = wait(calls, timeout=max(0.0, until - self._clock.monotonic()))
        for call in done:
            if (error := call.exception()) is not None:
                self._telemetry.delay_failed(error)

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


def _by_chat(records: Iterable[SQSRecord]) -> list[list[SQSRecord]]:
    """Group records by what keeps its order: the message group; without one the contact; else each alone."""
    chats: dict[tuple[str, str], list[SQSRecord]] = defaultdict(list)
    for record in records:
        chats[_chat_of(record)].append(record)
    return list(chats.values())


def _chat_of(record: SQSRecord) -> tuple[str, str]:
    if group := record.raw_event["attributes"].get("MessageGroupId"):
        return "group", group
    if contact := contact_id_of(record.body):
        return "contact", contact
    return "message", record.message_id


def _origin(record: SQSRecord) -> Origin:
    attributes = record.raw_event["attributes"]
    receive_count = int(attributes["ApproximateReceiveCount"])
    handed_over = origin_of(record.raw_event.get("messageAttributes"), receive_count=receive_count)
    return handed_over or Origin(
        event_source="sqs",
        source_id=record.message_id,
        accepted_at=datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC),
        receive_count=receive_count,
    )
