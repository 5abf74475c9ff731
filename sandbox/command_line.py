"""The common part of the sandbox's programs: arguments, the folder lock, and reasons not to run."""

from __future__ import annotations

import argparse
import fcntl
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ops.stack.printable import printable
from ops.stack.signals import stopped_by_signals
from sandbox.display import STOPPED, starting
from sandbox.emulator import PortTakenError
from sandbox.local_stack import ForeignFolderError, NotPreparedError, local_stack
from sandbox.processes import ChildProcesses, ProcessError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ops.stack.terminal import Terminal
    from sandbox.local_stack import LocalStack

COULD_NOT_RUN = 2


class FolderInUseError(Exception):
    """Another program writes to the same folder."""


_REASONS_NOT_TO_RUN = (
    FolderInUseError,
    ForeignFolderError,
    NotPreparedError,
    PortTakenError,
    ProcessError,
)


def stack_parser(program: str, description: str | None, *, folder: Path) -> argparse.ArgumentParser:
    """Make a parser of the arguments that every program has: `--emulator-port` and `--folder`."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {program}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--emulator-port", type=_port, help="of the AWS emulator; by default a free one")
    parser.add_argument("--folder", type=Path, default=folder, help="for logs and other files")
    return parser


def run_program(
    run: Callable[[LocalStack, ChildProcesses], int],
    arguments: argparse.Namespace,
    *,
    terminal: Terminal,
    command: str,
) -> int:
    """Run a program on a local stack, and stop the stack when it ends. Return its exit code.

    Args:
        arguments: Of a `stack_parser`. The folder is locked while the program runs.
        command: The make command, for advice.

    Raises:
        SystemExit: A signal stopped the program.
    """
    try:
        with (
            folder_lock(arguments.folder),
            stopped_by_signals(),
            ChildProcesses() as children,
            ExitStack() as parts,
        ):
            with starting(terminal) as ready:
                stack = local_stack(
                    children, folder=arguments.folder, emulator_port=arguments.emulator_port, report=ready
                )
                running = parts.enter_context(stack)
            return run(running, children)
    except SystemExit:
        terminal.print(STOPPED)
        raise
    except _REASONS_NOT_TO_RUN as error:
        sys.stderr.write(explanation(error, command=command))
        return COULD_NOT_RUN


def explanation(error: Exception, *, command: str) -> str:
    """Say why a command could not run, and how to fix it."""
    if isinstance(error, PortTakenError):
        return (
            f"The emulator's {error}. Name another, or leave EMULATOR_PORT out to use a free one:\n"
            f"    {command} EMULATOR_PORT={error.port + 1}\n"
        )
    return f"{printable(str(error), lines=True)}\n"


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Reserve the folder for this process. The lock ends with the process, however it ends.

    Raises:
        FolderInUseError: Another process has the lock.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUseError(f"{folder} is in use by another run: wait for it, or stop it") from None
        yield


def _port(text: str) -> int:
    if text.isdecimal() and int(text) in range(1, 65_536):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is not a port")
