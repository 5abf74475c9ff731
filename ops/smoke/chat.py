"""The chat that is written to: StartChatContact, and the participant's own calls."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from ops.smoke.settings import NewChat
from ops.stack.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ops.smoke.settings import GivenChat

_PAGE_SIZE = 100


class ChatError(Exception):
    """The chat cannot be used. The text says which call was refused, and holds no token."""


@dataclass(frozen=True, slots=True)
class Sent:
    id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An answer other than success, without the service's words, which may quote what was sent.

    `status` is None where there was no answer.
    """

    code: str
    status: int | None

    def __str__(self) -> str:
        return printable(self.code if self.status is None else f"{self.status} {self.code}")


@dataclass(slots=True, kw_only=True)
class Chat:
    """A chat and a connection to it. Who has started it also has `participant_token` and `instance_id`."""

    contact_id: str
    connection_token: str = field(default="", repr=False)
    participant_token: str | None = field(default=None, repr=False)
    instance_id: str | None = None
    ended_by: str | None = None
    """The call that has ended it."""
    connect: Any = field(repr=False)
    participant: Any = field(repr=False)

    def join(self) -> None:
        """Connect the customer, who is then no longer waited for.

        Raises:
            ChatError: CreateParticipantConnection was refused.
        """
        try:
            connection = self.participant.create_participant_connection(
                ParticipantToken=self.participant_token,
                Type=["CONNECTION_CREDENTIALS"],
                ConnectParticipant=True,
            )
        except (ClientError, BotoCoreError) as error:
            raise ChatError(f"CreateParticipantConnection: {_refused(error)}") from None
        self.connection_token = connection["ConnectionCredentials"]["ConnectionToken"]

    def send(self, text: str, *, client_token: str, token: str | None = None) -> Sent | Refused:
        """Call SendMessage once, with nothing of the stack in between.

        Args:
            text: goes as text/plain.
            client_token: the message's identity.
            token: another than the connection's.
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
        position: dict[str, str] = {}
        while True:
            page = _transcript_page(self.participant, self.connection_token, **position)
            texts += [item.get("Content", "") for item in page["Transcript"] if item["Type"] == "MESSAGE"]
            if "NextToken" not in page:
                return texts
            position = {"NextToken": page["NextToken"]}

    def end(self) -> None:
        """End the chat, if it was started here; leave it, if that is all that the credentials permit."""
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
    connect: Any,  # noqa: ANN401  # boto3 has no types
    participant: Any,  # noqa: ANN401  # the same
) -> Iterator[Chat]:
    """Start a chat and end it on leaving, or use the one that is there.

    Raises:
        ChatError: It does not start, or the connection to it is refused.
    """
    if not isinstance(wanted, NewChat):
        yield _given_chat(wanted, connect=connect, participant=participant)
        return
    chat = _start_chat(wanted, run_id=run_id, connect=connect, participant=participant)
    try:
        chat.join()
        yield chat
    finally:
        chat.end()


def _given_chat(wanted: GivenChat, *, connect: Any, participant: Any) -> Chat:  # noqa: ANN401  # boto3 has no types
    page = _transcript_page(participant, wanted.connection_token)
    return Chat(
        contact_id=page["InitialContactId"],
        connection_token=wanted.connection_token,
        connect=connect,
        participant=participant,
    )


def _start_chat(wanted: NewChat, *, run_id: str, connect: Any, participant: Any) -> Chat:  # noqa: ANN401  # boto3 has no types
    try:
        started = connect.start_chat_contact(
            InstanceId=wanted.instance_id,
            ContactFlowId=wanted.contact_flow_id,
            ParticipantDetails={"DisplayName": "Smoke test"},
            ClientToken=run_id,
        )
    except ClientError as error:
        # This request holds no token
        raise ChatError(
            f"StartChatContact: {_refused(error)}: {printable(error.response['Error']['Message'])}"
        ) from None
    return Chat(
        contact_id=started["ContactId"],
        participant_token=started["ParticipantToken"],
        instance_id=wanted.instance_id,
        connect=connect,
        participant=participant,
    )


def _transcript_page(participant: Any, connection_token: str, **position: str) -> dict[str, Any]:  # noqa: ANN401  # boto3 has no types
    try:
        page: dict[str, Any] = participant.get_transcript(
            ConnectionToken=connection_token, MaxResults=_PAGE_SIZE, **position
        )
    except (ClientError, BotoCoreError) as error:
        raise ChatError(f"GetTranscript: {_refused(error)}") from None
    return page


def _refused(error: ClientError | BotoCoreError) -> Refused:
    if isinstance(error, BotoCoreError):
        return Refused(type(error).__name__, None)
    response = error.response
    return Refused(response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"])
