"""CreateParticipantConnection of the local participant service."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

import pytest

from tests.functional.participant_service.conftest import connect

if TYPE_CHECKING:
    from types_boto3_connectparticipant.literals import ConnectionTypeType

    from tests.functional.participant_service.conftest import FakeClock, Participant


def test_connection_token_is_long_and_expires_after_a_day(participant: Participant, clock: FakeClock) -> None:
    answer = participant.client.create_participant_connection(
        ParticipantToken=participant.participant_token, Type=["WEBSOCKET", "CONNECTION_CREDENTIALS"]
    )

    credentials = answer["ConnectionCredentials"]
    assert re.fullmatch(r"[!-~]{500,1000}", credentials["ConnectionToken"])
    assert datetime.fromisoformat(credentials["Expiry"]).timestamp() == pytest.approx(clock() + 86_400)


@pytest.mark.parametrize(
    ("types", "given"),
    [
        (["CONNECTION_CREDENTIALS"], {"ConnectionCredentials"}),
        (["CONNECTION_CREDENTIALS", "WEBSOCKET"], {"ConnectionCredentials", "Websocket"}),
    ],
)
def test_websocket_is_returned_only_when_requested(
    participant: Participant, types: list[ConnectionTypeType], given: set[str]
) -> None:
    answer = participant.client.create_participant_connection(
        ParticipantToken=participant.participant_token, Type=types
    )

    assert answer.keys() - {"ResponseMetadata"} == given


def test_webrtc_connection_is_refused(participant: Participant) -> None:
    with pytest.raises(participant.client.exceptions.ValidationException):
        participant.client.create_participant_connection(
            ParticipantToken=participant.participant_token, Type=["WEBRTC_CONNECTION"]
        )


def test_renewed_connection_does_not_invalidate_the_first_one(participant: Participant) -> None:
    first = participant.connection_token
    second = connect(participant.client, participant.participant_token)

    participant.send("through the first", ConnectionToken=first)
    participant.send("through the second", ConnectionToken=second)

    assert first != second
