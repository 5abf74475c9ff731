"""Run the quota study in virtual time, and write its figures into docs/explanation/benchmarks.md.

The same seed gives the same figures. All of them are written to .sandbox/benchmarks.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime

from rich.console import Console

from benchmarks.markdown import SAMPLES, update_page
from benchmarks.quota.report import block, tables, verdict
from benchmarks.quota.study import SEED, STEADY, Run, runs, simulate


def main() -> int:
    """Run the study. Return 0 if our sender reaches every goal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quota", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="run with two instances; leave the page unchanged"
    )
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
    day = f"{datetime.now(UTC).date()}"
    rows = [asdict(run.scenario) | asdict(run.figures) for run in finished]
    SAMPLES.mkdir(parents=True, exist_ok=True)
    (SAMPLES / "quota.json").write_text(json.dumps({"day": day, "seed": SEED, "runs": rows}, indent=1) + "\n")
    (SAMPLES / "quota.md").write_text(tables(finished))
    if not options.quick:
        update_page("quota", block(finished, day=day))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
