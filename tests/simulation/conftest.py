"""The seed of the short form of the simulation. `SEED` changes it, as in `make simulate`."""

from __future__ import annotations

import os
import sys

import pytest


@pytest.fixture(scope="session")
def seed() -> int:
    """Return the seed, and print it: pytest shows it where a test fails."""
    number = int(os.environ.get("SEED") or 1)
    sys.stdout.write(f"SEED={number}\n")
    return number
