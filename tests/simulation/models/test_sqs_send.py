"""Sending: de-duplication, and the bodies and attributes that SQS accepts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulation.models.queue_calls import bodies, pass_time
from tests.simulation.models.sqs import SqsError

if TYPE_CHECKING:
    from tests.simulation.models.clock import VirtualTime
    from tests.simulation.models.sqs import Queue


def test_a_repeat_within_five_minutes_is_dropped(queue: Queue, time: VirtualTime) -> None:
    first = queue.send("a", group="chat", deduplication_id="d")
    pass_time(time, 299)

    assert queue.send("a", group="chat", deduplication_id="d") == first
    assert len(queue.messages) == 1
    pass_time(time, 2)
    assert queue.send("a", group="chat", deduplication_id="d") != first


def test_a_repeat_is_dropped_even_after_the_first_message_was_deleted(queue: Queue) -> None:
    queue.send("a", group="chat", deduplication_id="d")
    [message] = queue.receive()
    queue.delete(message.receipt)

    queue.send("a", group="chat", deduplication_id="d")

    assert queue.messages == []


def test_a_deduplication_id_is_compared_within_its_group(queue: Queue) -> None:
    assert queue.send("a", group="one", deduplication_id="d") != queue.send(
        "a", group="two", deduplication_id="d"
    )


def test_equal_bodies_are_two_messages(queue: Queue) -> None:
    queue.send("ok", group="chat", deduplication_id="1")
    queue.send("ok", group="chat", deduplication_id="2")

    assert bodies(queue.messages) == ["ok", "ok"]


@pytest.mark.parametrize("body", ["", "\x00", "\x0b", "￾", "￿", "x" * 1_048_577])
def test_an_invalid_body_is_rejected(queue: Queue, body: str) -> None:
    with pytest.raises(SqsError):
        queue.send(body, group="chat", deduplication_id="d")


@pytest.mark.parametrize("body", ["\t\r\n", "😀", "x" * 1_048_576, "�"])
def test_a_valid_body_is_accepted(queue: Queue, body: str) -> None:
    queue.send(body, group="chat", deduplication_id="d")

    assert bodies(queue.messages) == [body]


def test_attributes_count_towards_the_size(queue: Queue) -> None:
    with pytest.raises(SqsError):
        queue.send("x" * 1_048_570, group="chat", deduplication_id="d", attributes={"name": "value"})


@pytest.mark.parametrize(
    "attributes",
    [{"empty": ""}, {"": "x"}, {".x": "x"}, {"a b": "x"}, {f"a{i}": "x" for i in range(11)}, {"n": "\x01"}],
    ids=["no value", "no name", "dot", "blank", "eleven", "mutant character"],
)
def test_invalid_attributes_are_rejected(queue: Queue, attributes: dict[str, str]) -> None:
    with pytest.raises(SqsError):
        queue.send("x", group="chat", deduplication_id="d", attributes=attributes)


@pytest.mark.parametrize(("group", "deduplication_id"), [(None, "d"), ("g", None), ("a b", "d"), ("g", "ü"),
                                                         ("g" * 129, "d"), ("g", "")])  # fmt: skip
def test_a_fifo_queue_requires_a_valid_group_and_deduplication_id(
    queue: Queue, group: str | None, deduplication_id: str | None
) -> None:
    with pytest.raises(SqsError):
        queue.send("x", group=group, deduplication_id=deduplication_id)
