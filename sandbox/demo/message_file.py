"""Reads a file of messages; the package's docstring describes it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sandbox.participant_service.chats import CONTENT_TYPES

if TYPE_CHECKING:
    from collections.abc import Container, Mapping
    from pathlib import Path

_OUTCOMES = ("SENT", "REJECTED", "FAILED", "REFUSED")
_MOST_ERRORS = 10
_SENT = {"outcome": "SENT"}  # what a line expects that does not say
_MESSAGE_KEYS = {"chat", "through", "request", "expect", "note"}
_CHAT_KEYS = {"chat", "ended", "content_types"}
_NEW_TOKEN_KEYS = {"chat", "new_token"}


class MessageFileError(Exception):
    """The file cannot be used. One line for each thing that is wrong: file, line, field, rule."""


class Route(StrEnum):
    QUEUE = "queue"
    API = "api"
    EVENT = "event"
    DIRECT = "direct"
    WORKFLOW = "workflow"
    TASK = "task"
    API_SYNC = "api-sync"


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
    """A line of the file. `number` is the line's, counted from 1; so is `connection` in its chat."""

    number: int
    chat: str
    connection: int = 1
    route: Route
    request: Mapping[str, Any] = field(repr=False)
    expected: Expectation
    note: str = ""

    @property
    def identity(self) -> tuple[str, str]:
        """What makes it one message with other lines: its ClientToken within its chat, or nothing."""
        client_token = self.request.get("ClientToken")
        return self.chat, client_token if isinstance(client_token, str) else f"line {self.number}"


@dataclass(frozen=True, slots=True)
class MessageFile:
    chats: tuple[Chat, ...]
    """In the order in which they first appear."""
    messages: tuple[Message, ...]


def read_message_file(path: Path) -> MessageFile:
    """Read and check a file.

    Raises:
        MessageFileError: Something is wrong with it.
    """
    try:
        # Not splitlines(), which would split at some characters that JSON allows inside a string
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise MessageFileError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise MessageFileError(f"{path}: {error}") from None
    chats: dict[str, Chat] = {}
    new_tokens: Counter[str] = Counter()
    messages: list[Message] = []
    errors: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = _json_object(line)
            if "request" in fields:
                message = _message(number, fields, new_tokens)
                messages.append(message)
                chats.setdefault(message.chat, Chat(name=message.chat))
            elif "new_token" in fields:
                new_tokens[_chat_with_new_token(fields, known=chats)] += 1
            else:
                chat = _chat(fields, known=chats)
                chats[chat.name] = chat
        except _LineError as error:
            errors.append(f"{path}:{number}: {error}")
    if not errors and not messages:
        errors.append(f"{path}: has no message")
    if errors:
        more = [f"... and {len(errors) - _MOST_ERRORS} more"] if len(errors) > _MOST_ERRORS else []
        raise MessageFileError("\n".join(errors[:_MOST_ERRORS] + more))
    return MessageFile(tuple(chats.values()), tuple(messages))


class _LineError(Exception):
    def __init__(self, name: str, rule: str) -> None:
        super().__init__(f"{name} {rule}")


def _json_object(line: str) -> Mapping[str, Any]:
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        raise _LineError("the line", f"is not JSON: {error.msg} at column {error.colno}") from None
    if not isinstance(fields, dict):
        raise _LineError("the line", "must be a JSON object")
    return fields


def _message(number: int, fields: Mapping[str, Any], new_tokens: Mapping[str, int]) -> Message:
    _no_other_keys(fields, _MESSAGE_KEYS)
    request = _required(fields, "request", dict, "a JSON object")
    if "ConnectionToken" in request:
        raise _LineError("request.ConnectionToken", "is added by the demo: leave it out")
    route = fields.get("through")
    if route not in list(Route):
        raise _LineError("through", f"must be one of {', '.join(Route)}")
    chat = _name(fields)
    return Message(
        number=number,
        chat=chat,
        connection=1 + new_tokens[chat],
        route=Route(route),
        request=request,
        expected=_expectation(_required({"expect": _SENT, **fields}, "expect", dict, "a JSON object")),
        note=_required(fields, "note", str, "a string") if "note" in fields else "",
    )


def _expectation(fields: Mapping[str, Any]) -> Expectation:
    _no_other_keys(fields, {"outcome", "code"}, prefix="expect.")
    outcome, code = fields.get("outcome"), fields.get("code")
    if outcome not in _OUTCOMES:
        raise _LineError("expect.outcome", f"must be one of {', '.join(_OUTCOMES)}")
    if outcome == "SENT" and code is not None:
        raise _LineError("expect.code", "has no place beside the outcome SENT")
    if outcome != "SENT" and not (isinstance(code, str) and code):
        raise _LineError("expect.code", f"must name the code beside the outcome {outcome}")
    return Expectation(outcome, code)


def _chat(fields: Mapping[str, Any], *, known: Container[str]) -> Chat:
    if fields.keys() & (_MESSAGE_KEYS - _CHAT_KEYS):
        raise _LineError("request", "is missing")
    _no_other_keys(fields, _CHAT_KEYS)
    ended = fields.get("ended", False)
    if not isinstance(ended, bool):
        raise _LineError("ended", "must be true or false")
    content_types = fields.get("content_types", list(CONTENT_TYPES))
    if not (isinstance(content_types, list) and all(name in CONTENT_TYPES for name in content_types)):
        raise _LineError("content_types", f"must be a list of {', '.join(CONTENT_TYPES)}")
    name = _name(fields)
    if name in known:
        raise _LineError("chat", "has had a line before: this one must come first")
    return Chat(name=name, ended=ended, content_types=tuple(content_types))


def _chat_with_new_token(fields: Mapping[str, Any], *, known: Mapping[str, Chat]) -> str:
    _no_other_keys(fields, _NEW_TOKEN_KEYS)
    if fields["new_token"] is not True:
        raise _LineError("new_token", "must be true")
    name = _name(fields)
    if name not in known:
        raise _LineError("new_token", "has no place before the chat's first line")
    if known[name].ended:
        raise _LineError("new_token", "has no place in a chat that has ended")
    return name


def _name(fields: Mapping[str, Any]) -> str:
    name: str = _required(fields, "chat", str, "a name")
    if not name:
        raise _LineError("chat", "must be a name")
    return name


def _required(fields: Mapping[str, Any], name: str, kind: type, rule: str) -> Any:  # noqa: ANN401  # JSON
    if name not in fields:
        raise _LineError(name, "is missing")
    if not isinstance(fields[name], kind):
        raise _LineError(name, f"must be {rule}")
    return fields[name]


def _no_other_keys(fields: Mapping[str, Any], known: set[str], *, prefix: str = "") -> None:
    if unknown := sorted(fields.keys() - known):
        accepted = ", ".join(sorted(known))
        raise _LineError(f"{prefix}{unknown[0]}", f"is unknown; accepted: {accepted}")
