"""A local participant service, and the environment of a client in another process."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.participant_service.server import running_participant_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.participant_service.server import RunningParticipantService


ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session", autouse=True)
def _installed() -> None:
    """Install the clients, also if you run pytest without make."""
    clients = [".sandbox/venv-awscli/.installed", "node_modules/.dev-installed"]
    subprocess.run(["make", *clients], cwd=ROOT, check=True)


@pytest.fixture
def running() -> Iterator[RunningParticipantService]:
    with running_participant_service() as running:
        yield running


@pytest.fixture
def environ(running: RunningParticipantService, tmp_path: Path) -> dict[str, str]:
    """Return an environment with the local service's address and without the user's settings."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        # Participants' calls are not signed, but the JavaScript SDK requires credentials
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": running.url,
    }
