"""The table of outcomes in DynamoDB: the best result of each message, under two ids.

An item has these attributes:

    Id          `client_token#` and the ClientToken, or `source_id#` and the SourceId
    Rank        orders the results of one message: SENT before all others, then the later one
    Result      the detail of the result event, as JSON
    ExpiresAt   when DynamoDB deletes the item (time to live), in seconds since 1970

So an id of one kind never hides one of the other kind. The table has no message text and no token but the
ClientToken, which is an id.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from message_sender.errors import AwsCallError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import timedelta

    from message_sender.aws.client import AwsClient
    from message_sender.clock import Clock

_MAX_KEY_BYTES: Final = 2_048
"""Of a partition key. Source: DynamoDB developer guide, "Constraints". A longer id is not stored."""


class OutcomeTable:
    """Stores results and finds them by id. Results may come repeatedly, and in any order.

    In every method, `until` is the moment of the monotonic clock by which the calls must be over.

    Args:
        retention: From the time at which a result is stored.
    """

    def __init__(self, *, dynamodb: AwsClient, table_name: str, retention: timedelta, clock: Clock) -> None:
        self._dynamodb = dynamodb
        self._table_name = table_name
        self._retention = retention
        self._clock = clock

    def store(self, detail: Mapping[str, Any], *, until: float) -> None:
        """Store a result under both ids, unless the table has a better one.

        Raises:
            AwsCallError: It is not stored under each of its ids.
        """
        is_sent = detail["Outcome"] == "SENT"
        expires_at = int((self._clock.now() + self._retention).timestamp())
        values = {
            "Rank": {"S": f"{int(is_sent)} {detail['CompletedAt']}"},
            "Result": {"S": json.dumps(detail)},
            "ExpiresAt": {"N": str(expires_at)},
        }
        for key in _keys(source_id=detail["SourceId"], client_token=detail["ClientToken"]):
            self._put({"Id": {"S": key}, **values}, until=until)

    def find(self, message_id: str, *, until: float) -> dict[str, Any] | None:
        """Return the result of a message, None if it is not known.

        Args:
            message_id: A SourceId, which a producer cannot choose in the queue, comes before a ClientToken.

        Raises:
            AwsCallError: The table cannot be read.
        """
        for key in _keys(source_id=message_id, client_token=message_id):
            item = self._get(key, until=until)
            # DynamoDB deletes an expired item within days:
            # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ttl-expired-items.html
            if item is not None and int(item["ExpiresAt"]["N"]) > self._clock.now().timestamp():
                result: dict[str, Any] = json.loads(item["Result"]["S"])
                return result
        return None

    def _put(self, item: Mapping[str, Any], *, until: float) -> None:
        parameters = {
            "TableName": self._table_name,
            "Item": item,
            "ConditionExpression": "attribute_not_exists(Id) OR #rank < :rank",
            "ExpressionAttributeNames": {"#rank": "Rank"},
            "ExpressionAttributeValues": {":rank": item["Rank"]},
        }
        try:
            self._dynamodb.call("PutItem", parameters, until=until)
        except AwsCallError as error:
            if error.name != "ConditionalCheckFailedException":  # it has a result that is as good, or better
                raise

    def _get(self, key: str, *, until: float) -> dict[str, Any] | None:
        parameters = {
            "TableName": self._table_name,
            "Key": {"Id": {"S": key}},
            "ProjectionExpression": "#result, ExpiresAt",
            "ExpressionAttributeNames": {"#result": "Result"},
        }
        item: dict[str, Any] | None = self._dynamodb.call("GetItem", parameters, until=until).get("Item")
        return item


def _keys(*, source_id: str, client_token: str | None) -> Iterator[str]:
    keys = [f"source_id#{source_id}"]
    if client_token is not None:
        keys.append(f"client_token#{client_token}")
    return (key for key in keys if len(key.encode(errors="replace")) <= _MAX_KEY_BYTES)
