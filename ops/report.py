"""What the commands print: a line for each letter when it is handled, then the totals. Never what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.cells import cell_len, set_cell_size

from ops.dead_letters import DeadLetter
from ops.redrive import Done
from ops.stack.printable import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from typing import TextIO

    from ops.redrive import Handled, Totals
    from ops.republish import KeptResult, Republished

_ID: Final = 36
"""The width of a UUID, which most ids are."""
_LETTER: Final = (8, 4, 20, 9, _ID, _ID, _ID)
_RESULT: Final = (8, 16, _ID, _ID)
"""Widths of columns. The last column has none."""

_MINUTES_UP_TO: Final = 120
_HOURS_UP_TO: Final = 48


class Report:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._has_heading = False

    def line(self, text: str = "") -> None:
        self._stream.write(f"{printable(text)}\n")
        self._stream.flush()

    def letter(self, handled: Handled) -> None:
        self._heading(_LETTER, "", "age", "code", "delivered", "source id", "client token", "group", "why")
        letter = handled.letter
        if isinstance(letter, DeadLetter):
            origin, group = letter.origin, letter.message_group or "-"
            delivered = "maybe" if origin.maybe_delivered else "no"
            what = (letter.code, delivered, origin.source_id, letter.client_token, group)
        else:
            what = ("-", "-", letter.message_id, "-", "-")
        self._row(_LETTER, handled.done, _age(handled.age), *what, handled.reason)

    def redriven(self, totals: Totals, *, dry_run: bool, waiting: int) -> None:
        """Print the totals.

        Args:
            waiting: About how many letters the queue held before.
        """
        count = totals.count
        seen = count.total()
        would = "would be " if dry_run else ""
        self.line()
        self.line(
            f"{count[Done.REDRIVEN]} {would}put back, {count[Done.SETTLED]} {would}given an outcome, "
            f"{count[Done.DISCARDED]} {would}discarded, {count[Done.LEFT]} left, "
            f"{counted(count[Done.ERROR], 'error')}"
            if seen
            else "No letters"
        )
        if totals.dead_tokens:
            self.line(
                f"{totals.dead_tokens} put back with a connection token of more than a day: it has expired"
            )
        if totals.due:
            self.line(f"{totals.due} left without an outcome: SETTLE=yes publishes it")
        if count[Done.ERROR]:
            self.line("Nothing is lost: what could not be done can be repeated")
        if not totals.is_complete:
            self.line(
                f"Not all letters were looked at, for lack of time: {seen} of about {waiting}. Repeat this"
            )
        elif seen < waiting:
            self.line(
                f"Looked at: {seen} of about {counted(waiting, 'letter')}. "
                "Of a group whose first ten stay, SQS does not give the rest"
            )

    def result(self, result: KeptResult | None, problem: str | None) -> None:
        self._heading(_RESULT, "", "result", "source id", "client token", "why")
        what = (
            (result.entry["DetailType"], result.source_id, result.client_token or "-")
            if result
            else ("-", "-", "-")
        )
        self._row(_RESULT, "publish" if problem is None else "error", *what, problem or "")

    def republished(self, totals: Republished, *, dry_run: bool) -> None:
        self.line()
        would = "would be " if dry_run else ""
        self.line(
            f"{totals.published} {would}published, {counted(totals.errors, 'error')}"
            if totals.published or totals.errors
            else "No results"
        )
        if not totals.is_complete:
            self.line("Not all results were looked at. Repeat this")

    def _heading(self, widths: Sequence[int], *texts: str) -> None:
        """Print the names of the columns, before the first row."""
        if not self._has_heading:
            self._has_heading = True
            self.line()
            self._row(widths, *texts)

    def _row(self, widths: Sequence[int], *texts: str) -> None:
        *columns, last = texts
        cells = [_cell(text, width) for text, width in zip(columns, widths, strict=True)]
        # Escaped before the blanks at the end go: these can be characters that split a line
        self.line("  ".join([*cells, printable(last)]).rstrip())


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 letter`, `2 letters`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _cell(text: str, width: int) -> str:
    """Fit a text to a width in terminal columns: an ideograph takes two, a combining mark none."""
    text = printable(text)
    return set_cell_size(text, width) if cell_len(text) <= width else f"{set_cell_size(text, width - 1)}…"


def _age(age: timedelta | None) -> str:
    if age is None:
        return "-"
    minutes = max(0, int(age.total_seconds())) // 60
    if minutes < _MINUTES_UP_TO:
        return f"{minutes}m"
    hours = minutes // 60
    return f"{hours}h" if hours < _HOURS_UP_TO else f"{hours // 24}d"
