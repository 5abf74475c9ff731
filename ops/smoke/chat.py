"""The chat of the test: StartChatContact, and the calls of its participant."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from ops.stack.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from types_boto3_connect import ConnectClient
    from types_boto3_connectparticipant import ConnectParticipantClient
    from types_boto3_connectparticipant.type_defs import GetTranscriptRequestTypeDef

_PAGE_SIZE = 100


class ChatError(Exception):
    """The chat cannot be used. The text names the call that was refused, and holds no token."""


@dataclass(frozen=True, slots=True)
class NewChat:
    """A chat to start."""

    instance_id: str
    contact_flow_id: str


@dataclass(frozen=True, slots=True)
class GivenChat:
    """An existing chat, by a connection to it."""

    connection_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to SendMessage: the message's id, or why it was refused."""

    message_id: str | None
    refusal: str = ""


@dataclass(slots=True, kw_only=True)
class Chat:
    """A chat and a connection to it. If this test started it, it also has the last three fields."""

    participant: ConnectParticipantClient = field(repr=False)
    contact_id: str
    connection_token: str = field(default="", repr=False)
    participant_token: str = field(default="", repr=False)
    stop: Callable[[], object] | None = None
    ended_by: str | None = None
    """The call that ended it."""

    def send(self, text: str, *, client_token: str, token: str | None = None) -> Answer:
        """Call SendMessage directly, without the stack.

        Args:
            token: Sends with this instead of the connection token.
        """
        try:
            answer = self.participant.send_message(
                ConnectionToken=token or self.connection_token,
                ContentType="text/plain",
                Content=text,
                ClientToken=client_token,
            )
        except (ClientError, BotoCoreError) as error:
            return Answer(None, _refusal(error))
        return Answer(answer["Id"])

    def transcript(self) -> list[str]:
        """Return the texts of all messages.

        Raises:
            ChatError: GetTranscript was refused.
        """
        texts: list[str] = []
        request = _transcript_request(self.connection_token)
        while True:
            with _refusal_of("GetTranscript"):
                page = self.participant.get_transcript(**request)
            texts += [item.get("Content", "") for item in page["Transcript"] if item["Type"] == "MESSAGE"]
            if not page.get("NextToken"):
                return texts
            request["NextToken"] = page["NextToken"]

    def end(self) -> None:
        """End the chat if this test started it. Without the permission to end it, leave it."""
        if self.stop is None or self.ended_by is not None:
            return
        disconnect = partial(self.participant.disconnect_participant, ConnectionToken=self.connection_token)
        for name, call in (("StopContact", self.stop), ("DisconnectParticipant", disconnect)):
            with suppress(ClientError, BotoCoreError):
                call()
                self.ended_by = name
                return


@contextmanager
def open_chat(
    wanted: NewChat | GivenChat, *, run_id: str, connect: ConnectClient, participant: ConnectParticipantClient
) -> Iterator[Chat]:
    """Start a chat and end it when the block is left, or use the given one.

    Raises:
        ChatError: StartChatContact or the connection was refused.
    """
    if isinstance(wanted, GivenChat):
        token = wanted.connection_token
        with _refusal_of("GetTranscript"):
            page = participant.get_transcript(**_transcript_request(token))
        yield Chat(participant=participant, contact_id=page["InitialContactId"], connection_token=token)
        return
    try:
        started = connect.start_chat_contact(
            InstanceId=wanted.instance_id,
            ContactFlowId=wanted.contact_flow_id,
            ParticipantDetails={"DisplayName": "Smoke test"},
            ClientToken=run_id,
        )
    except ClientError as error:
        # This request holds no token, so the service's words are safe
        words = printable(error.response["Error"]["Message"])
        raise ChatError(f"StartChatContact: {_refusal(error)}: {words}") from None
    contact_id = started["ContactId"]
    chat = Chat(
        participant=participant,
        contact_id=contact_id,
        participant_token=started["ParticipantToken"],
        stop=partial(connect.stop_contact, InstanceId=wanted.instance_id, ContactId=contact_id),
    )
    try:
        # A chat whose customer does not join ends after some minutes
        with _refusal_of("CreateParticipantConnection"):
            connection = participant.create_participant_connection(
                ParticipantToken=chat.participant_token,
                Type=["CONNECTION_CREDENTIALS"],
                ConnectParticipant=True,
            )
        chat.connection_token = connection["ConnectionCredentials"]["ConnectionToken"]
        yield chat
    finally:
        chat.end()


def _transcript_request(connection_token: str) -> GetTranscriptRequestTypeDef:
    return {"ConnectionToken": connection_token, "MaxResults": _PAGE_SIZE}


@contextmanager
def _refusal_of(call: str) -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise ChatError(f"{call}: {_refusal(error)}") from None


def _refusal(error: ClientError | BotoCoreError) -> str:
    """Describe a refusal without the service's words, which may quote the message."""
    if isinstance(error, BotoCoreError):
        return type(error).__name__
    response = error.response
    return printable(f"{response['ResponseMetadata']['HTTPStatusCode']} {response['Error']['Code']}")
