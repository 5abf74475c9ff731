"""Events and their context, as Lambda delivers them."""

from __future__ import annotations

import json
import time
from itertools import count
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.typing import LambdaContext

if TYPE_CHECKING:
    from collections.abc import Mapping

QUEUE_ARN = "arn:aws:sqs:eu-central-1:000000000000:messages.fifo"
TOKEN = "QVFJREFIZ0tOZ2lCdGVzdC1jb25uZWN0aW9uLXRva2Vu"  # made up
TEXT = "Where is my parcel, please?"

_ids = count(1)


class FakeLambdaContext(LambdaContext):
    """The context of an invocation. You set the time that is left."""

    function_name = "sender"
    function_version = "1"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-central-1:000000000000:function:sender:live"
    aws_request_id = "4a1b0c1e-7d34-4a3f-9b55-0f6f2c2d9f10"

    def __init__(self, *, seconds_left: float = 28.0) -> None:
        self.seconds_left = seconds_left

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override]  # Powertools declares it static
        return int(self.seconds_left * 1000)


def request(**fields: object) -> dict[str, Any]:
    """Return a valid request, changed by `fields`. A field of `...` is left out."""
    valid: dict[str, Any] = {"ConnectionToken": TOKEN, "ContentType": "text/plain", "Content": TEXT}
    return {name: value for name, value in (valid | fields).items() if value is not ...}


def record(
    body: str | dict[str, Any],
    *,
    group: str | None = "chat-1",
    message_id: str | None = None,
    receive_count: int = 1,
    age: float = 0.0,
    attributes: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Return a record as the event source mapping of a FIFO queue delivers it.

    Args:
        group: The message group. None in a standard queue.
        age: Seconds since the queue accepted it.
        attributes: Message attributes.
    """
    number = next(_ids)
    system = {
        "ApproximateReceiveCount": str(receive_count),
        "SentTimestamp": str(int((time.time() - age) * 1000)),
        "SequenceNumber": f"{number:020d}",
        "SenderId": "AIDAIENQZJOLO23YVJ4VO",
        "MessageDeduplicationId": f"dedup-{number}",
        "ApproximateFirstReceiveTimestamp": "1769860800100",
    }
    if group is not None:
        system["MessageGroupId"] = group
    return {
        "messageId": message_id or f"00000000-0000-4000-8000-{number:012d}",
        "receiptHandle": f"handle-{number}",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": system,
        "messageAttributes": {
            name: {"stringValue": value, "stringListValues": [], "binaryListValues": [], "dataType": "String"}
            for name, value in (attributes or {}).items()
        },
        "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
        "eventSource": "aws:sqs",
        "eventSourceARN": QUEUE_ARN,
        "awsRegion": "eu-central-1",
    }


def bus_event(
    detail: dict[str, Any], *, event_id: str = "6a7e8feb-b491-4cf7-a9f1-bf3703467718"
) -> dict[str, Any]:
    """Return an event as a rule of the bus delivers it."""
    return {
        "version": "0",
        "id": event_id,
        "detail-type": "SendMessage Requested",
        "source": "my.backend",
        "account": "000000000000",
        "time": "2026-01-31T12:00:00Z",
        "region": "eu-central-1",
        "resources": [],
        "detail": detail,
    }


def api_request(body: str | dict[str, Any] | None, *, base64: bool = False) -> dict[str, Any]:
    """Return a proxy event as a REST API of API Gateway delivers it."""
    return {
        "resource": "/messages/sync",
        "path": "/messages/sync",
        "httpMethod": "POST",
        "headers": {"Content-Type": "application/json"},
        "multiValueHeaders": {"Content-Type": ["application/json"]},
        "queryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": "/messages/sync",
            "httpMethod": "POST",
            "requestId": "chosen-by-the-client",
            "extendedRequestId": "JKJaXmPLvHcESHA=",
            "identity": {"sourceIp": "127.0.0.1", "userArn": "arn:aws:iam::000000000000:user/producer"},
        },
        "body": json.dumps(body) if isinstance(body, dict) else body,
        "isBase64Encoded": base64,
    }


def attribute_values(message: Mapping[str, Any]) -> dict[str, str]:
    """Return the message attributes of a `SendMessage` call."""
    return {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}


def received(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record in which the function receives the message of a `SendMessage` call."""
    return record(
        message["MessageBody"], group=message["MessageGroupId"], attributes=attribute_values(message)
    )
