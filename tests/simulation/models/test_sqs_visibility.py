"""Visibility timeouts: each message has its own, and a FIFO group keeps its order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulation.models.queue_calls import bodies, fill, pass_time
from tests.simulation.models.sqs import SqsError

if TYPE_CHECKING:
    from tests.simulation.models.clock import VirtualTime
    from tests.simulation.models.sqs import Queue


def test_each_message_has_its_own_visibility_timeout(queue: Queue, time: VirtualTime) -> None:
    fill(queue, "first", "second")
    first, second = queue.receive()
    queue.change_visibility(first.receipt, 1)
    queue.change_visibility(second.receipt, 30)

    pass_time(time, 2)

    assert bodies(queue.receive()) == ["first"]


def test_a_message_never_overtakes_a_hidden_predecessor(queue: Queue, time: VirtualTime) -> None:
    fill(queue, "first", "second")
    first, second = queue.receive()
    queue.change_visibility(first.receipt, 20)
    queue.change_visibility(second.receipt, 1)

    pass_time(time, 5)

    assert queue.receive() == []


def test_only_messages_before_the_first_hidden_one_are_received(queue: Queue, time: VirtualTime) -> None:
    fill(queue, "a", "b", "c")
    first, second, third = queue.receive()
    queue.change_visibility(first.receipt, 1)
    queue.change_visibility(second.receipt, 20)
    queue.change_visibility(third.receipt, 1)

    pass_time(time, 5)

    assert bodies(queue.receive()) == ["a"]


def test_a_hidden_message_blocks_its_group_after_its_predecessor_is_deleted(
    queue: Queue, time: VirtualTime
) -> None:
    fill(queue, "first", "second")
    first, _ = queue.receive()
    queue.delete(first.receipt)

    pass_time(time, 29)
    assert queue.receive() == []
    pass_time(time, 2)
    assert bodies(queue.receive()) == ["second"]


def test_the_visibility_of_a_message_that_is_not_in_flight_cannot_change(
    queue: Queue, time: VirtualTime
) -> None:
    fill(queue, "a")
    [message] = queue.receive()
    pass_time(time, 31)

    with pytest.raises(SqsError, match="MessageNotInflight"):
        queue.change_visibility(message.receipt, 5)
