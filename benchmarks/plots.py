"""The plots of the results, as SVG that depends on nothing but the results."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.figures import LATENCIES, bound

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

_OURS: Final = "#0b6e4f"
_COLOURS: Final = {
    "ours": _OURS,
    "(a) boto3 loop": "#8d99ae",
    "(b) boto3 + Powertools": "#c44536",
    "(c) boto3 + threads": "#e09f3e",
    "(d) JavaScript SDK v3": "#5b7db1",
}
_OTHER: Final = "#b8b8b8"
_STYLE: Final[Any] = {
    "svg.hashsalt": "benchmarks",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "figure.facecolor": "white",
}


def write_plots(results: dict[str, Any], folder: Path) -> None:
    """Write one file for each plot."""
    with mpl.rc_context(_STYLE):
        _save(_cold_start(results["cold"]["http"]), folder / "cold-start.svg")
        _save(_cpu(results["warm"]["http"]["cpu"]), folder / "cpu.svg")
        _save(_batch(results["batches"]), folder / "batch.svg")
        _save(_long_run(results["long_run"]), folder / "long-run.svg")
        if results["small"]:
            _save(_small(results["small"]), folder / "small.svg")


def _save(figure: Figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})


def _cold_start(taken: dict[str, dict[str, list[float]]]) -> Figure:
    figure = Figure(figsize=(7.5, 3.8))
    axes = figure.subplots()
    _dots(axes, taken["wall"], unit=1e-3)
    axes.set_title("Cold start, to the first published outcome")
    axes.set_xlabel("milliseconds of wall time; a dot is a start, a line the median")
    return figure


def _cpu(taken: dict[str, list[float]]) -> Figure:
    figure = Figure(figsize=(7.5, 3.4))
    axes = figure.subplots()
    _dots(axes, taken, unit=1e-6)
    axes.set_title("CPU per message, warm, batches of ten chats")
    axes.set_xlabel("microseconds of CPU; a dot is a round, a line the median")
    return figure


def _dots(axes: Axes, samples: dict[str, list[float]], *, unit: float) -> None:
    names = sorted(samples, key=lambda name: -median(samples[name]))
    for row, name in enumerate(names):
        colour = _colour(name)
        axes.barh(row, median(samples[name]) / unit, height=0.62, color=colour, alpha=0.25)
        axes.plot([value / unit for value in samples[name]], [row] * len(samples[name]), ".", color=colour)
        middle = median(samples[name]) / unit
        axes.plot([middle, middle], [row - 0.31, row + 0.31], color=colour, linewidth=2.5)
        axes.annotate(
            f"{middle:,.0f}",
            (max(samples[name]) / unit, row),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set_yticks(range(len(names)), names)
    axes.set_xlim(left=0)
    axes.margins(x=0.1)


def _batch(batches: dict[str, dict[str, list[float]]]) -> Figure:
    figure = Figure(figsize=(7.5, 4.2))
    axes = figure.subplots()
    latencies = [latency * 1000 for latency in LATENCIES]
    axes.plot(latencies, [bound(latency) * 1000 for latency in LATENCIES], "k--", linewidth=1, label="bound")
    for name in sorted(batches["100"], key=lambda name: -median(batches["100"][name])):
        middles = [median(batches[f"{latency:.0f}"][name]) * 1000 for latency in latencies]
        axes.plot(latencies, middles, "o-", color=_colour(name), label=name)
    axes.set_yscale("log")
    axes.set_ylim(20, 2000)
    axes.set_yticks([20, 50, 100, 200, 500, 1000, 2000], ["20", "50", "100", "200", "500", "1000", "2000"])
    axes.minorticks_off()
    axes.set_xticks(latencies)
    axes.set_title("A batch of ten chats, wall time")
    axes.set_xlabel("latency of SendMessage, milliseconds")
    axes.set_ylabel("milliseconds, logarithmic")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _long_run(points: list[dict[str, float]]) -> Figure:
    figure = Figure(figsize=(7.5, 4.2))
    cpu, memory = figure.subplots(2, 1, sharex=True)
    messages = [point["messages"] / 1000 for point in points]
    _line(cpu, messages, [point["cpu"] * 1e6 for point in points])
    _line(memory, messages, [point["rss"] / 1e6 for point in points])
    cpu.set_title("One process, many messages, in batches of ten")
    cpu.set_ylabel("CPU, µs a message")
    memory.set_ylabel("memory, MB")
    memory.set_xlabel("thousands of messages so far")
    return figure


def _line(axes: Axes, x: Sequence[float], y: Sequence[float]) -> None:
    axes.plot(x, y, ".-", color=_OURS)
    axes.set_ylim(0, max(y) * 1.3)


def _small(small: dict[str, dict[str, dict[str, list[float]]]]) -> Figure:
    figure = Figure(figsize=(8.5, 3.2))
    both = figure.subplots(1, 2)
    for axes, figure_name, title in zip(
        both, ("cold", "batch"), ("Cold start", "Ten chats at 50 ms"), strict=True
    ):
        samples = {
            f"{name.removeprefix('(c) ')}, {share}": [value * 1000 for value in values]
            for share, taken in small.items()
            for name, values in taken[figure_name].items()
        }
        names = sorted(samples, key=lambda name: (name.rpartition(" ")[2], name), reverse=True)
        for row, name in enumerate(names):
            colour = _OURS if name.startswith("ours") else _COLOURS["(c) boto3 + threads"]
            axes.barh(row, median(samples[name]), height=0.62, color=colour, alpha=0.25)
            axes.plot(samples[name], [row] * len(samples[name]), ".", color=colour)
        axes.set_yticks(range(len(names)), names)
        axes.set_xlim(left=0)
        axes.set_title(title)
        axes.set_xlabel("milliseconds of wall time")
    return figure


def _colour(name: str) -> str:
    """Return the colour of a contender, which is that of its variants too."""
    return next((colour for whose, colour in _COLOURS.items() if name[:3] == whose[:3]), _OTHER)
