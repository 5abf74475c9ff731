"""Reads a JSON object member by member. An error names the member, never its value."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self, TypeVar

from sandbox.participant_service.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

T = TypeVar("T")


class Members:
    """The members of one JSON object. A null counts as absent, as in AWS's JSON protocols."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    @classmethod
    def parse(cls, body: bytes, more: Mapping[str, Any] | None = None) -> Self:
        """Read a request body, and add `more` to it. An empty body is an object without members."""
        try:
            document = json.loads(body or b"{}")
        except ValueError:
            raise ValidationError("The request body is not JSON") from None
        if not isinstance(document, dict):
            raise ValidationError("The request body is not a JSON object")
        return cls(document | dict(more or {}))

    def has(self, name: str) -> bool:
        return self._document.get(name) is not None

    def optional(self, name: str, kind: type[T]) -> T | None:
        """Read a member of this type. A float may be written as an integer, an enum as its value."""
        value = self._document.get(name)
        if value is None:
            return None
        if kind is float and type(value) is int:
            value = float(value)
        elif issubclass(kind, StrEnum) and isinstance(value, str):
            if value not in list(kind):
                raise ValidationError(f"{name} must be one of {', '.join(kind)}")
            value = kind(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ValidationError(f"{name} has the wrong type")
        return value

    def required(self, name: str, kind: type[T]) -> T:
        value = self.optional(name, kind)
        if value is None:
            raise ValidationError(f"{name} is missing")
        return value

    def present(self, **kinds: type) -> dict[str, Any]:
        """Read the members that are present, for use as keyword arguments."""
        return {name: self.required(name, kind) for name, kind in kinds.items() if self.has(name)}

    def text(self, name: str, *, max_length: int) -> str:
        """Read a required string of 1 to `max_length` characters."""
        value = self.required(name, str)
        if not 1 <= len(value) <= max_length:
            raise ValidationError(f"{name} must have 1 to {max_length} characters")
        return value

    def strings(self, name: str) -> list[str] | None:
        values = self.optional(name, list)
        if values is not None and not all(isinstance(value, str) for value in values):
            raise ValidationError(f"{name} has the wrong type")
        return values

    def nested(self, name: str) -> Members | None:
        return self.required_nested(name) if self.has(name) else None

    def required_nested(self, name: str) -> Members:
        return Members(self.required(name, dict))
