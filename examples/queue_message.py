"""Send one message by the queue."""

import json

import boto3

sqs = boto3.client("sqs")


def send(message_queue_url: str, contact_id: str, connection_token: str, message_id: str, text: str) -> None:
    sqs.send_message(
        QueueUrl=message_queue_url,  # output MessageQueueUrl
        MessageGroupId=contact_id,  # order is kept per group: the initial contact id
        MessageDeduplicationId=message_id,  # SQS drops a repeat within 5 minutes
        MessageBody=json.dumps(
            {
                "ConnectionToken": connection_token,  # not the ParticipantToken
                "ContentType": "text/plain",
                "Content": text,
                "ClientToken": message_id,  # a repeat is the same message
                "ContactId": contact_id,
            }
        ),
    )
