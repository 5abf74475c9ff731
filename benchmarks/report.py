"""Writes what was measured: a block of the page, and all figures as tables."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, Final

from benchmarks.contenders import (
    JAVASCRIPT,
    LOOP,
    OTHER_AUTHORITY,
    OURS,
    POWERTOOLS,
    UNCOMPILED,
    WARM_OVER_TLS,
)
from benchmarks.figures import LATENCIES, STUB, bound
from benchmarks.markdown import bars, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from benchmarks.figures import Samples

_UNITS: Final = {"ms": 1e-3, "MB": 1e6}
_OVER: Final = (("http", "HTTP"), ("tls", "TLS"))
_SHORT: Final = 0.05
"""Seconds: the latency that the page shows."""


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
        middle = f" ({self.low / unit:.2f}–{self.high / unit:.2f})" if self.low < self.high else ""
        return f"{self.median / unit:.2f}{middle}"


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal that was set beforehand, at most `most`, and the measurement."""

    figure: str
    measured: Spread
    most: float
    unit: str = ""

    @property
    def met(self) -> bool:
        return self.measured.median <= self.most

    def cells(self) -> tuple[str, ...]:
        goal = f"≤ {self.most:.2f}{self.unit}"
        distance = self.measured.median / self.most - 1
        return self.figure, goal, self.measured.text(), "yes" if self.met else f"**no**, {distance:+.1%}"


def ratio(samples: Samples, one: str, other: str) -> Spread:
    """Return the ratio of two contenders, round by round."""
    return Spread.of([mine / theirs for mine, theirs in zip(samples[one], samples[other], strict=True)])


def goals(results: dict[str, Any]) -> Iterator[Goal]:
    """Compare the results with the goals."""
    cold, warm, ones = (results[part] for part in ("cold", "warm", "ones"))
    for baseline, most in ((POWERTOOLS, 0.38), (LOOP, 0.45)):
        yield Goal(f"Cold start over TLS / {baseline}", ratio(cold["tls"]["wall"], OURS, baseline), most)
    yield Goal(f"CPU over HTTP / {LOOP}", ratio(warm["http"]["cpu"], OURS, LOOP), 0.5)
    yield Goal(f"CPU over TLS / {JAVASCRIPT}", ratio(warm["tls"]["cpu"], OURS, JAVASCRIPT), 0.6)
    yield Goal(f"CPU over HTTP, batch of one / {LOOP}", ratio(ones["http"]["cpu"], OURS, LOOP), 0.8)
    for latency, most in zip(LATENCIES, (1.22, 1.1, 1.06), strict=True):
        least = bound(latency)
        spread = Spread.of([sample / least for sample in results["batches"][_ms(latency)][OURS]])
        yield Goal(f"Ten chats at {_ms(latency)} ms / bound", spread, most)
    size = Spread.of([sum(results["asset"].values()) / _UNITS["MB"]])
    yield Goal("Package, zipped, tracing off", size, 2.9, unit=" MB")


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
    other = ratio(cold["tls"]["wall"], OURS + OTHER_AUTHORITY, OURS).median
    memory = ratio(warm["http"]["peak"], OURS, POWERTOOLS).median
    first = results["warming"][JAVASCRIPT][0] / results["warming"][OURS][0]
    stub = median(batches[_ms(LATENCIES[0])][STUB]) / bound(LATENCIES[0])
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    text = f"""\
Measured on {about["day"]}: {about["interpreter"]}, Node {about["node"]}, {versions}, {about["system"]}, \
{about["cores"]} cores, {about["processor"]}.
A cold start takes {_ms(ours[0])} ms, a message {ours[1] / 1e-6:,.0f} µs of CPU, and a batch \
of ten chats {_ms(ours[2])} ms if SendMessage takes {_ms(_SHORT)} ms.
Without `.pyc` files, a cold start takes {uncompiled:.2f} times as long, and with another \
authority than Amazon's {other:.2f} times.
Warm memory is {memory:.2f} of Powertools.
JavaScript is measured after 8,000 messages: in its first 1,000, it takes {first:.2f} times our CPU.
The stub alone takes {stub:.2f} times the bound at {_ms(LATENCIES[0])} ms."""
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
        **{f"Warm, a batch of one, over {over}": results["ones"][transport] for transport, over in _OVER},
        "Batch of ten chats, wall, by the ms of SendMessage": results["batches"],
        f"Batch of nine chats at {_ms(_SHORT)} ms, with a message that is slow to parse": {
            "wall": results["poison"]
        },
        "Ours, CPU per message, by its connection token": {"cpu": results["sealed"]["cpu"]},
        f"Ours, batch of ten chats at {_ms(_SHORT)} ms, by its connection tokens": {
            "wall": results["sealed"]["wall"]
        },
        **{f"With {fraction} of a core": small for fraction, small in results["small"].items()},
    }
    warming = [
        (name, *(f"{sample / 1e-3:.2f}" for sample in samples))
        for name, samples in results["warming"].items()
    ]
    thousands = map(str, range(1, len(warming[0])))
    stub = {name: f"{figure:,.6g}" for name, figure in results["stub"].items()}
    parts = [f"The stub alone\n\n{table(stub, [[*stub.values()]])}"]
    parts += [f"{title}\n\n{_spreads(columns)}" for title, columns in taken.items()]
    parts.append(f"CPU per message over TLS, by thousands of messages\n\n{table(('', *thousands), warming)}")
    rows = [[f"{point[figure]:.4g}" for figure in points[0]] for point in points]
    parts.append(f"Ours, one process, in seconds and bytes\n\n{table(points[0], rows)}")
    parts.append(f"The package\n\n{table(('part', 'bytes zipped'), asset.items())}")
    return f"{_sections(parts)}\n{profile_tables(results)}"


def profile_tables(results: dict[str, Any]) -> str:
    """Return where our CPU time goes, in ms."""
    return _sections(
        f"{title}\n\n{table(('', 'ms'), [(name, f'{1e3 * seconds:.3f}') for name, seconds in rows.items()])}"
        for title, rows in results["profile"].items()
    )


def _sections(parts: Iterable[str]) -> str:
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
