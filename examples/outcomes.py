"""Store outcomes, and pass on the ones that need somebody: a Lambda function that a rule invokes."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import boto3
from connect_message_sender.results import ErrorCode, Outcome, parse_result

if TYPE_CHECKING:
    from connect_message_sender.results import MessageResult

TABLE = os.environ["OUTCOMES_TABLE"]  # its key is the string client_token
SUPPORT_QUEUE_URL = os.environ["SUPPORT_QUEUE_URL"]  # a FIFO queue

dynamodb = boto3.client("dynamodb")
sqs = boto3.client("sqs")


def lambda_handler(event: dict[str, Any], _context: object) -> None:
    result = parse_result(event)  # behind a queue: parse_result(record["body"]) for each record
    store(result)
    match result.code:
        case None | ErrorCode.EXPIRED:  # sent, or not needed any more
            return
        case _:  # also codes that this version does not know
            sqs.send_message(
                QueueUrl=SUPPORT_QUEUE_URL,
                MessageGroupId=result.contact_id or result.source_id,
                MessageDeduplicationId=result.deduplication_key,
                MessageBody=f"{result.client_token}: {result.code}: {result.reason}",
            )


def store(result: MessageResult) -> None:
    # SENT stays, however late another result arrives
    with suppress(dynamodb.exceptions.ConditionalCheckFailedException):
        dynamodb.put_item(
            TableName=TABLE,
            Item={
                "client_token": {"S": result.client_token or result.source_id},
                "outcome": {"S": result.outcome},
                "completed_at": {"S": result.completed_at.isoformat()},
            },
            ConditionExpression="attribute_not_exists(client_token) OR outcome <> :sent",
            ExpressionAttributeValues={":sent": {"S": Outcome.SENT}},
        )
