"""Runs one handler in a process of its own, on events that come in by standard input.

usage: python -I -S worker.py MODULE FOLDER...

Each line is an event. An empty line asks for a report, which comes as a line of JSON: what the handler has
taken since the last one, and the process in all. Only what a Lambda runtime would have loaded too is imported
here, so that the start and the memory are the handler's own.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import Any


class Context:
    """What handlers read of their context."""

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
    """Return `VmRSS`, or `VmHWM`, its peak, in bytes. Where there is no /proc, on macOS, the peak."""
    try:
        with open("/proc/self/status") as status:  # noqa: PTH123  # pathlib is not loaded
            line = next(line for line in status if line.startswith(name))
    except FileNotFoundError:
        import resource  # noqa: PLC0415  # on macOS alone, where it counts bytes

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(line.split()[1]) * 1024


def _run(handler: Any) -> None:  # noqa: ANN401  # whatever the module holds
    # What the handler prints goes where it costs the same for all.
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    cpu = wall = finished = 0.0
    for line in sys.stdin:
        if line == "\n":
            report = {
                "cpu": cpu,
                "wall": wall,
                "cpu_of_process": time.process_time(),
                "finished": finished,
                "rss": _memory("VmRSS"),
                "peak": _memory("VmHWM"),
            }
            replies.write(f"{json.dumps(report)}\n")
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
