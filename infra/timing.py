"""Timeouts of the function and its queue, and how often SQS delivers a message. Needs no CDK."""

import math
from typing import Final

FUNCTION_TIMEOUT_SECONDS: Final = 28
"""One for all event sources: API Gateway waits for 29 seconds."""

VISIBILITY_TIMEOUT_SECONDS: Final = 6 * FUNCTION_TIMEOUT_SECONDS
"""Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html"""

BATCH_SIZE: Final = 10
"""The most messages that Lambda takes from a FIFO queue at once."""

FIRST_BACKOFF_SECONDS: Final = 2
"""The function's wait before the first retry of a message. It doubles with each retry."""

LONGEST_BACKOFF_SECONDS: Final = 60

SENDING_SECONDS: Final = 14
"""The part of its timeout that the function keeps for sending, at least. See `message_sender.deadlines`."""

_HEADROOM: Final = 2
_FEWEST_RECEIVES: Final = 10
_MOST_RECEIVES: Final = 1000  # the limit of SQS

# Some messages are deferred this many times as often as the average: docs/explanation/benchmarks.md
_DEFERRED_HEADROOM: Final = 4


def max_receive_count(
    *, retry_window_minutes: int, maximum_concurrency: int, send_quota_per_second: int
) -> int:
    """Return the number of receives after which SQS moves a message to the dead-letter queue.

    The function itself fails a message when an attempt fails after the retry window. This limit is for
    messages that kill the function each time. They take the others of their batches with them: the function
    does not isolate suspects by their receive count, because an outage raises that count for all.

    It is twice the receives of a retry window: one at the start and one after each wait of 2, 4, 8 ... 60
    seconds. Jitter can halve a wait. About a third of the count is then left for receives without an attempt:
    throttled invocations, and messages whose predecessor in the chat failed.

    If more batches can run at once than the quota can send, most of their messages are deferred. On average a
    message is deferred once for each batch too many. Four times that number is added.
    """
    receives, elapsed, wait = 1, 0, FIRST_BACKOFF_SECONDS
    while elapsed <= retry_window_minutes * 60:
        elapsed += wait
        receives += 1
        wait = min(2 * wait, LONGEST_BACKOFF_SECONDS)
    deferred = maximum_concurrency * BATCH_SIZE / (send_quota_per_second * SENDING_SECONDS)
    allowed = _HEADROOM * receives + math.floor(deferred) * _DEFERRED_HEADROOM
    return min(max(_FEWEST_RECEIVES, allowed), _MOST_RECEIVES)
