"""What a run is told in: a table for people, and whether all is well."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.table import Table

from ops.redrive import Done
from tests.simulation.fault_profiles import Strike
from tests.simulation.invariants import Observations, violations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.simulation.baseline import Tally
    from tests.simulation.invariants import Violations
    from tests.simulation.malformed_events import Fuzzed
    from tests.simulation.mutants import Control
    from tests.simulation.simulation import Simulation

_LONG = 10_000
"""Messages of a mix in which every fault must strike."""

ZERO_LINES: Mapping[str, tuple[str, ...]] = {
    "lost": (
        "an outcome",
        "kept results",
        "empty queue",
        "dead letters",
        "rejected",
        "net",
        "answers",
        "tasks",
    ),
    "duplicated": ("once",),
    "out of order": ("order",),
    "secrets": ("secrets",),
    "contradictions without a fault": ("one outcome",),
    "all other checks": (
        "results",
        "fitting outcomes",
        "not sent, not seen",
        "copies",
        "tasks' answers",
        "deadline",
    ),
}
"""The lines of the table that must be 0, and the checks that each one counts."""


def table_of_mix(simulation: Simulation, *, seed: object, seconds: float) -> tuple[Table, bool]:
    """Return the table of a mix, and whether every line is 0 that must be."""
    seen = Observations.of(simulation)
    found = violations(seen)
    table = _table(f"Everything at once (seed {seed})")
    table.add_row("messages", f"{len(seen.accepted):,}")
    table.add_row("chats", f"{len(seen.transcripts):,}")
    table.add_row("virtual time, real time", f"{simulation.time.monotonic() / 60:.0f} min, {seconds:.0f} s")
    table.add_row(
        "invocations, batches", f"{simulation.function.invocations:,}, {simulation.mapping.batches:,}"
    )
    table.add_row("redeliveries", f"{simulation.mapping.redeliveries:,}", end_section=True)
    counts = simulation.weather.counts
    for strike in Strike:
        table.add_row(strike, f"{counts[strike]:,}")
    table.add_row("faults in all", f"{counts.total():,}", end_section=True)
    outcomes = Counter(seen.outcome(token) or _without_outcome(seen, token) for token in seen.accepted)
    for outcome, number in sorted(outcomes.items()):
        table.add_row(outcome, f"{number:,}")
    contradictions = sum(
        len({result["Outcome"] for result in results}) > 1 for results in seen.results.values()
    )
    table.add_row("contradictions after a fault", f"{contradictions:,}", end_section=True)
    answered = [wait.task.answer[0] for wait in seen.waits if wait.task.answer is not None]
    table.add_row("tasks that waited", f"{len(seen.waits):,}")
    for operation, number in sorted(Counter(answered).items()):
        table.add_row(f"answered, {operation}", f"{number:,}")
    operator = simulation.operator
    table.add_row("letters redriven", f"{operator.done[Done.REDRIVEN]:,}")
    table.add_row("letters given their outcome", f"{operator.done[Done.FINALIZED]:,}")
    table.add_row("results republished", f"{operator.republished:,}", end_section=True)
    for line, checks in ZERO_LINES.items():
        number = sum(len(found.get(check, ())) for check in checks)
        table.add_row(line, f"{number:,}", style="bold red" if number else "bold")
    for check, what in found.items():
        table.add_row(f"RED: {check}", what[0], style="red")
    silent = [strike for strike in Strike if not counts[strike]] if len(seen.accepted) >= _LONG else []
    for strike in silent:
        table.add_row("RED: never struck", strike, style="red")
    return table, not found and not silent


def _without_outcome(seen: Observations, token: str) -> str:
    if seen.accepted[token].route.has_caller:
        return "without outcome: its caller was told"
    if token in seen.letters:
        return "without outcome: among the dead letters"
    return "without outcome: lost"


def table_of_scenarios(found: Mapping[str, dict[str, Violations]]) -> tuple[Table, bool]:
    """Return the table of the named situations, and whether all are green."""
    table = _table("Named situations")
    for name, red in found.items():
        violated = "; ".join(f"{check}: {what[0]}" for check, what in red.items())
        table.add_row(name, violated or "green", style="red" if red else "")
    return table, not any(found.values())


def table_of_controls(found: Mapping[Control, list[str]]) -> tuple[Table, bool]:
    """Return the table of the positive controls, and whether each turned its check red."""
    table = _table("Positive controls: broken on purpose", "must turn red", "turned red")
    for control, red in found.items():
        is_red = control.check in red
        table.add_row(control.broken, control.check, ", ".join(red), style="" if is_red else "red")
    return table, all(control.check in red for control, red in found.items())


def table_of_malformed_events(fuzzed: Fuzzed) -> tuple[Table, bool]:
    """Return the table of the malformed events, and whether each ended as it may."""
    table = _table("Malformed events")
    table.add_row("events", f"{fuzzed.events:,}")
    for ending, number in fuzzed.endings.most_common():
        table.add_row(ending, f"{number:,}")
    number = len(fuzzed.violations)
    table.add_row(
        "unhandled, unexplained or with a secret", f"{number:,}", style="bold red" if number else "bold"
    )
    for violation in fuzzed.violations[:10]:
        table.add_row("RED", violation, style="red")
    return table, not fuzzed.violations


def table_of_peers(ours: Tally, peers: Mapping[str, Tally]) -> tuple[Table, bool]:
    """Return the table of the boto3 loop beside the function, and whether it is as it must be.

    That is nothing amiss of ours, and of the peers something: a weather that harms nobody proves nothing.
    """
    tallies = {"this function": ours, **peers}
    table = _table("The same weather for a boto3 loop", *tallies)
    for name, number in _TALLIED:
        table.add_row(name, *(f"{number(tally):,}" for tally in tallies.values()))
    is_kept = not any((ours.lost, ours.untold, ours.wrongly_sent, ours.twice, ours.late, ours.secrets))
    is_harmful = any(tally.lost for tally in peers.values()) and any(tally.twice for tally in peers.values())
    return table, is_kept and is_harmful


_TALLIED: Sequence[tuple[str, Callable[[Tally], int]]] = (
    ("messages", lambda tally: tally.accepted),
    ("lost in silence", lambda tally: tally.lost),
    ("shown without a result", lambda tally: tally.untold),
    ("SENT, but not shown", lambda tally: tally.wrongly_sent),
    ("letters without a reason", lambda tally: tally.letters),
    ("shown twice", lambda tally: tally.twice),
    ("out of order", lambda tally: tally.late),
    ("secrets (counts to 100)", lambda tally: tally.secrets),
)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", show_header=bool(columns))
    table.add_column("")
    for column in columns or ("",):
        table.add_column(column)
    return table
