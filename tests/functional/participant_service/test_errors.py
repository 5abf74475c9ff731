"""How the local participant service writes errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import urllib3
from botocore.exceptions import ClientError

from sandbox.participant_service.api import ErrorStyle
from sandbox.participant_service.errors import STATUSES, ServiceError
from sandbox.participant_service.faults import Status

if TYPE_CHECKING:
    from sandbox.participant_service.server import RunningParticipantService
    from tests.functional.participant_service.conftest import Participant


@pytest.mark.parametrize("type_suffix", ["", ":http://internal.amazon.com/coral/com.amazonaws.connect/"])
@pytest.mark.parametrize("lower_case_message", [False, True])
@pytest.mark.parametrize(
    ("status", "exception"),
    [
        (400, "ValidationException"),
        (403, "AccessDeniedException"),
        (409, "ConflictException"),
        (429, "ThrottlingException"),
        (500, "InternalServerException"),
    ],
)
def test_boto3_raises_the_exception_of_the_service_model(
    running: RunningParticipantService,
    participant: Participant,
    status: int,
    exception: str,
    lower_case_message: bool,
    type_suffix: str,
) -> None:
    running.api.error_style = ErrorStyle(lower_case_message=lower_case_message, type_suffix=type_suffix)
    running.faults.add(Status(status=status))

    with pytest.raises(getattr(participant.client.exceptions, exception)) as raised:
        participant.send()

    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert raised.value.response["Error"]["Message"]


def test_error_follows_the_error_style(running: RunningParticipantService, participant: Participant) -> None:
    running.api.error_style = ErrorStyle(lower_case_message=True, type_suffix=":http://internal.amazon.com/")

    response = participant.post({"Content": ""})

    assert response.headers["x-amzn-errortype"] == "ValidationException:http://internal.amazon.com/"
    assert list(response.json()) == ["message"]


def test_every_answer_has_a_unique_request_id(
    running: RunningParticipantService, participant: Participant
) -> None:
    responses = [
        participant.post(),
        participant.post({"Content": ""}),
        urllib3.request("POST", f"{running.url}/participant/event"),
        urllib3.request("POST", f"{running.url}/_local/chats"),
    ]

    ids = {response.headers["x-amzn-requestid"] for response in responses}
    assert len(ids) == 4


def test_unknown_operation_is_refused_with_a_list_of_known_ones(participant: Participant) -> None:
    with pytest.raises(ClientError, match="This local service has") as raised:
        participant.client.send_event(
            ContentType="application/vnd.amazonaws.connect.event.typing",
            ConnectionToken=participant.connection_token,
        )

    assert raised.value.response["Error"]["Code"] == "UnknownOperationException"


@pytest.mark.parametrize("code", STATUSES)
def test_no_text_is_empty(code: str) -> None:
    assert str(ServiceError(code))


@pytest.mark.parametrize(
    ("method", "path", "text"),
    [
        ("GET", "/", "This local service has"),
        ("POST", "/_local/nonsense", "The control calls are"),
        ("POST", "/_local/add_fault", "fault is missing"),
        ("POST", "/participant/message", "Forbidden"),
    ],
)
def test_answer_to_a_wrong_request_has_a_text(
    running: RunningParticipantService, method: str, path: str, text: str
) -> None:
    answer = urllib3.request(method, running.url + path)

    assert text in answer.json()["Message"]


def test_unknown_kind_of_fault_is_refused_with_a_list_of_kinds(running: RunningParticipantService) -> None:
    answer = urllib3.request("POST", f"{running.url}/_local/add_fault", json={"fault": {"kind": "Outage"}})

    assert "kind must be one of AcceptedThenCut, " in answer.json()["Message"]
