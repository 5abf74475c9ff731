"""Virtual time: a clock, and a scheduler of threads that jumps to the next event instead of waiting.

Production code runs in real threads. Exactly one thread runs at a time. The scheduler chooses the next one by
the moment that it waits for, and then by the order of the requests, so a seed always gives the same run.

There is no scheduler thread. A thread that waits or ends runs the agenda until a task is due, and passes
control to it directly. If that task is its own, no switch of threads is needed.
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
    """The thread's sandbox was ended by Lambda, or it crashed.

    Not an `Exception`: production code must not handle an event that it would never see.
    """


class StuckError(RuntimeError):
    """A thread waits for something outside virtual time, such as a lock that another thread holds."""


class Baton:
    """Passes control from thread to thread. A raw lock is the fastest primitive."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def give(self) -> None:
        self._lock.release()

    def take(self, *, timeout: float = -1) -> bool:
        """Wait for the baton. Return whether it arrived in time.

        Args:
            timeout: Real seconds; -1 waits forever.
        """
        return self._lock.acquire(timeout=timeout)


class Worker:
    """A thread that runs one task after another: starting a thread costs more than most tasks."""

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
    """A call that runs in its own thread."""

    def __init__(self, time: VirtualTime, call: Callable[[], object], parent: Task | None) -> None:
        self._time = time
        self._call = call
        self._baton = Baton()
        self._has_begun = False
        self._on_end: list[Callable[[], object]] = []
        self._killed = False
        self.waits = 0
        """How often the task has waited. An old value identifies a wake-up that arrives too late."""
        self.children: list[Task] = []
        self.root: Task = self if parent is None else parent.root
        self.thread: int | None = None
        self.done = False
        self.result: object = None
        self.error: BaseException | None = None
        if parent is not None:
            parent.children.append(self)

    def when_done(self, action: Callable[[], object]) -> None:
        """Call an action when the task ends, at the same moment."""
        self._on_end.append(action)

    def kill(self) -> None:
        """End this task and every task that it started, where they wait now."""
        for child in self.children:
            child.kill()
        if not self._killed and not self.done:
            self._killed = True
            self._time.after(0.0, partial(self.resume, self.waits))

    def resume(self, waits: int) -> None:
        """Make the task the next to run, unless it no longer waits for this wake-up."""
        if not self.done and waits == self.waits:
            self._time.chosen = self

    def go_on(self) -> None:
        """Give control to the task. The caller's thread must not run on."""
        if self._has_begun:
            self._baton.give()
        else:
            self._has_begun = True
            self._time.worker().begin(self)

    def park(self) -> None:
        """Wait until the task is resumed. Must run in the task's own thread."""
        if not self._time.pass_control(self):
            self._baton.take()
        self.waits += 1
        if self._killed:
            raise KilledError

    def run(self, worker: Worker) -> None:
        """Make the call, in the thread of a worker."""
        self.thread = threading.get_ident()
        self.waits += 1
        try:
            if not self._killed:
                self.result = self._call()
        except BaseException as error:  # noqa: BLE001  # it belongs to the code that started the task
            self.error = error
        if self._killed and self.error is None:
            self.error = KilledError()
        self.done = True
        for action in self._on_end:
            self._time.after(0.0, action)
        self._time.release(worker)


class VirtualTime:
    """A `message_sender.clock.Clock` with the matching threads.

    Args:
        real_timeout: Real seconds without progress after which a thread counts as stuck.
    """

    def __init__(self, *, real_timeout: float = 60.0) -> None:
        self._real_timeout = real_timeout
        self._seconds = 0.0
        self._until = 0.0
        self._agenda: list[tuple[float, int, Callable[[], object]]] = []
        self._order = count()
        self._steps = 0
        self._error: BaseException | None = None
        self._idle: list[Worker] = []
        self._finished = Baton()
        self.running: Task | None = None
        """The task that runs now; None while an action of the agenda runs."""
        self.chosen: Task | None = None
        """The task that an action has resumed, and that runs next."""

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
        """Call an action later. The action must not wait: start a task for work that waits."""
        heapq.heappush(self._agenda, (self._seconds + seconds, next(self._order), action))

    def start(self, call: Callable[[], object]) -> Task:
        """Run a call in its own thread, from this moment on."""
        task = Task(self, call, self.running)
        self.after(0.0, partial(task.resume, task.waits))
        return task

    def workers(self, calls: Sequence[Callable[[], None]], *, timeout: float) -> list[BaseException | None]:
        """Do in virtual time the same as `message_sender.worker_pool.ThreadPool`."""
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
        """Let time pass until the agenda is empty, or to a moment.

        Raises:
            StuckError: A thread waits in real time.
        """
        self._until = until
        self.pass_control(None)
        steps = -1
        while not self._finished.take(timeout=self._real_timeout):
            if steps == self._steps:
                raise StuckError("a thread waits for something outside virtual time")
            steps = self._steps
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def close(self) -> None:
        """End the threads. The agenda must be empty."""
        while self._idle:
            self._idle.pop().begin(None)

    def pass_control(self, waiting: Task | None) -> bool:
        """Run the agenda until a task is due, and give it control.

        Args:
            waiting: The task whose thread this is, if it waits.

        Returns:
            Whether the waiting task itself is next, so that its thread can run on.
        """
        self.running = None
        try:
            due = self._next_task()
        except BaseException as error:  # noqa: BLE001  # `run` raises it, in the thread that called it
            self._error, due = error, None
        self.running = due
        if due is None:
            self._finished.give()
        elif due is not waiting:
            due.go_on()
        return due is not None and due is waiting

    def worker(self) -> Worker:
        return self._idle.pop() if self._idle else Worker()

    def release(self, worker: Worker) -> None:
        """Take back the worker of a task that has ended, and let the next task run."""
        self._idle.append(worker)
        self.pass_control(None)

    def _next_task(self) -> Task | None:
        """Run actions until one resumes a task. Return None if none is left before the end of the run."""
        agenda = self._agenda
        while agenda and agenda[0][0] <= self._until:
            moment, _, action = heapq.heappop(agenda)
            self._seconds = max(self._seconds, moment)
            self._steps += 1
            action()
            if self.chosen is not None:
                task, self.chosen = self.chosen, None
                return task
        return None

    def _running(self) -> Task:
        if self.running is None or self.running.thread != threading.get_ident():
            raise RuntimeError("only a started call can wait, in the thread that virtual time has given it")
        return self.running
