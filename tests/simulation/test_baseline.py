"""The boto3 loop in the same weather: that what it does wrong shows is a positive control of the world."""

from __future__ import annotations

from dataclasses import astuple, replace
from typing import Final

import pytest

from sandbox.participant_service.faults import Status
from tests.simulation import report
from tests.simulation.baseline import (
    PEERS,
    Peer,
    PeerSimulation,
    as_it_is,
    goes_on,
    reports_records,
    run,
    tally,
    tally_of,
)
from tests.simulation.fault_profiles import Strike
from tests.simulation.invariants import Observations, violations
from tests.simulation.simulation import Setup

_MESSAGES: Final = 200
_BOTOCORE_TRIES: Final = 3
_SEED: Final = 1
"""One seed for all: how much goes wrong of so few messages differs."""


def test_the_function_does_nothing_wrong_in_this_weather(seed: int) -> None:
    seen = Observations.of(run(seed, None, messages=_MESSAGES))

    assert violations(seen) == {}
    assert astuple(tally(seen)) == (_MESSAGES, 0, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS.keys())
def test_in_calm_weather_a_peer_does_nothing_wrong_with_its_messages(peer: Peer) -> None:
    simulation = PeerSimulation(Setup(), peer)
    producers = simulation.producers
    chat = producers.start_chat()
    for number in range(30):
        producers.send(chat, ClientToken=f"own-{number}", Metadata={})

    simulation.run()

    counted = tally(Observations.of(simulation))
    assert astuple(replace(counted, secrets=0)) == (30, 0, 0, 0, 0, 0, 0, 0)


def test_the_same_seed_is_the_same_run_of_a_peer() -> None:
    first, second = (tally_of(_SEED, Peer(as_it_is, own_client_tokens=False), messages=100) for _ in range(2))

    assert first == second
    assert first != tally_of(_SEED + 1, Peer(as_it_is, own_client_tokens=False), messages=100)


def test_a_batch_that_fails_whole_leaves_letters() -> None:
    counted = tally_of(_SEED, Peer(as_it_is), messages=_MESSAGES)

    assert counted.letters > 0
    assert counted.twice == 0  # it hands on the ClientToken, which is worth something


def test_who_does_not_read_the_answer_of_the_bus_leaves_messages_without_a_result() -> None:
    simulation = PeerSimulation(Setup(rates={Strike.BUS_FAILS_IN_PART: 1.0}), Peer(as_it_is))
    chat = simulation.producers.start_chat()
    for number in range(20):
        simulation.producers.send(chat, ClientToken=f"own-{number}", Metadata={})

    simulation.run()

    counted = tally(Observations.of(simulation))
    assert 0 < counted.untold < counted.accepted
    assert counted.lost == 0


def test_without_a_client_token_messages_are_shown_twice() -> None:
    assert tally_of(_SEED, Peer(as_it_is, own_client_tokens=False), messages=_MESSAGES).twice > 0


def test_who_logs_an_error_and_goes_on_loses_messages() -> None:
    assert tally_of(_SEED, Peer(goes_on), messages=_MESSAGES).lost > 0


def test_who_logs_the_event_shows_secrets_and_who_reports_records_loses_order() -> None:
    simulation = PeerSimulation(Setup(), Peer(reports_records))
    chat = simulation.producers.start_chat()
    simulation.participant.faults.add(Status(status=503), contact_id=chat.contact_id, times=_BOTOCORE_TRIES)
    for number in (1, 2):
        simulation.producers.send(chat, ClientToken=f"own-{number}", Metadata={})

    simulation.run()

    seen = Observations.of(simulation)
    assert seen.transcripts[chat.contact_id] == [2, 1]
    assert tally(seen).late == 1
    assert tally(seen).secrets > 0


def test_a_weather_that_harms_nobody_is_not_well() -> None:
    fine = tally_of(_SEED, None, messages=10)
    harmed = replace(fine, lost=1, twice=1)

    assert report.table_of_peers(fine, {"loop": harmed})[1]
    assert not report.table_of_peers(fine, {"loop": fine})[1]
    assert not report.table_of_peers(harmed, {"loop": harmed})[1]
