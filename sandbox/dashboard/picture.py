"""Draws a dashboard, as CloudWatch lays it out, as an SVG."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from sandbox.dashboard.recording import lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sandbox.dashboard.recording import Line, Recording

_COLUMN, _ROW, _GAP = 60, 44, 10
_MARGIN = 16
_COLORS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#bcbd22")
_STYLE = """\
text { font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif; font-size: 12px; fill: #16191f }
.panel { fill: #ffffff; stroke: #d5dbdb }
.title { font-size: 13.5px; font-weight: 600 }
.name { font-size: 20px; font-weight: 600 }
.axis { font-size: 10.5px; fill: #687078 }
.grid { stroke: #eaeded }
.unknown { fill: #879196; font-style: italic }
.caption { font-size: 12.5px; fill: #545b64 }
.chip { fill: #f2f3f3; stroke: #d5dbdb }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round }"""


@dataclass(frozen=True, slots=True)
class _Box:
    x: float
    y: float
    width: float
    height: float


def draw(dashboard: Mapping[str, Any], recording: Recording, *, period: float, caption: str) -> str:
    """Draw all widgets of a dashboard's body, filled with a recording.

    Args:
        period: Seconds that a data point stands for.
        caption: Below the picture: where its figures come from.
    """
    widgets = dashboard["widgets"]
    width = 24 * _COLUMN + 2 * _MARGIN
    bottom = max(widget["y"] + widget["height"] for widget in widgets) * _ROW + _MARGIN
    wrapped = _wrapped(caption, 24 * _COLUMN / 6.7)
    height = bottom + 18 * len(wrapped) + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(caption)}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#f2f3f3"/>',
    ]
    for widget in widgets:
        box = _Box(
            _MARGIN + widget["x"] * _COLUMN + _GAP / 2,
            _MARGIN + widget["y"] * _ROW + _GAP / 2 - _MARGIN / 2,
            widget["width"] * _COLUMN - _GAP,
            widget["height"] * _ROW - _GAP,
        )
        parts.append(_rectangle(box, "panel"))
        parts += _DRAWN[widget["type"]](widget["properties"], box, recording, period)
    for number, text in enumerate(wrapped):
        parts.append(_text(_MARGIN + _GAP / 2, bottom + 18 * (number + 1) - 6, text, "caption"))
    return "\n".join([*parts, "</svg>", ""])


def _text_widget(
    properties: Mapping[str, Any], box: _Box, _recording: Recording, _period: float
) -> Iterator[str]:
    name, _, text = properties["markdown"].removeprefix("# ").partition("\n")
    yield _text(box.x + 14, box.y + 27, name, "name")
    for number, line in enumerate(_wrapped(text, box.width / 6.4)):
        spans = re.sub(r"\*\*(.+?)\*\*", r'<tspan font-weight="600">\1</tspan>', escape(line))
        yield f'<text x="{box.x + 14:g}" y="{box.y + 50 + 19 * number:g}">{spans}</text>'


def _alarm_widget(
    properties: Mapping[str, Any], box: _Box, _recording: Recording, _period: float
) -> Iterator[str]:
    yield _text(box.x + 14, box.y + 22, properties["title"])
    yield _text(box.x + 70, box.y + 22, "evaluated by CloudWatch only: no state here", "unknown")
    names = [arn.rpartition(":")[2].split("-", 2)[2] for arn in properties["alarms"]]
    in_a_row = math.ceil(len(names) / 3)
    width = (box.width - 28) / in_a_row
    for number, name in enumerate(names):
        x, y = box.x + 14 + number % in_a_row * width, box.y + 34 + number // in_a_row * 28
        yield _rectangle(_Box(x, y, width - 8, 22), "chip")
        yield _text(x + 10, y + 15.5, name, "")


@dataclass(frozen=True, slots=True)
class _Plot:
    """The area of a graph's lines: periods from `first` to `last` across, values up to `top`."""

    box: _Box
    first: int
    last: int
    top: float
    period: float

    def x(self, number: float) -> float:
        return self.box.x + (number - self.first) / max(1, self.last - self.first) * self.box.width

    def y(self, value: float) -> float:
        return self.box.y + self.box.height * (1 - value / self.top)


def _graph_widget(
    properties: Mapping[str, Any], box: _Box, recording: Recording, period: float
) -> Iterator[str]:
    first, last = recording.whole_periods(period)
    found = [line.within(first, last) for line in lines(recording, properties, period=period)]
    horizontal = properties.get("annotations", {}).get("horizontal", [])
    legend = list(_legend(found, box.width - 28))
    values = [value for line in found for value in line.values.values()]
    plot = _Plot(
        box=_Box(box.x + 46, box.y + 38, box.width - 62, box.height - 38 - 26 - 17 * len(legend)),
        first=first,
        last=last,
        top=_round_up(max([1.0, *values, *(line["value"] for line in horizontal)])),
        period=period,
    )
    yield _text(box.x + 14, box.y + 23, properties["title"], "title")
    yield from _axes(plot)
    for annotation in horizontal:
        yield from _annotation(annotation, plot)
    for number, line in enumerate(found):
        yield from _drawn_line(line, _color(line, number), plot)
    if not values:
        middle = plot.box.x + plot.box.width / 2
        yield _text(middle, plot.box.y + plot.box.height / 2 + 4, "none", "unknown", anchor="middle")
    for row, items in enumerate(legend):
        height = box.y + box.height - 12 - 17 * (len(legend) - 1 - row)
        for number, offset in items:
            line, left = found[number], box.x + 14 + offset
            color = _color(line, number)
            yield f'<rect x="{left:g}" y="{height - 8:g}" width="9" height="9" fill="{color}"/>'
            yield _text(left + 14, height, _legend_text(line), "" if line.is_seen else "unknown")


def _axes(plot: _Plot) -> Iterator[str]:
    for share in (0, 0.25, 0.5, 0.75, 1):
        height = plot.y(plot.top * share)
        yield f'<path class="grid" d="M{plot.box.x:g} {height:.1f}h{plot.box.width:g}"/>'
        if share in {0, 0.5, 1}:
            yield _text(plot.box.x - 6, height + 4, f"{plot.top * share:g}", "axis", anchor="end")
    bottom = plot.box.y + plot.box.height + 15
    for minute in range(int((plot.last - plot.first) * plot.period // 60) + 1):
        yield _text(
            plot.x(plot.first + minute * 60 / plot.period), bottom, f"{minute} min", "axis", anchor="middle"
        )


def _annotation(annotation: Mapping[str, Any], plot: _Plot) -> Iterator[str]:
    height = plot.y(annotation["value"])
    yield (
        f'<path d="M{plot.box.x:g} {height:.1f}h{plot.box.width:g}" stroke="{annotation["color"]}" '
        'stroke-dasharray="5 4" stroke-width="1.4"/>'
    )
    yield _text(plot.box.x + plot.box.width, height - 4, annotation["label"], "axis", anchor="end")


def _drawn_line(line: Line, color: str, plot: _Plot) -> Iterator[str]:
    """Join the points of periods that follow one another; show one that is alone as a dot."""
    runs: list[list[tuple[int, float]]] = []
    for at, value in line.values.items():
        if runs and runs[-1][-1][0] == at - 1:
            runs[-1].append((at, value))
        else:
            runs.append([(at, value)])
    for points in runs:
        if len(points) == 1:
            [(at, value)] = points
            yield f'<circle cx="{plot.x(at):.1f}" cy="{plot.y(value):.1f}" r="2.2" fill="{color}"/>'
        else:
            path = "L".join(f"{plot.x(at):.1f} {plot.y(value):.1f}" for at, value in points)
            yield f'<path class="line" stroke="{color}" d="M{path}"/>'


def _legend(found: Sequence[Line], width: float) -> Iterator[list[tuple[int, float]]]:
    """Yield rows of the lines' numbers, each with its offset."""
    row: list[tuple[int, float]] = []
    offset = 0.0
    for number, line in enumerate(found):
        needed = 32 + 6.6 * len(_legend_text(line))
        if row and offset + needed > width:
            yield row
            row, offset = [], 0.0
        row.append((number, offset))
        offset += needed
    yield row


def _legend_text(line: Line) -> str:
    return line.label if line.is_seen else f"{line.label} (AWS only)"


def _color(line: Line, number: int) -> str:
    return line.color or _COLORS[number % len(_COLORS)]


def _text(x: float, y: float, text: str, kind: str = "title", *, anchor: str = "start") -> str:
    at = "" if anchor == "start" else f' text-anchor="{anchor}"'
    kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x:g}" y="{y:g}"{kind}{at}>{escape(text)}</text>'


def _rectangle(box: _Box, kind: str) -> str:
    size = f'width="{box.width:g}" height="{box.height:g}"'
    return f'<rect class="{kind}" x="{box.x:g}" y="{box.y:g}" {size} rx="4"/>'


def _wrapped(text: str, width: float) -> list[str]:
    rows = [""]
    for word in text.split():
        if len(rows[-1].replace("**", "")) + len(word) > width:
            rows.append("")
        rows[-1] = f"{rows[-1]} {word}".strip()
    return rows


def _round_up(value: float) -> float:
    """Return the next of 1, 2, 4, 5, 6, 8 and their multiples of ten."""
    magnitude = 10.0 ** math.floor(math.log10(value))
    return next(step * magnitude for step in (1, 2, 4, 5, 6, 8, 10) if step * magnitude >= value)


_DRAWN = {"text": _text_widget, "alarm": _alarm_widget, "metric": _graph_widget}
