"""The output of `make simulate`, and its exit code."""

from __future__ import annotations

import pickle
import re
from collections import Counter
from dataclasses import replace
from functools import partial
from io import StringIO
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest
from rich.console import Console

from message_sender import __version__
from tests.simulation import report
from tests.simulation.__main__ import Part, _parts, main
from tests.simulation.accepted import Route
from tests.simulation.fault_profiles import Fault
from tests.simulation.invariants import CHECKS
from tests.simulation.jobs import Figures, has_rare_faults, parts_of, run_mix
from tests.simulation.malformed_events import Fuzzed
from tests.simulation.mutants import MUTANTS
from tests.simulation.pairs import LEAST, LONG_RUN, REACH, Meetings, pairs, why_not
from tests.simulation.pool import Done, Job
from tests.simulation.scenarios import mix

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rich.table import Table


def printed(table: Table) -> str:
    console = Console(file=StringIO(), width=200)
    console.print(table)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.fixture(scope="module")
def figures() -> Figures:
    return run_mix(1, 20)


def test_the_table_shows_messages_faults_outcomes_and_zero_lines(figures: Figures) -> None:
    table, passed = report.table_of_mixes(figures)

    text = printed(table)
    assert passed
    for line in ("messages", "chats", "redeliveries", "429", "SENT", *report.ZERO_LINES, "seed 1"):
        assert line in text


def test_mixes_are_added_up(figures: Figures) -> None:
    both = figures + replace(figures, seeds=[2], failures=[(2, "order", "chat 1 is out of order")])

    assert both.messages == 2 * figures.messages
    assert both.faults.total() == 2 * figures.faults.total()
    assert both.meetings.pairs.total() == 2 * figures.meetings.pairs.total()
    table, passed = report.table_of_mixes(both)
    assert not passed
    assert "2 mixes" in printed(table)
    assert "SEED=2: chat 1 is out of order" in printed(table)


def test_a_fault_that_does_not_occur_in_a_long_run_fails_it(figures: Figures) -> None:
    every = Counter(dict.fromkeys(Fault, 1))

    assert report.table_of_mixes(replace(figures, messages=10_000, faults=every))[1]
    assert not report.table_of_mixes(replace(figures, messages=10_000, faults=every - Counter([Fault.CUT])))[
        1
    ]


def test_every_check_counts_in_one_line_of_the_table() -> None:
    counted = [check for checks in report.ZERO_LINES.values() for check in checks]

    assert sorted(counted) == sorted(CHECKS)


def test_a_failed_check_is_reported() -> None:
    simulation = mix(1, messages=20, chats=3)
    simulation.bus.results.clear()

    table, passed = report.table_of_mixes(Figures.of(simulation, seed=1, seconds=0.0))

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


def in_this_process(jobs: Sequence[Job], *, processes: int) -> Iterator[Done | None]:
    assert processes == 3
    for job in jobs:
        yield None
        yield Done(job, error="it died") if job.name == "dies" else Done(job, job.call())


def part(*names: str, passes: bool) -> Part:
    def tables(results: Sequence[str]) -> list[tuple[Table, bool]]:
        assert results == [name for name in names if name != "dies"]
        return [(report.table_of_malformed_events(Fuzzed())[0], passes)]

    return Part([Job(name, partial(str, name)) for name in names], tables, lambda _: "## More")


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ([part("a", "b", passes=True)], 0),
        ([part("a", passes=True), part("b", passes=False)], 1),
        ([part("a", "dies", passes=True)], 1),
        ([part("dies", passes=True)], 1),
    ],
)
def test_the_exit_code_is_the_verdict_and_the_report_has_everything(
    parts: list[Part], code: int, tmp_path: Path
) -> None:
    console, file = Console(file=StringIO(), width=200), tmp_path / "report.md"

    with (
        patch("tests.simulation.__main__._parts", lambda *_: parts),
        patch("tests.simulation.pool.run", in_this_process),
    ):
        assert main(["--seed", "7", "--processes", "3", f"--report={file}"], console=console) == code

    assert isinstance(console.file, StringIO)
    output, document = console.file.getvalue(), file.read_text()
    assert "SEED=7" in output
    assert "SEED=7" in document
    assert __version__ in document
    assert ("passed" if code == 0 else "failed") in document
    dies = any(job.name == "dies" for each in parts for job in each.jobs)
    assert ("FAILED: dies: it died" in output) == dies
    assert ("Failed: dies" in document) == dies
    assert ("## Malformed events" in document) == ("## More" in document) == (parts[0].jobs[0].name != "dies")


def test_a_run_that_is_stopped_reports_what_it_has_found(tmp_path: Path) -> None:
    parts, file = [part("a", "b", passes=True)], tmp_path / "report.md"
    console = Console(file=StringIO(), width=200)

    def interrupted(jobs: Sequence[Job], *, processes: int) -> Iterator[Done | None]:
        yield from in_this_process(jobs, processes=processes)
        raise KeyboardInterrupt

    with (
        patch("tests.simulation.__main__._parts", lambda *_: [*parts, part("c", passes=True)]),
        patch("tests.simulation.pool.run", lambda jobs, **options: interrupted(jobs[:2], **options)),
    ):
        assert main(["--processes", "3", f"--report={file}"], console=console) == 1

    assert isinstance(console.file, StringIO)
    assert "FAILED: the run: stopped after 2 of 3 jobs" in console.file.getvalue()
    assert "## Malformed events" in file.read_text()


@pytest.mark.parametrize("value", ["", "0", "-1", "1e6", "examples/messages.jsonl"])
def test_a_value_that_is_not_a_number_is_an_error(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([f"--messages={value}"])

    assert f"{value!r} is not a number above 0" in capsys.readouterr().err


def test_a_run_is_split_into_mixes_with_seeds_of_their_own() -> None:
    parts = parts_of(3, 1_000_001, 20_000)

    assert parts[0] == (3, 20_000)  # so one mix alone is repeated by its own seed
    assert parts[-1][1] == 1
    assert sum(size for _, size in parts) == 1_000_001
    assert len({seed for seed, _ in parts}) == 51
    assert sum(has_rare_faults(seed) for seed, _ in parts) == 10
    assert parts == parts_of(3, 1_000_001, 20_000)
    assert parts[1:] != parts_of(4, 1_000_001, 20_000)[1:]


def test_every_job_can_be_sent_to_another_process() -> None:
    parts = _parts(1, 50_000, 50_000)

    names = [job.name for each in parts for job in each.jobs]
    assert len(set(names)) == len(names)
    assert all(pickle.dumps(job) for each in parts for job in each.jobs)


def test_a_long_run_fails_if_a_pair_of_faults_seldom_met() -> None:
    met = Meetings(Counter({pair: LEAST for pair in pairs() if not why_not(pair)}))
    rare = (Fault.CRASH, Fault.POISONED)
    enough = Figures(messages=LONG_RUN, meetings=met)
    seldom = replace(enough, meetings=Meetings(met.pairs - Counter([rare])))

    assert report.table_of_pairs(enough)[1]
    assert report.table_of_pairs(replace(seldom, messages=LONG_RUN - 1))[1]
    table, passed = report.table_of_pairs(seldom)
    assert not passed
    assert f"{Fault.CRASH} + {Fault.POISONED}" in printed(table)


def test_a_meeting_that_is_declared_impossible_fails_every_run() -> None:
    impossible = Meetings(Counter({(Fault.CHAT_ENDED, Fault.TOKEN_EXPIRED): 1}))
    wrong_route = Meetings(routes=Counter({(Fault.EVENT_TWICE, Route.API): 1}))

    for meetings in (impossible, wrong_route):
        table, passed = report.table_of_pairs(Figures(meetings=meetings))
        assert not passed
        assert "FAILED" in printed(table)


def test_the_matrix_has_every_pair() -> None:
    met = Meetings(Counter({(Fault.THROTTLED, Fault.CRASH): 1234}))

    text = report.markdown_of_pairs(Figures(meetings=met))

    rows = [line.split(" | ") for line in text.splitlines() if re.match(r"\| \d+\. ", line)]
    assert [len(row) for row in rows] == [len(Fault) + 1] * len(Fault)
    assert sum(line.count("1,234") for line in text.splitlines()) == 2
    assert f"| {Fault.CHAT_ENDED} + {Fault.TOKEN_EXPIRED} | the end of its chat is either" in text


def test_a_pair_that_cannot_meet_has_a_reason() -> None:
    impossible = {pair for pair in pairs() if why_not(pair)}

    assert impossible == {(Fault.CHAT_ENDED, Fault.TOKEN_EXPIRED), (Fault.KEY_SLOW, Fault.INVALID)}
    assert all(reach.why for reach in REACH.values() if reach.routes != frozenset(Route))
