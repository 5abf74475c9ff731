"""The control calls under `/_local` and their client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import urllib3

from sandbox.participant_service.api import ErrorStyle, RequestCounts
from sandbox.participant_service.control import ControlCallError, ParticipantControl
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
from sandbox.participant_service.transcript import ItemType, ProcessingStatus
from tests.functional.participant_service.conftest import TEXT

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.participant_service.server import RunningParticipantService
    from tests.functional.participant_service.conftest import FakeClock, Participant


def test_control_calls_start_a_chat_and_read_its_transcript(
    running: RunningParticipantService, control: ParticipantControl, participant: Participant
) -> None:
    chat = control.start_chat(content_types=["text/plain", "application/json"], display_name="Ada")
    connection = control.connect(chat.participant_token)

    participant.send(ConnectionToken=connection.connection_token, ClientToken="1")

    assert control.transcript(chat.contact_id) == running.service.transcript(chat.contact_id)
    (message,) = control.messages(chat.contact_id)
    assert (message.type, message.content, message.client_token) == (ItemType.MESSAGE, TEXT, "1")
    assert message.display_name == "Ada"
    assert control.request_counts() == running.api.request_counts()


def test_control_calls_end_a_chat_and_expire_a_token(
    running: RunningParticipantService, control: ParticipantControl
) -> None:
    chat = control.start_chat(duration=3600, token_lifetime=60)
    connection = control.connect(chat.participant_token)

    control.expire_connection_token(connection.connection_token)
    control.end_chat(chat.contact_id)

    assert control.chats() == running.service.chats()
    (state,) = control.chats()
    assert state.ended_at is not None
    assert [connection.expired for connection in state.connections] == [True]
    with pytest.raises(ControlCallError, match="403"):
        control.connect(chat.participant_token)


@pytest.mark.parametrize(
    "fault",
    [
        AcceptedThenCut(latency=0.5),
        AcceptedThenStatus(status=502),
        BadBody(body="{}"),
        BodyCutShort(),
        Latency(latency=1.0),
        Processing(status=ProcessingStatus.REJECTED),
        ResetBeforeAcceptance(),
        Status(status=302, error_type="SomeException", retry_after_ms=1, retry_after=2, location="/x"),
    ],
    ids=lambda fault: fault.kind,
)
def test_control_call_plans_every_fault(
    running: RunningParticipantService, control: ParticipantControl, fault: Fault
) -> None:
    control.add_fault(fault, client_token="1", times=2)

    assert running.faults.take(contact_id=None, client_token="2") is None
    assert running.faults.take(contact_id=None, client_token="1") == fault
    assert running.faults.take(contact_id=None, client_token="1") == fault
    assert running.faults.take(contact_id=None, client_token="1") is None


def test_control_call_plans_a_fault_without_a_limit_and_clears_it(
    running: RunningParticipantService, control: ParticipantControl
) -> None:
    control.add_fault(Status(status=500), times=None)

    for _ in range(3):
        assert running.faults.take(contact_id=None, client_token=None) == Status(status=500)
    control.clear_faults()

    assert running.faults.take(contact_id=None, client_token=None) is None


def test_control_calls_set_throttle_window_and_error_style(
    running: RunningParticipantService,
    control: ParticipantControl,
    participant: Participant,
    clock: FakeClock,
) -> None:
    control.set_error_style(lower_case_message=True, type_suffix=":http://x/")
    assert running.api.error_style == ErrorStyle(lower_case_message=True, type_suffix=":http://x/")

    control.set_throttle(0.5, burst=1)
    participant.send()
    with pytest.raises(participant.client.exceptions.ThrottlingException):
        participant.send()
    control.throttle_off()

    control.set_idempotency_window(5)
    first = participant.send(ClientToken="1")
    clock.advance(5)
    assert participant.send(ClientToken="1")["Id"] != first["Id"]


def test_reset_restores_the_initial_state(
    control: ParticipantControl, participant: Participant, join: Callable[..., Participant]
) -> None:
    control.add_fault(Status(status=500), times=None)
    control.set_throttle(1, burst=1)

    control.reset()

    assert control.chats() == []
    assert control.request_counts() == RequestCounts(by_operation={}, by_client_token={})
    with pytest.raises(participant.client.exceptions.AccessDeniedException):
        participant.send()
    join().send()


@pytest.mark.parametrize(
    ("method", "path", "document", "status"),
    [
        ("POST", "/chats/unknown/end", {}, 404),
        ("GET", "/chats/unknown/transcript", {}, 404),
        ("POST", "/connections/expire", {"connection_token": "unknown"}, 404),
        ("POST", "/chats", {"content_types": ["text/html"]}, 400),
        ("POST", "/chats", {"duration": "long"}, 400),
        ("POST", "/faults", {"kind": "nonsense"}, 400),
        ("POST", "/faults", {"kind": "status", "status": 200}, 400),
        ("POST", "/faults", {"kind": "processing_status", "status": "DONE"}, 400),
        ("POST", "/faults", {"kind": "latency", "times": 0}, 400),
        ("PUT", "/throttle", {"burst": 1}, 400),
        ("GET", "/nonsense", {}, 404),
    ],
)
def test_invalid_control_call_is_refused(
    running: RunningParticipantService, method: str, path: str, document: dict[str, object], status: int
) -> None:
    response = urllib3.request(method, f"{running.url}/_local{path}", json=document)

    assert response.status == status
    assert response.json()["Message"]
