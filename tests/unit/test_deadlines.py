"""The division of an invocation's time."""

from __future__ import annotations

import pytest

from message_sender.aws.client import MAX_CALL_SECONDS
from message_sender.deadlines import Deadlines
from tests.support.fakes import FakeClock
from tests.support.lambda_events import FakeLambdaContext


def test_a_sent_message_leaves_time_to_copy_publish_and_complete_its_task() -> None:
    clock = FakeClock()

    deadlines = Deadlines.of_invocation(FakeLambdaContext(seconds_left=28), clock)

    assert deadlines.complete_tasks == clock.monotonic() + 27.5
    assert deadlines.complete_tasks - deadlines.publish == pytest.approx(MAX_CALL_SECONDS + 0.1)
    assert deadlines.publish - deadlines.copy == pytest.approx(2 * MAX_CALL_SECONDS + 0.1)
    assert deadlines.copy - deadlines.send == pytest.approx(MAX_CALL_SECONDS + 0.1)
    assert deadlines.send - clock.monotonic() > 15


def test_a_synchronous_call_reserves_no_time_for_copies_and_tasks() -> None:
    clock = FakeClock()

    deadlines = Deadlines.of_invocation(FakeLambdaContext(seconds_left=28), clock, synchronous=True)

    assert deadlines.publish == clock.monotonic() + 27.5
    assert deadlines.publish - deadlines.send == pytest.approx(2 * MAX_CALL_SECONDS + 0.1)
