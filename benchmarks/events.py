"""Events as the event source mapping of the queue delivers them."""

from __future__ import annotations

import json
from itertools import count
from typing import Any, Final
from uuid import UUID

from tests.support.lambda_events import record, request

_numbers = count(1)
_TOKEN: Final = "QVFJREFIZ0tOZ2lCdGVzdC1jb25uZWN0aW9uLXRva2Vu" * 9  # made up, with a realistic length


def batch(records: int, *, chats: int = 10, poison: str = "") -> dict[str, Any]:
    """Return an SQS event whose records belong to the chats in turn. Every message is new.

    Args:
        poison: The body of one more record, in one more chat.
    """
    poisoned = [_record(records) | {"body": poison}] if poison else []
    return {"Records": [_record(number % chats) for number in range(records)] + poisoned}


def _poison(size: int) -> str:
    """Return a text that is slow to parse: brackets, then a string of escaped quotes without an end."""
    return ("[]" * 65 + '"' + '\\"' * size)[:size]


POISONS: Final = {
    "24 KB": _poison(24_576),
    "1 MiB": _poison(1_048_576),
    "12 KB in Content": json.dumps(
        request(ConnectionToken=_TOKEN, ContentType="application/json", Content=_poison(12_000))
    ),
}
"""Bodies by the name of their size. SQS accepts 1 MiB, and `Content` has at most 12,000 characters."""


def _record(chat: int) -> dict[str, Any]:
    number = next(_numbers)
    contact_id = str(UUID(int=chat + 1))
    body = request(
        ConnectionToken=f"{_TOKEN}{chat:04d}",
        Content="Your parcel is on its way. It will be with you tomorrow between 9 and 11 o'clock.",
        ClientToken=f"order-{number}-shipped",
        ContactId=contact_id,
        Metadata={"order": str(number)},
    )
    return record(body, group=contact_id, message_id=str(UUID(int=number)))
