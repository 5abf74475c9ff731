"""The JSON Schema of a request, and the Python code that fastjsonschema compiles it to."""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMA: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "schemas" / "send_message_request.json").read_bytes()
)

_IMPORTS: Final = """import re
from message_sender.schema import ViolationError

Decimal = float  # json.loads returns none
JsonSchemaValueException = JsonSchemaValuesException = ViolationError
"""
"""In place of the imports of the compiled code: the whole of fastjsonschema, and decimal. They take 3 % of a
cold start."""


class ViolationError(ValueError):
    """A value breaks a rule of the schema.

    It does not hold the value, which may be a secret. The exception of fastjsonschema does.

    Attributes:
        field: The field of the request. None: the request itself breaks the rule.
        is_inside: Whether a value inside of the field breaks it.
        rule: The keyword of the schema, for instance `maxLength`.
        limit: The value of the keyword.
    """

    def __init__(  # as the compiled code calls it
        self, _text: str, *, value: object, name: str, definition: dict[str, Any], rule: str
    ) -> None:
        del value
        super().__init__(rule)
        _, *path = name.split(".")
        self.field = path[0] if path else None
        self.is_inside = len(path) > 1
        self.rule = rule
        self.limit = definition[rule]


@cache
def validator() -> Callable[[object], object]:
    """Return the function that raises a `ViolationError` if fields break the schema.

    The package has it as a module (`infra/python_asset.py`). To compile it takes a twentieth of a cold start.
    """
    try:
        compiled = vars(import_module("message_sender.request_rules"))
    except ModuleNotFoundError:
        compiled = {}
        exec(rules_as_code(), compiled)  # noqa: S102  # our own schema
    return compiled["validate"]  # type: ignore[no-any-return]  # generated


def rules_as_code() -> str:
    """Return the compiled schema as the text of a module with the function `validate`."""
    import fastjsonschema  # noqa: PLC0415  # not in a cold start

    code: str = fastjsonschema.compile_to_code(_rules(), use_default=False)
    start = code.index("REGEX_PATTERNS = ")
    return f"{_IMPORTS}\n{code[start:]}\n\nvalidate = validate_request\n"


def _rules() -> dict[str, Any]:
    """Return the schema without its condition, and without texts for readers.

    `_token_rule` in `request.py` replaces the condition: the compiled code raises an exception for each token
    in clear, which takes as long as all other rules.
    """
    fields = {
        name: {key: value for key, value in rule.items() if key != "description" and key[:2] != "x-"}
        for name, rule in SCHEMA["properties"].items()
    }
    left_out = {"if", "then", "else", "title", "description", "examples"}
    rules = {name: rule for name, rule in SCHEMA.items() if name not in left_out}
    return rules | {"$id": "request", "properties": fields}
