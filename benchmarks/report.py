"""Turns the results into a page and plots. Needs nothing but the results: `results.json` is enough."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, Final

from benchmarks.figures import BATCH, LATENCIES, PUBLISH_SECONDS, SIZES, bound
from benchmarks.plots import write_plots

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.figures import Samples

OURS: Final = "ours"
LOOP: Final = "(a) boto3 loop"
POWERTOOLS: Final = "(b) boto3 + Powertools"
THREADS: Final = "(c) boto3 + threads"
_MB: Final = 1_000_000

_MOST_OF_ASSET: Final = 3.2 * _MB
_MOST_DRIFT: Final = 1.15


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and the middle half of the samples."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        low, _, high = quantiles(samples, n=4) if len(samples) > 1 else samples * 3
        return cls(median(samples), low, high)

    def text(self, unit: float = 1.0, digits: int = 2) -> str:
        low, high = self.low / unit, self.high / unit
        return f"{self.median / unit:.{digits}f} ({low:.{digits}f} – {high:.{digits}f})"


def ratio(samples: Samples, one: str, other: str) -> Spread:
    """Return how one compares to another, round by round."""
    return Spread.of([mine / theirs for mine, theirs in zip(samples[one], samples[other], strict=True)])


def write_report(results: dict[str, Any], folder: Path) -> None:
    """Write `results.md` and the plots."""
    sections = [
        _introduction(results),
        _goals(results),
        _cold(results),
        _warm(results),
        _batches(results),
        _long(results),
        _small(results),
        _asset(results),
    ]
    (folder / "results.md").write_text("\n".join("\n".join(section) + "\n" for section in sections))
    write_plots(results, folder)


def _introduction(results: dict[str, Any]) -> list[str]:
    about, stub = results["about"], results["stub"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return [
        "# Benchmark",
        "",
        "Written by `make bench`. [What is measured, and how](README.md); every sample is in",
        "[results.json](results.json). A figure is the median, with the middle half of its samples in brackets;",
        "a ratio is taken round by round.",
        "",
        f"{about['interpreter']}, Node {about['node']}, {versions}. {about['system']}, {about['cores']} cores, "
        f"{about['processor']}; load {about['load']:.1f} when it began; {about['minutes']} minutes.",
        "",
        f"The stub by itself, over {BATCH} connections: {stub['calls_a_second']:,.0f} calls a second, "
        f"{stub['cpu_a_call'] * 1e6:.0f} µs of CPU a call in its own process.",
    ]


def _goals(results: dict[str, Any]) -> list[str]:
    cold, warm, asset = results["cold"]["http"], results["warm"]["http"], sum(results["asset"].values())
    rows = [
        _at_most("Cold start against (b), wall", ratio(cold["wall"], OURS, POWERTOOLS), 0.5),
        _at_most("Cold start against (a), wall", ratio(cold["wall"], OURS, LOOP), 0.7),
        _at_most(
            "CPU per message, warm, batches of 10, against (b)", ratio(warm["cpu"], OURS, POWERTOOLS), 0.3
        ),
    ]
    for latency in LATENCIES:
        samples, least = results["batches"][f"{latency * 1000:.0f}"], bound(latency)
        most = 1.3 if latency < 0.05 else 1.1  # noqa: PLR2004  # the goals
        name = (
            f"Batch of 10 chats at {latency * 1000:.0f} ms, wall against the bound of {least * 1000:.0f} ms"
        )
        rows.append(_at_most(name, Spread.of([sample / least for sample in samples[OURS]]), most))
    for latency in LATENCIES:
        faster = ratio(results["batches"][f"{latency * 1000:.0f}"], LOOP, OURS)
        possible = (BATCH * latency + PUBLISH_SECONDS) / bound(latency)
        name = f"The same at {latency * 1000:.0f} ms against (a): times faster (a loop's bound is {possible:.1f} times ours)"
        rows.append((name, "at least 8", faster.text(), _met(faster.median >= 8)))  # noqa: PLR2004  # the goal
    sizes = results["sizes"]
    largest = max(median(sizes[str(size)]) for size in SIZES if size > BATCH) / median(sizes[str(BATCH)])
    points = results["long_run"]
    quarter = max(1, len(points) // 4)
    drift = median(_each(points[-quarter:], "cpu")) / median(_each(points[:quarter], "cpu"))
    growth = points[-1]["rss"] / points[len(points) // 4]["rss"]
    peak = ratio(warm["peak"], OURS, POWERTOOLS)
    rows += [
        _at_most("Peak memory against (b), first message", ratio(cold["peak"], OURS, POWERTOOLS), 0.65),
        _at_most("Peak memory against (b), warm", peak, 0.65),
        (
            "Asset, zipped, with `.pyc`",
            "at most 3.2 MB",
            f"{asset / _MB:.2f} MB",
            _met(asset <= _MOST_OF_ASSET),
        ),
        (
            "CPU per message, batches of 100 and 1000 against 10",
            "at most 1.15",
            f"{largest:.2f}",
            _met(largest <= _MOST_DRIFT),
        ),
        (
            f"CPU per message, {points[-1]['messages']:,.0f} messages in one process, last quarter against first",
            "at most 1.15",
            f"{drift:.2f}",
            _met(drift <= _MOST_DRIFT),
        ),
        (
            "Memory, the end of that run against its first quarter",
            "flat",
            f"{growth:.3f}",
            _met(growth < 1.02),
        ),  # noqa: PLR2004
    ]
    return _table(("Figure", "Goal", "Measured", "Met"), rows, heading="Goals")


def _at_most(name: str, spread: Spread, most: float) -> tuple[str, str, str, str]:
    return name, f"at most {most:.2f}", spread.text(), _met(spread.median <= most)


def _met(is_met: bool) -> str:  # noqa: FBT001  # the one thing it says
    return "yes" if is_met else "**no**"


def _each(points: list[dict[str, float]], name: str) -> list[float]:
    return [point[name] for point in points]


def _cold(results: dict[str, Any]) -> list[str]:
    lines = ["## Cold start", "", "![Cold start](cold-start.svg)"]
    for transport, heading in (("http", "Over plain HTTP"), ("tls", "Over TLS")):
        taken = results["cold"][transport]
        rows = [
            (
                name,
                Spread.of(taken["wall"][name]).text(1e-3, 0),
                Spread.of(taken["cpu"][name]).text(1e-3, 0),
                Spread.of(taken["peak"][name]).text(_MB, 1),
                ratio(taken["wall"], OURS, name).text(),
                ratio(taken["cpu"], OURS, name).text(),
            )
            for name in sorted(taken["wall"], key=lambda name: median(taken["wall"][name]))
        ]
        columns = ("", "wall ms", "CPU ms", "peak MB", "ours / this, wall", "ours / this, CPU")
        lines += ["", *_table(columns, rows, heading=heading, level=3)]
    return lines


def _warm(results: dict[str, Any]) -> list[str]:
    lines = ["## CPU per message, warm", "", "![CPU per message](cpu.svg)"]
    for transport, heading in (("http", "Over plain HTTP"), ("tls", "Over TLS")):
        taken = results["warm"][transport]
        rows = [
            (
                name,
                Spread.of(taken["cpu"][name]).text(1e-6, 0),
                Spread.of(taken["wall"][name]).text(1e-6, 0),
                f"{max(taken['peak'][name]) / _MB:.1f}",
                ratio(taken["cpu"], OURS, name).text(),
            )
            for name in sorted(taken["cpu"], key=lambda name: median(taken["cpu"][name]))
        ]
        columns = ("", "CPU µs", "wall µs", "peak MB", "ours / this, CPU")
        lines += ["", *_table(columns, rows, heading=heading, level=3)]
    sizes = results["sizes"]
    rows = [(name, Spread.of(sizes[name]).text(1e-6, 0)) for name in sizes]
    rows.sort(key=lambda row: (len(row[0].split(",")), int(row[0].split(",")[0])))
    return [
        *lines,
        "",
        *_table(("messages in a batch", "CPU µs a message"), rows, heading="Ours, by batch size", level=3),
    ]


def _batches(results: dict[str, Any]) -> list[str]:
    batches = results["batches"]
    names = sorted(batches["100"], key=lambda name: median(batches["100"][name]))
    rows = [("bound", *(f"{bound(latency) * 1000:.0f}" for latency in LATENCIES))]
    rows += [
        (name, *(Spread.of(batches[f"{latency * 1000:.0f}"][name]).text(1e-3, 1) for latency in LATENCIES))
        for name in names
    ]
    columns = ("wall ms", *(f"{latency * 1000:.0f} ms" for latency in LATENCIES))
    return [
        *_table(columns, rows, heading="A batch of ten chats, by the latency of SendMessage"),
        "",
        f"PutEvents takes {PUBLISH_SECONDS * 1000:.0f} ms here, so the bound is one SendMessage and {PUBLISH_SECONDS * 1000:.0f} ms.",
        "",
        "![A batch of ten chats](batch.svg)",
    ]


def _long(results: dict[str, Any]) -> list[str]:
    points = results["long_run"]
    chosen = points[:: max(1, len(points) // 10)]
    rows = [
        (f"{point['messages']:,.0f}", f"{point['cpu'] * 1e6:.0f}", f"{point['rss'] / _MB:.1f}")
        for point in chosen
    ]
    table = _table(
        ("messages so far", "CPU µs a message", "memory MB"), rows, heading="One process, many messages"
    )
    return [*table, "", "![One process, many messages](long-run.svg)"]


def _small(results: dict[str, Any]) -> list[str]:
    rows = [
        (
            share,
            name,
            Spread.of(taken["cold"][name]).text(1e-3, 0),
            Spread.of(taken["batch"][name]).text(1e-3, 0),
        )
        for share, taken in results["small"].items()
        for name in (OURS, THREADS)
    ]
    columns = ("share of a core", "", "cold start, wall ms", "batch of 10 chats at 50 ms, wall ms")
    return [*_table(columns, rows, heading="Small functions"), "", "![Small functions](small.svg)"]


def _asset(results: dict[str, Any]) -> list[str]:
    parts = results["asset"]
    rows = [(part, f"{parts[part] / 1000:,.0f}") for part in sorted(parts, key=lambda part: -parts[part])]
    rows.append(("in all", f"{sum(parts.values()) / 1000:,.0f}"))
    return _table(("part", "kB zipped"), rows, heading="The asset")


def _table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, heading: str, level: int = 2
) -> list[str]:
    lines = [columns, ["---"] * len(columns), *rows]
    return [f"{'#' * level} {heading}", "", *(f"| {' | '.join(line)} |" for line in lines)]
