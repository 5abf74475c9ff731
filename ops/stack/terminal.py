"""What the sandbox and the smoke test print: in colour on a terminal, else as plain text."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.stack.command import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TextIO

    from rich.console import RenderableType

    from sandbox.participant_service.transcript import TranscriptItem

OUTCOME_STYLES = {"SENT": "green", "REJECTED": "yellow", "FAILED": "red", "REFUSED": "yellow"}

_PLAIN_WIDTH = 160
_TYPE_PREFIXES = (
    "application/vnd.amazonaws.connect.message.",
    "application/vnd.amazonaws.connect.event.",
)


class Terminal:
    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, width=None if stream.isatty() else _PLAIN_WIDTH)

    @property
    def width(self) -> int:
        return self._console.width

    @property
    def is_interactive(self) -> bool:
        """Whether a status is seen."""
        return self._console.is_terminal

    def print(self, *objects: RenderableType) -> None:
        if self._console.is_terminal:
            self._console.print(*objects)
            return
        with self._console.capture() as captured:
            self._console.print(*objects)
        for line in captured.get().splitlines():
            self._console.file.write(f"{line.rstrip()}\n")
        self._console.file.flush()

    def print_to_paste(self, text: str) -> None:
        """Print a text of one line or more as it is, however wide: it is to be copied."""
        self._console.file.write(f"{text}\n")
        self._console.file.flush()

    def print_line(self, text: Text) -> None:
        """Print one line, cut short where the terminal ends."""
        text.truncate(self.width, overflow="ellipsis")
        self.print(text)

    @contextmanager
    def status(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show on a terminal what is being waited for; give a function that changes it."""
        with self._console.status(text) as status:
            yield status.update

    @contextmanager
    def starting(self) -> Iterator[Callable[[str, str], None]]:
        """Give a function that tells of each part of the local stack when it is ready."""
        since = time.monotonic()
        with self.status("Starting the local stack"):

            def ready(part: str, text: str) -> None:
                nonlocal since
                now = time.monotonic()
                self.print(
                    Text.assemble(("✓ ", "green"), f"{part:<20}  {text}  ", (f"{now - since:.1f} s", "dim"))
                )
                since = now

            yield ready

    def stopped(self) -> None:
        self.print(Text("Stopped, and everything that was started with it.", style="dim"))


def transcript_table(items: Iterable[TranscriptItem]) -> Table:
    """Lay out a transcript. The lines of a message stay in its column, so none looks like another message."""
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


def _short(type_: str) -> str:
    for prefix in _TYPE_PREFIXES:
        type_ = type_.removeprefix(prefix)
    return type_
