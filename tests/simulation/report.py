"""The printed tables of a run, and whether each part passed."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.table import Table

from tests.simulation.fault_profiles import Fault
from tests.simulation.invariants import Observations, violations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.simulation.baselines import Tally
    from tests.simulation.invariants import Violations
    from tests.simulation.malformed_events import Fuzzed
    from tests.simulation.mutants import Mutant
    from tests.simulation.simulation import Simulation

_LONG = 10_000
"""Messages of a mix in which every fault must occur."""

ZERO_LINES: Mapping[str, tuple[str, ...]] = {
    "lost": (
        "an outcome",
        "unpublished results",
        "empty queue",
        "dead letters",
        "rejected",
        "moved by SQS",
        "answers",
        "tasks",
    ),
    "changed or under another identity": ("texts", "client tokens"),
    "duplicated": ("once",),
    "out of order": ("order", "parts"),
    "secrets": ("secrets",),
    "contradictory outcomes without a fault": ("one outcome",),
    "all other checks": (
        "results",
        "fitting outcomes",
        "only sent messages",
        "parts delivered",
        "copies",
        "result fields",
        "message ids",
        "attempts",
        "doubts",
        "expiry",
        "copied requests",
        "returned results",
        "task results",
        "lookup",
        "deadline",
    ),
}
"""The lines that must be 0, and the checks that each one counts."""


def table_of_mix(simulation: Simulation, *, seed: object, seconds: float) -> tuple[Table, bool]:
    """Return the table of a mix, and whether every line that must be 0 is."""
    seen = Observations.of(simulation)
    found = violations(seen)
    table = _table(f"Everything at once (seed {seed})")
    table.add_row("messages", f"{len(seen.accepted):,}")
    table.add_row("with a sealed token", f"{sum(message.sealed for message in seen.accepted.values()):,}")
    table.add_row("long texts", f"{sum(message.lines > 0 for message in seen.accepted.values()):,}")
    table.add_row("chats", f"{len(seen.transcripts):,}")
    table.add_row("virtual time, real time", f"{simulation.time.monotonic() / 60:.0f} min, {seconds:.0f} s")
    table.add_row(
        "invocations, batches", f"{simulation.function.invocations:,}, {simulation.mapping.batches:,}"
    )
    table.add_row("redeliveries", f"{simulation.mapping.redeliveries:,}", end_section=True)
    counts = simulation.injector.counts
    for fault in Fault:
        table.add_row(fault, f"{counts[fault]:,}")
    table.add_row("faults in total", f"{counts.total():,}", end_section=True)
    outcomes = Counter(seen.outcome(token) or _without_outcome(seen, token) for token in seen.accepted)
    for outcome, number in sorted(outcomes.items()):
        table.add_row(outcome, f"{number:,}")
    contradictions = sum(
        len({result["Outcome"] for result in results}) > 1 for results in seen.results.values()
    )
    table.add_row("contradictory outcomes after a fault", f"{contradictions:,}")
    table.add_row("expired by their age", f"{len(seen.expired_by_age):,}", end_section=True)
    answered = [wait.task.answer[0] for wait in seen.waits if wait.task.answer is not None]
    table.add_row("tasks that waited", f"{len(seen.waits):,}")
    for operation, number in sorted(Counter(answered).items()):
        table.add_row(f"answered with {operation}", f"{number:,}")
    operator = simulation.operator
    table.add_row("dead letters redriven", f"{operator.redriven:,}")
    table.add_row("dead letters finalized", f"{operator.finalized:,}")
    table.add_row(
        "results published later", f"{simulation.unpublished.messages_accepted:,}", end_section=True
    )
    for line, checks in ZERO_LINES.items():
        number = sum(len(found.get(check, ())) for check in checks)
        table.add_row(line, f"{number:,}", style="bold red" if number else "bold")
    for check, details in found.items():
        table.add_row(f"FAILED: {check}", details[0], style="red")
    absent = [fault for fault in Fault if not counts[fault]] if len(seen.accepted) >= _LONG else []
    for fault in absent:
        table.add_row("FAILED: the fault did not occur", fault, style="red")
    return table, not found and not absent


def _without_outcome(seen: Observations, token: str) -> str:
    if seen.accepted[token].route.has_caller:
        return "no outcome: its caller has the error"
    if token in seen.dead_letter_tokens:
        return "no outcome: in a dead-letter queue"
    return "no outcome: lost"


def table_of_scenarios(found: Mapping[str, dict[str, Violations]]) -> tuple[Table, bool]:
    """Return the table of the named situations, and whether all passed."""
    table = _table("Named situations")
    for name, failed in found.items():
        details = "; ".join(f"{check}: {violated[0]}" for check, violated in failed.items())
        table.add_row(name, details or "passed", style="red" if failed else "")
    return table, not any(found.values())


def table_of_mutants(failed: Mapping[Mutant, list[str]]) -> tuple[Table, bool]:
    """Return the table of the mutation checks, and whether each mutant failed its check."""
    table = _table("Mutation checks", "must fail", "failed")
    for mutant, checks in failed.items():
        style = "" if mutant.check in checks else "red"
        table.add_row(mutant.change, mutant.check, ", ".join(checks), style=style)
    return table, all(mutant.check in checks for mutant, checks in failed.items())


def table_of_malformed_events(fuzzed: Fuzzed) -> tuple[Table, bool]:
    """Return the table of the malformed events, and whether each ended in a documented way."""
    table = _table("Malformed events")
    table.add_row("events", f"{fuzzed.events:,}")
    for ending, number in fuzzed.endings.most_common():
        table.add_row(ending, f"{number:,}")
    number = len(fuzzed.violations)
    table.add_row(
        "unhandled, undocumented or with a secret", f"{number:,}", style="red" if number else "bold"
    )
    for violation in fuzzed.violations[:10]:
        table.add_row("FAILED", violation, style="red")
    return table, not fuzzed.violations


def table_of_baselines(ours: Tally, baselines: Mapping[str, Tally]) -> tuple[Table, bool]:
    """Return the table of the boto3 loops and the function under the same faults, and whether it passed.

    The function must do nothing wrong. The baselines must lose and repeat messages: a fault profile under
    which no baseline fails proves nothing.
    """
    tallies = {"this function": ours, **baselines}
    table = _table("The same faults with a boto3 loop", *tallies)
    for name, number in _TALLIED:
        table.add_row(name, *(f"{number(tally):,}" for tally in tallies.values()))
    ours_passed = not any((ours.lost, ours.unreported, ours.not_shown, ours.twice, ours.late, ours.secrets))
    others = baselines.values()
    return table, ours_passed and any(each.lost for each in others) and any(each.twice for each in others)


_TALLIED: Sequence[tuple[str, Callable[[Tally], int]]] = (
    ("messages", lambda tally: tally.accepted),
    ("lost without a trace", lambda tally: tally.lost),
    ("shown without a result", lambda tally: tally.unreported),
    ("SENT, but not shown", lambda tally: tally.not_shown),
    ("dead letters without a reason", lambda tally: tally.dead_letters),
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
