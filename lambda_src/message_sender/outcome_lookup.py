"""Outcome by id: result events in, answers to `GET /messages/{id}` out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from message_sender.deadlines import end_of_invocation
from message_sender.errors import AwsCallError, UnsupportedEventError
from message_sender.event_sources.api_gateway import json_answer
from message_sender.result_reader import is_result

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from message_sender.clock import Clock
    from message_sender.observability import Telemetry
    from message_sender.outcome_table import OutcomeTable

NOT_KNOWN: Final = {
    "Code": "OutcomeNotKnown",
    "Reason": "No outcome is known under this id so far. The message may still be sent, the id may be wrong, "
    "or its outcome is so old that it was deleted",
}
_UNAVAILABLE: Final = {"Code": "ServiceUnavailable", "Reason": "The outcomes cannot be read. Try again"}


class OutcomeLookup:
    """Stores the outcome of each message, and answers for it."""

    def __init__(self, *, table: OutcomeTable, telemetry: Telemetry, clock: Clock) -> None:
        self._table = table
        self._telemetry = telemetry
        self._clock = clock

    def store(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Store the result of an event.

        Raises:
            UnsupportedEventError: The event is not a result.
            AwsCallError: The result is not stored. Lambda repeats the invocation.
        """
        detail = event["detail"]
        if not is_result(detail):
            raise UnsupportedEventError("The detail of the event is not a result")
        try:
            self._table.store(detail, until=end_of_invocation(context, self._clock))
        except AwsCallError as error:
            self._telemetry.on_outcome_not_stored(detail, error)
            raise
        self._telemetry.on_outcome_stored(detail)
        return {}

    def answer(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Answer a request with the result of a message, or with `Code` and `Reason`."""
        message_id = (event.get("pathParameters") or {}).get("id") or ""
        until = end_of_invocation(context, self._clock)
        try:
            # Not documented for REST APIs: whether the path parameter is still percent-encoded
            for spelling in dict.fromkeys([message_id, unquote(message_id)]):
                result = self._table.find(spelling, until=until) if spelling else None
                if result is not None:
                    return json_answer(200, result)
        except AwsCallError as error:
            self._telemetry.on_outcome_not_read(error)
            return json_answer(502, _UNAVAILABLE)
        return json_answer(404, NOT_KNOWN)
