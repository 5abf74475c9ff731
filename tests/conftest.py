"""What every tier of tests shares: no socket leaves this machine."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from pytest_socket import socket_allow_hosts

# How long an example takes says something of the machine, and nothing of the function.
settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")


@pytest.fixture(autouse=True)
def _loopback_only() -> None:
    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "e2e: needs the local stack")
