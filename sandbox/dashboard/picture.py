"""Draws a dashboard as an SVG, in the layout of CloudWatch."""

from __future__ import annotations

import io
import math
import textwrap
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from sandbox.dashboard.recording import lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import SubFigure

    from sandbox.dashboard.recording import Recording

# CloudWatch's grid. Lengths are in inches
_COLUMNS, _COLUMN, _ROW, _LEGEND_ROW = 24, 0.64, 0.48, 0.17
_CAPTION_ROWS = 2
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
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "font.size": 8.5,
    "grid.color": "#eaeded",
    "legend.columnspacing": 1.2,
    "legend.frameon": False,
    "legend.labelspacing": 0.25,
    "legend.handlelength": 0.8,
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
    bottom = max(widget["y"] + widget["height"] for widget in widgets)
    rows = bottom + _CAPTION_ROWS
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_COLUMNS * _COLUMN, rows * _ROW))
        grid = figure.add_gridspec(rows, _COLUMNS)
        for widget in widgets:
            left, top, width = widget["x"], widget["y"], widget["width"]
            panel = figure.add_subfigure(grid[top : top + widget["height"], left : left + width])
            panel.set(edgecolor="#d5dbdb", linewidth=1)
            properties = widget["properties"]
            match widget["type"]:
                case "metric":
                    _graph(panel, properties, recording, period)
                case "alarm":
                    names = [arn.rpartition(":")[2].split("-", 2)[2] for arn in properties["alarms"]]
                    title = f"{properties['title']} (evaluated by CloudWatch only)"
                    _text(panel, width, " · ".join(names), title=title)
                case _:
                    title, _, text = properties.get("markdown", "").removeprefix("# ").partition("\n")
                    _text(panel, width, text.replace("**", ""), title=title)
        _text(figure.add_subfigure(grid[bottom:, :]), _COLUMNS, caption)
        output = io.StringIO()
        figure.savefig(output, format="svg", metadata={"Date": None, "Creator": None, "Title": caption})
    return output.getvalue()


def _text(panel: SubFigure, columns: int, text: str, *, title: str = "") -> None:
    wrapped = textwrap.fill(text, round(columns * _CHARACTERS_PER_COLUMN))
    panel.text(0.01, 0.9, title, va="top", size=11, weight="bold")
    panel.text(0.01, 0.6, wrapped, va="top", linespacing=1.5)


def _graph(panel: SubFigure, properties: Mapping[str, Any], recording: Recording, period: float) -> None:
    found = lines(recording, properties, period=period)
    first, last = recording.whole_periods(period)
    labels = [line.label if line.is_known else f"{line.label} (AWS only)" for line in found]
    legend_columns = 2 if any(len(label) > _LONG_LABEL for label in labels) else 3
    legend_height = math.ceil(len(found) / legend_columns) * _LEGEND_ROW
    pixels, dpi = panel.bbox, panel.get_figure(root=True).dpi
    width, height = pixels.width / dpi, pixels.height / dpi
    below, above = 0.4 + legend_height, 0.4
    axes = panel.add_axes((0.45 / width, below / height, 1 - 0.65 / width, 1 - (below + above) / height))
    axes.set_title(properties.get("title", ""), x=-0.3 / width)
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
    legend = panel.legend(loc="lower left", ncols=legend_columns)
    for line, text in zip(found, legend.get_texts(), strict=True):
        if not line.is_known:
            text.set(color=_GREY, style="italic")
