"""Direct invocation, as by Step Functions: the event is the request, the answer is the result."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from message_sender.outcome import Origin, Rejected, Undelivered
from message_sender.retry import TimeBudget

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from message_sender.clock import Clock
    from message_sender.delivery import MessageSender
    from message_sender.observability import Telemetry
    from message_sender.publisher import Publisher

_RESERVE: Final = 4.0
"""Seconds kept free for publishing."""
_MARGIN: Final = 0.5
"""Seconds kept free for the answer."""


class DirectSource:
    """Answers direct invocations."""

    def __init__(
        self, *, sender: MessageSender, publisher: Publisher, telemetry: Telemetry, clock: Clock
    ) -> None:
        self._sender = sender
        self._publisher = publisher
        self._telemetry = telemetry
        self._clock = clock

    def handle(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Send the message of a direct invocation and return the result, published as well.

        Raises:
            RejectedError: The message can never be sent as it is. The result is published.
            RetryableError: The message may be sent later: the caller retries, under the same ClientToken.
        """
        origin = Origin(
            event_source="direct", source_id=context.aws_request_id, accepted_at=self._clock.now()
        )
        end = self._clock.monotonic() + context.get_remaining_time_in_millis() / 1000
        delivery = self._sender.deliver(
            json.dumps(event),
            client_token=None,
            budget=TimeBudget(deadline=end - _RESERVE),
            task_token_allowed=False,
        )
        outcome = delivery.outcome
        if isinstance(outcome, Undelivered):
            self._telemetry.not_delivered_yet(origin, delivery, outcome.error)
            raise outcome.error
        result = delivery.result(outcome, origin)
        self._telemetry.ended(result, delivery)
        if not all(self._publisher.publish([result], until=end - _MARGIN)):
            self._telemetry.publish_failed(origin)
        if isinstance(outcome, Rejected):
            raise outcome.error
        return result.detail()
