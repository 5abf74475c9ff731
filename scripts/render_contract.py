"""Write the parts of the reference that come from schemas, errors and options. Needs no CDK.

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
from infra.options import Options, StageOptions, default, json_schema
from message_sender.errors import RetryableError
from message_sender.event_sources.api_gateway import STATUS
from message_sender.request import MAX_TEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

ROOT: Final = Path(__file__).parents[1]
REFERENCE: Final = ROOT / "docs" / "reference"
REQUESTS: Final = REFERENCE / "requests.md"
RESULTS: Final = REFERENCE / "results.md"
ERRORS: Final = REFERENCE / "errors.md"
OPTIONS: Final = REFERENCE / "options.md"
OPENAPI: Final = REFERENCE / "openapi.json"
OPTIONS_SCHEMA: Final = REFERENCE / "options.schema.json"

_MANY: Final = 5
"""The table of result fields does not list so many values."""


def replace_block(document: str, name: str, text: str) -> str:
    """Return a Markdown document with another text between the markers of this name.

    Raises:
        ValueError: The document does not have these markers once.
    """
    block = re.compile(rf"(<!-- {name}: written by `make \w+` -->\n).*?(<!-- end -->)", re.DOTALL)
    replaced, count = block.subn(lambda markers: f"{markers[1]}{text}\n{markers[2]}", document)
    if count != 1:
        raise ValueError(f"the document has {count} blocks `{name}`")
    return replaced


def table(*header: str, rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    head, *lines = (f"| {' | '.join(map(str, line))} |" for line in (header, *rows))
    return "\n".join([head, "|---" * len(header) + "|", *lines])


def requests(document: str) -> str:
    """Return the page of requests with its tables of fields and lengths written anew."""
    required = REQUEST_SCHEMA["required"]
    fields_of_request = REQUEST_SCHEMA["properties"]
    table_of_fields = table(
        *("Field", "Required", "Rule", "Meaning"),
        rows=[
            (f"`{name}`", "yes" if name in required else "no", _rule(rules), rules["description"])
            for name, rules in fields_of_request.items()
        ],
    )
    longest = f"A request has at most {MAX_TEXT:,} characters, including white space and escapes."
    document = replace_block(document, "request fields", f"{table_of_fields}\n\n{longest}")
    limits = fields_of_request["Content"]["x-max-characters"]
    return replace_block(
        document,
        "lengths of Content",
        table(
            *("Content type", *(f"`{name}`" for name in limits)),
            rows=[
                (f"`{name}`", *(f"{most[name]:,}" if name in most else "–" for most in limits.values()))
                for name in fields_of_request["ContentType"]["enum"]
            ],
        ),
    )


def results(document: str) -> str:
    """Return the page of results with its table of fields written anew."""
    return replace_block(
        document,
        "result fields",
        table("Field", "Type", "Meaning", rows=_result_fields(RESULT_SCHEMA["properties"])),
    )


def _result_fields(properties: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    for name, rules in properties.items():
        alternative = rules["oneOf"][1] if "oneOf" in rules else {}
        yield f"`{prefix}{name}`", _type({**rules, **alternative}), rules["description"]
        yield from _result_fields(alternative.get("properties", {}), f"{name}.")


def _type(rules: Mapping[str, Any]) -> str:
    if "const" in rules:
        return f"`{rules['const']}`"
    if "$ref" in rules:
        return "RFC 3339 time, UTC"
    if len(rules.get("enum", [])) in range(1, _MANY):
        return ", ".join(f"`{value}`" for value in rules["enum"])
    if "oneOf" in rules:
        return "object or null"
    return " or ".join([rules["type"]] if isinstance(rules["type"], str) else rules["type"])


def errors(document: str) -> str:
    """Return the page of errors with its table of codes written anew."""
    rows = []
    for error, status in STATUS.items():
        code = error.__name__.removesuffix("Error")
        outcome = "FAILED" if issubclass(error, RetryableError) else "REJECTED"
        rows.append((f"[`{code}`](#{code.lower()})", outcome, status))
    return replace_block(document, "error codes", table("Code", "Outcome", "HTTP status", rows=rows))


def options(document: str) -> str:
    """Return the page of options with its tables written anew."""
    stages = json.loads((ROOT / "cdk.json").read_text())["context"]["stages"]
    listed = {option.name: option for option in fields(StageOptions)}
    of_a_sender = {option.name for option in fields(Options)}
    for block, names in {
        "options": [name for name in listed if name in of_a_sender],
        "options of a stage": [name for name in listed if name not in of_a_sender],
    }.items():
        rows = [
            (
                f"`{name}`",
                _value(default(listed[name])),
                *(_value(stages[stage][name]) if name in stages[stage] else "" for stage in ("dev", "prod")),
                listed[name].metadata["description"],
            )
            for name in names
        ]
        document = replace_block(
            document, block, table("Option", "Default", "dev", "prod", "Meaning", rows=rows)
        )
    return document


def _value(value: object) -> str:
    return "–" if value in (None, [], {}) else str(value).lower() if isinstance(value, bool) else str(value)


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
        most = f"{rules['x-max-bytes']:,} bytes of UTF-8, {rules['x-max-split-bytes']:,} with `SplitAt`"
        return f"not empty; at most {most}; [characters](#length-of-content)"
    if rules["type"] == "integer":
        types = " and ".join(f"`{name}`" for name in rules["x-content-types"])
        return f"{rules['minimum']} to {rules['maximum']:,}; only for {types}; [more](#long-texts)"
    pattern_rule = f"; {rules['x-pattern-rule']}" if "x-pattern-rule" in rules else ""
    return f"{rules.get('minLength', 1)} to {rules['maxLength']} characters{pattern_rule}"


PAGES: Final[Mapping[Path, Callable[[str], str]]] = {
    REQUESTS: requests,
    RESULTS: results,
    ERRORS: errors,
    OPTIONS: options,
}
"""How to write each page anew."""


def openapi(text: str) -> str:
    """Return openapi.json with its schemas and errors written anew. Edit the rest of it by hand."""
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
        definition = RESULT_SCHEMA["definitions"][rules["$ref"].rpartition("/")[2]]
        return {"description": rules["description"], **_openapi_schema(definition)}
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
    if "items" in schema:
        schema["items"] = _openapi_schema(schema["items"])
    if "properties" in schema:
        schema["properties"] = {name: _openapi_schema(part) for name, part in schema["properties"].items()}
    return schema


if __name__ == "__main__":
    for page, written_anew in PAGES.items():
        page.write_text(written_anew(page.read_text(encoding="utf-8")), encoding="utf-8")
    OPENAPI.write_text(openapi(OPENAPI.read_text(encoding="utf-8")), encoding="utf-8")
    OPTIONS_SCHEMA.write_text(json.dumps(json_schema(), indent=2) + "\n")
