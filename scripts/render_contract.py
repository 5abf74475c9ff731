"""Write what documents take from schemas and options. Needs no CDK, so tests can import it quickly.

usage: PYTHONPATH=lambda_src python -m scripts.render_contract
`make docs` runs it. A test fails while a document is out of date.
"""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra.api_models import GATEWAY_ERRORS, QUEUE_FAILED, request_model
from infra.contract import REQUEST_SCHEMA, RESULT_SCHEMA
from infra.options import StageOptions, json_schema
from message_sender.event_sources.api_gateway import STATUS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT: Final = Path(__file__).parents[1]
REFERENCE: Final = ROOT / "docs" / "reference.md"
OPENAPI: Final = ROOT / "docs" / "openapi.json"
OPTIONS: Final = ROOT / "docs" / "options.schema.json"


def replace_block(document: str, name: str, text: str) -> str:
    """Return a Markdown document with another text between the markers of this name."""
    block = re.compile(rf"(<!-- {name}: written by `make \w+` -->\n).*?(<!-- end -->)", re.DOTALL)
    return block.sub(lambda markers: f"{markers[1]}{text}\n{markers[2]}", document)


def reference(document: str) -> str:
    """Return the reference with its tables of request fields and options written anew."""
    rows = ["| Field | Required | Rule | What |", "|---|---|---|---|"]
    for name, rules in REQUEST_SCHEMA["properties"].items():
        required = "yes" if name in REQUEST_SCHEMA["required"] else "no"
        rows.append(f"| `{name}` | {required} | {_rule(rules)} | {rules['description']} |")
    document = replace_block(document, "request fields", "\n".join(rows))

    stages = json.loads((ROOT / "cdk.json").read_text())["context"]["stages"]
    rows = ["| Option | dev | prod | What | Accepted |", "|---|---|---|---|---|"]
    for option in fields(StageOptions):
        values = " | ".join(_value(stages[stage][option.name]) for stage in ("dev", "prod"))
        description, rule = option.metadata["description"], option.metadata["rule"]
        rows.append(f"| `{option.name}` | {values} | {description} | {rule.accepted} |")
    return replace_block(document, "options", "\n".join(rows))


def _value(value: object) -> str:
    return "–" if value in (None, []) else str(value).lower() if isinstance(value, bool) else str(value)


def _rule(rules: dict[str, Any]) -> str:
    if "enum" in rules:
        return "one of " + ", ".join(f"`{value}`" for value in rules["enum"])
    if rules["type"] == "object":
        keys, values = rules["propertyNames"], rules["additionalProperties"]
        return (
            f"at most {rules['maxProperties']} strings, keys {keys['minLength']} to {keys['maxLength']} and "
            f"values at most {values['maxLength']} characters, {rules['x-max-bytes']} bytes in all"
        )
    if "x-max-characters" in rules:
        lengths = ", ".join(
            f"{most} for `{name}`" for name, most in rules["x-max-characters"]["specification"].items()
        )
        return (
            f"string of at least {rules['minLength']} character, at most {lengths}; "
            f"always at most {rules['x-max-bytes']} bytes of UTF-8"
        )
    pattern_rule = f"; {rules['x-pattern-rule']}" if "x-pattern-rule" in rules else ""
    return f"string of {rules.get('minLength', 1)} to {rules['maxLength']} characters{pattern_rule}"


def openapi(text: str) -> str:
    """Return docs/openapi.json with its schemas and errors written anew. Edit the rest of it by hand."""
    document = json.loads(text)
    document["components"]["schemas"] |= {
        "QueuedMessageRequest": _request_schema(also_required="ContactId"),
        "SynchronousMessageRequest": _request_schema(also_required="ClientToken"),
        "MessageResult": _openapi_schema(RESULT_SCHEMA),
    }
    of_the_function = sorted(
        (status, error.__name__.removesuffix("Error")) for error, status in STATUS.items()
    )
    for path, errors in {
        "/messages": _errors([(QUEUE_FAILED.status, QUEUE_FAILED.code)]),
        # The function reads the body of any content type
        "/messages/sync": _errors(of_the_function, left_out={"UNSUPPORTED_MEDIA_TYPE"}),
    }.items():
        operation = document["paths"][path]["post"]
        success = {status: each for status, each in operation["responses"].items() if status.startswith("2")}
        operation["responses"] = success | errors
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _errors(own: Iterable[tuple[int | None, str]], *, left_out: Iterable[str] = ()) -> dict[str, Any]:
    """Describe the errors of a route by status: its own and those of API Gateway."""
    of_the_api = [
        (error.status, error.code) for kind, error in GATEWAY_ERRORS.items() if kind not in left_out
    ]
    codes: dict[str, dict[str, None]] = {}
    for status, code in (*own, *of_the_api):
        codes.setdefault("default" if status is None else str(status), {})[code] = None
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        status: {"description": " or ".join(codes[status]), "content": content} for status in sorted(codes)
    }


def _request_schema(*, also_required: str) -> dict[str, Any]:
    model = request_model(REQUEST_SCHEMA, also_required=also_required)
    del model["$schema"]  # OpenAPI 3.0 has its own dialect, which contains the rest
    return model


def _openapi_schema(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Translate a schema of the contract from draft-07 to OpenAPI 3.0."""
    if "$ref" in rules:
        return _openapi_schema(RESULT_SCHEMA["definitions"][rules["$ref"].rpartition("/")[2]])
    left_out = {"$schema", "$id", "definitions", "const", "oneOf"}
    schema = {keyword: value for keyword, value in rules.items() if keyword not in left_out}
    if "const" in rules:
        schema["enum"] = [rules["const"]]
    if "oneOf" in rules:
        [_null, alternative] = rules["oneOf"]
        schema |= {"nullable": True, **_openapi_schema(alternative)}
    if isinstance(rules.get("type"), list):
        [schema["type"], _null] = rules["type"]
        schema["nullable"] = True
    if "properties" in schema:
        schema["properties"] = {name: _openapi_schema(part) for name, part in schema["properties"].items()}
    return schema


if __name__ == "__main__":
    REFERENCE.write_text(reference(REFERENCE.read_text()))
    OPENAPI.write_text(openapi(OPENAPI.read_text(encoding="utf-8")), encoding="utf-8")
    OPTIONS.write_text(json.dumps(json_schema(), indent=2) + "\n")
