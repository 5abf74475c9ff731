"""Show outcomes, times, transcripts and the start of the local stack on a terminal."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ops.stack.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ops.stack.terminal import Terminal
    from sandbox.participant_service.transcript import TranscriptItem

OUTCOME_STYLES = {"SENT": "green", "REJECTED": "yellow", "FAILED": "red", "REFUSED": "yellow"}

_TYPE_PREFIXES = (
    "application/vnd.amazonaws.connect.message.",
    "application/vnd.amazonaws.connect.event.",
)

STOPPED = Text("Stopped. All processes have ended.", style="dim")


@contextmanager
def starting(terminal: Terminal) -> Iterator[Callable[[str, str], None]]:
    """Yield a function that reports each part of the local stack as ready."""
    since = time.monotonic()
    with terminal.status("Starting the local stack"):

        def ready(part: str, text: str) -> None:
            nonlocal since
            now = time.monotonic()
            terminal.print(
                Text.assemble(("✓ ", "green"), f"{part:<20}  {text}  ", (f"{now - since:.1f} s", "dim"))
            )
            since = now

        yield ready


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
