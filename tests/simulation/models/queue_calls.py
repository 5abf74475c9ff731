"""Short forms for the tests of the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.models.clock import VirtualTime
    from tests.simulation.models.sqs import Message, Queue


def fill(queue: Queue, *bodies: str, group: str = "chat") -> None:
    for body in bodies:
        queue.send(body, group=group, deduplication_id=f"{group}-{body}")


def bodies(messages: list[Message]) -> list[str]:
    return [message.body for message in messages]


def pass_time(time: VirtualTime, seconds: float) -> None:
    time.after(seconds, lambda: None)
    time.run()
