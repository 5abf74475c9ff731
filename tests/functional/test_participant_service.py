"""The local participant service: as boto3 sees it, on the server, and as a process."""

from __future__ import annotations

import json
import logging
import re
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.participant_service.api import Answer, Ending, ErrorStyle, ParticipantApi, RequestCounts
from sandbox.participant_service.chats import CHAT_ENDED, CONTENT_TYPES, PARTICIPANT_JOINED, PARTICIPANT_LEFT
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
from sandbox.participant_service.server import RunningParticipantService, running_participant_service
from sandbox.participant_service.transcript import ItemType, ProcessingStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROJECT = Path(__file__).parents[2]
TEXT = "Where is my parcel, please?"
NOON = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC).timestamp()


class FakeClock:
    """Seconds since the epoch; passes only when told to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass(frozen=True)
class Participant:
    """A customer with a connection. Speaks through boto3, or with nothing between the test and the server."""

    running: RunningParticipantService
    client: Any
    http: urllib3.PoolManager
    contact_id: str
    participant_token: str = field(repr=False)
    connection_token: str = field(repr=False)

    def send(self, content: str = TEXT, **members: str) -> dict[str, Any]:
        members = {"ContentType": "text/plain", "ConnectionToken": self.connection_token} | members
        answer: dict[str, Any] = self.client.send_message(Content=content, **members)
        return answer

    def get_transcript(self, **members: object) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.get_transcript(ConnectionToken=self.connection_token, **members)
        return answer

    def post(
        self, members: dict[str, object] | None = None, *, timeout: float = 5.0
    ) -> urllib3.BaseHTTPResponse:
        """Send a valid message but for the members that are given."""
        return self.http.request(
            "POST",
            f"{self.running.url}/participant/message",
            headers={"X-Amz-Bearer": self.connection_token},
            json={"ContentType": "text/plain", "Content": TEXT, "ClientToken": "1"} | (members or {}),
            redirect=False,
            timeout=timeout,
        )

    def statuses(self, client_tokens: str) -> list[int]:
        """Post a message for each letter."""
        return [self.post({"ClientToken": client_token}).status for client_token in client_tokens]

    @property
    def contents(self) -> list[str | None]:
        return [item.content for item in self.running.service.messages(self.contact_id)]


def connect(client: Any, participant_token: str) -> str:  # noqa: ANN401  # boto3 has no types
    answer = client.create_participant_connection(
        ParticipantToken=participant_token, Type=["CONNECTION_CREDENTIALS"], ConnectParticipant=True
    )
    token: str = answer["ConnectionCredentials"]["ConnectionToken"]
    return token


@pytest.fixture(scope="module")
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="module")
def server(clock: FakeClock) -> Iterator[RunningParticipantService]:
    with running_participant_service(clock=clock) as running:
        yield running


@pytest.fixture
def running(server: RunningParticipantService) -> RunningParticipantService:
    server.api.reset()
    return server


@pytest.fixture(scope="module")
def client(server: RunningParticipantService) -> Iterator[Any]:
    client = boto3.client(
        "connectparticipant",
        endpoint_url=server.url,
        region_name="eu-central-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )
    yield client
    client.close()


@pytest.fixture(scope="module")
def http() -> Iterator[urllib3.PoolManager]:
    with urllib3.PoolManager(retries=False, timeout=5.0) as http:
        yield http


@pytest.fixture
def join(
    running: RunningParticipantService,
    client: Any,  # noqa: ANN401  # boto3 has no types
    http: urllib3.PoolManager,
) -> Callable[..., Participant]:
    """Start a chat, with the options of start_chat, and connect its customer."""

    def join(**options: Any) -> Participant:  # noqa: ANN401  # handed on
        chat = running.service.start_chat(**options)
        connection_token = connect(client, chat.participant_token)
        return Participant(running, client, http, chat.contact_id, chat.participant_token, connection_token)

    return join


@pytest.fixture
def participant(join: Callable[..., Participant]) -> Participant:
    return join()


# Connecting


def test_connection_token_is_long_and_lives_a_day(participant: Participant, clock: FakeClock) -> None:
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
def test_websocket_is_given_only_when_asked_for(
    participant: Participant, types: list[str], given: set[str]
) -> None:
    answer = participant.client.create_participant_connection(
        ParticipantToken=participant.participant_token, Type=types
    )

    assert answer.keys() - {"ResponseMetadata"} == given


def test_a_chat_has_no_webrtc_connection(participant: Participant) -> None:
    with pytest.raises(participant.client.exceptions.ValidationException):
        participant.client.create_participant_connection(
            ParticipantToken=participant.participant_token, Type=["WEBRTC_CONNECTION"]
        )


def test_renewed_connection_leaves_the_earlier_one_good(participant: Participant) -> None:
    first = participant.connection_token
    second = connect(participant.client, participant.participant_token)

    participant.send("through the first", ConnectionToken=first)
    participant.send("through the second", ConnectionToken=second)

    assert first != second


# Sending


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_each_content_type_appears_as_it_was_sent(
    running: RunningParticipantService, participant: Participant, content_type: str
) -> None:
    content = '{"text": "**Grüße** 👋"}'

    answer = participant.send(content, ContentType=content_type, ClientToken="1")

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer["AbsoluteTime"])
    assert "MessageMetadata" not in answer
    (item,) = running.service.messages(participant.contact_id)
    assert (item.id, item.absolute_time, item.content_type, item.content, item.client_token) == (
        answer["Id"],
        answer["AbsoluteTime"],
        content_type,
        content,
        "1",
    )


def test_repeat_is_answered_with_the_first_result_and_appears_once(
    participant: Participant, clock: FakeClock
) -> None:
    first = participant.send("first", ClientToken="1")
    clock.advance(60)

    repeat = participant.send("first", ClientToken="1")
    other_content = participant.send("other", ClientToken="1")

    assert (repeat["Id"], repeat["AbsoluteTime"]) == (first["Id"], first["AbsoluteTime"])
    assert other_content["Id"] == first["Id"]
    assert participant.contents == ["first"]


def test_repeat_through_a_renewed_connection_appears_once(participant: Participant) -> None:
    participant.send(ClientToken="1")

    renewed = connect(participant.client, participant.participant_token)
    participant.send(ClientToken="1", ConnectionToken=renewed)

    assert participant.contents == [TEXT]


def test_repeat_after_the_idempotency_window_appears_twice(
    running: RunningParticipantService, participant: Participant, clock: FakeClock
) -> None:
    running.service.set_idempotency_window(30)
    participant.send(ClientToken="1")

    clock.advance(29)
    participant.send(ClientToken="1")
    clock.advance(1)
    participant.send(ClientToken="1")

    assert participant.contents == [TEXT, TEXT]


def test_client_token_is_case_sensitive_and_of_one_participant(
    running: RunningParticipantService, join: Callable[..., Participant]
) -> None:
    one, other = join(), join()

    one.send(ClientToken="a")
    one.send(ClientToken="A")
    other.send(ClientToken="a")

    assert len(running.service.messages(one.contact_id)) == 2
    assert len(running.service.messages(other.contact_id)) == 1


def test_equal_texts_without_a_client_token_are_two_messages(participant: Participant) -> None:
    participant.post({"ClientToken": None})
    participant.post({"ClientToken": ""})

    assert participant.contents == [TEXT, TEXT]


@pytest.mark.parametrize("letter", ["a", "ä", "€", "👋"])
def test_content_may_have_16384_bytes_and_no_more(participant: Participant, letter: str) -> None:
    size = len(letter.encode())
    longest = letter * (16_384 // size) + "a" * (16_384 % size)

    participant.send(longest)

    with pytest.raises(participant.client.exceptions.ValidationException, match="16384 bytes"):
        participant.send(longest + "a")


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ({"Content": ""}, "Content"),
        ({"Content": None}, "Content is missing"),
        ({"Content": {"a": 1}}, "Content has the wrong type"),
        ({"ContentType": None}, "ContentType is missing"),
        ({"ContentType": "text/html"}, "ContentType"),
        ({"ClientToken": "x" * 501}, "ClientToken"),
        ({"ClientToken": 1}, "ClientToken"),
    ],
)
def test_bad_input_is_refused(participant: Participant, members: dict[str, object], complaint: str) -> None:
    response = participant.post(members)

    assert response.status == 400
    assert response.headers["x-amzn-errortype"] == "ValidationException"
    assert complaint in response.json()["Message"]
    assert participant.contents == []


@pytest.mark.parametrize("body", [b"", b"not JSON", b"[]", b"\xff"])
def test_body_that_is_no_object_is_refused(
    running: RunningParticipantService, participant: Participant, body: bytes
) -> None:
    response = urllib3.request(
        "POST",
        f"{running.url}/participant/message",
        body=body,
        headers={"X-Amz-Bearer": participant.connection_token},
    )

    assert (response.status, response.headers["x-amzn-errortype"]) == (400, "ValidationException")


def test_content_type_that_is_not_enabled_is_refused(join: Callable[..., Participant]) -> None:
    participant = join(content_types=["text/markdown"])

    participant.send(ContentType="text/plain")
    participant.send(ContentType="text/markdown")

    with pytest.raises(participant.client.exceptions.ValidationException, match="not enabled"):
        participant.send("{}", ContentType="application/json")


# One 403 for many causes


def test_unknown_token_is_denied(participant: Participant) -> None:
    with pytest.raises(participant.client.exceptions.AccessDeniedException):
        participant.send(ConnectionToken="unknown")


def test_participant_token_is_denied(participant: Participant) -> None:
    with pytest.raises(participant.client.exceptions.AccessDeniedException):
        participant.send(ConnectionToken=participant.participant_token)


def test_connection_token_is_no_participant_token(participant: Participant) -> None:
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


def test_disconnected_participant_is_denied_and_cannot_come_back(
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


def test_chat_ends_by_itself_when_its_duration_is_over(
    join: Callable[..., Participant], clock: FakeClock
) -> None:
    participant = join(duration=3600)
    clock.advance(3600)

    with pytest.raises(participant.client.exceptions.AccessDeniedException):
        participant.send()


# The transcript


def test_transcript_shows_messages_and_events_as_the_model_has_them(participant: Participant) -> None:
    sent = participant.send("hello", ClientToken="1")

    answer = participant.get_transcript(SortOrder="ASCENDING")

    joined, message = answer["Transcript"]
    assert answer["InitialContactId"] == participant.contact_id
    assert (joined["Type"], joined["ContentType"]) == ("EVENT", PARTICIPANT_JOINED)
    assert message | {"ParticipantId": "…"} == {
        "Id": sent["Id"],
        "AbsoluteTime": sent["AbsoluteTime"],
        "Type": "MESSAGE",
        "ContentType": "text/plain",
        "Content": "hello",
        "ParticipantId": "…",
        "DisplayName": "Customer",
        "ParticipantRole": "CUSTOMER",
    }


@pytest.fixture
def nine_messages(participant: Participant, clock: FakeClock) -> list[dict[str, Any]]:
    """Send the messages 1 to 9, a second apart; the transcript begins with an event, which stands for 0."""
    sent = []
    for number in range(1, 10):
        clock.advance(1)
        sent.append(participant.send(str(number)))
    return sent


def shown(answer: dict[str, Any]) -> str:
    return "".join(item.get("Content", "0") for item in answer["Transcript"])


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, "9876543210"),
        ({"SortOrder": "ASCENDING"}, "0123456789"),
        ({"MaxResults": 3}, "987"),
        ({"MaxResults": 3, "SortOrder": "ASCENDING"}, "789"),
        ({"MaxResults": 3, "ScanDirection": "FORWARD"}, "210"),
        ({"MaxResults": 3, "ScanDirection": "FORWARD", "SortOrder": "ASCENDING"}, "012"),
        ({"MaxResults": 3, "SortOrder": "ASCENDING", "StartPosition": {"MostRecent": 2}}, "89"),
        ({"MaxResults": 3, "ScanDirection": "BACKWARD", "StartPosition": {"MostRecent": 2}}, "876"),
        ({"SortOrder": "ASCENDING", "StartPosition": {"MostRecent": 100}}, "0123456789"),
    ],
)
@pytest.mark.usefixtures("nine_messages")
def test_page_follows_direction_order_and_start(
    participant: Participant, members: dict[str, object], expected: str
) -> None:
    answer = participant.get_transcript(**members)

    assert shown(answer) == expected


@pytest.mark.parametrize("member", ["Id", "AbsoluteTime"])
@pytest.mark.parametrize(("direction", "expected"), [("FORWARD", "45"), ("BACKWARD", "34")])
def test_page_starts_at_the_item_named(
    participant: Participant, nine_messages: list[dict[str, Any]], member: str, direction: str, expected: str
) -> None:
    answer = participant.get_transcript(
        MaxResults=2,
        ScanDirection=direction,
        SortOrder="ASCENDING",
        StartPosition={member: nine_messages[3][member]},
    )

    assert shown(answer) == expected


@pytest.mark.parametrize(("direction", "expected"), [("FORWARD", "0123456789"), ("BACKWARD", "7894561230")])
@pytest.mark.usefixtures("nine_messages")
def test_pages_together_show_everything_once(participant: Participant, direction: str, expected: str) -> None:
    members: dict[str, object] = {"MaxResults": 3, "ScanDirection": direction, "SortOrder": "ASCENDING"}
    pages = [participant.get_transcript(**members)]

    while "NextToken" in pages[-1]:
        pages.append(participant.get_transcript(NextToken=pages[-1]["NextToken"], **members))

    assert "".join(map(shown, pages)) == expected


@pytest.mark.parametrize(
    "members",
    [
        {"MaxResults": 101},
        {"NextToken": "made up"},
        {"StartPosition": {"Id": "unknown"}},
        {"StartPosition": {"AbsoluteTime": "yesterday"}},
        {"StartPosition": {"AbsoluteTime": "2026-01-31T12:00:00.000"}},
    ],
)
def test_bad_transcript_query_is_refused(participant: Participant, members: dict[str, object]) -> None:
    with pytest.raises(participant.client.exceptions.ValidationException):
        participant.get_transcript(**members)


def test_transcript_of_another_chat_is_denied(
    running: RunningParticipantService, participant: Participant
) -> None:
    other = running.service.start_chat()

    with pytest.raises(participant.client.exceptions.AccessDeniedException):
        participant.get_transcript(ContactId=other.contact_id)


def test_transcript_of_an_ended_chat_can_still_be_read(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.service.end_chat(participant.contact_id)

    answer = participant.get_transcript()

    assert answer["Transcript"][0]["ContentType"] == CHAT_ENDED


# Errors


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
def test_boto3_raises_the_modelled_exception(  # fixtures and parameters
    running: RunningParticipantService,
    participant: Participant,
    status: int,
    exception: str,
    lower_case_message: bool,  # a parameter of pytest's
    type_suffix: str,
) -> None:
    running.api.error_style = ErrorStyle(lower_case_message=lower_case_message, type_suffix=type_suffix)
    running.faults.add(Status(status=status))

    with pytest.raises(getattr(participant.client.exceptions, exception)) as raised:
        participant.send()

    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert raised.value.response["Error"]["Message"]


def test_error_is_written_as_the_style_says(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.api.error_style = ErrorStyle(lower_case_message=True, type_suffix=":http://internal.amazon.com/")

    response = participant.post({"Content": ""})

    assert response.headers["x-amzn-errortype"] == "ValidationException:http://internal.amazon.com/"
    assert list(response.json()) == ["message"]


def test_every_answer_has_a_request_id_of_its_own(
    running: RunningParticipantService, participant: Participant
) -> None:
    responses = [
        participant.post(),
        participant.post({"Content": ""}),
        urllib3.request("POST", f"{running.url}/participant/event"),
        urllib3.request("GET", f"{running.url}/_local/chats"),
    ]

    ids = {response.headers["x-amzn-requestid"] for response in responses}
    assert len(ids) == 4


def test_operation_that_is_not_here_says_so(participant: Participant) -> None:
    with pytest.raises(ClientError, match="This local service has") as raised:
        participant.client.send_event(
            ContentType="application/vnd.amazonaws.connect.event.typing",
            ConnectionToken=participant.connection_token,
        )

    assert raised.value.response["Error"]["Code"] == "UnknownOperationException"


# Faults on the server


def test_status_fault_accepts_nothing(running: RunningParticipantService, participant: Participant) -> None:
    running.faults.add(Status(status=429, retry_after_ms=250, retry_after=1))

    response = participant.post()

    assert response.status == 429
    assert response.headers["x-amzn-errortype"] == "ThrottlingException"
    assert response.headers["x-amz-retry-after"] == "250"
    assert response.headers["retry-after"] == "1"
    assert participant.contents == []


@pytest.mark.parametrize("status", [408, 503, 599])
def test_status_without_a_modelled_exception_names_none(
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


def test_reset_before_acceptance_leaves_nothing(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(ResetBeforeAcceptance())

    with pytest.raises(urllib3.exceptions.ProtocolError, match="ConnectionResetError"):
        participant.post()

    assert participant.contents == []


def test_accepted_then_cut_is_in_the_transcript_without_an_answer(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(AcceptedThenCut())

    with pytest.raises(urllib3.exceptions.ProtocolError, match="RemoteDisconnected"):
        participant.post()

    assert participant.contents == [TEXT]


def test_body_cut_short_is_accepted(running: RunningParticipantService, participant: Participant) -> None:
    running.faults.add(BodyCutShort())

    with pytest.raises(urllib3.exceptions.ProtocolError, match="IncompleteRead"):
        participant.post()

    assert participant.contents == [TEXT]


@pytest.mark.parametrize(
    ("fault", "body"),
    [(BadBody(), b'{"Id": "'), (BadBody(body='{"AbsoluteTime": "x"}'), b'{"AbsoluteTime": "x"}')],
)
def test_bad_body_is_accepted(
    running: RunningParticipantService, participant: Participant, fault: Fault, body: bytes
) -> None:
    running.faults.add(fault)

    response = participant.post()

    assert (response.status, response.data) == (200, body)
    assert participant.contents == [TEXT]


def test_accepted_then_status_is_in_the_transcript(
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
def test_processing_status_is_answered_and_kept_for_a_repeat(
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


def test_transcript_shows_that_a_message_is_still_processed(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(Processing(status=ProcessingStatus.PROCESSING))
    sent = participant.send()

    answer = participant.get_transcript()

    assert answer["Transcript"][0]["MessageMetadata"] == {
        "MessageId": sent["Id"],
        "MessageProcessingStatus": "PROCESSING",
    }


def test_client_that_gives_up_on_a_late_answer_has_sent_its_message(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(Latency(latency=60))

    with pytest.raises(urllib3.exceptions.ReadTimeoutError):
        participant.post(timeout=0.02)

    assert participant.contents == [TEXT]


def test_late_answer_comes(running: RunningParticipantService, participant: Participant) -> None:
    running.faults.add(Latency(latency=0.01))

    response = participant.post()

    assert response.status == 200


def test_message_is_whole_after_any_fault_and_a_repeat(
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


def test_connection_is_kept_open_between_answers_and_errors(
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


# The plan of faults


def test_faults_strike_in_the_order_of_their_planning(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(Status(status=500), times=2)
    running.faults.add(Status(status=429))

    seen = participant.statuses("1111")

    assert seen == [500, 500, 429, 200]


def test_fault_for_ever_strikes_until_it_is_cleared(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(Status(status=500), times=None)

    before = participant.statuses("111")
    running.faults.clear()
    after = participant.statuses("1")

    assert (before, after) == ([500, 500, 500], [200])


def test_fault_strikes_only_its_client_token(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(Status(status=500), client_token="2")

    seen = participant.statuses("123")

    assert seen == [200, 500, 200]


def test_fault_strikes_only_its_chat(
    running: RunningParticipantService, join: Callable[..., Participant]
) -> None:
    one, other = join(), join()
    running.faults.add(Status(status=500), contact_id=other.contact_id, times=None)

    seen = one.statuses("1") + other.statuses("1")

    assert seen == [200, 500]


def test_fault_by_chance_is_the_same_for_the_same_seed(
    running: RunningParticipantService, participant: Participant
) -> None:
    runs = []
    for seed in (1, 1, 2):
        running.faults.clear()
        running.faults.add(Status(status=500), times=None, probability=0.5, seed=seed)
        runs.append(participant.statuses("1" * 20))

    assert set(runs[0]) == {200, 500}
    assert runs[0] == runs[1] != runs[2]


def test_fault_spares_the_other_operations(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(Status(status=500), times=None)

    answer = participant.get_transcript()

    assert answer["Transcript"]


# Throttling and counting


def test_throttle_lets_a_burst_pass_and_then_the_rate(
    running: RunningParticipantService, participant: Participant, clock: FakeClock
) -> None:
    running.throttle.set(4, burst=3)

    burst = participant.statuses("1234")
    clock.advance(0.25)
    after_one_interval = participant.statuses("45")
    clock.advance(60)
    after_a_minute = participant.statuses("5678")

    assert burst == [200, 200, 200, 429]
    assert after_one_interval == [200, 429]
    assert after_a_minute == [200, 200, 200, 429]


def test_throttle_can_be_switched_off(running: RunningParticipantService, participant: Participant) -> None:
    running.throttle.set(1, burst=1)
    participant.send()
    with pytest.raises(participant.client.exceptions.ThrottlingException):
        participant.send()

    running.throttle.off()

    participant.send()


def test_requests_are_counted_whatever_becomes_of_them(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(Status(status=500))

    participant.statuses("112")
    participant.post({"ClientToken": "3", "Content": ""})

    assert running.api.request_counts() == RequestCounts(
        by_operation={"CreateParticipantConnection": 1, "SendMessage": 4},
        by_client_token={"1": 2, "2": 1, "3": 1},
    )


# The control calls


@pytest.fixture
def control(running: RunningParticipantService) -> Iterator[ParticipantControl]:
    with ParticipantControl(running.url) as control:
        yield control


def test_chat_can_be_led_from_another_process(
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
def test_every_fault_can_be_planned_by_a_control_call(
    running: RunningParticipantService, control: ParticipantControl, fault: Fault
) -> None:
    control.add_fault(fault, client_token="1", times=2)

    assert running.faults.take(contact_id=None, client_token="2") is None
    assert running.faults.take(contact_id=None, client_token="1") == fault
    assert running.faults.take(contact_id=None, client_token="1") == fault
    assert running.faults.take(contact_id=None, client_token="1") is None


def test_control_call_plans_a_fault_for_ever_and_clears_it(
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


def test_reset_forgets_everything(
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
def test_wrong_control_call_is_refused(
    running: RunningParticipantService, method: str, path: str, document: dict[str, object], status: int
) -> None:
    response = urllib3.request(method, f"{running.url}/_local{path}", json=document)

    assert response.status == status
    assert response.json()["Message"]


# Threads, secrets, sockets and processes


def test_messages_of_many_threads_all_appear_once(running: RunningParticipantService) -> None:
    chat = running.service.start_chat()
    connection = running.service.create_connection(chat.participant_token)

    def send() -> None:
        for number in range(200):
            running.service.send_message(
                connection.connection_token,
                content_type="text/plain",
                content=str(number),
                client_token=str(number),
            )

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    contents = [item.content for item in running.service.messages(chat.contact_id)]
    assert contents == [str(number) for number in range(200)]


def test_api_serves_virtual_time_without_a_socket() -> None:
    clock = FakeClock()
    api = ParticipantApi(clock=clock)
    chat = api.service.start_chat(token_lifetime=1000)
    connection = api.service.create_connection(chat.participant_token)
    api.faults.add(BodyCutShort(latency=2.0), client_token="500")

    def send(number: int) -> Answer:
        clock.advance(1)
        message = {"ContentType": "text/plain", "Content": TEXT, "ClientToken": str(number)}
        return api.call("SendMessage", bearer=connection.connection_token, body=json.dumps(message).encode())

    answers = [send(number) for number in range(1001)]

    assert [answer.status for answer in answers] == [200] * 999 + [403] * 2
    assert (answers[500].ending, answers[500].latency) == (Ending.BODY_CUT_SHORT, 2.0)
    assert len(api.service.messages(chat.contact_id)) == 999


def use_every_way(url: str) -> list[str]:
    """Have a service see tokens and text in success, error and every fault; return them all."""
    faults = [
        AcceptedThenCut(),
        AcceptedThenStatus(),
        BadBody(),
        BodyCutShort(),
        ResetBeforeAcceptance(),
        Status(status=500),
    ]
    with ParticipantControl(url) as control, urllib3.PoolManager(retries=False) as http:
        chat = control.start_chat()
        connection = control.connect(chat.participant_token)

        def send(members: dict[str, object] | None = None, timeout: float = 5.0) -> None:
            http.request(
                "POST",
                f"{url}/participant/message",
                headers={"X-Amz-Bearer": connection.connection_token},
                json={"ContentType": "text/plain", "Content": TEXT} | (members or {}),
                timeout=timeout,
            )

        send()
        send({"Content": TEXT * 1000})
        send({"ContentType": TEXT})
        for fault in faults:
            control.add_fault(fault)
            try:
                send()
            except urllib3.exceptions.ProtocolError:
                continue
        for fault in (Latency(latency=60), ResetBeforeAcceptance(latency=60)):
            control.add_fault(fault)
            with pytest.raises(urllib3.exceptions.ReadTimeoutError):
                send(timeout=0.02)
        control.expire_connection_token(connection.connection_token)
        send()
    return [TEXT, chat.participant_token, connection.connection_token]


def test_neither_token_nor_text_is_logged(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    with running_participant_service() as running:
        secrets = use_every_way(running.url)

    assert not [secret for secret in secrets if secret in caplog.text]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert capfd.readouterr() == ("", "")


def test_request_that_breaks_off_is_no_error(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with running_participant_service() as running:
        port = int(running.url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"POST /participant/message HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(1024)

    assert answer == b""
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_no_thread_and_no_socket_is_left_behind() -> None:
    threads_before = set(threading.enumerate())

    with running_participant_service() as running, urllib3.PoolManager(retries=False) as http:
        http.request("GET", f"{running.url}/_local/chats")
        port = int(running.url.rpartition(":")[2])

    assert set(threading.enumerate()) == threads_before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


def test_stop_does_not_wait_for_an_answer_that_is_late() -> None:
    with urllib3.PoolManager(retries=False, timeout=5.0) as http:
        with running_participant_service() as running:
            chat = running.service.start_chat()
            connection = running.service.create_connection(chat.participant_token)
            running.faults.add(Latency(latency=3600))
            seen: list[Exception] = []

            def send() -> None:
                try:
                    http.request(
                        "POST",
                        f"{running.url}/participant/message",
                        headers={"X-Amz-Bearer": connection.connection_token},
                        json={"ContentType": "text/plain", "Content": TEXT},
                    )
                except urllib3.exceptions.ProtocolError as error:
                    seen.append(error)

            sender = threading.Thread(target=send)
            sender.start()
            while not running.service.messages(chat.contact_id):
                threading.Event().wait(0.001)

        sender.join()

    assert len(seen) == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::"])  # noqa: S104  # what must be refused
def test_only_loopback_is_served(host: str) -> None:
    with pytest.raises(ValueError, match="not a loopback address"), running_participant_service(host=host):
        pass


class Process:
    """The service, started by its command; killed if a test leaves it running."""

    def __init__(self, *arguments: str) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "sandbox.participant_service", *arguments],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._popen.poll() is None:
            self._popen.kill()
            self.end()

    @property
    def pid(self) -> int:
        return self._popen.pid

    def first_line(self) -> str:
        assert self._popen.stdout is not None
        return self._popen.stdout.readline().strip()

    def end(self, stop_signal: signal.Signals | None = None) -> tuple[int, str, str]:
        """Return exit code, standard output but for what was read before, and standard error."""
        if stop_signal is not None:
            self._popen.send_signal(stop_signal)
        output, errors = self._popen.communicate(timeout=30)
        return self._popen.returncode, output, errors


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
def test_process_prints_its_url_and_nothing_else_and_stops_on_a_signal(
    tmp_path: Path, stop_signal: signal.Signals
) -> None:
    ready_file = tmp_path / "ready"

    with Process("--port", "0", "--ready-file", str(ready_file)) as process:
        url = process.first_line()
        use_every_way(url)
        ended = process.end(stop_signal)

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
    assert ready_file.read_text(encoding="utf-8") == f"{url}\n"
    assert ended == (0, "", "")


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's table of sockets")
def test_process_listens_on_loopback_alone() -> None:
    with Process("--port", "0") as process:
        port = int(process.first_line().rpartition(":")[2])
        tables = [
            Path(f"/proc/{process.pid}/net/{name}").read_text(encoding="ascii") for name in ("tcp", "tcp6")
        ]

    sockets = [line.split() for table in tables for line in table.splitlines()[1:]]
    listening = [fields[1] for fields in sockets if fields[3] == "0A" and fields[1].endswith(f":{port:04X}")]
    assert listening == [f"0100007F:{port:04X}"]


def test_process_refuses_another_host() -> None:
    with Process("--host", "0.0.0.0") as process:  # noqa: S104  # what must be refused
        code, output, errors = process.end()

    assert (code, output) == (2, "")
    assert "0.0.0.0 is not a loopback address" in errors


def test_process_says_in_one_line_that_its_port_is_taken(running: RunningParticipantService) -> None:
    with Process("--port", running.url.rpartition(":")[2]) as process:
        code, output, errors = process.end()

    assert (code, output) == (1, "")
    assert re.fullmatch(r"The participant service cannot start: .*in use.*\n", errors)
