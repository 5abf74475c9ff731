"""Print to a terminal in colour, and elsewhere as plain text."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from rich.console import RenderableType

_PLAIN_WIDTH = 160


class Terminal:
    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, width=None if stream.isatty() else _PLAIN_WIDTH)

    @property
    def width(self) -> int:
        return self._console.width

    @property
    def is_interactive(self) -> bool:
        """Whether a status line is visible."""
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
        """Print one or more lines unchanged, however wide, so that they can be copied."""
        self._console.file.write(f"{text}\n")
        self._console.file.flush()

    def print_line(self, text: Text) -> None:
        """Print one line, truncated to the terminal's width."""
        text.truncate(self.width, overflow="ellipsis")
        self.print(text)

    @contextmanager
    def status(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show a status line on a terminal. Yield a function that changes it."""
        with self._console.status(text) as status:
            yield status.update

    @contextmanager
    def starting(self) -> Iterator[Callable[[str, str], None]]:
        """Yield a function that reports each part of the local stack as ready."""
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
        self.print(Text("Stopped. All processes have ended.", style="dim"))
