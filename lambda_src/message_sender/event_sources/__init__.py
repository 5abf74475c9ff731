"""Where messages come from: one module for each event source, and `detect`, which tells them apart."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from message_sender.errors import UnsupportedEventError
from message_sender.event_sources.eventbridge import REQUEST_DETAIL_TYPE
from message_sender.request import SCHEMA

if TYPE_CHECKING:
    from message_sender.outcome import EventSource

_NUMBER: Final = re.compile(r"[0-9]{1,13}")  # milliseconds since 1970, for a long while
_ACCEPTED: Final = (
    "an SQS event (Records with eventSource aws:sqs), "
    f"an EventBridge event (detail-type {REQUEST_DETAIL_TYPE}), "
    "an API Gateway REST API request (httpMethod and requestContext), "
    f"a direct invocation (a JSON object with {', '.join(SCHEMA['required'])})"
)


def detect(event: object) -> EventSource:
    """Say which event source an event comes from. Looks at its shape alone and has no effect.

    Raises:
        UnsupportedEventError: It comes from none that the function knows. The text lists what is accepted.
    """
    if isinstance(event, dict):
        records = event.get("Records")
        if isinstance(records, list) and records and all(map(_is_sqs_record, records)):
            return "sqs"
        if event.get("detail-type") == REQUEST_DETAIL_TYPE and _is_event(event):
            return "eventbridge"
        if "httpMethod" in event and _is_api_request(event):
            return "api_gateway"
        if any(field in event for field in SCHEMA["properties"]):
            return "direct"
    raise UnsupportedEventError(f"The event is none that this function accepts. It accepts {_ACCEPTED}")


def _is_sqs_record(record: object) -> bool:
    if not isinstance(record, dict) or record.get("eventSource") != "aws:sqs":
        return False
    attributes = record.get("attributes")
    return (
        all(_is_id(record.get(name)) for name in ("messageId", "receiptHandle", "eventSourceARN"))
        and isinstance(record.get("body"), str)
        and isinstance(attributes, dict)
        and _is_id(attributes.get("MessageGroupId", "-"))  # a standard queue has none
        and all(_is_number(attributes.get(name)) for name in ("SentTimestamp", "ApproximateReceiveCount"))
    )


def _is_event(event: dict[str, object]) -> bool:
    return isinstance(event.get("detail"), dict) and _is_id(event.get("id")) and _is_time(event.get("time"))


def _is_api_request(event: dict[str, object]) -> bool:
    context = event.get("requestContext")
    return (
        isinstance(event.get("body", ""), str | None)
        and isinstance(context, dict)
        and _is_id(context.get("extendedRequestId"))
    )


def _is_id(value: object) -> bool:
    return isinstance(value, str) and value != "" and value.isascii()


def _is_time(value: object) -> bool:
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else "")
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return moment.tzinfo is not None


def _is_number(value: object) -> bool:
    return isinstance(value, str) and _NUMBER.fullmatch(value) is not None
