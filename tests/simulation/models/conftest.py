"""A FIFO queue with a dead-letter queue, in virtual time."""

from __future__ import annotations

from random import Random

import pytest

from tests.simulation.models.clock import VirtualTime
from tests.simulation.models.sqs import Queue


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
