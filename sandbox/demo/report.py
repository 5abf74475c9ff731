"""Prints the demo: outcomes, transcripts, totals and checks."""

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

_WIDTH_FOR_ALL_COLUMNS = 140
_LEFT_OUT = {"event source", "message id", "time (UTC)"}  # on a narrower terminal


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
        self._print(Text(printable(f"{messages} for {count} from {path}")))
        self._print(Text(printable(f"Chats: {chats}")))
        self._print()

    @contextmanager
    def sending(self, total: int) -> Iterator[Callable[[int], None]]:
        """Yield a function that shows the number of results so far."""
        with self._terminal.status(f"Sending {total} messages") as update:
            yield lambda count: update(f"Sending {total} messages: {count} results")

    def run(self, run: Run, checks: Sequence[Check]) -> None:
        self._outcomes(run.sendings)
        self._transcripts(run.chats)
        self._totals(run, checks)

    def _outcomes(self, sendings: Sequence[Sending]) -> None:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        left_out = set() if self._terminal.width >= _WIDTH_FOR_ALL_COLUMNS else _LEFT_OUT
        rows = [_outcome_row(sending) for sending in sendings]
        headings = [heading for heading in rows[0] if heading not in left_out]
        for heading in headings:
            table.add_column(heading, no_wrap=heading != "note")
        for row in rows:
            table.add_row(*(row[heading] for heading in headings))
        self._print()
        self._print(Text("Outcomes", style="bold"))
        self._print(table)

    def _transcripts(self, records: Sequence[ChatRecord]) -> None:
        self._print(Text("Transcripts of the participant service", style="bold"))
        for record in records:
            self._print()
            self._print(
                Text.assemble(
                    (printable(record.chat.name), "bold cyan"),
                    (printable(f"  contact {record.contact_id}"), "dim"),
                    ("  ended at the start" if record.chat.ended else "", "dim"),
                    (f"  {record.connections} connection tokens" if record.connections > 1 else "", "dim"),
                )
            )
            self._print(Padding(transcript_table(record.transcript), (0, 0, 0, 2)))

    def _totals(self, run: Run, checks: Sequence[Check]) -> None:
        outcomes = Counter(str(outcome_of(sending) or "no result") for sending in run.sendings)
        shown = sum(len(record.transcript) for record in run.chats)
        self._print()
        self._print(Text("Totals", style="bold"))
        messages, transcripts = _count(run.sendings, "message"), _count(run.chats, "transcript")
        self._print(Text(f"  {messages}, {shown} shown in {transcripts}"))
        for outcome, count in outcomes.most_common():
            self._print(Text(printable(f"  {count:>4} {outcome}")))
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
            self._print(Text(f"The logs of all parts are in {folder}/*.log"))


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}" if len(things) == 1 else f"{len(things)} {name}s"


def _outcome_row(sending: Sending) -> dict[str, Text]:
    message, result, outcome = sending.message, sending.result, outcome_of(sending)
    style = OUTCOME_STYLES[outcome.outcome] if outcome and as_expected(sending) else "bold red"
    note = message.note if as_expected(sending) else f"expected {message.expected}"
    return {
        "line": Text(f"{message.number:>4}", style="dim"),
        "through": Text(message.through),
        "event source": Text(printable(result.event_source if result else "")),
        "chat": Text(printable(message.chat)),
        "outcome": Text(printable(outcome.outcome if outcome else "no result"), style=style),
        "code": Text(printable((outcome and outcome.code) or ""), style=style),
        "message id": Text(printable((result and result.message_id) or "")),
        "time (UTC)": Text(time_of_day(result.completed_at) if result else ""),
        "note": Text(printable(note), style="dim" if as_expected(sending) else "bold red"),
    }
