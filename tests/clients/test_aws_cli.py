"""The AWS CLI, unmodified, against the local participant service."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.participant_service.faults import Status

if TYPE_CHECKING:
    from sandbox.participant_service.server import RunningParticipantService

ROOT = Path(__file__).parents[2]
# The exit status of version 1, which is on PyPI. Version 2 has 254.
SERVICE_ERROR = 255


@dataclass(frozen=True)
class Cli:
    environ: dict[str, str]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(ROOT / ".sandbox/venv-awscli/bin/aws"), *arguments, "--output", "json"],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def __call__(self, *arguments: str) -> dict[str, Any]:
        done = self.run(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        answer: dict[str, Any] = json.loads(done.stdout or "{}")
        return answer


@pytest.fixture
def aws(environ: dict[str, str]) -> Cli:
    return Cli(environ)


@pytest.fixture
def connection_token(aws: Cli) -> str:
    """Start a chat and connect to it with the CLI."""
    chat = aws(
        *("connect", "start-chat-contact", "--instance-id", "instance-1", "--contact-flow-id", "flow-1"),
        *("--participant-details", "DisplayName=Alice"),
    )
    connection = aws(
        *("connectparticipant", "create-participant-connection"),
        *("--participant-token", chat["ParticipantToken"], "--type", "CONNECTION_CREDENTIALS"),
    )
    token: str = connection["ConnectionCredentials"]["ConnectionToken"]
    return token


def sending(connection_token: str, content: str, *more: str) -> list[str]:
    return [
        *("connectparticipant", "send-message", "--connection-token", connection_token),
        *("--content-type", "text/plain", "--content", content, *more),
    ]


def test_repeated_message_is_sent_once_and_read(aws: Cli, connection_token: str) -> None:
    message = sending(connection_token, "Grüße 👋", "--client-token", "greeting-1")

    first, repeat = aws(*message), aws(*message)
    transcript = aws("connectparticipant", "get-transcript", "--connection-token", connection_token)

    assert repeat == first
    items = [item for item in transcript["Transcript"] if item["Type"] == "MESSAGE"]
    assert [(item["Id"], item["Content"]) for item in items] == [(first["Id"], "Grüße 👋")]


def test_disconnected_participant_is_refused(aws: Cli, connection_token: str) -> None:
    aws("connectparticipant", "disconnect-participant", "--connection-token", connection_token)

    done = aws.run(*sending(connection_token, "One more thing"))

    assert (done.returncode, done.stdout) == (SERVICE_ERROR, "")
    assert "(AccessDeniedException) when calling the SendMessage operation" in done.stderr
    assert connection_token not in done.stderr


def test_content_type_that_is_not_enabled_is_refused(aws: Cli, connection_token: str) -> None:
    done = aws.run(*sending(connection_token, "**Hello**", "--content-type", "text/markdown"))

    assert done.returncode == SERVICE_ERROR
    assert "(ValidationException) when calling the SendMessage operation" in done.stderr


def test_cli_retries_a_throttled_message_with_the_same_client_token(
    running: RunningParticipantService, aws: Cli, connection_token: str
) -> None:
    running.faults.add(Status(status=429), times=2)

    sent = aws(*sending(connection_token, "Hello"))

    counts = running.api.client_tokens
    assert list(counts.values()) == [3]
    (chat,) = running.service.chats()
    assert [item.id for item in running.service.messages(chat.contact_id)] == [sent["Id"]]
