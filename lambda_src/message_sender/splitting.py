"""Cut a long text into parts: where a reader pauses, and never inside a grapheme.

The cut depends on the arguments alone, so a retry makes the same parts, under every version of Python.
Another cut is a breaking change: Amazon Connect would take other texts under the same ClientTokens for
repeats. So white space, the ends of sentences and graphemes are defined here and in `graphemes.py`.

The work is linear in the size of the text. Only a request that is longer than a part imports this module,
which takes 20 ms.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from enum import IntEnum
from itertools import takewhile
from typing import TYPE_CHECKING, Final, NamedTuple

from message_sender.graphemes import GRAPHEME

if TYPE_CHECKING:
    from collections.abc import Iterator

_BREAKS: Final = "\n\r\v\f\x85\u2028\u2029"
_BREAK_CHARACTERS: Final = frozenset(_BREAKS)
_PARAGRAPH: Final = "\u2029"
# Unicode's property White_Space, without the spaces at which no line may end
_WHITE: Final = f"{_BREAKS}\t \u1680\u2000-\u2006\u2008-\u200a\u205f\u3000"
_WHITE_RUN: Final = re.compile(f"[{_WHITE}]*+")
_LINE_BREAK: Final = re.compile(f"\r\n|[{_BREAKS}]")

_FULL_STOP: Final = "."
_DIGITS: Final = frozenset("0123456789")
# After these, Chinese and Japanese have no white space
_WIDE_ENDS: Final = "。！？｡．"
_ENDS: Final = frozenset(f"{_FULL_STOP}!?…؟۔।॥။።{_WIDE_ENDS}")
_CLOSING: Final = "\"')}»”’」』）】*_"
_ENDS_OR_CLOSING: Final = _ENDS | frozenset(_CLOSING)
_LOOK_BACK: Final = 5
"""Characters: three that close, the one that ends the sentence, and the one before it."""

_PAUSE: Final = re.compile(f"[{_WIDE_ENDS}][{_CLOSING}]*+([{_WHITE}]*+)|([{_WHITE}]++)")
_FENCE: Final = re.compile(r"(?<![^\n\r])[ \t]*+(?P<mark>`{3,}+|~{3,}+)(?P<rest>[^\n\r]*+)")


class NotSplittableError(Exception):
    """The text cannot be cut within the limits. The message is the end of a sentence about it."""


class _Kind(IntEnum):
    """The kind of a pause: the higher, the better suited for a cut."""

    WORD = 0
    SENTENCE = 1
    LINE = 2
    PARAGRAPH = 3


class _Cut(NamedTuple):
    """The end of a part, and the start of the next one. The greatest cut is the best one."""

    is_outside_code: bool
    kind: _Kind
    end: int
    next_start: int


_BEST: Final = (True, _Kind.PARAGRAPH)


def split(text: str, *, most_characters: int, most_bytes: int, most_parts: int) -> list[str]:
    """Return the parts of a text. Together they are the text, but for white space at the cuts.

    A part ends at the last paragraph, line, sentence or word that fits, in this order, and outside of fenced
    code if it can. If that makes too many parts, each ends at the last word that fits. A longer word is cut
    between two graphemes. An indentation after a cut stays.

    Args:
        most_characters: Of a part, as `most_bytes` of UTF-8.

    Raises:
        NotSplittableError: There are too many parts, or a grapheme is longer than a part.
    """
    for prefers_long_pauses in (True, False):
        cutter = _Cutter(text, most_characters, most_bytes, prefers_long_pauses=prefers_long_pauses)
        parts = []
        for part in cutter.parts():
            parts.append(part)
            if len(parts) > most_parts:
                break
        else:
            return parts
    raise NotSplittableError(f"needs more than {most_parts} parts of {most_characters} characters")


class _Cutter:
    """Cuts one text.

    Args:
        prefers_long_pauses: Whether a part may be short, so that it ends with a paragraph, line or sentence.
    """

    def __init__(
        self, text: str, most_characters: int, most_bytes: int, *, prefers_long_pauses: bool
    ) -> None:
        self._text = text
        self._most_characters = most_characters
        self._most_bytes = most_bytes
        self._prefers_long_pauses = prefers_long_pauses
        self._code = _fenced_code(text)
        self._code_ends = [end for _, end in self._code]

    def parts(self) -> Iterator[str]:
        """Yield the parts. White space alone is one only if the text has nothing else."""
        text, start = self._text, 0
        if _end_of_white(text, 0) == len(text):
            yield text[: self._boundaries(0, self._farthest_end(0))[-1]]
            return
        while (white_end := _end_of_white(text, start)) < len(text):
            end = self._farthest_end(start)
            if end == len(text):
                yield text[start:]
                return
            cut = None if white_end >= end else self._best_cut(start, end)
            if cut is None or cut.end <= white_end:  # nothing else fits into a part with this white space
                start = _start_after(text, start, white_end)
                continue
            yield text[start : cut.end]
            start = cut.next_start

    def _farthest_end(self, start: int) -> int:
        """Return the farthest end within the limits of a part that starts here."""
        end = min(start + self._most_characters, len(self._text))
        if (end - start) * 4 <= self._most_bytes:
            return end
        fitting = self._text[start:end].encode()[: self._most_bytes]
        return start + len(fitting.decode(errors="ignore"))

    def _best_cut(self, start: int, farthest: int) -> _Cut:
        best: _Cut | None = None
        for end, white_end in reversed(self._pauses(start, farthest)):
            if best is not None and best.is_outside_code and self._is_no_better(end, white_end, best.kind):
                continue
            if not _is_boundary(self._text, end):
                continue
            cut = self._cut(start, end, white_end)
            best = cut if best is None else max(best, cut)
            if not self._prefers_long_pauses or best[:2] == _BEST:
                break
        if best is None:
            boundary = self._boundaries(start, farthest)[-1]
            best = _Cut(self._is_outside_code(boundary), _Kind.WORD, boundary, boundary)
        return best

    def _pauses(self, start: int, farthest: int) -> list[tuple[int, int]]:
        """Return the start and the end of each white space at which the part may end, in order.

        After a wide sentence it may be empty.
        """
        matches = takewhile(lambda match: match.start() <= farthest, _PAUSE.finditer(self._text, start))
        pauses = [(match.start(match.lastindex or 0), match.end()) for match in matches]
        return [pause for pause in pauses if start < pause[0] <= farthest]

    def _is_no_better(self, end: int, white_end: int, best: _Kind) -> bool:
        """Return whether a pause is certainly not of a better kind. A quick look, since texts have many."""
        text = self._text
        is_a_line = white_end - end > 1 or text[end:white_end] in _BREAK_CHARACTERS
        may_be_a_sentence = best is _Kind.WORD and text[end - 1] in _ENDS_OR_CLOSING
        return not is_a_line and not may_be_a_sentence

    def _cut(self, start: int, end: int, white_end: int) -> _Cut:
        text = self._text
        kind = _kind(text[max(start, end - _LOOK_BACK) : end], text[end:white_end])
        return _Cut(self._is_outside_code(end), kind, end, _start_after(text, end, white_end))

    def _boundaries(self, start: int, farthest: int) -> list[int]:
        """Return the ends of the graphemes after this start, which begins one.

        Raises:
            NotSplittableError: The first one is too long.
        """
        ends = (match.end() for match in GRAPHEME.finditer(self._text, start))
        boundaries = list(takewhile(lambda end: end <= farthest, ends))
        if not boundaries:
            raise NotSplittableError(
                f"contains a grapheme of more than {self._most_characters} characters "
                f"or {self._most_bytes} bytes of UTF-8"
            )
        return boundaries

    def _is_outside_code(self, place: int) -> bool:
        index = bisect_right(self._code_ends, place)
        return index == len(self._code) or place <= self._code[index][0]


def _kind(before: str, white: str) -> _Kind:
    """Return the kind of a pause, by the last characters before it and its white space."""
    breaks = len(_LINE_BREAK.findall(white))
    if breaks > 1 or _PARAGRAPH in white:
        return _Kind.PARAGRAPH
    if breaks == 1:
        return _Kind.LINE
    before = before.rstrip(_CLOSING)
    is_number = before.endswith(_FULL_STOP) and before[-2:-1] in _DIGITS  # such as the "1." of a list
    return _Kind.SENTENCE if before[-1:] in _ENDS and not is_number else _Kind.WORD


def _is_boundary(text: str, place: int) -> bool:
    """Return whether a grapheme ends where white space begins, or after the end of a wide sentence.

    Only the characters beside it decide that there, not the whole text before it.
    """
    match = GRAPHEME.match(text, place - 1)
    return match is not None and match.end() == place


def _end_of_white(text: str, start: int) -> int:
    match = _WHITE_RUN.match(text, start)
    return start if match is None else match.end()


def _start_after(text: str, white_start: int, white_end: int) -> int:
    """Return the start of the part after white space: a line with its indentation, else the next word.

    A combining mark at the start of a word belongs to the space before it.
    """
    white = text[white_start:white_end]
    after_break = max(map(white.rfind, _BREAKS)) + 1
    if after_break:
        return white_start + after_break
    return white_end - 1 if white and not _is_boundary(text, white_end) else white_end


def _fenced_code(text: str) -> list[tuple[int, int]]:
    """Return the start and the end of each block of fenced code, its fences included.

    Source: CommonMark, "Fenced code blocks". Here a fence may be indented by more, as inside of a list.
    """
    blocks: list[tuple[int, int]] = []
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        mark, rest = fence["mark"], fence["rest"]
        if opening is None:
            if mark[0] == "~" or "`" not in rest:
                opening = fence
        elif mark.startswith(opening["mark"]) and not rest.strip(" \t"):
            blocks.append((opening.start(), fence.end("mark")))
            opening = None
    return blocks if opening is None else [*blocks, (opening.start(), len(text))]
