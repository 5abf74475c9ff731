"""The synchronous API: a REST API's proxy event in, an HTTP response out."""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any, Final

from message_sender import errors
from message_sender.result import Origin, Sent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from message_sender.clock import Clock
    from message_sender.event_sources.synchronous import SynchronousDelivery

STATUS: Final[dict[type[errors.DeliveryError], int]] = {
    errors.InvalidRequestError: 400,
    errors.TokenUnreadableError: 422,
    errors.ServiceValidationError: 400,
    errors.AccessDeniedError: 422,
    errors.ExpiredError: 422,
    errors.ProcessingRejectedError: 422,
    errors.UnexpectedResponseError: 502,
    errors.ThrottledError: 429,
    errors.ServiceUnavailableError: 502,
    errors.ConnectionFailedError: 502,
    errors.KeyUnavailableError: 502,
    errors.DeadlineExceededError: 504,
}
"""The HTTP status for each error. A refused connection token is not a 403: the caller is authorized."""


class ApiGatewaySource:
    """Answers `POST /messages/sync`."""

    def __init__(self, *, synchronous: SynchronousDelivery, clock: Clock) -> None:
        self._synchronous = synchronous
        self._clock = clock

    def handle(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Send the message of a request. Answer with its result, or with `Code`, `Reason`, `ClientToken`."""
        # A client can choose `requestId` with a header, but not this id
        source_id = event["requestContext"]["extendedRequestId"]
        origin = Origin(event_source="api_gateway", source_id=source_id, accepted_at=self._clock.now())
        delivery = self._synchronous.deliver(_body(event), origin, context)
        outcome = delivery.outcome
        if isinstance(outcome, Sent):
            return json_answer(200, delivery.result(outcome, origin).detail())
        error = outcome.error
        body = {
            "Code": error.code,
            "Reason": error.reason,
            "ClientToken": delivery.correlation.client_token,
        }
        return json_answer(STATUS[type(error)], body, _retry_after(error))


def _body(event: Mapping[str, Any]) -> str:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(body)
    try:
        return base64.b64decode(body).decode()
    except ValueError:
        return ""  # not valid JSON: the parser reports it


def json_answer(
    status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return an HTTP response with a JSON body."""
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", **(headers or {})},
        "body": json.dumps(body),
    }


def _retry_after(error: errors.DeliveryError) -> dict[str, str]:
    """Return the header in whole seconds, if the service said how long to wait."""
    if not isinstance(error, errors.RetryableError) or error.retry_after is None:
        return {}
    return {"Retry-After": str(math.ceil(error.retry_after))}
