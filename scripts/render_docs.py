"""Write into the reference what is said elsewhere: the table of the request's fields, from its JSON Schema.

usage: python scripts/render_docs.py            `make docs`; a test fails while there is something to write
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
REFERENCE: Final = ROOT / "docs" / "reference.md"
SCHEMA: Final = ROOT / "lambda_src" / "message_sender" / "schemas" / "send_message_request.json"

_BLOCK: Final = re.compile(r"(<!-- request fields: written by `make docs` -->\n).*?(<!-- end -->)", re.DOTALL)


def render(reference: str) -> str:
    """Return the reference with its table written anew."""
    schema = json.loads(SCHEMA.read_text())
    rows = [
        f"| `{name}` | {_yes_or_no(name in schema['required'])} | {_rule(rules)} | {rules['description']} |"
        for name, rules in schema["properties"].items()
    ]
    table = "\n".join(["| Field | Required | Rule | What |", "|---|---|---|---|", *rows])
    return _BLOCK.sub(lambda block: f"{block[1]}{table}\n{block[2]}", reference)


def _yes_or_no(value: bool) -> str:  # noqa: FBT001  # what else would it be
    return "yes" if value else "no"


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
    words = f"string of {rules.get('minLength', 1)} to {rules['maxLength']} characters"
    return f"{words}; {rules['x-pattern-rule']}" if "x-pattern-rule" in rules else words


if __name__ == "__main__":
    REFERENCE.write_text(render(REFERENCE.read_text()))
