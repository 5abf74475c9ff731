"""Writes what was measured: a block of the page, and all figures as tables."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, Final

from benchmarks.contenders import LOOP, OURS, POWERTOOLS, UNCOMPILED, WARM_OVER_TLS
from benchmarks.figures import BATCH, CLEAR, KEPT, LATENCIES, NEW, POISONS, SIZES, UNPOISONED, bound
from benchmarks.markdown import bars, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.figures import Samples

_UNITS: Final = {"ms": 1e-3, "MB": 1e6}
_OVER: Final = (("http", "HTTP"), ("tls", "TLS"))
_SHORT: Final = 0.05
"""Seconds of latency below which the overhead may be a larger part. The page shows this latency."""


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

    def text(self, unit: float = 1.0) -> str:
        return f"{self.median / unit:.2f} ({self.low / unit:.2f}–{self.high / unit:.2f})"


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
        goal = f"≥ {self.least:g}" if self.least else f"≤ {most}{self.unit}"
        measured = spread.text() if spread else f"{self.measured:.2f}{self.unit}"
        return self.figure, goal, measured, "yes" if self.met else "**no**"


def ratio(samples: Samples, one: str, other: str) -> Spread:
    """Return the ratio of two contenders, round by round."""
    return Spread.of([mine / theirs for mine, theirs in zip(samples[one], samples[other], strict=True)])


def worst(ratios: dict[str, Spread]) -> tuple[str, Spread]:
    """Return the largest of several ratios with the same goal, and its name."""
    return max(ratios.items(), key=lambda item: item[1].median)


def goals(results: dict[str, Any]) -> Iterator[Goal]:
    """Compare the results with the goals. Of similar figures, only the worst has a row."""
    cold, warm, batches = results["cold"], results["warm"], results["batches"]
    for baseline, most in ((POWERTOOLS, 0.5), (LOOP, 0.7)):
        over, measured = worst({over: ratio(cold[by]["wall"], OURS, baseline) for by, over in _OVER})
        yield Goal(f"Cold start over {over} / {baseline}", measured, most)
    over, measured = worst({over: ratio(warm[by]["cpu"], OURS, POWERTOOLS) for by, over in _OVER})
    yield Goal(f"CPU over {over} / {POWERTOOLS}", measured, 0.3)
    overheads: dict[float, dict[str, Spread]] = {1.3: {}, 1.1: {}}
    for latency in LATENCIES:
        at, least = _ms(latency), bound(latency)
        overheads[1.1 if latency >= _SHORT else 1.3][f"Batch at {at} ms / bound of {_ms(least)} ms"] = (
            Spread.of([sample / least for sample in batches[at][OURS]])
        )
    for most, spreads in overheads.items():
        name, measured = worst(spreads)
        yield Goal(name, measured, most)
    gains = {latency: ratio(batches[_ms(latency)], LOOP, OURS) for latency in LATENCIES}
    latency, measured = min(gains.items(), key=lambda item: item[1].median)
    yield Goal(f"{LOOP} / batch at {_ms(latency)} ms", measured, least=8)
    size, measured = worst({size: ratio(results["poison"], size, UNPOISONED) for size in POISONS})
    yield Goal(f"Batch with a slow message of {size} / without", measured, 1.5)
    peaks = {"cold": cold["http"]["peak"], "warm": warm["http"]["peak"]}
    state, measured = worst({state: ratio(peak, OURS, POWERTOOLS) for state, peak in peaks.items()})
    yield Goal(f"Memory, {state} / {POWERTOOLS}", measured, 0.65)
    yield Goal("Package, zipped, with `.pyc`", sum(results["asset"].values()) / _UNITS["MB"], 2.9, unit=" MB")
    sealed = results["sealed"]
    for tokens, cpu, wall in ((KEPT, 1.1, 1.05), (NEW, 2.0, 1.35)):
        yield Goal(f"CPU, token {tokens} / {CLEAR}", ratio(sealed["cpu"], tokens, CLEAR), cpu)
        name = f"Batch at {_ms(_SHORT)} ms, token {tokens} / {CLEAR}"
        yield Goal(name, ratio(sealed["wall"], tokens, CLEAR), wall)
    sizes, points = results["sizes"], results["long_run"]
    largest = max(median(sizes[f"{size}"]) / median(sizes[f"{BATCH}"]) for size in SIZES if size > BATCH)
    yield Goal(f"CPU in larger batches / batches of {BATCH}", largest, 1.15)
    quarter = max(1, len(points) // 4)
    first, last = points[:quarter], points[-quarter:]
    name = f"over {points[-1]['messages']:,.0f} messages, last quarter / first"
    cpu = median(point["cpu"] for point in last) / median(point["cpu"] for point in first)
    yield Goal(f"CPU {name}", cpu, 1.15)
    yield Goal(f"Memory {name}", last[-1]["rss"] / first[-1]["rss"], 1.02)


def block(results: dict[str, Any]) -> str:
    """Return what the page shows: the figures of the function, a chart and the goals."""
    about, cold, warm, batches = (results[part] for part in ("about", "cold", "warm", "batches"))
    compared = {
        "cold start": cold["tls"]["wall"],
        "CPU": warm["tls"]["cpu"],
        "ten chats": batches[_ms(_SHORT)],
    }
    ours = [median(samples[OURS]) for samples in compared.values()]
    times = {
        f"{figure}, {name}": ratio(samples, name, OURS).median
        for figure, samples in compared.items()
        for name in WARM_OVER_TLS
        if name in samples and name != OURS
    }
    uncompiled = ratio(cold["http"]["wall"], OURS + UNCOMPILED, OURS).median
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    text = f"""\
Measured on {about["day"]}: {about["interpreter"]}, Node {about["node"]}, {versions}, {about["system"]}, \
{about["cores"]} cores, {about["processor"]}.
A cold start of the function takes {_ms(ours[0])} ms, a message {ours[1] / 1e-6:,.0f} µs of CPU, and a batch \
of ten chats {_ms(ours[2])} ms if SendMessage takes {_ms(_SHORT)} ms.
Without `.pyc` files in its package, the cold start takes {uncompiled:.1f} times as long."""
    parts = [
        text,
        bars("Time of each baseline, if ours takes 1", "times as long", times, top=ceil(max(times.values()))),
        table(("Figure", "Goal", "Measured", "Met"), (goal.cells() for goal in goals(results))),
    ]
    return "\n\n".join(parts)


def tables(results: dict[str, Any]) -> str:
    """Return all figures: time in ms, memory in MB, with the middle half of the samples in brackets."""
    points, asset = results["long_run"], results["asset"]
    taken: dict[str, dict[str, Samples]] = {
        **{f"Cold start over {over}": results["cold"][transport] for transport, over in _OVER},
        **{f"Warm, per message, over {over}": results["warm"][transport] for transport, over in _OVER},
        "Batch of ten chats, wall, by the ms of SendMessage": results["batches"],
        f"Batch of nine chats at {_ms(_SHORT)} ms, with a message that is slow to parse": {
            "wall": results["poison"]
        },
        "Ours, CPU per message, by its connection token": {"cpu": results["sealed"]["cpu"]},
        f"Ours, batch of ten chats at {_ms(_SHORT)} ms, by its connection tokens": {
            "wall": results["sealed"]["wall"]
        },
        "Ours, per message, by the size of the batch": {"cpu": results["sizes"]},
        **{f"With {fraction} of a core": small for fraction, small in results["small"].items()},
    }
    stub = {name: f"{figure:,.6g}" for name, figure in results["stub"].items()}
    parts = [f"The stub alone\n\n{table(stub, [[*stub.values()]])}"]
    parts += [f"{title}\n\n{_spreads(columns)}" for title, columns in taken.items()]
    rows = [[f"{point[figure]:.4g}" for figure in points[0]] for point in points]
    parts.append(f"Ours, one process, in seconds and bytes\n\n{table(points[0], rows)}")
    parts.append(f"The package\n\n{table(('part', 'bytes zipped'), asset.items())}")
    return "\n".join(f"## {part}\n" for part in parts)


def _spreads(columns: dict[str, Samples]) -> str:
    """Return a table with a row for each name, the fastest first."""
    units = [_UNITS["MB" if figure == "peak" else "ms"] for figure in columns]
    first = next(iter(columns.values()))
    rows = []
    for name in sorted(first, key=lambda name: median(first[name])):
        spreads = [Spread.of(samples[name]) for samples in columns.values()]
        rows.append((name, *(spread.text(unit) for spread, unit in zip(spreads, units, strict=True))))
    return table(("", *columns), rows)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"
