"""The items of the table of outcomes, for local endpoints and models of DynamoDB."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_NEW_OR_BETTER = "attribute_not_exists(Id) OR #rank < :rank"


@dataclass
class OutcomeItems:
    """PutItem and GetItem, with the one condition that the function uses.

    Attributes:
        items: By key.
    """

    items: dict[str, dict[str, Any]] = field(default_factory=dict)

    def call(self, operation: str, parameters: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Return status and body of the answer to a call."""
        if operation == "GetItem":
            item = self.items.get(parameters["Key"]["Id"]["S"])
            return 200, {} if item is None else {"Item": _projection(item, parameters)}
        if parameters["ConditionExpression"] != _NEW_OR_BETTER:
            return 400, {"__type": "com.amazon.coral.validate#ValidationException"}
        item = parameters["Item"]
        key, rank = item["Id"]["S"], parameters["ExpressionAttributeNames"]["#rank"]
        limit = parameters["ExpressionAttributeValues"][":rank"]["S"]
        if key in self.items and not self.items[key][rank]["S"] < limit:
            return 400, {"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"}
        self.items[key] = item
        return 200, {}


def _projection(item: dict[str, Any], parameters: dict[str, Any]) -> dict[str, Any]:
    names = parameters["ProjectionExpression"].split(", ")
    aliases = parameters["ExpressionAttributeNames"]
    return {name: item[name] for name in (aliases.get(name, name) for name in names)}
