"""Sealed connection tokens: each event source takes them, and only the function reads them."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING

import pytest

from infra.producer import EventSource, NotSentError
from tests.e2e.test_local_stack import log_lines
from tests.e2e.test_workflow import history_of

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation, Conversations, RejectedCopies

pytestmark = pytest.mark.e2e


def sealed_token(conversation: Conversation) -> str:
    chat = conversation.chat
    return conversation.stack.producer.seal(chat.connection_token, chat.contact_id)


@pytest.mark.parametrize("source", EventSource)
def test_each_event_source_takes_a_sealed_token(
    source: EventSource, alice: Conversation, stack: LocalStack, folder: Path
) -> None:
    sealed = sealed_token(alice)

    answer = alice.send(source, "Friday, please", ConnectionToken=sealed, ClientToken=str(uuid.uuid4()))

    if source is EventSource.WORKFLOW:
        history = json.dumps(history_of(stack, answer.source_id), default=str)
        answer = stack.producer.wait_for_execution(answer.source_id, timeout=60)
        history += json.dumps(history_of(stack, answer.source_id), default=str)
        assert sealed in history
        assert alice.chat.connection_token not in history
    result = answer.result or alice.result_of(answer.source_id)
    assert (result.outcome, alice.texts) == ("SENT", ["Friday, please"])
    said = [*log_lines(stack, folder), json.dumps(dict(result.detail))]
    for hidden in (alice.chat.connection_token, sealed):
        assert [line for line in said if hidden in line] == []


def test_copy_of_a_rejected_message_has_the_sealed_token(
    conversations: Conversations, rejected: RejectedCopies
) -> None:
    ended = conversations.open(ended=True)
    sealed = sealed_token(ended)

    sources = [ended.queue("Hello", ConnectionToken=sealed), ended.event("Hello", ConnectionToken=sealed)]

    for source_id in sources:
        assert ended.result_of(source_id).code == "AccessDenied"
        body = rejected.copy_of(source_id)["Body"]
        assert json.loads(body)["ConnectionToken"] == sealed
        assert ended.chat.connection_token not in body


@pytest.mark.parametrize("source", [EventSource.DIRECT, EventSource.API_SYNC])
def test_token_that_was_sealed_for_another_chat_is_unreadable(
    source: EventSource, conversations: Conversations
) -> None:
    alice, bruno = conversations.open(), conversations.open()

    with pytest.raises(NotSentError) as raised:
        bruno.send(source, "Hello", ConnectionToken=sealed_token(alice), ClientToken="c-1")

    if bruno.stack.has_error_types or source is EventSource.API_SYNC:
        assert raised.value.code == "TokenUnreadable"
    assert raised.value.status in {None, 422}
    assert alice.texts == bruno.texts == []
