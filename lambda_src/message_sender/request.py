"""The message request: JSON text in, `ParsedRequest` out. Each text is parsed once.

The contract is `schemas/send_message_request.json`. This module adds the rules that a JSON Schema cannot
express: lengths that depend on the content type, bytes, JSON text in Content, repeated fields, Unicode, times
that exist.

A producer can send any text, and the messages of a batch share one interpreter. So the work is linear in the
size of a text: no search reads a character twice. A text that is longer than any valid request is not parsed.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, NoReturn, TypeAlias
from uuid import UUID, uuid5

from message_sender.errors import InvalidRequestError
from message_sender.schema import SCHEMA, ViolationError, validator

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ContentLimits: TypeAlias = Literal["specification", "service"]

_FIELDS: Final[dict[str, dict[str, Any]]] = SCHEMA["properties"]
SEALED: Final = "sealed:"
"""In front of the base64 of an encrypted connection token."""
_MAX_TOKEN: Final[int] = SCHEMA["else"]["properties"]["ConnectionToken"]["maxLength"]
_TOKEN: Final = re.compile(_FIELDS["ConnectionToken"]["pattern"])
_MAX_CHARACTERS: Final[dict[ContentLimits, dict[str, int]]] = _FIELDS["Content"]["x-max-characters"]
_MAX_CONTENT_BYTES: Final[int] = _FIELDS["Content"]["x-max-bytes"]
_MAX_SPLIT_BYTES: Final[int] = _FIELDS["Content"]["x-max-split-bytes"]
_SPLIT: Final[dict[str, Any]] = _FIELDS["SplitAt"]
_MAX_METADATA_BYTES: Final[int] = _FIELDS["Metadata"]["x-max-bytes"]
_RFC_3339: Final = re.compile(_FIELDS["ExpiresAt"]["pattern"])
_JSON: Final = "application/json"
# Python's limit differs between its versions, and a thread may run out of stack before it
MAX_DEPTH: Final = 64
"""Nesting levels of JSON, in a request or in Content."""
# For derived ClientTokens. Another value would give every message in flight a second identity.
_NAMESPACE: Final = UUID("8a3f2a54-6d0e-4b57-9a53-3f4a1c7b2e90")
_NAMESPACE_OF_PARTS: Final = UUID("3c0f3c1e-52b9-4d6c-9d52-7f0d2b6a9e41")

# Stops only at brackets. An unclosed string matches up to the end of the text. Otherwise the search would
# start again at every further quote.
NOT_A_BRACKET: Final = re.compile(r'[^\[\]{}"]++|"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_STEP: Final = {"[": 1, "{": 1, "]": -1, "}": -1}

_ECHOED: Final = ("ClientToken", "ContactId", "ContentType", "Metadata", "TaskToken")
# Together with these, a few more fields can be checked on their own
_SMALLEST: Final = {"ConnectionToken": "-", "ContentType": "text/plain", "Content": "0"}

_ESCAPE: Final = len(r"\u0041")
_WHITESPACE: Final = 16_384
"""Characters of white space in a request whose fields have their maximum length."""


_MAX_DIGITS: Final = 32
"""Characters of a number. Longer ones count as too large."""


def _longest_text() -> int:
    """Return the length of the longest valid request, with every character escaped.

    A character beyond U+FFFF takes two escapes, for four bytes of UTF-8.
    """
    characters = _WHITESPACE
    for name, rules in _FIELDS.items():
        if "enum" in rules:
            longest = _ESCAPE * max(map(len, rules["enum"]))
        elif "maximum" in rules:
            longest = _MAX_DIGITS
        elif "x-max-bytes" in rules:
            most_bytes = rules.get("x-max-split-bytes", rules["x-max-bytes"])
            longest = _ESCAPE * most_bytes + len('"":"",') * rules.get("maxProperties", 0)
        else:
            longest = 2 * _ESCAPE * rules["maxLength"]
        characters += _ESCAPE * len(name) + longest + len('"":"",')
    return characters


MAX_TEXT: Final = _longest_text()
"""Characters. A longer text is refused before it is parsed."""


class Secret:
    """A token or the text of a message. Only `reveal` returns it."""

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
    """The fields that a result repeats. For an invalid request, only the valid ones."""

    client_token: str | None
    contact_id: str | None = None
    content_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendMessageRequest:
    """A valid request, or a part of one.

    Attributes:
        connection_token: In clear, or sealed if there is a ContactId.
        expires_at: Has a UTC offset.
        is_split: Whether the request has `SplitAt`.
        texts: The texts of the parts, if there is more than one.
    """

    connection_token: Secret
    content_type: str
    content: Secret
    client_token: str
    contact_id: str | None = None
    expires_at: datetime | None = None
    is_split: bool = False
    texts: tuple[Secret, ...] = ()

    @property
    def parts(self) -> tuple[SendMessageRequest, ...]:
        """One request for each part, in order. Only the first one expires: half a message helps nobody."""
        if not self.texts:
            return (self,)
        return tuple(
            replace(
                self,
                content=text,
                client_token=client_token_of_part(self.client_token, number),
                expires_at=self.expires_at if number == 1 else None,
                texts=(),
            )
            for number, text in enumerate(self.texts, start=1)
        )

    @property
    def is_sealed(self) -> bool:
        """Whether the connection token must be decrypted before it can be used."""
        return self.connection_token.reveal().startswith(SEALED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRequest:
    """The result of parsing one text: a request, or the rule that the text breaks.

    Attributes:
        text: As the producer wrote it.
        request: The request, or the error that names the rule.
        correlation: The fields that a result repeats. Of an invalid request, only the valid ones, and none if
            a field is given twice.
        task_token: Also of an invalid request, if it is valid and given once, so that its task does not wait
            in vain.
        lacks_client_token: Whether the text is a JSON object without a ClientToken and without repeated
            fields.
    """

    text: str = field(repr=False)
    request: SendMessageRequest | InvalidRequestError
    correlation: Correlation
    task_token: Secret | None = field(default=None, repr=False)
    lacks_client_token: bool = False

    @property
    def message_group(self) -> str | None:
        """The chat of a message without a group: its contact, else a hash of its connection token."""
        if self.correlation.contact_id is not None or isinstance(self.request, InvalidRequestError):
            return self.correlation.contact_id
        return sha256(self.request.connection_token.reveal().encode()).hexdigest()

    def text_with_client_token(self) -> str:
        """Return the text, with the ClientToken of the correlation added if it has none.

        The rest of the text is not encoded again: a copy contains exactly the producer's text.
        """
        client_token = self.correlation.client_token
        if client_token is None or not self.lacks_client_token:
            return self.text
        fields = self.text.rstrip()[:-1]
        separator = "" if fields.rstrip().endswith("{") else ", "
        return f'{fields}{separator}"ClientToken": {json.dumps(client_token)}}}'


def parse_request(
    text: str,
    *,
    client_token: str | None,
    content_limits: ContentLimits = "specification",
    task_token_allowed: bool = True,
) -> ParsedRequest:
    """Parse a request. The reason of an invalid one names field and rule, never the value.

    Args:
        text: JSON text.
        client_token: For a request without a ClientToken. None if only the caller can provide it: the caller
            retries by itself, and each retry looks like a new request.
        content_limits: `specification` applies the lengths in the specification, `service` what the
            Participant Service accepts today. Both allow at most 16,384 bytes of UTF-8. A request with
            `SplitAt` may have four times as many, and each of its parts is within the limits.
        task_token_allowed: Whether this event source completes tasks.
    """
    reading = _read_object(text)
    fields, reason = reading.fields, reading.reason
    texts: Sequence[str] = ()
    if reason is None:
        reason = _broken_rule(fields, client_token, content_limits, task_token_allowed=task_token_allowed)
    if reason is None and "SplitAt" in fields:
        try:
            texts = _texts_of_parts(fields["Content"], int(fields["SplitAt"]))
        except InvalidRequestError as error:
            reason = error.reason
    if reason is not None:
        fields = _echoed(fields)
    task_token = Secret(fields["TaskToken"]) if "TaskToken" in fields else None
    correlation = Correlation(
        client_token=fields.get("ClientToken", client_token),
        contact_id=fields.get("ContactId"),
        content_type=fields.get("ContentType"),
        metadata=fields.get("Metadata", {}),
    )
    return ParsedRequest(
        text=text,
        request=_valid(fields, correlation, texts) if reason is None else InvalidRequestError(reason),
        correlation=correlation,
        task_token=task_token,
        lacks_client_token=reading.lacks_client_token,
    )


def json_text(fields: Mapping[str, Any]) -> str:
    """Return JSON text for the part of an event that Lambda has decoded."""
    try:
        return json.dumps(fields)
    except RecursionError:
        return "[" * (MAX_DEPTH + 1)  # nested too deeply for Python 3.11, and refused for that


def derive_client_token(source_arn: str, source_id: str) -> str:
    """Return the ClientToken of a message whose request has none.

    It is the same at every redelivery, since SQS keeps a message's id. It does not depend on the content,
    since two equal texts are two messages.
    """
    return str(uuid5(_NAMESPACE, f"{source_arn}:{source_id}"))


def client_token_of_part(client_token: str, number: int) -> str:
    """Return the ClientToken of a part, by that of its message. Parts count from 1."""
    return str(uuid5(_NAMESPACE_OF_PARTS, f"{client_token}:{number}"))


def warm_up() -> None:
    """Load the compiled schema now instead of with the first message."""
    validator()


class _Reading(NamedTuple):
    """The unambiguous fields of a text, and the reason why it is not a JSON object."""

    fields: dict[str, Any]
    lacks_client_token: bool
    reason: str | None


def _read_object(text: str) -> _Reading:
    if len(text) > MAX_TEXT:
        return _unreadable(f"The request is longer than {MAX_TEXT} characters")
    if _is_too_deep(text):
        return _unreadable(f"The request is nested more than {MAX_DEPTH} levels deep")
    top: _Pairs = []
    repeated: str | None = None

    def read(pairs: _Pairs) -> dict[str, Any]:
        """Read an object. The parser calls this at the end of each object, so last for the outermost."""
        nonlocal top, repeated
        top = pairs
        fields = dict(pairs)
        if repeated is None and len(fields) < len(pairs):
            repeated = Counter(name for name, _ in pairs).most_common(1)[0][0]
        return fields

    fields = _load(text, object_pairs_hook=read)
    if fields is _NOT_JSON:
        return _unreadable("The request is not valid JSON")
    if not isinstance(fields, dict):
        return _unreadable("The request must be a JSON object")
    if repeated is None:
        return _Reading(fields, lacks_client_token="ClientToken" not in fields, reason=None)
    # A nested key may be a part of the message
    name = repeated if repeated in _FIELDS else "A field"
    task_tokens = [value for name, value in top if name == "TaskToken"]
    return _unreadable(f"{name} is given more than once", task_tokens=task_tokens)


def _unreadable(reason: str, *, task_tokens: Sequence[object] = ()) -> _Reading:
    fields = {"TaskToken": task_tokens[0]} if len(task_tokens) == 1 else {}
    return _Reading(fields, lacks_client_token=False, reason=reason)


_Pairs: TypeAlias = list[tuple[str, Any]]
_NOT_JSON: Final = object()


def _load(text: str, *, object_pairs_hook: Callable[[_Pairs], object] | None = None) -> object:
    try:
        value: object = json.loads(
            text,
            object_pairs_hook=object_pairs_hook,
            parse_constant=_refuse_constant,
            parse_int=_number,
            parse_float=_number,
        )
    except ValueError:
        return _NOT_JSON
    return value


def _is_too_deep(text: str) -> bool:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    brackets = NOT_A_BRACKET.sub("", text)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > MAX_DEPTH


def _number(text: str) -> float:
    """Read a number. A whole one is an integer in JSON Schema, however it is written.

    Python refuses long ones, and no field needs them.
    """
    return float(text) if len(text) <= _MAX_DIGITS else math.inf


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError  # NaN and Infinity are not JSON


def _valid(fields: Mapping[str, Any], correlation: Correlation, texts: Sequence[str]) -> SendMessageRequest:
    return SendMessageRequest(
        connection_token=Secret(fields["ConnectionToken"]),
        content_type=fields["ContentType"],
        content=Secret(fields["Content"]),
        client_token=str(correlation.client_token),
        contact_id=correlation.contact_id,
        expires_at=read_time(fields["ExpiresAt"]) if "ExpiresAt" in fields else None,
        is_split="SplitAt" in fields,
        texts=tuple(map(Secret, texts)),
    )


def _echoed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the valid ones of the fields that a result repeats."""
    kept = {name: given[name] for name in _ECHOED if name in given}
    while kept and (violation := _violation({**_SMALLEST, **kept}, "specification")):
        del kept[violation.name]
    return kept


class _Violation(NamedTuple):
    """A broken rule: the name of the field, or `The request`, and the rule in words."""

    name: str
    reason: str


def _broken_rule(
    fields: dict[str, Any],
    client_token: str | None,
    content_limits: ContentLimits,
    *,
    task_token_allowed: bool,
) -> str | None:
    if violation := _violation(fields, content_limits):
        return violation.reason
    if "TaskToken" in fields and not task_token_allowed:
        return "TaskToken is not used here: a synchronous caller gets the outcome in the answer"
    if client_token is None and "ClientToken" not in fields:
        return (
            "ClientToken is required here: each retry of a synchronous call looks like a new request, "
            "so only the caller can identify the message"
        )
    return None


def _violation(fields: dict[str, Any], content_limits: ContentLimits) -> _Violation | None:
    try:
        validator()(fields)
    except ViolationError as error:
        return _Violation(error.field or "The request", _reason(error, fields))
    if broken := _token_rule(fields) or _unicode_violation(fields):
        return broken
    metadata = fields.get("Metadata", {})
    if sum(len(key.encode()) + len(value.encode()) for key, value in metadata.items()) > _MAX_METADATA_BYTES:
        return _Violation("Metadata", f"Metadata is longer than {_MAX_METADATA_BYTES} bytes of UTF-8 in all")
    if "ExpiresAt" in fields and read_time(fields["ExpiresAt"]) is None:
        return _Violation("ExpiresAt", "ExpiresAt is not a time that exists")
    if "SplitAt" in fields:
        return _split_rule(fields["Content"], fields["ContentType"], fields["SplitAt"], content_limits)
    reason = _content_rule(fields["Content"], fields["ContentType"], content_limits)
    return None if reason is None else _Violation("Content", reason)


def _token_rule(fields: dict[str, Any]) -> _Violation | None:
    """Check the condition of the schema."""
    token: str = fields["ConnectionToken"]
    if token.startswith(SEALED):
        if "ContactId" not in fields:
            return _Violation("The request", "ContactId is required with a sealed ConnectionToken")
    elif len(token) > _MAX_TOKEN:
        return _Violation("ConnectionToken", f"ConnectionToken is longer than {_MAX_TOKEN} characters")
    return None


def _split_rule(
    content: str, content_type: str, split_at: float, content_limits: ContentLimits
) -> _Violation | None:
    content_types = _SPLIT["x-content-types"]
    most = _MAX_CHARACTERS[content_limits].get(content_type)
    if content_type not in content_types:
        return _Violation("SplitAt", f"SplitAt is only for {' and '.join(content_types)}")
    if most is not None and split_at > most:
        limit = f"{most} characters for {content_type} (content_limits={content_limits})"
        return _Violation("SplitAt", f"SplitAt is more than {limit}")
    if _has_more_bytes(content, _MAX_SPLIT_BYTES):
        reason = f"Content is longer than {_MAX_SPLIT_BYTES} bytes of UTF-8 (with SplitAt)"
        return _Violation("Content", reason)
    return None


def _texts_of_parts(content: str, split_at: int) -> Sequence[str]:
    """Return the texts of the parts, none for a text that fits.

    Raises:
        InvalidRequestError: The text cannot be cut.
    """
    if len(content) <= split_at and not _has_more_bytes(content, _MAX_CONTENT_BYTES):
        return ()
    from message_sender.splitting import NotSplittableError, split  # noqa: PLC0415  # 20 ms, for few requests

    try:
        texts = split(
            content,
            most_characters=split_at,
            most_bytes=_MAX_CONTENT_BYTES,
            most_parts=_SPLIT["x-max-parts"],
        )
    except NotSplittableError as error:
        raise InvalidRequestError(f"Content {error} (SplitAt)") from None
    return texts


def _has_more_bytes(text: str, most: int) -> bool:
    return len(text) * 4 > most and len(text.encode()) > most


def _content_rule(content: str, content_type: str, content_limits: ContentLimits) -> str | None:
    most = _MAX_CHARACTERS[content_limits].get(content_type)
    if most is not None and len(content) > most:
        return (
            f"Content is longer than {most} characters for {content_type} (content_limits={content_limits})"
        )
    if _has_more_bytes(content, _MAX_CONTENT_BYTES):
        return f"Content is longer than {_MAX_CONTENT_BYTES} bytes of UTF-8 (content_limits={content_limits})"
    if content_type == _JSON and _is_too_deep(content):
        return f"Content is nested more than {MAX_DEPTH} levels deep for {_JSON}"
    if content_type == _JSON and _load(content) is _NOT_JSON:
        return f"Content must be JSON text for {_JSON}"
    return None


def _unicode_violation(fields: dict[str, Any]) -> _Violation | None:
    for name, value in fields.items():
        if isinstance(value, float):
            continue
        texts = [*value.keys(), *value.values()] if isinstance(value, dict) else [value]
        try:
            "".join(texts).encode()
        except UnicodeEncodeError:
            return _Violation(name, f"{name} is not valid Unicode: it contains half of a surrogate pair")
    return None


def is_clear_token(text: str) -> bool:
    """Return whether a text is a valid connection token, and not a sealed one."""
    return len(text) <= _MAX_TOKEN and bool(_TOKEN.fullmatch(text)) and not text.startswith(SEALED)


def read_time(text: str) -> datetime | None:
    """Parse an RFC 3339 time. Return None for other text, and for a time that does not exist."""
    if not _RFC_3339.fullmatch(text):
        return None
    # A leap second is a time in RFC 3339, but not in Python
    leap = text[17:19] == "60"
    text = f"{text[:17]}59{text[19:]}" if leap else text
    try:
        moment = datetime.fromisoformat(text.upper()) + timedelta(seconds=leap)
        moment.timestamp()
    except (ValueError, OverflowError):
        return None
    return moment


def _unknown_field(name: str) -> str:
    """Report an unknown field. A key may be a secret, so only a near miss of a known name is quoted."""
    known = next((known for known in _FIELDS if _is_nearly(name, known)), None)
    if known is None:
        return "The request has an unknown field"
    return f"{name} is not a field of the request: did you mean {known}?"


def _is_nearly(name: str, known: str) -> bool:
    """Return whether a name is a known one but for case, hyphens, underscores and one typo."""
    if not re.fullmatch("[A-Za-z_-]+", name) or len(name) > 2 * len(known):
        return False
    given, right = re.sub("[_-]", "", name).lower(), known.lower()
    return any(
        given[:at] == right[:at]
        and (
            given[at:] in {right[at:], right[at + 1 :]}  # the same, or one character is missing
            or given[at + 1 :] in {right[at:], right[at + 1 :]}  # one character too many, or a wrong one
            or given[at + 1 : at + 2] + given[at : at + 1] + given[at + 2 :] == right[at:]  # two swapped
        )
        for at in range(len(right) + 1)
    )


_RULES: Final = {
    "minLength": "must not be empty",
    "maxLength": "is longer than {} characters",
    "maxProperties": "has more than {} entries",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
}


def _reason(error: ViolationError, fields: dict[str, Any]) -> str:
    """Describe the rule of the schema that a request breaks."""
    name, limit = error.field or "The request", error.limit
    part = f"A value of {name}" if error.is_inside else name
    match error.rule:
        case "required":
            return f"{next(field for field in limit if field not in fields)} is required"
        case "additionalProperties":
            return _unknown_field(next(field for field in fields if field not in _FIELDS))
        case "propertyNames":
            return f"A key of {part} must be {limit['minLength']} to {limit['maxLength']} characters long"
        case "type":
            rule = f"must be {'an' if limit[0] in 'aeiou' else 'a'} {limit}"
        case "enum":
            rule = f"must be one of {', '.join(limit)}"
        case "pattern":
            rule = _FIELDS[name]["x-pattern-rule"]
        case other:  # a test goes through every rule of the schema
            rule = _RULES.get(f"{other}", "breaks a rule of the schema").format(limit)
    return f"{part} {rule}"
