"""The measurements of a run: data points under the names and dimensions of CloudWatch."""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Metric: TypeAlias = tuple[str, str, frozenset[tuple[str, str]]]
"""Namespace, name, dimensions."""

_STATISTICS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "Sum": sum,
    "Average": statistics.fmean,
    "Maximum": max,
    "Minimum": min,
    "SampleCount": len,
}


def metric(namespace: str, name: str, **dimensions: str) -> Metric:
    return namespace, name, frozenset(dimensions.items())


@dataclass(slots=True)
class Recording:
    """Data points by metric, each with its time in seconds since the epoch.

    Attributes:
        seen: metrics that the run can measure, even if they have no data points.
        own_namespace: all of its metrics can be measured, except those without dimensions. AWS makes these
            from its own log lines.
    """

    own_namespace: str
    seen: set[Metric] = field(default_factory=set)
    _points: defaultdict[Metric, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, of: Metric, at: float, value: float = 1.0) -> None:
        self.seen.add(of)
        self._points[of].append((at, value))

    def add_log_line(self, line: str) -> None:
        """Add the metrics of a log line in the embedded metric format. Ignore any other line."""
        if '"_aws"' not in line:
            return
        emf = json.loads(line)
        at = emf["_aws"]["Timestamp"] / 1000
        for directive in emf["_aws"]["CloudWatchMetrics"]:
            for names in directive["Dimensions"]:
                dimensions = {name: emf[name] for name in names}
                for each in directive["Metrics"]:
                    values = emf[each["Name"]]
                    for value in values if isinstance(values, list) else [values]:
                        self.add(metric(directive["Namespace"], each["Name"], **dimensions), at, value)

    def is_known(self, of: Metric) -> bool:
        """Return whether the run can measure a metric."""
        namespace, _, dimensions = of
        return of in self.seen or (namespace == self.own_namespace and bool(dimensions))

    def statistic(self, of: Metric, name: str, *, period: float) -> dict[int, float]:
        """Return a statistic of CloudWatch by the number of its period, where there are data points."""
        periods: defaultdict[int, list[float]] = defaultdict(list)
        for at, value in self._points.get(of, []):
            periods[int(at // period)].append(value)
        return {number: _statistic(name, values) for number, values in sorted(periods.items())}

    def whole_periods(self, period: float) -> tuple[int, int]:
        """Return the numbers of the first and the last period that the recording covers completely."""
        times = [at for points in self._points.values() for at, _ in points] or [0.0]
        return int(min(times) // period) + 1, int(max(times) // period) - 1


def _statistic(name: str, values: Sequence[float]) -> float:
    if name.startswith("PR(:"):  # the percentage of values up to a limit, as in PR(:300)
        limit = float(name.removeprefix("PR(:").removesuffix(")"))
        return 100 * sum(value <= limit for value in values) / len(values)
    if name.startswith("p"):  # the nearest rank, as in p95
        rank = math.ceil(float(name.removeprefix("p")) / 100 * len(values))
        return sorted(values)[max(rank, 1) - 1]
    return float(_STATISTICS[name](values))


class Line(NamedTuple):
    """A line of a graph: values by the number of their period. `is_known` is False if only AWS has data."""

    label: str
    color: str | None
    values: Mapping[int, float]
    is_known: bool


def lines(recording: Recording, graph: Mapping[str, Any], *, period: float) -> list[Line]:
    """Return the visible lines of a graph widget, with sums per minute, as on the dashboard.

    The only supported expressions are `id / PERIOD(id)` of a sum and `100 - id` of a percentage. The line of
    any other has no values.
    """
    entries = [_entry(each) for each in graph["metrics"]]
    rates = {f"{options.get('id')} / PERIOD({options.get('id')})": of for of, options in entries}
    rests = {f"100 - {options.get('id')}": (of, options["stat"]) for of, options in entries}
    found: list[Line] = []
    for entry, options in entries:
        if options.get("visible") is False:
            continue
        of, stat, scale, offset = entry, options["stat"], 60 / period if options["stat"] == "Sum" else 1, 0
        if of is None and (rest := rests.get(options["expression"])):
            (of, stat), scale, offset = rest, -1, 100
        elif of is None:
            of, scale = rates.get(options["expression"]), 1 / period
        measured = {} if of is None else recording.statistic(of, stat, period=period)
        values = {number: offset + value * scale for number, value in measured.items()}
        is_known = of is not None and recording.is_known(of)
        found.append(Line(options["label"], options.get("color"), values, is_known))
    return found


def _entry(each: Sequence[Any]) -> tuple[Metric | None, Mapping[str, Any]]:
    """Read an entry of a graph's `metrics`: a metric, or None for an expression, and its options."""
    *names, options = each if isinstance(each[-1], dict) else (*each, {})
    if not names:
        return None, {"stat": "Sum", **options}
    namespace, name, *dimensions = names
    pairs = dict(zip(dimensions[::2], dimensions[1::2], strict=True))
    return metric(namespace, name, **pairs), {"label": name, "stat": "Average", **options}
