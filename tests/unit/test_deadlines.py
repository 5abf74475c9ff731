"""How the time of an invocation is divided."""

from __future__ import annotations

from message_sender.aws.client import LONGEST_CALL
from message_sender.deadlines import Deadlines
from tests.support.fakes import FakeClock
from tests.support.lambda_events import FakeLambdaContext


def test_what_was_sent_can_still_be_copied_published_and_kept_and_its_task_answered() -> None:
    clock = FakeClock()

    deadlines = Deadlines.of_invocation(FakeLambdaContext(seconds_left=28), clock)  # type: ignore[arg-type]  # a fake

    assert deadlines.answer_tasks == clock.monotonic() + 27.5
    assert deadlines.answer_tasks - deadlines.publish == LONGEST_CALL
    assert deadlines.publish - deadlines.copy == 2 * LONGEST_CALL
    assert deadlines.copy - deadlines.send == LONGEST_CALL
    assert deadlines.send - clock.monotonic() > 15


def test_where_a_caller_waits_no_time_is_kept_for_copies_and_tasks() -> None:
    clock = FakeClock()

    deadlines = Deadlines.of_invocation(FakeLambdaContext(seconds_left=28), clock, caller_waits=True)  # type: ignore[arg-type]  # a fake

    assert deadlines.publish == clock.monotonic() + 27.5
    assert deadlines.publish - deadlines.send == 2 * LONGEST_CALL
