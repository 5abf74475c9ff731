"""The signals that stop a command, and the text that it prints."""

from __future__ import annotations

import os
import signal
import sys
import threading
import unicodedata
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.stack.command import printable, signals_held_back, stopped_by_signals

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def a_session_that_is_heeded() -> Iterator[None]:
    """Let the tests not depend on whether they run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


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


def test_the_end_of_the_session_stays_ignored_under_nohup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with stopped_by_signals():
        signal.raise_signal(signal.SIGHUP)
        with pytest.raises(SystemExit):
            signal.raise_signal(signal.SIGTERM)


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("one\r\n\ttwo", r"one\r\n\ttwo"),
        ("\x7f \x85 \x9b31m", r"\x7f \x85 \x9b31m"),
        ("\u2028 \u2029", r"\u2028 \u2029"),
        ("\u202a\u202b\u202c\u202d\u202e", r"\u202a\u202b\u202c\u202d\u202e"),
        ("\u2066\u2067\u2068\u2069", r"\u2066\u2067\u2068\u2069"),
        ("\ufeff\u2061\ufff9", r"\ufeff\u2061\ufff9"),
        ("\u0378 \U000f0000", r"\u0378 \U000f0000"),
        ("\U000e0001\U000e0041\U000e007f", r"\U000e0001\U000e0041\U000e007f"),
        ("\ud83d \udc00", r"\ud83d \udc00"),
        ("\ufffe \ufdd0 \U0010ffff", r"\ufffe \ufdd0 \U0010ffff"),
        ("\ue000", r"\ue000"),
    ],
)
def test_a_character_that_steers_splits_or_hides_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Bonjour\xa0!",
        "１２３\u3000四",
        "👩\u200d👩\u200d👧",
        "☕\ufe0f",
        "می\u200cخواهم",
        "\u200eשלום\u200f\u061c",
        "Donau\xaddampf",
        "\u0600١٢٣",
        r"C:\new \x1b",
        "e\u0301 ไทย �",
        "ខ្ញុំ\u200bចង់",
        "🩷🫨\U0001faef",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_line_feeds_stay_where_a_text_has_lines() -> None:
    assert printable("one\ntwo\r\n\x1b", lines=True) == "one\ntwo\\r\n\\x1b"


_UNSAFE = {"Cc", "Zl", "Zp", "Cs", "Co", "Cn"}
_REORDERING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
code_points = st.integers(0, sys.maxunicode).map(chr)


def test_no_code_point_of_all_gets_through_that_steers_or_splits() -> None:
    shown = set(printable("".join(map(chr, range(sys.maxunicode + 1)))))

    emoji = set(map(chr, range(0x1F300, 0x1FB00)))  # some are younger than this Python's data
    assert not {unicodedata.category(character) for character in shown - emoji} & _UNSAFE
    assert not {unicodedata.bidirectional(character) for character in shown} & _REORDERING


@given(st.lists(code_points | st.sampled_from("\x1b\n\u2028\u202e\u200d\\")).map("".join))
def test_an_escaped_text_is_one_line_and_is_not_escaped_again(text: str) -> None:
    shown = printable(text)

    assert len(shown.splitlines()) <= 1
    assert printable(shown) == shown
    assert all(character in text or character.isascii() for character in shown)
