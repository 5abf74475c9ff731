"""`python process_guard.py COMMAND...`: run a command that ends with the holder of the other end of stdin.

When that end is closed, on purpose or because its process is gone (even by SIGKILL), the process group is
killed, of which this is to be the leader. Standard library only: it is started by its path.
"""

import os
import signal
import subprocess
import sys
import threading


def main() -> int:
    # It goes to the whole group, and the command decides when to end. SIG_IGN would be inherited.
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=_kill_at_the_end_of_stdin, daemon=True).start()
    status = command.wait()
    return status if status >= 0 else 128 - status


def _kill_at_the_end_of_stdin() -> None:
    os.read(sys.stdin.fileno(), 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
