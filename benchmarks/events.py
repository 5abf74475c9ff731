"""Events as the event source mapping of the queue delivers them."""

from __future__ import annotations

import json
from itertools import count
from typing import Any, Final
from uuid import UUID

_numbers = count(1)
# Made up, and as long as a real one
_TOKEN = "QVFJREFIZ0tOZ2lCdGVzdC1jb25uZWN0aW9uLXRva2Vu" * 9


def batch(records: int, *, chats: int = 10) -> dict[str, Any]:
    """Return an SQS event whose records are dealt to the chats in turn. No message comes twice."""
    return {"Records": [_record(place % chats) for place in range(records)]}


def poison(size: int) -> str:
    """Return a text that is hard to read: brackets, then a string of escaped quotes without an end."""
    return ("[]" * 65 + '"' + '\\"' * size)[:size]


POISONS: Final = {
    "24 KB": poison(24_576),
    "1 MiB": poison(1_048_576),
    "12 KB in Content": json.dumps(
        {"ConnectionToken": _TOKEN, "ContentType": "application/json", "Content": poison(12_000)}
    ),
}
"""Bodies by the name of their size. SQS takes 1 MiB, and `Content` has at most 12,000 characters."""


def poisoned(event: dict[str, Any], *, body: str) -> dict[str, Any]:
    """Return an SQS event with one more chat and its message."""
    return {"Records": [*event["Records"], _record(len(event["Records"])) | {"body": body}]}


def _record(chat: int) -> dict[str, Any]:
    number = next(_numbers)
    contact_id = str(UUID(int=chat + 1))
    body = {
        "ConnectionToken": f"{_TOKEN}{chat:04d}",
        "ContentType": "text/plain",
        "Content": "Your parcel is on its way. It will be with you tomorrow between 9 and 11 o'clock.",
        "ClientToken": f"order-{number}-shipped",
        "ContactId": contact_id,
        "Metadata": {"order": str(number)},
    }
    return {
        "messageId": f"00000000-0000-4000-8000-{number:012d}",
        "receiptHandle": f"AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a{number:012d}",
        "body": json.dumps(body),
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1769860800000",
            "SequenceNumber": f"{number:020d}",
            "MessageGroupId": contact_id,
            "SenderId": "AIDAIENQZJOLO23YVJ4VO",
            "MessageDeduplicationId": f"order-{number}-shipped",
            "ApproximateFirstReceiveTimestamp": "1769860800100",
        },
        "messageAttributes": {},
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:000000000000:messages.fifo",
        "awsRegion": "eu-central-1",
    }
