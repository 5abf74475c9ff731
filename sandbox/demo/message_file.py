"""Reads a file of messages. The docstring of the package describes the format."""

from __future__ import annotations

import codecs
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import fastjsonschema

from infra.producer import EventSource
from sandbox.participant_service.chats import CONTENT_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

TASK = "task"
"""An execution with a ContactId. Its task waits for a message in the queue."""

THROUGH = (*EventSource, TASK)

_KIB = 1024
# The limits of SendMessage of SQS, PutEvents, StartExecution and Invoke, and 4 KiB for what the demo adds
_MOST_BYTES = {
    EventSource.QUEUE: 1020 * _KIB,
    EventSource.API: 1020 * _KIB,
    EventSource.EVENT: 252 * _KIB,
    EventSource.WORKFLOW: 252 * _KIB,
    TASK: 252 * _KIB,
    EventSource.DIRECT: 6140 * _KIB,
    EventSource.API_SYNC: 6140 * _KIB,
}
_MOST_ERRORS = 10
_NAME = {"type": "string", "minLength": 1}
_TYPES = {
    "object": "a JSON object",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "boolean": "true or false",
}
_NOT_ALLOWED = False  # as a JSON Schema


def _object(required: str, **properties: object) -> dict[str, Any]:
    rules = {"type": "object", "required": required.split(), "additionalProperties": False}
    return {**rules, "properties": properties}


_EXPECTATION = {
    **_object("outcome", outcome={"enum": ["SENT", "REJECTED", "FAILED", "REFUSED"]}, code=_NAME),
    "if": {"properties": {"outcome": {"const": "SENT"}}},
    "then": {"properties": {"code": _NOT_ALLOWED}},
    "else": {"required": ["code"]},
}
_MESSAGE = _object(
    "chat through request",
    chat=_NAME,
    through={"enum": [str(each) for each in THROUGH]},
    # The demo adds the token
    request={"type": "object", "properties": {"ConnectionToken": _NOT_ALLOWED}},
    expect=_EXPECTATION,
    sealed={"const": True},
    age_minutes={"type": "integer", "minimum": 1},
    note={"type": "string"},
)
_CHAT = _object(
    "chat",
    chat=_NAME,
    ended={"type": "boolean"},
    content_types={"type": "array", "items": {"enum": list(CONTENT_TYPES)}},
)
_NEW_TOKEN = _object("chat new_token", chat=_NAME, new_token={"const": True})

_MESSAGE_FIELDS = _MESSAGE["properties"].keys() - _CHAT["properties"].keys()

_check_message = fastjsonschema.compile(_MESSAGE, use_default=False)
_check_chat = fastjsonschema.compile(_CHAT, use_default=False)
_check_new_token = fastjsonschema.compile(_NEW_TOKEN, use_default=False)


class MessageFileError(Exception):
    """The file cannot be used. The text names file, line, field and rule of each error, and no value."""


@dataclass(frozen=True, slots=True)
class Expectation:
    outcome: str
    code: str | None = None

    def __str__(self) -> str:
        return f"{self.outcome} {self.code}" if self.code else self.outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    name: str
    ended: bool = False
    content_types: tuple[str, ...] = CONTENT_TYPES


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A line of the file.

    Attributes:
        number: The number of the line, counted from 1.
        connection: Which connection token of the chat it has, counted from 1.
        through: One of `THROUGH`.
        sealed: Whether the demo seals its connection token.
        age_minutes: How long before its acceptance an event happened.
        expected: None if the line does not say: then every outcome is as good.
        repeats: The first line with the same identity and another text.
    """

    number: int
    chat: str
    connection: int = 1
    through: str
    request: Mapping[str, Any] = field(repr=False)
    expected: Expectation | None = None
    sealed: bool = False
    age_minutes: int | None = None
    note: str = ""
    repeats: int | None = None

    @property
    def source(self) -> EventSource:
        return EventSource.WORKFLOW if self.through == TASK else EventSource(self.through)

    @property
    def identity(self) -> tuple[str, str]:
        """Lines with the same identity are one message: in one chat, under one ClientToken."""
        client_token = self.request.get("ClientToken")
        return self.chat, client_token if isinstance(client_token, str) else f"line {self.number}"


@dataclass(frozen=True, slots=True)
class MessageFile:
    """The chats, in the order in which they first appear, and the messages.

    Attributes:
        other_lines: How many lines describe a chat.
    """

    chats: tuple[Chat, ...]
    messages: tuple[Message, ...]
    other_lines: int = 0


def read_message_file(path: Path) -> MessageFile:
    """Read and check a file.

    Raises:
        MessageFileError: The file cannot be read, or a line breaks a rule.
    """
    try:
        # Not splitlines(), which also splits at characters that JSON allows inside a string
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n")
    except OSError as error:
        raise MessageFileError(f"{path}: {error}") from None
    reader = _Reader()
    errors = []
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                reader.read(number, _fields(line))
        except _LineError as error:
            errors.append(f"{path}:{number}: {error}")
    if not errors and not reader.messages:
        errors.append(f"{path}: has no message")
    if errors:
        more = [f"... and {len(errors) - _MOST_ERRORS} more"] if len(errors) > _MOST_ERRORS else []
        raise MessageFileError("\n".join(errors[:_MOST_ERRORS] + more))
    return MessageFile(tuple(reader.chats.values()), tuple(reader.messages), reader.other_lines)


class _LineError(Exception):
    pass


def _fields(line: bytes) -> dict[str, Any]:
    """Parse a line and check it against its schema."""
    try:
        fields: dict[str, Any] = json.loads(line.decode())
        if not isinstance(fields, dict) or fields.keys() & _MESSAGE_FIELDS:
            _check_message(fields)
        elif "new_token" in fields:
            _check_new_token(fields)
        else:
            _check_chat(fields)
    except UnicodeDecodeError as error:
        byte = f"0x{line[error.start]:02x}"
        raise _LineError(f"the line is not UTF-8: byte {byte} at column {error.start + 1}") from None
    except json.JSONDecodeError as error:
        raise _LineError(f"the line is not valid JSON: {error.msg} at column {error.colno}") from None
    except fastjsonschema.JsonSchemaValueException as error:
        raise _LineError(_explained(error)) from None
    return fields


def _explained(error: fastjsonschema.JsonSchemaValueException) -> str:
    """Name the field and the rule in words. fastjsonschema calls the line `data`."""
    name = str(error.name).removeprefix("data").removeprefix(".") or "the line"
    rule = error.rule_definition
    if error.rule in {"required", "additionalProperties"}:
        known = error.definition.get("properties", error.value)
        unknown = ", ".join(sorted(error.value.keys() - known.keys()))
        if missing := [each for each in error.definition["required"] if each not in error.value]:
            return f"{name} has no {', '.join(missing)}" + (f" (unknown field: {unknown})" if unknown else "")
        return f"{name} has an unknown field: {unknown} (known: {', '.join(known)})"
    rules: dict[str, Callable[[], str]] = {
        "type": lambda: _TYPES[rule],
        "enum": lambda: f"one of {', '.join(rule)}",
        "const": lambda: json.dumps(rule),
        "minimum": lambda: f"at least {rule}",
        "minLength": lambda: "longer",
    }
    return f"{name} must be {rules[error.rule]()}" if error.rule in rules else f"{name} must not be there"


class _Reader:
    def __init__(self) -> None:
        self.chats: dict[str, Chat] = {}
        self.messages: list[Message] = []
        self.other_lines = 0
        self._new_tokens: Counter[str] = Counter()
        self._first: dict[tuple[str, str], Message] = {}

    def read(self, number: int, fields: dict[str, Any]) -> None:
        chat = fields["chat"]
        self.other_lines += "request" not in fields
        if "request" in fields:
            if "age_minutes" in fields and fields["through"] != EventSource.EVENT:
                raise _LineError("age_minutes is for an event")
            size, most = len(json.dumps(fields["request"])), _MOST_BYTES[fields["through"]]
            if size > most:
                raise _LineError(f"request has {size:,} bytes: through {fields['through']}, {most:,} fit")
            message = Message(
                number=number,
                connection=1 + self._new_tokens[chat],
                expected=Expectation(**fields.pop("expect")) if "expect" in fields else None,
                **fields,
            )
            first = self._first.setdefault(message.identity, message)
            if any(
                first.request.get(name) != message.request.get(name) for name in ("Content", "ContentType")
            ):
                message = replace(message, repeats=first.number)
            self.messages.append(message)
            self.chats.setdefault(chat, Chat(name=chat))
        elif "new_token" in fields:
            if chat not in self.chats:
                raise _LineError("new_token must come after the first line of its chat")
            if self.chats[chat].ended:
                raise _LineError("new_token must not be in a chat that has ended")
            self._new_tokens[chat] += 1
        else:
            if chat in self.chats:
                raise _LineError("chat has an earlier line: this one must come first")
            content_types = tuple(fields.get("content_types", CONTENT_TYPES))
            self.chats[chat] = Chat(name=chat, ended=fields.get("ended", False), content_types=content_types)
