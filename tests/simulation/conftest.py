"""The seed and the processor of the short form of the simulation. `SEED` changes the seed."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.simulation.pool import processors, stay_on

if TYPE_CHECKING:
    from collections.abc import Iterator

_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


@pytest.fixture(autouse=True)
def processor() -> Iterator[None]:
    """Keep each test on one processor, and the workers of pytest on different ones."""
    numbers = processors()
    stay_on([numbers[_WORKER % len(numbers)]])
    yield
    stay_on(numbers)


@pytest.fixture(scope="session")
def seed() -> int:
    """Return the seed, and print it: pytest shows it where a test fails."""
    number = int(os.environ.get("SEED") or 1)
    sys.stdout.write(f"SEED={number}\n")
    return number
