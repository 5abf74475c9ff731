"""Print what a command does, but never a message's content or a token.

On a terminal it is in colour, elsewhere plain text.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ops.redrive import Done
from ops.stack.printable import printable
from ops.stack.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import timedelta
    from typing import TextIO

    from ops.redrive import Handled, Totals
    from ops.smoke.run import Run, Sending

_UUID: Final = 36
_DEAD_LETTER: Final = {
    "": 8,
    "age": 4,
    "code": 20,
    "delivered": 9,
    "source id": _UUID,
    "client token": _UUID,
    "group": _UUID,
    "reason": 0,
}
"""Columns and their widths. The last one is as wide as its text."""

_MINUTES_UP_TO: Final = 120
_HOURS_UP_TO: Final = 48

_RIGHTS: Final = (
    "sqs:CreateQueue, GetQueueAttributes, SetQueueAttributes, ReceiveMessage, DeleteMessage, GetQueueUrl, "
    "DeleteQueue and events:PutRule, PutTargets, PutEvents, RemoveTargets, DeleteRule"
)


class Report:
    def __init__(self, stream: TextIO) -> None:
        self._terminal = Terminal(stream)
        self._has_heading = False

    def line(self, text: str = "") -> None:
        self._terminal.print_to_paste(printable(text))

    def styled(self, text: str, style: str = "") -> None:
        self._terminal.print(Text(printable(text), style=style))

    def dead_letter(self, handled: Handled) -> None:
        dead_letter = handled.dead_letter
        cells = ["-", "-", handled.message_id, "-", "-"]
        if dead_letter:
            origin, group = dead_letter.origin, dead_letter.message_group or "-"
            delivered = "maybe" if origin.maybe_delivered else "no"
            cells = [dead_letter.code, delivered, origin.source_id, dead_letter.client_token, group]
        self._entry(_DEAD_LETTER, handled.done, _age(handled.age), *cells, handled.reason)

    def totals(self, totals: Totals, *, dry_run: bool, waiting: int = 0) -> None:
        """Print the totals.

        Args:
            waiting: Approximate number of messages before the run, if known.
        """
        seen = totals.count.total()
        words = {done: f"to {done}" if dry_run else done.name.lower() for done in Done}
        words[Done.ERROR] = "failed"
        counts = [f"{count} {words[done]}" for done in Done if (count := totals.count[done])]
        self.line()
        self.line(", ".join(counts) or "SQS returned no messages.")
        if totals.expired_tokens:
            self.line(f"{totals.expired_tokens} with an expired connection token: it is older than a day.")
        if totals.need_results:
            self.line(f"{totals.need_results} kept without a result: --finalize publishes it.")
        if seen < waiting:
            self.line(f"Handled: {seen} of about {waiting}.")
            self.line("The others may be in flight, or behind ten messages of their group that stay.")
        if not totals.is_complete:
            self.line("The time of one run is over.")
        if not totals.all_done:
            self.line("Nothing is lost. Run the command again to handle the rest.")

    @contextmanager
    def progress(self) -> Iterator[Callable[[str], None]]:
        """Yield a function that shows the current step."""
        with self._terminal.status("") as update:

            def show(text: str) -> None:
                update(text)
                if not self._terminal.is_interactive:
                    self.styled(f"{text} ...")

            yield show

    def left_behind(self, command: str) -> None:
        self.styled("This test could not delete everything. Delete the rest with:", "bold red")
        self._terminal.print_to_paste(f"    {command}")

    def smoke_test(self, run: Run) -> None:
        ended = f"ended by {run.chat_ended_by}" if run.chat_ended_by else "not ended by this test"
        self._terminal.print()
        self.styled(f"Messages to contact {run.contact_id}, {ended}", "bold")
        table = _table()
        for heading in ("", "source", "answer", "result", "in the transcript"):
            table.add_column(heading, no_wrap=True)
        table.add_column("problem", ratio=1)
        for sending in run.sendings:
            table.add_row(*_cells(run, sending))
        self._terminal.print(table)
        if run.not_watched is not None:
            self.styled(f"The results were not watched: {run.not_watched}. To watch them, allow {_RIGHTS}.")
            self._terminal.print()
        self.styled("Behaviour of the Participant Service (does not affect the outcome)", "bold")
        table = _table(show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(ratio=1)
        for experiment in run.experiments:
            table.add_row(experiment.name, Text(printable(experiment.observed(run.transcript))))
        self._terminal.print(table)
        if run.passed:
            self.styled("Every message was sent and is in the transcript once.", "bold green")
        else:
            self.styled("Some messages were not sent, or are not in the transcript exactly once.", "bold red")

    def _entry(self, columns: Mapping[str, int], *cells: str) -> None:
        """Print a row, and the heading before the first one. On a narrow terminal, each id gets a line."""
        names, texts = list(columns), [printable(cell) for cell in cells]
        row_width = sum(width + 2 for width in columns.values())
        is_narrow = self._terminal.is_interactive and self._terminal.width < row_width
        split = names.index("source id") if is_narrow else len(names)
        if not self._has_heading:
            self._has_heading = True
            self.line()
            self.line(_row(names[:split], columns.values()))
        self.line(_row(texts[:split], columns.values()))
        if is_narrow:
            details = Table.grid(padding=(0, 2, 0, 0))
            for name, text in zip(names[split:], texts[split:], strict=True):
                if text.strip("-"):
                    details.add_row(name, Text(text, overflow="fold"))
            self._terminal.print(Padding(details, (0, 0, 0, 10)))


def _row(texts: Iterable[str], widths: Iterable[int]) -> str:
    return "  ".join(_cell(text, width) for text, width in zip(texts, widths, strict=False)).rstrip()


def _cell(text: str, width: int) -> str:
    """Fit a text to a width in terminal columns: an ideograph takes two, a combining mark none."""
    cell = Text(text)
    if width:
        cell.truncate(width, overflow="ellipsis", pad=True)
    return cell.plain


def _age(age: timedelta | None) -> str:
    if age is None:
        return "-"
    minutes = max(0, int(age.total_seconds())) // 60
    if minutes < _MINUTES_UP_TO:
        return f"{minutes}m"
    hours = minutes // 60
    return f"{hours}h" if hours < _HOURS_UP_TO else f"{hours // 24}d"


def _table(*, show_header: bool = True) -> Table:
    return Table(box=box.SIMPLE_HEAD, show_header=show_header, pad_edge=False, padding=(0, 2, 0, 0))


def _cells(run: Run, sending: Sending) -> Iterator[Text]:
    problems, result = run.problems(sending), run.results.get(sending.client_token)
    times = run.transcript.count(sending.text)
    yield Text("✗", style="red") if problems else Text("✓", style="green")
    yield Text(sending.source)
    yield Text(printable(sending.outcome or ("accepted" if sending.problem is None else "refused")))
    yield Text(printable(result.outcome if result else "none" if run.not_watched is None else "not watched"))
    yield Text("once" if times == 1 else f"{times} times")
    yield Text(printable("; ".join(problems)), style="red")
