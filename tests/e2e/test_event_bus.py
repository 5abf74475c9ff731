"""Messages by the event bus of the deployed stack."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import jsonschema
import pytest

from infra.contract import REQUEST_DETAIL_TYPE, RESULT_SOURCE
from infra.producer import EventSource
from tests.support.schemas import RESULT_SCHEMA

if TYPE_CHECKING:
    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation, Conversations, RejectedCopies

pytestmark = pytest.mark.e2e


def test_an_event_reaches_its_chat_and_its_result_reaches_the_bus(alice: Conversation) -> None:
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


@pytest.mark.parametrize(("age", "code"), [(timedelta(minutes=59), None), (timedelta(minutes=61), "Expired")])
def test_an_event_older_than_the_maximum_age_is_rejected(
    alice: Conversation, stack: LocalStack, age: timedelta, code: str | None
) -> None:
    entry = {
        "EventBusName": stack.outputs.event_bus_name,
        "Source": "my.shop",
        "DetailType": REQUEST_DETAIL_TYPE,
        "Detail": json.dumps(alice.request("Hello")),
        "Time": datetime.now(UTC) - age,
    }

    put = stack.emulator.client("events").put_events(Entries=[entry])

    result = alice.result_of(put["Entries"][0]["EventId"])
    assert (result.outcome, result.code) == ("REJECTED" if code else "SENT", code)
    assert alice.texts == ([] if code else ["Hello"])


def test_an_event_under_the_source_of_results_is_not_a_request(
    alice: Conversation, stack: LocalStack
) -> None:
    entry = {
        "EventBusName": stack.outputs.event_bus_name,
        "Source": RESULT_SOURCE,
        "DetailType": REQUEST_DETAIL_TYPE,
        "Detail": json.dumps(alice.request("A result is not a request")),
    }

    put = stack.emulator.client("events").put_events(Entries=[entry])
    alice.result_of(alice.event("This is one"))

    assert alice.texts == ["This is one"]
    assert put["Entries"][0]["EventId"] not in {result.source_id for result in stack.results.received}


def test_a_result_does_not_lead_to_another(alice: Conversation, stack: LocalStack) -> None:
    client_token = str(uuid.uuid4())

    alice.result_of(alice.event("Hello", ClientToken=client_token))
    alice.result_of(alice.event("A later one, so that the first has had enough time"))

    results = [result for result in stack.results.received if result.client_token == client_token]
    assert len(results) == 1
    assert stack.queue_depths().events_dead_letter == 0


def test_one_client_token_is_one_message_by_all_event_sources(alice: Conversation, stack: LocalStack) -> None:
    message_ids = set()

    for source in EventSource:
        answer = alice.send(source, "I am here", ClientToken="sms-1")
        if source is EventSource.WORKFLOW:
            answer = stack.producer.wait_for_execution(answer.source_id, timeout=60)
        result = answer.result or alice.result_of(answer.source_id)
        assert result.event_source in source.reported_as
        message_ids.add(result.message_id)

    assert len(message_ids) == 1
    assert alice.texts == ["I am here"]
