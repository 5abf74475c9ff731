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
        """Yield a function that shows the current step."""
        with self._terminal.status("") as update:

            def show(text: str) -> None:
                update(text)
                if not self._terminal.is_interactive:
                    self._terminal.print(Text(f"{text} ..."))

            yield show

    def left_behind(self, command: str) -> None:
        self._terminal.print(
            Text("This test could not delete everything. Delete the rest with:", style="bold red")
        )
        self._terminal.print_to_paste(f"    {command}")

    def run(self, run: Run) -> None:
        ended = f"ended by {run.chat_ended_by}" if run.chat_ended_by else "not ended by this test"
        self._terminal.print()
        self._terminal.print(Text(printable(f"Messages to contact {run.contact_id}, {ended}"), style="bold"))
        self._deliveries(run.deliveries, results_watched=run.not_watched is None)
        if run.not_watched is not None:
            self._terminal.print(
                Text(
                    printable(
                        f"The results were not watched: {run.not_watched}. To watch them, allow {_RIGHTS}."
                    )
                )
            )
            self._terminal.print()
        self._terminal.print(
            Text(
                "Behaviour of the Participant Service (does not affect the outcome)",
                style="bold",
            )
        )
        self._observations(run.observations)
        if run.passed:
            self._terminal.print(
                Text("Every message was sent and is in the transcript once.", style="bold green")
            )
        else:
            self._terminal.print(
                Text(
                    "Some messages were not sent, or are not in the transcript exactly once.",
                    style="bold red",
                )
            )

    def _deliveries(self, deliveries: Sequence[Delivery], *, results_watched: bool) -> None:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
        for heading in ("", "source", "answer", "result", "in the transcript"):
            table.add_column(heading, no_wrap=True)
        table.add_column("problem", ratio=1)
        for delivery in deliveries:
            sending, result = delivery.sending, delivery.result
            mark = Text("✗", style="red") if delivery.problems else Text("✓", style="green")
            answer = sending.outcome or ("accepted" if sending.problem is None else "refused")
            outcome = result.outcome if result else "none" if results_watched else "not watched"
            table.add_row(
                mark,
                sending.source,
                Text(printable(answer)),
                Text(printable(outcome)),
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
