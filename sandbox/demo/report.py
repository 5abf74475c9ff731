"""What the demo prints: in colour on a terminal, else as plain text."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sandbox.demo.verdict import as_expected, outcome_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence, Sized
    from pathlib import Path
    from typing import TextIO

    from rich.console import RenderableType

    from sandbox.demo.message_file import MessageFile
    from sandbox.demo.run import ChatRecord, Run, Sending
    from sandbox.demo.verdict import Check

_PLAIN_WIDTH = 160
_WIDTH_FOR_NOTES = 140
_EVENT_SOURCES = {"queue": "sqs", "direct": "direct"}
_STYLES = {"SENT": "green", "REJECTED": "yellow", "FAILED": "red"}


class Report:
    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, width=None if stream.isatty() else _PLAIN_WIDTH)

    def _print(self, *objects: RenderableType) -> None:
        if self._console.is_terminal:
            self._console.print(*objects)
            return
        with self._console.capture() as captured:
            self._console.print(*objects)
        for line in captured.get().splitlines():
            self._console.file.write(f"{line.rstrip()}\n")
        self._console.file.flush()

    def introduction(self, file: MessageFile, path: Path) -> None:
        chats = ", ".join(chat.name for chat in file.chats)
        self._print()
        self._print(Text("connect-message-sender", style="bold"))
        messages, count = _count(file.messages, "message"), _count(file.chats, "chat")
        self._print(Text(printable(f"{messages} for {count} ({chats}) from {path}")))
        self._print()

    @contextmanager
    def starting(self) -> Iterator[Callable[[str, str], None]]:
        """Give a function that tells of each part of the local stack when it is ready."""
        since = time.monotonic()
        with self._console.status("Starting the local stack") as status:

            def ready(part: str, text: str) -> None:
                nonlocal since
                now = time.monotonic()
                line = Text.assemble(
                    ("✓ ", "green"), f"{part:<20}  {text}  ", (f"{now - since:.1f} s", "dim")
                )
                self._print(line)
                status.update("Starting the local stack")
                since = now

            yield ready

    @contextmanager
    def sending(self, total: int) -> Iterator[Callable[[int], None]]:
        """Give a function that tells how many results have come."""
        with self._console.status(f"Sending {total} messages") as status:
            yield lambda count: status.update(f"Sending {total} messages: {count} results")

    def run(self, run: Run, checks: Sequence[Check]) -> None:
        self._outcomes(run.sendings)
        self._transcripts(run.chats)
        self._totals(run, checks)

    def stopped(self) -> None:
        self._print(Text("Stopped, and everything that was started with it.", style="dim"))

    def _outcomes(self, sendings: Sequence[Sending]) -> None:
        with_notes = self._console.width >= _WIDTH_FOR_NOTES
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("line", justify="right", style="dim")
        # On a narrow terminal these two give way
        narrowing = {"event source", "message id"}
        for heading in ("event source", "chat", "outcome", "code", "message id", "time (UTC)"):
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
                    (f"  contact {record.contact_id}", "dim"),
                    ("  ended before its first message" if record.chat.ended else "", "dim"),
                )
            )
            table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
            table.add_column(style="dim", no_wrap=True)
            table.add_column(style="dim", no_wrap=True)
            table.add_column(ratio=1, overflow="fold")
            for item in record.transcript:
                table.add_row(
                    _time_of_day(item.absolute_time),
                    _short(item.content_type),
                    Text(printable(item.content or "")),
                )
            if not record.transcript:
                table.add_row("no message", "", "")
            self._print(Padding(table, (0, 0, 0, 2)))

    def _totals(self, run: Run, checks: Sequence[Check]) -> None:
        outcomes = Counter(str(outcome_of(sending) or "no result") for sending in run.sendings)
        shown = sum(len(record.transcript) for record in run.chats)
        counts = ", ".join(f"{count} {name}" for name, count in outcomes.most_common())
        self._print()
        self._print(Text("Totals", style="bold"))
        messages, transcripts = _count(run.sendings, "message"), _count(run.chats, "transcript")
        self._print(Text(f"  {messages}: {counts}; {shown} shown in {transcripts}"))
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


def printable(text: str) -> str:
    """Show control characters as escapes: a message must not steer the terminal."""
    return "".join(
        character
        if character.isprintable() or character == "\n"
        else character.encode("unicode_escape").decode()
        for character in text
    )


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}" if len(things) == 1 else f"{len(things)} {name}s"


def _outcome_row(sending: Sending) -> list[Text]:
    message, result = sending.message, sending.result
    style = _STYLES[result.outcome] if result and as_expected(sending) else "bold red"
    note = message.note if as_expected(sending) else f"expected {message.expected}"
    return [
        Text(str(message.number)),
        Text(_EVENT_SOURCES[message.route]),
        Text(printable(message.chat)),
        Text(result.outcome if result else "no result", style=style),
        Text((result.code if result else None) or "", style=style),
        Text((result.message_id if result else None) or "", no_wrap=True, overflow="ellipsis"),
        Text(_time_of_day(result.completed_at) if result else ""),
        Text(printable(note), style="dim" if as_expected(sending) else "bold red"),
    ]


def _time_of_day(moment: str) -> str:
    return datetime.fromisoformat(moment).time().isoformat(timespec="milliseconds")


def _short(content_type: str) -> str:
    return content_type.removeprefix("application/vnd.amazonaws.connect.message.")
