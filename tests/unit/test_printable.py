"""Text from elsewhere is safe to print."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.stack.printable import printable


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
def test_character_that_controls_splits_or_hides_is_escaped(text: str, shown: str) -> None:
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
def test_ordinary_text_is_unchanged(text: str) -> None:
    assert printable(text) == text


def test_line_feeds_stay_in_a_text_of_several_lines() -> None:
    assert printable("one\ntwo\r\n\x1b", lines=True) == "one\ntwo\\r\n\\x1b"


_UNSAFE = {"Cc", "Zl", "Zp", "Cs", "Co", "Cn"}
_REORDERING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
code_points = st.integers(0, sys.maxunicode).map(chr)


def test_no_code_point_that_controls_or_splits_gets_through() -> None:
    shown = set(printable("".join(map(chr, range(sys.maxunicode + 1)))))

    emoji = set(map(chr, range(0x1F300, 0x1FB00)))  # some are newer than this Python's data
    assert not {unicodedata.category(character) for character in shown - emoji} & _UNSAFE
    assert not {unicodedata.bidirectional(character) for character in shown} & _REORDERING


@given(st.lists(code_points | st.sampled_from("\x1b\n\u2028\u202e\u200d\\")).map("".join))
def test_escaped_text_is_one_line_and_is_not_escaped_again(text: str) -> None:
    shown = printable(text)

    assert len(shown.splitlines()) <= 1
    assert printable(shown) == shown
    assert all(character in text or character.isascii() for character in shown)
