"""Print to a terminal in colour, and elsewhere as plain text."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

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

    @contextmanager
    def status(self, text: str) -> Iterator[Callable[[str], None]]:
        """Show a status line on a terminal. Yield a function that changes it."""
        with self._console.status(text) as status:
            yield status.update
