"""The printed tables of a run, and whether each part passed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table

from tests.simulation.accepted import Route
from tests.simulation.fault_profiles import Fault
from tests.simulation.pairs import LEAST, LONG_RUN, REACH, pairs, why_not

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tests.simulation.baselines import Tally
    from tests.simulation.invariants import Violations
    from tests.simulation.jobs import Figures
    from tests.simulation.malformed_events import Fuzzed
    from tests.simulation.mutants import Mutant

_LONG: Final = 10_000
"""Messages of a run in which every fault must occur."""
_MOST_FAILURES: Final = 20
_LEAST_SHOWN: Final = 10

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


def table_of_mixes(figures: Figures) -> tuple[Table, bool]:
    """Return the table of mixes, and whether every line that must be 0 is."""
    table = _table(f"Everything at once ({_seeds(figures.seeds)})")
    table.add_row("messages", f"{figures.messages:,}")
    table.add_row("with a sealed token", f"{figures.sealed:,}")
    table.add_row("long texts", f"{figures.long:,}")
    table.add_row("chats", f"{figures.chats:,}")
    table.add_row(
        "virtual time, time of all processes",
        f"{figures.virtual_seconds / 3600:,.1f} h, {figures.real_seconds:,.0f} s",
    )
    table.add_row("invocations, batches", f"{figures.invocations:,}, {figures.batches:,}")
    table.add_row("redeliveries", f"{figures.redeliveries:,}", end_section=True)
    for fault in Fault:
        table.add_row(fault, f"{figures.faults[fault]:,}")
    table.add_row("faults in total", f"{figures.faults.total():,}", end_section=True)
    for outcome, number in sorted(figures.outcomes.items()):
        table.add_row(outcome, f"{number:,}")
    table.add_row("contradictory outcomes after a fault", f"{figures.contradictions:,}")
    table.add_row("expired by their age", f"{figures.expired_by_age:,}", end_section=True)
    table.add_row("tasks that waited", f"{figures.waits:,}")
    for operation, number in sorted(figures.callbacks.items()):
        table.add_row(f"answered with {operation}", f"{number:,}")
    table.add_row("dead letters redriven", f"{figures.redriven:,}")
    table.add_row("dead letters finalized", f"{figures.finalized:,}")
    table.add_row("results published later", f"{figures.published_later:,}", end_section=True)
    for line, checks in ZERO_LINES.items():
        number = sum(figures.violations[check] for check in checks)
        table.add_row(line, f"{number:,}", style="bold red" if number else "bold")
    for seed, check, detail in figures.failures[:_MOST_FAILURES]:
        table.add_row(f"FAILED: {check}", f"SEED={seed}: {detail}", style="red")
    absent = [fault for fault in Fault if not figures.faults[fault]] if figures.messages >= _LONG else []
    for fault in absent:
        table.add_row("FAILED: the fault did not occur", fault, style="red")
    return table, not figures.failures and not absent


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} mixes"


def table_of_pairs(figures: Figures) -> tuple[Table, bool]:
    """Return the table of the faults that met at one message, and whether all did that can.

    A run of less than a million messages only shows the figures.
    """
    meetings, is_long = figures.meetings, figures.messages >= LONG_RUN
    least = meetings.least()
    rare = [each for each in least if each[0] < LEAST]
    table = _table("Pairs of faults at one message")
    table.add_row("pairs of two kinds", f"{len(list(pairs())):,}")
    table.add_row("that can meet", f"{len(least):,}")
    table.add_row("that met", f"{sum(number > 0 for number, _ in least):,}")
    table.add_row(f"at {LEAST} messages or more", f"{len(least) - len(rare):,}", end_section=True)
    for number, (one, other) in least[:_LEAST_SHOWN]:
        style = "red" if is_long and number < LEAST else ""
        table.add_row(f"{one} + {other}", f"{number:,}", style=style)
    wrong = meetings.wrong_declarations()
    for error in wrong:
        table.add_row("FAILED", error, style="red")
    return table, not wrong and not (is_long and rare)


def markdown_of_pairs(figures: Figures) -> str:
    """Return the number of messages at which each pair of faults met, the impossible pairs and the routes."""
    faults, met = list(Fault), figures.meetings
    rows = [
        [
            f"{number}. {one}",
            *(
                "" if one is other else "-" if why_not(pair) else f"{met.pairs[pair]:,}"
                for other in faults
                for pair in [(one, other) if number <= faults.index(other) else (other, one)]
            ),
        ]
        for number, one in enumerate(faults, 1)
    ]
    impossible = [[f"{one} + {other}", why] for one, other in pairs() if (why := why_not((one, other)))]
    routes = [
        [fault, *(f"{met.routes[fault, route]:,}" for route in Route), REACH[fault].why] for fault in faults
    ]
    return "\n\n".join(
        (
            "## Pairs of faults",
            "Each cell has the number of messages that both faults hit. A dash: they cannot meet.",
            markdown_table(["", *map(str, range(1, len(faults) + 1))], rows),
            "These pairs cannot meet at one message.",
            markdown_table(["Pair", "Reason"], impossible),
            "Messages that each fault hit, by their route:",
            markdown_table(["Fault", *Route, "Why not the others"], routes),
        )
    )


def markdown_of(table: Table) -> str:
    """Return a printed table as Markdown."""
    header = [str(column.header) for column in table.columns]
    rows = zip(*([str(cell) for cell in column.cells] for column in table.columns), strict=True)
    return f"## {table.title}\n\n{markdown_table(header, rows)}"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', ' ') for cell in line)} |" for line in lines)


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
