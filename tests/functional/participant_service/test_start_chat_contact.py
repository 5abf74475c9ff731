"""StartChatContact and StopContact of the local participant service, as boto3 sees them."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from sandbox.participant_service.chats import CONTENT_TYPES
from tests.functional.participant_service.conftest import ONE_ATTEMPT, connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_connect import ConnectClient
    from types_boto3_connect.type_defs import StartChatContactResponseTypeDef
    from types_boto3_connectparticipant import ConnectParticipantClient

    from sandbox.participant_service.server import RunningParticipantService
    from tests.functional.participant_service.conftest import FakeClock

INTERACTIVE = "application/vnd.amazonaws.connect.message.interactive"


@dataclass(frozen=True)
class AmazonConnect:
    """A back end: its `connect` client starts chats, its `participant` client takes part in them."""

    connect: ConnectClient
    participant: ConnectParticipantClient

    def start(self, members: dict[str, Any] | None = None) -> StartChatContactResponseTypeDef:
        """Start a chat with valid members, in which `members` replace the defaults."""
        defaults: dict[str, Any] = {
            "InstanceId": "instance-1",
            "ContactFlowId": "flow-1",
            "ParticipantDetails": {"DisplayName": "Alice"},
            "ClientToken": "chat-1",
        }
        return self.connect.start_chat_contact(**defaults | (members or {}))

    def join(self, chat: StartChatContactResponseTypeDef) -> str:
        """Connect the customer and return the connection token."""
        return connect(self.participant, chat["ParticipantToken"])

    def send(self, connection_token: str, content: str, content_type: str = "text/plain") -> str:
        """Send a message and return its id."""
        answer = self.participant.send_message(
            ConnectionToken=connection_token, ContentType=content_type, Content=content
        )
        return answer["Id"]


@pytest.fixture
def amazon_connect(
    running: RunningParticipantService, client: ConnectParticipantClient
) -> Iterator[AmazonConnect]:
    connect_client = boto3.client(
        "connect",
        endpoint_url=running.url,
        region_name="eu-central-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=ONE_ATTEMPT,
    )
    with closing(connect_client):
        yield AmazonConnect(connect_client, client)


def test_participant_can_connect_to_the_started_chat(
    running: RunningParticipantService, amazon_connect: AmazonConnect
) -> None:
    chat = amazon_connect.start({"Attributes": {"order": "4711"}})

    sent = amazon_connect.send(amazon_connect.join(chat), "Hello")

    (message,) = running.service.messages(chat["ContactId"])
    assert (message.id, message.participant_id) == (sent, chat["ParticipantId"])
    assert message.display_name == "Alice"


def test_repeat_with_the_same_client_token_returns_the_same_chat(
    running: RunningParticipantService, amazon_connect: AmazonConnect
) -> None:
    first = {**amazon_connect.start()}
    repeat = {**amazon_connect.start()}
    other = amazon_connect.start({"ClientToken": "chat-2"})

    names = ("ContactId", "ParticipantId", "ParticipantToken")
    assert [repeat[name] for name in names] == [first[name] for name in names]
    assert other["ContactId"] != first["ContactId"]
    assert len(running.service.chats()) == 2


def test_initial_message_is_the_first_in_the_transcript(
    running: RunningParticipantService, amazon_connect: AmazonConnect
) -> None:
    chat = amazon_connect.start({"InitialMessage": {"ContentType": "text/plain", "Content": "Hello"}})

    amazon_connect.send(amazon_connect.join(chat), "Are you there?")

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
def test_only_the_supported_content_types_are_accepted(
    amazon_connect: AmazonConnect, supported: dict[str, Any], enabled: set[str]
) -> None:
    token = amazon_connect.join(amazon_connect.start(supported))

    accepted = set()
    for content_type in CONTENT_TYPES:
        try:
            amazon_connect.send(token, "{}", content_type)
        except amazon_connect.participant.exceptions.ValidationException:
            continue
        accepted.add(content_type)

    assert accepted == enabled


@pytest.mark.parametrize(("members", "minutes"), [({}, 25 * 60), ({"ChatDurationInMinutes": 60}, 60)])
def test_chat_ends_after_its_duration(
    running: RunningParticipantService,
    amazon_connect: AmazonConnect,
    clock: FakeClock,
    members: dict[str, Any],
    minutes: int,
) -> None:
    amazon_connect.start(members)

    clock.advance(minutes * 60 - 0.5)
    before = [chat.ended_at for chat in running.service.chats()]
    clock.advance(0.5)
    (after,) = [chat.ended_at for chat in running.service.chats()]

    assert before == [None]
    assert after is not None


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        # botocore itself rejects missing members, wrong types and too short values
        ({"InstanceId": "x" * 101}, "InstanceId"),
        ({"ContactFlowId": "x" * 501}, "ContactFlowId"),
        ({"ContactFlowId": ""}, "ContactFlowId"),
        ({"ParticipantDetails": {"DisplayName": "x" * 257}}, "DisplayName"),
        ({"InitialMessage": {"ContentType": "text/plain", "Content": "x" * 16_385}}, "16384 bytes"),
        ({"InitialMessage": {"ContentType": "text/markdown", "Content": "x"}}, "ContentType"),
        ({"ClientToken": "x" * 501}, "ClientToken"),
        ({"ChatStreamingConfiguration": {"StreamingEndpointArn": "x" * 351}}, "StreamingEndpointArn"),
        ({"ConnectionTypes": ["PIGEON"]}, "ConnectionTypes"),
        ({"ChatDurationInMinutes": 10_081}, "ChatDurationInMinutes"),
        ({"SupportedMessagingContentTypes": ["text/markdown"]}, "SupportedMessagingContentTypes"),
        ({"SupportedMessagingContentTypes": ["text/plain", "text/html"]}, "Unknown content types: text/html"),
    ],
)
def test_bad_input_raises_invalid_parameter(
    running: RunningParticipantService, amazon_connect: AmazonConnect, members: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(amazon_connect.connect.exceptions.InvalidParameterException, match=complaint):
        amazon_connect.start(members)

    assert running.service.chats() == []


@pytest.mark.parametrize(
    "members", [{"PersistentChat": {"SourceContactId": "contact-0", "RehydrationType": "FROM_SEGMENT"}}]
)
def test_unsupported_member_is_refused_by_name(
    amazon_connect: AmazonConnect, members: dict[str, Any]
) -> None:
    with pytest.raises(
        amazon_connect.connect.exceptions.InvalidRequestException,
        match=f"{next(iter(members))} is not served",
    ):
        amazon_connect.start(members)


def test_connection_token_of_the_started_chat_is_refused_until_the_participant_connects(
    amazon_connect: AmazonConnect,
) -> None:
    chat = amazon_connect.start({"ConnectionTypes": ["CONNECTION_CREDENTIALS"]})
    token = chat["ConnectionCredentials"]["ConnectionToken"]

    with pytest.raises(amazon_connect.participant.exceptions.AccessDeniedException):
        amazon_connect.send(token, "Hello")
    joined = amazon_connect.join(chat)

    assert amazon_connect.send(token, "Hello")
    assert amazon_connect.send(joined, "Hello again")
    assert "Websocket" not in chat


def test_started_chat_with_a_web_socket_needs_no_other_call(amazon_connect: AmazonConnect) -> None:
    chat = amazon_connect.start({"ConnectionTypes": ["WEBSOCKET", "CONNECTION_CREDENTIALS"]})

    assert chat["Websocket"]["Url"].startswith("wss://")
    assert amazon_connect.send(chat["ConnectionCredentials"]["ConnectionToken"], "Hello")


def test_chat_without_connection_types_has_no_connection(amazon_connect: AmazonConnect) -> None:
    other = ["AUTHENTICATION_SESSION", "WEBRTC_CONNECTION"]

    for members in ({}, {"ConnectionTypes": other}):
        chat = amazon_connect.start(members)
        assert not {"ConnectionCredentials", "Websocket", "StreamingId"} & chat.keys()


def test_chat_with_message_streaming_has_the_id_of_the_streaming(amazon_connect: AmazonConnect) -> None:
    members = {"ChatStreamingConfiguration": {"StreamingEndpointArn": "arn:aws:sns:eu-central-1:1:topic"}}

    first, repeat = amazon_connect.start(members), amazon_connect.start(members)

    assert first["StreamingId"] == repeat["StreamingId"]
    with pytest.raises(amazon_connect.participant.exceptions.AccessDeniedException):
        amazon_connect.participant.send_message(
            ConnectionToken=first["ParticipantToken"], ContentType="text/plain", Content="Hello"
        )


def test_stopped_chat_accepts_no_message(amazon_connect: AmazonConnect) -> None:
    chat = amazon_connect.start()
    token = amazon_connect.join(chat)

    for _ in range(2):
        amazon_connect.connect.stop_contact(InstanceId="instance-1", ContactId=chat["ContactId"])

    with pytest.raises(amazon_connect.participant.exceptions.AccessDeniedException):
        amazon_connect.send(token, "Hello")


def test_unknown_chat_cannot_be_stopped(amazon_connect: AmazonConnect) -> None:
    with pytest.raises(amazon_connect.connect.exceptions.ResourceNotFoundException):
        amazon_connect.connect.stop_contact(InstanceId="instance-1", ContactId="contact-0")


def test_streaming_starts_once_and_stops(amazon_connect: AmazonConnect) -> None:
    chat = amazon_connect.start()
    names: Any = {"InstanceId": "instance-1", "ContactId": chat["ContactId"]}
    streaming: Any = {
        "ChatStreamingConfiguration": {"StreamingEndpointArn": "arn:aws:sns:eu-central-1:1:chats"}
    }

    first, repeat = (
        amazon_connect.connect.start_contact_streaming(**names, **streaming, ClientToken=token)["StreamingId"]
        for token in ("1", "2")
    )
    amazon_connect.connect.stop_contact_streaming(**names, StreamingId=first)

    assert first == repeat
    with pytest.raises(amazon_connect.connect.exceptions.ResourceNotFoundException) as raised:
        amazon_connect.connect.stop_contact_streaming(**names, StreamingId="another")
    assert raised.value.response["Error"]["Message"] == "No such streaming"


def test_streaming_of_an_unknown_chat_is_refused(amazon_connect: AmazonConnect) -> None:
    with pytest.raises(amazon_connect.connect.exceptions.ResourceNotFoundException) as raised:
        amazon_connect.connect.start_contact_streaming(
            InstanceId="instance-1",
            ContactId="nobody",
            ChatStreamingConfiguration={"StreamingEndpointArn": "arn:aws:sns:eu-central-1:1:chats"},
            ClientToken="1",
        )

    assert raised.value.response["Error"]["Message"] == "No such chat"
