"""When to try again, and for how long: pure functions and one small piece of state. Nothing sleeps here.

The figures are those of docs/architecture.md, "Inside one invocation".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from message_sender.errors import ConnectionFailedError, ThrottledError

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_sender.errors import RetryableError

MAX_ATTEMPTS: Final = 3
CONNECT_TIMEOUT: Final = 1.0
"""Seconds."""
READ_TIMEOUT: Final = 5.0
"""Seconds."""

_BASE_DELAY: Final = 0.1
_THROTTLE_BASE_DELAY: Final = 0.5
_LEAST_TIME_FOR_AN_ATTEMPT: Final = 1.0

FIRST_REDELIVERY_DELAY: Final = 2
"""Seconds, before jitter."""
LONGEST_REDELIVERY_DELAY: Final = 60
"""Seconds."""


def full_jitter(attempt: int, *, base: float, random: Callable[[], float]) -> float:
    """Return the seconds to wait after the `attempt`-th try: anything up to `base` doubled each time.

    Full jitter spreads callers that failed together: "Exponential Backoff And Jitter", AWS Architecture Blog.
    """
    return float(random() * base * 2 ** (attempt - 1))


def delay_before_retry(error: RetryableError, attempt: int, *, random: Callable[[], float]) -> float | None:
    """Return the seconds to wait after the `attempt`-th try failed, or None if it was the last one.

    What the service asks for is waited for at least. A connection that broke is replaced at once, the first
    time.
    """
    if attempt >= MAX_ATTEMPTS:
        return None
    if isinstance(error, ConnectionFailedError) and error.connection_lost and attempt == 1:
        return 0.0
    base = _THROTTLE_BASE_DELAY if isinstance(error, ThrottledError) else _BASE_DELAY
    return full_jitter(attempt, base=base, random=random) + (error.retry_after or 0.0)


def redelivery_delay(receive_count: int, *, random: Callable[[], float], retry_after: float = 0.0) -> int:
    """Return the whole seconds after which a message of the queue that could not be sent comes back.

    2, 4, 8 ... at most 60, of which the upper half is jitter: so it takes at most twice as many receives to
    fill the retry window, which the queue's maximum of receives counts on (infra/message_queues.py).

    Args:
        receive_count: How often the message came, this time included.
        retry_after: Seconds that the service asked to wait. Kept to, up to the longest delay.
    """
    doublings = min(receive_count - 1, 10)  # enough to reach the longest
    delay: int = min(LONGEST_REDELIVERY_DELAY, FIRST_REDELIVERY_DELAY << doublings)
    return math.ceil(max(delay / 2 * (1 + random()), min(retry_after, LONGEST_REDELIVERY_DELAY)))


class TimeBudget:
    """How long one invocation may go on trying. All times are seconds of one monotonic clock.

    Args:
        deadline: When everything must be over.
        retry_seconds: For how long to retry, from the start of the first failed attempt. None: until the
            deadline.
        rate_limit_wait: For how long a try may be held back for the quota's sake. None: until the deadline.
    """

    def __init__(
        self, *, deadline: float, retry_seconds: float | None = None, rate_limit_wait: float | None = None
    ) -> None:
        self._deadline = deadline
        self._retry_seconds = retry_seconds
        self._rate_limit_wait = rate_limit_wait
        self._first_failure: float | None = None

    def attempt_timeout(self, now: float) -> float | None:
        """Return the seconds that a try may take that starts now, or None if they would not suffice."""
        left = self._deadline - now
        if left < _LEAST_TIME_FOR_AN_ATTEMPT:
            return None
        return min(left, CONNECT_TIMEOUT + READ_TIMEOUT)

    def latest_start(self, now: float, *, is_retry: bool) -> float:
        """Return the last moment to which a try may be held back that could start now."""
        moments = [self._deadline - _LEAST_TIME_FOR_AN_ATTEMPT]
        if self._rate_limit_wait is not None:
            moments.append(now + self._rate_limit_wait)
        if is_retry and self._retry_seconds is not None and self._first_failure is not None:
            moments.append(self._first_failure + self._retry_seconds)
        return min(moments)

    def note_failure(self, started: float) -> None:
        """Count the time for retries from the start of this failed attempt, if it is the first."""
        if self._first_failure is None:
            self._first_failure = started

    def allows_retry_at(self, moment: float) -> bool:
        if self.attempt_timeout(moment) is None:
            return False
        if self._retry_seconds is None or self._first_failure is None:
            return True
        return moment <= self._first_failure + self._retry_seconds
