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
    from collections.abc import Callable, Generator, Iterable, Sequence
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


def processors() -> list[int]:
    """Return the numbers of the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def stay_on(numbers: Iterable[int]) -> None:
    """Keep this thread, and those that it starts, on some processors, if the system can.

    The threads of a simulation run one at a time. On one processor they pass control to each other three
    times faster, and a simulation takes a quarter less time.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, numbers)


def run(jobs: Sequence[Job], *, processes: int) -> Generator[Done | None, None, None]:
    """Run jobs in their order. Yield the end of each one when it ends, and None once a second.

    A job that raises an error, or whose process dies, has an error in place of a result. If the caller stops
    to iterate, or an interrupt arrives, all processes are ended. Each job stays on one processor.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_IMPORTED_ONCE)
    waiting = deque(jobs)
    running: dict[Any, tuple[Job, BaseProcess, int]] = {}
    numbers = processors()
    free = [numbers[each % len(numbers)] for each in range(processes)]
    try:
        while waiting or running:
            while waiting and free:
                job, processor = waiting.popleft(), free.pop()
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(job.call, processor, sender), daemon=True)
                process.start()
                sender.close()
                running[receiver] = job, process, processor
            ready = wait(list(running), timeout=_TICK_SECONDS)
            for ended in ready:
                ended_job, ended_process, processor = running.pop(ended)
                free.append(processor)
                yield _end(ended, ended_job, ended_process)
            if not ready:
                yield None
    finally:
        for _, killed, _ in running.values():
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


def _work(call: Callable[[], Any], processor: int, sender: Connection) -> None:
    """Make a call in a process of its own, and send what it returns."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and ends this process
    threading.Thread(target=_die_with_parent, daemon=True).start()
    gc.freeze()
    gc.set_threshold(_GARBAGE)  # most objects live until the process ends
    try:
        stay_on([processor])
        answer = call(), ""
    except BaseException:  # noqa: BLE001  # the parent reports it
        answer = None, traceback.format_exc(limit=-3)
    sender.send(answer)


def _die_with_parent() -> None:
    """End this process if its parent was killed: nobody waits for the result."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)
