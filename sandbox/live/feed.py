"""What the function does, in a terminal: outcomes, retries and errors from its log, as they happen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from infra.log_queries import ATTEMPTS
from ops.stack.printable import printable
from sandbox.command_line import OUTCOME_STYLES, time_of_day
from sandbox.live.find import attempt_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_WITHOUT_OUTCOME = {
    "Message deferred": "is delivered again",
    "Message enqueued": "is in the queue now, which sends its parts",
    "Message enqueued for retry": "is in the queue now, for a retry",
}
_ERROR_STYLES = {"WARNING": "yellow", "ERROR": "red", "CRITICAL": "red"}
_LABEL_WIDTH = 8


def entry(line: Mapping[str, Any]) -> Table | None:
    """Lay out a log line. None for one that says nothing of a message and is no error.

    Every text is whole: it continues below its column.
    """
    outcome, message = line.get("outcome"), line["message"]
    if outcome in OUTCOME_STYLES:
        label, style = outcome, OUTCOME_STYLES[outcome]
        details = [_identity(line), *_attempts(line), *_reason(line)]
    elif message in _WITHOUT_OUTCOME:
        label, style = "retry" if line.get("code") else "queued", "yellow"
        details = [f"{_identity(line)}: {_WITHOUT_OUTCOME[message]}", *_attempts(line), *_reason(line)]
    elif line["level"] in _ERROR_STYLES:
        label, style = line["level"], _ERROR_STYLES[line["level"]]
        details = [message, *_facts(line)]
    else:
        return None
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(style=style, no_wrap=True, min_width=_LABEL_WIDTH)
    table.add_column(overflow="fold")
    first, *others = details
    table.add_row(time_of_day(line["timestamp"]), label, Text(printable(first)))
    for detail in others:
        table.add_row("", "", Text(printable(detail)))
    return table


def _identity(line: Mapping[str, Any]) -> str:
    """Name a message by its ClientToken. Only a message that could not be read has none."""
    receive = line.get("receive_count") or 1
    again = f", receive {receive}" if receive > 1 else ""
    return f"{line.get('client_token') or line['correlation_id']} through {line['event_source']}{again}"


def _attempts(line: Mapping[str, Any]) -> Iterator[str]:
    """Describe each attempt, unless the first one was accepted."""
    attempts = line.get(ATTEMPTS) or []
    if any(attempt["code"] for attempt in attempts):
        for number, attempt in enumerate(attempts, start=1):
            yield f"attempt {number}: {attempt_text(attempt)}"


def _reason(line: Mapping[str, Any]) -> Iterator[str]:
    if line.get("code"):
        yield f"{line['code']}: {line.get('reason')}"


def _facts(line: Mapping[str, Any]) -> Iterator[str]:
    if line.get("error_type"):
        yield str(line["error_type"])
    for name in ("failure", "reason", "client_token", "correlation_id", "sqs_message_id"):
        if line.get(name):
            yield f"{name} {line[name]}"
    yield from line.get("stack") or []
