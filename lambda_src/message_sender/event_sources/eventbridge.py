"""EventBridge: the request is the event's detail. Lambda invokes asynchronously, so nobody has the answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from message_sender.deadlines import Deadlines
from message_sender.errors import AwsCallError, ResultNotPublishedError
from message_sender.request import derive_client_token, json_text, parse_request
from message_sender.result import Deferred, Origin, Rejected
from message_sender.retry import TimeBudget

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from message_sender.clock import Clock
    from message_sender.delivery import Delivery, MessageSender
    from message_sender.observability import Telemetry
    from message_sender.publisher import Publisher
    from message_sender.queues import Queues
    from message_sender.request import ContentLimits, ParsedRequest, Secret
    from message_sender.result import MessageResult
    from message_sender.task_callback import TaskCallback

REQUEST_DETAIL_TYPE: Final = "SendMessage Requested"

MAX_RATE_LIMIT_WAIT: Final = 0.5
"""For how long the quota may hold up an event. Longer waits are the queue's."""

_FIRST_ATTEMPT: Final = timedelta(seconds=10)
"""An older event may have had an attempt before. Lambda repeats a failed asynchronous invocation after a
minute at the earliest (Lambda developer guide, "How Lambda handles errors and retries with asynchronous
invocation"). This is far less, since the producer may set the time of an event."""


def origin_of_event(event: Mapping[str, Any], *, now: datetime) -> Origin:
    """Return where the message of an event came from.

    Lambda does not say which attempt an invocation is, so an earlier one is ruled out only by the age of the
    event. An event from the future has no age that could rule it out.

    Args:
        now: When the function sees the event, which its producer may have dated later.
    """
    time = datetime.fromisoformat(event["time"]).astimezone(UTC)
    return Origin(
        event_source="eventbridge",
        source_id=event["id"],
        accepted_at=min(time, now),
        maybe_delivered=not timedelta(0) <= now - time < _FIRST_ATTEMPT,
    )


def client_token_of_event(event: Mapping[str, Any]) -> str:
    """Return the ClientToken of an event's message, should its request name none."""
    return derive_client_token("eventbridge", event["id"])


def deduplication_id_of_event(origin: Origin, parsed: ParsedRequest) -> str:
    """Return the de-duplication id of an event's message in the messages queue.

    Not the event's id alone: a producer that may invoke the function can use the id of another event, and SQS
    would drop that one as a repeat.
    """
    identity = f"{origin.source_id} {parsed.correlation.client_token} {parsed.text}"
    return sha256(identity.encode()).hexdigest()


class EventBridgeSource:
    """Works off events, one at a time. They have no order."""

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

        One that may be sent later is handed over to the queue, so that one retry mechanism serves both. A
        task that waits for it is answered from there, when the outcome is final.

        Raises:
            RetryableError: The message may be sent later, and is not in the queue. Lambda invokes again, with
                the same event id.
            AwsCallError: The copy of a rejected message was not made. The same.
            ResultNotPublishedError: The result is safe nowhere. The same.
        """
        deadlines = Deadlines.of_invocation(context, self._clock)
        origin = origin_of_event(event, now=self._clock.now())
        parsed = parse_request(
            json_text(event["detail"]),
            client_token=client_token_of_event(event),
            content_limits=self._content_limits,
        )
        delivery = self._sender.deliver(
            parsed, budget=TimeBudget(deadline=deadlines.send, rate_limit_wait=MAX_RATE_LIMIT_WAIT)
        )
        outcome = delivery.outcome
        if isinstance(outcome, Deferred):
            self._enqueue_for_retry(outcome, delivery, origin, until=deadlines.publish)
            return {}
        if isinstance(outcome, Rejected):
            self._copy(outcome, delivery, origin, until=deadlines.copy)
        result = delivery.result(outcome, origin)
        self._telemetry.ended(result, delivery)
        if not all(self._publisher.publish([result], until=deadlines.publish)):
            self._telemetry.publish_failed(origin)
            raise ResultNotPublishedError("The result is neither on the bus nor in the queue")
        if delivery.task_token is not None:
            self._answer_task(delivery.task_token, result, until=deadlines.answer_tasks)
        return {}

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
            self._telemetry.not_delivered_yet(origin, delivery, outcome.error)
            raise outcome.error from None
        self._telemetry.handed_over(origin, delivery, outcome.error)

    def _copy(self, outcome: Rejected, delivery: Delivery, origin: Origin, *, until: float) -> None:
        try:
            self._queues.copy_to_rejected(
                delivery.parsed, delivery.result(outcome, origin), message_group=None, until=until
            )
        except AwsCallError as error:
            self._telemetry.copy_failed(origin, delivery, error)
            raise

    def _answer_task(self, task_token: Secret, result: MessageResult, *, until: float) -> None:
        try:
            self._tasks.answer(task_token, result, until=until)
        except AwsCallError as error:
            self._telemetry.task_not_answered(result.origin, error)
