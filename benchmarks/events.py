"""Events as the event source mapping of the queue delivers them."""

from __future__ import annotations

import json
from itertools import count
from typing import Any
from uuid import UUID

_numbers = count(1)
# Made up, and as long as a real one
_TOKEN = "QVFJREFIZ0tOZ2lCdGVzdC1jb25uZWN0aW9uLXRva2Vu" * 9


def batch(records: int, *, chats: int = 10) -> dict[str, Any]:
    """Return an SQS event whose records are dealt to the chats in turn. No message comes twice."""
    return {"Records": [_record(place % chats) for place in range(records)]}


def poisoned(event: dict[str, Any], *, size: int) -> dict[str, Any]:
    """Return an SQS event with one more chat, whose message is hard to read: a string that never ends.

    Args:
        size: Characters of the message. SQS takes 1,048,576.
    """
    body = "[]" * 65 + '"' + '\\"' * size
    record = _record(len(event["Records"])) | {"body": body[:size]}
    return {"Records": [*event["Records"], record]}


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
