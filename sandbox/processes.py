"""Child processes that never outlive the one that started them. Standard library only.

Each child leads a process group of its own. So Ctrl-C in the terminal reaches the parent alone, which stops
its children in order; and what a child has started itself (the emulator: the function's runtime) goes too.
Should the parent not come to that, because it is killed, the child's `lifeline` ends the group.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

_LIFELINE = Path(__file__).with_name("process_guard.py")
_POLL_SECONDS = 0.05
_GRACE_SECONDS = 3.0


class ProcessError(Exception):
    """A child process failed, or took too long. The message ends with the last that it printed."""


class ChildProcesses:
    """Starts child processes, and stops those still there on leaving, last one first."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        for child in reversed(self._children):
            child.stop()

    @property
    def process_groups(self) -> list[int]:
        return [child.process.pid for child in self._children]

    def require_running(self) -> None:
        """Check that every child is still there.

        Raises:
            ProcessError: One has ended.
        """
        for child in self._children:
            child.require_running()

    def start(
        self, command: Sequence[str], *, output: Path, environ: Mapping[str, str] | None = None, folder: Path
    ) -> Child:
        """Start a command in `folder`, with everything that it prints appended to `output`."""
        with output.open("ab") as stream:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LIFELINE), *command],
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
        """Run a command to its end.

        Raises:
            ProcessError: It failed, or was not done within the timeout, in seconds.
        """
        child = self.start(command, output=output, environ=environ, folder=folder)
        try:
            child.wait(timeout)
        finally:
            child.stop()
            self._children.remove(child)


class Child:
    def __init__(self, process: subprocess.Popen[bytes], command: Sequence[str], output: Path) -> None:
        self.process = process
        self._command = command
        self._output = output

    def wait(self, timeout: float) -> None:
        """Wait until it has succeeded.

        Raises:
            ProcessError: It failed, or was not done within the timeout, in seconds.
        """
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self._error(f"was not done after {timeout:g} seconds") from None
        if status:
            raise self._error(f"ended with status {status}")

    def wait_until(self, is_ready: Callable[[], bool], *, timeout: float) -> None:
        """Wait until it is ready for use.

        Raises:
            ProcessError: It ended before, or was not ready within the timeout, in seconds.
        """
        deadline = time.monotonic() + timeout
        while not is_ready():
            self.require_running()
            if time.monotonic() > deadline:
                raise self._error(f"was not ready after {timeout:g} seconds")
            time.sleep(_POLL_SECONDS)

    def require_running(self) -> None:
        """Check that it is still there.

        Raises:
            ProcessError: It has ended.
        """
        if (status := self.process.poll()) is not None:
            raise self._error(f"ended with status {status}")

    def stop(self) -> None:
        """End the whole process group: politely, and after some seconds for good."""
        self._signal_group(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_GRACE_SECONDS)
        self._signal_group(signal.SIGKILL)
        # Closes the lifeline's end too
        self.process.communicate()

    def _signal_group(self, number: signal.Signals) -> None:
        # macOS answers PermissionError for a group of which only a zombie is left
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def _error(self, what: str) -> ProcessError:
        last_lines = self._output.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
        return ProcessError(
            "\n".join([f"{' '.join(self._command)} {what}.", f"The end of {self._output}:", *last_lines])
        )
