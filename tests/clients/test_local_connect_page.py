"""The commands and the JavaScript of docs/how-to/test-with-a-local-connect.md, as a reader pastes them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sandbox.participant_service.server import RunningParticipantService

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/test-with-a-local-connect.md").read_text()


def block(language: str, text: str) -> str:
    """Return the block of the page that has a text."""
    [found] = [
        each
        for each in re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
        if text in each
    ]
    return str(found)


def run(command: list[str], environ: dict[str, str], text: str = "") -> str:
    done = subprocess.run(
        command, input=text, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def shell(running: RunningParticipantService, environ: dict[str, str]) -> dict[str, str]:
    return {
        **environ,
        "PATH": f"{ROOT}/.sandbox/venv-awscli/bin:{environ['PATH']}",
        "AWS_ENDPOINT_URL_CONNECT": running.url,
        "AWS_ENDPOINT_URL_CONNECTPARTICIPANT": running.url,
    }


def test_commands_of_the_cli_start_a_chat_and_send(shell: dict[str, str]) -> None:
    printed = run(["/bin/sh", "-e"], shell, block("sh", "aws connectparticipant send-message"))

    transcript = json.loads(printed[printed.index("}\n") + 2 :])["Transcript"]
    assert [item["Content"] for item in transcript if item["Type"] == "MESSAGE"] == ["Hello"]


def test_javascript_connects_and_sends(running: RunningParticipantService, shell: dict[str, str]) -> None:
    chat = running.service.start_chat()

    run(
        ["node", "--input-type=module"],
        {**shell, "TOKEN": chat.participant_token},
        block("js", "SendMessage"),
    )

    assert [item.content for item in running.service.messages(chat.contact_id)] == ["Hello"]


def test_control_calls_are_answered(running: RunningParticipantService, shell: dict[str, str]) -> None:
    chat = running.service.start_chat()
    running.service.create_connection(chat.participant_token)
    [token] = running.service._connections  # noqa: SLF001  # no call lists tokens
    calls = re.findall(r"`(control [^`]+)`", PAGE)
    script = "\n".join([block("sh", "control() {"), block("sh", "control add_fault"), *calls])
    script = script.replace('"contact_id": "..."', f'"contact_id": "{chat.contact_id}"')
    script = script.replace('"connection_token": "..."', f'"connection_token": "{token}"')
    script = script.replace('"participant_token": "..."', f'"participant_token": "{chat.participant_token}"')

    answers = [json.loads(line) for line in run(["/bin/sh", "-e"], shell, script).splitlines()]

    assert len(answers) == 1 + len(calls) > 10
    assert [answer for answer in answers if "Message" in answer or "message" in answer] == []
