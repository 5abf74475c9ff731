"""Write into a chat as a custom participant, before an agent joins."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3

if TYPE_CHECKING:
    from collections.abc import Iterable

# Your own values. The second is the stack's output FunctionAliasArn.
INSTANCE_ID = "00000000-0000-0000-0000-000000000000"
FUNCTION_ALIAS_ARN = "arn:aws:lambda:eu-central-1:123456789012:function:sender:live"

connect = boto3.client("connect")
participant = boto3.client("connectparticipant")
lambda_ = boto3.client("lambda")


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
        reply = lambda_.invoke(
            FunctionName=FUNCTION_ALIAS_ARN,
            Payload=json.dumps(
                {
                    "ConnectionToken": connection_token,
                    "ContentType": "text/plain",
                    "Content": text,
                    "ClientToken": f"{message_id}-{number}",  # of the message that you answer
                    "ContactId": initial_contact_id,
                }
            ),
        )
        if "FunctionError" in reply:  # errorType: ThrottledError may pass, AccessDeniedError not
            raise RuntimeError(json.load(reply["Payload"])["errorType"])


def leave(connection_token: str, segment_id: str) -> None:  # after the last answer
    participant.disconnect_participant(ConnectionToken=connection_token, ClientToken=segment_id)
