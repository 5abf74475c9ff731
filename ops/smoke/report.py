"""Print the smoke test: in colour on a terminal, else as plain text. No token gets here."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from ops.stack.printable import printable
from ops.stack.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from ops.smoke.run import Run, Sending

_RIGHTS = (
    "sqs:CreateQueue, GetQueueAttributes, SetQueueAttributes, ReceiveMessage, DeleteMessage, GetQueueUrl, "
    "DeleteQueue and events:PutRule, PutTargets, PutEvents, RemoveTargets, DeleteRule"
)


class Report:
    def __init__(self, stream: TextIO) -> None:
        self._terminal = Terminal(stream)

    @contextmanager
    def progress(self) -> Iterator[Callable[[str], None]]:
        """Yield a function that shows the current step."""
        with self._terminal.status("") as update:

            def show(text: str) -> None:
                update(text)
                if not self._terminal.is_interactive:
                    self._line(f"{text} ...")

            yield show

    def left_behind(self, command: str) -> None:
        self._line("This test could not delete everything. Delete the rest with:", "bold red")
        self._terminal.print_to_paste(f"    {command}")

    def run(self, run: Run) -> None:
        ended = f"ended by {run.chat_ended_by}" if run.chat_ended_by else "not ended by this test"
        self._terminal.print()
        self._line(f"Messages to contact {run.contact_id}, {ended}", "bold")
        table = _table()
        for heading in ("", "source", "answer", "result", "in the transcript"):
            table.add_column(heading, no_wrap=True)
        table.add_column("problem", ratio=1)
        for sending in run.sendings:
            table.add_row(*_row(run, sending))
        self._terminal.print(table)
        if run.not_watched is not None:
            self._line(f"The results were not watched: {run.not_watched}. To watch them, allow {_RIGHTS}.")
            self._terminal.print()
        self._line("Behaviour of the Participant Service (does not affect the outcome)", "bold")
        table = _table(show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(ratio=1)
        for experiment in run.experiments:
            table.add_row(experiment.name, Text(printable(experiment.observed(run.transcript))))
        self._terminal.print(table)
        if run.passed:
            self._line("Every message was sent and is in the transcript once.", "bold green")
        else:
            self._line("Some messages were not sent, or are not in the transcript exactly once.", "bold red")

    def _line(self, text: str, style: str = "") -> None:
        self._terminal.print(Text(printable(text), style=style))


def _table(*, show_header: bool = True) -> Table:
    return Table(box=box.SIMPLE_HEAD, show_header=show_header, pad_edge=False, padding=(0, 2, 0, 0))


def _row(run: Run, sending: Sending) -> Iterator[Text]:
    problems, result = run.problems(sending), run.results.get(sending.client_token)
    times = run.transcript.count(sending.text)
    yield Text("✗", style="red") if problems else Text("✓", style="green")
    yield Text(sending.source)
    yield Text(printable(sending.outcome or ("accepted" if sending.problem is None else "refused")))
    yield Text(printable(result.outcome if result else "none" if run.not_watched is None else "not watched"))
    yield Text("once" if times == 1 else f"{times} times")
    yield Text(printable("; ".join(problems)), style="red")
