"""A chat's transcript, and the pages of it that GetTranscript returns."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING

from sandbox.participant_service.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_PAGE_SIZE = 10
MAX_PAGE_SIZE = 100


class ItemType(StrEnum):
    MESSAGE = "MESSAGE"
    EVENT = "EVENT"


class ParticipantRole(StrEnum):
    CUSTOMER = "CUSTOMER"
    SYSTEM = "SYSTEM"


class ProcessingStatus(StrEnum):
    """The result of message processing. The service omits it for a message that passed."""

    PROCESSING = "PROCESSING"
    FAILED = "FAILED"
    REJECTED = "REJECTED"


class ScanDirection(StrEnum):
    FORWARD = "FORWARD"
    BACKWARD = "BACKWARD"


class SortOrder(StrEnum):
    ASCENDING = "ASCENDING"
    DESCENDING = "DESCENDING"


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptItem:
    """A message or an event. Only tests and control calls see the `client_token`, never an SDK."""

    id: str
    type: ItemType
    absolute_time: str
    content_type: str
    participant_id: str
    participant_role: ParticipantRole
    display_name: str
    content: str | None = field(default=None, repr=False)
    client_token: str | None = None
    processing_status: ProcessingStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPosition:
    """The first item of the page. The first member that is not None counts."""

    id: str | None = None
    absolute_time: str | None = None
    most_recent: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptQuery:
    max_results: int = DEFAULT_PAGE_SIZE
    next_token: str | None = None
    scan_direction: ScanDirection | None = None
    sort_order: SortOrder = SortOrder.DESCENDING
    start_position: StartPosition | None = None


@dataclass(frozen=True, slots=True)
class TranscriptPage:
    contact_id: str
    items: tuple[TranscriptItem, ...]
    next_token: str | None


def iso_time(seconds: float) -> str:
    """Format seconds since the epoch as the service does, for instance `2019-11-08T02:41:28.172Z`."""
    return (
        datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
    )


def transcript_page(
    contact_id: str, items: Sequence[TranscriptItem], query: TranscriptQuery
) -> TranscriptPage:
    """Scan from the start position in the scan direction, then sort the items of the page.

    A page token holds an index. It stays valid while messages arrive, since items are only appended.
    """
    if not 1 <= query.max_results <= MAX_PAGE_SIZE:
        raise ValidationError(f"MaxResults must be at most {MAX_PAGE_SIZE}, and not negative")
    if query.next_token is None:
        direction = _scan_direction(query)
        start = _start_index(items, query.start_position, direction)
    else:
        direction, start = _read_page_token(query.next_token, contact_id)

    if direction is ScanDirection.FORWARD:
        following = start + query.max_results
        found = items[start:following]
        more = following < len(items)
    else:
        following = start - query.max_results
        found = items[max(following + 1, 0) : start + 1]
        more = following >= 0
    ascending = query.sort_order is SortOrder.ASCENDING
    return TranscriptPage(
        contact_id=contact_id,
        items=tuple(found if ascending else reversed(found)),
        next_token=_page_token(contact_id, direction, following) if more else None,
    )


def _scan_direction(query: TranscriptQuery) -> ScanDirection:
    if query.scan_direction is not None:
        return query.scan_direction
    return ScanDirection.BACKWARD if query.start_position is None else ScanDirection.FORWARD


def _start_index(
    items: Sequence[TranscriptItem], position: StartPosition | None, direction: ScanDirection
) -> int:
    forward = direction is ScanDirection.FORWARD
    match position:
        case StartPosition(id=str(item_id)):
            for index, item in enumerate(items):
                if item.id == item_id:
                    return index
            raise ValidationError("StartPosition.Id is not in this transcript")
        case StartPosition(absolute_time=str(text)):
            moment, time = _canonical_time(text), attrgetter("absolute_time")
            if forward:
                return bisect_left(items, moment, key=time)
            return bisect_right(items, moment, key=time) - 1
        case StartPosition(most_recent=int(count)):
            return max(len(items) - max(count, 1), 0)
        case _:
            return 0 if forward else len(items) - 1


def _canonical_time(text: str) -> str:
    """Write an ISO 8601 time with offset in the format of the items, so that the two compare as text."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return iso_time(moment.timestamp())
    except (ValueError, OverflowError):
        pass
    raise ValidationError("StartPosition.AbsoluteTime is not an ISO 8601 time with offset")


def _page_token(contact_id: str, direction: ScanDirection, index: int) -> str:
    return base64.urlsafe_b64encode(f"{contact_id}/{direction}/{index}".encode()).decode()


def _read_page_token(token: str, contact_id: str) -> tuple[ScanDirection, int]:
    try:
        owner, direction, index = base64.urlsafe_b64decode(token).decode().split("/")
        if owner != contact_id:
            raise ValidationError("NextToken belongs to another transcript")
        return ScanDirection(direction), int(index)
    except (binascii.Error, ValueError):
        raise ValidationError("NextToken is not valid") from None
