"""What cannot be sent at once, with a real queue in between."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from sandbox.participant_service.faults import Status

if TYPE_CHECKING:
    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation

pytestmark = pytest.mark.e2e

UNAVAILABLE = Status(status=503)
TRIES_OF_AN_INVOCATION = 3


def test_a_message_comes_back_after_its_backoff_and_its_chat_stays_in_order(
    alice: Conversation, stack: LocalStack
) -> None:
    stack.participant.add_fault(UNAVAILABLE, contact_id=alice.chat.contact_id, times=TRIES_OF_AN_INVOCATION)

    sources = [alice.queue(text) for text in ("one", "two", "three")]
    results = [alice.result_of(source) for source in sources]

    assert alice.texts == ["one", "two", "three"]
    assert {result.outcome for result in results} == {"SENT"}
    assert results[0].detail["ReceiveCount"] == 2


def test_a_message_of_an_event_that_cannot_be_sent_is_handed_over_to_the_queue(
    alice: Conversation, stack: LocalStack
) -> None:
    client_token = str(uuid.uuid4())
    stack.participant.add_fault(UNAVAILABLE, client_token=client_token, times=TRIES_OF_AN_INVOCATION)

    answer = stack.emulator.client("events").put_events(
        Entries=[
            {
                "EventBusName": stack.outputs.event_bus_name,
                "Source": "my.backend",
                "DetailType": "SendMessage Requested",
                "Detail": json.dumps(alice.request("by event", ClientToken=client_token)),
            }
        ]
    )
    result = alice.result_of(answer["Entries"][0]["EventId"])

    assert alice.texts == ["by event"]
    assert (result.outcome, result.event_source, result.client_token) == ("SENT", "eventbridge", client_token)
