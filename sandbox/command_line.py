"""What the programs of the sandbox have in common as programs: arguments, and reasons not to run."""

from __future__ import annotations

import argparse
import fcntl
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ops.stack.printable import printable
from sandbox.emulator import PortTakenError
from sandbox.local_stack import ForeignFolderError, NotPreparedError
from sandbox.processes import ProcessError

if TYPE_CHECKING:
    from collections.abc import Iterator

COULD_NOT_RUN = 2


class FolderInUseError(Exception):
    """Another program writes to the same folder."""


REASONS_NOT_TO_RUN = (
    FolderInUseError,
    ForeignFolderError,
    NotPreparedError,
    PortTakenError,
    ProcessError,
)


def explanation(error: Exception, *, command: str) -> str:
    """Say why a command could not run, and what mends it."""
    if isinstance(error, PortTakenError):
        return (
            f"The emulator's {error}. Take another, or leave EMULATOR_PORT out and a free one is found:\n"
            f"    {command} EMULATOR_PORT={error.port + 1}\n"
        )
    return f"{printable(str(error), lines=True)}\n"


def add_stack_arguments(parser: argparse.ArgumentParser, *, folder: Path) -> None:
    parser.add_argument("--emulator-port", type=_port, help="of the AWS emulator; a free one unless given")
    parser.add_argument("--folder", type=Path, default=folder, help="for logs and other files")


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep the folder to this process, however it may end.

    Raises:
        FolderInUseError: Another has it.
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
