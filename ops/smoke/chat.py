"""The chat of the test: StartChatContact, and the calls of its participant."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from ops.smoke.settings import NewChat
from ops.stack.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_connect import ConnectClient
    from types_boto3_connectparticipant import ConnectParticipantClient
    from types_boto3_connectparticipant.type_defs import GetTranscriptResponseTypeDef

    from ops.smoke.settings import GivenChat

_PAGE_SIZE = 100


class ChatError(Exception):
    """The chat cannot be used. The text names the call that was refused, and holds no token."""


@dataclass(frozen=True, slots=True)
class Sent:
    id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer other than success, without the service's words, which may quote the message.

    `status` is None without an answer.
    """

    code: str
    status: int | None

    def __str__(self) -> str:
        return printable(self.code if self.status is None else f"{self.status} {self.code}")


@dataclass(slots=True, kw_only=True)
class Chat:
    """A chat and a connection to it. If this test started it, it also has the last three fields."""

    participant: ConnectParticipantClient = field(repr=False)
    connect: ConnectClient = field(repr=False)
    contact_id: str
    connection_token: str = field(default="", repr=False)
    participant_token: str | None = field(default=None, repr=False)
    instance_id: str | None = None
    ended_by: str | None = None
    """The call that ended it."""

    def join(self) -> None:
        """Connect the customer. A chat whose customer does not join ends after some minutes.

        Raises:
            ChatError: CreateParticipantConnection was refused.
        """
        try:
            connection = self.participant.create_participant_connection(
                ParticipantToken=self.participant_token or "",
                Type=["CONNECTION_CREDENTIALS"],
                ConnectParticipant=True,
            )
        except (ClientError, BotoCoreError) as error:
            raise ChatError(f"CreateParticipantConnection: {_refused(error)}") from None
        self.connection_token = connection["ConnectionCredentials"]["ConnectionToken"]

    def send(self, text: str, *, client_token: str, token: str | None = None) -> Sent | Refused:
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
            return _refused(error)
        return Sent(answer["Id"])

    def transcript(self) -> list[str]:
        """Return the texts of all messages.

        Raises:
            ChatError: GetTranscript was refused.
        """
        texts: list[str] = []
        next_token = ""
        while True:
            page = _transcript_page(self.participant, self.connection_token, next_token)
            texts += [item.get("Content", "") for item in page["Transcript"] if item["Type"] == "MESSAGE"]
            if not (next_token := page.get("NextToken", "")):
                return texts

    def end(self) -> None:
        """End the chat if this test started it. Without the permission to end it, leave it."""
        if self.instance_id is None or self.ended_by is not None:
            return
        with suppress(ClientError, BotoCoreError):
            self.connect.stop_contact(InstanceId=self.instance_id, ContactId=self.contact_id)
            self.ended_by = "StopContact"
            return
        with suppress(ClientError, BotoCoreError):
            self.participant.disconnect_participant(ConnectionToken=self.connection_token)
            self.ended_by = "DisconnectParticipant"


@contextmanager
def open_chat(
    wanted: NewChat | GivenChat,
    *,
    run_id: str,
    connect: ConnectClient,
    participant: ConnectParticipantClient,
) -> Iterator[Chat]:
    """Start a chat and end it when the block is left, or use the given one.

    Raises:
        ChatError: StartChatContact or the connection was refused.
    """
    if not isinstance(wanted, NewChat):
        page = _transcript_page(participant, wanted.connection_token)
        yield Chat(
            participant=participant,
            connect=connect,
            contact_id=page["InitialContactId"],
            connection_token=wanted.connection_token,
        )
        return
    chat = _start_chat(wanted, run_id=run_id, connect=connect, participant=participant)
    try:
        chat.join()
        yield chat
    finally:
        chat.end()


def _start_chat(
    wanted: NewChat, *, run_id: str, connect: ConnectClient, participant: ConnectParticipantClient
) -> Chat:
    try:
        started = connect.start_chat_contact(
            InstanceId=wanted.instance_id,
            ContactFlowId=wanted.contact_flow_id,
            ParticipantDetails={"DisplayName": "Smoke test"},
            ClientToken=run_id,
        )
    except ClientError as error:
        # This request holds no token, so the service's words are safe
        raise ChatError(
            f"StartChatContact: {_refused(error)}: {printable(error.response['Error']['Message'])}"
        ) from None
    return Chat(
        participant=participant,
        connect=connect,
        contact_id=started["ContactId"],
        participant_token=started["ParticipantToken"],
        instance_id=wanted.instance_id,
    )


def _transcript_page(
    participant: ConnectParticipantClient, connection_token: str, next_token: str = ""
) -> GetTranscriptResponseTypeDef:
    try:
        if not next_token:
            return participant.get_transcript(ConnectionToken=connection_token, MaxResults=_PAGE_SIZE)
        return participant.get_transcript(
            ConnectionToken=connection_token, MaxResults=_PAGE_SIZE, NextToken=next_token
        )
    except (ClientError, BotoCoreError) as error:
        raise ChatError(f"GetTranscript: {_refused(error)}") from None


def _refused(error: ClientError | BotoCoreError) -> Refused:
    if isinstance(error, BotoCoreError):
        return Refused(type(error).__name__, None)
    response = error.response
    return Refused(response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"])
