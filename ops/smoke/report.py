"""What the test prints: in colour on a terminal, else as plain text. Tokens never get here."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from ops.stack.printable import printable
from ops.stack.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TextIO

    from ops.smoke.observations import Observation
    from ops.smoke.run import Delivery, Run

_RIGHTS = (
    "sqs:CreateQueue, GetQueueAttributes, SetQueueAttributes, ReceiveMessage, DeleteMessage, GetQueueUrl, "
    "DeleteQueue and events:PutRule, PutTargets, PutEvents, RemoveTargets, DeleteRule"
)


class Report:
    def __init__(self, stream: TextIO) -> None:
        self._terminal = Terminal(stream)

    @contextmanager
    def progress(self) -> Iterator[Callable[[str], None]]:
        """Give a function that shows what is going on."""
        with self._terminal.status("") as update:

            def show(text: str) -> None:
                update(text)
                if not self._terminal.is_interactive:
                    self._terminal.print(Text(f"{text} ..."))

            yield show

    def left_behind(self, command: str) -> None:
        self._terminal.print(
            Text("Something of this test is left in your account. Remove it with:", style="bold red")
        )
        self._terminal.print(Text(f"    {command}"))

    def run(self, run: Run) -> None:
        ended = f"ended by {run.chat_ended_by}" if run.chat_ended_by else "not ended by this test"
        self._terminal.print()
        self._terminal.print(Text(printable(f"Messages to contact {run.contact_id}, {ended}"), style="bold"))
        self._deliveries(run.deliveries, results_watched=run.not_watched is None)
        if run.not_watched is not None:
            self._terminal.print(
                Text(printable(f"The results were not watched: {run.not_watched}. That takes {_RIGHTS}."))
            )
            self._terminal.print()
        self._terminal.print(
            Text("What the Participant Service does, as seen now; nothing here is judged", style="bold")
        )
        self._observations(run.observations)
        if run.passed:
            self._terminal.print(
                Text("Every message was sent, and is in the transcript once.", style="bold green")
            )
        else:
            self._terminal.print(
                Text("Not every message was sent and is in the transcript once.", style="bold red")
            )

    def _deliveries(self, deliveries: Sequence[Delivery], *, results_watched: bool) -> None:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
        for heading in ("", "source", "answer", "result", "in the transcript"):
            table.add_column(heading, no_wrap=True)
        table.add_column("what is wrong", ratio=1)
        for delivery in deliveries:
            mark = Text("✗", style="red") if delivery.problems else Text("✓", style="green")
            result = (
                delivery.result.outcome if delivery.result else "none" if results_watched else "not watched"
            )
            answer = delivery.answer.outcome or ("accepted" if delivery.answer.problem is None else "refused")
            table.add_row(
                mark,
                delivery.source,
                Text(printable(answer)),
                Text(printable(result)),
                "once" if delivery.times_shown == 1 else f"{delivery.times_shown} times",
                Text(printable("; ".join(delivery.problems)), style="red"),
            )
        self._terminal.print(table)

    def _observations(self, observations: Sequence[Observation]) -> None:
        table = Table(box=box.SIMPLE_HEAD, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(ratio=1)
        for observation in observations:
            table.add_row(observation.what, Text(printable(observation.seen)))
        self._terminal.print(table)
