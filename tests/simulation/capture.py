"""Captures the function's output and searches it for secrets at once: all of it would be too much to keep."""

from __future__ import annotations

import io
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_RUN: Final = re.compile(r"[A-Za-z0-9+/]{16,}")
"""Long enough to be a piece of a connection token, and not a word."""
_PIECE: Final = 16
_MOST_LEAKS: Final = 100


class Capture(io.TextIOBase):
    """Standard output, standard error and log of all instances.

    Args:
        secret_words: Each of them is a secret wherever it appears.
        secrets: Returns secrets of which even 16 characters must not appear.

    Attributes:
        leaks: Captured texts that hold a secret, at most the first hundred.
        lines: Of the log, by message.
        not_safe: Ids of messages whose results or copies the function has logged as not made.
        unhandled: Types of the errors that the function has logged as unhandled.
    """

    def __init__(self, *, secret_words: Iterable[str], secrets: Callable[[], Iterable[str]]) -> None:
        self._words = tuple(secret_words)
        self._secrets = secrets
        self._known: set[str] = set()
        self._secret_text = ""
        self._harmless: set[str] = set()
        self.leaks: list[str] = []
        self.lines: Counter[str] = Counter()
        self.not_safe: set[str] = set()
        self.unhandled: Counter[str] = Counter()

    def write(self, text: str) -> int:
        self.lines.update(re.findall(r'"message":"([^"]*)"', text))
        self.unhandled.update(re.findall(r'"error_type":"([^"]*)"', text))
        if '"message":"Result not published"' in text or '"message":"Copy not made"' in text:
            self.not_safe.update(re.findall(r'"correlation_id":"([^"]*)"', text))
        if self.holds_secret(text) and len(self.leaks) < _MOST_LEAKS:
            self.leaks.append(text)
        return len(text)

    def holds_secret(self, text: str) -> bool:
        """Return whether a text holds a secret, or a piece of one."""
        if any(word in text for word in self._words):
            return True
        for run in _RUN.findall(text):
            if run in self._harmless:
                continue
            if self._is_piece(run):
                return True
            self._harmless.add(run)
        return False

    def _is_piece(self, run: str) -> bool:
        secrets = set(self._secrets())
        if secrets != self._known:
            self._known = secrets
            self._secret_text = "\n".join(sorted(secrets))
            self._harmless.clear()
        pieces = (run[start : start + _PIECE] for start in range(0, len(run) - _PIECE + 1, _PIECE))
        return any(piece in self._secret_text for piece in pieces)
