"""The contract of producers and consumers of results: the schemas, and the names on the event bus.

This module needs neither the CDK nor the function's own modules.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

_HERE: Final = Path(__file__).resolve().parent  # the folder behind a link, such as that for the examples

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
