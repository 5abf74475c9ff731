"""The short form of the fault suite, with one seed. `make faults` draws one; SEED sets it for both."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def seed() -> int:
    """Return the seed, which pytest shows where a test fails."""
    number = int(os.environ.get("SEED") or 1)
    print(f"SEED={number}")  # noqa: T201  # shown with a failure
    return number
