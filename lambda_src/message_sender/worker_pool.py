"""Concurrent calls in threads that are kept.

A new pool of `concurrent.futures` for each batch took a fifth of a message's CPU. A kept
`ThreadPoolExecutor` may count a busy thread as idle. A server can hold a thread for minutes, because socket
timeouts apply to each piece of an answer: nothing waits for an overdue thread, which may still send, under
the same ClientToken.
"""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_Answers: TypeAlias = "SimpleQueue[tuple[int, BaseException | None]]"
_Calls: TypeAlias = "SimpleQueue[tuple[int, Callable[[], None], _Answers]]"


class WorkerPool(Protocol):
    """Runs calls concurrently. See `ThreadPool`."""

    def __call__(
        self, calls: Sequence[Callable[[], None]], *, timeout: float
    ) -> list[BaseException | None]: ...


class ThreadPool:
    """A thread pool that grows to the peak concurrency. A busy or overdue thread is never reused."""

    def __init__(self) -> None:
        self._idle: list[_Calls] = []

    def __call__(self, calls: Sequence[Callable[[], None]], *, timeout: float) -> list[BaseException | None]:
        """Run each call in its own thread and wait for all, at most `timeout` seconds.

        Returns:
            For each call the exception that ended it, None if there was none. `TimeoutError` if it is
            overdue.
        """
        answers: _Answers = SimpleQueue()
        for index, call in enumerate(calls):
            self._idle_thread().put((index, call, answers))
        errors: list[BaseException | None] = [TimeoutError()] * len(calls)
        until = monotonic() + timeout
        for _ in calls:
            try:
                index, error = answers.get(timeout=max(0.0, until - monotonic()))
            except Empty:
                break
            errors[index] = error
        return errors

    def _idle_thread(self) -> _Calls:
        try:
            return self._idle.pop()
        except IndexError:
            calls: _Calls = SimpleQueue()
            Thread(target=self._work, args=(calls,), name="worker", daemon=True).start()
            return calls

    def _work(self, calls: _Calls) -> None:
        while True:
            index, call, answers = calls.get()
            error: BaseException | None = None
            try:
                call()
            except BaseException as raised:  # noqa: BLE001  # the caller gets it
                error = raised
            self._idle.append(calls)  # first: whoever has the answer may use this thread again
            answers.put((index, error))
            del call, answers, error  # an idle thread keeps no message
