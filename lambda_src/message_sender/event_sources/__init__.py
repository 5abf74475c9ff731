"""Where messages come from: one module for each event source, and `detect`, which tells them apart."""

from __future__ import annotations

import re
from typing import Final, Literal, TypeAlias

from message_sender.errors import UnsupportedEventError
from message_sender.request import SCHEMA

DetectedSource: TypeAlias = Literal["sqs", "direct"]

_NUMBER: Final = re.compile(r"[0-9]{1,13}")  # milliseconds since 1970, for a long while
_ACCEPTED: Final = (
    "an SQS event (Records with eventSource aws:sqs), or a direct invocation "
    f"(a JSON object with {', '.join(SCHEMA['required'])})"
)


def detect(event: object) -> DetectedSource:
    """Say which event source an event comes from. Looks at its shape alone and has no effect.

    Raises:
        UnsupportedEventError: It comes from none that the function knows. The text lists what is accepted.
    """
    if isinstance(event, dict):
        records = event.get("Records")
        if isinstance(records, list) and records and all(map(_is_sqs_record, records)):
            return "sqs"
        if any(field in event for field in SCHEMA["properties"]):
            return "direct"
    raise UnsupportedEventError(f"The event is none that this function accepts. It accepts {_ACCEPTED}")


def _is_sqs_record(record: object) -> bool:
    if not isinstance(record, dict) or record.get("eventSource") != "aws:sqs":
        return False
    attributes = record.get("attributes")
    return (
        all(isinstance(record.get(name), str) for name in ("messageId", "body", "eventSourceARN"))
        and isinstance(attributes, dict)
        and all(_is_number(attributes.get(name)) for name in ("SentTimestamp", "ApproximateReceiveCount"))
    )


def _is_number(value: object) -> bool:
    return isinstance(value, str) and _NUMBER.fullmatch(value) is not None
