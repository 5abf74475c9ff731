"""Texts with `SplitAt` through each event source: in parts, in order, with one result."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from infra.producer import EventSource

if TYPE_CHECKING:
    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation

pytestmark = pytest.mark.e2e

PARTS = [" ".join([word] * 40) for word in ("first", "second", "third")]
"""Two do not fit into one part of 300 characters."""


@pytest.mark.parametrize("source", EventSource)
def test_each_event_source_takes_a_long_text(
    source: EventSource, alice: Conversation, stack: LocalStack
) -> None:
    answer = alice.send(source, "\n\n".join(PARTS), SplitAt=300, ClientToken=str(uuid.uuid4()))

    if source is EventSource.WORKFLOW:
        answer = stack.producer.wait_for_execution(answer.source_id, timeout=60)
    result = answer.result or alice.result_of(answer.source_id)
    assert result.outcome == "SENT"
    assert alice.texts == PARTS
    assert [part["Id"] for part in result.detail["Message"]["Parts"]] == [each.id for each in alice.messages]
    assert result.message_id == alice.messages[-1].id


def test_messages_around_a_long_text_keep_their_order(alice: Conversation) -> None:
    before, between, after = (
        alice.queue("before"),
        alice.queue("\n\n".join(PARTS), SplitAt=300),
        alice.post("after"),
    )

    assert {alice.result_of(each).outcome for each in (before, between, after)} == {"SENT"}
    assert alice.texts == ["before", *PARTS, "after"]
