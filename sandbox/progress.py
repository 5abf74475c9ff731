"""`python -m sandbox.progress LABEL COMMAND...`: run a slow command, and print a dot every three seconds.

The command's output is shown only if it fails. Standard library only: `make` runs this before it installs.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ops.stack.printable import printable
from ops.stack.signals import stopped_by_signals
from sandbox.processes import ChildProcesses

_TIMEOUT_SECONDS = 1800
_SECONDS_PER_DOT = 3


def main() -> int:
    label, *command = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder, stopped_by_signals(), ChildProcesses() as children:
        output = Path(folder, "output")
        _write(f"  {label} ")
        started = time.monotonic()
        status = _wait(children.start(command, output=output, folder=Path()).process)
        if status == 0:
            _write(f" done ({time.monotonic() - started:.0f} s)\n")
        else:
            text = output.read_text(encoding="utf-8", errors="replace")
            _write(f" failed:\n{printable(text, lines=True)}\n")
        return status


def _wait(process: subprocess.Popen[bytes]) -> int:
    for _ in range(_TIMEOUT_SECONDS // _SECONDS_PER_DOT):
        try:
            return process.wait(_SECONDS_PER_DOT)
        except subprocess.TimeoutExpired:
            _write(".")
    _write(f" not done after {_TIMEOUT_SECONDS // 60} minutes")
    return 1


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
