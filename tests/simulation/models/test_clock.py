"""Virtual time: the clock and the scheduler of threads."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from tests.simulation.models.clock import START, KilledError, StuckError, VirtualTime


def test_an_hour_of_sleep_takes_no_real_time() -> None:
    time = VirtualTime()
    task = time.start(partial(time.sleep, 3600))

    time.run()

    assert task.done
    assert time.monotonic() == 3600
    assert (time.now() - START).total_seconds() == 3600


def test_threads_run_in_the_order_of_the_moments_that_they_wait_for() -> None:
    time = VirtualTime()
    seen: list[tuple[str, float]] = []

    def wait(name: str, *moments: float) -> None:
        for moment in moments:
            time.sleep(moment - time.monotonic())
            seen.append((name, time.monotonic()))

    time.start(partial(wait, "a", 1, 4))
    time.start(partial(wait, "b", 1, 2, 3))
    time.run()

    assert seen == [("a", 1), ("b", 1), ("b", 2), ("b", 3), ("a", 4)]


def test_concurrent_calls_take_as_long_as_the_longest() -> None:
    time = VirtualTime()

    def main() -> list[BaseException | None]:
        return time.workers([partial(time.sleep, 2), partial(time.sleep, 5)], timeout=10)

    task = time.start(main)
    task.when_done(lambda: ended.append(time.monotonic()))
    ended: list[float] = []
    time.run()

    assert task.result == [None, None]
    assert ended == [5]


def test_concurrent_calls_that_exceed_the_timeout_are_reported_and_run_on() -> None:
    time = VirtualTime()
    late: list[float] = []

    def slow() -> None:
        time.sleep(9)
        late.append(time.monotonic())

    def fail() -> None:
        raise ZeroDivisionError

    def main() -> tuple[list[type], float]:
        ends = time.workers([slow, partial(time.sleep, 1), fail], timeout=3)
        return [type(end) for end in ends], time.monotonic()

    task = time.start(main)
    time.run()

    assert task.result == ([TimeoutError, type(None), ZeroDivisionError], 3)
    assert late == [9]  # it runs on, as a thread does


def test_no_concurrent_calls_take_no_time() -> None:
    time = VirtualTime()
    task = time.start(lambda: time.workers([], timeout=5))

    time.run()

    assert task.result == []
    assert time.monotonic() == 0


def test_a_killed_call_ends_where_it_waits_with_all_calls_that_it_started() -> None:
    time = VirtualTime()
    seen: list[str] = []

    def child() -> None:
        try:
            time.sleep(10)
        except Exception:  # noqa: BLE001  # what production code does
            seen.append("handled")
        seen.append("went on")

    task = time.start(lambda: time.workers([child, child], timeout=20))
    time.after(5, task.kill)
    time.run()

    assert isinstance(task.error, KilledError)
    assert [type(child.error) for child in task.children] == [KilledError, KilledError]
    assert seen == []


def test_only_a_started_call_can_wait() -> None:
    with pytest.raises(RuntimeError):
        VirtualTime().sleep(1)


def test_a_thread_outside_virtual_time_cannot_wait() -> None:
    time = VirtualTime()
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            time.sleep(1)
        except RuntimeError as error:
            errors.append(error)

    def main() -> None:
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()

    time.start(main)
    time.run()

    assert len(errors) == 1


def test_a_run_to_a_moment_can_be_continued() -> None:
    time = VirtualTime()
    seen: list[float] = []
    for moment in (1, 2, 3):
        time.after(moment, lambda: seen.append(time.monotonic()))

    time.run(until=2)

    assert seen == [1, 2]
    time.run()
    assert seen == [1, 2, 3]


def test_a_thread_that_waits_in_real_time_is_reported() -> None:
    time = VirtualTime(real_timeout=0.05)
    held = threading.Event()
    time.start(held.wait)

    with pytest.raises(StuckError):
        time.run()

    held.set()


def test_an_error_in_an_action_ends_the_run() -> None:
    time = VirtualTime()

    def fail() -> None:
        raise ZeroDivisionError

    time.start(partial(time.sleep, 2))
    time.after(1, fail)

    with pytest.raises(ZeroDivisionError):
        time.run()
