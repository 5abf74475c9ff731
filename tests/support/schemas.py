"""The schema of the result event, in a strict form that allows no other fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).parents[2] / "lambda_src" / "message_sender" / "schemas"


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    return ({"additionalProperties": False} if "properties" in schema else {}) | schema


# The published schema allows new fields, which consumers ignore. The function adds none by accident.
RESULT_SCHEMA: dict[str, Any] = json.loads((SCHEMAS / "message_result.json").read_text(), object_hook=_closed)
