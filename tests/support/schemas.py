"""The contract, as published; of the result also a strict form, which knows no other fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).parents[2] / "lambda_src" / "message_sender" / "schemas"


def _strict(schema: Any) -> Any:  # noqa: ANN401  # JSON
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {"additionalProperties": False} if "properties" in schema else {}
    return closed | {name: _strict(value) for name, value in schema.items()}


# Consumers ignore fields that they do not know. We add none by accident.
RESULT_SCHEMA = _strict(json.loads((SCHEMAS / "message_result.json").read_text()))
