"""Counts what became of the messages of a scenario: lost, shown twice, out of order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The messages of one side.

    Attributes:
        shown: In their chat at least once.
        explained: Not shown, with a published outcome that says why.
        waiting: Not shown and without an outcome, while a queue still has messages.
        lost: Not shown, without an outcome, and in no queue that anything reads.
        twice: Shown more than once.
        late: Shown after a message of the same chat that was accepted later.
        marks: By chat, the positions in its transcript of messages shown `twice` or `late`.
        missing: By chat, the numbers of messages that are lost or waiting.
    """

    sent: int
    shown: int
    explained: int
    waiting: int
    lost: int
    twice: int
    late: int
    marks: Mapping[str, Mapping[int, str]] = field(repr=False)
    missing: Mapping[str, Sequence[int]] = field(repr=False)


def score(
    accepted: Mapping[str, Collection[int]],
    shown: Mapping[str, Sequence[int]],
    explained: Collection[int],
    *,
    is_over: bool,
) -> Score:
    """Count.

    Args:
        accepted: The numbers of the messages that a queue accepted, by chat. They grow within a chat.
        shown: The numbers in each transcript.
        explained: The numbers of messages with the outcome REJECTED or FAILED.
        is_over: Nothing more can happen to the messages: those without a trace are lost.
    """
    marks = {chat: _marks(numbers) for chat, numbers in shown.items()}
    kinds = Counter(kind for chat in marks.values() for kind in chat.values())
    open_ = {
        chat: sorted({*numbers} - {*shown.get(chat, ())} - {*explained}) for chat, numbers in accepted.items()
    }
    count = sum(map(len, open_.values()))
    in_chats = {number for numbers in shown.values() for number in numbers}
    return Score(
        sent=sum(map(len, accepted.values())),
        shown=len(in_chats),
        explained=len({*explained} - in_chats),
        waiting=0 if is_over else count,
        lost=count if is_over else 0,
        twice=kinds["twice"],
        late=kinds["late"],
        marks=marks,
        missing=open_,
    )


def _marks(numbers: Sequence[int]) -> Mapping[int, str]:
    """Mark each position that repeats a number, or whose number is lower than one before it."""
    marks, seen, latest = {}, set(), 0
    for position, number in enumerate(numbers):
        if number in seen:
            marks[position] = "twice"
        elif number < latest:
            marks[position] = "late"
        seen.add(number)
        latest = max(latest, number)
    return marks
