"""Connect a web, mobile, SMS or WhatsApp back end to chats in Amazon Connect."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import boto3

# Your own values. The last is the stack's output MessageQueueUrl.
INSTANCE_ID = "00000000-0000-0000-0000-000000000000"
CONTACT_FLOW_ID = "00000000-0000-0000-0000-000000000000"
TOPIC_ARN = "arn:aws:sns:eu-central-1:123456789012:chat-messages"
MESSAGE_QUEUE_URL = "https://sqs.eu-central-1.amazonaws.com/123456789012/messages.fifo"


@dataclass
class Conversation:
    """A conversation with a customer. Store it, and encrypt the tokens."""

    id: str
    name: str
    contact_id: str = ""
    participant_token: str = ""
    connection_token: str = ""
    token_expiry: str = ""


connect = boto3.client("connect")
participant = boto3.client("connectparticipant")


def open_chat(conversation: Conversation) -> None:
    chat = connect.start_chat_contact(
        InstanceId=INSTANCE_ID,
        ContactFlowId=CONTACT_FLOW_ID,
        ParticipantDetails={"DisplayName": conversation.name},
        SupportedMessagingContentTypes=["text/plain"],
        ClientToken=conversation.id,  # a second call starts no second chat
    )
    connect.start_contact_streaming(
        InstanceId=INSTANCE_ID,
        ContactId=chat["ContactId"],
        ChatStreamingConfiguration={"StreamingEndpointArn": TOPIC_ARN},
        ClientToken=conversation.id,
    )
    conversation.contact_id = chat["ContactId"]  # it stays on a transfer
    conversation.participant_token = chat["ParticipantToken"]
    renew_connection(conversation)


def renew_connection(conversation: Conversation) -> None:
    connection = participant.create_participant_connection(
        ParticipantToken=conversation.participant_token,
        Type=["CONNECTION_CREDENTIALS"],
        ConnectParticipant=True,  # with message streaming
    )["ConnectionCredentials"]
    conversation.connection_token = connection["ConnectionToken"]
    conversation.token_expiry = connection["Expiry"]  # in a day


sqs = boto3.client("sqs")
LIMIT = 1024  # characters that every channel accepts


def customer_wrote(conversation: Conversation, provider_message_id: str, text: str) -> None:
    for part, start in enumerate(range(0, len(text), LIMIT)):
        message_id = f"{provider_message_id}-{part}"
        sqs.send_message(
            QueueUrl=MESSAGE_QUEUE_URL,
            MessageGroupId=conversation.contact_id,  # keeps the customer's messages in order
            MessageDeduplicationId=message_id,  # at most 128 characters
            MessageBody=json.dumps(
                {
                    "ConnectionToken": conversation.connection_token,
                    "ContentType": "text/plain",
                    "Content": text[start : start + LIMIT],
                    "ClientToken": message_id,
                    "ContactId": conversation.contact_id,
                    "ExpiresAt": conversation.token_expiry,
                    "Metadata": {"conversation": conversation.id},
                }
            ),
        )


def result_came(event: dict[str, Any]) -> None:  # rule: {"source": ["connect-message-sender"]}
    result = event["detail"]
    conversation = load(result["Metadata"]["conversation"])
    message_id = result["ClientToken"]
    if result["Outcome"] == "SENT":
        return
    if result["Error"]["Code"] in {"AccessDenied", "Expired"} and may_renew(conversation, message_id):
        renew_connection(conversation)  # fails if the chat has ended
        # The same text and ClientToken, another MessageDeduplicationId
        send_again(conversation, message_id)
    else:
        notify_customer(conversation, message_id)


def load(conversation_id: str) -> Conversation:
    """Load the conversation from your database."""
    raise NotImplementedError


def may_renew(conversation: Conversation, message_id: str) -> bool:
    """Allow one new connection per message."""
    raise NotImplementedError


def send_again(conversation: Conversation, message_id: str) -> None:
    """Call `sqs.send_message` as above, with the text from your database."""
    raise NotImplementedError


def notify_customer(conversation: Conversation, message_id: str) -> None:
    """Report to the customer that the message was not sent."""
    raise NotImplementedError
