"""Settings that every tier of tests shares."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from pytest_socket import socket_allow_hosts

# An example has no time limit: a busy machine is not a failure. CI runs more examples: see `make check`.
_ANY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", _ANY_MACHINE, max_examples=20)
settings.register_profile("thorough", _ANY_MACHINE, max_examples=100)
# A mutant that fails needs no smaller example, and the next run should find the same ones
settings.register_profile(
    "mutants", _ANY_MACHINE, derandomize=True, phases=[Phase.explicit, Phase.generate], max_examples=20
)
settings.load_profile("quick")

TIERS = ["console", "e2e", "clients", "infra", "simulation", "functional", "compatibility", "unit"]
"""In the order in which two workers finish at the same time: long files of tests first."""


@pytest.fixture(autouse=True)
def _loopback_only() -> None:
    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "e2e: needs the local stack")


@pytest.hookimpl(trylast=True)  # after pytest-randomly, which shuffles the files
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folder = Path(__file__).parent
    items.sort(key=lambda item: TIERS.index(item.path.relative_to(folder).parts[0]))
