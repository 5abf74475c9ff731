"""Deleting, with valid and expired receipt handles."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.simulation.models.queue_calls import bodies, fill, pass_time
from tests.simulation.models.sqs import Queue, SqsError

if TYPE_CHECKING:
    from tests.simulation.models.clock import VirtualTime


def test_a_message_can_be_deleted_before_its_predecessor(queue: Queue, time: VirtualTime) -> None:
    fill(queue, "first", "second")
    _, second = queue.receive()

    queue.delete(second.receipt)

    pass_time(time, 31)
    assert bodies(queue.receive()) == ["first"]


def test_a_fifo_queue_rejects_an_expired_receipt_handle(queue: Queue, time: VirtualTime) -> None:
    fill(queue, "a")
    [message] = queue.receive()
    pass_time(time, 31)

    with pytest.raises(SqsError):
        queue.delete(message.receipt)

    assert bodies(queue.receive()) == ["a"]


def test_a_standard_queue_accepts_an_expired_receipt_handle(time: VirtualTime) -> None:
    queue = Queue("standard", time=time, random=Random(1), visibility_timeout=30)
    queue.send("a")
    [message] = queue.receive()
    pass_time(time, 31)

    queue.delete(message.receipt)

    assert queue.messages == []


def test_a_second_delete_changes_nothing(queue: Queue) -> None:
    fill(queue, "a", "b")
    first, _ = queue.receive()

    queue.delete(first.receipt)
    queue.delete(first.receipt)

    assert bodies(queue.messages) == ["b"]
