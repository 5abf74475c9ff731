"""Faults that a seed repeats, and fault bursts that end."""

from __future__ import annotations

from random import Random

import pytest

from sandbox.participant_service.faults import Latency, Status
from tests.simulation.fault_profiles import (
    FINAL,
    NO_FAULTS,
    Fault,
    FaultInjector,
    FaultProfile,
    ServiceFaults,
)
from tests.simulation.models.clock import VirtualTime


def new_injector(profile: FaultProfile = NO_FAULTS, *, seed: int = 1) -> FaultInjector:
    return FaultInjector(time=VirtualTime(), random=Random(seed), profile=profile)


def test_a_fault_occurs_about_as_often_as_its_rate_says_and_is_counted() -> None:
    injector = new_injector({Fault.CRASH: 0.3})

    occurred = sum(injector.occurs(Fault.CRASH) for _ in range(1000))

    assert 250 < occurred < 350
    assert injector.counts == {Fault.CRASH: occurred}


def test_without_a_profile_no_fault_occurs_and_nothing_is_drawn() -> None:
    injector = new_injector()
    before = injector.random.getstate()

    occurred = [injector.occurs(fault) for fault in Fault]

    assert not any(occurred)
    assert injector.random.getstate() == before


def test_a_fault_burst_ends() -> None:
    time = VirtualTime()
    injector = FaultInjector(time=time, random=Random(1), profile={Fault.CRASH: 0.0})
    seen: list[float] = []

    injector.burst({Fault.CRASH: 1.0}, seconds=60)
    for moment in (59, 61):
        time.after(moment, lambda: seen.append(injector.profile[Fault.CRASH]))
    time.run()

    assert seen == [1.0, 0.0]


def test_connections_fail_only_to_the_participant_service() -> None:
    injector = new_injector({Fault.REFUSED: 1.0, Fault.ARRIVES_LATE: 1.0})

    assert injector.connecting("participant", b"{}") == "refused"
    assert injector.connecting("sqs", b"{}") is None
    assert injector.arrives_late("participant", b"{}") > 5
    assert injector.arrives_late("events", b"{}") == 0.0


def test_connections_to_step_functions_are_never_dead() -> None:
    injector = new_injector({Fault.DEAD_KEEP_ALIVE: 1.0})

    assert injector.kept_alive_is_dead("sqs", b"{}")
    assert not injector.kept_alive_is_dead("states", b"{}")


def test_a_planned_fault_takes_precedence_over_a_random_one() -> None:
    injector = new_injector({Fault.SLOW: 1.0})
    faults = ServiceFaults(injector)
    faults.add(Status(status=503), contact_id="c-1")

    taken = [faults.take(contact_id="c-1", client_token=None) for _ in range(2)]

    assert taken[0] == Status(status=503)
    assert isinstance(taken[1], Latency)
    assert injector.counts == {Fault.CHAT_DOWN: 1, Fault.SLOW: 1}


@pytest.mark.parametrize("fault", sorted(FINAL))
def test_a_fault_that_makes_a_message_impossible_records_its_client_token(fault: Fault) -> None:
    injector = new_injector({fault: 1.0})

    ServiceFaults(injector).take(contact_id="c-1", client_token="t-1")

    assert injector.ended_by_fault == {"t-1"}
