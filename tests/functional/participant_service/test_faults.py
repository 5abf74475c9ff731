"""Each fault of the local participant service, as a client sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import urllib3

from sandbox.participant_service.faults import (
    AcceptedThenCut,
    AcceptedThenStatus,
    BadBody,
    BodyCutShort,
    Fault,
    Latency,
    Processing,
    ResetBeforeAcceptance,
    Status,
)
from sandbox.participant_service.transcript import ProcessingStatus
from tests.functional.participant_service.conftest import TEXT

if TYPE_CHECKING:
    from sandbox.participant_service.server import RunningParticipantService
    from tests.functional.participant_service.conftest import Participant


def test_status_fault_accepts_no_message(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(Status(status=429, retry_after_ms=250, retry_after=1))

    response = participant.post()

    assert response.status == 429
    assert response.headers["x-amzn-errortype"] == "ThrottlingException"
    assert response.headers["x-amz-retry-after"] == "250"
    assert response.headers["retry-after"] == "1"
    assert participant.contents == []


@pytest.mark.parametrize("status", [408, 503, 599])
def test_status_without_an_exception_in_the_model_has_no_error_type(
    running: RunningParticipantService, participant: Participant, status: int
) -> None:
    running.faults.add(Status(status=status))

    response = participant.post()

    assert response.status == status
    assert "x-amzn-errortype" not in response.headers


def test_redirect_fault_has_a_location(running: RunningParticipantService, participant: Participant) -> None:
    running.faults.add(Status(status=307, location="https://elsewhere.example/"))

    response = participant.post()

    assert (response.status, response.headers["location"]) == (307, "https://elsewhere.example/")


def test_reset_before_acceptance_does_not_accept_the_message(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(ResetBeforeAcceptance())

    with pytest.raises(urllib3.exceptions.ProtocolError, match="ConnectionResetError"):
        participant.post()

    assert participant.contents == []


def test_accepted_then_cut_accepts_the_message_without_an_answer(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(AcceptedThenCut())

    with pytest.raises(urllib3.exceptions.ProtocolError, match="RemoteDisconnected"):
        participant.post()

    assert participant.contents == [TEXT]


def test_body_cut_short_accepts_the_message(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(BodyCutShort())

    with pytest.raises(urllib3.exceptions.ProtocolError, match="IncompleteRead"):
        participant.post()

    assert participant.contents == [TEXT]


@pytest.mark.parametrize(
    ("fault", "body"),
    [(BadBody(), b'{"Id": "'), (BadBody(body='{"AbsoluteTime": "x"}'), b'{"AbsoluteTime": "x"}')],
)
def test_bad_body_accepts_the_message(
    running: RunningParticipantService, participant: Participant, fault: Fault, body: bytes
) -> None:
    running.faults.add(fault)

    response = participant.post()

    assert (response.status, response.data) == (200, body)
    assert participant.contents == [TEXT]


def test_accepted_then_status_accepts_the_message(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(AcceptedThenStatus(status=500))

    with pytest.raises(participant.client.exceptions.InternalServerException):
        participant.send()

    assert participant.contents == [TEXT]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (ProcessingStatus.PROCESSING, [TEXT]),
        (ProcessingStatus.REJECTED, []),
        (ProcessingStatus.FAILED, []),
    ],
)
def test_processing_status_is_returned_again_for_a_repeat(
    running: RunningParticipantService,
    participant: Participant,
    status: ProcessingStatus,
    expected: list[str],
) -> None:
    running.faults.add(Processing(status=status))

    first = participant.send(ClientToken="1")
    repeat = participant.send(ClientToken="1")

    assert first["MessageMetadata"] == {"MessageProcessingStatus": status}
    assert (repeat["Id"], repeat["MessageMetadata"]) == (first["Id"], first["MessageMetadata"])
    assert participant.contents == expected


def test_transcript_shows_a_message_in_processing(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(Processing(status=ProcessingStatus.PROCESSING))
    sent = participant.send()

    answer = participant.get_transcript()

    assert answer["Transcript"][0]["MessageMetadata"] == {
        "MessageId": sent["Id"],
        "MessageProcessingStatus": "PROCESSING",
    }


def test_message_is_accepted_although_the_client_stops_waiting(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(Latency(latency=60))

    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        participant.post(timeout=0.02)

    assert participant.contents == [TEXT]


def test_late_answer_arrives(running: RunningParticipantService, participant: Participant) -> None:
    running.faults.add(Latency(latency=0.01))

    response = participant.post()

    assert response.status == 200


def test_message_appears_once_after_three_faults_and_a_repeat(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(ResetBeforeAcceptance())
    running.faults.add(AcceptedThenCut())
    running.faults.add(BodyCutShort())
    for _ in range(3):
        with pytest.raises(urllib3.exceptions.ProtocolError):
            participant.post()

    response = participant.post()

    (item,) = running.service.messages(participant.contact_id)
    assert response.json()["Id"] == item.id


def test_connection_stays_open_after_answers_and_errors(
    running: RunningParticipantService, participant: Participant
) -> None:
    pool = urllib3.connection_from_url(running.url, maxsize=1, retries=False)
    running.faults.add(Status(status=500), client_token="2")
    running.faults.add(BadBody(), client_token="3")

    with pool:
        for client_token in "1234":
            pool.request(
                "POST",
                "/participant/message",
                headers={"X-Amz-Bearer": participant.connection_token},
                json={"ContentType": "text/plain", "Content": TEXT, "ClientToken": client_token},
            )
        connections = pool.num_connections

    assert connections == 1
