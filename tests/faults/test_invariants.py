"""Each check finds what it is there for, and nothing else does: on a run that was green, changed by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.invariants import CHECKS, Observations, violations
from tests.faults.simulation import Setup, Simulation
from tests.faults.traffic import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.faults.queue_model import Message

BROKEN: list[tuple[str, Callable[[Observations], Observations]]] = [
    ("an outcome", lambda seen: replace(seen, published=[])),
    ("one outcome", lambda seen: replace(seen, published=[*seen.published, other(seen.published[0])])),
    ("results", lambda seen: replace(seen, published=[*seen.published, seen.published[0] | {"Extra": 1}])),
    ("results", lambda seen: replace(seen, published=[{**seen.published[0], "ClientToken": "unknown"}])),
    ("fitting outcomes", lambda seen: replace(seen, published=[other(r) for r in seen.published])),
    ("once", lambda seen: with_transcript(seen, lambda numbers: [*numbers, numbers[0]])),
    ("once", lambda seen: with_transcript(seen, lambda numbers: numbers[1:])),
    ("order", lambda seen: with_transcript(seen, lambda numbers: numbers[::-1])),
    ("not sent, not seen", lambda seen: with_transcript(seen, lambda numbers: [*numbers, rejected(seen)])),
    ("rejected", lambda seen: replace(seen, rejected=[])),
    ("rejected", lambda seen: replace(seen, rejected=[*seen.rejected, copy(seen.rejected[0], "own")])),
    ("dead letters", lambda seen: replace(seen, dead_letters=[copy(seen.rejected[0], "own")])),
    ("copies", lambda seen: replace(seen, rejected=[replace(seen.rejected[0], body='{"Content": "x"}')])),
    ("empty queue", lambda seen: replace(seen, messages=seen.rejected)),
    ("net", lambda seen: replace(seen, dead_letters=[replace(seen.rejected[0], source_queue="messages")])),
    ("answers", lambda seen: with_answer(seen, "InternalError")),
    ("answers", lambda seen: with_answer(seen, "AccessDeniedError")),
    ("secrets", lambda seen: replace(seen, leaks=["confidential-1"])),
    ("deadline", lambda seen: replace(seen, timed_out=1)),
]


@pytest.fixture
def seen() -> Observations:
    """Return a run with three messages that were sent, one that was rejected, and one with a caller."""
    simulation = Simulation(Setup())
    producers = simulation.producers
    chat = producers.start_chat()
    for _ in range(3):
        producers.send(chat)
    body = producers.fields(chat, 99) | {"Content": ""}
    producers.hand_in(body, chat, Route.QUEUE, 99, code="InvalidRequest")
    producers.send(chat, Route.DIRECT, ClientToken="called")
    simulation.run()
    return Observations.of(simulation)


def test_a_run_without_faults_is_green(seen: Observations) -> None:
    assert violations(seen) == {}


@pytest.mark.parametrize(("check", "broken"), BROKEN, ids=[check for check, _ in BROKEN])
def test_a_check_turns_red(
    seen: Observations, check: str, broken: Callable[[Observations], Observations]
) -> None:
    assert CHECKS[check](broken(seen)) != []


def test_every_check_is_tried() -> None:
    assert {check for check, _ in BROKEN} == set(CHECKS)


def test_what_a_fault_explains_is_no_violation(seen: Observations) -> None:
    tokens = frozenset(seen.accepted)
    contradiction = replace(seen, published=[*seen.published, failed(seen.published[0])], disturbed=tokens)
    moved = replace(seen, dead_letters=[replace(seen.rejected[0], source_queue="messages")], disturbed=tokens)

    assert CHECKS["one outcome"](contradiction) == []
    assert CHECKS["net"](moved) == []


def test_sent_wins(seen: Observations) -> None:
    token = seen.published[0]["ClientToken"]

    for published in (
        [*seen.published, failed(seen.published[0])],
        [failed(seen.published[0]), *seen.published],
    ):
        assert replace(seen, published=published).outcome(token) == "SENT"


def error(code: str) -> dict[str, Any]:
    return {"Code": code, "Reason": "x", "HttpStatus": None, "RequestId": None, "MaybeDelivered": False}


def failed(result: dict[str, Any]) -> dict[str, Any]:
    return result | {"Outcome": "FAILED", "Message": None, "Error": error("Throttled")}


def other(result: dict[str, Any]) -> dict[str, Any]:
    """Return the result with an outcome that it cannot have."""
    if result["Outcome"] == "SENT":
        return result | {"Outcome": "REJECTED", "Message": None, "Error": error("Expired")}
    return result | {"Outcome": "SENT", "Error": None}


def copy(message: Message, client_token: str) -> Message:
    return replace(message, attributes={**message.attributes, "ClientToken": client_token})


def with_transcript(seen: Observations, change: Callable[[list[int]], Iterable[int]]) -> Observations:
    [(contact_id, numbers)] = seen.transcripts.items()
    return replace(seen, transcripts={contact_id: list(change(list(numbers)))})


def rejected(seen: Observations) -> int:
    return next(message.number for message in seen.accepted.values() if message.code is not None)


def with_answer(seen: Observations, answer: str) -> Observations:
    called = replace(seen.accepted["called"], answers=[answer])
    return replace(
        seen,
        accepted={**seen.accepted, "called": called},
        published=[result for result in seen.published if result["ClientToken"] != "called"],
    )
