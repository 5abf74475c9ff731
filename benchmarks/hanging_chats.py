"""Simulate how long other chats wait while some hang: `python -m benchmarks.hanging_chats`.

The handler runs in the simulation, with 200 chats and ten instances. `--attempts 2` retries a read timeout in
the same invocation, as the function did in the past.
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from typing import Final

from rich.console import Console

from benchmarks.markdown import table
from tests.simulation.mutants import READ_TIMEOUTS_RETRIED
from tests.simulation.scenarios import with_hanging_chats

_HANGING: Final = (0, 1, 3, 10, 20)
_PERCENTILES: Final = {"median": 0.5, "p95": 0.95, "p99": 0.99}
_RETRIED: Final = 2


def main() -> None:
    """Print a table of the seconds from acceptance to arrival."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hanging_chats", description=__doc__)
    parser.add_argument("--seeds", type=int, default=6, help="runs per row (default: %(default)s)")
    parser.add_argument("--rate", type=int, default=20, help="messages per second (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=30, help="of the workload (default: %(default)s)")
    parser.add_argument("--quota", type=int, help="calls per second that the service accepts (default: any)")
    parser.add_argument("--attempts", type=int, choices=[1, _RETRIED], default=1, help="for a hanging chat")
    options = parser.parse_args()
    arguments = {"rate": options.rate, "seconds": options.seconds, "quota": options.quota}
    rows = []
    with READ_TIMEOUTS_RETRIED.applied() if options.attempts == _RETRIED else nullcontext():
        for hanging in _HANGING:
            runs = [with_hanging_chats(seed, hanging, **arguments) for seed in range(options.seeds)]
            waits = sorted(wait for _, waits in runs for wait in waits)
            figures = [*(waits[int(len(waits) * part)] for part in _PERCENTILES.values()), waits[-1]]
            rows.append([hanging, *(f"{figure:.1f}" for figure in figures)])
    Console(soft_wrap=True).print(table(("hanging", *_PERCENTILES, "maximum"), rows))


if __name__ == "__main__":
    main()
