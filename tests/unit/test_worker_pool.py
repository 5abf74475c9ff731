"""Calls at the same time: each has a thread, whatever became of those before."""

from __future__ import annotations

import gc
import threading
import weakref
from functools import partial

import pytest

from message_sender.worker_pool import ThreadPool


def nothing() -> None:
    pass


def fail(error: BaseException) -> None:
    raise error


def meet(others: threading.Barrier) -> None:
    others.wait(10)


def wait_for(event: threading.Event) -> None:
    event.wait(10)


def test_calls_run_at_the_same_time() -> None:
    errors = ThreadPool()([partial(meet, threading.Barrier(10))] * 10, timeout=10)

    assert errors == [None] * 10


def test_each_call_has_its_own_error() -> None:
    first, last = ValueError("first"), SystemExit(1)

    errors = ThreadPool()([partial(fail, first), nothing, partial(fail, last)], timeout=10)

    assert errors == [first, None, last]


def test_no_call_is_no_error() -> None:
    assert ThreadPool()([], timeout=0) == []


def test_threads_are_kept() -> None:
    workers = ThreadPool()
    seen: set[int] = set()

    def note(all_here: threading.Barrier) -> None:
        seen.add(threading.get_ident())
        all_here.wait(10)

    for _ in range(200):
        workers([partial(note, threading.Barrier(5))] * 5, timeout=10)

    assert len(seen) == 5


def test_a_late_call_takes_no_place_and_its_thread_is_idle_again_when_it_ends() -> None:
    workers = ThreadPool()
    release, ended = threading.Event(), threading.Event()

    def late() -> None:
        wait_for(release)
        ended.set()

    first = workers([late] * 3, timeout=0.05)
    second = workers([partial(meet, threading.Barrier(3))] * 3, timeout=10)
    release.set()

    assert [type(error) for error in first] == [TimeoutError] * 3
    assert second == [None] * 3
    assert ended.wait(10)


@pytest.mark.parametrize("timeout", [0.0, -1.0])
def test_without_patience_what_is_not_done_is_late(timeout: float) -> None:
    release = threading.Event()

    errors = ThreadPool()([partial(wait_for, release)], timeout=timeout)
    release.set()

    assert [type(error) for error in errors] == [TimeoutError]


def test_an_idle_thread_holds_nothing_of_what_it_did() -> None:
    class Message:
        def send(self) -> None:
            pass

    workers, message = ThreadPool(), Message()
    is_there = weakref.ref(message)

    workers([message.send], timeout=10)
    del message
    workers([nothing], timeout=10)  # by now the thread is done with the first
    gc.collect()

    assert is_there() is None
