"""Request models and errors of the REST API: how API Gateway answers without the function. Needs no CDK.

The models come from the contract's schema. API Gateway supports only a part of JSON Schema draft-04, so a
model is a first filter: it accepts everything that the contract accepts, and the function validates again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .contract import REQUEST_SCHEMA

QUEUED_REQUIRES = "ContactId"
"""The field that `POST /messages` requires beside those of the contract: it is the message group."""

# The keywords that API Gateway checks and the contract may use
_KEYWORDS = frozenset(
    {
        *("title", "description", "type", "enum"),
        *("properties", "required", "additionalProperties", "maxProperties"),
        *("minLength", "maxLength", "pattern", "minimum", "maximum"),
    }
)


def request_model(contract: Mapping[str, Any], *, also_required: str) -> dict[str, Any]:
    """Return the model of a route: the contract, with one more required field."""
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
        # Text never has more characters than bytes
        known["maxLength"] = schema.get("x-max-split-bytes", schema["x-max-bytes"])
    return known


def model_in_words(contract: Mapping[str, Any], *, also_required: str) -> str:
    """Return the rules of a route's model as sentences. API Gateway cannot say which one a body broke."""
    required = [*contract["required"], also_required]
    words = {name: f"{name} ({_rule_in_words(rules)})" for name, rules in contract["properties"].items()}
    optional = [text for name, text in words.items() if name not in required]
    return (
        f"It must be a JSON object with {', '.join(words[name] for name in required)}. "
        f"It may have {', '.join(optional)}. It must have no other field"
    )


def _rule_in_words(rules: Mapping[str, Any]) -> str:
    if "enum" in rules:
        return f"one of {', '.join(rules['enum'])}"
    if rules["type"] == "object":
        return f"an object of at most {rules['maxProperties']} strings"
    if rules["type"] == "integer":
        return f"an integer from {rules['minimum']} to {rules['maximum']}"
    least, unit = rules.get("minLength", 0), "characters" if "maxLength" in rules else "bytes"
    length = f"a string of {least} to {rules.get('maxLength') or rules['x-max-bytes']} {unit}"
    if "x-max-split-bytes" in rules:
        length = f"{length}, with SplitAt {rules['x-max-split-bytes']}"
    return f"{length}, {rules['x-pattern-rule']}" if "x-pattern-rule" in rules else length


@dataclass(frozen=True, slots=True)
class ApiError:
    """An error response of API Gateway, in the same shape as the function's own.

    Its reason is constant: API Gateway's own text about a refused body can quote the connection token.
    """

    code: str
    reason: str
    status: int | None
    """None for a default that covers several statuses."""

    @property
    def body(self) -> str:
        return json.dumps({"Code": self.code, "Reason": self.reason, "ClientToken": None})


QUEUE_FAILED = ApiError("ServiceUnavailable", "The queue did not accept the message", 502)

# By API Gateway's type of response. A type that is not listed gets the default of its class. The code
# `NotAuthorized` exists only here: `AccessDenied` means that Amazon Connect refused the connection token.
GATEWAY_ERRORS: Mapping[str, ApiError] = {
    "DEFAULT_4XX": ApiError("InvalidRequest", "The API refused the request", None),
    "DEFAULT_5XX": ApiError("ServiceUnavailable", "The API failed", None),
    # Only of `POST /messages`, the one route with a model
    "BAD_REQUEST_BODY": ApiError(
        "InvalidRequest",
        f"The body is not valid. {model_in_words(REQUEST_SCHEMA, also_required=QUEUED_REQUIRES)}",
        400,
    ),
    "ACCESS_DENIED": ApiError(
        "NotAuthorized", "The caller may not use this route: attach the stack's ProducerPolicy", 403
    ),
    "EXPIRED_TOKEN": ApiError("NotAuthorized", "The caller's credentials have expired", 403),
    "INVALID_SIGNATURE": ApiError("NotAuthorized", "The signature of the request is not valid", 403),
    "MISSING_AUTHENTICATION_TOKEN": ApiError(
        "NotAuthorized", "The request is not signed, or the route does not exist", 403
    ),
    "REQUEST_TOO_LARGE": ApiError("InvalidRequest", "The body is too large", 413),
    "UNSUPPORTED_MEDIA_TYPE": ApiError(
        "InvalidRequest", "The Content-Type is not application/json or application/json; charset=utf-8", 415
    ),
    "THROTTLED": ApiError("Throttled", "The API received too many requests", 429),
    "INTEGRATION_FAILURE": ApiError("ServiceUnavailable", "The service behind the API failed", 502),
    "INTEGRATION_TIMEOUT": ApiError(
        "DeadlineExceeded",
        "The service behind the API did not answer in time and may still send the message",
        504,
    ),
}
