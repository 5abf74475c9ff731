"""Reading a JSON object member by member. An error names the member, never its value."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, Self, TypeVar

from sandbox.participant_service.errors import ValidationError

T = TypeVar("T")
EnumT = TypeVar("EnumT", bound=StrEnum)


class Members:
    """The members of one JSON object. A null counts as absent, as in AWS's JSON protocols."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a request body; an empty one is an object without members."""
        try:
            document = json.loads(body or b"{}")
        except ValueError:
            raise ValidationError("The request body is not JSON") from None
        if not isinstance(document, dict):
            raise ValidationError("The request body is not a JSON object")
        return cls(document)

    def optional(self, name: str, kind: type[T]) -> T | None:
        """Read a member of this type; an integer will do for a float."""
        value = self._document.get(name)
        if value is None:
            return None
        if kind is float and type(value) is int:
            value = float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ValidationError(f"{name} has the wrong type")
        return value

    def required(self, name: str, kind: type[T]) -> T:
        value = self.optional(name, kind)
        if value is None:
            raise ValidationError(f"{name} is missing")
        return value

    def get(self, name: str, default: T) -> T:
        """Read a member of the default's type."""
        value = self.optional(name, type(default))
        return default if value is None else value

    def enum(self, name: str, kind: type[EnumT]) -> EnumT | None:
        return None if self._document.get(name) is None else self.required_enum(name, kind)

    def required_enum(self, name: str, kind: type[EnumT]) -> EnumT:
        try:
            return kind(self.required(name, str))
        except ValueError:
            raise ValidationError(f"{name} must be one of {', '.join(kind)}") from None

    def has(self, name: str) -> bool:
        return self._document.get(name) is not None

    def text(self, name: str, *, longest: int) -> str:
        """Read a required string of 1 to `longest` characters."""
        value = self.required(name, str)
        if not 1 <= len(value) <= longest:
            raise ValidationError(f"{name} must have 1 to {longest} characters")
        return value

    def strings(self, name: str) -> list[str] | None:
        values = self.optional(name, list)
        if values is not None and not all(isinstance(value, str) for value in values):
            raise ValidationError(f"{name} has the wrong type")
        return values

    def members(self, name: str) -> Members | None:
        document = self.optional(name, dict)
        return None if document is None else Members(document)

    def required_members(self, name: str) -> Members:
        return Members(self.required(name, dict))
