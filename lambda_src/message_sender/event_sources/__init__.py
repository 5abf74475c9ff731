"""The event sources: one module for each, and `detect`, which recognizes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from message_sender.errors import UnsupportedEventError
from message_sender.event_sources.eventbridge import REQUEST_DETAIL_TYPE
from message_sender.schema import SCHEMA

if TYPE_CHECKING:
    from message_sender.result import EventSource

_MARKS: Final[dict[EventSource, frozenset[str]]] = {
    "sqs": frozenset({"Records"}),
    "eventbridge": frozenset({"detail-type", "detail"}),
    "api_gateway": frozenset({"httpMethod", "requestContext"}),
    "direct": frozenset(SCHEMA["properties"]),
}
"""Top-level fields that only the events of one source have."""

MAX_RECORDS: Final = 10
"""The largest batch of a FIFO queue, so the most chats that send at once. Source: Lambda developer guide. A
longer event is forged, and could start too many threads."""
_ID: Final = re.compile(r"[!-~]{1,2048}")  # receipt handles are the longest
_NUMBERS: Final = {
    "SentTimestamp": re.compile(r"[0-9]{1,13}"),  # milliseconds since 1970, for a long while
    "ApproximateReceiveCount": re.compile(r"[1-9][0-9]{0,8}"),
}
_ACCEPTED: Final = (
    f"an SQS event (at most {MAX_RECORDS} Records with eventSource aws:sqs), "
    f"an EventBridge event (detail-type {REQUEST_DETAIL_TYPE}), "
    "an API Gateway REST API request (httpMethod and requestContext), "
    f"a direct invocation (a JSON object with {', '.join(SCHEMA['required'])})"
)


def detect(event: object) -> EventSource:
    """Return the event source of an event. Reads its shape and has no effect.

    An event with marks of two sources is refused. A producer that may start the state machine chooses its
    input. Mixed with a request, it could pass for an SQS event with another chat's group, ids and times.

    Raises:
        UnsupportedEventError: The function does not know the source. The text lists the events it accepts.
    """
    fields = event if isinstance(event, dict) else {}
    match [source for source, marks in _MARKS.items() if marks & fields.keys()]:
        case ["sqs"] if is_sqs_event(fields):
            return "sqs"
        case ["eventbridge"] if _is_event(fields):
            return "eventbridge"
        case ["api_gateway"] if _is_api_request(fields):
            return "api_gateway"
        case ["direct"]:
            return "direct"
    raise UnsupportedEventError(f"The event is not one that this function accepts. It accepts {_ACCEPTED}")


def is_sqs_event(event: dict[str, object]) -> bool:
    """Return whether these are records of queues, complete as SQS delivers them."""
    records = event.get("Records")
    return (
        event.keys() == _MARKS["sqs"]
        and isinstance(records, list)
        and 1 <= len(records) <= MAX_RECORDS
        and all(map(_is_sqs_record, records))
    )


def _is_sqs_record(record: object) -> bool:
    if not isinstance(record, dict) or record.get("eventSource") != "aws:sqs":
        return False
    attributes = record.get("attributes")
    return (
        all(_is_id(record.get(name)) for name in ("messageId", "receiptHandle", "eventSourceARN"))
        and isinstance(record.get("body"), str)
        and isinstance(attributes, dict)
        and _is_id(attributes.get("MessageGroupId", "-"))  # a standard queue has none
        and all(_matches(number, attributes.get(name)) for name, number in _NUMBERS.items())
    )


def _is_event(event: dict[str, object]) -> bool:
    return (
        event.get("detail-type") == REQUEST_DETAIL_TYPE
        and isinstance(event.get("detail"), dict)
        and _is_id(event.get("id"))
        and _is_time(event.get("time"))
    )


def _is_api_request(event: dict[str, object]) -> bool:
    context = event.get("requestContext")
    return (
        "httpMethod" in event
        and isinstance(event.get("body", ""), str | None)
        and isinstance(context, dict)
        and _is_id(context.get("extendedRequestId"))
    )


def _is_id(value: object) -> bool:
    return _matches(_ID, value)


def _is_time(value: object) -> bool:
    try:
        moment = datetime.fromisoformat(value if isinstance(value, str) else "")
        moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return moment.tzinfo is not None


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None
