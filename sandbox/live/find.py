"""`python -m sandbox.live.find`: the log lines of one message or chat in a running sandbox.

It finds what the search of docs/runbook.md finds on AWS: all lines that have the id, and then all lines about
the same messages.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.log_queries import ATTEMPTS, FIELDS, IDS
from ops.stack.printable import printable
from sandbox.command_line import explain, reader_may_leave, standard_output, time_of_day
from sandbox.local_stack import FOLDER, addresses_in, function_log

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_WIDTH = 80
_NAME_WIDTH = max(map(len, FIELDS)) + 4


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.live.find", description=__doc__)
    parser.add_argument("id", help=f"a {', '.join(IDS)}")
    parser.add_argument("--folder", type=Path, default=FOLDER / "live", help="the sandbox's")
    arguments = parser.parse_args()
    if not arguments.id:
        return explain("Name a message or a chat by any of its ids: make find ID=...")
    try:
        stack = addresses_in(arguments.folder)
        log = function_log(stack.emulator, stack.outputs)
        found = with_id(arguments.id, [event["message"] for event in log])
    except (FileNotFoundError, BotoCoreError, ClientError):
        return _not_found("No sandbox is running. Start one in another terminal: make sandbox")
    if not found:
        return _not_found(
            f"No line of the log has the id {printable(arguments.id)}. A message without a line was not "
            "processed yet, was never accepted, or is in a dead-letter queue."
        )
    terminal = standard_output()
    with reader_may_leave():
        for line in found:
            terminal.print_to_paste("\n".join(layout(line)))
    return 0


def with_id(identifier: str, log: Iterable[str]) -> list[dict[str, Any]]:
    """Return the lines of a log that have an id, and those with the correlation ids of these lines.

    Some lines have a correlation id only. A line that is not a JSON object is left out.
    """
    lines = list(_objects(log))
    correlated = {
        line["correlation_id"]
        for line in lines
        if "correlation_id" in line and identifier in [line.get(name) for name in IDS]
    }
    return [
        line
        for line in lines
        if identifier in [line.get(name) for name in IDS] or line.get("correlation_id") in correlated
    ]


def _objects(log: Iterable[str]) -> Iterator[dict[str, Any]]:
    for text in log:
        try:
            line = json.loads(text)
        except ValueError:  # such as `START RequestId: ...`
            continue
        if isinstance(line, dict) and "message" in line:
            yield line


def layout(line: Mapping[str, Any]) -> Sequence[str]:
    """Lay out a log line: its time and message, then a line for each other field that it has."""
    rows = [f"{time_of_day(line['timestamp'])}  {printable(str(line['message']))}"]
    for name in (*FIELDS[1:], "failure"):
        if line.get(name) is not None:
            rows += textwrap.wrap(
                printable(str(line[name])),
                width=_WIDTH,
                initial_indent=f"  {name:<{_NAME_WIDTH - 2}}",
                subsequent_indent=" " * _NAME_WIDTH,
                drop_whitespace=False,
            )
    attempts = enumerate(line.get(ATTEMPTS) or [], start=1)
    return rows + [
        printable(f"{f'  attempt {number}':<{_NAME_WIDTH}}{attempt_text(attempt)}")
        for number, attempt in attempts
    ]


def attempt_text(attempt: Mapping[str, Any]) -> str:
    """Describe an attempt, like `Throttled 429 in 41 ms, after 2.0 s`."""
    status = f" {attempt['http_status']}" if attempt["http_status"] else ""
    waited = f", after {attempt['wait_ms'] / 1000:.1f} s" if attempt["wait_ms"] else ""
    return f"{attempt['code'] or 'accepted'}{status} in {attempt['ms']} ms{waited}"


def _not_found(reason: str) -> int:
    sys.stderr.write(f"{textwrap.fill(reason, _WIDTH)}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
