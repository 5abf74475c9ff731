"""Messages that cannot be sent at once, with the emulator's queue in between."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from sandbox.participant_service.faults import Status

if TYPE_CHECKING:
    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation

pytestmark = pytest.mark.e2e

UNAVAILABLE = Status(status=503)
ATTEMPTS_PER_INVOCATION = 3


def test_a_message_is_redelivered_after_its_backoff_and_its_chat_stays_in_order(
    alice: Conversation, stack: LocalStack
) -> None:
    stack.participant.add_fault(UNAVAILABLE, contact_id=alice.chat.contact_id, times=ATTEMPTS_PER_INVOCATION)

    sources = [alice.queue(text) for text in ("one", "two", "three")]
    results = [alice.result_of(source) for source in sources]

    assert alice.texts == ["one", "two", "three"]
    assert {result.outcome for result in results} == {"SENT"}
    assert results[0].detail["ReceiveCount"] == 2


def test_an_event_that_cannot_be_sent_now_is_enqueued_for_retry(
    alice: Conversation, stack: LocalStack
) -> None:
    client_token = str(uuid.uuid4())
    stack.participant.add_fault(UNAVAILABLE, client_token=client_token, times=ATTEMPTS_PER_INVOCATION)

    result = alice.result_of(alice.event("by event", ClientToken=client_token))

    assert alice.texts == ["by event"]
    assert (result.outcome, result.event_source, result.client_token) == ("SENT", "eventbridge", client_token)
