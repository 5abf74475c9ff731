"""Direct invocation, as by Step Functions: the event is the request, the response is the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from message_sender.request import json_text
from message_sender.result import Origin, Sent

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from message_sender.clock import Clock
    from message_sender.event_sources.synchronous import SynchronousDelivery


class DirectSource:
    """Answers direct invocations."""

    def __init__(self, *, synchronous: SynchronousDelivery, clock: Clock) -> None:
        self._synchronous = synchronous
        self._clock = clock

    def handle(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Send the message of a direct invocation. Return the result, which is published too.

        Raises:
            RejectedError: The message can never be sent. The result is published.
            RetryableError: The message may be sent later. The caller retries under the same ClientToken.
        """
        now = self._clock.now()
        origin = Origin(event_source="direct", source_id=context.aws_request_id, accepted_at=now)
        delivery = self._synchronous.deliver(json_text(event), origin, context)
        outcome = delivery.outcome
        if not isinstance(outcome, Sent):
            raise outcome.error
        return delivery.result(outcome, origin).detail()
