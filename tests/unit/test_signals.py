"""Signals stop a command."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from ops.stack.signals import defer_signals, stopped_by_signals

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def sighup_is_not_ignored() -> Iterator[None]:
    """Make the tests independent of nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def other_threads() -> Iterator[None]:
    """Keep some threads alive: the kernel may deliver a signal to them that the main thread masks."""
    end = threading.Event()
    threads = [threading.Thread(target=end.wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    yield
    end.set()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_exits_with_128_plus_its_number(number: signal.Signals) -> None:
    with pytest.raises(SystemExit) as raised, stopped_by_signals():
        signal.raise_signal(number)

    assert raised.value.code == 128 + number


def test_sighup_stays_ignored_under_nohup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with stopped_by_signals():
        signal.raise_signal(signal.SIGHUP)
        with pytest.raises(SystemExit):
            signal.raise_signal(signal.SIGTERM)


def test_second_signal_does_not_interrupt_the_cleanup() -> None:
    stopped = []

    def run() -> None:
        with stopped_by_signals():
            try:
                signal.raise_signal(signal.SIGINT)
            finally:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGTERM)
                stopped.append(True)

    with pytest.raises(SystemExit):
        run()
    assert stopped


def test_previous_handlers_are_restored() -> None:
    before = signal.getsignal(signal.SIGINT)

    with stopped_by_signals():
        assert signal.getsignal(signal.SIGINT) != before

    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.usefixtures("other_threads")
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_is_deferred_to_the_end_of_the_outermost_block(number: signal.Signals, depth: int) -> None:
    steps = []

    def run() -> None:
        with ExitStack() as blocks:
            for _ in range(depth):
                blocks.enter_context(defer_signals())
            os.kill(os.getpid(), number)
            with defer_signals():
                steps.append("in a nested block")
            steps.append("in the block")
        steps.append("after the block")

    with pytest.raises(SystemExit) as raised, stopped_by_signals():
        run()

    assert raised.value.code == 128 + number
    assert steps == ["in a nested block", "in the block"]


def test_second_signal_in_a_block_neither_replaces_the_first_nor_raises_again() -> None:
    cleaned_up = []

    def run() -> None:
        with stopped_by_signals():
            try:
                with defer_signals():
                    signal.raise_signal(signal.SIGTERM)
                    signal.raise_signal(signal.SIGINT)
            finally:
                with defer_signals():
                    signal.raise_signal(signal.SIGINT)
                cleaned_up.append(True)

    with pytest.raises(SystemExit) as raised:
        run()
    assert raised.value.code == 128 + signal.SIGTERM
    assert cleaned_up


def test_signal_in_a_block_that_fails_is_not_lost() -> None:
    def run() -> None:
        with defer_signals():
            signal.raise_signal(signal.SIGTERM)
            raise ValueError

    with pytest.raises(SystemExit), stopped_by_signals():
        run()


def test_block_without_a_signal_does_not_exit() -> None:
    with stopped_by_signals(), defer_signals():
        pass


def test_block_in_another_thread_defers_nothing() -> None:
    entered, end = threading.Event(), threading.Event()

    def defer() -> None:
        with defer_signals():
            entered.set()
            end.wait()

    thread = threading.Thread(target=defer)
    thread.start()
    entered.wait()
    try:
        with pytest.raises(SystemExit), stopped_by_signals():
            signal.raise_signal(signal.SIGTERM)
    finally:
        end.set()
        thread.join()


def test_signals_stop_the_next_command_too() -> None:
    for _ in range(2):
        with pytest.raises(SystemExit), stopped_by_signals(), defer_signals():
            signal.raise_signal(signal.SIGTERM)
