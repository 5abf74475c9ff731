"""`python process_guard.py COMMAND...`: run a command that ends with its parent.

The guard leads a process group, and its stdin is a pipe from the parent. When the pipe closes, even because
the parent got SIGKILL, the guard kills the group. Standard library only: it is started by its path.
"""

import os
import signal
import subprocess
import sys
import threading


def main() -> int:
    # The whole group gets SIGTERM, and the command decides when it ends. A child would inherit SIG_IGN.
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=_kill_group_when_stdin_closes, daemon=True).start()
    status = command.wait()
    return status if status >= 0 else 128 - status


def _kill_group_when_stdin_closes() -> None:
    os.read(sys.stdin.fileno(), 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
