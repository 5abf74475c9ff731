"""Runs jobs in processes of their own, a few at a time. A process ends with its job, and frees its memory."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

_TICK_SECONDS: Final = 1.0
_GARBAGE: Final = 50_000
_IMPORTED_ONCE: Final = ["tests.simulation.jobs"]
"""By the process from which all others are forked. That process has no threads."""


@dataclass(frozen=True, slots=True)
class Job:
    """A call of a function of a module, and how a person repeats it."""

    name: str
    call: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a job.

    Attributes:
        result: What the call returned.
        error: Why there is no result. Empty if there is one.
    """

    job: Job
    result: Any = None
    error: str = ""


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(jobs: Sequence[Job], *, processes: int) -> Generator[Done | None, None, None]:
    """Run jobs in their order. Yield the end of each one when it ends, and None once a second.

    A job that raises an error, or whose process dies, has an error in place of a result. If the caller stops
    to iterate, or an interrupt arrives, all processes are ended.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED_ONCE)
    waiting = deque(jobs)
    running: dict[Any, tuple[Job, BaseProcess]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                job = waiting.popleft()
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(job.call, sender), daemon=True)
                process.start()
                sender.close()
                running[receiver] = job, process
            ready = wait(list(running), timeout=_TICK_SECONDS)
            for ended in ready:
                yield _end(ended, *running.pop(ended))
            if not ready:
                yield None
    finally:
        for _, killed in running.values():
            killed.kill()
            killed.join()


def _end(receiver: Any, job: Job, process: BaseProcess) -> Done:  # noqa: ANN401  # a connection, or a pipe on Windows
    try:
        result, error = receiver.recv()
    except EOFError:
        process.join()
        result, error = None, f"its process died with the exit code {process.exitcode}"
    receiver.close()
    process.join()
    return Done(job, result, error)


def _work(call: Callable[[], Any], sender: Connection) -> None:
    """Make a call in a process of its own, and send what it returns."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and ends this process
    threading.Thread(target=_die_with_parent, daemon=True).start()
    gc.freeze()
    gc.set_threshold(_GARBAGE)  # most objects live until the process ends
    try:
        answer = call(), ""
    except BaseException:  # noqa: BLE001  # the parent reports it
        answer = None, traceback.format_exc(limit=-3)
    sender.send(answer)


def _die_with_parent() -> None:
    """End this process if its parent was killed: nobody waits for the result."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)
