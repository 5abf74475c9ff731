"""A command and its terminal: the signals that stop it, and the text that it prints.

Standard library only: `make` installs everything else with a program that uses this.
"""

from __future__ import annotations

import signal
import threading
import unicodedata
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_ORDINARY_FORMAT: Final = frozenset(
    "\u200b\u200c\u200d\u2060"  # joiners and word breaks: Persian, Khmer, Thai; emoji of several parts
    "\u061c\u200e\u200f"  # direction marks
    "\xad"  # soft hyphen
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"  # visible signs
)


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
        for each in heeded:
            signal.signal(each, lambda _number, _frame: None)
        _STOP.number = number
        _STOP.act()

    # nohup asks for the end of the session to be ignored
    heeded = [
        number
        for number in _STOP_SIGNALS
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
    ]
    previous = {number: signal.signal(number, stop) for number in heeded}
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


def printable(text: str, *, lines: bool = False) -> str:
    r"""Escape the characters that steer a terminal, split a line or hide text, as in `\x9b` or `\u202e`.

    Use it for every text of a producer, a chat or a service. It escapes, by Unicode's general categories:

    - controls (Cc) and the line and paragraph separators (Zl, Zp);
    - format characters (Cf), such as tags, the byte order mark, and the direction embeddings, overrides and
      isolates, which reorder the rest of the line. The ones that ordinary text needs stay: joiners, the soft
      hyphen, visible signs, and direction marks, which reorder no more than a letter does;
    - surrogates (Cs), and private or unassigned code points (Co, Cn): terminals differ in what they show. An
      emoji that is younger than this Python stays.

    DeadLetters, marks, symbols, spaces and backslashes stay. An escaped text stays as it is.

    Args:
        lines: Whether line feeds stay, because the text is shown as lines.
    """
    return "".join(
        character
        if character.isprintable()
        or character in _ORDINARY_FORMAT
        or "\U0001f300" <= character <= "\U0001faff"
        or unicodedata.category(character) == "Zs"
        or (lines and character == "\n")
        else character.encode("unicode_escape").decode()
        for character in text
    )
