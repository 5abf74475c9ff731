"""Events as Lambda delivers them, built from the payloads in tests/events, and their context."""

from __future__ import annotations

import json
import time
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aws_lambda_powertools.utilities.typing import LambdaContext

if TYPE_CHECKING:
    from collections.abc import Mapping

EVENTS: Final = Path(__file__).parents[1] / "events"


@cache
def _text(name: str) -> str:
    return (EVENTS / f"{name}.json").read_text(encoding="utf-8")


def load_event(name: str) -> dict[str, Any]:
    """Return a payload as AWS sends it. Its ids and tokens are made up."""
    event: dict[str, Any] = json.loads(_text(name))
    return event


QUEUE_ARN: Final[str] = load_event("sqs")["Records"][0]["eventSourceARN"]
TOKEN: Final[str] = load_event("direct")["ConnectionToken"]
TEXT: Final[str] = load_event("direct")["Content"]

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
    delivered: dict[str, Any] = load_event("sqs")["Records"][0]
    system = delivered["attributes"] | {
        "ApproximateReceiveCount": str(receive_count),
        "SentTimestamp": str(int((time.time() - age) * 1000)),
        "SequenceNumber": f"{number:020d}",
        "MessageDeduplicationId": f"dedup-{number}",
        "MessageGroupId": group,
    }
    return delivered | {
        "messageId": message_id or f"00000000-0000-4000-8000-{number:012d}",
        "receiptHandle": f"handle-{number}",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {name: value for name, value in system.items() if value is not None},
        "messageAttributes": {
            name: {"stringValue": value, "stringListValues": [], "binaryListValues": [], "dataType": "String"}
            for name, value in (attributes or {}).items()
        },
    }


def bus_event(detail: dict[str, Any], *, event_id: str | None = None) -> dict[str, Any]:
    """Return an event as a rule of the bus delivers it."""
    event = load_event("eventbridge")
    return event | {"detail": detail, "id": event_id or event["id"]}


def api_request(body: str | dict[str, Any] | None, *, base64: bool = False) -> dict[str, Any]:
    """Return a proxy event as a REST API of API Gateway delivers it."""
    return load_event("api_gateway") | {
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
