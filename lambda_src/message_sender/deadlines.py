"""The moments of one invocation by which each phase must be over.

They count back from the function's timeout, so that every message that was sent can still be published:

    ... send | copy, 3.1 s | publish, 6.1 s | complete tasks, 3.1 s | end the invocation, 0.5 s

Each phase has time for the calls that it may need, one after the other: one copy of the message; one call of
EventBridge and one of SQS, for results that EventBridge refuses; one call of Step Functions, for all tasks at
once. Without a queue, for a synchronous caller, there are no copies and no tasks.

A call takes at most 3 s, and begins only if that much is left. The tenth is for a phase that ends at its last
moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from message_sender.aws.client import MAX_CALL_SECONDS

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from message_sender.clock import Clock

_SLACK_SECONDS: Final = 0.1
_END_SECONDS: Final = 0.5
"""Kept free for the response of the invocation, log lines and metrics."""


def end_of_invocation(context: LambdaContext, clock: Clock) -> float:
    """Return the moment of the monotonic clock at which only the response is left."""
    return clock.monotonic() + context.get_remaining_time_in_millis() / 1000 - _END_SECONDS


class Deadlines(NamedTuple):
    """Moments of the monotonic clock, in seconds.

    Attributes:
        send: The last call of SendMessage is over.
        copy: The last copy of a message, rejected or failed, is made.
        publish: The last result is published, or in the queue for unpublished results.
        complete_tasks: Only the response of the invocation is left.
    """

    send: float
    copy: float
    publish: float
    complete_tasks: float

    @classmethod
    def of_invocation(cls, context: LambdaContext, clock: Clock, *, synchronous: bool = False) -> Deadlines:
        one_call = 0 if synchronous else MAX_CALL_SECONDS + _SLACK_SECONDS
        complete_tasks = end_of_invocation(context, clock)
        publish = complete_tasks - one_call
        copy = publish - 2 * MAX_CALL_SECONDS - _SLACK_SECONDS
        return cls(send=copy - one_call, copy=copy, publish=publish, complete_tasks=complete_tasks)
