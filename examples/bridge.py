"""Connect a web, mobile, SMS or WhatsApp back end to chats in Amazon Connect."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import boto3

# Your own values. The last is the stack's output MessageQueueUrl.
INSTANCE_ID = "00000000-0000-0000-0000-000000000000"
CONTACT_FLOW_ID = "00000000-0000-0000-0000-000000000000"
TOPIC_ARN = "arn:aws:sns:eu-central-1:123456789012:chat-messages"
MESSAGE_QUEUE_URL = "https://sqs.eu-central-1.amazonaws.com/123456789012/messages.fifo"


@dataclass
class Message:
    text: str
    sends: int = 0


@dataclass
class Conversation:
    """A conversation with a customer. Store it, and encrypt tokens and texts."""

    id: str
    name: str
    contact_id: str = ""
    participant_token: str = ""
    connection_token: str = ""
    token_expiry: str = ""
    connections: int = 0
    unfinished: dict[str, Message] = field(default_factory=dict)  # by ClientToken, in order


connect = boto3.client("connect")
participant = boto3.client("connectparticipant")


def open_chat(conversation: Conversation) -> None:
    chat = connect.start_chat_contact(
        InstanceId=INSTANCE_ID,
        ContactFlowId=CONTACT_FLOW_ID,
        ParticipantDetails={"DisplayName": conversation.name},
        SupportedMessagingContentTypes=["text/plain"],
        ChatStreamingConfiguration={"StreamingEndpointArn": TOPIC_ARN},
        ClientToken=conversation.id,  # a second call starts no second chat
    )
    conversation.contact_id = chat["ContactId"]  # it stays on a transfer
    conversation.participant_token = chat["ParticipantToken"]
    connect_participant(conversation)


def connect_participant(conversation: Conversation) -> None:
    connection = participant.create_participant_connection(
        ParticipantToken=conversation.participant_token,
        Type=["CONNECTION_CREDENTIALS"],
        ConnectParticipant=True,  # there is no web socket
    )["ConnectionCredentials"]
    conversation.connection_token = connection["ConnectionToken"]
    conversation.token_expiry = connection["Expiry"]  # in a day
    conversation.connections += 1


sqs = boto3.client("sqs")
LIMIT = 1024  # characters that every channel accepts


def customer_wrote(conversation: Conversation, provider_message_id: str, text: str) -> None:
    for part, start in enumerate(range(0, len(text), LIMIT)):
        message_id = f"{provider_message_id}-{part}"
        if message_id not in conversation.unfinished:  # else it is a repeat
            conversation.unfinished[message_id] = Message(text[start : start + LIMIT])
            send(conversation, message_id)
    save(conversation)


def send(conversation: Conversation, message_id: str) -> None:
    message = conversation.unfinished[message_id]
    message.sends += 1
    sqs.send_message(
        QueueUrl=MESSAGE_QUEUE_URL,
        MessageGroupId=conversation.contact_id,  # keeps the customer's messages in order
        MessageDeduplicationId=f"{message_id}-{conversation.connections}",  # at most 128 characters
        MessageBody=json.dumps(
            {
                "ConnectionToken": conversation.connection_token,
                "ContentType": "text/plain",
                "Content": message.text,
                "ClientToken": message_id,
                "ContactId": conversation.contact_id,
                "ExpiresAt": conversation.token_expiry,
                "Metadata": {"conversation": conversation.id, "connection": str(conversation.connections)},
            }
        ),
    )


def result_came(event: dict[str, Any]) -> None:  # rule: {"source": ["connect-message-sender"]}
    result = event["detail"]
    conversation = load(result["Metadata"]["conversation"])
    message_id = result["ClientToken"]
    if message_id not in conversation.unfinished:
        return  # a repeat
    if result["Outcome"] == "SENT":
        del conversation.unfinished[message_id]
    elif int(result["Metadata"]["connection"]) < conversation.connections:
        return  # it was sent again over the new connection
    elif result["Error"]["Code"] in {"AccessDenied", "Expired"} and renew(conversation, message_id):
        for unfinished in conversation.unfinished:
            send(conversation, unfinished)
    else:
        del conversation.unfinished[message_id]
        notify_customer(conversation, message_id)
    save(conversation)


def renew(conversation: Conversation, message_id: str) -> bool:
    if conversation.unfinished[message_id].sends > 1:
        return False  # a new connection was refused too
    try:
        connect_participant(conversation)
    except participant.exceptions.AccessDeniedException:
        return False  # the chat has ended
    return True


def load(conversation_id: str) -> Conversation:
    """Load the conversation from your database."""
    raise NotImplementedError


def save(conversation: Conversation) -> None:
    """Save the conversation in your database."""
    raise NotImplementedError


def notify_customer(conversation: Conversation, message_id: str) -> None:
    """Report to the customer that the message was not sent."""
    raise NotImplementedError
