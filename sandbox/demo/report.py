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
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from rich.console import RenderableType

    from sandbox.demo.message_file import Message, MessageFile
    from sandbox.demo.run import Run, Sending
    from sandbox.demo.verdict import Check

_FOLDED = {"chat", "note"}


def introduction(file: MessageFile, path: Path) -> Group:
    messages, count = _count(len(file.messages), "message"), _count(len(file.chats), "chat")
    chats = ", ".join(chat.name for chat in file.chats)
    others = f"; {_count(file.other_lines, 'line')} about chats" if file.other_lines else ""
    return Group(
        Text("\nconnect-message-sender", style="bold"),
        Text(printable(f"{messages} for {count} from {path}{others}")),
        Text(printable(f"Chats: {chats}")),
        *_repeats(file.messages),
        Text(),
    )


def report(run: Run, checks: Sequence[Check], *, verbose: bool = False) -> Group:
    """Lay out a run.

    Args:
        verbose: With all chats, and the ids and times of messages.
    """
    return Group(
        Text("\nOutcomes", style="bold"),
        _table([_outcome_row(sending) for sending in run.sendings]),
        *([_table([_id_row(sending) for sending in run.sendings])] if verbose else []),
        *_reasons(run.sendings),
        *_totals(run),
        Text(),
        *checks_of(checks),
        *_repeats([sending.message for sending in run.sendings]),
        *_transcripts(run, verbose=verbose),
        Text(),
    )


def _table(rows: Sequence[dict[str, Text]]) -> Table:
    """Lay out rows of one line in 80 columns, unless a name or note is long."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=0)
    for heading in rows[0]:
        table.add_column(heading, no_wrap=heading not in _FOLDED, overflow="fold")
    for row in rows:
        table.add_row(*row.values())
    return table


def _outcome_row(sending: Sending) -> dict[str, Text]:
    message, outcome = sending.message, sending.outcome
    style = OUTCOME_STYLES[outcome.outcome] if outcome and sending.is_as_expected else "bold red"
    return {
        "line": Text(f"{message.number:>4}", style="dim"),
        "through": Text(message.through),
        "chat": Text(printable(message.chat)),
        "outcome": Text(printable(outcome.outcome if outcome else "no result"), style=style),
        "code": Text(printable((outcome and outcome.code) or ""), style=style),
        "note": Text(printable(_note(sending)), style="dim" if sending.is_as_expected else "bold red"),
    }


def _note(sending: Sending) -> str:
    message = sending.message
    if not sending.is_as_expected:
        return f"expected {message.expected or 'any outcome'}"
    notes = [message.note] if message.note else []
    if message.repeats is not None:
        notes.append(f"ClientToken of line {message.repeats}, another text: one is shown")
    if len(sending.message_ids) > 1:
        notes.append(f"{len(sending.message_ids)} parts")
    return "; ".join(notes)


def _id_row(sending: Sending) -> dict[str, Text]:
    result = sending.result
    return {
        "line": Text(f"{sending.message.number:>4}", style="dim"),
        "event source": Text(printable(result.event_source if result else "")),
        "message id": Text(printable(sending.message_id or "")),
        "time (UTC)": Text(time_of_day(result.completed_at.isoformat()) if result else ""),
    }


def _reasons(sendings: Sequence[Sending]) -> Iterator[Text]:
    """Explain the outcomes that the file does not expect. The checks explain the others."""
    for sending in sendings:
        if sending.message.expected is None and sending.result and sending.result.reason:
            reason = printable(f"line {sending.message.number}: {sending.result.reason}")
            yield Text(reason, style="dim")


def _repeats(messages: Iterable[Message]) -> Iterator[Text]:
    """Warn of texts that no chat can show: Amazon Connect shows one text for a ClientToken."""
    for message in messages:
        if message.repeats is not None:
            yield Text(
                f"! Lines {message.repeats} and {message.number} share a ClientToken: "
                "only one of their texts is shown",
                style="yellow",
            )


def _transcripts(run: Run, *, verbose: bool) -> Iterator[RenderableType]:
    """Lay out all chats, or the first one that has a message."""
    records = run.chats if verbose else [each for each in run.chats if each.transcript][:1]
    if len(records) < len(run.chats):
        others = _count(len(run.chats) - len(records), "other chat")
        yield Text(
            f"\nAs the local Amazon Connect shows it ({others} and all ids: VERBOSE=yes)", style="bold"
        )
    for record in records:
        connections = record.connections
        yield Text.assemble(
            (f"\n{printable(record.chat.name)}", "bold cyan"),
            (printable(f"  contact {record.contact_id}") if verbose else "", "dim"),
            ("  ended at the start" if record.chat.ended else "", "dim"),
            (f"  {connections} connection tokens" if connections > 1 else "", "dim"),
        )
        yield Padding(transcript_table(record.transcript), (0, 0, 0, 2))


def _totals(run: Run) -> Iterator[Text]:
    """Count. Lines that are one message have one id, and a long text has a bubble for each part."""
    bubbles = _count(sum(len(record.transcript) for record in run.chats), "bubble")
    sent = Counter(sending.message_id for sending in run.sendings if sending.message_id)
    yield Text(
        f"\n{_count(len(run.sendings), 'line')} sent, {_count(len(sent), 'message')} shown as {bubbles}"
        f" in {_count(len(run.chats), 'chat')}",
        style="bold",
    )
    outcomes = Counter(str(sending.outcome or "no result") for sending in run.sendings)
    for outcome, count in outcomes.most_common():
        repeated = sum(sent.values()) - len(sent) if outcome == "SENT" else 0
        again = f", {repeated} of them for a message that was sent already" if repeated else ""
        yield Text(printable(f"  {count:>4} {outcome}{again}"))


def checks_of(checks: Sequence[Check]) -> Iterator[Text]:
    for check in checks:
        yield Text.assemble(("✗ ", "red") if check.problems else ("✓ ", "green"), check.title)
        for problem in check.problems:
            yield Text(f"    {printable(problem)}", style="red")


def _count(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"
