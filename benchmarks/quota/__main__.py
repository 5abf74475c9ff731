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
from benchmarks.quota.study import STEADY, runs, simulate

if TYPE_CHECKING:
    from benchmarks.quota.study import Run

DOCS: Final = Path(__file__).parents[2] / "docs" / "benchmarks"


def main() -> int:
    """Run the study. Return 0 if our sender reaches every goal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quota", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="run with two instances, and write nothing")
    options = parser.parse_args()
    console = Console(soft_wrap=True, highlight=False)
    finished: list[Run] = []
    missed = False
    with ProcessPoolExecutor() as processes:
        for run in processes.map(simulate, *zip(*runs(quick=options.quick), strict=True)):
            name, instances, quota = run.scenario.name, run.scenario.instances, run.scenario.quota
            console.print(f"{name}, {instances} instances, quota {quota:g}: {run.figures}")
            if (run.figures.sender, name, verdict(run)) == ("ours", STEADY.name, "missed"):
                console.print("Goal missed")
                missed = True
            finished.append(run)
    if not options.quick:
        write(finished, DOCS)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
