"""How the time of an invocation is divided."""

from __future__ import annotations

from message_sender.aws.client import MAX_CALL_SECONDS
from message_sender.deadlines import Deadlines
from tests.support.fakes import FakeClock
from tests.support.lambda_events import FakeLambdaContext


def test_what_was_sent_can_still_be_copied_published_and_kept_and_its_task_answered() -> None:
    clock = FakeClock()

    deadlines = Deadlines.of_invocation(FakeLambdaContext(seconds_left=28), clock)  # type: ignore[arg-type]  # a fake

    assert deadlines.complete_tasks == clock.monotonic() + 27.5
    assert deadlines.complete_tasks - deadlines.publish == MAX_CALL_SECONDS
    assert deadlines.publish - deadlines.copy == 2 * MAX_CALL_SECONDS
    assert deadlines.copy - deadlines.send == MAX_CALL_SECONDS
    assert deadlines.send - clock.monotonic() > 15


def test_where_a_caller_waits_no_time_is_kept_for_copies_and_tasks() -> None:
    clock = FakeClock()

    deadlines = Deadlines.of_invocation(FakeLambdaContext(seconds_left=28), clock, synchronous=True)  # type: ignore[arg-type]  # a fake

    assert deadlines.publish == clock.monotonic() + 27.5
    assert deadlines.publish - deadlines.send == 2 * MAX_CALL_SECONDS
