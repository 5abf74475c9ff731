"""The world as a whole: the same run each time, and a green one where nothing goes wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.participant_service.faults import Status
from tests.simulation.fault_profiles import CALM, STORMY, Strike
from tests.simulation.invariants import CHECKS, Observations, violations
from tests.simulation.scenarios import mix
from tests.simulation.simulation import Setup, Simulation
from tests.simulation.workload import MISTAKES, Plan, Route

if TYPE_CHECKING:
    from tests.simulation.workload import Mistake


def story(simulation: Simulation) -> list[Any]:
    """Return all that happened, without the names that are drawn anew each time."""
    chats = {chat.contact_id: chat.number for chat in simulation.producers.chats}
    return [
        (at, result["Outcome"], result["SourceId"], result["Attempts"], result["ReceiveCount"])
        for at, result in simulation.bus.results
    ] + [
        sorted(simulation.weather.counts.items()),
        sorted(
            (number, list(numbers))
            for contact_id, numbers in Observations.of(simulation).transcripts.items()
            for number in [chats[contact_id]]
        ),
    ]


def test_the_same_seed_is_the_same_run(seed: int) -> None:
    first, second = (story(mix(seed, messages=120, chats=8)) for _ in range(2))

    assert first == second


def test_another_seed_is_another_run(seed: int) -> None:
    assert story(mix(seed, messages=60, chats=8)) != story(mix(f"{seed}+1", messages=60, chats=8))


def test_in_calm_weather_every_message_is_sent_at_the_first_try(seed: int) -> None:
    simulation = Simulation(Setup(seed=seed, rates=CALM))
    simulation.producers.carry_out(Plan(messages=60, chats=6, seconds=60, invalid=0, ending=0))

    simulation.run()

    seen = Observations.of(simulation)
    assert violations(seen) == {}
    assert {seen.outcome(token) for token in seen.accepted} == {"SENT"}
    assert {result["Attempts"] for result in seen.published} == {1}
    assert simulation.weather.counts.total() == 0


def test_what_a_lost_acknowledgement_brings_back_after_it_was_rejected_may_be_late() -> None:
    simulation = Simulation(Setup())
    producers, weather = simulation.producers, simulation.weather
    chat = producers.start_chat()
    simulation.participant.faults.add(Status(status=404), contact_id=chat.contact_id)
    weather.storm({Strike.LOST_ACKNOWLEDGEMENT: 1.0}, seconds=10)
    late, other = producers.send(chat), producers.send(chat)
    weather.ended_by_fault.add(late.client_token)

    simulation.run()

    seen = Observations.of(simulation)
    assert violations(seen) == {}
    assert seen.transcripts[chat.contact_id] == [other.number, late.number]
    assert CHECKS["order"](replace(seen, disturbed=frozenset())) != []


@pytest.mark.parametrize("mistake", MISTAKES, ids=[f"{n}-{m.code}" for n, m in enumerate(MISTAKES)])
def test_each_mistake_is_one_whatever_the_seed(mistake: Mistake) -> None:
    """Were a wrong message right, the invariants would expect the wrong thing."""
    simulation = Simulation(Setup())
    producers = simulation.producers
    chat = producers.start_chat()
    fields = producers.fields(chat, 1)
    body = mistake.make(fields)
    producers.hand_in(body, chat, Route.QUEUE, 1, code=mistake.code)

    simulation.run()

    seen = Observations.of(simulation)
    assert violations(seen) == {}
    assert [result["Error"]["Code"] for result in seen.published] == [mistake.code]


def test_every_fault_is_part_of_the_mix() -> None:
    not_by_rate = {
        Strike.QUOTA,
        Strike.CHAT_DOWN,
        Strike.CHAT_ENDED,
        Strike.TOKEN_EXPIRED,
        Strike.INVALID,
        Strike.TASK_TIMED_OUT,
        Strike.POISONED,
    }

    assert STORMY.keys() | not_by_rate == set(Strike)
    assert not STORMY.keys() & not_by_rate
