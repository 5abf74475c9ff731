"""Pairs of faults: which can meet at one message, and how often they did.

Each kind of fault declares the routes of the messages that it can hit, and what the message must be like. Two
kinds can meet if a message exists that both can hit. So a pair that never met is noticed, whether it is rare
or an error of the declaration.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Final, TypeAlias

from tests.simulation.accepted import Route
from tests.simulation.fault_profiles import Fault
from tests.simulation.hits import faults_by_message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.simulation.simulation import Simulation

LEAST: Final = 20
"""How often each pair must meet in a long run."""
LONG_RUN: Final = 1_000_000
"""Messages."""

Pair: TypeAlias = tuple[Fault, Fault]
"""In the order of `Fault`."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The messages that a kind of fault can hit.

    Attributes:
        routes: Of these messages.
        why: Why messages of the other routes cannot be hit.
        needs: What else the message must be like: a name, and the value that it must have.
    """

    routes: frozenset[Route]
    why: str = ""
    needs: Mapping[str, str] = field(default_factory=dict)


_ALL: Final = frozenset(Route)
_NO_CALLER: Final = frozenset({Route.QUEUE, Route.BUS})
"""An event that was enqueued for retry is a message of the queue, so it has the faults of both."""

_ANY: Final = Reach(_ALL)
_OF_THE_QUEUE: Final = Reach(_NO_CALLER, "a caller's message is not a record of a queue")
_OF_TASKS: Final = Reach(_NO_CALLER, "no task waits for a message with a caller")
_OF_OPERATORS: Final = Reach(_NO_CALLER, "a caller's message never becomes a dead letter")

REACH: Final[Mapping[Fault, Reach]] = dict.fromkeys(Fault, _ANY) | {
    Fault.CHAT_ENDED: Reach(_ALL, needs={"the end of its chat": "the chat ended"}),
    Fault.TOKEN_EXPIRED: Reach(_ALL, needs={"the end of its chat": "the token expired"}),
    Fault.KEY_SLOW: Reach(_ALL, needs={"its connection token": "sealed and readable"}),
    Fault.VISIBILITY_FAILS: _OF_THE_QUEUE,
    Fault.VISIBILITY_FAILS_IN_PART: _OF_THE_QUEUE,
    Fault.LOST_ACKNOWLEDGEMENT: _OF_THE_QUEUE,
    Fault.DELIVERED_TWICE: _OF_THE_QUEUE,
    Fault.POISONED: Reach(_NO_CALLER, "a caller's message shares no batch with a poison message"),
    Fault.EVENT_TWICE: Reach(frozenset({Route.BUS}), "only a rule of the bus delivers events"),
    Fault.TASK_ANSWER_FAILS: _OF_TASKS,
    Fault.TASK_ANSWER_TIMES_OUT: _OF_TASKS,
    Fault.TASK_TIMED_OUT: _OF_TASKS,
    Fault.UNKNOWN_TASK: _OF_TASKS,
    Fault.SENT_AGAIN: _OF_TASKS,
    Fault.DEAD_LETTER_CALL_FAILS: _OF_OPERATORS,
    Fault.DEAD_LETTER_CALL_TIMES_OUT: _OF_OPERATORS,
    Fault.OPERATOR_CUT_OFF: _OF_OPERATORS,
    Fault.INVALID: Reach(
        _NO_CALLER,
        "callers of this workload send valid messages",
        {"its connection token": "in clear, or sealed and unreadable"},
    ),
}


def pairs() -> Iterator[Pair]:
    """Yield every pair of two kinds of faults."""
    yield from combinations(Fault, 2)


def why_not(pair: Pair) -> str:
    """Return the reason why two faults cannot meet at one message. Empty if they can."""
    one, other = (REACH[fault] for fault in pair)
    if not one.routes & other.routes:
        return f"{pair[0]}: {one.why}; {pair[1]}: {other.why}"
    for name in one.needs.keys() & other.needs.keys():
        if one.needs[name] != other.needs[name]:
            return f"{name} is either {one.needs[name]!r} or {other.needs[name]!r}"
    return ""


@dataclass
class Meetings:
    """How many messages met which faults.

    Attributes:
        pairs: Messages that both faults have hit.
        routes: Messages that a fault has hit, by their route.
    """

    pairs: Counter[Pair] = field(default_factory=Counter)
    routes: Counter[tuple[Fault, Route]] = field(default_factory=Counter)

    @classmethod
    def of(cls, simulation: Simulation) -> Meetings:
        """Count the meetings in a run that has ended."""
        place = {fault: number for number, fault in enumerate(Fault)}
        meetings = cls()
        for token, faults in faults_by_message(simulation).items():
            met = sorted(faults, key=place.__getitem__)
            meetings.pairs.update(combinations(met, 2))
            route = simulation.producers.accepted[token].route
            meetings.routes.update((fault, route) for fault in met)
        return meetings

    def __add__(self, other: Meetings) -> Meetings:
        return Meetings(self.pairs + other.pairs, self.routes + other.routes)

    def least(self) -> list[tuple[int, Pair]]:
        """Return the pairs that can meet, and how often they did, the rarest first."""
        met = [(self.pairs[pair], pair) for pair in pairs() if not why_not(pair)]
        return sorted(met, key=lambda each: each[0])

    def wrong_declarations(self) -> list[str]:
        """Return what happened although the declaration says that it cannot."""
        return [
            f"{one} and {other} met {number} times, but: {reason}"
            for (one, other), number in self.pairs.items()
            if (reason := why_not((one, other)))
        ] + [
            f"{fault} hit {number} messages from {route}, but: {REACH[fault].why}"
            for (fault, route), number in self.routes.items()
            if route not in REACH[fault].routes
        ]
