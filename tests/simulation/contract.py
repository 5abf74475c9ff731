"""The contract, as the documents state it: the auditor's own reading, without the function's code.

Sources: `docs/reference/requests.md`, `results.md` and `errors.md`, the JSON Schema of the result, RFC 9562.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID, uuid5

import fastjsonschema

from tests.support.schemas import RESULT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Container

_REFERENCE: Final = Path(__file__).parents[2] / "docs/reference"
_ROW: Final = re.compile(r"^\| \[`(\w+)`\]\([^)]*\) \| (REJECTED|FAILED) \| (\d{3}) \|$", re.MULTILINE)

DERIVED: Final = UUID("8a3f2a54-6d0e-4b57-9a53-3f4a1c7b2e90")
PARTS: Final = UUID("3c0f3c1e-52b9-4d6c-9d52-7f0d2b6a9e41")
"""The namespaces of `requests.md`."""
MOST_PARTS: Final = 10
MOST_BYTES: Final = 16_384
"""Of a message in the chat."""
MOST_CHARACTERS: Final = 480_378
"""Of a request."""
MOST_ATTEMPTS: Final = 3
"""At one part, in one invocation. Source: docs/explanation/architecture.md."""
CLOCK_TOLERANCE: Final = 5.0
"""Seconds by which ExpiresAt is exceeded before a message expires."""
SEALED: Final = "sealed:"

EVENT_SOURCES: Final = {"queue": "sqs", "bus": "eventbridge", "direct": "direct", "api": "api_gateway"}
"""By route."""
RESULT_SOURCE: Final = "connect-message-sender"
DETAIL_TYPES: Final = {"SENT": "Message Sent", "REJECTED": "Message Rejected", "FAILED": "Message Failed"}

valid_result: Final[Callable[[object], object]] = fastjsonschema.compile(RESULT_SCHEMA)
"""Raises `JsonSchemaValueException`. Also refuses fields that the schema does not name."""


class Code(NamedTuple):
    """An error code: the outcome of a message that ends with it, and the status for a caller of the API."""

    outcome: str
    status: int


def _codes() -> dict[str, Code]:
    text = (_REFERENCE / "errors.md").read_text(encoding="utf-8")
    return {name: Code(outcome, int(status)) for name, outcome, status in _ROW.findall(text)}


CODES: Final = _codes()
REJECTIONS: Final = frozenset(name for name, code in CODES.items() if code.outcome == "REJECTED")
RETRYABLE_ERRORS: Final = frozenset(f"{name}Error" for name in CODES.keys() - REJECTIONS)
"""After these a caller calls again."""
REJECTED_ERRORS: Final = frozenset(f"{name}Error" for name in REJECTIONS)
WITHOUT_A_CALL: Final = frozenset({"InvalidRequest", "TokenUnreadable"})
"""Codes of messages for which nobody ever called Amazon Connect."""
_STATUSES: Final[dict[str, Container[int | None]]] = {
    "ServiceValidation": {400},
    "AccessDenied": range(400, 500),  # usually 403
    "ProcessingRejected": {200},
    "UnexpectedResponse": range(300, 500),
    "Throttled": range(400, 600),  # 429, or the name of the error contained `Throttl`
    "ServiceUnavailable": {200, 408, 425, *range(500, 600)},  # 200: its answer cannot be read
}


def fits(code: str, http_status: int | None) -> bool:
    """Return whether Amazon Connect can have answered with this status for this code.

    It gave no answer for the other codes.
    """
    return http_status in _STATUSES.get(code, {None})


def derived_client_token(source: str, source_id: str) -> str:
    """Return the ClientToken of a message without one. The source is a queue's ARN, or `eventbridge`."""
    return str(uuid5(DERIVED, f"{source}:{source_id}"))


def client_token_of_part(client_token: str, number: int) -> str:
    """Return the ClientToken of a part. Parts count from 1."""
    return str(uuid5(PARTS, f"{client_token}:{number}"))


def client_tokens_of(client_token: str, *, is_split: bool) -> dict[str, int]:
    """Return the ClientTokens of the calls for a message, and the number of the part. 0: it is whole."""
    parts = range(1, MOST_PARTS + 1) if is_split else ()
    return {client_token: 0} | {client_token_of_part(client_token, number): number for number in parts}
