"""Coverage of child processes."""

from __future__ import annotations

import os


def measured_environ() -> dict[str, str]:
    """Return the variables that start coverage in a child. Add them to its environment."""
    return {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
