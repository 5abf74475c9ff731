"""Send one message by the queue."""

import json

import boto3

sqs = boto3.client("sqs")


def send(queue_url: str, contact_id: str, connection_token: str, message_id: str, text: str) -> None:
    request = {
        "ConnectionToken": connection_token,  # from CreateParticipantConnection
        "ContentType": "text/plain",
        "Content": text,
        "ClientToken": message_id,  # a repeat is the same message
        "ContactId": contact_id,
    }
    sqs.send_message(
        QueueUrl=queue_url,  # the stack's output MessageQueueUrl
        MessageGroupId=contact_id,  # keeps the messages of this chat in order
        MessageDeduplicationId=message_id,
        MessageBody=json.dumps(request),
    )
