"""The moments of one invocation by which each kind of work must be over.

Counted back from the function's timeout, so that what was sent can always still be published:

    ... send | copy, 3 s | publish, 6 s | answer tasks, 3 s | answer the invocation, 0.5 s

Each figure is that of the calls, one after the other, that must still be possible then: one to copy the
message; one to the bus, and one to the queue that keeps what the bus does not take; one to Step Functions,
for all tasks side by side. Where a caller waits nothing is copied, and there is no task.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from message_sender.aws.client import LONGEST_CALL

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from message_sender.clock import Clock

_COPYING: Final = LONGEST_CALL
_PUBLISHING: Final = 2 * LONGEST_CALL
_ANSWERING_TASKS: Final = LONGEST_CALL
_ENDING: Final = 0.5
"""Seconds kept free for the answer of the invocation, log lines and metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Moments of the monotonic clock, in seconds.

    Attributes:
        send: No call of SendMessage goes on after it.
        copy: No copy of a message, rejected or given up, goes on after it.
        publish: No result is published or put aside after it.
        answer_tasks: All is over but the answer of the invocation.
    """

    send: float
    copy: float
    publish: float
    answer_tasks: float

    @classmethod
    def of_invocation(cls, context: LambdaContext, clock: Clock, *, caller_waits: bool = False) -> Deadlines:
        answer_tasks = clock.monotonic() + context.get_remaining_time_in_millis() / 1000 - _ENDING
        publish = answer_tasks - (0 if caller_waits else _ANSWERING_TASKS)
        copy = publish - _PUBLISHING
        send = copy - (0 if caller_waits else _COPYING)
        return cls(send=send, copy=copy, publish=publish, answer_tasks=answer_tasks)
