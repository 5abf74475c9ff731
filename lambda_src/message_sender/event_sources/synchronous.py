"""The shared part of direct invocations and the synchronous API: a caller waits for the outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

from message_sender.deadlines import Deadlines
from message_sender.request import parse_request
from message_sender.result import Deferred
from message_sender.retry import TimeBudget

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from message_sender.clock import Clock
    from message_sender.delivery import Delivery, MessageSender
    from message_sender.observability import Telemetry
    from message_sender.publisher import Publisher
    from message_sender.request import ContentLimits
    from message_sender.result import Origin


class SynchronousDelivery:
    """Sends a message while its caller waits, and publishes the result."""

    def __init__(
        self,
        *,
        content_limits: ContentLimits,
        sender: MessageSender,
        publisher: Publisher,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self._content_limits = content_limits
        self._sender = sender
        self._publisher = publisher
        self._telemetry = telemetry
        self._clock = clock

    def deliver(self, text: str, origin: Origin, context: LambdaContext) -> Delivery:
        """Send the message of a request. The caller gets an answer even if publishing fails.

        The request must have a ClientToken, since the caller retries by itself. It must not have a TaskToken,
        since the answer is the outcome.
        """
        deadlines = Deadlines.of_invocation(context, self._clock, synchronous=True)
        parsed = parse_request(
            text, client_token=None, content_limits=self._content_limits, task_token_allowed=False
        )
        delivery = self._sender.deliver(parsed, budget=TimeBudget(deadline=deadlines.send))
        outcome = delivery.outcome
        if isinstance(outcome, Deferred):
            self._telemetry.on_deferred(origin, delivery, outcome.error)
            return delivery
        result = delivery.result(outcome, origin)
        self._telemetry.on_outcome(result, delivery)
        [error] = self._publisher.publish([result], until=deadlines.publish)
        if error is not None:
            self._telemetry.on_publish_failed(origin, error)
        return delivery
