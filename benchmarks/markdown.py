"""Markdown that GitHub renders: tables, and charts in Mermaid. Neither needs a library or a picture file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from scripts.render_contract import replace_block

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_ROOT: Final = Path(__file__).parents[1]
PAGE: Final = _ROOT / "docs" / "explanation" / "benchmarks.md"
SAMPLES: Final = _ROOT / ".sandbox" / "benchmarks"
"""The folder of the full tables and the raw samples, which git ignores."""
# Mermaid's own bars are hardly visible on white
_COLOR: Final = '%%{init: {"themeVariables": {"xyChart": {"plotColorPalette": "#6ea8fe"}}}}%%'


def table(header: Iterable[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table. Each row has a cell for each column."""
    columns = [*header]
    lines = [columns, ["-"] * len(columns), *([f"{cell}" for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bars(title: str, label: str, values: Mapping[str, float], *, top: float) -> str:
    """Return a chart with a bar for each value, on an axis with this label that ends at `top`."""
    return f"""```mermaid
{_COLOR}
xychart-beta horizontal
    title "{title}"
    x-axis [{", ".join(f'"{name}: {value:.3g}"' for name, value in values.items())}]
    y-axis "{label}" 0 --> {top:g}
    bar [{", ".join(f"{value:.3g}" for value in values.values())}]
```"""


def update_page(name: str, text: str) -> None:
    """Replace a block of the page, between its markers."""
    PAGE.write_text(replace_block(PAGE.read_text(encoding="utf-8"), name, text), encoding="utf-8")
