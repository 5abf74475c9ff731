"""Every cause for which the local participant service answers 403."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import urllib3

from sandbox.participant_service.chats import CHAT_ENDED, PARTICIPANT_JOINED, PARTICIPANT_LEFT
from tests.functional.participant_service.conftest import TEXT, connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.participant_service.server import RunningParticipantService
    from tests.functional.participant_service.conftest import FakeClock, Participant


def test_unknown_token_is_denied(participant: Participant) -> None:
    with pytest.raises(participant.client.exceptions.AccessDeniedException):
        participant.send(ConnectionToken="unknown")


def test_participant_token_in_place_of_a_connection_token_is_denied(participant: Participant) -> None:
    with pytest.raises(participant.client.exceptions.AccessDeniedException):
        participant.send(ConnectionToken=participant.participant_token)


def test_connection_token_in_place_of_a_participant_token_is_denied(participant: Participant) -> None:
    with pytest.raises(participant.client.exceptions.AccessDeniedException):
        connect(participant.client, participant.connection_token)


def test_request_without_a_token_is_denied(running: RunningParticipantService) -> None:
    response = urllib3.request("POST", f"{running.url}/participant/message", json={"Content": TEXT})

    assert response.status == 403


def test_token_past_its_lifetime_is_denied_and_can_be_renewed(
    join: Callable[..., Participant], clock: FakeClock
) -> None:
    participant = join(token_lifetime=60)
    clock.advance(60)

    with pytest.raises(participant.client.exceptions.AccessDeniedException):
        participant.send()

    participant.send(ConnectionToken=connect(participant.client, participant.participant_token))


def test_expired_token_is_denied(running: RunningParticipantService, participant: Participant) -> None:
    running.service.expire_connection_token(participant.connection_token)

    with pytest.raises(participant.client.exceptions.AccessDeniedException):
        participant.send()


def test_disconnected_participant_is_denied_and_cannot_reconnect(
    running: RunningParticipantService, participant: Participant
) -> None:
    denied = participant.client.exceptions.AccessDeniedException
    participant.client.disconnect_participant(ConnectionToken=participant.connection_token)

    with pytest.raises(denied):
        participant.send()
    with pytest.raises(denied):
        connect(participant.client, participant.participant_token)

    assert running.service.transcript(participant.contact_id)[-1].content_type == PARTICIPANT_LEFT


def test_ended_chat_is_denied_and_cannot_be_joined_again(
    running: RunningParticipantService, participant: Participant
) -> None:
    denied = participant.client.exceptions.AccessDeniedException
    running.service.end_chat(participant.contact_id)
    running.service.end_chat(participant.contact_id)

    with pytest.raises(denied):
        participant.send()
    with pytest.raises(denied):
        connect(participant.client, participant.participant_token)

    events = [item.content_type for item in running.service.transcript(participant.contact_id)]
    assert events == [PARTICIPANT_JOINED, CHAT_ENDED]


def test_chat_ends_after_its_duration(join: Callable[..., Participant], clock: FakeClock) -> None:
    participant = join(duration=3600)
    clock.advance(3600)

    with pytest.raises(participant.client.exceptions.AccessDeniedException):
        participant.send()
