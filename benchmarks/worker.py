"""Runs one handler in its own process, on events from standard input.

usage: python -I -S worker.py MODULE FOLDER...

Each line is an event. An empty line requests a report, which is one line of JSON. This file imports only
modules that the Lambda runtime loads too, so that start and memory are those of the handler.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time

TYPE_CHECKING = False  # typing is not loaded
if TYPE_CHECKING:
    from collections.abc import Callable


class Context:
    """The parts of a Lambda context that handlers read."""

    function_name = "sender"
    function_version = "1"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-central-1:000000000000:function:sender:live"
    aws_request_id = "4a1b0c1e-7d34-4a3f-9b55-0f6f2c2d9f10"

    def __init__(self) -> None:
        self._ends = time.monotonic() + 28

    def get_remaining_time_in_millis(self) -> int:
        return int((self._ends - time.monotonic()) * 1000)


def _memory(name: str) -> int:
    """Return `VmRSS`, or its peak `VmHWM`, in bytes. Without /proc, as on macOS, always the peak."""
    try:
        with open("/proc/self/status") as status:  # noqa: PTH123  # pathlib is not loaded
            line = next(line for line in status if line.startswith(name))
    except FileNotFoundError:
        import resource  # noqa: PLC0415  # only macOS needs it, where it counts bytes

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(line.split()[1]) * 1024


def _run(handler: Callable[[dict[str, object], Context], dict[str, object] | None]) -> None:
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the output of each handler costs the same
    cpu = wall = finished = 0.0
    for line in sys.stdin:
        if line == "\n":
            memory = {"rss": _memory("VmRSS"), "peak": _memory("VmHWM")}
            report = {"cpu": cpu, "wall": wall, "cpu_of_process": time.process_time(), "finished": finished}
            replies.write(f"{json.dumps(report | memory)}\n")
            replies.flush()
            cpu = wall = 0.0
            continue
        event, context = json.loads(line), Context()
        started, cpu_before = time.monotonic(), time.process_time()
        answer = handler(event, context)
        finished = time.monotonic()
        wall += finished - started
        cpu += time.process_time() - cpu_before
        if answer and answer.get("batchItemFailures"):
            raise RuntimeError(f"records failed: {answer}")


if __name__ == "__main__":
    module, *folders = sys.argv[1:]
    sys.path[:0] = folders
    _run(importlib.import_module(module).lambda_handler if module != "-" else lambda *_: None)
