"""The control calls under `/_local` and their client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.participant_service.api import ErrorStyle
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
from sandbox.participant_service.transcript import ProcessingStatus
from tests.functional.participant_service.conftest import TEXT, post_message

if TYPE_CHECKING:
    from collections.abc import Callable

    import urllib3

    from sandbox.participant_service.server import RunningParticipantService
    from tests.functional.participant_service.conftest import FakeClock, Participant


def test_control_calls_start_a_chat_and_read_its_transcript(
    running: RunningParticipantService, control: ParticipantControl, participant: Participant
) -> None:
    chat = control.open_chat(content_types=["text/plain"])
    renewed = control.new_connection_token(chat.participant_token)

    participant.send(ConnectionToken=chat.connection_token, ClientToken="1")
    with pytest.raises(participant.client.exceptions.ValidationException):
        participant.send(ConnectionToken=renewed, ContentType="application/json")

    assert control.transcript(chat.contact_id) == running.service.transcript(chat.contact_id)
    (message,) = control.messages(chat.contact_id)
    assert (message.type, message.content, message.client_token) == ("MESSAGE", TEXT, "1")
    assert control.call("requests") == running.api.requests


def test_control_calls_end_a_chat_and_expire_a_token(
    control: ParticipantControl, http: urllib3.PoolManager
) -> None:
    one, other = control.open_chat(), control.open_chat()

    control.call("expire_connection_token", connection_token=one.connection_token)
    control.end_chat(other.contact_id)

    assert [post_message(http, control.url, chat.connection_token).status for chat in (one, other)] == [
        403,
        403,
    ]
    assert [(chat["contact_id"], bool(chat["ended_at"])) for chat in control.call("chats")] == [
        (one.contact_id, False),
        (other.contact_id, True),
    ]
    control.new_connection_token(one.participant_token)
    with pytest.raises(ControlCallError, match="403"):
        control.new_connection_token(other.participant_token)


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
    ids=lambda fault: type(fault).__name__,
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
    control.call("set_error_style", lower_case_message=True, type_suffix=":http://x/")
    assert running.api.error_style == ErrorStyle(lower_case_message=True, type_suffix=":http://x/")

    control.call("set_throttle", requests_per_second=0.5, burst=1)
    participant.send()
    with pytest.raises(participant.client.exceptions.ThrottlingException):
        participant.send()
    control.call("throttle_off")

    control.call("set_idempotency_window", seconds=5)
    first = participant.send(ClientToken="1")
    clock.advance(5)
    assert participant.send(ClientToken="1")["Id"] != first["Id"]


def test_reset_restores_the_initial_state(
    control: ParticipantControl, participant: Participant, join: Callable[..., Participant]
) -> None:
    control.add_fault(Status(status=500), times=None)
    control.call("set_throttle", requests_per_second=1, burst=1)

    control.call("reset")

    assert control.call("chats") == []
    assert control.call("requests") == {}
    with pytest.raises(participant.client.exceptions.AccessDeniedException):
        participant.send()
    join().send()


@pytest.mark.parametrize(
    ("name", "arguments", "status"),
    [
        ("end_chat", {"contact_id": "unknown"}, 404),
        ("transcript", {"contact_id": "unknown"}, 404),
        ("expire_connection_token", {"connection_token": "unknown"}, 404),
        ("create_connection", {"participant_token": "unknown"}, 403),
        ("start_chat", {"content_types": ["text/html"]}, 400),
        ("start_chat", {"duration": "long"}, 400),
        ("add_fault", {"fault": {"kind": "nonsense"}}, 400),
        ("add_fault", {"fault": {"kind": "Status", "status": 200}}, 400),
        ("add_fault", {"fault": {"kind": "Processing", "status": "DONE"}}, 400),
        ("add_fault", {"fault": {"kind": "Latency"}, "times": 0}, 400),
        ("set_throttle", {"burst": 1}, 400),
        ("nonsense", {}, 404),
    ],
)
def test_invalid_control_call_is_refused(
    control: ParticipantControl, name: str, arguments: dict[str, object], status: int
) -> None:
    with pytest.raises(ControlCallError, match=f"^{status}: ."):
        control.call(name, **arguments)


@pytest.mark.parametrize(
    ("name", "arguments", "rule"),
    [
        (
            "add_fault",
            {"fault": {"kind": "Latency"}, "tmes": 3},
            "tmes is unknown (known: fault, contact_id, ",
        ),
        ("add_fault", {"fault": {"kind": "Latency"}, "times": "3"}, "times must be a whole number or null"),
        (
            "add_fault",
            {"fault": {"kind": "Latency"}, "probability": 2},
            "probability must be between 0 and 1",
        ),
        ("add_fault", {"fault": {"kind": "Latency", "latency": "8"}}, "latency must be a number"),
        (
            "add_fault",
            {"fault": {"kind": "Status", "stats": 500}},
            "stats is unknown (known: latency, status, ",
        ),
        ("add_fault", {"fault": {"kind": "Status"}}, "status is missing"),
        ("add_fault", {"fault": "Status"}, "fault must be an object"),
        ("add_fault", {"fault": {"kind": "Processing", "status": "DONE"}}, "status must be one of "),
        ("add_fault", {}, "fault is missing"),
        ("end_chat", {}, "contact_id is missing"),
        ("clear_faults", {"contact_id": "c-1"}, "contact_id is unknown (it takes none)"),
        ("start_chat", {"duration": True}, "duration must be a number"),
    ],
)
def test_invalid_argument_is_named_with_its_rule(
    control: ParticipantControl, name: str, arguments: dict[str, object], rule: str
) -> None:
    with pytest.raises(ControlCallError) as raised:
        control.call(name, **arguments)

    assert str(raised.value).startswith(f"400: The arguments are not valid: {rule}")
