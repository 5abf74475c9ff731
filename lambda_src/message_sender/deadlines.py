"""The moments of one invocation by which each kind of work must be over.

Counted back from the function's timeout, so that what was sent can always still be published: one call to
the bus, and one to the queue that keeps what the bus does not take.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from message_sender.aws_api import LONGEST_CALL

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from message_sender.clock import Clock

_ANSWER: Final = 0.5
"""Seconds kept free for the answer, log lines and metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Moments of the monotonic clock, in seconds.

    Attributes:
        send: No call of SendMessage goes on after it.
        copy: No copy of a message, rejected or given up, goes on after it.
        publish: All is over but the answer.
    """

    send: float
    copy: float
    publish: float

    @classmethod
    def of_invocation(cls, context: LambdaContext, clock: Clock) -> Deadlines:
        publish = clock.monotonic() + context.get_remaining_time_in_millis() / 1000 - _ANSWER
        copy = publish - 2 * LONGEST_CALL
        return cls(send=copy - LONGEST_CALL, copy=copy, publish=publish)
