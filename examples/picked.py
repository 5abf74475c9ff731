"""Send what a customer picked from an interactive message, as an event."""

from __future__ import annotations

import json
import os
from typing import Any

from connect_message_sender.outputs import Addresses
from connect_message_sender.producer import EventSource, MessageRequest, Producer

producer = Producer(Addresses(event_bus_name=os.environ["EVENT_BUS_NAME"]))  # the stack's output


def customer_picked(
    contact_id: str, connection_token: str, shown_message_id: str, picked: dict[str, Any]
) -> None:
    request = MessageRequest(
        connection_token=connection_token,
        content=json.dumps(picked),
        content_type="application/vnd.amazonaws.connect.message.interactive.response",
        client_token=f"{shown_message_id}-picked",  # picking twice is picking once
        contact_id=contact_id,
    )
    producer.send(request, through=EventSource.EVENT)
