"""Chance that can be repeated, and storms that pass."""

from __future__ import annotations

from random import Random

import pytest

from sandbox.participant_service.faults import Latency, Status
from tests.simulation.fault_profiles import CALM, FINAL, Rates, ServiceFaults, Strike, Weather
from tests.simulation.models.clock import VirtualTime


def weather(rates: Rates = CALM, *, seed: int = 1) -> Weather:
    return Weather(time=VirtualTime(), random=Random(seed), rates=rates)


def test_a_fault_strikes_about_as_often_as_its_rate_says_and_is_counted() -> None:
    stormy = weather({Strike.CRASH: 0.3})

    struck = sum(stormy.strikes(Strike.CRASH) for _ in range(1000))

    assert 250 < struck < 350
    assert stormy.counts == {Strike.CRASH: struck}


def test_in_calm_weather_nothing_strikes_and_nothing_is_drawn() -> None:
    calm = weather()
    before = calm.random.getstate()

    struck = [calm.strikes(strike) for strike in Strike]

    assert not any(struck)
    assert calm.random.getstate() == before


def test_a_storm_passes() -> None:
    time = VirtualTime()
    stormy = Weather(time=time, random=Random(1), rates={Strike.CRASH: 0.0})
    seen: list[float] = []

    stormy.storm({Strike.CRASH: 1.0}, seconds=60)
    for moment in (59, 61):
        time.after(moment, lambda: seen.append(stormy.rates[Strike.CRASH]))
    time.run()

    assert seen == [1.0, 0.0]


def test_only_the_way_to_the_participant_service_is_troubled_where_it_would_lose_nothing_else() -> None:
    stormy = weather({Strike.REFUSED: 1.0, Strike.ARRIVES_LATE: 1.0})

    assert stormy.connecting("participant") == "refused"
    assert stormy.connecting("sqs") is None
    assert stormy.arrives_late("participant") > 5
    assert stormy.arrives_late("events") == 0.0


def test_calls_for_tasks_have_their_own_weather_on_connections_that_are_kept() -> None:
    stormy = weather({Strike.DEAD_KEEP_ALIVE: 1.0})

    assert stormy.kept_alive_is_dead("sqs")
    assert not stormy.kept_alive_is_dead("states")


def test_a_planned_fault_comes_before_the_weather() -> None:
    stormy = weather({Strike.SLOW: 1.0})
    faults = ServiceFaults(stormy)
    faults.add(Status(status=503), contact_id="c-1")

    taken = [faults.take(contact_id="c-1", client_token=None) for _ in range(2)]

    assert taken[0] == Status(status=503)
    assert isinstance(taken[1], Latency)
    assert stormy.counts == {Strike.CHAT_DOWN: 1, Strike.SLOW: 1}


@pytest.mark.parametrize("strike", sorted(FINAL))
def test_what_makes_a_message_impossible_is_known_by_its_client_token(strike: Strike) -> None:
    stormy = weather({strike: 1.0})

    ServiceFaults(stormy).take(contact_id="c-1", client_token="t-1")

    assert stormy.ended_by_fault == {"t-1"}
