"""Messages through the queue of the deployed stack."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import TYPE_CHECKING

import jsonschema
import pytest

from infra.producer import EventSource
from tests.support.limits import TOO_LONG
from tests.support.schemas import RESULT_SCHEMA

if TYPE_CHECKING:
    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation, Conversations, RejectedCopies

pytestmark = pytest.mark.e2e


def test_a_message_reaches_the_chat_and_its_result_reaches_the_bus(alice: Conversation) -> None:
    message_id = alice.queue("Where is my order?", Metadata={"order": "4711"})

    result = alice.result_of(message_id)
    (shown,) = alice.messages
    assert shown.content == "Where is my order?"
    jsonschema.validate(result.detail, RESULT_SCHEMA)
    assert (result.outcome, result.event_source) == ("SENT", "sqs")
    assert result.message_id == shown.id
    assert result.detail["ContactId"] == alice.chat.contact_id
    assert result.detail["Metadata"] == {"order": "4711"}


def test_every_chat_shows_its_messages_in_order(conversations: Conversations) -> None:
    chats = [conversations.open() for _ in range(3)]

    message_ids = [chat.queue(str(number)) for number in range(12) for chat in chats]

    for message_id in message_ids:
        assert chats[0].result_of(message_id).outcome == "SENT"
    for chat in chats:
        assert chat.texts == [str(number) for number in range(12)]


def test_two_equal_texts_are_two_messages(alice: Conversation) -> None:
    ids = {alice.result_of(alice.queue("Are you there?")).message_id for _ in range(2)}

    assert len(ids) == 2
    assert alice.texts == ["Are you there?", "Are you there?"]


def test_one_client_token_is_one_message(alice: Conversation) -> None:
    ids = {alice.result_of(alice.queue("I am here", ClientToken="sms-1")).message_id for _ in range(2)}

    assert len(ids) == 1
    assert alice.texts == ["I am here"]


def test_a_rejected_message_is_copied_and_its_chat_goes_on(
    alice: Conversation, rejected: RejectedCopies
) -> None:
    client_token = str(uuid.uuid4())

    too_long = alice.queue(TOO_LONG, ClientToken=client_token)
    next_one = alice.queue("In short: hello")

    result = alice.result_of(too_long)
    assert (result.outcome, result.code) == ("REJECTED", "InvalidRequest")
    assert result.client_token == client_token
    copy = rejected.copy_of(too_long)
    attributes = {name: value["StringValue"] for name, value in copy["MessageAttributes"].items()}
    accepted_at = datetime.fromisoformat(attributes.pop("AcceptedAt"))
    assert accepted_at.isoformat(timespec="milliseconds") == result.detail["AcceptedAt"].replace(
        "Z", "+00:00"
    )
    assert attributes == {
        "Code": "InvalidRequest",
        "ClientToken": client_token,
        "EventSource": "sqs",
        "SourceId": too_long,
        "MaybeDelivered": "false",
        "MessageGroupId": alice.chat.contact_id,
    }
    assert json.loads(copy["Body"]) == alice.request(TOO_LONG, ClientToken=client_token)
    assert alice.result_of(next_one).outcome == "SENT"
    assert alice.texts == ["In short: hello"]


def test_a_copy_has_the_client_token_that_the_message_lacked(
    alice: Conversation, rejected: RejectedCopies
) -> None:
    message_id = alice.queue("")

    result = alice.result_of(message_id)
    assert result.client_token
    assert json.loads(rejected.copy_of(message_id)["Body"])["ClientToken"] == result.client_token


def test_a_message_for_a_chat_that_has_ended_is_rejected(conversations: Conversations) -> None:
    ended = conversations.open(ended=True)

    result = ended.result_of(ended.queue("One more thing"))

    assert (result.outcome, result.code) == ("REJECTED", "AccessDenied")


def test_a_content_type_that_is_not_enabled_for_the_chat_is_rejected(conversations: Conversations) -> None:
    plain = conversations.open(content_types=["text/plain"])

    result = plain.result_of(plain.queue("**Hello**", ContentType="text/markdown"))

    assert (result.outcome, result.code) == ("REJECTED", "ServiceValidation")


def test_a_text_that_is_not_json_is_rejected_and_copied_unchanged(
    alice: Conversation, stack: LocalStack, rejected: RejectedCopies
) -> None:
    sent = stack.producer.send_text("not JSON", through=EventSource.QUEUE, message_group="nobody")

    result = alice.result_of(sent.source_id)

    assert (result.outcome, result.code) == ("REJECTED", "InvalidRequest")
    assert rejected.copy_of(sent.source_id)["Body"] == "not JSON"
