"""Writes the page of results from `results.json` alone."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, Final

from benchmarks.contenders import LOOP, OURS, POWERTOOLS, THREADS
from benchmarks.events import POISONS
from benchmarks.figures import BATCH, LATENCIES, PUBLISH_SECONDS, SIZES, UNPOISONED, bound
from benchmarks.markdown import chart, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.figures import Samples

_MS: Final = 1e-3
_MICROSECOND: Final = 1e-6
_MB: Final = 1e6
_TRANSPORTS: Final = {"http": "plain HTTP", "tls": "TLS"}
_FIGURES: Final = {"wall": "wall", "cpu": "CPU"}
_SHORT: Final = 0.05
"""Seconds of latency below which the overhead may be a larger part."""
_SHORT_NAMES: Final = {LOOP: "boto3 loop", POWERTOOLS: "Powertools", THREADS: "threads"}


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
    """A goal that was set beforehand, and the measurement."""

    figure: str
    goal: str
    measured: str
    met: bool

    @classmethod
    def at_most(cls, figure: str, measured: Spread, most: float) -> Goal:
        return cls(figure, f"at most {most:.2f}", measured.text(), measured.median <= most)

    @classmethod
    def at_least(cls, figure: str, measured: Spread, least: float) -> Goal:
        return cls(figure, f"at least {least:g}", measured.text(), measured.median >= least)

    @classmethod
    def below(cls, figure: str, measured: float, most: float, unit: str = "") -> Goal:
        return cls(figure, f"at most {most:g}{unit}", f"{measured:.2f}{unit}", measured <= most)


def ratio(samples: Samples, one: str, other: str) -> Spread:
    """Return the ratio of two contenders, round by round."""
    return Spread.of([mine / theirs for mine, theirs in zip(samples[one], samples[other], strict=True)])


def goals(results: dict[str, Any]) -> Iterator[Goal]:
    """Compare the results with the goals."""
    for transport, over in _TRANSPORTS.items():
        wall = results["cold"][transport]["wall"]
        yield Goal.at_most(f"Cold start over {over}, wall, against (b)", ratio(wall, OURS, POWERTOOLS), 0.5)
        yield Goal.at_most(f"Cold start over {over}, wall, against (a)", ratio(wall, OURS, LOOP), 0.7)
    for transport, over in _TRANSPORTS.items():
        cpu = ratio(results["warm"][transport]["cpu"], OURS, POWERTOOLS)
        yield Goal.at_most(f"CPU per message over {over}, warm, against (b)", cpu, 0.3)
    for latency in LATENCIES:
        samples, least = results["batches"][_ms(latency)], bound(latency)
        yield Goal.at_most(
            f"Batch of 10 chats at {_ms(latency)} ms, wall, against the bound of {_ms(least)} ms",
            Spread.of([sample / least for sample in samples[OURS]]),
            1.1 if latency >= _SHORT else 1.3,
        )
    for latency in LATENCIES:
        possible = (BATCH * latency + PUBLISH_SECONDS) / bound(latency)
        name = f"The same at {_ms(latency)} ms, times faster than (a); the bounds are {possible:.1f} apart"
        yield Goal.at_least(name, ratio(results["batches"][_ms(latency)], LOOP, OURS), 8)
    for size in POISONS:
        name = f"Batch of 9 chats with a message of {size} that is slow to parse, wall, against one without"
        yield Goal.at_most(name, ratio(results["poison"], size, UNPOISONED), 1.5)
    for name, taken in (("its first message", results["cold"]["http"]), ("warm", results["warm"]["http"])):
        yield Goal.at_most(f"Peak memory, {name}, against (b)", ratio(taken["peak"], OURS, POWERTOOLS), 0.65)
    asset = sum(results["asset"].values()) / _MB
    yield Goal.below("Asset, zipped, with `.pyc`", asset, 3.2, " MB")
    yield from _steadiness(results["sizes"], results["long_run"])


def _steadiness(sizes: Samples, points: Sequence[dict[str, float]]) -> Iterator[Goal]:
    of_ten = median(sizes[str(BATCH)])
    largest = max(median(sizes[str(size)]) / of_ten for size in SIZES if size > BATCH)
    yield Goal.below("CPU per message in batches of 100 and 1000, against batches of 10", largest, 1.15)
    quarter = max(1, len(points) // 4)
    first, last = points[:quarter], points[-quarter:]
    name = f"over {points[-1]['messages']:,.0f} messages in one process, last quarter against first"
    cpu = median(point["cpu"] for point in last) / median(point["cpu"] for point in first)
    yield Goal.below(f"CPU per message {name}", cpu, 1.15)
    yield Goal.below(f"Memory {name}", last[-1]["rss"] / first[-1]["rss"], 1.02)


def write_report(results: dict[str, Any], folder: Path) -> None:
    """Write `results.md`."""
    cold, warm = results["cold"], results["warm"]
    met = [
        (goal.figure, goal.goal, goal.measured, "yes" if goal.met else "**no**") for goal in goals(results)
    ]
    sections = [
        _introduction(results),
        f"## Goals\n\n{table(('Figure', 'Goal', 'Measured', 'Met'), met)}",
        f"## Cold start\n\n{_bars('Cold start over TLS', 'ms of wall time', cold['tls']['wall'], _MS)}",
        *(
            f"### Over {over}\n\n{_contenders(cold[key], 'ms', ('wall', 'cpu'))}"
            for key, over in _TRANSPORTS.items()
        ),
        "## CPU per message, warm",
        _bars("CPU per message, batches of ten chats", "µs of CPU", warm["http"]["cpu"], _MICROSECOND),
        *(
            f"### Over {over}\n\n{_contenders(warm[key], 'µs', ('cpu',))}"
            for key, over in _TRANSPORTS.items()
        ),
        f"### Ours, by the size of the batch\n\n{_sizes(results['sizes'])}",
        f"## A batch of ten chats, by the latency of SendMessage\n\n{_batches(results['batches'])}",
        f"## A message that is slow to parse, with nine chats at 50 ms\n\n{_poison(results['poison'])}",
        f"## One process, many messages\n\n{_long_run(results['long_run'])}",
        *([f"## Small functions\n\n{_small(results['small'])}"] if results["small"] else []),
        f"## The asset\n\n{_asset(results['asset'])}",
    ]
    (folder / "results.md").write_text("\n\n".join(sections) + "\n")


def _introduction(results: dict[str, Any]) -> str:
    about, stub = results["about"], results["stub"]
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return f"""# Benchmark

`make bench` writes this page. [Contenders and method](README.md).
[results.json](results.json) holds every sample.
A figure is the median, with the middle half of its samples in brackets. A ratio is taken round by round.

{about["interpreter"]}, Node {about["node"]}, {versions}.
{about["system"]}, {about["cores"]} cores, {about["processor"]}.
The load was {about["load"]:.1f} at the start. It took {about["minutes"]} minutes.

The stub alone, over {BATCH} connections: {stub["calls_a_second"]:,.0f} calls a second, \
{stub["cpu_a_call"] / _MICROSECOND:.0f} µs of CPU per call in its own process."""


def _bars(title: str, label: str, samples: Samples, unit: float) -> str:
    names = sorted(samples, key=lambda name: median(samples[name]))
    medians = [median(samples[name]) / unit for name in names]
    return chart(title, [_SHORT_NAMES.get(name, name) for name in names], label, medians)


def _by_transport(taken: dict[str, dict[str, Samples]], unit: str, ratios: Sequence[str]) -> Iterator[str]:
    for transport, over in _TRANSPORTS.items():
        yield f"### Over {over}\n\n{_contenders(taken[transport], unit, ratios)}"


def _contenders(taken: dict[str, Samples], unit: str, ratios: Sequence[str]) -> str:
    """Return the table of all contenders, the fastest first."""
    scale = _MS if unit == "ms" else _MICROSECOND
    rows = [
        (
            name,
            *(Spread.of(taken[figure][name]).text(scale, 0) for figure in ("wall", "cpu")),
            f"{max(taken['peak'][name]) / _MB:.1f}",
            *(ratio(taken[figure], OURS, name).text() for figure in ratios),
        )
        for name in _fastest_first(taken["cpu"])
    ]
    columns = (
        "",
        f"wall {unit}",
        f"CPU {unit}",
        "peak MB",
        *(f"ours / this, {_FIGURES[each]}" for each in ratios),
    )
    return table(columns, rows)


def _sizes(sizes: Samples) -> str:
    names = sorted(sizes, key=lambda name: (not name.isdigit(), len(name), name))
    rows = [(name, Spread.of(sizes[name]).text(_MICROSECOND, 0)) for name in names]
    return table(("messages, of ten chats", "CPU µs per message"), rows)


def _batches(batches: dict[str, Samples]) -> str:
    rows = [["bound", *(_ms(bound(latency)) for latency in LATENCIES)]]
    for name in _fastest_first(batches[_ms(LATENCIES[-1])]):
        spreads = [Spread.of(batches[_ms(latency)][name]) for latency in LATENCIES]
        rows.append([name, *(spread.text(_MS, 1) for spread in spreads)])
    bars = _bars("A batch of ten chats at 50 ms", "ms of wall time", batches[_ms(_SHORT)], _MS)
    publishing = (
        f"The bound is one SendMessage and one PutEvents, which takes {_ms(PUBLISH_SECONDS)} ms here."
    )
    columns = ["wall ms", *(f"{_ms(latency)} ms" for latency in LATENCIES)]
    return f"{table(columns, rows)}\n\n{publishing}\n\n{bars}"


def _poison(taken: Samples) -> str:
    rows = [
        (name, Spread.of(taken[name]).text(_MS, 1), ratio(taken, name, UNPOISONED).text())
        for name in (UNPOISONED, *POISONS)
    ]
    text = "The message is a string of escaped quotes without an end, after brackets. It is rejected."
    return f"{table(('message', 'wall ms', 'against none'), rows)}\n\n{text}"


def _long_run(points: Sequence[dict[str, float]]) -> str:
    rows = [
        [f"{each['messages']:,.0f}", f"{each['cpu'] / _MICROSECOND:.0f}", f"{each['rss'] / _MB:.1f}"]
        for each in points
    ]
    return table(("messages so far", "CPU µs per message", "memory MB"), rows)


def _small(small: dict[str, dict[str, Samples]]) -> str:
    rows = [
        (fraction, name, *(Spread.of(taken[figure][name]).text(_MS, 0) for figure in ("cold", "batch")))
        for fraction, taken in small.items()
        for name in (OURS, THREADS)
    ]
    columns = ("fraction of a core", "", "cold start, wall ms", "batch of 10 chats at 50 ms, wall ms")
    return table(columns, rows)


def _asset(parts: dict[str, int]) -> str:
    rows = [(part, f"{parts[part] / 1000:,.0f}") for part in sorted(parts, key=lambda part: -parts[part])]
    return table(("part", "kB zipped"), [*rows, ("total", f"{sum(parts.values()) / 1000:,.0f}")])


def _fastest_first(samples: Samples) -> list[str]:
    return sorted(samples, key=lambda name: median(samples[name]))


def _ms(seconds: float) -> str:
    return f"{seconds / _MS:.0f}"
