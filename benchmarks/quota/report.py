"""Writes the findings of the study: a page with tables and charts, and the figures as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Final

from benchmarks.markdown import by_position, chart, table
from benchmarks.quota.senders import SENDERS
from benchmarks.quota.study import CHANGE, ENDLESS, INSTANCES, SEED, STEADY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from benchmarks.quota.study import Run

LEAST_GOODPUT: Final = 0.95
MOST_THROTTLED: Final = 0.05
LEAST_FAIRNESS: Final = 0.9
MOST_INSTANCES: Final = 50
"""The goals apply up to this number. The page shows the figures for more without a verdict."""
_THREE_DIGITS: Final = 10
_CHART_SECONDS: Final = 50

_INTRODUCTION: Final = f"""\
# The quota, shared by instances that do not know each other

`make quota` writes this page. It is a simulation in virtual time, and the same seed gives the same figures.
The event sources, the retries and the rate limiter are the function's own code.
SQS, Lambda and EventBridge are the [models of the simulation](../../tests/simulation/models).
The model of Amazon Connect is a token bucket with a burst of 1.5 times the quota, like the real 10 and 15.
A call takes 60 to 120 ms. None of this was measured on AWS.

| Column | Meaning |
|---|---|
| goodput | accepted calls, divided by the calls that the quota allowed |
| throttled | throttled calls (429), divided by all calls |
| median, p99 | seconds from the acceptance by the queue to the published outcome |
| fair | Jain's index of the messages sent per chat: 1 if all chats get the same |
| FAILED | messages whose retries were exhausted |
| moved | messages that SQS moved to the dead-letter queue without an outcome |
| lost | messages without an outcome that are in no queue |
| receives | receives per message: average, most |
| busy | instances that handled batches, on average |

{table(by_position("Sender", "Description"), SENDERS.items())}
"""

_STEADY: Final = f"""\
There is always a backlog, from {STEADY.chats} chats.
The goals for up to {MOST_INSTANCES} instances: a goodput of {LEAST_GOODPUT}, at most {MOST_THROTTLED:.0%} \
of calls throttled, a fairness of {LEAST_FAIRNESS}, and no message lost or moved.
"Too few" marks instances that are all busy and never throttled, and still do not use the whole quota.
With a backlog a batch holds one chat, which is sent in order: about ten messages a second with any sender.
"""

_HOUR: Final = f"""\
The figures begin after 15 minutes, with {ENDLESS.instances} instances.
The backlog grows with any sender, and so does the age of the messages.
A message without an attempt never fails: with a rate limiter nearly all messages are sent, late.
Without one they are attempted, throttled and FAILED.
Give a message an `ExpiresAt` if it must not be late: an expired message takes no call.
"""


def verdict(run: Run) -> str:
    """Return `met` or `missed` for the goals of the steady state, or why they do not apply."""
    instances, figures = run.scenario.instances, run.figures
    if instances > MOST_INSTANCES:
        return "shown"
    if figures.throttled == 0 and figures.goodput < LEAST_GOODPUT and figures.busy > 0.9 * instances:
        return "too few"
    met = (
        figures.goodput >= LEAST_GOODPUT
        and figures.throttled <= MOST_THROTTLED
        and figures.lost == figures.moved == 0
        and (figures.fairness or 0) >= LEAST_FAIRNESS
    )
    return "met" if met else "missed"


def write(runs: Sequence[Run], folder: Path) -> None:
    """Write quota.md and quota.json."""
    rows = [json.dumps(asdict(run.scenario) | asdict(run.figures)) for run in runs]
    (folder / "quota.json").write_text(f'{{"seed": {SEED}, "runs": [\n' + ",\n".join(rows) + "\n]}\n")
    (folder / "quota.md").write_text(_page(runs))


def _page(runs: Sequence[Run]) -> str:
    groups = {name: list(group) for name, group in groupby(runs, key=lambda run: run.scenario.name)}
    steady, endless = groups.pop(STEADY.name), groups.pop(ENDLESS.name)
    comparable = [run for run in steady if run.scenario.quota == STEADY.quota]
    parts = [
        _INTRODUCTION,
        "## Three times the quota",
        _STEADY,
        table(
            {"quota": lambda run: f"{run.scenario.quota:g}", **_INSTANCES, **_FIGURES, "goals": verdict},
            [run for run in steady if run.figures.sender == "ours"],
        ),
        "### All senders, quota 10",
        "Goodput, and the fraction of the calls that were throttled, by instances:",
        _comparison(comparable),
        chart(
            "Calls throttled at three times the quota, 10 instances",
            SENDERS,
            "percent of all calls",
            [run.figures.throttled * 100 for run in comparable if run.scenario.instances == STEADY.instances],
            top=100,
        ),
        "## Other loads, other quotas",
    ]
    for name, group in groups.items():
        parts += [f"### {name[0].upper()}{name[1:]}", _table(group)]
        if name == CHANGE.name:
            parts += [_change_chart(group), "The stepped line is the quota, the other one the calls of ours."]
    parts += ["## An hour at three times the quota: messages older than the retry window", _HOUR]
    parts += [_table(endless)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}" if value < _THREE_DIGITS else f"{value:.0f}"


_Columns = dict[str, "Callable[[Run], object]"]

_INSTANCES: Final[_Columns] = {"instances": lambda run: run.scenario.instances}
_FIGURES: Final[_Columns] = {
    "goodput": lambda run: f"{run.figures.goodput:.2f}",
    "throttled": lambda run: f"{run.figures.throttled:.1%}",
    "median": lambda run: _seconds(run.figures.median),
    "p99": lambda run: _seconds(run.figures.p99),
    "fair": lambda run: "–" if run.figures.fairness is None else f"{run.figures.fairness:.2f}",
    "FAILED": lambda run: run.figures.failed,
    "moved": lambda run: run.figures.moved,
    "lost": lambda run: run.figures.lost,
    "receives": lambda run: (
        "–" if run.figures.receives is None else f"{run.figures.receives:.1f}, {run.figures.most_receives}"
    ),
    "busy": lambda run: f"{run.figures.busy:.1f}",
}


def _table(runs: Sequence[Run]) -> str:
    scenario = runs[0].scenario
    columns = {**_INSTANCES, "sender": lambda run: run.figures.sender, **_FIGURES}
    if scenario.event_load:
        columns["event p99"] = lambda run: _seconds(run.figures.event_p99)
    if scenario.call_load:
        columns["call p99"] = lambda run: _seconds(run.figures.call_p99)
        columns["refused"] = lambda run: run.figures.refused
    if scenario.arrivals_end:
        del columns["goodput"]
        columns["last outcome"] = lambda run: _seconds(run.figures.last_outcome)
    return table(columns, runs)


def _comparison(runs: Iterable[Run]) -> str:
    cells = {sender: [sender] for sender in SENDERS}
    for run in runs:
        cells[run.figures.sender].append(f"{run.figures.goodput:.2f}, {run.figures.throttled:.1%}")
    return table(by_position("sender", *map(str, INSTANCES)), cells.values())


def _change_chart(runs: Iterable[Run]) -> str:
    ours = next(run for run in runs if run.figures.sender == "ours")
    begins = range(0, int(CHANGE.seconds), _CHART_SECONDS)
    accepted = [
        sum(ours.accepted[begin + second] for second in range(_CHART_SECONDS)) / _CHART_SECONDS
        for begin in begins
    ]
    quota = [CHANGE.quota_at(begin) for begin in begins]
    places = [f"{begin}" for begin in begins]
    return chart("The quota changes, 10 instances", places, "calls a second", quota, accepted, bars=False)
