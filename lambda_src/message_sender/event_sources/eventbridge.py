"""EventBridge: the request is the event's detail. The invocation is asynchronous, so no caller waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from message_sender.deadlines import Deadlines
from message_sender.delivery import Delivery
from message_sender.errors import AwsCallError, DeadlineExceededError
from message_sender.request import SendMessageRequest, derive_client_token, json_text, parse_request
from message_sender.result import Deferred, Origin, Rejected
from message_sender.retry import TimeBudget

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from message_sender.clock import Clock
    from message_sender.delivery import MessageSender
    from message_sender.observability import Telemetry
    from message_sender.publisher import Publisher
    from message_sender.queues import Queues
    from message_sender.request import ContentLimits, ParsedRequest
    from message_sender.task_callback import TaskCallback

REQUEST_DETAIL_TYPE: Final = "SendMessage Requested"

MAX_RATE_LIMIT_WAIT: Final = 0.5
"""Seconds that an event may wait for the rate limiter. For a longer wait it goes to the queue."""

_FIRST_ATTEMPT: Final = timedelta(seconds=10)
"""An older event may have had an attempt before. Lambda repeats a failed asynchronous invocation after a
minute at the earliest (Lambda developer guide, "How Lambda handles errors and retries with asynchronous
invocation"). This is far less, since the producer may set the time of an event."""


def origin_of_event(event: Mapping[str, Any], *, now: datetime) -> Origin:
    """Return the origin of an event's message.

    Lambda does not report the number of the attempt. Only the age of the event can rule out an earlier one,
    and an event from the future has no age.

    Args:
        now: When the function received the event. Its producer may have dated it later.
    """
    time = datetime.fromisoformat(event["time"]).astimezone(UTC)
    return Origin(
        event_source="eventbridge",
        source_id=event["id"],
        accepted_at=min(time, now),
        maybe_delivered=time > now or now - time >= _FIRST_ATTEMPT,
    )


def client_token_of_event(event: Mapping[str, Any]) -> str:
    """Return the ClientToken of an event's message for a request without one."""
    return derive_client_token("eventbridge", event["id"])


def deduplication_id_of_event(origin: Origin, parsed: ParsedRequest) -> str:
    """Return the deduplication id of an event's message in the messages queue.

    The event's id alone is not enough. A producer that may invoke the function can use the id of another
    event, and SQS would drop that event's message as a repeat.
    """
    identity = f"{origin.source_id} {parsed.correlation.client_token} {parsed.text}"
    return sha256(identity.encode()).hexdigest()


class EventBridgeSource:
    """Processes events, one at a time, in no order."""

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
    ) -> None:
        self._content_limits = content_limits
        self._sender = sender
        self._queues = queues
        self._publisher = publisher
        self._tasks = tasks
        self._telemetry = telemetry
        self._clock = clock

    def handle(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Send the message of an event.

        A message that may be sent later goes to the messages queue, so that one retry mechanism serves both
        sources. A task that waits for it is completed from there.

        Raises:
            RetryableError: The message may be sent later, and is not in the queue. Lambda repeats the
                invocation with the same event id.
            AwsCallError: The copy of a rejected message was not made. Lambda repeats the invocation.
            ResultNotPublishedError: The result is neither published nor kept. Lambda repeats the invocation.
        """
        deadlines = Deadlines.of_invocation(context, self._clock)
        origin = origin_of_event(event, now=self._clock.now())
        parsed = parse_request(
            json_text(event["detail"]),
            client_token=client_token_of_event(event),
            content_limits=self._content_limits,
        )
        delivery = self._deliver(parsed, origin, deadlines)
        outcome = delivery.outcome
        if isinstance(outcome, Deferred):
            self._enqueue_for_retry(outcome, delivery, origin, until=deadlines.publish)
            return {}
        result = delivery.result(outcome, origin)
        if isinstance(outcome, Rejected):
            try:
                self._queues.copy_to_rejected(parsed, result, message_group=None, until=deadlines.copy)
            except AwsCallError as error:
                self._telemetry.on_copy_failed(origin, delivery, error)
                raise
        self._telemetry.on_outcome(result, delivery)
        [unpublished] = self._publisher.publish([result], until=deadlines.publish)
        if unpublished is not None:
            self._telemetry.on_publish_failed(origin, unpublished)
            raise unpublished
        if parsed.task_token is not None:
            try:
                self._tasks.complete(parsed.task_token, result, until=deadlines.complete_tasks)
            except AwsCallError as error:
                self._telemetry.on_task_not_completed(origin, error)
        return {}

    def _deliver(self, parsed: ParsedRequest, origin: Origin, deadlines: Deadlines) -> Delivery:
        """Send the message, unless it has several parts: only a message group keeps these together."""
        if _has_parts(parsed):
            outcome = Deferred(DeadlineExceededError("The parts of a long text are sent from the queue"))
            return Delivery(parsed=parsed, outcome=outcome, completed_at=self._clock.now())
        budget = TimeBudget(deadline=deadlines.send, max_wait=MAX_RATE_LIMIT_WAIT)
        return self._sender.deliver(parsed, budget=budget, age_from=origin.accepted_at)

    def _enqueue_for_retry(
        self, outcome: Deferred, delivery: Delivery, origin: Origin, *, until: float
    ) -> None:
        try:
            self._queues.enqueue_for_retry(
                delivery.parsed,
                origin=replace(origin, maybe_delivered=origin.maybe_delivered or outcome.maybe_delivered),
                message_group=delivery.parsed.message_group or origin.source_id,
                deduplication_id=deduplication_id_of_event(origin, delivery.parsed),
                until=until,
            )
        except AwsCallError:
            self._telemetry.on_deferred(origin, delivery, outcome.error)
            raise outcome.error from None
        self._telemetry.on_enqueued(origin, delivery, None if _has_parts(delivery.parsed) else outcome.error)


def _has_parts(parsed: ParsedRequest) -> bool:
    return isinstance(parsed.request, SendMessageRequest) and len(parsed.request.parts) > 1
