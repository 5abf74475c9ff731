"""The signals that stop a command, and the text that it prints."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from smoke.command import signals_held_back, stopped_by_signals

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def other_threads() -> Iterator[None]:
    """Keep some threads alive, to which the kernel may give a signal that the main thread masks."""
    end = threading.Event()
    threads = [threading.Thread(target=end.wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    yield
    end.set()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_program(number: signal.Signals) -> None:
    with pytest.raises(SystemExit) as raised, stopped_by_signals():
        signal.raise_signal(number)

    assert raised.value.code == 128 + number


def test_a_second_signal_does_not_cut_the_stopping_short() -> None:
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


def test_the_handlers_of_before_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)

    with stopped_by_signals():
        assert signal.getsignal(signal.SIGINT) != before

    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.usefixtures("other_threads")
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_waits_for_the_end_of_the_outermost_block(number: signal.Signals, depth: int) -> None:
    steps = []

    def run() -> None:
        with ExitStack() as blocks:
            for _ in range(depth):
                blocks.enter_context(signals_held_back())
            os.kill(os.getpid(), number)
            with signals_held_back():
                steps.append("in a nested block")
            steps.append("in the block")
        steps.append("behind the block")

    with pytest.raises(SystemExit) as raised, stopped_by_signals():
        run()

    assert raised.value.code == 128 + number
    assert steps == ["in a nested block", "in the block"]


def test_a_second_signal_in_a_block_neither_replaces_the_first_nor_raises_again() -> None:
    cleaned_up = []

    def run() -> None:
        with stopped_by_signals():
            try:
                with signals_held_back():
                    signal.raise_signal(signal.SIGTERM)
                    signal.raise_signal(signal.SIGINT)
            finally:
                with signals_held_back():
                    signal.raise_signal(signal.SIGINT)
                cleaned_up.append(True)

    with pytest.raises(SystemExit) as raised:
        run()
    assert raised.value.code == 128 + signal.SIGTERM
    assert cleaned_up


def test_a_signal_in_a_block_that_fails_is_not_lost() -> None:
    def run() -> None:
        with signals_held_back():
            signal.raise_signal(signal.SIGTERM)
            raise ValueError

    with pytest.raises(SystemExit), stopped_by_signals():
        run()


def test_a_block_without_a_signal_stops_nothing() -> None:
    with stopped_by_signals(), signals_held_back():
        pass


def test_a_block_of_another_thread_holds_nothing_back() -> None:
    entered, end = threading.Event(), threading.Event()

    def hold() -> None:
        with signals_held_back():
            entered.set()
            end.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait()
    try:
        with pytest.raises(SystemExit), stopped_by_signals():
            signal.raise_signal(signal.SIGTERM)
    finally:
        end.set()
        thread.join()


def test_the_next_command_is_stopped_as_the_first_one_was() -> None:
    for _ in range(2):
        with pytest.raises(SystemExit), stopped_by_signals(), signals_held_back():
            signal.raise_signal(signal.SIGTERM)
