"""The chat of the test, and experiments with the Participant Service.

The experiments show what the service does where its documentation is silent or contradicts itself. They do
not go through the stack, and no answer fails the test.
"""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from infra.contract import REQUEST_SCHEMA
from message_sender.request import Secret
from ops.aws import CannotRunError
from ops.stack.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from types_boto3_connect import ConnectClient
    from types_boto3_connectparticipant import ConnectParticipantClient
    from types_boto3_connectparticipant.type_defs import GetTranscriptRequestTypeDef

_PAGE_SIZE = 100

_SHORT_DELAYS = (1,)
_LONG_DELAYS = (1, 60, 600)
_LONG_TEXT = REQUEST_SCHEMA["properties"]["Content"]["x-max-characters"]["specification"]["text/plain"] + 1


@dataclass(frozen=True, slots=True)
class NewChat:
    """A chat to start."""

    instance_id: str
    contact_flow_id: str


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
            CannotRunError: GetTranscript was refused.
        """
        texts: list[str] = []
        request: GetTranscriptRequestTypeDef = {
            "ConnectionToken": self.connection_token,
            "MaxResults": _PAGE_SIZE,
        }
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
    wanted: NewChat | Secret, *, run_id: str, connect: ConnectClient, participant: ConnectParticipantClient
) -> Iterator[Chat]:
    """Start a chat and end it when the block is left, or use that of a connection token.

    Raises:
        CannotRunError: StartChatContact or the connection was refused.
    """
    if isinstance(wanted, Secret):
        token = wanted.reveal()
        with _refusal_of("GetTranscript"):
            page = participant.get_transcript(ConnectionToken=token, MaxResults=_PAGE_SIZE)
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
        raise CannotRunError(f"StartChatContact: {_refusal(error)}: {words}") from None
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


@dataclass(frozen=True, slots=True)
class Experiment:
    """A message to the service and its answers: two if it was repeated.

    Attributes:
        text: None if it was sent after the transcript had been read.
    """

    name: str
    text: str | None
    answers: Sequence[Answer]

    def observed(self, transcript: Sequence[str]) -> str:
        first, *repeats = self.answers
        seen = [first.refusal or "accepted"]
        for repeat in repeats:
            if repeat.refusal:
                seen.append(f"its repeat: {repeat.refusal}")
            else:
                seen.append(f"its repeat has {'the same' if repeat == first else 'another'} Id")
        if self.text is not None:
            times = transcript.count(self.text)
            words = {0: "not in the transcript", 1: "in the transcript once"}
            seen.append(words.get(times, f"in the transcript {times} times"))
        return ", ".join(seen)


def experiments(chat: Chat, *, run_id: str, long: bool, progress: Callable[[str], None]) -> list[Experiment]:
    """Send the messages that need an open chat. `run_id` is a part of each text and ClientToken."""
    firsts = []
    # Each delay has a message, so that no repeat can prolong another's idempotency window
    for delay in _LONG_DELAYS if long else _SHORT_DELAYS:
        text = f"Smoke test {run_id}: repeated after {delay} s"
        sent_at = time.monotonic()
        firsts.append((delay, text, sent_at, chat.send(text, client_token=f"{run_id}-repeat-{delay}")))
    done = []
    for delay, text, sent_at, first in firsts:
        progress(f"Repeating a ClientToken {delay} s after its first use")
        time.sleep(max(sent_at + delay - time.monotonic(), 0.0))
        repeat = chat.send(text, client_token=f"{run_id}-repeat-{delay}")
        done.append(Experiment(f"the same ClientToken after {delay} s", text, (first, repeat)))
    text = f"Smoke test {run_id}: long ".ljust(_LONG_TEXT, "x")
    answer = chat.send(text, client_token=f"{run_id}-long")
    done.append(Experiment(f"a text of {_LONG_TEXT:,} characters", text, (answer,)))
    if chat.participant_token:
        text = f"Smoke test {run_id}: by participant token"
        answer = chat.send(text, client_token=f"{run_id}-participant-token", token=chat.participant_token)
        done.append(Experiment("a participant token instead of a connection token", text, (answer,)))
    return done


@contextmanager
def _refusal_of(call: str) -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise CannotRunError(f"{call}: {_refusal(error)}") from None


def _refusal(error: ClientError | BotoCoreError) -> str:
    """Describe a refusal without the service's words, which may quote the message."""
    if isinstance(error, BotoCoreError):
        return type(error).__name__
    response = error.response
    return printable(f"{response['ResponseMetadata']['HTTPStatusCode']} {response['Error']['Code']}")
