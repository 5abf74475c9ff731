"""A command and its terminal: the signals that stop it, and the text that it prints.

Standard library only: `make` installs everything else with a program that uses this.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Stop(threading.local):
    """The signal that stops the program, and how many open blocks it waits for.

    Python runs signal handlers in the main thread, so the blocks of other threads do not count.
    """

    blocks: int = 0
    number: int | None = None

    def act(self) -> None:
        if self.number is not None and not self.blocks:
            number, self.number = self.number, None
            raise SystemExit(128 + number)


_STOP: Final = _Stop()


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let the first SIGINT, SIGTERM or SIGHUP raise `SystemExit(128 + number)`, and ignore later ones.

    So a second Ctrl-C does not cut short the cleanup that the first one began. Main thread only.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in _STOP_SIGNALS:
            signal.signal(each, lambda _number, _frame: None)
        _STOP.number = number
        _STOP.act()

    previous = {number: signal.signal(number, stop) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Let `stopped_by_signals` raise only when this block ends, or the outermost of nested blocks.

    A signal mask would not do: it holds for one thread, and the kernel gives the signal to another.
    """
    _STOP.blocks += 1
    try:
        yield
    finally:
        _STOP.blocks -= 1
        _STOP.act()
