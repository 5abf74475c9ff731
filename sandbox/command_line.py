"""The common part of the sandbox's programs: arguments, the folder lock, and what they print."""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import sys
import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ops.stack.printable import printable
from ops.stack.signals import stopped_by_signals
from ops.stack.terminal import Terminal
from sandbox.local_stack import LocalStack, start_local_stack
from sandbox.processes import ChildProcesses, NotStartedError, ProcessError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sandbox.participant_service.transcript import TranscriptItem

OUTCOME_STYLES = {"SENT": "green", "REJECTED": "yellow", "FAILED": "red", "REFUSED": "yellow"}

_TYPE_PREFIX = re.compile(r"application/vnd\.amazonaws\.connect\.(message|event)\.")


def stack_parser(program: str, description: str | None, *, folder: Path) -> argparse.ArgumentParser:
    """Make a parser of the arguments that every program has: `--emulator-port` and `--folder`."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {program}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--emulator-port", type=int, help="of the AWS emulator; by default a free one")
    parser.add_argument("--folder", type=Path, default=folder, help="for logs and other files")
    return parser


def standard_output() -> Terminal:
    """Return the standard output. A terminal without a check mark must not end the program."""
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # standard output is a text stream
    return Terminal(sys.stdout)


def run_program(
    run: Callable[[LocalStack], int], arguments: argparse.Namespace, *, terminal: Terminal
) -> int:
    """Run a program on a local stack, and stop the stack when it ends. Return its exit code.

    Args:
        arguments: Of a `stack_parser`. The folder is locked while the program runs.

    Raises:
        SystemExit: A signal stopped the program.
    """
    try:
        with _folder_lock(arguments.folder), stopped_by_signals(), ChildProcesses() as children:
            return run(_started_stack(children, arguments, terminal))
    except SystemExit:
        terminal.print(Text("Stopped. All processes have ended.", style="dim"))
        raise
    except (NotStartedError, ProcessError) as error:
        return explain(error)


def explain(problem: object) -> int:
    """Print why a command could not run. Return its exit code."""
    sys.stderr.write(f"{printable(str(problem), lines=True)}\n")
    return 2


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Let the reader of the standard output stop early, as `head` does."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes the rest at its end: https://docs.python.org/3/library/signal.html#note-on-sigpipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def transcript_table(items: Iterable[TranscriptItem]) -> Table:
    """Lay out a transcript. A message's lines stay in its column, so that none looks like another message."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for item in items:
        table.add_row(
            time_of_day(item.absolute_time),
            Text(printable(_TYPE_PREFIX.sub("", item.content_type))),
            Text(printable(item.content or "", lines=True)),
        )
    if not table.row_count:
        table.add_row("no message", "", "")
    return table


def time_of_day(moment: str) -> str:
    return datetime.fromisoformat(moment).time().isoformat(timespec="milliseconds")


def _started_stack(children: ChildProcesses, arguments: argparse.Namespace, terminal: Terminal) -> LocalStack:
    """Start a local stack, and print each part of it when it is ready."""
    since = time.monotonic()

    def report(part: str, text: str) -> None:
        nonlocal since
        started, since = since, time.monotonic()
        duration = f"{since - started:.1f} s"
        terminal.print(Text.assemble(("✓ ", "green"), f"{part:<20}  {text}  ", (duration, "dim")))

    with terminal.status("Starting the local stack"):
        return start_local_stack(
            children, folder=arguments.folder, emulator_port=arguments.emulator_port, report=report
        )


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    """Reserve the folder for this process. The lock ends with the process, however it ends."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotStartedError(f"{folder} is in use by another run: wait for it, or stop it") from None
        yield
