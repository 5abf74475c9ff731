"""The boto3 loop under the same faults: the faults that it does not survive show that the profile is hard."""

from __future__ import annotations

from dataclasses import astuple, replace
from typing import Final

import pytest

from sandbox.participant_service.faults import Status
from tests.simulation import report
from tests.simulation.baselines import (
    BASELINES,
    Baseline,
    BaselineSimulation,
    Tally,
    ignores_errors,
    reports_records,
    run,
    tally,
    tally_of,
    unchanged,
)
from tests.simulation.fault_profiles import Fault
from tests.simulation.invariants import Observations, violations
from tests.simulation.simulation import Setup

_MESSAGES: Final = 200
_BOTOCORE_ATTEMPTS: Final = 3
_SEED: Final = 1
"""One seed for all: the number of failures among so few messages varies."""
_NO_CLIENT_TOKEN: Final = Baseline(unchanged, own_client_tokens=False)


@pytest.fixture(scope="module")
def without_client_token() -> Tally:
    return tally_of(_SEED, _NO_CLIENT_TOKEN, messages=_MESSAGES)


def test_the_function_does_nothing_wrong_under_these_faults(seed: int) -> None:
    seen = Observations.of(run(seed, None, messages=_MESSAGES))

    assert violations(seen) == {}
    assert astuple(tally(seen)) == (_MESSAGES, 0, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize("baseline", BASELINES.values(), ids=BASELINES.keys())
def test_without_faults_a_baseline_does_nothing_wrong_with_its_messages(baseline: Baseline) -> None:
    simulation = BaselineSimulation(Setup(), baseline)
    producers = simulation.producers
    chat = producers.start_chat()
    for number in range(30):
        producers.send(chat, ClientToken=f"own-{number}", Metadata={})

    simulation.run()

    counted = tally(Observations.of(simulation))
    assert astuple(replace(counted, secrets=0)) == (30, 0, 0, 0, 0, 0, 0, 0)


def test_the_same_seed_is_the_same_run_of_a_baseline(without_client_token: Tally) -> None:
    assert tally_of(_SEED, _NO_CLIENT_TOKEN, messages=_MESSAGES) == without_client_token


def test_a_batch_that_fails_as_a_whole_leaves_dead_letters() -> None:
    counted = tally_of(_SEED, Baseline(unchanged), messages=_MESSAGES)

    assert counted.dead_letters > 0
    assert counted.twice == 0  # because it passes the ClientToken


def test_a_loop_that_ignores_the_response_of_the_bus_leaves_messages_without_a_result() -> None:
    simulation = BaselineSimulation(Setup(profile={Fault.BUS_FAILS_IN_PART: 1.0}), Baseline(unchanged))
    chat = simulation.producers.start_chat()
    for number in range(20):
        simulation.producers.send(chat, ClientToken=f"own-{number}", Metadata={})

    simulation.run()

    counted = tally(Observations.of(simulation))
    assert 0 < counted.unreported < counted.accepted
    assert counted.lost == 0


def test_without_a_client_token_messages_are_shown_twice(without_client_token: Tally) -> None:
    assert without_client_token.twice > 0


def test_a_loop_that_ignores_errors_loses_messages() -> None:
    assert tally_of(_SEED, Baseline(ignores_errors), messages=_MESSAGES).lost > 0


def test_a_loop_that_logs_events_leaks_secrets_and_one_that_reports_records_loses_order() -> None:
    simulation = BaselineSimulation(Setup(), Baseline(reports_records))
    chat = simulation.producers.start_chat()
    simulation.participant.faults.add(
        Status(status=503), contact_id=chat.contact_id, times=_BOTOCORE_ATTEMPTS
    )
    for number in (1, 2):
        simulation.producers.send(chat, ClientToken=f"own-{number}", Metadata={})

    simulation.run()

    seen = Observations.of(simulation)
    assert seen.transcripts[chat.contact_id] == [2, 1]
    assert tally(seen).late == 1
    assert tally(seen).secrets > 0


def test_a_fault_profile_under_which_no_baseline_fails_does_not_pass() -> None:
    fine = Tally(accepted=10, lost=0, unreported=0, not_shown=0, dead_letters=0, twice=0, late=0, secrets=0)
    harmed = replace(fine, lost=1, twice=1)

    assert report.table_of_baselines(fine, {"loop": harmed})[1]
    assert not report.table_of_baselines(fine, {"loop": fine})[1]
    assert not report.table_of_baselines(harmed, {"loop": harmed})[1]
