"""The simulation as a whole: a seed repeats a run, and a run without faults passes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.participant_service.faults import Status
from tests.simulation.accepted import Route
from tests.simulation.fault_profiles import ALL_FAULTS, NO_FAULTS, Fault
from tests.simulation.invariants import CHECKS, Observations, violations
from tests.simulation.scenarios import mix
from tests.simulation.simulation import Setup, Simulation
from tests.simulation.workload import MISTAKES, Plan

if TYPE_CHECKING:
    from tests.simulation.workload import Mistake


def story(simulation: Simulation) -> list[Any]:
    """Return all events, without the ids that differ between runs."""
    chats = {chat.contact_id: chat.number for chat in simulation.producers.chats}
    return [
        (at, result["Outcome"], result["SourceId"], result["Attempts"], result["ReceiveCount"])
        for at, result in simulation.bus.results
    ] + [
        sorted(simulation.injector.counts.items()),
        sorted(
            (number, list(numbers))
            for contact_id, numbers in Observations.of(simulation).transcripts.items()
            for number in [chats[contact_id]]
        ),
    ]


@pytest.fixture(scope="module")
def first(seed: int) -> list[Any]:
    return story(mix(seed, messages=100, chats=8))


def test_the_same_seed_is_the_same_run(first: list[Any], seed: int) -> None:
    assert story(mix(seed, messages=100, chats=8)) == first


def test_another_seed_is_another_run(first: list[Any], seed: int) -> None:
    assert story(mix(f"{seed}+1", messages=100, chats=8)) != first


def test_without_faults_every_message_is_sent_at_the_first_attempt(seed: int) -> None:
    simulation = Simulation(Setup(seed=seed, profile=NO_FAULTS))
    simulation.producers.carry_out(Plan(messages=60, chats=6, seconds=60, invalid=0, long=0, ending=0))

    simulation.run()

    seen = Observations.of(simulation)
    assert violations(seen) == {}
    assert {seen.outcome(token) for token in seen.accepted} == {"SENT"}
    assert {result["Attempts"] for result in seen.published} == {1}
    assert simulation.injector.counts.total() == 0


def test_a_rejected_message_that_is_redelivered_after_a_lost_acknowledgement_may_be_late() -> None:
    simulation = Simulation(Setup())
    producers, injector = simulation.producers, simulation.injector
    chat = producers.start_chat()
    simulation.participant.faults.add(Status(status=404), contact_id=chat.contact_id)
    injector.burst({Fault.LOST_ACKNOWLEDGEMENT: 1.0}, seconds=10)
    late, other = producers.send(chat), producers.send(chat)
    injector.ended_by_fault.add(late.client_token)

    simulation.run()

    seen = Observations.of(simulation)
    assert violations(seen) == {}
    assert seen.transcripts[chat.contact_id] == [other.number, late.number]
    assert CHECKS["order"](replace(seen, disturbed=frozenset())) != []


@pytest.mark.parametrize("mistake", MISTAKES, ids=[f"{n}-{m.code}" for n, m in enumerate(MISTAKES)])
def test_each_mistake_causes_its_error_code(mistake: Mistake) -> None:
    """Otherwise the invariants would expect the wrong outcome."""
    simulation = Simulation(Setup())
    producers = simulation.producers
    chat = producers.start_chat()
    fields = producers.fields(chat, 1)
    body = mistake.make(fields)
    producers.submit(body, chat, Route.QUEUE, 1, code=mistake.code)

    simulation.run()

    seen = Observations.of(simulation)
    assert violations(seen) == {}
    assert [result["Error"]["Code"] for result in seen.published] == [mistake.code]


def test_every_fault_is_part_of_the_mix() -> None:
    without_a_rate = {
        Fault.QUOTA,
        Fault.CHAT_DOWN,
        Fault.CHAT_ENDED,
        Fault.TOKEN_EXPIRED,
        Fault.INVALID,
        Fault.TASK_TIMED_OUT,
        Fault.POISONED,
    }

    assert ALL_FAULTS.keys() | without_a_rate == set(Fault)
    assert not ALL_FAULTS.keys() & without_a_rate
