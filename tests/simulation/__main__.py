"""Run the simulation in its long form. The exit code is 0 only if every part passes."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console

from tests.simulation import baselines, report
from tests.simulation.malformed_events import fuzz
from tests.simulation.mutants import MUTANTS
from tests.simulation.scenarios import SCENARIOS, mix

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

_MESSAGES_A_CHAT = 40


def main(arguments: Sequence[str] | None = None, *, console: Console | None = None) -> int:
    """Run every part, and print its table when it is done. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="repeats a run (default: a random seed)")
    parser.add_argument("--messages", type=int, default=20_000, help="of the mix (default: %(default)s)")
    parser.add_argument("--events", type=int, default=100_000, help="malformed ones (default: %(default)s)")
    options = parser.parse_args(arguments)
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    console = console or Console()
    began = time.monotonic()
    console.print(f"Simulation. Repeat this run with SEED={seed}")
    passed = True
    for table, part_passed in _parts(seed, options.messages, options.events):
        console.print(table)
        passed = passed and part_passed
    verdict = "Passed." if passed else "[red]Failed.[/red]"
    console.print(f"{verdict} SEED={seed}, {time.monotonic() - began:.0f} s")
    return 0 if passed else 1


def _parts(seed: int, messages: int, events: int) -> Iterator[tuple[Table, bool]]:
    began = time.monotonic()
    simulation = mix(seed, messages=messages, chats=max(10, messages // _MESSAGES_A_CHAT))
    yield report.table_of_mix(simulation, seed=seed, seconds=time.monotonic() - began)
    yield report.table_of_scenarios({name: scenario(seed) for name, scenario in SCENARIOS.items()})
    yield report.table_of_mutants({mutant: mutant.failed_checks(seed) for mutant in MUTANTS})
    yield report.table_of_baselines(
        baselines.tally_of(seed, None),
        {name: baselines.tally_of(seed, baseline) for name, baseline in baselines.BASELINES.items()},
    )
    yield report.table_of_malformed_events(fuzz(seed, events=events))


if __name__ == "__main__":
    sys.exit(main())
