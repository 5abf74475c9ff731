"""`python -m tests.simulation`: the long run of the simulation. Exit code 0 only if nothing is wrong."""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from typing import TYPE_CHECKING

from rich.console import Console

from tests.simulation import baseline, report
from tests.simulation.malformed_events import fuzz
from tests.simulation.mutants import CONTROLS
from tests.simulation.scenarios import SCENARIOS, mix

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

_MESSAGES_A_CHAT = 40


def main(arguments: Sequence[str] | None = None, *, console: Console | None = None) -> int:
    """Run everything, and print a table of each part as soon as it is done."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="repeats a run; else one is drawn")
    parser.add_argument("--messages", type=int, default=20_000, help="of the mix (default: %(default)s)")
    parser.add_argument("--events", type=int, default=100_000, help="malformed ones (default: %(default)s)")
    options = parser.parse_args(arguments)
    seed = secrets.randbelow(1_000_000) if options.seed is None else options.seed
    console = console or Console()
    began = time.monotonic()
    console.print(f"Fault suite. Repeat this very run with SEED={seed}")
    all_well = True
    for table, is_well in _parts(seed, options.messages, options.events):
        console.print(table)
        all_well = all_well and is_well
    verdict = "All is as it must be." if all_well else "[red]Not all is as it must be.[/red]"
    console.print(f"{verdict} SEED={seed}, {time.monotonic() - began:.0f} s")
    return 0 if all_well else 1


def _parts(seed: int, messages: int, events: int) -> Iterator[tuple[Table, bool]]:
    began = time.monotonic()
    simulation = mix(seed, messages=messages, chats=max(10, messages // _MESSAGES_A_CHAT))
    yield report.table_of_mix(simulation, seed=seed, seconds=time.monotonic() - began)
    yield report.table_of_scenarios({name: scenario(seed) for name, scenario in SCENARIOS.items()})
    yield report.table_of_controls({control: control.red_checks(seed) for control in CONTROLS})
    yield report.table_of_peers(
        baseline.tally_of(seed, None),
        {name: baseline.tally_of(seed, one) for name, one in baseline.PEERS.items()},
    )
    yield report.table_of_malformed_events(fuzz(seed, events=events))


if __name__ == "__main__":
    sys.exit(main())
