"""What a run measured: data points under the names and dimensions that CloudWatch would have them."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_NEAREST_RANK = "p"

Metric: TypeAlias = tuple[str, str, frozenset[tuple[str, str]]]
"""Namespace, name, dimensions."""


def metric(namespace: str, name: str, **dimensions: str) -> Metric:
    return namespace, name, frozenset(dimensions.items())


@dataclass(slots=True)
class Recording:
    """Data points by metric, each with its time in seconds since the epoch.

    Attributes:
        seen: Metrics that would be here if there had been anything to count. Others only AWS knows.
        own_namespace: All of its metrics can be seen, but for those without dimensions, which AWS makes of
            its own log lines.
    """

    own_namespace: str
    seen: set[Metric] = field(default_factory=set)
    _points: defaultdict[Metric, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, of: Metric, at: float, value: float = 1.0) -> None:
        self.seen.add(of)
        self._points[of].append((at, value))

    def add_log_line(self, line: str) -> None:
        """Add the metrics of a line of the log, if it is one in the embedded metric format."""
        if '"_aws"' not in line:
            return
        emf = json.loads(line)
        at = emf["_aws"]["Timestamp"] / 1000
        for directive in emf["_aws"]["CloudWatchMetrics"]:
            for names in directive["Dimensions"]:
                dimensions = {name: emf[name] for name in names}
                for each in directive["Metrics"]:
                    for value in _values(emf[each["Name"]]):
                        self.add(metric(directive["Namespace"], each["Name"], **dimensions), at, value)

    def is_seen(self, of: Metric) -> bool:
        namespace, _, dimensions = of
        return of in self.seen or (namespace == self.own_namespace and bool(dimensions))

    def statistic(self, of: Metric, name: str, *, period: float) -> dict[int, float]:
        """Return a statistic of CloudWatch by the number of its period, where there are data points."""
        periods: defaultdict[int, list[float]] = defaultdict(list)
        for at, value in self._points.get(of, []):
            periods[int(at // period)].append(value)
        return {number: _statistic(name, values) for number, values in sorted(periods.items())}

    def whole_periods(self, period: float) -> tuple[int, int]:
        """Return the numbers of the first and the last period that lie wholly within the recording."""
        times = [at for points in self._points.values() for at, _ in points]
        return int(min(times) // period) + 1, int(max(times) // period) - 1


def _values(value: Any) -> Iterable[float]:  # noqa: ANN401  # a number, or a list of them
    return value if isinstance(value, list) else [value]


def _statistic(name: str, values: Sequence[float]) -> float:
    if name.startswith(_NEAREST_RANK):
        rank = math.ceil(float(name.removeprefix(_NEAREST_RANK)) / 100 * len(values))
        return sorted(values)[max(rank, 1) - 1]
    return {
        "Sum": sum(values),
        "Average": sum(values) / len(values),
        "Maximum": max(values),
        "Minimum": min(values),
        "SampleCount": float(len(values)),
    }[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a graph: values by the number of their period.

    Attributes:
        is_seen: False if only AWS knows it.
    """

    label: str
    color: str | None
    values: Mapping[int, float]
    is_seen: bool

    def within(self, first: int, last: int) -> Line:
        """Return the line from one period to another."""
        return replace(self, values={at: value for at, value in self.values.items() if first <= at <= last})


def lines(recording: Recording, graph: Mapping[str, Any], *, period: float) -> list[Line]:
    """Return the visible lines of a graph widget. Sums are scaled to a minute, as the dashboard has them.

    Raises:
        ValueError: An expression is none of `id / PERIOD(id)`, which is all that the dashboard has.
    """
    entries = [_entry(each) for each in graph["metrics"]]
    by_id = {options["id"]: (of, options) for of, options in entries if of is not None and "id" in options}
    found: list[Line] = []
    for of, options in entries:
        if options.get("visible") is False:
            continue
        if of is None:
            name = _id_of_rate(options["expression"])
            source, its_options = by_id[name]
            sums = recording.statistic(source, its_options["stat"], period=period)
            values, is_seen = {at: value / period for at, value in sums.items()}, recording.is_seen(source)
        else:
            scale = 60 / period if options["stat"] == "Sum" else 1
            measured = recording.statistic(of, options["stat"], period=period)
            values, is_seen = {at: value * scale for at, value in measured.items()}, recording.is_seen(of)
        found.append(Line(label=options["label"], color=options.get("color"), values=values, is_seen=is_seen))
    return found


def _entry(each: Sequence[Any]) -> tuple[Metric | None, Mapping[str, Any]]:
    """Read an entry of a graph's `metrics`: a metric, or None for an expression, and its options."""
    names = [part for part in each if isinstance(part, str)]
    options = next((part for part in each if isinstance(part, dict)), {})
    if not names:
        return None, options
    namespace, name, *dimensions = names
    pairs = dict(zip(dimensions[::2], dimensions[1::2], strict=True))
    return metric(namespace, name, **pairs), {"label": name, "stat": "Average", **options}


def _id_of_rate(expression: str) -> str:
    name = expression.partition(" / ")[0]
    if expression != f"{name} / PERIOD({name})":
        raise ValueError(f"cannot draw {expression!r}")
    return name
