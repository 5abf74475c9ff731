"""Texts at the limits of a request, which come from its schema."""

from __future__ import annotations

from typing import Any, Final

from infra.contract import REQUEST_SCHEMA

_FIELDS: Final[dict[str, Any]] = REQUEST_SCHEMA["properties"]

MAX_CHARACTERS: Final[dict[str, int]] = _FIELDS["Content"]["x-max-characters"]["specification"]
"""By content type."""
MAX_BYTES: Final[int] = _FIELDS["Content"]["x-max-bytes"]
MAX_SPLIT_BYTES: Final[int] = _FIELDS["Content"]["x-max-split-bytes"]
"""With SplitAt."""

LONGEST: Final = "x" * MAX_CHARACTERS["text/plain"]
TOO_LONG: Final = LONGEST + "x"


def above(field: str) -> str:
    """Return a text with one character too many for a field."""
    longest: int = _FIELDS[field]["maxLength"]
    return "x" * (longest + 1)
