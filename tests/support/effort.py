"""Texts that are hard to parse, and the work that parsing causes: in characters and calls, not in seconds."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from unittest.mock import Mock, patch

from message_sender import request, schema
from tests.support.lambda_events import request as valid_fields

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1_048_576

POISONS = (
    "[]" * 65 + '"' + '\\"' * 16_000,
    json.dumps(valid_fields(ContentType="application/json", Content=json.dumps(['"'] * 3_000)))[:16_000],
    "[" * 100_000,
    '{"a":' * 30_000,
    '"' * 100_000,
    "\\" * 100_001,
    "[]" * 80_000,
)


@dataclass
class Effort:
    """The work of parsing.

    Attributes:
        json: The length of each text that was parsed as JSON.
        brackets: The length of each text that was searched for brackets.
        schema_runs: How often the schema was applied.
    """

    json: list[int] = field(default_factory=list)
    brackets: list[int] = field(default_factory=list)
    schema_runs: int = 0


@contextmanager
def counted_effort() -> Iterator[Effort]:
    """Count the work of parsing in this block. The counts are there when the block ends."""
    effort = Effort()
    with (
        patch.object(request, "json", Mock(wraps=json)) as parser,
        patch.object(request, "NOT_A_BRACKET", Mock(wraps=request.NOT_A_BRACKET)) as brackets,
        patch.object(request, "validator", return_value=Mock(wraps=schema.validator())) as validator,
    ):
        yield effort
    effort.json = [len(call.args[0]) for call in parser.loads.call_args_list]
    effort.brackets = [len(call.args[1]) for call in brackets.sub.call_args_list]
    effort.schema_runs = validator.return_value.call_count
