"""Child processes that never outlive their parent. Standard library only.

Each child leads its own process group. Ctrl-C in the terminal therefore reaches only the parent, which stops
its children in order. Stopping a child stops its whole group, for instance the emulator's function runtimes.
If the parent is killed, the child's `process_guard` kills the group.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_PROCESS_GUARD = Path(__file__).with_name("process_guard.py")
_POLL_SECONDS = 0.05
_LAST_LINES = 20


class NotStartedError(Exception):
    """The local stack cannot start here. The text says why, and how to fix it."""


class ProcessError(Exception):
    """A child process failed, or took too long. The message ends with its last output."""


class ChildProcesses:
    """Starts child processes, and stops them when the `with` block ends, last one first.

    Args:
        grace_seconds: between the signals SIGTERM and SIGKILL.
    """

    def __init__(self, *, grace_seconds: float = 3.0) -> None:
        self._grace_seconds = grace_seconds
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self._children):
            child.stop(grace_seconds=self._grace_seconds)

    @property
    def process_groups(self) -> list[int]:
        return [child.process.pid for child in self._children]

    def require_running(self) -> None:
        """Raise a ProcessError if a child has ended."""
        for child in self._children:
            child.require_running()

    def start(
        self, command: Sequence[str], *, output: Path, environ: Mapping[str, str] | None = None, folder: Path
    ) -> Child:
        """Start a command in `folder`, and append its output to the file `output`."""
        with output.open("ab") as stream:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_PROCESS_GUARD), *command],
                stdin=subprocess.PIPE,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=environ,
                cwd=folder,
                start_new_session=True,
            )
        child = Child(process, command, output)
        self._children.append(child)
        return child

    def run(
        self,
        command: Sequence[str],
        *,
        output: Path,
        environ: Mapping[str, str] | None = None,
        folder: Path,
        timeout: float,
    ) -> None:
        """Run a command until it ends.

        Raises:
            ProcessError: it failed, or took longer than `timeout` seconds.
        """
        child = self.start(command, output=output, environ=environ, folder=folder)
        try:
            if status := child.process.wait(timeout):
                raise child.error(f"ended with status {status}")
        except subprocess.TimeoutExpired:
            raise child.error(f"was not done after {timeout:g} seconds") from None
        finally:
            child.stop(grace_seconds=self._grace_seconds)
            self._children.remove(child)


@dataclass(frozen=True)
class Child:
    process: subprocess.Popen[bytes]
    command: Sequence[str]
    output: Path

    def wait_until(self, is_ready: Callable[[], bool], *, timeout: float) -> None:
        """Wait until the child is ready for use.

        Raises:
            ProcessError: it ended, or was not ready after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while not is_ready():
            self.require_running()
            if time.monotonic() > deadline:
                raise self.error(f"was not ready after {timeout:g} seconds")
            time.sleep(_POLL_SECONDS)

    def require_running(self) -> None:
        """Raise a ProcessError if the child has ended."""
        if (status := self.process.poll()) is not None:
            raise self.error(f"ended with status {status}")

    def stop(self, *, grace_seconds: float) -> None:
        """Stop the process group: SIGTERM, then SIGKILL."""
        self._signal_group(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(grace_seconds)
        self._signal_group(signal.SIGKILL)
        self.process.communicate()  # also closes the pipe to the process guard

    def error(self, problem: str) -> ProcessError:
        last_lines = self.output.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
        return ProcessError(
            "\n".join([f"{' '.join(self.command)} {problem}.", f"The end of {self.output}:", *last_lines])
        )

    def _signal_group(self, number: signal.Signals) -> None:
        # macOS raises PermissionError if only a zombie is left in the group
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)
