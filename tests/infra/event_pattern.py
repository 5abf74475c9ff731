"""The part of EventBridge's patterns that the rules of the stack need. Anything else is an error."""

from collections.abc import Mapping
from typing import Any


def matches(pattern: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Return whether an event matches one alternative of each field of the pattern."""
    return all(_field_matches(expected, name, event) for name, expected in pattern.items())


def _field_matches(expected: Any, name: str, event: Mapping[str, Any]) -> bool:  # noqa: ANN401  # JSON
    if expected == [{"exists": False}]:
        return name not in event
    if name not in event:
        return False
    if isinstance(expected, dict):
        return matches(expected, event[name])
    return any(_matches(alternative, event[name]) for alternative in expected)


def _matches(alternative: object, value: object) -> bool:
    match alternative:
        case str():
            return value == alternative
        case {"anything-but": [*names]}:
            return value not in names
    raise ValueError(f"unknown: {alternative!r}")
