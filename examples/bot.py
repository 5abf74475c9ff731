"""Write into a chat as a custom participant, before an agent joins."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import boto3
from connect_message_sender.outputs import Addresses
from connect_message_sender.producer import EventSource, MessageRequest, Producer

if TYPE_CHECKING:
    from collections.abc import Iterable

INSTANCE_ID = "00000000-0000-0000-0000-000000000000"  # yours

connect = boto3.client("connect")
participant = boto3.client("connectparticipant")
producer = Producer(Addresses(function_alias_arn=os.environ["FUNCTION_ALIAS_ARN"]))  # the stack's output


def join(contact_id: str, segment_id: str) -> str:
    bot = connect.create_participant(
        InstanceId=INSTANCE_ID,
        ContactId=contact_id,
        ParticipantDetails={"ParticipantRole": "CUSTOM_BOT", "DisplayName": "Parcel bot"},
        ClientToken=segment_id,
    )
    return participant.create_participant_connection(  # within 15 seconds
        ParticipantToken=bot["ParticipantCredentials"]["ParticipantToken"],
        Type=["CONNECTION_CREDENTIALS"],
        ConnectParticipant=True,
    )["ConnectionCredentials"]["ConnectionToken"]


def answer(connection_token: str, initial_contact_id: str, message_id: str, texts: Iterable[str]) -> None:
    for number, text in enumerate(texts):
        request = MessageRequest(
            connection_token=connection_token,
            contact_id=initial_contact_id,
            content=text,
            client_token=f"{message_id}-{number}",  # of the message that you answer
        )
        # NotSentError has the code: ErrorCode.THROTTLED.is_retryable, ErrorCode.ACCESS_DENIED is not
        producer.send(request, through=EventSource.DIRECT)


def leave(connection_token: str, segment_id: str) -> None:  # after the last answer
    participant.disconnect_participant(ConnectionToken=connection_token, ClientToken=segment_id)
