"""Writes the page of results from `results.json` alone."""

from __future__ import annotations

from dataclasses import dataclass
from operator import itemgetter
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, Final

from benchmarks.contenders import LOOP, OURS, POWERTOOLS, THREADS
from benchmarks.figures import BATCH, LATENCIES, POISONS, PUBLISH_SECONDS, SIZES, UNPOISONED, bound
from benchmarks.markdown import by_position, chart, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchmarks.figures import Samples

_UNITS: Final = {"ms": 1e-3, "µs": 1e-6, "MB": 1e6}
_OVER: Final = (("http", "plain HTTP"), ("tls", "TLS"))
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
    """A goal that was set beforehand, at most `most` or at least `least`, and the measurement."""

    figure: str
    measured: Spread | float
    most: float = float("inf")
    least: float = 0.0
    unit: str = ""

    @property
    def met(self) -> bool:
        value = self.measured.median if isinstance(self.measured, Spread) else self.measured
        return self.least <= value <= self.most

    def cells(self) -> tuple[str, ...]:
        spread = self.measured if isinstance(self.measured, Spread) else None
        most = f"{self.most:.2f}" if spread else f"{self.most:g}"
        goal = f"at least {self.least:g}" if self.least else f"at most {most}{self.unit}"
        measured = spread.text() if spread else f"{self.measured:.2f}{self.unit}"
        return self.figure, goal, measured, "yes" if self.met else "**no**"


def ratio(samples: Samples, one: str, other: str) -> Spread:
    """Return the ratio of two contenders, round by round."""
    return Spread.of([mine / theirs for mine, theirs in zip(samples[one], samples[other], strict=True)])


def goals(results: dict[str, Any]) -> Iterator[Goal]:
    """Compare the results with the goals."""
    cold, warm, batches = results["cold"], results["warm"], results["batches"]
    for transport, over in _OVER:
        for baseline, name, most in ((POWERTOOLS, "(b)", 0.5), (LOOP, "(a)", 0.7)):
            measured = ratio(cold[transport]["wall"], OURS, baseline)
            yield Goal(f"Cold start over {over}, wall, against {name}", measured, most)
    for transport, over in _OVER:
        measured = ratio(warm[transport]["cpu"], OURS, POWERTOOLS)
        yield Goal(f"CPU per message over {over}, warm, against (b)", measured, 0.3)
    for latency in LATENCIES:
        at, least = _ms(latency), bound(latency)
        name = f"Batch of 10 chats at {at} ms, wall, against the bound of {_ms(least)} ms"
        measured = Spread.of([sample / least for sample in batches[at][OURS]])
        yield Goal(name, measured, 1.1 if latency >= _SHORT else 1.3)
    for latency in LATENCIES:
        possible = (BATCH * latency + PUBLISH_SECONDS) / bound(latency)
        name = f"The same at {_ms(latency)} ms, times faster than (a); the bounds are {possible:.1f} apart"
        yield Goal(name, ratio(batches[_ms(latency)], LOOP, OURS), least=8)
    for size in POISONS:
        name = f"Batch of 9 chats with a message of {size} that is slow to parse, wall, against one without"
        yield Goal(name, ratio(results["poison"], size, UNPOISONED), 1.5)
    for name, taken in (("its first message", cold["http"]), ("warm", warm["http"])):
        yield Goal(f"Peak memory, {name}, against (b)", ratio(taken["peak"], OURS, POWERTOOLS), 0.65)
    yield Goal("Asset, zipped, with `.pyc`", sum(results["asset"].values()) / _UNITS["MB"], 2.9, unit=" MB")
    sizes, points = results["sizes"], results["long_run"]
    largest = max(median(sizes[f"{size}"]) / median(sizes[f"{BATCH}"]) for size in SIZES if size > BATCH)
    yield Goal("CPU per message in batches of 100 and 1000, against batches of 10", largest, 1.15)
    quarter = max(1, len(points) // 4)
    first, last = points[:quarter], points[-quarter:]
    name = f"over {points[-1]['messages']:,.0f} messages in one process, last quarter against first"
    cpu = median(point["cpu"] for point in last) / median(point["cpu"] for point in first)
    yield Goal(f"CPU per message {name}", cpu, 1.15)
    yield Goal(f"Memory {name}", last[-1]["rss"] / first[-1]["rss"], 1.02)


def write_report(results: dict[str, Any], folder: Path) -> None:
    """Write `results.md`."""
    cold, warm, batches = results["cold"], results["warm"], results["batches"]
    latencies = [_ms(latency) for latency in LATENCIES]
    parts = sorted(results["asset"].items(), key=itemgetter(1), reverse=True)
    parts.append(("total", sum(results["asset"].values())))
    sections = [
        _introduction(results["about"], results["stub"]),
        "## Goals",
        table(by_position("Figure", "Goal", "Measured", "Met"), (goal.cells() for goal in goals(results))),
        "## Cold start",
        _bars("Cold start over TLS", "ms of wall time", cold["tls"]["wall"], "ms"),
        *(f"### Over {at}\n\n{_contenders(cold[key], 'ms', wall='wall', cpu='CPU')}" for key, at in _OVER),
        "## CPU per message, warm",
        _bars("CPU per message, batches of ten chats", "µs of CPU", warm["http"]["cpu"], "µs"),
        *(f"### Over {over}\n\n{_contenders(warm[key], 'µs', cpu='CPU')}" for key, over in _OVER),
        "### Ours, by the size of the batch",
        table(
            {"messages, of ten chats": str, "CPU µs per message": _cell(results["sizes"], "µs")},
            sorted(results["sizes"], key=lambda name: (not name.isdigit(), len(name), name)),
        ),
        "## A batch of ten chats, by the latency of SendMessage",
        table(
            by_position("wall ms", *(f"{latency} ms" for latency in latencies)),
            [["bound", *(_ms(bound(latency)) for latency in LATENCIES)]]
            + [
                [name, *(_cell(batches[latency], "ms", 1)(name) for latency in latencies)]
                for name in _fastest_first(batches[latencies[-1]])
            ],
        ),
        f"The bound is one SendMessage and one PutEvents, which takes {_ms(PUBLISH_SECONDS)} ms here.",
        _bars("A batch of ten chats at 50 ms", "ms of wall time", batches[_ms(_SHORT)], "ms"),
        "## A message that is slow to parse, with nine chats at 50 ms",
        table(
            {
                "message": str,
                "wall ms": _cell(results["poison"], "ms", 1),
                "against none": lambda name: ratio(results["poison"], name, UNPOISONED).text(),
            },
            [UNPOISONED, *POISONS],
        ),
        "The message is a string of escaped quotes without an end, after brackets. It is rejected.",
        "## One process, many messages",
        table(
            by_position("messages so far", "CPU µs per message", "memory MB"),
            [
                (f"{each['messages']:,.0f}", f"{each['cpu'] * 1e6:.0f}", f"{each['rss'] / 1e6:.1f}")
                for each in results["long_run"]
            ],
        ),
        *(["## Small functions", _small(results["small"])] if results["small"] else []),
        "## The asset",
        table(by_position("part", "kB zipped"), [(part, f"{size / 1000:,.0f}") for part, size in parts]),
    ]
    (folder / "results.md").write_text("\n\n".join(sections) + "\n")


def _introduction(about: dict[str, Any], stub: dict[str, float]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return f"""# Benchmark

`make bench` writes this page. [Contenders and method](README.md).
[results.json](results.json) holds every sample.
A figure is the median, with the middle half of its samples in brackets. A ratio is taken round by round.

{about["interpreter"]}, Node {about["node"]}, {versions}.
{about["system"]}, {about["cores"]} cores, {about["processor"]}.
The load was {about["load"]:.1f} at the start. It took {about["minutes"]} minutes.

The stub alone, over {BATCH} connections: {stub["calls_a_second"]:,.0f} calls a second, \
{stub["cpu_a_call"] / _UNITS["µs"]:.0f} µs of CPU per call in its own process."""


def _bars(title: str, label: str, samples: Samples, unit: str) -> str:
    names = _fastest_first(samples)
    medians = [median(samples[name]) / _UNITS[unit] for name in names]
    return chart(title, [_SHORT_NAMES.get(name, name) for name in names], label, medians)


def _contenders(taken: dict[str, Samples], unit: str, **ratios: str) -> str:
    """Return the table of all contenders, the fastest first."""
    columns: dict[str, Callable[[str], str]] = {
        "": str,
        f"wall {unit}": _cell(taken["wall"], unit),
        f"CPU {unit}": _cell(taken["cpu"], unit),
        "peak MB": lambda name: f"{max(taken['peak'][name]) / _UNITS['MB']:.1f}",
        **{f"ours / this, {text}": _ratio_cell(taken[figure]) for figure, text in ratios.items()},
    }
    return table(columns, _fastest_first(taken["cpu"]))


def _small(small: dict[str, dict[str, Samples]]) -> str:
    rows = [
        (fraction, name, *(_cell(taken[figure], "ms")(name) for figure in ("cold", "batch")))
        for fraction, taken in small.items()
        for name in (OURS, THREADS)
    ]
    columns = ("fraction of a core", "", "cold start, wall ms", "batch of 10 chats at 50 ms, wall ms")
    return table(by_position(*columns), rows)


def _cell(samples: Samples, unit: str, digits: int = 0) -> Callable[[str], str]:
    return lambda name: Spread.of(samples[name]).text(_UNITS[unit], digits)


def _ratio_cell(samples: Samples) -> Callable[[str], str]:
    return lambda name: ratio(samples, OURS, name).text()


def _fastest_first(samples: Samples) -> list[str]:
    return sorted(samples, key=lambda name: median(samples[name]))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"
