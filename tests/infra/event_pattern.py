"""The part of EventBridge's patterns that the rule of the stack needs. Anything else is an error."""

from collections.abc import Mapping
from typing import Any


def matches(pattern: Mapping[str, list[Any]], event: Mapping[str, Any]) -> bool:
    """Return whether an event matches one alternative of each field of the pattern."""
    return all(
        name in event and any(_matches(alternative, event[name]) for alternative in alternatives)
        for name, alternatives in pattern.items()
    )


def _matches(alternative: object, value: object) -> bool:
    match alternative:
        case str():
            return value == alternative
        case {"anything-but": [*names]}:
            return value not in names
    raise ValueError(f"unknown: {alternative!r}")
