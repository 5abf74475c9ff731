"""What the function writes: searched for secrets as it comes, since all of it would be too much to keep."""

from __future__ import annotations

import io
import re
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# A run of characters that could be a piece of a connection token, and no word
_RUN: Final = re.compile(r"[A-Za-z0-9+/]{16,}")


class Output(io.TextIOBase):
    """Standard output, error output and log of all instances.

    Args:
        secret_words: Any of these is a secret wherever it stands.
        secrets: Returns the secrets of which 16 characters are already too much.

    Attributes:
        leaks: What was written and holds a secret, the first hundred.
        lines: Of the log, by message.
        not_published: Ids of messages of whose results the function has said that they are safe nowhere.
        unhandled: Types of the errors that the function has told of as unhandled.
    """

    def __init__(self, *, secret_words: Iterable[str], secrets: Callable[[], Iterable[str]]) -> None:
        self._words = tuple(secret_words)
        self._secrets = secrets
        self._known: set[str] = set()
        self._secret_text = ""
        self._harmless: set[str] = set()
        self.leaks: list[str] = []
        self.characters = 0
        self.lines: Counter[str] = Counter()
        self.not_published: set[str] = set()
        self.unhandled: Counter[str] = Counter()

    def write(self, text: str) -> int:
        self.characters += len(text)
        self.lines.update(re.findall(r'"message":"([^"]*)"', text))
        self.unhandled.update(re.findall(r'"error_type":"([^"]*)"', text))
        if '"message":"Result not published"' in text:
            self.not_published.update(re.findall(r'"correlation_id":"([^"]*)"', text))
        if self.holds_secret(text) and len(self.leaks) < 100:
            self.leaks.append(text)
        return len(text)

    def holds_secret(self, text: str) -> bool:
        """Say whether a text holds a secret, or a piece of one."""
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
        pieces = (run[start : start + 16] for start in range(0, len(run) - 15, 16))
        return any(piece in self._secret_text for piece in pieces)
