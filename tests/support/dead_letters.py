"""Put each kind of dead letter into its queue, as AWS and the function do."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from message_sender.request import derive_client_token
from tests.support.lambda_events import QUEUE_ARN, bus_event, request

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from tests.support.sqs_client import FakeAwsClient, StoredMessage

MESSAGES = "https://sqs/messages.fifo"
DEAD_LETTER = "https://sqs/dead-letter.fifo"
REJECTED = "https://sqs/rejected"
EVENTS = "https://sqs/events"
UNPUBLISHED = "https://sqs/unpublished"

EVENT_ID = "6a7e8feb-b491-4cf7-a9f1-bf3703467718"
SOURCE_ID = "1d3e0c52-5d4f-4c0e-8f5e-0d9c6d8e2a11"


def put_copy(
    client: FakeAwsClient,
    *,
    queue_url: str = DEAD_LETTER,
    code: str = "Throttled",
    group: str = "chat-1",
    accepted: timedelta = timedelta(minutes=20),
    source_id: str = SOURCE_ID,
    body: str | None = None,
    more: Mapping[str, str] | None = None,
    **fields: object,
) -> StoredMessage:
    """Put the copy that the function makes when retries are exhausted, ten minutes after acceptance."""
    token = str(fields.setdefault("ClientToken", derive_client_token(QUEUE_ARN, source_id)))
    attributes = {
        "Code": code,
        "ClientToken": token,
        "MessageGroupId": group,
        "EventSource": "sqs",
        "SourceId": source_id,
        "AcceptedAt": (client.clock.now() - accepted).isoformat(),
        "MaybeDelivered": "false",
    } | dict(more or {})
    system = {"MessageGroupId": group} if queue_url.endswith(".fifo") else {}
    return client.put(
        queue_url,
        json.dumps(request(**fields)) if body is None else body,
        attributes=attributes,
        age=accepted - timedelta(minutes=10),
        **system,
    )


def put_moved(
    client: FakeAwsClient,
    body: str | None = None,
    *,
    group: str = "chat-1",
    age: timedelta = timedelta(minutes=20),
    attributes: Mapping[str, str] | None = None,
    **fields: object,
) -> StoredMessage:
    """Put a message that SQS moved: unchanged, with the attribute that names its source."""
    return client.put(
        DEAD_LETTER,
        json.dumps(request(**fields)) if body is None else body,
        attributes=attributes,
        age=age,
        MessageGroupId=group,
        DeadLetterQueueSourceArn=QUEUE_ARN,
    )


def event(accepted_at: datetime, *, event_id: str = EVENT_ID, **fields: object) -> dict[str, Any]:
    return bus_event(request(**fields), event_id=event_id) | {
        "time": accepted_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    }


def put_dead_event(
    client: FakeAwsClient, dead_event: Mapping[str, Any], *, age: timedelta = timedelta()
) -> StoredMessage:
    """Put an event that EventBridge could not deliver, as its user guide shows it."""
    rule = "arn:aws:events:eu-central-1:000000000000:rule/bus/requests"
    return client.put(
        EVENTS,
        json.dumps(dead_event),
        age=age,
        attributes={
            "RULE_ARN": rule,
            "TARGET_ARN": "arn:aws:lambda:eu-central-1:000000000000:function:sender:live",
            "ERROR_CODE": "NO_PERMISSIONS",
            "ERROR_MESSAGE": "User is not authorized to perform: lambda:InvokeFunction",
            "RETRY_ATTEMPTS": "0",
        },
    )


def put_failed_invocation(
    client: FakeAwsClient,
    payload: object,
    *,
    condition: str = "RetriesExhausted",
    count: int = 3,
    age: timedelta = timedelta(),
) -> StoredMessage:
    """Put the record of an asynchronous invocation, as the Lambda developer guide shows it."""
    record = {
        "version": "1.0",
        "timestamp": "2026-01-31T12:03:05.568Z",
        "requestContext": {
            "requestId": "e4b46cbf-b738-4ba4-8880-a18cdf61200e",
            "functionArn": "arn:aws:lambda:eu-central-1:000000000000:function:sender:live",
            "condition": condition,
            "approximateInvokeCount": count,
        },
        "requestPayload": payload,
        "responseContext": {"statusCode": 200, "executedVersion": "7", "functionError": "Unhandled"},
        "responsePayload": {"errorMessage": "configured to fail", "errorType": "ThrottledError"},
    }
    return client.put(EVENTS, json.dumps(record), age=age)
