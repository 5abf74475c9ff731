"""Texts that are hard to read, and what it costs to parse a text: in characters and calls, not in seconds."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from message_sender import request
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
    """The work of parsing: the lengths of the texts that were read, and how often the schema was run."""

    json: list[int] = field(default_factory=list)
    brackets: list[int] = field(default_factory=list)
    schema_runs: int = 0


@contextmanager
def counted_effort() -> Iterator[Effort]:
    effort = Effort()
    validate, brackets = request._validator(), request._NOT_A_BRACKET  # noqa: SLF001  # counted from the outside

    def loads(text: str, **options: Any) -> object:  # noqa: ANN401  # handed on
        effort.json.append(len(text))
        return json.loads(text, **options)

    def counted_validate(fields: object) -> object:
        effort.schema_runs += 1
        return validate(fields)

    def sub(replacement: str, text: str) -> str:
        effort.brackets.append(len(text))
        return brackets.sub(replacement, text)

    with (
        patch.object(request, "json", SimpleNamespace(loads=loads, dumps=json.dumps)),
        patch.object(request, "_validator", lambda: counted_validate),
        patch.object(request, "_NOT_A_BRACKET", SimpleNamespace(sub=sub)),
    ):
        yield effort
