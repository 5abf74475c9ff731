"""StartChatContact and StopContact of the local participant service, as boto3 sees them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from sandbox.participant_service.chats import CONTENT_TYPES
from sandbox.participant_service.server import RunningParticipantService, running_participant_service

if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
INTERACTIVE = "application/vnd.amazonaws.connect.message.interactive"


class FakeClock:
    """Seconds since the epoch; passes only when told to."""

    def __init__(self) -> None:
        self.moment = NOON

    def __call__(self) -> float:
        return self.moment.timestamp()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def running(clock: FakeClock) -> Iterator[RunningParticipantService]:
    with running_participant_service(clock=clock) as running:
        yield running


@dataclass(frozen=True)
class AmazonConnect:
    """What a back end calls: the `connect` client starts a chat, the other one takes part in it."""

    connect: Any
    participant: Any

    def start(self, **members: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
        answer: dict[str, Any] = self.connect.start_chat_contact(
            **{
                "InstanceId": "instance-1",
                "ContactFlowId": "flow-1",
                "ParticipantDetails": {"DisplayName": "Alice"},
                "ClientToken": "chat-1",
            }
            | members
        )
        return answer

    def connection_token(self, chat: dict[str, Any]) -> str:
        answer = self.participant.create_participant_connection(
            ParticipantToken=chat["ParticipantToken"],
            Type=["CONNECTION_CREDENTIALS"],
            ConnectParticipant=True,
        )
        token: str = answer["ConnectionCredentials"]["ConnectionToken"]
        return token

    def send(self, connection_token: str, content: str, content_type: str = "text/plain") -> str:
        """Send a message; return its id."""
        answer = self.participant.send_message(
            ConnectionToken=connection_token, ContentType=content_type, Content=content
        )
        return str(answer["Id"])


@pytest.fixture
def amazon_connect(running: RunningParticipantService) -> Iterator[AmazonConnect]:
    def client(service: str) -> Any:  # noqa: ANN401  # boto3 makes its clients at run time
        return boto3.client(
            service,
            endpoint_url=running.url,
            region_name="eu-central-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}),
        )

    with closing(client("connect")) as connect, closing(client("connectparticipant")) as participant:
        yield AmazonConnect(connect, participant)


def test_the_chat_is_one_that_its_participant_can_connect_to(
    running: RunningParticipantService, amazon_connect: AmazonConnect
) -> None:
    chat = amazon_connect.start(Attributes={"order": "4711"})

    sent = amazon_connect.send(amazon_connect.connection_token(chat), "Hello")

    (message,) = running.service.messages(chat["ContactId"])
    assert (message.id, message.participant_id) == (sent, chat["ParticipantId"])
    assert message.display_name == "Alice"


def test_the_same_client_token_is_the_same_chat(
    running: RunningParticipantService, amazon_connect: AmazonConnect
) -> None:
    first, repeat, other = (
        amazon_connect.start(),
        amazon_connect.start(),
        amazon_connect.start(ClientToken="chat-2"),
    )

    names = ("ContactId", "ParticipantId", "ParticipantToken")
    assert [repeat[name] for name in names] == [first[name] for name in names]
    assert other["ContactId"] != first["ContactId"]
    assert len(running.service.chats()) == 2


def test_the_initial_message_comes_first(
    running: RunningParticipantService, amazon_connect: AmazonConnect
) -> None:
    chat = amazon_connect.start(InitialMessage={"ContentType": "text/plain", "Content": "Hello"})

    amazon_connect.send(amazon_connect.connection_token(chat), "Are you there?")

    contents = [message.content for message in running.service.messages(chat["ContactId"])]
    assert contents == ["Hello", "Are you there?"]


@pytest.mark.parametrize(
    ("supported", "enabled"),
    [
        ({}, {"text/plain"}),
        (
            {"SupportedMessagingContentTypes": ["text/plain", "text/markdown", INTERACTIVE]},
            {"text/plain", "text/markdown"},
        ),
        ({"SupportedMessagingContentTypes": list(CONTENT_TYPES)}, set(CONTENT_TYPES)),
    ],
)
def test_only_the_content_types_that_the_chat_was_started_with_are_accepted(
    amazon_connect: AmazonConnect, supported: dict[str, Any], enabled: set[str]
) -> None:
    token = amazon_connect.connection_token(amazon_connect.start(**supported))

    accepted = set()
    for content_type in CONTENT_TYPES:
        try:
            amazon_connect.send(token, "{}", content_type)
        except amazon_connect.participant.exceptions.ValidationException:
            continue
        accepted.add(content_type)

    assert accepted == enabled


@pytest.mark.parametrize(("members", "minutes"), [({}, 25 * 60), ({"ChatDurationInMinutes": 60}, 60)])
def test_the_chat_ends_when_its_duration_is_over(
    running: RunningParticipantService,
    amazon_connect: AmazonConnect,
    clock: FakeClock,
    members: dict[str, Any],
    minutes: int,
) -> None:
    amazon_connect.start(**members)

    clock.moment = NOON + timedelta(minutes=minutes, milliseconds=-1)
    (before,) = running.service.chats()
    clock.moment = NOON + timedelta(minutes=minutes)
    (after,) = running.service.chats()

    assert (before.ended_at is None, after.ended_at is None) == (True, False)


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        # What botocore checks itself (required members, their types and least lengths) does not get here
        ({"InstanceId": "x" * 101}, "InstanceId"),
        ({"ContactFlowId": "x" * 501}, "ContactFlowId"),
        ({"ContactFlowId": ""}, "ContactFlowId"),
        ({"ParticipantDetails": {"DisplayName": "x" * 257}}, "DisplayName"),
        ({"InitialMessage": {"ContentType": "text/plain", "Content": "x" * 16_385}}, "16384 bytes"),
        ({"InitialMessage": {"ContentType": "text/markdown", "Content": "x"}}, "ContentType"),
        ({"ClientToken": "x" * 501}, "ClientToken"),
        ({"ChatDurationInMinutes": 10_081}, "ChatDurationInMinutes"),
        ({"SupportedMessagingContentTypes": ["text/markdown"]}, "must contain text/plain"),
        ({"SupportedMessagingContentTypes": ["text/plain", "text/html"]}, "unknown content type"),
    ],
)
def test_bad_input_is_an_invalid_parameter(
    running: RunningParticipantService, amazon_connect: AmazonConnect, members: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(amazon_connect.connect.exceptions.InvalidParameterException, match=complaint):
        amazon_connect.start(**members)

    assert running.service.chats() == []


@pytest.mark.parametrize(
    "members",
    [
        {"ConnectionTypes": ["CONNECTION_CREDENTIALS"]},
        {"PersistentChat": {"SourceContactId": "contact-0", "RehydrationType": "FROM_SEGMENT"}},
        {"ChatStreamingConfiguration": {"StreamingEndpointArn": "arn:aws:sns:eu-central-1:1:topic"}},
    ],
)
def test_what_is_not_served_is_refused_by_name(
    amazon_connect: AmazonConnect, members: dict[str, Any]
) -> None:
    with pytest.raises(
        amazon_connect.connect.exceptions.InvalidRequestException,
        match=f"{next(iter(members))} is not served",
    ):
        amazon_connect.start(**members)


def test_a_chat_that_was_stopped_takes_no_message(amazon_connect: AmazonConnect) -> None:
    chat = amazon_connect.start()
    token = amazon_connect.connection_token(chat)

    for _ in range(2):
        amazon_connect.connect.stop_contact(InstanceId="instance-1", ContactId=chat["ContactId"])

    with pytest.raises(amazon_connect.participant.exceptions.AccessDeniedException):
        amazon_connect.send(token, "Hello")


def test_a_chat_that_never_was_cannot_be_stopped(amazon_connect: AmazonConnect) -> None:
    with pytest.raises(amazon_connect.connect.exceptions.ResourceNotFoundException):
        amazon_connect.connect.stop_contact(InstanceId="instance-1", ContactId="contact-0")
