"""EventBridge: the request is the event's detail. Lambda invokes asynchronously, so nobody has the answer."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from message_sender.deadlines import Deadlines
from message_sender.errors import AwsCallError, ResultNotPublishedError
from message_sender.outcome import Origin, Rejected, Undelivered
from message_sender.queues import message_group_of
from message_sender.request import derive_client_token
from message_sender.retry import TimeBudget

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from message_sender.clock import Clock
    from message_sender.delivery import Delivery, MessageSender
    from message_sender.observability import Telemetry
    from message_sender.outcome import MessageResult
    from message_sender.publisher import Publisher
    from message_sender.queues import Queues
    from message_sender.request import Secret
    from message_sender.task_callback import TaskCallback

REQUEST_DETAIL_TYPE: Final = "SendMessage Requested"

PACING_SECONDS: Final = 0.5
"""For how long the quota may hold up an event. Longer waits are the queue's."""

_FIRST_RETRY: Final = timedelta(minutes=1)
"""When Lambda repeats an asynchronous invocation that failed. Source: Lambda developer guide."""


def origin_of_event(event: Mapping[str, Any]) -> Origin:
    """Return where the message of an event came from."""
    return Origin(
        event_source="eventbridge",
        source_id=event["id"],
        accepted_at=datetime.fromisoformat(event["time"]),
    )


def client_token_of_event(event: Mapping[str, Any]) -> str:
    """Return the ClientToken of an event's message, should its request name none."""
    return derive_client_token("eventbridge", event["id"])


class EventBridgeSource:
    """Works off events, one at a time. They have no order."""

    def __init__(  # noqa: PLR0913  # one collaborator for each effect in the table of effects
        self,
        *,
        sender: MessageSender,
        queues: Queues,
        publisher: Publisher,
        tasks: TaskCallback,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
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
        origin = origin_of_event(event)
        # Lambda does not tell which of its tries this is, nor what became of one that was cut off
        is_repeat = self._clock.now() - origin.accepted_at >= _FIRST_RETRY
        origin = replace(origin, maybe_delivered=is_repeat)
        body = json.dumps(event["detail"])
        client_token = client_token_of_event(event)
        delivery = self._sender.deliver(
            body,
            client_token=client_token,
            budget=TimeBudget(deadline=deadlines.send, pacing_seconds=PACING_SECONDS),
        )
        outcome = delivery.outcome
        if isinstance(outcome, Undelivered):
            self._hand_over(event["detail"], outcome, delivery, origin, until=deadlines.publish)
            return {}
        if isinstance(outcome, Rejected):
            self._copy(body, outcome, delivery, origin, until=deadlines.copy)
        result = delivery.result(outcome, origin)
        self._telemetry.ended(result, delivery)
        if not all(self._publisher.publish([result], until=deadlines.publish)):
            self._telemetry.publish_failed(origin)
            raise ResultNotPublishedError("The result is neither on the bus nor in the queue")
        if delivery.task_token is not None:
            self._answer_task(delivery.task_token, result, until=deadlines.answer_tasks)
        return {}

    def _hand_over(
        self,
        detail: dict[str, Any],
        outcome: Undelivered,
        delivery: Delivery,
        origin: Origin,
        *,
        until: float,
    ) -> None:
        # Valid, or it would be rejected: there is a ClientToken, and the connection token is a string.
        group = message_group_of(delivery.correlation.contact_id, detail["ConnectionToken"])
        try:
            self._queues.hand_over(
                json.dumps(detail),
                client_token=str(delivery.correlation.client_token),
                origin=replace(origin, maybe_delivered=origin.maybe_delivered or outcome.maybe_delivered),
                message_group=group,
                deduplication_id=origin.source_id,
                until=until,
            )
        except AwsCallError:
            self._telemetry.not_delivered_yet(origin, delivery, outcome.error)
            raise outcome.error from None
        self._telemetry.handed_over(origin, delivery, outcome.error)

    def _copy(
        self, body: str, outcome: Rejected, delivery: Delivery, origin: Origin, *, until: float
    ) -> None:
        try:
            self._queues.copy_to_rejected(
                body, delivery.result(outcome, origin), message_group=None, until=until
            )
        except AwsCallError as error:
            self._telemetry.copy_failed(origin, delivery, error)
            raise

    def _answer_task(self, task_token: Secret, result: MessageResult, *, until: float) -> None:
        try:
            self._tasks.answer(task_token, result, until=until)
        except AwsCallError as error:
            self._telemetry.task_not_answered(result.origin, error)
