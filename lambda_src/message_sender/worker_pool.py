"""Calls at the same time, in threads that are kept.

Starting ten threads for each batch, as a pool of `concurrent.futures` does, was a fifth of a message's CPU
(docs/decisions.md).
"""

from __future__ import annotations

from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_Answers: TypeAlias = "SimpleQueue[tuple[int, BaseException | None]]"
_Inbox: TypeAlias = "SimpleQueue[tuple[int, Callable[[], None], _Answers]]"


class WorkerPool(Protocol):
    """Runs calls at the same time. See `ThreadPool`."""

    def __call__(
        self, calls: Sequence[Callable[[], None]], *, timeout: float
    ) -> list[BaseException | None]: ...


class ThreadPool:
    """Threads, as many as were ever needed at once, each with an inbox of its own.

    One that works, or is late, is not idle: it takes no place from what comes after.
    """

    def __init__(self) -> None:
        self._idle: list[_Inbox] = []

    def __call__(self, calls: Sequence[Callable[[], None]], *, timeout: float) -> list[BaseException | None]:
        """Run each call in a thread of its own and wait for all, but no longer than `timeout` seconds.

        Returns:
            For each call the exception that ended it, None if there was none. `TimeoutError` if it is late.
        """
        answers: _Answers = SimpleQueue()
        for place, call in enumerate(calls):
            self._idle_inbox().put((place, call, answers))
        errors: list[BaseException | None] = [TimeoutError()] * len(calls)
        until = monotonic() + timeout
        for _ in calls:
            try:
                place, error = answers.get(timeout=max(0.0, until - monotonic()))
            except Empty:
                break
            errors[place] = error
        return errors

    def _idle_inbox(self) -> _Inbox:
        try:
            return self._idle.pop()
        except IndexError:
            inbox: _Inbox = SimpleQueue()
            Thread(target=self._work, args=(inbox,), name="side-by-side", daemon=True).start()
            return inbox

    def _work(self, inbox: _Inbox) -> None:
        while True:
            place, call, answers = inbox.get()
            error: BaseException | None = None
            try:
                call()
            except BaseException as raised:  # noqa: BLE001  # it is the caller's
                error = raised
            self._idle.append(inbox)  # first, so that whoever has the answer finds this thread idle
            answers.put((place, error))
            del call, answers, error  # an idle thread holds no message
