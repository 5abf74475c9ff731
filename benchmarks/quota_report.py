"""Writes what the simulation of the quota found: a page, its figures as JSON, and plots."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.quota_senders import SENDERS
from benchmarks.quota_simulation import (
    CHANGE,
    ENDLESS,
    INSTANCES,
    LEAST_FAIRNESS,
    LEAST_GOODPUT,
    MOST_INSTANCES,
    MOST_THROTTLED,
    SEED,
    verdict,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from benchmarks.quota_simulation import Figures, Run, Scenario

STEADY: Final = "three times the quota"

_COLOURS: Final = dict(zip(SENDERS, ("#0b6e4f", "#c1121f", "#e09f3e", "#6d6875", "#457b9d"), strict=True))
_MARKERS: Final = dict(zip(SENDERS, ("o", "v", "s", "^", "D"), strict=True))

_INTRODUCTION: Final = """\
# The quota, shared by instances that do not know of each other

Written by `make quota`: a simulation in virtual time, seeded, so that two runs give the same figures. The
function's own modules decide in it: `pacing.py`, `retry.py`, `deadlines.py`, and the figures of its event
sources and of the queue. The service is a bucket of tokens with a burst of 1.5 times the quota (10 and 15 a
second unless raised), the queue SQS FIFO with ten records a batch and as many batches at once as there are
instances, a call takes 60 to 120 ms. None of it has been measured on AWS.

**goodput** is what the service accepted, over what its quota allowed; **throttled** the part of all calls
that got a 429; **median** and **p99** the seconds from acceptance by the queue to the published outcome, of
messages that ended; **fair** Jain's index over the messages sent by chat; **FAILED** messages given up;
**moved** those that SQS moved to the dead-letter queue without an outcome; **lost** those that are nowhere;
**receives** how often a message was received until its outcome, on average and at most; **busy** how many
instances were at work on the queue.

| Sender | What |
|---|---|
| ours | the function as it is: `RateLimiter` |
| no pacing | the function without: what maximum concurrency and the backoff of redeliveries give |
| fixed division | the function with a bucket of the quota over the maximum concurrency in each instance |
| SDK standard | a loop over the records with boto3, mode `standard`; what failed comes back in 168 s |
| SDK adaptive | the same with mode `adaptive`: botocore's own rate limiter |
"""

_STEADY: Final = f"""\
Always a backlog, of {{chats}} chats. The goals, for up to {MOST_INSTANCES} instances: a goodput of
{LEAST_GOODPUT}, at most {MOST_THROTTLED:.0%} of the calls throttled, a fairness of {LEAST_FAIRNESS},
nothing lost or moved. "Too few" are instances that are all at work, never throttled, and still do not use
the quota up: with a backlog a batch is one chat, which is sent in order, some ten messages a second whoever
sends.
"""

_HOUR: Final = f"""\
From the 15th minute on, with {ENDLESS.instances} instances. The backlog grows whoever sends, and with it
the age of what is sent. A message that was not tried is never given up: paced, nearly all are sent, late.
Without pacing they are tried, throttled and FAILED. A message that must not be late needs an `ExpiresAt`:
expired, it takes no call.
"""


def write(runs: Sequence[Run], folder: Path) -> None:
    """Write quota.md, quota.json and the plots."""
    (folder / "quota.json").write_text(_json(runs))
    (folder / "quota.md").write_text(_page(runs))
    mpl.rcParams |= {"svg.hashsalt": "quota", "svg.fonttype": "none", "font.size": 9}
    for name, figure in {
        "quota-steady.svg": _plot_steady(runs),
        "quota-change.svg": _plot_change(runs),
        "quota-hour.svg": _plot_hour(runs),
    }.items():
        figure.savefig(folder / name, metadata={"Date": None}, bbox_inches="tight")
        text = (folder / name).read_text()
        (folder / name).write_text("".join(f"{line.rstrip()}\n" for line in text.splitlines()))


def _json(runs: Iterable[Run]) -> str:
    rows = [json.dumps(asdict(run.scenario) | asdict(run.figures)) for run in runs]
    return f'{{"seed": {SEED}, "runs": [\n' + ",\n".join(rows) + "\n]}\n"


def _page(runs: Sequence[Run]) -> str:
    steady = [run for run in runs if run.scenario.name == STEADY]
    others = [run for run in runs if run.scenario.name not in {STEADY, ENDLESS.name}]
    ours = [run for run in steady if run.figures.sender == "ours"]
    parts = [
        _INTRODUCTION,
        "## Three times the quota, for ever",
        _STEADY.format(chats=ours[0].scenario.chats),
        _steady_table(ours),
        "![Goodput and throttled calls by instances](quota-steady.svg)",
        "### The same with the other senders, quota 10",
        "Goodput, and the part of all calls that was throttled, by instances:",
        _comparison([run for run in steady if run.scenario.quota == CHANGE.quota]),
        "## Other loads, other quotas",
    ]
    for name, group in groupby(others, key=lambda run: run.scenario.name):
        parts += [f"### {name[0].upper()}{name[1:]}", _table(list(group))]
        if name == CHANGE.name:
            parts.append("![Calls by second while the quota changes](quota-change.svg)")
    parts += [
        "## An hour at three times the quota: what is older than the retry window",
        _HOUR,
        _table([run for run in runs if run.scenario.name == ENDLESS.name]),
        "![FAILED and sent in an hour](quota-hour.svg)",
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


_Columns = dict[str, "Callable[[Scenario, Figures], str]"]

_COLUMNS: Final[_Columns] = {
    "goodput": lambda _, figures: f"{figures.goodput:.2f}",
    "throttled": lambda _, figures: f"{figures.throttled:.1%}",
    "median": lambda _, figures: _seconds(figures.median),
    "p99": lambda _, figures: _seconds(figures.p99),
    "fair": lambda _, figures: "–" if figures.fairness is None else f"{figures.fairness:.2f}",
    "FAILED": lambda _, figures: f"{figures.failed}",
    "moved": lambda _, figures: f"{figures.moved}",
    "lost": lambda _, figures: f"{figures.lost}",
    "receives": lambda _, figures: (
        "–" if figures.receives is None else f"{figures.receives:.1f}, {figures.most_receives}"
    ),
    "busy": lambda _, figures: f"{figures.busy:.1f}",
}


def _steady_table(runs: Sequence[Run]) -> str:
    columns: _Columns = {
        "quota": lambda scenario, _: f"{scenario.quota:g}",
        "instances": lambda scenario, _: f"{scenario.instances}",
        **_COLUMNS,
        "goals": verdict,
    }
    return _markdown(columns, runs)


def _table(runs: Sequence[Run]) -> str:
    columns: _Columns = {
        "instances": lambda scenario, _: f"{scenario.instances}",
        "sender": lambda _, figures: figures.sender,
        **_COLUMNS,
    }
    if any(run.scenario.event_load for run in runs):
        columns["event p99"] = lambda _, figures: _seconds(figures.event_p99)
    if any(run.scenario.call_load for run in runs):
        columns["call p99"] = lambda _, figures: _seconds(figures.call_p99)
        columns["refused"] = lambda _, figures: f"{figures.refused}"
    if any(run.scenario.arrivals_end for run in runs):
        del columns["goodput"]
        columns["last outcome"] = lambda _, figures: _seconds(figures.last_outcome)
    return _markdown(columns, runs)


def _comparison(runs: Sequence[Run]) -> str:
    lines = [
        "| sender | " + " | ".join(f"{number}" for number in INSTANCES) + " |",
        "|---|" + "---|" * len(INSTANCES),
    ]
    for sender in SENDERS:
        cells = [
            f"{run.figures.goodput:.2f}, {run.figures.throttled:.1%}"
            for run in runs
            if run.figures.sender == sender
        ]
        lines.append(f"| {sender} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _markdown(columns: _Columns, runs: Iterable[Run]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    lines += [
        "| " + " | ".join(cell(run.scenario, run.figures) for cell in columns.values()) + " |" for run in runs
    ]
    return "\n".join(lines)


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"  # noqa: PLR2004  # three digits suffice


# The plots


def _axes(figure: Figure, rows: int, columns: int) -> Any:  # noqa: ANN401  # matplotlib's own type depends on the shape
    axes = figure.subplots(rows, columns, squeeze=False)
    for panel in axes.flat:
        panel.grid(visible=True, alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    return axes


def _plot_steady(runs: Sequence[Run]) -> Figure:
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    [[goodput, throttled]] = _axes(figure, 1, 2)
    places = range(len(INSTANCES))
    for sender, colour in _COLOURS.items():
        figures = [
            run.figures
            for run in runs
            if run.figures.sender == sender
            and (run.scenario.name, run.scenario.quota) == (STEADY, CHANGE.quota)
        ]
        style = {"color": colour, "marker": _MARKERS[sender], "markersize": 4, "label": sender}
        goodput.plot(places, [item.goodput for item in figures], **style)
        throttled.plot(places, [item.throttled * 100 for item in figures], **style)
    goodput.axhline(LEAST_GOODPUT, color="black", linewidth=0.8, linestyle=":")
    throttled.axhline(MOST_THROTTLED * 100, color="black", linewidth=0.8, linestyle=":")
    goodput.set(title="Goodput over the quota", ylim=(0, 1.05))
    throttled.set(title="Calls throttled, %", ylim=(-2, 102))
    for panel in (goodput, throttled):
        panel.set_xticks(places, [f"{number}" for number in INSTANCES])
        panel.set_xlabel("instances (dotted: the goal)")
    throttled.legend(frameon=False, fontsize=8)
    figure.suptitle("Three times the quota of 10 a second")
    return figure


def _plot_change(runs: Sequence[Run]) -> Figure:
    figure = Figure(figsize=(8, 4.6), layout="constrained")
    panels = _axes(figure, 2, 1)[:, 0]
    width = 20
    chosen = {
        run.figures.sender: run
        for run in runs
        if (run.scenario.name, run.scenario.instances) == (CHANGE.name, CHANGE.instances)
    }
    for sender in ("SDK adaptive", "fixed division", "ours"):
        run = chosen[sender]
        for panel, calls in zip(panels, (run.accepted, run.throttled), strict=True):
            middles, means = _means(calls, width)
            panel.plot(middles, means, color=_COLOURS[sender], label=sender, linewidth=1.3)
    moments = [0, *(moment for moment, _ in CHANGE.new_quotas), CHANGE.seconds]
    quotas = [CHANGE.quota, *(quota for _, quota in CHANGE.new_quotas)]
    panels[0].stairs(
        quotas, moments, color="black", linewidth=0.8, linestyle=":", label="quota", baseline=None
    )
    panels[0].set(title="Accepted calls a second", ylim=(0, 24))
    panels[1].set(title="Throttled calls a second", ylim=(0, None), xlabel="seconds")
    panels[0].legend(frameon=False, fontsize=8, loc="upper left")
    figure.suptitle(f"The quota changes, {CHANGE.instances} instances")
    return figure


def _means(calls: Sequence[int], width: int) -> tuple[list[float], list[float]]:
    begins = range(0, len(calls) - width + 1, width)
    return (
        [begin + width / 2 for begin in begins],
        [sum(calls[begin : begin + width]) / width for begin in begins],
    )


def _plot_hour(runs: Sequence[Run]) -> Figure:
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    [[panel]] = _axes(figure, 1, 1)
    chosen = [run for run in runs if run.scenario.name == ENDLESS.name]
    names = [run.figures.sender for run in chosen]
    sent = [sum(run.accepted) for run in chosen]
    failed = [run.figures.failed for run in chosen]
    panel.barh(names, sent, color="#0b6e4f", label="sent")
    panel.barh(names, failed, left=sent, color="#c1121f", label="FAILED")
    panel.invert_yaxis()
    panel.set(title="Messages that ended in an hour at three times the quota", xlabel="messages")
    panel.legend(frameon=False, fontsize=8, loc="lower right")
    return figure
