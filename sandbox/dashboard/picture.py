"""Draws a dashboard as an SVG, in the layout of CloudWatch."""

from __future__ import annotations

import io
import math
import textwrap
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MultipleLocator

from sandbox.dashboard.recording import lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.dashboard.recording import Recording

# Lengths are in inches
_COLUMNS, _COLUMN, _ROW, _GAP = 24, 0.64, 0.48, 0.1
_CAPTION = 0.75
_CHARACTERS_PER_COLUMN = 9.6
_LONG_LABEL = 24
_GREY = "#879196"
_STYLE: Any = {
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "font.family": "sans-serif",
    "font.size": 8.5,
    "grid.color": "#eaeded",
    "legend.columnspacing": 1.2,
    "legend.frameon": False,
    "legend.handlelength": 0.8,
    "legend.labelspacing": 0.25,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "svg.fonttype": "none",
    "svg.hashsalt": "dashboard",
    "text.parse_math": False,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "xtick.color": "#687078",
    "ytick.color": "#687078",
}


def draw(dashboard: Mapping[str, Any], recording: Recording, *, period: float, caption: str) -> str:
    """Draw all widgets of a dashboard's body with the data of a recording.

    A widget or a line without recorded data is drawn without data.

    Args:
        period: seconds per data point.
        caption: the source of the figures, below the picture.
    """
    widgets = dashboard["widgets"]
    bottom = max(widget["y"] + widget["height"] for widget in widgets) * _ROW
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_COLUMNS * _COLUMN + _GAP, bottom + _CAPTION), facecolor="#f2f3f3")
        for widget in widgets:
            panel = _Panel(
                figure,
                widget["x"] * _COLUMN + _GAP,
                widget["y"] * _ROW + _GAP,
                widget["width"] * _COLUMN - _GAP,
                widget["height"] * _ROW - _GAP,
            )
            panel.fill()
            properties = widget["properties"]
            match widget["type"]:
                case "metric":
                    panel.graph(properties, recording, period)
                case "alarm":
                    names = [arn.rpartition(":")[2].split("-", 2)[2] for arn in properties["alarms"]]
                    panel.text(f"{properties['title']} (evaluated by CloudWatch only)", " · ".join(names))
                case _:
                    title, _, text = properties.get("markdown", "").removeprefix("# ").partition("\n")
                    panel.text(title, text.replace("**", ""))
        _Panel(figure, 0, bottom + _GAP, _COLUMNS * _COLUMN, _CAPTION).text("", caption)
        output = io.StringIO()
        figure.savefig(output, format="svg", metadata={"Date": None, "Creator": None, "Title": caption})
    return output.getvalue()


class _Panel:
    """A rectangle of the picture. Points are inches from its upper left corner."""

    def __init__(self, figure: Figure, x: float, y: float, width: float, height: float) -> None:
        self._figure = figure
        self._x, self._y, self._width, self._height = x, y, width, height

    def _at(self, x: float, y: float) -> tuple[float, float]:
        """Convert a point of the panel to a fraction of the picture, measured from below."""
        width, height = self._figure.get_size_inches()
        return (self._x + x) / width, 1 - (self._y + y) / height

    def _box(self, left: float, top: float, right: float, bottom: float) -> tuple[float, float, float, float]:
        """Return left, bottom, width and height of the area within these margins."""
        x0, y0 = self._at(left, self._height - bottom)
        x1, y1 = self._at(self._width - right, top)
        return x0, y0, x1 - x0, y1 - y0

    def fill(self) -> None:
        x, y, width, height = self._box(0, 0, 0, 0)
        panel = Rectangle((x, y), width, height, zorder=-1, facecolor="white", edgecolor="#d5dbdb")
        self._figure.add_artist(panel)

    def text(self, title: str, text: str) -> None:
        wrapped = textwrap.fill(text, round(self._width / _COLUMN * _CHARACTERS_PER_COLUMN))
        self._figure.text(*self._at(0.14, 0.12), title, size=11, weight="bold", va="top")
        self._figure.text(*self._at(0.14, 0.42 if title else 0.05), wrapped, va="top", linespacing=1.5)

    def graph(self, properties: Mapping[str, Any], recording: Recording, period: float) -> None:
        found = lines(recording, properties, period=period)
        first, last = recording.whole_periods(period)
        labels = [line.label if line.is_known else f"{line.label} (AWS only)" for line in found]
        columns = 2 if max(map(len, labels), default=0) > _LONG_LABEL else 3
        legend_height = math.ceil(len(found) / columns) * 0.17
        axes = self._figure.add_axes(self._box(0.45, 0.42, 0.2, 0.38 + legend_height))
        axes.set_title(properties.get("title", ""), x=-0.3 / self._width)
        for line, label in zip(found, labels, strict=True):
            # NaN leaves a gap for each period without a value. A value between two gaps is a dot.
            values = [line.values.get(number, math.nan) for number in range(first, last + 1)]
            dots = [
                index
                for index in range(len(values))
                if all(map(math.isnan, [*values[max(index - 1, 0) : index], *values[index + 1 : index + 2]]))
            ]
            minutes = [index * period / 60 for index in range(len(values))]
            axes.plot(minutes, values, color=line.color, label=label, marker=".", markevery=dots)
        for annotation in properties.get("annotations", {}).get("horizontal", []):
            value, label = annotation["value"], annotation["label"]
            axes.axhline(value, color=annotation["color"], linestyle="--", linewidth=1.2)
            axes.text(1, value, label, transform=axes.get_yaxis_transform(), ha="right", va="bottom")
        if not any(number in line.values for line in found for number in range(first, last + 1)):
            axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", color=_GREY, style="italic")
        axes.set_ylim(bottom=0, top=None if axes.dataLim.y1 > 0 else 1)
        axes.xaxis.set_major_locator(MultipleLocator(1))
        axes.xaxis.set_major_formatter("{x:g} min")
        legend = self._figure.legend(
            *axes.get_legend_handles_labels(),
            loc="lower left",
            bbox_to_anchor=self._at(0.05, self._height),
            ncols=columns,
        )
        for line, text in zip(found, legend.get_texts(), strict=True):
            if not line.is_known:
                text.set(color=_GREY, style="italic")
