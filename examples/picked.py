"""Send what a customer picked from an interactive message, as an event."""

from __future__ import annotations

import json
from typing import Any

import boto3

events = boto3.client("events")


def customer_picked(
    event_bus_name: str, contact_id: str, connection_token: str, shown_message_id: str, picked: dict[str, Any]
) -> None:
    events.put_events(
        Entries=[
            {
                "EventBusName": event_bus_name,  # output EventBusName
                "Source": "parcels.web",  # yours; any but the stack's own
                "DetailType": "SendMessage Requested",
                "Detail": json.dumps(
                    {
                        "ConnectionToken": connection_token,
                        "ContentType": "application/vnd.amazonaws.connect.message.interactive.response",
                        "Content": json.dumps(picked),
                        "ClientToken": f"{shown_message_id}-picked",  # picking twice is picking once
                        "ContactId": contact_id,
                    }
                ),
            }
        ]
    )
