"""Turns the results into a page and plots. `results.json` is all that it needs."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, Final

from benchmarks.events import POISONS
from benchmarks.figures import BATCH, LATENCIES, PUBLISH_SECONDS, SIZES, UNPOISONED, bound
from benchmarks.plots import write_plots

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.figures import Samples

OURS: Final = "ours"
LOOP: Final = "(a) boto3 loop"
POWERTOOLS: Final = "(b) boto3 + Powertools"
THREADS: Final = "(c) boto3 + threads"

_MS: Final = 1e-3
_MICROSECOND: Final = 1e-6
_MB: Final = 1e6
_TRANSPORTS: Final = (("http", "plain HTTP"), ("tls", "TLS"))
_SHORT: Final = 0.05
"""Seconds of latency below which the overhead may be a larger part."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and the middle half of the samples."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        low, _, high = quantiles(samples, n=4) if len(samples) > 1 else [samples[0]] * 3
        return cls(median(samples), low, high)

    def text(self, unit: float = 1.0, digits: int = 2) -> str:
        low, high = self.low / unit, self.high / unit
        return f"{self.median / unit:.{digits}f} ({low:.{digits}f} – {high:.{digits}f})"


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal that was set before, and what was measured."""

    figure: str
    goal: str
    measured: str
    met: bool

    @classmethod
    def at_most(cls, figure: str, spread: Spread, most: float) -> Goal:
        return cls(figure, f"at most {most:.2f}", spread.text(), spread.median <= most)

    @classmethod
    def at_least(cls, figure: str, spread: Spread, least: float) -> Goal:
        return cls(figure, f"at least {least:g}", spread.text(), spread.median >= least)


def ratio(samples: Samples, one: str, other: str) -> Spread:
    """Return how one compares to another, round by round."""
    return Spread.of([mine / theirs for mine, theirs in zip(samples[one], samples[other], strict=True)])


def goals(results: dict[str, Any]) -> Iterator[Goal]:
    """Hold the results against the goals."""
    for transport, over in _TRANSPORTS:
        wall = results["cold"][transport]["wall"]
        yield Goal.at_most(f"Cold start over {over}, wall, against (b)", ratio(wall, OURS, POWERTOOLS), 0.5)
        yield Goal.at_most(f"Cold start over {over}, wall, against (a)", ratio(wall, OURS, LOOP), 0.7)
    for transport, over in _TRANSPORTS:
        cpu = results["warm"][transport]["cpu"]
        yield Goal.at_most(
            f"CPU per message over {over}, warm, against (b)", ratio(cpu, OURS, POWERTOOLS), 0.3
        )
    for latency in LATENCIES:
        samples, least = results["batches"][_ms(latency)], bound(latency)
        yield Goal.at_most(
            f"Batch of 10 chats at {_ms(latency)} ms, wall, against the bound of {_ms(least)} ms",
            Spread.of([sample / least for sample in samples[OURS]]),
            1.1 if latency >= _SHORT else 1.3,
        )
    for latency in LATENCIES:
        possible = (BATCH * latency + PUBLISH_SECONDS) / bound(latency)
        yield Goal.at_least(
            f"The same at {_ms(latency)} ms, times faster than (a); the bounds are {possible:.1f} apart",
            ratio(results["batches"][_ms(latency)], LOOP, OURS),
            8,
        )
    for size in POISONS:
        yield Goal.at_most(
            f"Batch of 9 chats with a message of {size} that is hard to read, wall, against one without",
            ratio(results["poison"], size, UNPOISONED),
            1.5,
        )
    for name, taken in (("its first message", results["cold"]["http"]), ("warm", results["warm"]["http"])):
        yield Goal.at_most(f"Peak memory, {name}, against (b)", ratio(taken["peak"], OURS, POWERTOOLS), 0.65)
    asset = sum(results["asset"].values()) / _MB
    yield Goal("Asset, zipped, with `.pyc`", "at most 3.2 MB", f"{asset:.2f} MB", asset <= 3.2)  # noqa: PLR2004
    yield from _steadiness(results)


def _steadiness(results: dict[str, Any]) -> Iterator[Goal]:
    sizes, points = results["sizes"], results["long_run"]
    of_ten = median(sizes[str(BATCH)])
    largest = max(median(sizes[str(size)]) / of_ten for size in SIZES if size > BATCH)
    yield _below("CPU per message in batches of 100 and 1000, against batches of 10", largest, 1.15)
    quarter = max(1, len(points) // 4)
    first, last = points[:quarter], points[-quarter:]
    name = f"over {points[-1]['messages']:,.0f} messages in one process, last quarter against first"
    cpu = median(point["cpu"] for point in last) / median(point["cpu"] for point in first)
    yield _below(f"CPU per message {name}", cpu, 1.15)
    yield _below(f"Memory {name}", last[-1]["rss"] / first[-1]["rss"], 1.02)


def _below(figure: str, measured: float, most: float) -> Goal:
    return Goal(figure, f"at most {most:.2f}", f"{measured:.2f}", measured <= most)


def write_report(results: dict[str, Any], folder: Path) -> None:
    """Write `results.md` and the plots."""
    sections = [
        _introduction(results),
        _table(
            "## Goals",
            ("Figure", "Goal", "Measured", "Met"),
            [
                (goal.figure, goal.goal, goal.measured, "yes" if goal.met else "**no**")
                for goal in goals(results)
            ],
        ),
        "## Cold start\n\n![Cold start](cold-start.svg)",
        *(_cold(results["cold"][transport], over) for transport, over in _TRANSPORTS),
        "## CPU per message, warm\n\n![CPU per message](cpu.svg)",
        *(_warm(results["warm"][transport], over) for transport, over in _TRANSPORTS),
        _sizes(results["sizes"]),
        _batches(results["batches"]),
        _poison(results["poison"]),
        _long_run(results["long_run"]),
        *([_small(results["small"])] if results["small"] else []),
        _asset(results["asset"]),
    ]
    (folder / "results.md").write_text("\n\n".join(sections) + "\n")
    write_plots(results, folder)


def _goals(results: dict[str, Any]) -> str:
    rows = [
        (goal.figure, goal.goal, goal.measured, "yes" if goal.met else "**no**") for goal in goals(results)
    ]
    return _table("## Goals", ("Figure", "Goal", "Measured", "Met"), rows)


def _introduction(results: dict[str, Any]) -> str:
    about, stub = results["about"], results["stub"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return f"""# Benchmark

Written by `make bench`. [What is measured, and how](README.md). Every sample is in
[results.json](results.json). A figure is the median, with the middle half of its samples in brackets; a ratio
is taken round by round.

{about["interpreter"]}, Node {about["node"]}, {versions}. {about["system"]}, {about["cores"]} cores,
{about["processor"]}; load {about["load"]:.1f} when it began; {about["minutes"]} minutes.

The stub by itself, over {BATCH} connections: {stub["calls_a_second"]:,.0f} calls a second, \
{stub["cpu_a_call"] / _MICROSECOND:.0f} µs of CPU a call in its own process."""


def _cold(taken: dict[str, Samples], over: str) -> str:
    return _table(
        f"### Over {over}",
        ("", "wall ms", "CPU ms", "peak MB", "ours / this, wall", "ours / this, CPU"),
        [
            (
                name,
                Spread.of(taken["wall"][name]).text(_MS, 0),
                Spread.of(taken["cpu"][name]).text(_MS, 0),
                Spread.of(taken["peak"][name]).text(_MB, 1),
                ratio(taken["wall"], OURS, name).text(),
                ratio(taken["cpu"], OURS, name).text(),
            )
            for name in _fastest_first(taken["cpu"])
        ],
    )


def _warm(taken: dict[str, Samples], over: str) -> str:
    return _table(
        f"### Over {over}",
        ("", "CPU µs", "wall µs", "peak MB", "ours / this, CPU"),
        [
            (
                name,
                Spread.of(taken["cpu"][name]).text(_MICROSECOND, 0),
                Spread.of(taken["wall"][name]).text(_MICROSECOND, 0),
                f"{max(taken['peak'][name]) / _MB:.1f}",
                ratio(taken["cpu"], OURS, name).text(),
            )
            for name in _fastest_first(taken["cpu"])
        ],
    )


def _sizes(sizes: Samples) -> str:
    names = sorted(sizes, key=lambda name: (not name.isdigit(), len(name), name))
    rows = [(name, Spread.of(sizes[name]).text(_MICROSECOND, 0)) for name in names]
    return _table("### Ours, by the size of the batch", ("messages, of ten chats", "CPU µs a message"), rows)


def _batches(batches: dict[str, Samples]) -> str:
    rows = [("bound", *(_ms(bound(latency)) for latency in LATENCIES))]
    rows += [
        (name, *(Spread.of(batches[_ms(latency)][name]).text(_MS, 1) for latency in LATENCIES))
        for name in _fastest_first(batches[_ms(LATENCIES[-1])])
    ]
    table = _table(
        "## A batch of ten chats, by the latency of SendMessage",
        ("wall ms", *(f"{_ms(latency)} ms" for latency in LATENCIES)),
        rows,
    )
    return f"""{table}

The bound is the time of one SendMessage and one PutEvents, which takes {_ms(PUBLISH_SECONDS)} ms here.

![A batch of ten chats](batch.svg)"""


def _poison(taken: Samples) -> str:
    table = _table(
        "## A message that is hard to read, beside nine chats at 50 ms",
        ("the message", "wall ms", "against none"),
        [
            (name, Spread.of(taken[name]).text(_MS, 1), ratio(taken, name, UNPOISONED).text())
            for name in (UNPOISONED, *POISONS)
        ],
    )
    return f"{table}\n\nIt is a string of escaped quotes without an end, behind brackets. It is rejected."


def _long_run(points: list[dict[str, float]]) -> str:
    table = _table(
        "## One process, many messages",
        ("messages so far", "CPU µs a message", "memory MB"),
        [
            (
                f"{point['messages']:,.0f}",
                f"{point['cpu'] / _MICROSECOND:.0f}",
                f"{point['rss'] / _MB:.1f}",
            )
            for point in points
        ],
    )
    return f"{table}\n\n![One process, many messages](long-run.svg)"


def _small(small: dict[str, dict[str, Samples]]) -> str:
    table = _table(
        "## Small functions",
        ("share of a core", "", "cold start, wall ms", "batch of 10 chats at 50 ms, wall ms"),
        [
            (
                share,
                name,
                Spread.of(taken["cold"][name]).text(_MS, 0),
                Spread.of(taken["batch"][name]).text(_MS, 0),
            )
            for share, taken in small.items()
            for name in (OURS, THREADS)
        ],
    )
    return f"{table}\n\n![Small functions](small.svg)"


def _asset(parts: dict[str, int]) -> str:
    rows = [(part, f"{parts[part] / 1000:,.0f}") for part in sorted(parts, key=lambda part: -parts[part])]
    rows.append(("in all", f"{sum(parts.values()) / 1000:,.0f}"))
    return _table("## The asset", ("part", "kB zipped"), rows)


def _fastest_first(samples: Samples) -> list[str]:
    return sorted(samples, key=lambda name: median(samples[name]))


def _ms(seconds: float) -> str:
    return f"{seconds / _MS:.0f}"


def _table(heading: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join([heading, "", *(f"| {' | '.join(line)} |" for line in lines)])
