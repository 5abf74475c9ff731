"""Simulates how long other chats wait while some hang: `python -m benchmarks.hanging_chats`.

The handler runs in the fault suite's simulation, with 200 chats and ten instances. `--attempts 2` retries
a read timeout in the same invocation, as the function once did.
"""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from typing import Final

from tests.simulation.mutants import READ_TIMEOUTS_RETRIED
from tests.simulation.scenarios import with_hanging_chats

_HANGING: Final = (0, 1, 3, 10, 20)
_PERCENTILES: Final = {"median": 0.5, "p95": 0.95, "p99": 0.99}


def main() -> None:
    """Print a table of the seconds from acceptance to arrival."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hanging_chats", description=__doc__)
    parser.add_argument("--seeds", type=int, default=6, help="runs of each row (default: %(default)s)")
    parser.add_argument("--rate", type=int, default=20, help="messages a second (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=30, help="of traffic (default: %(default)s)")
    parser.add_argument("--quota", type=int, help="calls a second that the service takes (default: any)")
    parser.add_argument("--attempts", type=int, choices=[1, 2], default=1, help="at a chat that hangs")
    options = parser.parse_args()
    print("| hanging |", *(f"{name} |" for name in _PERCENTILES), "maximum |")  # noqa: T201  # a program
    print("|---|" + "---|" * (len(_PERCENTILES) + 1))  # noqa: T201  # the same
    with READ_TIMEOUTS_RETRIED.applied() if options.attempts == 2 else nullcontext():  # noqa: PLR2004  # as listed
        for hanging in _HANGING:
            waits = sorted(
                wait
                for seed in range(options.seeds)
                for wait in with_hanging_chats(
                    seed, hanging, rate=options.rate, seconds=options.seconds, quota=options.quota
                )[1]
            )
            figures = [waits[int(len(waits) * part)] for part in _PERCENTILES.values()]
            print(f"| {hanging} |", *(f"{figure:.1f} |" for figure in [*figures, waits[-1]]))  # noqa: T201  # the same


if __name__ == "__main__":
    main()
