"""Stop a command by SIGINT, SIGTERM or SIGHUP.

Standard library only: `make` uses this before anything is installed.
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


class _Pending(threading.local):
    """The signal received, and the number of open `defer_signals` blocks.

    Per thread: Python runs signal handlers in the main thread, so blocks of other threads must not count.
    """

    blocks: int = 0
    number: int | None = None

    def exit_if_due(self) -> None:
        if self.number is not None and not self.blocks:
            number, self.number = self.number, None
            raise SystemExit(128 + number)


_PENDING: Final = _Pending()


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Raise `SystemExit(128 + number)` at the first SIGINT, SIGTERM or SIGHUP, and ignore later ones.

    A second Ctrl-C thus cannot interrupt the cleanup that the first one started. Main thread only.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in handled:
            signal.signal(each, lambda _number, _frame: None)
        _PENDING.number = number
        _PENDING.exit_if_due()

    # nohup makes the process ignore SIGHUP: keep it that way
    handled = [
        number
        for number in _STOP_SIGNALS
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
    ]
    previous = {number: signal.signal(number, stop) for number in handled}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def defer_signals() -> Iterator[None]:
    """Delay the exit of `stopped_by_signals` until the outermost of these blocks ends.

    A signal mask is not enough: it covers one thread, and the kernel delivers the signal to another.
    """
    _PENDING.blocks += 1
    try:
        yield
    finally:
        _PENDING.blocks -= 1
        _PENDING.exit_if_due()
