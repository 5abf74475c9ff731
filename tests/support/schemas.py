"""The contract, as published."""

from __future__ import annotations

import json
from pathlib import Path

SCHEMAS = Path(__file__).parents[2] / "lambda_src" / "message_sender" / "schemas"
RESULT_SCHEMA = json.loads((SCHEMAS / "message_result.json").read_text())
