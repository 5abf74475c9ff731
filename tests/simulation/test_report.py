"""What `make faults` prints, and its exit code."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from rich.console import Console

from tests.simulation import report
from tests.simulation.__main__ import main
from tests.simulation.invariants import CHECKS
from tests.simulation.malformed_events import Fuzzed
from tests.simulation.mutants import CONTROLS
from tests.simulation.scenarios import mix

if TYPE_CHECKING:
    from rich.table import Table


def printed(table: Table) -> str:
    console = Console(file=StringIO(), width=200)
    console.print(table)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_table_tells_of_messages_faults_outcomes_and_zeros() -> None:
    table, is_well = report.table_of_mix(mix(1, messages=50, chats=5), seed=1, seconds=0.0)

    text = printed(table)
    assert is_well
    for line in ("messages", "chats", "redeliveries", "429", "SENT", *report.ZERO_LINES, "seed 1"):
        assert line in text


def test_every_check_counts_in_one_line_of_the_table() -> None:
    counted = [check for checks in report.ZERO_LINES.values() for check in checks]

    assert sorted(counted) == sorted(CHECKS)


def test_a_check_that_is_red_is_told_of() -> None:
    simulation = mix(1, messages=20, chats=3)
    simulation.bus.results.clear()

    table, is_well = report.table_of_mix(simulation, seed=1, seconds=0.0)

    assert not is_well
    assert "RED: an outcome" in printed(table)


def test_a_control_that_stays_green_is_not_well() -> None:
    control = CONTROLS[0]

    assert report.table_of_controls({control: [control.check]})[1]
    assert not report.table_of_controls({control: ["another"]})[1]


def test_a_situation_that_is_red_is_not_well() -> None:
    table, is_well = report.table_of_scenarios({"fine": {}, "bad": {"order": ["chat 1 is out of order"]}})

    assert not is_well
    assert "order: chat 1 is out of order" in printed(table)


def test_a_violation_by_a_malformed_event_is_not_well() -> None:
    assert not report.table_of_malformed_events(Fuzzed(violations=["a defect"]))[1]
    assert report.table_of_malformed_events(Fuzzed())[1]


@pytest.mark.parametrize(("is_well", "code"), [(True, 0), (False, 1)])
def test_the_seed_is_printed_and_the_exit_code_says_whether_all_is_well(is_well: bool, code: int) -> None:
    console = Console(file=StringIO(), width=200)
    parts = [(report.table_of_malformed_events(Fuzzed())[0], is_well)]

    with patch("tests.simulation.__main__._parts", lambda *_: parts):
        assert main(["--seed", "7"], console=console) == code

    assert isinstance(console.file, StringIO)
    assert "SEED=7" in console.file.getvalue()
