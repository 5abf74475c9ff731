"""When to try again, and for how long: pure functions and one small piece of state. Nothing sleeps here.

The figures are those of docs/architecture.md, "Inside one invocation".
"""

from __future__ import annotations

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


class TimeBudget:
    """How long one invocation may go on trying. All times are seconds of one monotonic clock.

    Args:
        deadline: When everything must be over.
        retry_seconds: For how long after the first failure to retry. None: until the deadline.
    """

    def __init__(self, *, deadline: float, retry_seconds: float | None = None) -> None:
        self._deadline = deadline
        self._retry_seconds = retry_seconds
        self._first_failure: float | None = None

    def attempt_timeout(self, now: float) -> float | None:
        """Return the seconds that a try may take that starts now, or None if they would not suffice."""
        left = self._deadline - now
        if left < _LEAST_TIME_FOR_AN_ATTEMPT:
            return None
        return min(left, CONNECT_TIMEOUT + READ_TIMEOUT)

    def note_failure(self, now: float) -> None:
        """Start the time for retries, if this is the first failure."""
        if self._first_failure is None:
            self._first_failure = now

    def allows_retry_at(self, moment: float) -> bool:
        if self.attempt_timeout(moment) is None:
            return False
        if self._retry_seconds is None or self._first_failure is None:
            return True
        return moment <= self._first_failure + self._retry_seconds
