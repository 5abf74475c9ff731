"""Test your own code against the local Amazon Connect, with a fault."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.request import Request, urlopen

import boto3

participant = boto3.client("connectparticipant")
URL = os.environ["AWS_ENDPOINT_URL_CONNECTPARTICIPANT"]


def start_chat() -> tuple[str, str]:
    """Return the contact id and the connection token of a new chat."""
    chat = boto3.client("connect").start_chat_contact(
        InstanceId="any", ContactFlowId="any", ParticipantDetails={"DisplayName": "Alice"}
    )
    connection = participant.create_participant_connection(
        ParticipantToken=chat["ParticipantToken"], Type=["CONNECTION_CREDENTIALS"], ConnectParticipant=True
    )
    return chat["ContactId"], connection["ConnectionCredentials"]["ConnectionToken"]


def control(call: str, **arguments: object) -> Any:  # noqa: ANN401  # any JSON
    """Plan a fault, or look into a chat."""
    request = Request(f"{URL}/_local/{call}", json.dumps(arguments).encode())  # noqa: S310  # a local URL
    with urlopen(request) as answer:  # noqa: S310  # a local URL
        return json.load(answer)


def test_a_throttled_message_is_in_the_chat_once() -> None:
    contact_id, token = start_chat()
    control("add_fault", fault={"kind": "Status", "status": 429}, times=2)

    participant.send_message(ConnectionToken=token, ContentType="text/plain", Content="Hello")

    chat = control("transcript", contact_id=contact_id)
    assert [item["content"] for item in chat if item["type"] == "MESSAGE"] == ["Hello"]
