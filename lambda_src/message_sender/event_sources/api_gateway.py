"""The synchronous API: a REST API's proxy event in, an HTTP answer out."""

from __future__ import annotations

import base64
import json
import math
from typing import TYPE_CHECKING, Any, Final

from message_sender.errors import (
    AccessDeniedError,
    ConnectionFailedError,
    DeadlineExceededError,
    ExpiredError,
    InvalidRequestError,
    ProcessingRejectedError,
    RetryableError,
    ServiceUnavailableError,
    ServiceValidationError,
    ThrottledError,
    UnexpectedResponseError,
)
from message_sender.result import Origin, Sent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from message_sender.clock import Clock
    from message_sender.errors import DeliveryError
    from message_sender.event_sources.synchronous import SynchronousDelivery

STATUS: Final[dict[type[DeliveryError], int]] = {
    InvalidRequestError: 400,
    ServiceValidationError: 400,
    AccessDeniedError: 422,
    ExpiredError: 422,
    ProcessingRejectedError: 422,
    UnexpectedResponseError: 502,
    ThrottledError: 429,
    ServiceUnavailableError: 502,
    ConnectionFailedError: 502,
    DeadlineExceededError: 504,
}
"""The HTTP status for each error. A refused connection token is no 403: the caller itself is authorized."""


class ApiGatewaySource:
    """Answers `POST /messages/sync`."""

    def __init__(self, *, synchronous: SynchronousDelivery, clock: Clock) -> None:
        self._synchronous = synchronous
        self._clock = clock

    def handle(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Send the message of a request. Answer with its result, or with `Code`, `Reason`, `ClientToken`."""
        # Not requestId: a client can choose that one with a header.
        source_id = event["requestContext"]["extendedRequestId"]
        origin = Origin(event_source="api_gateway", source_id=source_id, accepted_at=self._clock.now())
        delivery = self._synchronous.deliver(_body(event), origin, context)
        outcome = delivery.outcome
        if isinstance(outcome, Sent):
            return _answer(200, delivery.result(outcome, origin).detail())
        error = outcome.error
        body = {
            "Code": error.code,
            "Reason": error.reason,
            "ClientToken": delivery.correlation.client_token,
        }
        return _answer(STATUS[type(error)], body, _retry_after(error))


def _body(event: Mapping[str, Any]) -> str:
    body = event.get("body") or ""
    if not event.get("isBase64Encoded"):
        return str(body)
    try:
        return base64.b64decode(body).decode()
    except ValueError:
        return ""  # no JSON, and the contract says so


def _answer(status: int, body: dict[str, Any], headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", **(headers or {})},
        "body": json.dumps(body),
    }


def _retry_after(error: DeliveryError) -> dict[str, str]:
    """Return the header in whole seconds, where the service said how long to wait."""
    if not isinstance(error, RetryableError) or error.retry_after is None:
        return {}
    return {"Retry-After": str(math.ceil(error.retry_after))}
