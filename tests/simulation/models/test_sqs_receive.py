"""Receiving: order within a group, batches, and receipt handles."""

from __future__ import annotations

from itertools import groupby
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.simulation.models.queue_calls import bodies, fill, pass_time
from tests.simulation.models.sqs import Queue, SqsError

if TYPE_CHECKING:
    from tests.simulation.models.clock import VirtualTime


def test_a_group_is_received_in_the_order_of_acceptance(queue: Queue) -> None:
    fill(queue, "a", "b", "c")

    assert bodies(queue.receive()) == ["a", "b", "c"]


def test_a_receive_returns_at_most_ten_messages_of_several_groups(queue: Queue) -> None:
    for group in "abcd":
        fill(queue, *"12345", group=group)

    received = queue.receive()

    assert len(received) == 10
    assert len({message.group for message in received}) > 1
    for group in "abcd":
        of_group = [message.body for message in received if message.group == group]
        assert of_group == sorted(of_group)


def test_a_message_in_flight_blocks_the_later_ones_of_its_group(queue: Queue) -> None:
    fill(queue, "a")
    queue.receive()
    fill(queue, "b")
    fill(queue, "x", group="other")

    assert bodies(queue.receive()) == ["x"]


def test_a_receive_counts_for_every_message_of_the_batch(queue: Queue, time: VirtualTime) -> None:
    fill(queue, "first", "second")
    for _ in range(2):
        queue.receive()
        pass_time(time, 31)

    assert [message.receive_count for message in queue.receive()] == [3, 3]


def test_a_receipt_handle_is_valid_until_the_next_receive(queue: Queue, time: VirtualTime) -> None:
    fill(queue, "a")
    [message] = queue.receive()
    old = message.receipt
    pass_time(time, 31)
    queue.receive()

    with pytest.raises(SqsError):
        queue.delete(old)
    with pytest.raises(SqsError, match="ReceiptHandleIsInvalid"):
        queue.change_visibility(old, 0)


def test_a_receive_can_set_its_own_visibility_timeout(queue: Queue, time: VirtualTime) -> None:
    fill(queue, "a")

    [message] = queue.receive(visibility_timeout=900)

    assert message.visible_at == time.monotonic() + 900


def test_a_batch_takes_all_messages_of_a_group_before_the_next(queue: Queue) -> None:
    for group in "abc":
        fill(queue, *"123456", group=group)

    groups = [message.group for message in queue.receive()]

    assert [len(list(same)) for _, same in groupby(groups)] == [6, 4]


def test_groups_in_turn_are_received_in_the_order_in_which_they_became_ready(time: VirtualTime) -> None:
    queue = Queue("turn.fifo", time=time, random=Random(1), visibility_timeout=30, groups_in_turn=True)
    for group in "abc":
        fill(queue, "1", "2", group=group)
    [first, _] = queue.receive(2)
    queue.change_visibility(first.receipt, 5)

    pass_time(time, 6)

    assert [message.group for message in queue.receive()] == ["b", "b", "c", "c", "a"]
