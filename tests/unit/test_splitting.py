"""The cut of a long text: properties that hold for any text, and the places that a reader expects."""

from __future__ import annotations

import json
import random
import time
import unicodedata
from contextlib import suppress
from functools import partial
from hashlib import sha256
from itertools import accumulate
from typing import Final

import pytest
import regex
from hypothesis import assume, example, given
from hypothesis import strategies as st

from message_sender.graphemes import GRAPHEME
from message_sender.splitting import NotSplittableError, split
from scripts.render_graphemes import MODULE, PROPERTIES, module

BYTES: Final = 200
# Unicode's property White_Space, but for the three spaces that join words
WHITE: Final = (
    "".join(map(chr, [*range(9, 14), 0x20, 0x85, 0x1680, *range(0x2000, 0x2007), *range(0x2008, 0x200B)]))
    + "\u2028\u2029\u205f\u3000"
)
FAMILY: Final = "👨‍👩‍👧‍👦"
FLAGS: Final = "🇩🇪🇫🇷🇯🇵"
HINDI: Final = "नमस्ते दुनिया क्षत्रिय "
ARABIC: Final = "مَرْحَبًا بِالْعَالَمِ؟ كيف حالك اليوم. "
CODE: Final = "```python\nfor x in y:\n    print(x)\n\nreturn 1\n```"
OTHER_GRAPHEMES: Final = regex.compile(r"\X", regex.DOTALL)

cut = partial(split, most_bytes=16_384, most_parts=10)

PIECES: Final = [
    *(
        "word",
        "Hello, world. ",
        "e\u0301\u0302",
        FAMILY,
        FLAGS,
        "🇩",
        HINDI,
        ARABIC,
        "한글 각",
        "\u1112\u1161\u11ab",
    ),
    *(
        "你好。世界！",
        " ",
        "  ",
        "\n",
        "\r\n",
        "\n\n",
        "\t",
        "\u2029",
        "\u00a0",
        "\u200d",
        "\u0600",
        "\ufe0f",
        "👍🏽",
    ),
    *(
        "```",
        "~~~~",
        "`",
        "- item\n",
        "    indented\n",
        CODE,
        "x" * 50,
        "1. ",
        "(Yes!) ",
        "\U0001f1e6",
        "\u0301",
    ),
]
TEXTS: Final = st.lists(
    st.sampled_from(PIECES)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.text(alphabet=WHITE, max_size=30),
    max_size=60,
).map("".join)
TEXTS_TO_CUT: Final = TEXTS.filter(bool)
SIZES: Final = st.integers(8, 60)


def parts_of(text: str, size: int) -> list[str]:
    """Return the parts, however many."""
    try:
        return split(text, most_characters=size, most_bytes=BYTES, most_parts=len(text) + 1)
    except NotSplittableError:
        longest = max(map(len, GRAPHEME.findall(text)))
        assert longest > size or longest * 4 > BYTES
        assume(False)
        raise


def places(text: str, parts: list[str]) -> list[tuple[int, int]]:
    """Return start and end of each part: the text between two parts is white space."""
    found, place = [], 0
    for part in parts:
        start = text.index(part, place)
        assert text[place:start].strip(WHITE) == ""
        place = start + len(part)
        found.append((start, place))
    assert text[place:].strip(WHITE) == ""
    return found


@given(TEXTS_TO_CUT, SIZES)
@example(" " * 100, 8)
@example("\r\n" * 40, 8)
@example("\n" * 40 + "x", 8)
@example("\r   \r\r\u2028\u1680word", 8)
@example("  \r\r\u1680\u2028e\u0301\u0302", 8)
@example("word" + " " * 5 + "e\u0301\u0302\u0303\u0304", 8)
@example(" \u0301" * 40, 8)
@example("\u0600 " * 40, 9)
@example("x" * 500, 8)
def test_the_parts_are_the_text_but_for_white_space_at_the_cuts(text: str, size: int) -> None:
    parts = parts_of(text, size)

    assert "" not in parts
    assert all(len(part) <= size and len(part.encode()) <= BYTES for part in parts)
    assert text.strip(WHITE) == "" or all(part.strip(WHITE) for part in parts)
    starts_and_ends = places(text, parts)
    first = next(
        match.end()
        for match in GRAPHEME.finditer(text)
        if text[: match.end()].strip(WHITE) or match.end() == len(text)
    )
    assert starts_and_ends[0][0] == 0 or first > size or first * 4 > BYTES


@given(TEXTS_TO_CUT, SIZES)
@example(FAMILY * 30, 20)
@example(FLAGS * 30, 9)
@example("🇩" * 99, 9)
@example(HINDI.replace(" ", "") * 9, 30)
@example("e\u0301\u0302" * 90, 8)
@example("क" + "्क" * 9 + " " + "क्ष" * 30, 30)
def test_no_grapheme_is_cut(text: str, size: int) -> None:
    boundaries = {0, *accumulate(map(len, OTHER_GRAPHEMES.findall(text)))}

    for start, end in places(text, parts_of(text, size)):
        assert {start, end} <= boundaries
        assert not (end < len(text) and unicodedata.combining(text[end]))
        assert text[end - 1 : end + 1] != "\r\n"


@given(st.lists(st.sampled_from(PIECES) | st.characters(exclude_categories=["Cs"]), max_size=30).map("".join))
def test_the_boundaries_are_those_of_another_implementation(text: str) -> None:
    found = list(accumulate(map(len, GRAPHEME.findall(text))))

    assert set(found) <= set(accumulate(map(len, OTHER_GRAPHEMES.findall(text))))
    assert "".join(GRAPHEME.findall(text)) == text


@pytest.mark.parametrize(
    "text", [FAMILY, "👍🏽", "❤️", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "각", "\u1112\u1161\u11ab", "क्ष", "e\u0301", "\r\n", "🇩🇪", "ก\u0e33"]
)
def test_a_known_grapheme_is_one(text: str) -> None:
    assert GRAPHEME.findall(text + "x") == [text, "x"]
    assert OTHER_GRAPHEMES.findall(text + "x") == [text, "x"]


def test_the_ranges_are_those_of_the_unicode_data() -> None:
    text = MODULE.read_text(encoding="utf-8")

    assert module(text) == text, "run `python -m scripts.render_graphemes`, and read its docstring first"
    with pytest.raises(ValueError, match=next(iter(PROPERTIES))):
        module("")


@given(TEXTS_TO_CUT, SIZES)
def test_a_text_that_fits_is_one_part(text: str, size: int) -> None:
    text = text[:size]
    assume(len(text.encode()) <= BYTES)

    assert split(text, most_characters=size, most_bytes=BYTES, most_parts=1) == [text]


CORPUS_HASH: Final = "7abbbba8ff7ab7d5a538c9d2655a476ac061235a96a9096bc63ff3f0bc887ac5"
"""Of the cuts of a corpus. If it changes, messages in flight get other parts under the same ClientTokens."""


def corpus() -> list[tuple[str, int]]:
    chance = random.Random(1)
    texts = ["".join(chance.choice(PIECES) for _ in range(chance.randrange(1, 400))) for _ in range(300)]
    # Only code points that every version of Python agrees on would make this too easy
    texts += [
        "".join(
            chr(chance.choice([chance.randrange(0x20, 0xD800), chance.randrange(0xE000, 0x20000)]))
            for _ in range(900)
        )
        for _ in range(100)
    ]
    return [(text, chance.choice([256, 300, 511, 1024])) for text in texts]


def test_the_cut_of_a_corpus_never_changes_under_any_version_of_python() -> None:
    cuts = [split(text, most_characters=size, most_bytes=16_384, most_parts=99) for text, size in corpus()]

    assert sum(map(len, cuts)) > 1000
    assert sha256(json.dumps(cuts).encode()).hexdigest() == CORPUS_HASH


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        ("One.\n\nTwo two. Two\ntwo two.", 20, ["One.", "Two two. Two\ntwo two."[:12], "two two."]),
        ("One one.\nTwo. Two two two", 20, ["One one.", "Two. Two two two"]),
        ("One one. Two two two three", 20, ["One one.", "Two two two three"]),
        ("He said (“yes!”) and left the room", 20, ["He said (“yes!”)", "and left the room"]),
        ("one two three four five six", 20, ["one two three four", "five six"]),
        ("1. one two three four five six", 20, ["1. one two three", "four five six"]),
        ("x" * 50, 20, ["x" * 20, "x" * 20, "x" * 10]),
        ("one\r\n\r\ntwo two two two", 16, ["one", "two two two two"]),
        ("one\u2029two two two two", 16, ["one", "two two two two"]),
        ("你好。世界！今天天气很好。我们去公园吧。", 8, ["你好。世界！", "今天天气很好。", "我们去公园吧。"]),
        ("a: item\n    - sub one\n    - sub two", 20, ["a: item", "    - sub one", "    - sub two"]),
        ("one two\u00a0three\u00a0four five", 16, ["one", "two\u00a0three\u00a0four", "five"]),
        ("one two   ", 8, ["one two"]),
        ("  one two", 8, ["  one", "two"]),
    ],
)
def test_a_part_ends_at_the_last_paragraph_line_sentence_or_word(
    text: str, size: int, expected: list[str]
) -> None:
    assert cut(text, most_characters=size) == expected


def test_fenced_code_stays_whole_if_it_fits() -> None:
    text = f"Some words.\n\nMore words, and then the code:\n{CODE}\nAfter the code. The end"

    assert cut(text, most_characters=60) == [
        "Some words.",
        "More words, and then the code:",
        f"{CODE}",
        "After the code. The end",
    ]


@pytest.mark.parametrize("fence", ["```", "~~~", "`````", "  ```", "\t~~~"])
def test_a_line_before_fenced_code_is_better_than_a_paragraph_in_it(fence: str) -> None:
    text = f"words\n{fence} py\none\n\ntwo\n{fence}\nafter"

    first, *rest = cut(text, most_characters=len(text) - 8)

    assert first == "words"
    assert rest[0].startswith(f"{fence} py\none\n\ntwo")


@pytest.mark.parametrize(
    "text",
    ["``` a`b\none\n\ntwo three four", "```\none\n``\n~~~\n\ntwo three four", "```\none\n\ntwo three four"],
)
def test_what_opens_and_closes_fenced_code_is_known(text: str) -> None:
    assert cut(text, most_characters=len(text) - 2)[0] == text.partition("\n\n")[0]


def test_fenced_code_that_does_not_fit_is_cut_like_other_text() -> None:
    text = "```\n" + "\n\n".join(["line one\nline two"] * 9) + "\n```\nafter"

    parts = cut(text, most_characters=40)

    assert parts[0] == "```\nline one\nline two\n\nline one\nline two"
    assert all(part.endswith(("line two", "```\nafter")) for part in parts)


def test_fuller_parts_are_made_if_there_would_be_too_many() -> None:
    text = "\n\n".join(["A few words here"] * 20)
    assert len(text) == 358

    parts = cut(text, most_characters=40)

    assert parts[0] == "A few words here\n\nA few words here"
    assert len(parts) == 10


def test_a_text_that_needs_more_parts_cannot_be_split() -> None:
    with pytest.raises(NotSplittableError, match="needs more than 10 parts of 20 characters"):
        cut("x" * 201, most_characters=20)
    assert len(cut("x" * 200, most_characters=20)) == 10


@pytest.mark.parametrize("grapheme", ["e" + "\u0301" * 20, FAMILY * 1 + "\u200d👦" * 9])
def test_a_grapheme_that_is_longer_than_a_part_cannot_be_split(grapheme: str) -> None:
    with pytest.raises(NotSplittableError, match="contains a grapheme of more than 20 characters"):
        cut(f"Hello, you there. {grapheme} and so on", most_characters=20)


def test_a_part_has_at_most_so_many_bytes() -> None:
    parts = cut("😀" * 16_384, most_characters=16_384)

    assert [len(part) for part in parts] == [4096] * 4
    [first, *_] = cut("é" + "x" * 65_000, most_characters=16_384)
    assert len(first.encode()) == 16_384


HOSTILE: Final = {
    "one word": "x" * 65_536,
    "words": "a " * 32_768,
    "sentences": "a. " * 21_845,
    "white space": " " * 65_536,
    "a word after white space": "\n" * 65_535 + "x",
    "paragraphs": "\n\nx" * 21_845,
    "fences": "```\n" * 16_384,
    "a fence": "`" * 65_536,
    "fences that open": "``` a`\n" * 9_362,
    "marks": "e" + "\u0301" * 32_000,
    "marks on spaces": " \u0301" * 21_845,
    "emoji": FAMILY * 2_621,
    "joiners": "👨" + "\u200d" * 21_000,
    "prepended": "\u0600" * 32_768,
    "viramas": "क" + "्" * 21_000,
    "closing": "。" + ")" * 65_000,
    "wide": "。" * 21_845,
    "right to left": ARABIC * 800,
    "carriage returns": "\r" * 65_536,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_no_text_takes_long(text: str) -> None:
    """A quadratic step would take minutes."""
    started = time.process_time()

    for size in (256, 16_384):
        with suppress(NotSplittableError):
            assert places(text, cut(text, most_characters=size))

    assert time.process_time() - started < 5
