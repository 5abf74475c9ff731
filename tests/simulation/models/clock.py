"""Time that passes only when everybody waits: a clock and a scheduler of threads.

Production code runs in real threads, since it must not know. But one thread runs at a time, and which one is
next is decided by the moment it waits for and then by the order of asking: the same run every time.
"""

from __future__ import annotations

import heapq
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

START: Final = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


class KilledError(BaseException):
    """The thread's sandbox is gone: Lambda cut it off, or it crashed.

    No `Exception`, so that production code does not handle what in reality it would never see.
    """


class StuckError(RuntimeError):
    """A thread waits for something that is not in virtual time, such as a lock that another one holds."""


class Baton:
    """Handed from thread to thread: whoever waits for it gets it once. A raw lock is the fastest there is."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def give(self) -> None:
        self._lock.release()

    def take(self, *, timeout: float = -1) -> bool:
        """Wait for it, and say whether it came in time. Real seconds."""
        return self._lock.acquire(timeout=timeout)


class Worker:
    """A thread that runs one task after the other: a new one for each would cost more than most tasks."""

    def __init__(self) -> None:
        self._baton = Baton()
        self._task: Task | None = None
        threading.Thread(target=self._work, daemon=True).start()

    def begin(self, task: Task | None) -> None:
        """Run a task, or end the thread."""
        self._task = task
        self._baton.give()

    def _work(self) -> None:
        while self._baton.take() and self._task is not None:
            self._task.run(self)


class Task:
    """A call in a thread of its own."""

    def __init__(self, time: VirtualTime, call: Callable[[], object], parent: Task | None) -> None:
        self._time = time
        self._call = call
        self._baton = Baton()
        self._has_begun = False
        self._on_end: list[Callable[[], object]] = []
        self._killed = False
        self.waits = 0
        """How often this has waited, by which a wake-up is known that comes too late."""
        self.children: list[Task] = []
        self.thread: int | None = None
        self.done = False
        self.result: object = None
        self.error: BaseException | None = None
        if parent is not None:
            parent.children.append(self)

    def when_done(self, action: Callable[[], object]) -> None:
        """Call something when this ends, at the same moment."""
        self._on_end.append(action)

    def kill(self) -> None:
        """End this and all that it started, wherever they wait now."""
        for child in self.children:
            child.kill()
        if not self._killed and not self.done:
            self._killed = True
            self._time.after(0.0, partial(self.resume, self.waits))

    def resume(self, waits: int) -> None:
        """Let this go on until it waits again. Without effect if it no longer waits for that."""
        if self.done or waits != self.waits:
            return
        self._time.running = self  # before it runs, or it might wait before we know who does
        if self._has_begun:
            self._baton.give()
        else:
            self._has_begun = True
            self._time.worker().begin(self)
        self._time.until_back()

    def park(self) -> None:
        """Wait until somebody resumes this. Called in its own thread."""
        self._time.back.give()
        self._baton.take()
        self.waits += 1
        if self._killed:
            raise KilledError

    def run(self, worker: Worker) -> None:
        """Do the call. Called in a worker's thread."""
        self.thread = threading.get_ident()
        self.waits += 1
        try:
            if self._killed:
                raise KilledError  # noqa: TRY301  # it is the end of a task like any other
            self.result = self._call()
        except BaseException as error:  # noqa: BLE001  # it belongs to whoever started the task
            self.error = error
        self.done = True
        self._time.ended(self._on_end, worker)


class VirtualTime:
    """A `message_sender.clock.Clock`, with threads to match.

    Args:
        real_timeout: Seconds of real time after which a thread that neither waits nor ends must be stuck.
    """

    def __init__(self, *, real_timeout: float = 60.0) -> None:
        self._real_timeout = real_timeout
        self._seconds = 0.0
        self._agenda: list[tuple[float, int, Callable[[], object]]] = []
        self._order = count()
        self.running: Task | None = None
        """Who runs now, None if it is the scheduler."""
        self._idle: list[Worker] = []
        self.back = Baton()
        """What a thread gives back when it waits or ends."""

    def now(self) -> datetime:
        return START + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        return self._seconds

    def epoch(self) -> float:
        """Return seconds since 1970."""
        return START.timestamp() + self._seconds

    def sleep(self, seconds: float) -> None:
        task = self._running()
        self.after(max(0.0, seconds), partial(task.resume, task.waits))
        task.park()

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Call something later. It must not wait; what waits is started."""
        heapq.heappush(self._agenda, (self._seconds + seconds, next(self._order), action))

    def start(self, call: Callable[[], object]) -> Task:
        """Run a call in a thread of its own, from this moment on."""
        task = Task(self, call, self.running)
        self.after(0.0, partial(task.resume, task.waits))
        return task

    def workers(self, calls: Sequence[Callable[[], None]], *, timeout: float) -> list[BaseException | None]:
        """Do in virtual time what `message_sender.worker_pool.ThreadPool` does."""
        waiting = self._running()
        tasks = [self.start(call) for call in calls]
        left = len(tasks)

        def one_is_done(waits: int) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                waiting.resume(waits)

        for task in tasks:
            task.when_done(partial(one_is_done, waiting.waits))
        if tasks:
            self.after(max(0.0, timeout), partial(waiting.resume, waiting.waits))
            waiting.park()
        return [task.error if task.done else TimeoutError() for task in tasks]

    def run(self, *, until: float = float("inf")) -> None:
        """Let time pass until nothing is left to happen, or to a moment.

        Raises:
            StuckError: A thread waits in real time.
        """
        while self._agenda and self._agenda[0][0] <= until:
            moment, _, action = heapq.heappop(self._agenda)
            self._seconds = max(self._seconds, moment)
            action()

    def worker(self) -> Worker:
        return self._idle.pop() if self._idle else Worker()

    def until_back(self) -> None:
        """Wait until the one thread that runs waits or ends."""
        if not self.back.take(timeout=self._real_timeout):
            raise StuckError("a thread waits for something that is not in virtual time")
        self.running = None

    def ended(self, actions: Sequence[Callable[[], object]], worker: Worker) -> None:
        """Note the end of a task, in its thread."""
        for action in actions:
            self.after(0.0, action)
        self._idle.append(worker)
        self.back.give()

    def close(self) -> None:
        """End the threads. Nothing may be left to happen."""
        while self._idle:
            self._idle.pop().begin(None)

    def _running(self) -> Task:
        if self.running is None or self.running.thread != threading.get_ident():
            raise RuntimeError("only a started call can wait, in the thread that virtual time has given it")
        return self.running
