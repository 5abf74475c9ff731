"""Write docs/openapi.json: the HTTP API, from the JSON Schemas of the contract.

usage: python scripts/render_openapi.py            a test fails while there is something to write
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # run as a script, Python looks for modules beside it only

from infra.api_models import CONTRACT, GATEWAY_ERRORS, QUEUE_FAILED, request_model  # noqa: E402  # see above

OPENAPI: Final = ROOT / "docs" / "openapi.json"
RESULT: Final = json.loads(
    (ROOT / "lambda_src" / "message_sender" / "schemas" / "message_result.json").read_text(encoding="utf-8")
)

# What the function answers by itself: the table in docs/architecture.md
FUNCTION_ERRORS: Final[Mapping[int, tuple[str, ...]]] = {
    400: ("InvalidRequest", "ServiceValidation"),
    422: ("AccessDenied", "Expired", "ProcessingRejected"),
    429: ("Throttled",),
    502: ("UnexpectedResponse", "ServiceUnavailable", "ConnectionFailed"),
    504: ("DeadlineExceeded",),
}

_EXAMPLE: Final[Mapping[str, Any]] = CONTRACT["examples"][0]
_EXAMPLE_RESULT: Final[Mapping[str, Any]] = {
    "Version": "1",
    "Outcome": "SENT",
    "ClientToken": _EXAMPLE["ClientToken"],
    "ContactId": _EXAMPLE["ContactId"],
    "ContentType": _EXAMPLE["ContentType"],
    "EventSource": "api_gateway",
    "SourceId": "JKJaXmPLvHcESHA=",
    "AcceptedAt": "2026-01-31T11:58:00.000Z",
    "CompletedAt": "2026-01-31T11:58:00.120Z",
    "ReceiveCount": 1,
    "Attempts": 1,
    "Message": {
        "Id": "0b5a2a4e-6f0e-4f4e-9a53-0c8b7b3f6d11",
        "AbsoluteTime": "2026-01-31T11:58:00.100Z",
        "ProcessingStatus": None,
    },
    "Error": None,
    "Metadata": _EXAMPLE["Metadata"],
}
_EXAMPLE_ACCEPTED: Final[Mapping[str, Any]] = {
    "MessageId": "219f8380-5770-4cc2-8c3e-5c715e145f5e",
    "ContactId": _EXAMPLE["ContactId"],
}

_ERROR_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["Code", "Reason", "ClientToken"],
    "properties": {
        "Code": {
            "description": "What went wrong: a code of the result event, or NotAuthorized.",
            "type": "string",
        },
        "Reason": {
            "description": "For people, without values. The function's own names field and rule.",
            "type": "string",
        },
        "ClientToken": {
            "description": "Of the message, as far as it is known: API Gateway does not know it.",
            "type": "string",
            "nullable": True,
        },
    },
}
_ACCEPTED_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["MessageId", "ContactId"],
    "properties": {
        "MessageId": {
            "description": "Of the message on the queue. The result event has it as its SourceId.",
            "type": "string",
        },
        "ContactId": {
            "description": "The request's own: the chat that keeps the message in order.",
            "type": "string",
        },
    },
}


def render() -> str:
    """Return the text of the document."""
    return json.dumps(_document(), indent=2, ensure_ascii=False) + "\n"


def _document() -> dict[str, Any]:
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "connect-message-sender",
            "description": "Sends chat messages to Amazon Connect. Requests are signed with Signature "
            "Version 4 for the service execute-api.",
            "version": "1",
        },
        "servers": [
            {
                "url": "https://{api}.execute-api.{region}.amazonaws.com/v1",
                "description": "The stack's output ApiUrl",
                "variables": {"api": {"default": "api-id"}, "region": {"default": "us-east-1"}},
            }
        ],
        "security": [{"SignatureVersion4": []}],
        "paths": {
            "/messages": {
                "post": {
                    "operationId": "queueMessage",
                    "summary": "Put a message on the queue",
                    "description": "Order is kept per ContactId. The outcome is published as a result event. "
                    "Who may repeat the request sets the ClientToken, else both are sent.",
                    "requestBody": _request("QueuedMessageRequest"),
                    "responses": {
                        "202": _answer("The queue has the message", "AcceptedMessage", _EXAMPLE_ACCEPTED),
                        **_errors([(QUEUE_FAILED.status, QUEUE_FAILED.code)]),
                    },
                }
            },
            "/messages/sync": {
                "post": {
                    "operationId": "sendMessage",
                    "summary": "Send a message and wait for the outcome",
                    "description": "Keeps no order. After Throttled, ServiceUnavailable, ConnectionFailed or "
                    "DeadlineExceeded the request may be repeated under the same ClientToken.",
                    "requestBody": _request("SynchronousMessageRequest"),
                    "responses": {
                        "200": _answer("Amazon Connect took the message", "MessageResult", _EXAMPLE_RESULT),
                        # The function reads any body, whatever its type is said to be
                        **_errors(
                            [(status, code) for status, codes in FUNCTION_ERRORS.items() for code in codes],
                            left_out={"UNSUPPORTED_MEDIA_TYPE"},
                        ),
                    },
                }
            },
        },
        "components": {
            "schemas": {
                "QueuedMessageRequest": _request_schema(also_required="ContactId"),
                "SynchronousMessageRequest": _request_schema(also_required="ClientToken"),
                "AcceptedMessage": _ACCEPTED_SCHEMA,
                "MessageResult": _openapi_schema(RESULT),
                "Error": _ERROR_SCHEMA,
            },
            "securitySchemes": {
                "SignatureVersion4": {
                    "type": "apiKey",
                    "name": "Authorization",
                    "in": "header",
                    "x-amazon-apigateway-authtype": "awsSigv4",
                }
            },
        },
    }


def _request(schema: str) -> dict[str, Any]:
    return {"required": True, "content": _json(schema, example=_EXAMPLE)}


def _answer(description: str, schema: str, example: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": _json(schema, example=example)}


def _json(schema: str, **example: Mapping[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}, **example}}


def _errors(own: Iterable[tuple[int | None, str]], *, left_out: Iterable[str] = ()) -> dict[str, Any]:
    """Describe the errors of a route, its own and those of API Gateway, by status."""
    of_the_api = [
        (error.status, error.code)
        for response_type, error in GATEWAY_ERRORS.items()
        if response_type not in left_out
    ]
    codes: dict[str, dict[str, None]] = {}
    for status, code in (*own, *of_the_api):
        codes.setdefault("default" if status is None else str(status), {})[code] = None
    return {
        status: {"description": " or ".join(codes[status]), "content": _json("Error")}
        for status in sorted(codes)
    }


def _request_schema(*, also_required: str) -> dict[str, Any]:
    model = request_model(CONTRACT, also_required=also_required)
    del model["$schema"]  # OpenAPI 3.0 has a dialect of its own, of which the rest is a part
    return model


def _openapi_schema(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Say in OpenAPI 3.0 what a schema of the contract says in draft-07."""
    if "$ref" in rules:
        return _openapi_schema(RESULT["definitions"][rules["$ref"].rpartition("/")[2]])
    said = {
        keyword: value
        for keyword, value in rules.items()
        if keyword not in {"$schema", "$id", "definitions", "const", "oneOf"}
    }
    if "const" in rules:
        said["enum"] = [rules["const"]]
    if "oneOf" in rules:
        [_null, alternative] = rules["oneOf"]
        said |= {"nullable": True, **_openapi_schema(alternative)}
    if isinstance(rules.get("type"), list):
        [said["type"], _null] = rules["type"]
        said["nullable"] = True
    if "properties" in said:
        said["properties"] = {name: _openapi_schema(part) for name, part in said["properties"].items()}
    return said


if __name__ == "__main__":
    OPENAPI.write_text(render(), encoding="utf-8")
