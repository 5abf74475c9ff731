"""Concurrent calls: each gets an idle thread, even if earlier calls failed or are overdue."""

from __future__ import annotations

import gc
import threading
import weakref
from functools import partial

import pytest

from message_sender.worker_pool import ThreadPool


def do_nothing() -> None:
    pass


def fail(error: BaseException) -> None:
    raise error


def wait_at(barrier: threading.Barrier) -> None:
    barrier.wait(10)


def wait_for(event: threading.Event) -> None:
    event.wait(10)


def test_calls_run_at_the_same_time() -> None:
    errors = ThreadPool()([partial(wait_at, threading.Barrier(10))] * 10, timeout=10)

    assert errors == [None] * 10


def test_each_call_reports_its_own_error() -> None:
    first, last = ValueError("first"), SystemExit(1)

    errors = ThreadPool()([partial(fail, first), do_nothing, partial(fail, last)], timeout=10)

    assert errors == [first, None, last]


def test_no_calls_have_no_errors() -> None:
    assert ThreadPool()([], timeout=0) == []


def test_threads_are_reused() -> None:
    workers = ThreadPool()
    threads: set[int] = set()

    def note(barrier: threading.Barrier) -> None:
        threads.add(threading.get_ident())
        barrier.wait(10)

    for _ in range(200):
        workers([partial(note, threading.Barrier(5))] * 5, timeout=10)

    assert len(threads) == 5


def test_an_overdue_call_blocks_no_other_and_its_thread_can_be_reused_when_it_ends() -> None:
    workers = ThreadPool()
    release, ended = threading.Event(), threading.Event()

    def overdue() -> None:
        wait_for(release)
        ended.set()

    first = workers([overdue] * 3, timeout=0.05)
    second = workers([partial(wait_at, threading.Barrier(3))] * 3, timeout=10)
    release.set()

    assert [type(error) for error in first] == [TimeoutError] * 3
    assert second == [None] * 3
    assert ended.wait(10)


@pytest.mark.parametrize("timeout", [0.0, -1.0])
def test_a_timeout_of_zero_or_less_reports_unfinished_calls_as_overdue(timeout: float) -> None:
    release = threading.Event()

    errors = ThreadPool()([partial(wait_for, release)], timeout=timeout)
    release.set()

    assert [type(error) for error in errors] == [TimeoutError]


def test_an_idle_thread_keeps_no_reference_to_its_last_call() -> None:
    class Message:
        def send(self) -> None:
            pass

    workers, message = ThreadPool(), Message()
    reference = weakref.ref(message)

    workers([message.send], timeout=10)
    del message
    workers([do_nothing], timeout=10)  # now the thread has dropped the first call
    gc.collect()

    assert reference() is None
