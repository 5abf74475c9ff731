"""Markdown that GitHub renders: tables, and charts in Mermaid. Neither needs a library or a picture file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def chart(
    title: str, places: Sequence[str], label: str, *series: Sequence[float], bars: bool = True, top: float = 0
) -> str:
    """Return a chart with one value of each series per place.

    Args:
        label: Of the values.
        bars: Whether the series are bars. Else they are lines.
        top: The end of the axis. 0: the largest value.
    """
    kind = "bar" if bars else "line"
    quoted = ", ".join(f'"{place}"' for place in places)
    top = top or max(max(values) for values in series) * 1.05
    return "\n".join(
        [
            "```mermaid",
            f"xychart-beta{' horizontal' if bars else ''}",
            f'    title "{title}"',
            f"    x-axis [{quoted}]",
            f'    y-axis "{label}" 0 --> {top:.4g}',
            *(f"    {kind} [{', '.join(f'{value:.4g}' for value in values)}]" for values in series),
            "```",
        ]
    )
