"""The AWS SDK for JavaScript v3, unmodified, against the local participant service."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.participant_service.chats import CONTENT_TYPES
from sandbox.participant_service.faults import Status

if TYPE_CHECKING:
    from sandbox.participant_service.chats import Chat
    from sandbox.participant_service.server import RunningParticipantService

PROGRAM = Path(__file__).with_name("participant.mjs")


@dataclass(frozen=True)
class Participant:
    chat: Chat
    environ: dict[str, str]

    def call(self, *calls: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """Connect, make the calls, and return the result of each, that of connecting first."""
        done = subprocess.run(
            ["node", str(PROGRAM)],
            input=json.dumps({"participantToken": self.chat.participant_token, "calls": calls}),
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        results: list[dict[str, Any]] = json.loads(done.stdout)
        return results


def message(content: str, **members: str) -> tuple[str, dict[str, str]]:
    return "SendMessage", {"ContentType": "text/plain", "Content": content} | members


@pytest.fixture
def participant(running: RunningParticipantService, environ: dict[str, str]) -> Participant:
    return Participant(running.service.start_chat(), environ)


def test_participant_connects_sends_reads_and_leaves(participant: Participant) -> None:
    content = '{"text": "**Grüße** 👋"}'

    connected, *sent, transcript, left, late = participant.call(
        *(message(content, ContentType=content_type) for content_type in CONTENT_TYPES),
        ("GetTranscript", {"SortOrder": "ASCENDING", "MaxResults": 100}),
        ("DisconnectParticipant", {}),
        message("One more thing"),
    )

    assert connected["output"]["ConnectionCredentials"].keys() == {"ConnectionToken", "Expiry"}
    items = [item for item in transcript["output"]["Transcript"] if item["Type"] == "MESSAGE"]
    assert [(item["ContentType"], item["Content"]) for item in items] == [
        (content_type, content) for content_type in CONTENT_TYPES
    ]
    assert [item["Id"] for item in items] == [answer["output"]["Id"] for answer in sent]
    assert transcript["output"]["InitialContactId"] == participant.chat.contact_id
    assert left["output"] == {}
    assert late["error"]["name"] == "AccessDeniedException"


def test_repeat_with_the_same_client_token_appears_once(
    running: RunningParticipantService, participant: Participant
) -> None:
    _, first, repeat = participant.call(*[message("Hello", ClientToken="greeting-1")] * 2)

    assert repeat["output"] == first["output"]
    assert [item.content for item in running.service.messages(participant.chat.contact_id)] == ["Hello"]


@pytest.mark.parametrize(
    ("members", "name", "status"),
    [
        ({"ConnectionToken": "nonsense"}, "AccessDeniedException", 403),
        ({"ContentType": "text/html"}, "ValidationException", 400),
    ],
)
def test_error_is_the_exception_of_the_model(
    participant: Participant, members: dict[str, str], name: str, status: int
) -> None:
    _, answer = participant.call(message("Hello", **members))

    assert answer == {"error": {"name": name, "isModelled": True, "status": status, "attempts": 1}}


def test_sdk_retries_a_throttled_message_with_the_same_client_token(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(Status(status=429), times=2)

    _, answer = participant.call(message("Hello"))

    assert answer["attempts"] == 3
    (sent,) = running.service.messages(participant.chat.contact_id)
    assert sent.id == answer["output"]["Id"]
    # The SDK generated one ClientToken for all attempts
    assert running.api.client_tokens == {sent.client_token: 3}


def test_lasting_throttle_is_the_exception_of_the_model(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(Status(status=429), times=None)

    _, answer = participant.call(message("Hello"))

    assert answer == {
        "error": {"name": "ThrottlingException", "isModelled": True, "status": 429, "attempts": 3}
    }
