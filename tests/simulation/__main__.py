"""Run the simulation in its long form, in several processes. The exit code is 0 only if every part passes."""

from __future__ import annotations

import argparse
import platform
import secrets
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial, reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from message_sender import __version__
from tests.simulation import jobs, pool, report
from tests.simulation.baselines import BASELINES
from tests.simulation.jobs import EVENTS_OF_A_JOB, MESSAGES_OF_A_MIX, Figures, parts_of
from tests.simulation.malformed_events import Fuzzed
from tests.simulation.mutants import MUTANTS
from tests.simulation.pool import Job
from tests.simulation.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from rich.table import Table

    from tests.simulation.pool import Done

_PROGRESS_SECONDS: Final = 5.0
"""Between two lines of progress, where they do not replace each other."""


@dataclass(frozen=True)
class Part:
    """A part of the run.

    Attributes:
        jobs: At least one.
        tables: Gets the results of the jobs, in order. Returns tables, and whether they passed.
        more: Gets the same. Returns what only the report has, as Markdown.
    """

    jobs: Sequence[Job]
    tables: Callable[[Sequence[Any]], Iterable[tuple[Table, bool]]]
    more: Callable[[Sequence[Any]], str] = lambda _: ""


def main(arguments: Sequence[str] | None = None, *, console: Console | None = None) -> int:
    """Run every part, and print its tables at the end. Return the exit code."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seed", type=int, help="repeats a run (default: a random seed)")
    parser.add_argument(
        "--messages", type=_number, default=20_000, help="of all mixes (default: %(default)s)"
    )
    parser.add_argument(
        "--events", type=_number, default=100_000, help="malformed ones (default: %(default)s)"
    )
    processors = len(pool.processors())
    parser.add_argument("--processes", type=_number, default=processors, help="(default: %(default)s)")
    parser.add_argument("--report", type=Path, help="a file for the report, as Markdown")
    options = parser.parse_args(arguments)
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    console = console or Console()
    began = time.monotonic()
    console.print(f"Simulation. Repeat this run with SEED={seed} MESSAGES={options.messages}")
    parts = _parts(seed, options.messages, options.events)
    results, errors = _run(parts, processes=options.processes, console=console)
    passed, document = not errors, []
    for part in parts:
        found = [results[job.name] for job in part.jobs if job.name in results]
        if not found:
            continue
        for table, part_passed in part.tables(found):
            console.print(table)
            document.append(report.markdown_of(table))
            passed = passed and part_passed
        document.append(part.more(found))
    for name, error in errors.items():
        console.print(f"[red]FAILED:[/red] {name}: {error}", markup=True, highlight=False)
    seconds = time.monotonic() - began
    if options.report is not None:
        head = _head(seed, options, passed=passed, seconds=seconds, errors=errors)
        options.report.write_text("\n\n".join((head, *filter(None, document))) + "\n", encoding="utf-8")
    verdict = "Passed." if passed else "[red]Failed.[/red]"
    console.print(f"{verdict} SEED={seed}, {seconds:.0f} s")
    return 0 if passed else 1


def _number(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)


def _parts(seed: int, messages: int, events: int) -> list[Part]:
    mixes = [
        Job(f"mix with SEED={each} MESSAGES={size}", partial(jobs.run_mix, each, size))
        for each, size in parts_of(seed, messages, MESSAGES_OF_A_MIX)
    ]
    malformed = [
        Job(f"malformed events with SEED={each}", partial(jobs.run_malformed_events, each, size))
        for each, size in parts_of(seed, events, EVENTS_OF_A_JOB)
    ]
    baselines = [
        Job(f"baseline: {name or 'this function'}", partial(jobs.run_baseline, name, seed))
        for name in (None, *BASELINES)
    ]
    mutants = [
        Job(f"mutant: {mutant.change}", partial(jobs.run_mutant, number, seed))
        for number, mutant in enumerate(MUTANTS)
    ]
    situations = [Job(f"situation: {name}", partial(jobs.run_scenario, name, seed)) for name in SCENARIOS]
    return [
        Part(mixes, _tables_of_mixes, lambda found: report.markdown_of_pairs(_sum(found))),
        Part(situations, lambda found: [report.table_of_scenarios(dict(found))]),
        Part(
            mutants,
            lambda found: [report.table_of_mutants({MUTANTS[number]: failed for number, failed in found})],
        ),
        Part(baselines, _tables_of_baselines),
        Part(malformed, lambda found: [report.table_of_malformed_events(reduce(add, found, Fuzzed()))]),
    ]


def _tables_of_mixes(found: Sequence[Figures]) -> list[tuple[Table, bool]]:
    figures = _sum(found)
    return [report.table_of_mixes(figures), report.table_of_pairs(figures)]


def _sum(found: Sequence[Figures]) -> Figures:
    return reduce(add, found, Figures())


def _tables_of_baselines(found: Sequence[Any]) -> list[tuple[Table, bool]]:
    tallies = dict(found)
    ours = tallies.pop(None, None)
    return [] if ours is None or not tallies else [report.table_of_baselines(ours, tallies)]


def _run(parts: Sequence[Part], *, processes: int, console: Console) -> tuple[dict[str, Any], dict[str, str]]:
    """Run all jobs. Return the results and the errors, by the names of the jobs."""
    everything = [job for part in parts for job in part.jobs]
    results: dict[str, Any] = {}
    errors: dict[str, str] = {}
    messages, began, shown_at = 0, time.monotonic(), 0.0
    status = console.status("") if console.is_terminal else None
    if status is not None:
        status.start()
    try:
        for done in pool.run(everything, processes=processes):
            if done is not None:
                messages += _keep(done, results, errors, console=console)
            line = (
                f"{len(results) + len(errors)} of {len(everything)} jobs, {messages:,} messages,"
                f" {_failed(results) + len(errors)} failed, {time.monotonic() - began:.0f} s"
            )
            if status is not None:
                status.update(line)
            elif done is not None and time.monotonic() - shown_at >= _PROGRESS_SECONDS:
                console.print(line, highlight=False)
                shown_at = time.monotonic()
    except KeyboardInterrupt:  # hours may have passed: what they found is reported
        errors["the run"] = f"stopped after {len(results) + len(errors)} of {len(everything)} jobs"
    finally:
        if status is not None:
            status.stop()
    return {job.name: results[job.name] for job in everything if job.name in results}, errors


def _keep(done: Done, results: dict[str, Any], errors: dict[str, str], *, console: Console) -> int:
    """Keep the end of a job, and name what failed in a mix. Return the number of its messages."""
    if done.error:
        errors[done.job.name] = done.error
        return 0
    results[done.job.name] = done.result
    if not isinstance(done.result, Figures):
        return 0
    for seed, check, detail in done.result.failures:
        console.print(f"SEED={seed}: {check}: {detail}", highlight=False, markup=False)
    return done.result.messages


def _failed(results: dict[str, Any]) -> int:
    """Count the mixes that have failed a check."""
    return sum(isinstance(result, Figures) and bool(result.failures) for result in results.values())


def _head(
    seed: int, options: argparse.Namespace, *, passed: bool, seconds: float, errors: dict[str, str]
) -> str:
    """Return the beginning of the report."""
    mixes = ", ".join(str(each) for each, _ in parts_of(seed, options.messages, MESSAGES_OF_A_MIX))
    processes, python = options.processes, platform.python_version()
    variables = f"SEED={seed} MESSAGES={options.messages} MALFORMED_EVENTS={options.events}"
    facts = {
        "Version": __version__,
        "Date": f"{datetime.now(tz=UTC):%Y-%m-%d}",
        "Command": f"`make simulate {variables}`",
        "Verdict": "passed" if passed else "failed",
        "Time": f"{seconds / 60:.0f} min with {processes} processes, Python {python}",
        **{f"Failed: {name}": " ".join(error.split()) for name, error in errors.items()},
    }
    rows = [list(each) for each in facts.items()]
    return "\n\n".join(
        (
            f"# Simulation of version {__version__}",
            report.markdown_table(["", ""], rows),
            f"A mix of {MESSAGES_OF_A_MIX:,} messages is repeated alone by its own seed: {mixes}.",
        )
    )


if __name__ == "__main__":
    sys.exit(main())
