"""Run the quota study in virtual time, and write docs/benchmarks/quota.md and quota.json.

The same seed gives the same figures.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rich.console import Console

from benchmarks.quota.report import verdict, write
from benchmarks.quota.scenarios import STEADY, scenarios
from benchmarks.quota.study import simulate

if TYPE_CHECKING:
    from benchmarks.quota.study import Run

DOCS: Final = Path(__file__).parents[2] / "docs" / "benchmarks"


def main() -> int:
    """Run the study. Return 0 if our sender reaches every goal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quota", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="run a few scenarios, and write nothing")
    options = parser.parse_args()
    console = Console(soft_wrap=True, highlight=False)
    tasks = [(each, sender) for each, senders in scenarios(quick=options.quick) for sender in senders]
    runs: list[Run] = []
    with ProcessPoolExecutor() as processes:
        for run in processes.map(simulate, *zip(*tasks, strict=True)):
            console.print(_line(run))
            runs.append(run)
    if not options.quick:
        write(runs, DOCS)
    missed = [
        run
        for run in runs
        if (run.figures.sender, run.scenario.name) == ("ours", STEADY.name) and verdict(run) == "missed"
    ]
    for run in missed:
        console.print("Goal missed:", _line(run))
    return 1 if missed else 0


def _line(run: Run) -> str:
    scenario, figures = run.scenario, run.figures
    name = f"{scenario.name}, {scenario.instances} instances, quota {scenario.quota:g}: {figures.sender}"
    return f"{name}: goodput {figures.goodput:.2f}, throttled {figures.throttled:.1%}, lost {figures.lost}"


if __name__ == "__main__":
    sys.exit(main())
