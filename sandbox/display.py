"""Show outcomes, times and transcripts on a terminal."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ops.stack.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandbox.participant_service.transcript import TranscriptItem

OUTCOME_STYLES = {"SENT": "green", "REJECTED": "yellow", "FAILED": "red", "REFUSED": "yellow"}

_TYPE_PREFIXES = (
    "application/vnd.amazonaws.connect.message.",
    "application/vnd.amazonaws.connect.event.",
)


def transcript_table(items: Iterable[TranscriptItem]) -> Table:
    """Lay out a transcript. A message's lines stay in its column, so that none looks like another message."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for item in items:
        table.add_row(
            time_of_day(item.absolute_time),
            Text(printable(_short(item.content_type))),
            Text(printable(item.content or "", lines=True)),
        )
    if not table.row_count:
        table.add_row("no message", "", "")
    return table


def time_of_day(moment: str) -> str:
    return datetime.fromisoformat(moment).time().isoformat(timespec="milliseconds")


def _short(content_type: str) -> str:
    for prefix in _TYPE_PREFIXES:
        content_type = content_type.removeprefix(prefix)
    return content_type
