"""Lays out what the demo prints: outcomes, transcripts, totals and checks."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ops.stack.printable import printable
from sandbox.command_line import OUTCOME_STYLES, time_of_day, transcript_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence, Sized
    from pathlib import Path

    from rich.console import RenderableType

    from sandbox.demo.message_file import MessageFile
    from sandbox.demo.run import Run, Sending
    from sandbox.demo.verdict import Check

_VERBOSE = {"event source", "message id", "time (UTC)"}


def introduction(file: MessageFile, path: Path) -> Group:
    messages, count = _count(file.messages, "message"), _count(file.chats, "chat")
    chats = ", ".join(chat.name for chat in file.chats)
    return Group(
        Text("\nconnect-message-sender", style="bold"),
        Text(printable(f"{messages} for {count} from {path}")),
        Text(printable(f"Chats: {chats}")),
        Text(),
    )


def report(run: Run, checks: Sequence[Check], *, verbose: bool = False) -> Group:
    """Lay out a run.

    Args:
        verbose: With the ids and times of messages, which need 140 columns.
    """
    return Group(
        Text("\nOutcomes", style="bold"),
        _outcomes(run.sendings, verbose=verbose),
        Text("Transcripts of the participant service", style="bold"),
        *_transcripts(run, verbose=verbose),
        Text("\nTotals", style="bold"),
        *_totals(run),
        Text(),
        *checks_of(checks),
        Text(),
    )


def _outcomes(sendings: Sequence[Sending], *, verbose: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    rows = [_outcome_row(sending) for sending in sendings]
    headings = [each for each in rows[0] if verbose or each not in _VERBOSE]
    for heading in headings:
        table.add_column(heading, no_wrap=heading != "note")
    for row in rows:
        table.add_row(*(row[heading] for heading in headings))
    return table


def _outcome_row(sending: Sending) -> dict[str, Text]:
    message, result, outcome = sending.message, sending.result, sending.outcome
    style = OUTCOME_STYLES[outcome.outcome] if outcome and sending.is_as_expected else "bold red"
    note = message.note if sending.is_as_expected else f"expected {message.expected}"
    if message.repeats is not None and sending.is_as_expected:
        note = f"ClientToken of line {message.repeats}, whose text is another: one is shown. {note}"
    if len(sending.message_ids) > 1:
        note = f"{note} ({len(sending.message_ids)} parts)"
    return {
        "line": Text(f"{message.number:>4}", style="dim"),
        "through": Text(message.through),
        "event source": Text(printable(result.event_source if result else "")),
        "chat": Text(printable(message.chat)),
        "outcome": Text(printable(outcome.outcome if outcome else "no result"), style=style),
        "code": Text(printable((outcome and outcome.code) or ""), style=style),
        "message id": Text(printable(sending.message_id or "")),
        "time (UTC)": Text(time_of_day(result.completed_at.isoformat()) if result else ""),
        "note": Text(printable(note), style="dim" if sending.is_as_expected else "bold red"),
    }


def _transcripts(run: Run, *, verbose: bool) -> Iterator[RenderableType]:
    for record in run.chats:
        connections = record.connections
        yield Text.assemble(
            (f"\n{printable(record.chat.name)}", "bold cyan"),
            (printable(f"  contact {record.contact_id}") if verbose else "", "dim"),
            ("  ended at the start" if record.chat.ended else "", "dim"),
            (f"  {connections} connection tokens" if connections > 1 else "", "dim"),
        )
        yield Padding(transcript_table(record.transcript), (0, 0, 0, 2))


def _totals(run: Run) -> Iterator[Text]:
    messages, transcripts = _count(run.sendings, "message"), _count(run.chats, "transcript")
    shown = sum(len(record.transcript) for record in run.chats)
    yield Text(f"  {messages}, {shown} shown in {transcripts}")
    outcomes = Counter(str(sending.outcome or "no result") for sending in run.sendings)
    for outcome, count in outcomes.most_common():
        yield Text(printable(f"  {count:>4} {outcome}"))


def checks_of(checks: Sequence[Check]) -> Iterator[Text]:
    for check in checks:
        yield Text.assemble(("✗ ", "red") if check.problems else ("✓ ", "green"), check.title)
        for problem in check.problems:
            yield Text(f"    {printable(problem)}", style="red")


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}" if len(things) == 1 else f"{len(things)} {name}s"
