"""What a child process needs to be measured."""

from __future__ import annotations

import os


def measured_environ() -> dict[str, str]:
    """Return the variables by which coverage reaches a child that is given an environment of its own."""
    return {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
