"""Enough of EventBridge's patterns for the stack's rule, and an error for anything else."""

from collections.abc import Mapping
from typing import Any


def matches(pattern: Mapping[str, list[Any]], event: Mapping[str, Any]) -> bool:
    """Tell whether an event matches: each field of the pattern by one of its alternatives."""
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
