"""One test for each behaviour of SQS that the promise leans on."""

from __future__ import annotations

from random import Random

import pytest

from tests.simulation.models.clock import VirtualTime
from tests.simulation.models.sqs import Message, Queue, SqsError


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def dead_letters(time: VirtualTime) -> Queue:
    return Queue("dead.fifo", time=time, random=Random(2))


@pytest.fixture
def queue(time: VirtualTime, dead_letters: Queue) -> Queue:
    return Queue(
        "messages.fifo",
        time=time,
        random=Random(1),
        visibility_timeout=30,
        dead_letters=dead_letters,
        max_receive_count=3,
    )


def fill(queue: Queue, *bodies: str, group: str = "chat") -> None:
    for body in bodies:
        queue.send(body, group=group, deduplication_id=f"{group}-{body}")


def bodies(messages: list[Message]) -> list[str]:
    return [message.body for message in messages]


def test_a_group_is_received_in_the_order_of_its_acceptance(queue: Queue) -> None:
    fill(queue, "a", "b", "c")

    assert bodies(queue.receive()) == ["a", "b", "c"]


def test_a_receive_takes_ten_at_most_and_may_mix_groups(queue: Queue) -> None:
    for group in "abcd":
        fill(queue, *"12345", group=group)

    received = queue.receive()

    assert len(received) == 10
    assert len({message.group for message in received}) > 1
    for group in "abcd":
        of_group = [message.body for message in received if message.group == group]
        assert of_group == sorted(of_group)


def test_while_a_message_is_held_its_group_gives_none_of_the_later_ones(queue: Queue) -> None:
    fill(queue, "a")
    queue.receive()
    fill(queue, "b")
    fill(queue, "x", group="other")

    assert bodies(queue.receive()) == ["x"]


def test_visibility_is_of_each_message_so_the_head_returns_alone(queue: Queue, time: VirtualTime) -> None:
    fill(queue, "head", "follower")
    head, follower = queue.receive()
    queue.change_visibility(head.receipt, 1)
    queue.change_visibility(follower.receipt, 30)

    pass_time(time, 2)

    assert bodies(queue.receive()) == ["head"]


def test_a_follower_never_overtakes_a_hidden_head(queue: Queue, time: VirtualTime) -> None:
    fill(queue, "head", "follower")
    head, follower = queue.receive()
    queue.change_visibility(head.receipt, 20)
    queue.change_visibility(follower.receipt, 1)

    pass_time(time, 5)

    assert queue.receive() == []


def test_of_three_with_the_second_hidden_only_the_first_returns(queue: Queue, time: VirtualTime) -> None:
    fill(queue, "a", "b", "c")
    first, second, third = queue.receive()
    queue.change_visibility(first.receipt, 1)
    queue.change_visibility(second.receipt, 20)
    queue.change_visibility(third.receipt, 1)

    pass_time(time, 5)

    assert bodies(queue.receive()) == ["a"]


def test_a_follower_left_hidden_stalls_its_group_after_the_head_is_gone(
    queue: Queue, time: VirtualTime
) -> None:
    fill(queue, "head", "follower")
    head, _ = queue.receive()
    queue.delete(head.receipt)

    pass_time(time, 29)
    assert queue.receive() == []
    pass_time(time, 2)
    assert bodies(queue.receive()) == ["follower"]


def test_a_follower_may_be_deleted_while_its_head_is_not(queue: Queue, time: VirtualTime) -> None:
    fill(queue, "head", "follower")
    _, follower = queue.receive()

    queue.delete(follower.receipt)

    pass_time(time, 31)
    assert bodies(queue.receive()) == ["head"]


def test_every_receive_counts_for_the_followers_too(queue: Queue, time: VirtualTime) -> None:
    fill(queue, "head", "follower")
    for _ in range(2):
        queue.receive()
        pass_time(time, 31)

    assert [message.receive_count for message in queue.receive()] == [3, 3]


def test_an_expired_receipt_handle_deletes_nothing_in_a_fifo_queue(queue: Queue, time: VirtualTime) -> None:
    fill(queue, "a")
    [message] = queue.receive()
    pass_time(time, 31)

    with pytest.raises(SqsError):
        queue.delete(message.receipt)

    assert bodies(queue.receive()) == ["a"]


def test_an_expired_receipt_handle_still_deletes_in_a_standard_queue(time: VirtualTime) -> None:
    queue = Queue("standard", time=time, random=Random(1), visibility_timeout=30)
    queue.send("a")
    [message] = queue.receive()
    pass_time(time, 31)

    queue.delete(message.receipt)

    assert queue.messages == []


def test_a_receipt_handle_is_good_until_the_next_receive(queue: Queue, time: VirtualTime) -> None:
    fill(queue, "a")
    [message] = queue.receive()
    old = message.receipt
    pass_time(time, 31)
    queue.receive()

    with pytest.raises(SqsError):
        queue.delete(old)
    with pytest.raises(SqsError, match="ReceiptHandleIsInvalid"):
        queue.change_visibility(old, 0)


def test_deleting_twice_changes_nothing(queue: Queue) -> None:
    fill(queue, "a", "b")
    first, _ = queue.receive()

    queue.delete(first.receipt)
    queue.delete(first.receipt)

    assert bodies(queue.messages) == ["b"]


def test_visibility_changes_only_for_what_is_held(queue: Queue, time: VirtualTime) -> None:
    fill(queue, "a")
    [message] = queue.receive()
    pass_time(time, 31)

    with pytest.raises(SqsError, match="MessageNotInflight"):
        queue.change_visibility(message.receipt, 5)


def test_a_message_is_moved_at_the_next_receive_after_its_last_visibility_ends(
    queue: Queue, dead_letters: Queue, time: VirtualTime
) -> None:
    fill(queue, "poison", "behind")
    for _ in range(3):
        assert bodies(queue.receive()) == ["poison", "behind"]
        pass_time(time, 31)
    assert dead_letters.messages == []

    received = queue.receive()

    assert received == []  # the follower was received as often
    assert bodies(dead_letters.messages) == ["poison", "behind"]


def test_a_younger_follower_goes_on_when_its_head_is_moved(
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

    [letter] = dead_letters.messages

    assert (letter.message_id, letter.deduplication_id, letter.group) == (message_id, message_id, "chat")
    assert letter.attributes == {"k": "v"}
    assert letter.source_queue == "messages.fifo"
    assert letter.receive_count == 0


def test_a_copy_with_the_id_of_a_dead_letter_for_a_deduplication_id_is_dropped(
    queue: Queue, dead_letters: Queue, time: VirtualTime
) -> None:
    message_id = queue.send("a", group="chat", deduplication_id="own")
    for _ in range(4):
        queue.receive()
        pass_time(time, 31)

    dead_letters.send("copy", group="chat", deduplication_id=message_id)

    assert bodies(dead_letters.messages) == ["a"]


def test_a_receive_may_name_its_own_visibility_timeout(queue: Queue, time: VirtualTime) -> None:
    fill(queue, "a")

    [message] = queue.receive(visibility_timeout=900)

    assert message.visible_at == time.monotonic() + 900


def test_the_time_of_a_fifo_message_starts_anew_among_the_dead_letters(
    queue: Queue, dead_letters: Queue, time: VirtualTime
) -> None:
    fill(queue, "a")
    accepted = queue.messages[0].enqueued_at
    for _ in range(4):
        queue.receive()
        pass_time(time, 31)

    assert dead_letters.messages[0].enqueued_at > accepted


def test_a_redrive_gives_a_new_message_id_and_enqueue_time(
    queue: Queue, dead_letters: Queue, time: VirtualTime
) -> None:
    message_id = dead_letters.send("a", group="chat", deduplication_id="d")
    pass_time(time, 60)

    new_id = dead_letters.redrive(dead_letters.messages[0], queue)

    [message] = queue.messages
    assert dead_letters.messages == []
    assert message.message_id == new_id != message_id
    assert message.enqueued_at == time.epoch()


def test_a_repeat_within_five_minutes_is_the_message_that_is_there(queue: Queue, time: VirtualTime) -> None:
    first = queue.send("a", group="chat", deduplication_id="d")
    pass_time(time, 299)

    assert queue.send("a", group="chat", deduplication_id="d") == first
    assert len(queue.messages) == 1
    pass_time(time, 2)
    assert queue.send("a", group="chat", deduplication_id="d") != first


def test_a_repeat_is_dropped_even_after_the_first_was_deleted(queue: Queue) -> None:
    queue.send("a", group="chat", deduplication_id="d")
    [message] = queue.receive()
    queue.delete(message.receipt)

    queue.send("a", group="chat", deduplication_id="d")

    assert queue.messages == []


def test_a_deduplication_id_counts_within_its_group(queue: Queue) -> None:
    assert queue.send("a", group="one", deduplication_id="d") != queue.send(
        "a", group="two", deduplication_id="d"
    )


def test_equal_bodies_are_two_messages(queue: Queue) -> None:
    queue.send("ok", group="chat", deduplication_id="1")
    queue.send("ok", group="chat", deduplication_id="2")

    assert bodies(queue.messages) == ["ok", "ok"]


@pytest.mark.parametrize("body", ["", "\x00", "\x0b", "￾", "￿", "x" * 1_048_577])
def test_a_body_that_sqs_refuses_is_refused(queue: Queue, body: str) -> None:
    with pytest.raises(SqsError):
        queue.send(body, group="chat", deduplication_id="d")


@pytest.mark.parametrize("body", ["\t\r\n", "😀", "x" * 1_048_576, "�"])
def test_a_body_that_sqs_takes_is_taken(queue: Queue, body: str) -> None:
    queue.send(body, group="chat", deduplication_id="d")

    assert bodies(queue.messages) == [body]


def test_attributes_count_to_the_size(queue: Queue) -> None:
    with pytest.raises(SqsError):
        queue.send("x" * 1_048_570, group="chat", deduplication_id="d", attributes={"name": "value"})


@pytest.mark.parametrize(
    "attributes",
    [{"empty": ""}, {"": "x"}, {".x": "x"}, {"a b": "x"}, {f"a{i}": "x" for i in range(11)}, {"n": "\x01"}],
    ids=["no value", "no name", "dot", "blank", "eleven", "control character"],
)
def test_attributes_that_sqs_refuses_are_refused(queue: Queue, attributes: dict[str, str]) -> None:
    with pytest.raises(SqsError):
        queue.send("x", group="chat", deduplication_id="d", attributes=attributes)


@pytest.mark.parametrize(("group", "deduplication_id"), [(None, "d"), ("g", None), ("a b", "d"), ("g", "ü"),
                                                         ("g" * 129, "d"), ("g", "")])  # fmt: skip
def test_a_fifo_queue_wants_a_group_and_a_deduplication_id(
    queue: Queue, group: str | None, deduplication_id: str | None
) -> None:
    with pytest.raises(SqsError):
        queue.send("x", group=group, deduplication_id=deduplication_id)


def pass_time(time: VirtualTime, seconds: float) -> None:
    time.after(seconds, lambda: None)
    time.run()
