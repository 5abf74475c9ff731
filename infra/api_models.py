"""What the HTTP API accepts and answers by itself, before and without the function.

The models come from the contract's schema. API Gateway knows only a part of JSON Schema draft-04, so a model
is a first filter: it refuses nothing that the contract accepts, and the function validates again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONTRACT: Mapping[str, Any] = json.loads(
    Path(__file__)
    .parent.parent.joinpath("lambda_src", "message_sender", "schemas", "send_message_request.json")
    .read_text(encoding="utf-8")
)

# Of the keywords that API Gateway checks, those that the contract may use
_KEYWORDS = frozenset(
    {
        *("title", "description", "type", "enum"),
        *("properties", "required", "additionalProperties", "maxProperties"),
        *("minLength", "maxLength", "pattern"),
    }
)


def request_model(contract: Mapping[str, Any], *, also_required: str) -> dict[str, Any]:
    """Make the model of a route from the contract, one more of its fields being required there."""
    return {
        "$schema": "http://json-schema.org/draft-04/schema#",
        **_known_part(contract),
        "required": [*contract["required"], also_required],
    }


def _known_part(schema: Mapping[str, Any]) -> dict[str, Any]:
    known = {keyword: value for keyword, value in schema.items() if keyword in _KEYWORDS}
    if "properties" in known:
        known["properties"] = {name: _known_part(rules) for name, rules in known["properties"].items()}
    if isinstance(known.get("additionalProperties"), Mapping):
        known["additionalProperties"] = _known_part(known["additionalProperties"])
    if known.get("type") == "string" and "x-max-bytes" in schema:
        known["maxLength"] = schema["x-max-bytes"]  # a text never has more characters than bytes
    return known


@dataclass(frozen=True, slots=True)
class ApiError:
    """An error that API Gateway answers, in the shape in which the function answers its own.

    Its reason is fixed: what API Gateway says of a body that it refuses can quote the connection token.
    """

    code: str
    reason: str
    status: int | None
    """None for what stands for several statuses."""

    @property
    def body(self) -> str:
        return json.dumps({"Code": self.code, "Reason": self.reason, "ClientToken": None})


QUEUE_FAILED = ApiError("ServiceUnavailable", "The queue did not accept the message", 502)

# By API Gateway's type of response: what can occur here and is not said by the default of its class. The code
# `NotAuthorized` is the API's own, since `AccessDenied` is what Amazon Connect says of the connection token.
GATEWAY_ERRORS: Mapping[str, ApiError] = {
    "DEFAULT_4XX": ApiError("InvalidRequest", "The API refused the request", None),
    "DEFAULT_5XX": ApiError("ServiceUnavailable", "The API failed", None),
    "BAD_REQUEST_BODY": ApiError(
        "InvalidRequest",
        "The body is not a message request of this route, which docs/openapi.json describes",
        400,
    ),
    "ACCESS_DENIED": ApiError(
        "NotAuthorized", "The caller may not use this route; the stack's ProducerPolicy would permit it", 403
    ),
    "EXPIRED_TOKEN": ApiError("NotAuthorized", "The caller's credentials have expired", 403),
    "INVALID_SIGNATURE": ApiError("NotAuthorized", "The signature of the request is not valid", 403),
    "MISSING_AUTHENTICATION_TOKEN": ApiError(
        "NotAuthorized", "The request is not signed, or there is no such route", 403
    ),
    "REQUEST_TOO_LARGE": ApiError("InvalidRequest", "The body is too large", 413),
    "UNSUPPORTED_MEDIA_TYPE": ApiError("InvalidRequest", "The Content-Type is not application/json", 415),
    "THROTTLED": ApiError("Throttled", "More requests than the API lets through", 429),
    "INTEGRATION_FAILURE": ApiError("ServiceUnavailable", "What is behind the API failed", 502),
    "INTEGRATION_TIMEOUT": ApiError(
        "DeadlineExceeded", "What is behind the API gave no answer in time, and may still do its work", 504
    ),
}
