"""EventBridge: the request is the event's detail. Lambda invokes asynchronously, so nobody has the answer."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from message_sender.deadlines import Deadlines
from message_sender.errors import AwsCallError, ResultNotPublishedError
from message_sender.outcome import Origin, Rejected, Undelivered
from message_sender.request import derive_client_token
from message_sender.retry import TimeBudget

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from message_sender.clock import Clock
    from message_sender.delivery import Delivery, MessageSender
    from message_sender.observability import Telemetry
    from message_sender.publisher import Publisher
    from message_sender.queues import Queues

REQUEST_DETAIL_TYPE: Final = "SendMessage Requested"


class EventBridgeSource:
    """Works off events, one at a time. They have no order."""

    def __init__(
        self,
        *,
        sender: MessageSender,
        queues: Queues,
        publisher: Publisher,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self._sender = sender
        self._queues = queues
        self._publisher = publisher
        self._telemetry = telemetry
        self._clock = clock

    def handle(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Send the message of an event.

        Raises:
            RetryableError: The message may be sent later. Lambda invokes again, with the same event id.
            AwsCallError: The copy of a rejected message was not made. The same.
            ResultNotPublishedError: The result is safe nowhere. The same.
        """
        deadlines = Deadlines.of_invocation(context, self._clock)
        origin = Origin(
            event_source="eventbridge",
            source_id=event["id"],
            accepted_at=datetime.fromisoformat(event["time"]),
        )
        body = json.dumps(event["detail"])
        client_token = derive_client_token("eventbridge", event["id"])
        delivery = self._sender.deliver(
            body, client_token=client_token, budget=TimeBudget(deadline=deadlines.send)
        )
        outcome = delivery.outcome
        if isinstance(outcome, Undelivered):
            self._telemetry.not_delivered_yet(origin, delivery, outcome.error)
            raise outcome.error
        if isinstance(outcome, Rejected):
            self._copy(body, outcome, delivery, origin, until=deadlines.copy)
        result = delivery.result(outcome, origin)
        self._telemetry.ended(result, delivery)
        if not all(self._publisher.publish([result], until=deadlines.publish)):
            self._telemetry.publish_failed(origin)
            raise ResultNotPublishedError("The result is neither on the bus nor in the queue")
        return {}

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
