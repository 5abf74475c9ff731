"""Markdown that GitHub renders: tables, and charts in Mermaid. Neither needs a library or a picture file."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

T = TypeVar("T")


def table(columns: Mapping[str, Callable[[T], object]], items: Iterable[T]) -> str:
    """Return a table with a row for each item. Each column has the function that returns its cell."""
    rows = [[f"{cell(item)}" for cell in columns.values()] for item in items]
    return "\n".join(f"| {' | '.join(line)} |" for line in ([*columns], ["---"] * len(columns), *rows))


def by_position(*columns: str) -> dict[str, Callable[[Sequence[object]], object]]:
    """Return the columns of a table whose items are sequences of cells."""
    return {name: itemgetter(index) for index, name in enumerate(columns)}


def chart(
    title: str, places: Iterable[str], label: str, *series: Sequence[float], bars: bool = True, top: float = 0
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
    lines = "\n".join(f"    {kind} [{', '.join(f'{value:.4g}' for value in values)}]" for values in series)
    return f"""```mermaid
xychart-beta{" horizontal" if bars else ""}
    title "{title}"
    x-axis [{quoted}]
    y-axis "{label}" 0 --> {top:.4g}
{lines}
```"""
