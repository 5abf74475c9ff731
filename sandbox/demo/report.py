"""What the demo prints."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ops.stack.printable import printable
from sandbox.demo.verdict import as_expected, outcome_of
from sandbox.display import OUTCOME_STYLES, time_of_day, transcript_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence, Sized
    from pathlib import Path

    from rich.console import RenderableType

    from ops.stack.terminal import Terminal
    from sandbox.demo.message_file import MessageFile
    from sandbox.demo.run import ChatRecord, Run, Sending
    from sandbox.demo.verdict import Check

_WIDTH_FOR_NOTES = 140


class Report:
    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def _print(self, *objects: RenderableType) -> None:
        self._terminal.print(*objects)

    def introduction(self, file: MessageFile, path: Path) -> None:
        chats = ", ".join(chat.name for chat in file.chats)
        self._print()
        self._print(Text("connect-message-sender", style="bold"))
        messages, count = _count(file.messages, "message"), _count(file.chats, "chat")
        self._print(Text(printable(f"{messages} for {count} ({chats}) from {path}")))
        self._print()

    @contextmanager
    def sending(self, total: int) -> Iterator[Callable[[int], None]]:
        """Give a function that tells how many results have come."""
        with self._terminal.status(f"Sending {total} messages") as update:
            yield lambda count: update(f"Sending {total} messages: {count} results")

    def run(self, run: Run, checks: Sequence[Check]) -> None:
        self._outcomes(run.sendings)
        self._transcripts(run.chats)
        self._totals(run, checks)

    def _outcomes(self, sendings: Sequence[Sending]) -> None:
        with_notes = self._terminal.width >= _WIDTH_FOR_NOTES
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("line", justify="right", style="dim")
        # On a narrow terminal these two give way
        narrowing = {"event source", "message id"}
        for heading in ("through", "event source", "chat", "outcome", "code", "message id", "time (UTC)"):
            table.add_column(heading, no_wrap=heading not in narrowing)
        if with_notes:
            table.add_column("what the line shows", ratio=1)
        for sending in sendings:
            row = _outcome_row(sending)
            table.add_row(*row if with_notes else row[:-1])
        self._print()
        self._print(Text("Outcomes", style="bold"))
        self._print(table)

    def _transcripts(self, records: Sequence[ChatRecord]) -> None:
        self._print(Text("Transcripts, as the participant service has them", style="bold"))
        for record in records:
            self._print()
            self._print(
                Text.assemble(
                    (printable(record.chat.name), "bold cyan"),
                    (printable(f"  contact {record.contact_id}"), "dim"),
                    ("  ended before its first message" if record.chat.ended else "", "dim"),
                    (f"  {record.connections} connection tokens" if record.connections > 1 else "", "dim"),
                )
            )
            self._print(Padding(transcript_table(record.transcript), (0, 0, 0, 2)))

    def _totals(self, run: Run, checks: Sequence[Check]) -> None:
        outcomes = Counter(str(outcome_of(sending) or "no result") for sending in run.sendings)
        shown = sum(len(record.transcript) for record in run.chats)
        counts = ", ".join(f"{count} {name}" for name, count in outcomes.most_common())
        self._print()
        self._print(Text("Totals", style="bold"))
        messages, transcripts = _count(run.sendings, "message"), _count(run.chats, "transcript")
        self._print(Text(printable(f"  {messages}: {counts}; {shown} shown in {transcripts}")))
        self._print()
        for check in checks:
            mark = ("✓ ", "green") if check.passed else ("✗ ", "red")
            self._print(Text.assemble(mark, check.title))
            for problem in check.problems:
                self._print(Text(f"    {printable(problem)}", style="red"))

    def verdict(self, *, passed: bool, folder: Path) -> None:
        self._print()
        if passed:
            self._print(Text("Everything is as expected.", style="bold green"))
        else:
            self._print(Text("Not everything is as expected.", style="bold red"))
            self._print(Text(f"What each part said is in {folder}/*.log"))


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}" if len(things) == 1 else f"{len(things)} {name}s"


def _outcome_row(sending: Sending) -> list[Text]:
    message, result, outcome = sending.message, sending.result, outcome_of(sending)
    style = OUTCOME_STYLES[outcome.outcome] if outcome and as_expected(sending) else "bold red"
    note = message.note if as_expected(sending) else f"expected {message.expected}"
    return [
        Text(str(message.number)),
        Text(message.route),
        Text(printable("" if result is None else result.event_source)),
        Text(printable(message.chat)),
        Text(printable(outcome.outcome if outcome else "no result"), style=style),
        Text(printable((outcome.code if outcome else None) or ""), style=style),
        Text(printable((result.message_id if result else None) or ""), no_wrap=True, overflow="ellipsis"),
        Text(time_of_day(result.completed_at) if result else ""),
        Text(printable(note), style="dim" if as_expected(sending) else "bold red"),
    ]
