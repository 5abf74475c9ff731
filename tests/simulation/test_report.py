"""The output of `make simulate`, and its exit code."""

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
from tests.simulation.mutants import MUTANTS
from tests.simulation.scenarios import mix

if TYPE_CHECKING:
    from rich.table import Table


def printed(table: Table) -> str:
    console = Console(file=StringIO(), width=200)
    console.print(table)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_table_shows_messages_faults_outcomes_and_zero_lines() -> None:
    table, passed = report.table_of_mix(mix(1, messages=20, chats=3), seed=1, seconds=0.0)

    text = printed(table)
    assert passed
    for line in ("messages", "chats", "redeliveries", "429", "SENT", *report.ZERO_LINES, "seed 1"):
        assert line in text


def test_every_check_counts_in_one_line_of_the_table() -> None:
    counted = [check for checks in report.ZERO_LINES.values() for check in checks]

    assert sorted(counted) == sorted(CHECKS)


def test_a_failed_check_is_reported() -> None:
    simulation = mix(1, messages=20, chats=3)
    simulation.bus.results.clear()

    table, passed = report.table_of_mix(simulation, seed=1, seconds=0.0)

    assert not passed
    assert "FAILED: an outcome" in printed(table)


def test_a_mutant_that_passes_its_check_fails_the_run() -> None:
    mutant = MUTANTS[0]

    assert report.table_of_mutants({mutant: [mutant.check]})[1]
    assert not report.table_of_mutants({mutant: ["another"]})[1]


def test_a_failed_situation_fails_the_run() -> None:
    table, passed = report.table_of_scenarios({"fine": {}, "bad": {"order": ["chat 1 is out of order"]}})

    assert not passed
    assert "order: chat 1 is out of order" in printed(table)


def test_a_violation_by_a_malformed_event_fails_the_run() -> None:
    assert not report.table_of_malformed_events(Fuzzed(violations=["a defect"]))[1]
    assert report.table_of_malformed_events(Fuzzed())[1]


@pytest.mark.parametrize(("passed", "code"), [(True, 0), (False, 1)])
def test_the_seed_is_printed_and_the_exit_code_is_the_verdict(passed: bool, code: int) -> None:
    console = Console(file=StringIO(), width=200)
    parts = [(report.table_of_malformed_events(Fuzzed())[0], passed)]

    with patch("tests.simulation.__main__._parts", lambda *_: parts):
        assert main(["--seed", "7"], console=console) == code

    assert isinstance(console.file, StringIO)
    assert "SEED=7" in console.file.getvalue()
