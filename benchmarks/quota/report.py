"""Writes the findings of the study: a block of the page, and all figures as tables."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Final

from benchmarks.markdown import bars, table
from benchmarks.quota.senders import SENDERS
from benchmarks.quota.study import CHANGE, ENDLESS, NINE_TENTHS, SEED, STEADY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.quota.study import Run

LEAST_GOODPUT: Final = 0.95
MOST_THROTTLED: Final = 0.05
LEAST_FAIRNESS: Final = 0.9
MOST_INSTANCES: Final = 50
"""The goals apply up to this number. The page shows the figures for more without a verdict."""
SHOWN_INSTANCES: Final = (10, 50, 200)
"""The page shows these numbers, and the tables show all."""
TOO_FEW: Final = "too few"
"""The verdict on instances that cannot use the quota, because each sends one chat in order."""
_COMPARED: Final = (
    ("Goodput, 50 instances", STEADY, 50, "goodput", ".2f"),
    ("Throttled, 50 instances", STEADY, 50, "throttled", ".1%"),
    ("Throttled at nine tenths of the quota", NINE_TENTHS, 10, "throttled", ".1%"),
    ("Goodput while the quota becomes 5, then 20", CHANGE, 10, "goodput", ".2f"),
    ("Messages FAILED in an hour", ENDLESS, 10, "failed", ","),
)


def verdict(run: Run) -> str:
    """Return `met` or `missed` for the goals of the steady state, or why they do not apply."""
    instances, figures = run.scenario.instances, run.figures
    if instances > MOST_INSTANCES:
        return "no goal"
    if figures.throttled == 0 and figures.goodput < LEAST_GOODPUT and figures.busy > 0.9 * instances:
        return TOO_FEW
    met = (
        figures.goodput >= LEAST_GOODPUT
        and figures.throttled <= MOST_THROTTLED
        and figures.lost == figures.moved == 0
        and (figures.fairness or 0) >= LEAST_FAIRNESS
    )
    return "met" if met else "missed"


_COLUMNS: Final[dict[str, Callable[[Run], object]]] = {
    "Quota": lambda run: f"{run.scenario.quota:g}",
    "Instances": lambda run: run.scenario.instances,
    "Goodput": lambda run: f"{run.figures.goodput:.2f}",
    "Throttled": lambda run: f"{run.figures.throttled:.1%}",
    "Fairness": lambda run: f"{run.figures.fairness:.2f}",
    "Receives": lambda run: f"{run.figures.receives:.1f} ({run.figures.most_receives})",
    "Goals": verdict,
}


def block(runs: Sequence[Run], *, day: str) -> str:
    """Return what the page shows: our figures at three times the quota, a chart, and all senders."""
    found = {
        (run.scenario.name, run.scenario.instances, run.figures.sender): run.figures
        for run in runs
        if run.scenario.quota == STEADY.quota
    }
    throttled = {sender: found[STEADY.name, STEADY.instances, sender].throttled * 100 for sender in SENDERS}
    ours = [
        run
        for run in runs
        if (run.scenario.name, run.figures.sender) == (STEADY.name, "ours")
        and run.scenario.instances in SHOWN_INSTANCES
        and verdict(run) != TOO_FEW
    ]
    compared = [
        (label, *(format(getattr(found[case.name, instances, sender], figure), form) for sender in SENDERS))
        for label, case, instances, figure, form in _COMPARED
    ]
    parts = [
        f"Simulated on {day} with the seed {SEED}.",
        table(_COLUMNS, [[cell(run) for cell in _COLUMNS.values()] for run in ours]),
        bars(
            f"Calls throttled at three times the quota, {STEADY.instances} instances",
            "percent of all calls",
            throttled,
            top=100,
        ),
        table(("At a quota of 10", *SENDERS), compared),
    ]
    return "\n\n".join(parts)


def tables(runs: Sequence[Run]) -> str:
    """Return all figures, with a table for each scenario."""
    parts = []
    for name, group in groupby(runs, key=lambda run: run.scenario.name):
        rows = [
            {"quota": run.scenario.quota, "instances": run.scenario.instances, **asdict(run.figures)}
            for run in group
        ]
        parts.append(f"## {name}\n\n{table(rows[0], [[*row.values()] for row in rows])}\n")
    return "\n".join(parts)
