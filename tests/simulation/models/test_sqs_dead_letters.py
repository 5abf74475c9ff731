"""Dead letters: moving after too many receives, and redriving."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.models.queue_calls import bodies, fill, pass_time

if TYPE_CHECKING:
    from tests.simulation.models.clock import VirtualTime
    from tests.simulation.models.sqs import Queue


def test_a_message_is_moved_at_the_receive_after_its_last_visibility_timeout(
    queue: Queue, dead_letters: Queue, time: VirtualTime
) -> None:
    fill(queue, "poison", "behind")
    for _ in range(3):
        assert bodies(queue.receive()) == ["poison", "behind"]
        pass_time(time, 31)
    assert dead_letters.messages == []

    received = queue.receive()

    assert received == []  # the second was received as often
    assert bodies(dead_letters.messages) == ["poison", "behind"]


def test_a_younger_message_is_received_when_its_predecessor_is_moved(
    queue: Queue, dead_letters: Queue, time: VirtualTime
) -> None:
    fill(queue, "poison")
    for _ in range(3):
        queue.receive()
        pass_time(time, 31)
    fill(queue, "younger")

    assert bodies(queue.receive()) == ["younger"]
    assert bodies(dead_letters.messages) == ["poison"]


def test_a_dead_letter_keeps_its_id_which_replaces_its_deduplication_id(
    queue: Queue, dead_letters: Queue, time: VirtualTime
) -> None:
    message_id = queue.send("a", group="chat", deduplication_id="own", attributes={"k": "v"})
    for _ in range(4):
        queue.receive()
        pass_time(time, 31)

    [dead_letter] = dead_letters.messages

    assert (dead_letter.message_id, dead_letter.deduplication_id, dead_letter.group) == (
        message_id,
        message_id,
        "chat",
    )
    assert dead_letter.attributes == {"k": "v"}
    assert dead_letter.source_queue == "messages.fifo"
    assert dead_letter.receive_count == 0


def test_a_copy_whose_deduplication_id_is_the_id_of_a_dead_letter_is_dropped(
    queue: Queue, dead_letters: Queue, time: VirtualTime
) -> None:
    message_id = queue.send("a", group="chat", deduplication_id="own")
    for _ in range(4):
        queue.receive()
        pass_time(time, 31)

    dead_letters.send("copy", group="chat", deduplication_id=message_id)

    assert bodies(dead_letters.messages) == ["a"]


def test_a_fifo_message_gets_a_new_enqueue_time_in_the_dead_letter_queue(
    queue: Queue, dead_letters: Queue, time: VirtualTime
) -> None:
    fill(queue, "a")
    accepted = queue.messages[0].enqueued_at
    for _ in range(4):
        queue.receive()
        pass_time(time, 31)

    assert dead_letters.messages[0].enqueued_at > accepted


def test_a_redrive_assigns_a_new_message_id_and_enqueue_time(
    queue: Queue, dead_letters: Queue, time: VirtualTime
) -> None:
    message_id = dead_letters.send("a", group="chat", deduplication_id="d")
    pass_time(time, 60)

    new_id = dead_letters.redrive(dead_letters.messages[0], queue)

    [message] = queue.messages
    assert dead_letters.messages == []
    assert message.message_id == new_id != message_id
    assert message.enqueued_at == time.epoch()
