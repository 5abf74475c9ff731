"""The message request: JSON text in, `SendMessageRequest` out, or `InvalidRequestError`.

The contract is `schemas/send_message_request.json`. What a JSON Schema cannot say stands here: lengths
that depend on the content type, bytes, "holds JSON text", repeated fields, Unicode, real times.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, TypeAlias
from uuid import UUID, uuid5

import fastjsonschema

from message_sender.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ContentLimits: TypeAlias = Literal["specification", "service"]

SCHEMA: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "schemas" / "send_message_request.json").read_bytes()
)
_FIELDS: Final[dict[str, dict[str, Any]]] = SCHEMA["properties"]
_MAX_CHARACTERS: Final[dict[ContentLimits, dict[str, int]]] = _FIELDS["Content"]["x-max-characters"]
_MAX_CONTENT_BYTES: Final[int] = _FIELDS["Content"]["x-max-bytes"]
_MAX_METADATA_BYTES: Final[int] = _FIELDS["Metadata"]["x-max-bytes"]
_JSON: Final = "application/json"
# Python's own limit differs between its versions, and a thread may run out of stack before it.
MAX_DEPTH: Final = 64
"""How deep JSON may be nested, in a request or in Content."""
_BRACKET_OR_STRING: Final = re.compile(r'[\[\]{}]|"(?:[^"\\]++|\\.)*+"', re.DOTALL)
# Of derived ClientTokens. Another value would give every message in flight a second identity.
_NAMESPACE: Final = UUID("8a3f2a54-6d0e-4b57-9a53-3f4a1c7b2e90")

# A name that is fit to be repeated in a reason. Anything else could be a value that slipped into a key.
_FIELD_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
# With every required field right, one more field can be checked alone.
_SMALLEST: Final = {"ConnectionToken": "-", "ContentType": "text/plain", "Content": "0"}


class Secret:
    """A string that shows itself only when asked: a token, or the text of a message."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(...)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """What a result repeats of its request. In a result of InvalidRequest, only valid fields are set."""

    client_token: str | None
    contact_id: str | None = None
    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendMessageRequest:
    """A valid request. `expires_at` is aware of its offset."""

    connection_token: Secret
    content_type: str
    content: Secret
    client_token: str
    contact_id: str | None = None
    expires_at: datetime | None = None
    task_token: Secret | None = field(default=None, repr=False)
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def correlation(self) -> Correlation:
        return Correlation(
            client_token=self.client_token,
            contact_id=self.contact_id,
            content_type=self.content_type,
            metadata=self.metadata,
        )


def parse_request(
    text: str,
    *,
    client_token: str | None,
    content_limits: ContentLimits = "specification",
    task_token_allowed: bool = True,
) -> SendMessageRequest:
    """Read a request from JSON text.

    Args:
        text: The JSON text of the request.
        client_token: What identifies the message where the request does not say. None where only the
            caller can say: it retries by itself, and each of its retries looks like a new request.
        content_limits: `specification` holds each content type to the length in the specification,
            `service` to what the Participant Service takes today. Both to 16,384 bytes of UTF-8.
        task_token_allowed: Whether this event source answers task tokens.

    Raises:
        InvalidRequestError: The reason names the field and the rule, never the value.
    """
    fields = _read_object(text)
    _check(fields, content_limits)
    if "TaskToken" in fields and not task_token_allowed:
        raise InvalidRequestError(
            "TaskToken is not answered here: a synchronous caller has the outcome in its answer"
        )
    identity = fields.get("ClientToken", client_token)
    if identity is None:
        raise InvalidRequestError(
            "ClientToken is required here: each retry of a synchronous call looks like a new request, "
            "so only the caller can say that it is the same message"
        )
    return SendMessageRequest(
        connection_token=Secret(fields["ConnectionToken"]),
        content_type=fields["ContentType"],
        content=Secret(fields["Content"]),
        client_token=identity,
        contact_id=fields.get("ContactId"),
        expires_at=_read_time(fields["ExpiresAt"]) if "ExpiresAt" in fields else None,
        task_token=Secret(fields["TaskToken"]) if "TaskToken" in fields else None,
        metadata=fields.get("Metadata", {}),
    )


def correlate(text: str, *, client_token: str | None) -> Correlation:
    """Read what a result may repeat of a request that is not valid: the fields that keep their own rule."""
    try:
        fields = _read_object(text)
    except InvalidRequestError:
        return Correlation(client_token=client_token)
    valid = {
        name: fields[name]
        for name in ("ClientToken", "ContactId", "ContentType", "Metadata")
        if name in fields and _is_valid({**_SMALLEST, name: fields[name]})
    }
    return Correlation(
        client_token=valid.get("ClientToken", client_token),
        contact_id=valid.get("ContactId"),
        content_type=valid.get("ContentType"),
        metadata=valid.get("Metadata", {}),
    )


def contact_id_of(text: str) -> str | None:
    """Read the ContactId of a request that may be invalid, None where there is none."""
    return correlate(text, client_token=None).contact_id


def task_token_of(text: str) -> Secret | None:
    """Read the TaskToken of a request that may be invalid, so that its task does not wait in vain.

    None unless it is given once and keeps its own rule. Other fields may be repeated or wrong; but of two
    TaskTokens nobody knows which one is meant.
    """
    try:
        pairs = _parse(text, object_pairs_hook=tuple)
    except InvalidRequestError:
        return None
    given = [value for name, value in pairs if name == "TaskToken"] if isinstance(pairs, tuple) else []
    if len(given) != 1 or not _is_valid({**_SMALLEST, "TaskToken": given[0]}):
        return None
    return Secret(given[0])


def derive_client_token(source_arn: str, source_id: str) -> str:
    """Return the ClientToken of a message that its producer gave none.

    The same on every redelivery, since SQS keeps a message's id; never made of the content, since two equal
    texts are two messages.
    """
    return str(uuid5(_NAMESPACE, f"{source_arn}:{source_id}"))


def with_client_token(text: str, client_token: str) -> str:
    """Write the ClientToken into a request that names none, and leave any other text as it is.

    The rest of the text is not encoded anew, so a copy holds what the producer wrote.
    """
    try:
        fields = _read_object(text)
    except InvalidRequestError:
        return text
    if "ClientToken" in fields:
        return text
    separator = ", " if fields else ""
    return f'{text.rstrip()[:-1]}{separator}"ClientToken": {json.dumps(client_token)}}}'


@cache
def _validator() -> Callable[[object], object]:
    compiled: Callable[[object], object] = fastjsonschema.compile(SCHEMA, use_default=False)
    return compiled


def warm_up() -> None:
    """Compile the schema now rather than with the first message."""
    _validator()


def _read_object(text: str) -> dict[str, Any]:
    value = _parse(text, object_pairs_hook=_without_repeated_fields)
    if not isinstance(value, dict):
        raise InvalidRequestError("The request must be a JSON object")
    return value


def _parse(text: str, *, object_pairs_hook: Callable[[list[tuple[str, Any]]], object]) -> object:
    if _is_too_deep(text):
        raise InvalidRequestError(f"The request is nested more than {MAX_DEPTH} levels deep")
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=object_pairs_hook,
            parse_constant=_refuse_constant,
            parse_int=_any_number,  # no field is a number, and Python would refuse a long one
        )
    except ValueError:
        raise InvalidRequestError("The request is not valid JSON") from None
    return value


def _without_repeated_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            # A key deeper down may be a part of the message.
            raise InvalidRequestError(f"{name if name in _FIELDS else 'A field'} is given more than once")
        fields[name] = value
    return fields


def _is_too_deep(text: str) -> bool:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for match in _BRACKET_OR_STRING.finditer(text):
        if match[0] in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif match[0] in "]}":
            depth -= 1
    return False


def _any_number(_: str) -> int:
    return 0


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError  # NaN and Infinity are no JSON


def _check(fields: dict[str, Any], content_limits: ContentLimits) -> None:
    try:
        _validator()(fields)
    except fastjsonschema.JsonSchemaValueException as error:
        raise InvalidRequestError(_reason(error, fields)) from None
    _check_unicode(fields)
    _check_metadata_size(fields.get("Metadata", {}))
    if "ExpiresAt" in fields:
        _read_time(fields["ExpiresAt"])
    _check_content(fields["Content"], fields["ContentType"], content_limits)


def _is_valid(fields: dict[str, Any]) -> bool:
    try:
        _check(fields, "specification")
    except InvalidRequestError:
        return False
    return True


def _check_content(content: str, content_type: str, content_limits: ContentLimits) -> None:
    most = _MAX_CHARACTERS[content_limits].get(content_type)
    if most is not None and len(content) > most:
        raise InvalidRequestError(
            f"Content is longer than {most} characters for {content_type} (content_limits={content_limits})"
        )
    if len(content) * 4 > _MAX_CONTENT_BYTES and len(content.encode()) > _MAX_CONTENT_BYTES:
        raise InvalidRequestError(
            f"Content is longer than {_MAX_CONTENT_BYTES} bytes of UTF-8 (content_limits={content_limits})"
        )
    if content_type == _JSON:
        if _is_too_deep(content):
            raise InvalidRequestError(f"Content is nested more than {MAX_DEPTH} levels deep for {_JSON}")
        try:
            json.loads(content, parse_constant=_refuse_constant, parse_int=_any_number)
        except ValueError:
            raise InvalidRequestError(f"Content must hold JSON text for {_JSON}") from None


def _check_unicode(fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        texts = [*value.keys(), *value.values()] if isinstance(value, dict) else [value]
        try:
            "".join(texts).encode()
        except UnicodeEncodeError:
            reason = f"{name} is not valid Unicode: it holds half of a surrogate pair"
            raise InvalidRequestError(reason) from None


def _check_metadata_size(metadata: dict[str, str]) -> None:
    if sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items()) > _MAX_METADATA_BYTES:
        raise InvalidRequestError(f"Metadata is longer than {_MAX_METADATA_BYTES} bytes of UTF-8 in all")


def _read_time(text: str) -> datetime:
    # A leap second is a time in RFC 3339, and none in Python.
    leap = text[17:19] == "60"
    text = f"{text[:17]}59{text[19:]}" if leap else text
    try:
        moment = datetime.fromisoformat(text.upper()) + timedelta(seconds=leap)
        moment.timestamp()
    except (ValueError, OverflowError):
        raise InvalidRequestError("ExpiresAt is not a time that exists") from None
    return moment


def _named(name: str) -> str:
    return name if _FIELD_NAME.fullmatch(name) else "A field"


def _reason(  # noqa: PLR0911  # a table: one sentence for each rule
    error: fastjsonschema.JsonSchemaValueException, fields: dict[str, Any]
) -> str:
    """Say in words which rule of the schema a request breaks. fastjsonschema's own text holds values."""
    path = error.path[1:]
    name = path[0] if path else "The request"
    part = f"A value of {name}" if len(path) > 1 else name
    limit = error.rule_definition
    match error.rule:
        case "required":
            return f"{next(field for field in limit if field not in fields)} is required"
        case "additionalProperties":
            unknown = next(field for field in fields if field not in _FIELDS)
            return f"{_named(unknown)} is not a field of the request"
        case "type":
            return f"{part} must be {'an object' if limit == 'object' else f'a {limit}'}"
        case "minLength":
            return f"{part} must not be empty"
        case "maxLength":
            return f"{part} is longer than {limit} characters"
        case "enum":
            return f"{part} must be one of {', '.join(limit)}"
        case "pattern":
            return f"{part} {_FIELDS[name]['x-pattern-rule']}"
        case "maxProperties":
            return f"{part} has more than {limit} entries"
        case "propertyNames":
            return f"A key of {part} must be {limit['minLength']} to {limit['maxLength']} characters long"
        case rule:  # pragma: no cover  # a test goes through every rule that the schema uses
            return f"{part} breaks the rule {rule} of the schema"
