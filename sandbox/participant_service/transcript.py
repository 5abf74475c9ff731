"""A chat's transcript, and the pages of it that GetTranscript returns."""

from __future__ import annotations

import base64
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from sandbox.participant_service.errors import invalid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEFAULT_PAGE_SIZE = 10


class ProcessingStatus(StrEnum):
    """The result of message processing. The service omits it for a message that passed."""

    PROCESSING = "PROCESSING"
    FAILED = "FAILED"
    REJECTED = "REJECTED"


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptItem:
    """A MESSAGE or an EVENT. Only tests and control calls see the `client_token`, never an SDK."""

    id: str
    type: str
    absolute_time: str
    content_type: str
    participant_id: str
    participant_role: str
    display_name: str
    content: str | None = field(default=None, repr=False)
    client_token: str | None = None
    processing_status: str | None = None


class TranscriptPage(NamedTuple):
    contact_id: str
    items: Sequence[TranscriptItem]
    next_token: str | None


def iso_time(seconds: float) -> str:
    """Format seconds since the epoch as the service does, for instance `2019-11-08T02:41:28.172Z`."""
    moment = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")


def transcript_page(
    contact_id: str, items: Sequence[TranscriptItem], query: Mapping[str, Any]
) -> TranscriptPage:
    """Answer a request of GetTranscript: scan from the start position, then sort the items of the page.

    A page token holds an index. It stays valid while messages arrive, since items are only appended.
    """
    if token := query.get("NextToken"):
        is_forward, start = _read_page_token(token, contact_id)
    else:
        position = query.get("StartPosition", {})
        is_forward = query.get("ScanDirection", "FORWARD" if position else "BACKWARD") == "FORWARD"
        start = _start_index(items, position, is_forward=is_forward)
    # The model allows 0 without a meaning: here it counts as absent
    step = query.get("MaxResults") or _DEFAULT_PAGE_SIZE
    if is_forward:
        following = start + step
        found = items[start:following]
        has_more = following < len(items)
    else:
        following = start - step
        found = items[max(following + 1, 0) : start + 1]
        has_more = following >= 0
    if query.get("SortOrder") != "ASCENDING":
        found = found[::-1]
    next_token = _page_token(contact_id, following, is_forward=is_forward) if has_more else None
    return TranscriptPage(contact_id, found, next_token)


def _start_index(items: Sequence[TranscriptItem], position: Mapping[str, Any], *, is_forward: bool) -> int:
    """Return the index of the page's first item. The first member of the position counts."""
    match position:
        case {"Id": item_id}:
            ids = [item.id for item in items]
            if item_id not in ids:
                raise invalid("StartPosition.Id is not in this transcript")
            return ids.index(item_id)
        case {"AbsoluteTime": text}:
            moment, time = _canonical_time(text), attrgetter("absolute_time")
            if is_forward:
                return bisect_left(items, moment, key=time)
            return bisect_right(items, moment, key=time) - 1
        case {"MostRecent": int(count)}:
            return max(len(items) - max(count, 1), 0)
        case _:
            return 0 if is_forward else len(items) - 1


def _canonical_time(text: str) -> str:
    """Write an ISO 8601 time with offset in the format of the items, so that the two compare as text."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return iso_time(moment.timestamp())
    except (ValueError, OverflowError):
        pass
    raise invalid("StartPosition.AbsoluteTime is not an ISO 8601 time with offset")


def _page_token(contact_id: str, index: int, *, is_forward: bool) -> str:
    return base64.urlsafe_b64encode(f"{contact_id}/{is_forward:d}/{index}".encode()).decode()


def _read_page_token(token: str, contact_id: str) -> tuple[bool, int]:
    """Return the scan direction and the index of a token."""
    try:
        owner, is_forward, index = base64.urlsafe_b64decode(token).decode().split("/")
        if owner != contact_id:
            raise invalid("NextToken belongs to another transcript")
        return is_forward == "1", int(index)
    except ValueError:
        raise invalid("NextToken is not valid") from None
