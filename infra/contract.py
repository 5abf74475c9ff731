"""The contract of producers and consumers of results: the schemas, and the names on the event bus.

This module needs neither the CDK nor the function's own modules.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

# Resolved: in the repository, the package is also a link to this folder
_HERE: Final = Path(__file__).resolve().parent

FUNCTION_SOURCES: Final = next(
    folder for folder in (_HERE / "lambda_src", _HERE.parent / "lambda_src") if folder.is_dir()
)
"""The sources of the function: in this package when it is installed, and beside it in the repository."""

_SCHEMAS: Final = FUNCTION_SOURCES / "message_sender" / "schemas"

REQUEST_SCHEMA: Final[dict[str, Any]] = json.loads((_SCHEMAS / "send_message_request.json").read_bytes())
RESULT_SCHEMA: Final[dict[str, Any]] = json.loads((_SCHEMAS / "message_result.json").read_bytes())

EVENT_SOURCES: Final[tuple[str, ...]] = tuple(RESULT_SCHEMA["properties"]["EventSource"]["enum"])
"""How a message can reach the function. Dashboard and tests take the list from here."""

REQUEST_DETAIL_TYPE: Final = "SendMessage Requested"
RESULT_DETAIL_TYPES: Final = ("Message Sent", "Message Rejected", "Message Failed")
RESULT_SOURCE: Final = "connect-message-sender"
"""The `source` of result events. A request under this source is ignored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageResult:
    """The outcome of one message. It holds no token and no message text.

    Attributes:
        outcome: SENT, REJECTED or FAILED.
        event_source: sqs, eventbridge, direct or api_gateway: how the message reached the function.
        source_id: The id of the SQS message, of the event or of the invocation.
        client_token: The identity of the message.
        code: The error code, None for SENT.
        message_id: The id of the message in the chat, for SENT.
        completed_at: An RFC 3339 time.
        detail: All fields, as `schemas/message_result.json` describes them.
    """

    outcome: str
    event_source: str
    source_id: str
    client_token: str | None
    contact_id: str | None
    code: str | None
    reason: str | None
    message_id: str | None
    completed_at: str
    detail: Mapping[str, Any] = field(repr=False)

    @classmethod
    def from_detail(cls, detail: Mapping[str, Any]) -> Self:
        """Read the detail of a result event, or the answer of a synchronous call."""
        message, error = detail["Message"] or {}, detail["Error"] or {}
        return cls(
            outcome=detail["Outcome"],
            event_source=detail["EventSource"],
            source_id=detail["SourceId"],
            client_token=detail["ClientToken"],
            contact_id=detail["ContactId"],
            code=error.get("Code"),
            reason=error.get("Reason"),
            message_id=message.get("Id"),
            completed_at=detail["CompletedAt"],
            detail=detail,
        )
