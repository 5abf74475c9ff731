"""Messages by the event bus of the deployed stack."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import jsonschema
import pytest

from tests.support.schemas import RESULT_SCHEMA

if TYPE_CHECKING:
    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation, Conversations, RejectedCopies

pytestmark = pytest.mark.e2e


def test_an_event_reaches_its_chat_and_its_result_the_same_bus(alice: Conversation) -> None:
    event_id = alice.event("Your parcel is on its way", Metadata={"order": "4711"})

    result = alice.result_of(event_id)
    jsonschema.validate(result.detail, RESULT_SCHEMA)
    assert (result.outcome, result.event_source) == ("SENT", "eventbridge")
    assert result.detail["Metadata"] == {"order": "4711"}
    assert [message.id for message in alice.messages] == [result.message_id]
    assert alice.texts == ["Your parcel is on its way"]


def test_equal_events_are_two_messages(alice: Conversation) -> None:
    ids = {alice.result_of(alice.event("ok")).message_id for _ in range(2)}

    assert len(ids) == 2
    assert alice.texts == ["ok", "ok"]


def test_an_event_that_cannot_be_sent_is_rejected_and_copied(
    conversations: Conversations, rejected: RejectedCopies
) -> None:
    ended = conversations.open(ended=True)

    event_id = ended.event("One more thing", ClientToken="c-1")

    assert ended.result_of(event_id).code == "AccessDenied"
    copy = rejected.copy_of(event_id)
    assert json.loads(copy["Body"]) == ended.request("One more thing", ClientToken="c-1")


def test_nothing_but_a_request_is_one(alice: Conversation, stack: LocalStack) -> None:
    forged = json.dumps(alice.request("A result is no request"))

    ignored = stack.put_event(forged, source="connect-message-sender")
    alice.result_of(alice.event("This is one"))

    assert alice.texts == ["This is one"]
    assert ignored not in stack.results.source_ids


def test_a_result_leads_to_no_other(alice: Conversation, stack: LocalStack) -> None:
    client_token = str(uuid.uuid4())

    alice.result_of(alice.event("Hello", ClientToken=client_token))
    alice.result_of(alice.event("A later one, by which the first has had its time"))

    results = [event for event in stack.results.received if event.client_token == client_token]
    assert len(results) == 1
    assert stack.queue_depths().events_dead_letter == 0


def test_one_client_token_is_one_message_whichever_ways_it_comes(alice: Conversation) -> None:
    client_token = "sms-1"

    queued = alice.result_of(alice.queue("I am here", ClientToken=client_token)).message_id
    posted = alice.result_of(alice.post("I am here", ClientToken=client_token).payload["MessageId"])
    on_the_bus = alice.result_of(alice.event("I am here", ClientToken=client_token)).message_id
    awaited = alice.post_and_wait("I am here", ClientToken=client_token).payload["Message"]["Id"]
    invoked = alice.invoke("I am here", ClientToken=client_token).payload["Message"]["Id"]
    _, executed = alice.execute("I am here", ClientToken=client_token)

    ids = {queued, posted.message_id, on_the_bus, awaited, invoked, executed.payload["Message"]["Id"]}
    assert len(ids) == 1
    assert alice.texts == ["I am here"]
