"""When to retry, and for how long: pure functions and one small piece of state. Nothing sleeps here.

docs/explanation/architecture.md, "Inside one invocation", explains the figures.
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
_MIN_ATTEMPT_SECONDS: Final = 1.0
_MIN_SECONDS_AFTER_A_WAIT: Final = 1.5
"""The least for an attempt that waits for its slot: sleeps end late, and a good answer may take a second."""

MIN_REDELIVERY_DELAY: Final = 2
"""Seconds, before jitter."""
MAX_REDELIVERY_DELAY: Final = 60
"""Seconds."""


def full_jitter(attempt: int, *, base: float, random: Callable[[], float]) -> float:
    """Return the seconds to wait after an attempt: a random part of `base`, doubled for each attempt.

    Full jitter spreads callers that failed together: "Exponential Backoff And Jitter", AWS Architecture Blog.
    """
    return float(random() * base * 2 ** (attempt - 1))


def delay_before_retry(error: RetryableError, attempt: int, *, random: Callable[[], float]) -> float | None:
    """Return the seconds to wait after attempt number `attempt` failed, None if it was the last one.

    The delay is at least as long as the service asked for. A connection that broke is replaced at once, the
    first time.
    """
    if attempt >= MAX_ATTEMPTS:
        return None
    if isinstance(error, ConnectionFailedError) and error.connection_lost and attempt == 1:
        return 0.0
    base = _THROTTLE_BASE_DELAY if isinstance(error, ThrottledError) else _BASE_DELAY
    # A sum and not the maximum: threads that must wait equally long do not retry together
    return full_jitter(attempt, base=base, random=random) + (error.retry_after or 0.0)


def redelivery_delay(receive_count: int, *, random: Callable[[], float], retry_after: float = 0.0) -> int:
    """Return the whole seconds until SQS redelivers a message that could not be sent.

    2, 4, 8 ... at most 60, and jitter is at most half. So the retry window takes at most twice as many
    receives as without jitter; the queue's maximum of receives relies on it (infra/timing.py).

    Args:
        receive_count: How often SQS delivered the message, this time included.
        retry_after: Seconds that the service asked to wait. Respected up to the maximum delay.
    """
    doublings = min(receive_count - 1, 10)  # enough to reach the maximum
    delay: int = min(MAX_REDELIVERY_DELAY, MIN_REDELIVERY_DELAY << doublings)
    return math.ceil(max(delay / 2 * (1 + random()), min(retry_after, MAX_REDELIVERY_DELAY)))


class TimeBudget:
    """The time for sending messages in one invocation, in seconds of the monotonic clock.

    Args:
        deadline: The last attempt must be over by then.
        retry_seconds: The time for retries, from the start of the first failed attempt. By default until
            the deadline.
        max_wait: The longest wait for the rate limiter before an attempt. By default until the deadline.
        start: When the invocation began. By default long ago.
    """

    def __init__(
        self,
        *,
        deadline: float,
        retry_seconds: float = math.inf,
        max_wait: float = math.inf,
        start: float = -math.inf,
    ) -> None:
        self._start = start
        self._deadline = deadline
        self._retry_seconds = retry_seconds
        self._max_wait = max_wait
        self._first_failure = math.inf

    @property
    def longest_wait(self) -> float:
        """The most seconds for which the rate limiter may delay an attempt, at the start of an invocation."""
        return min(self._deadline - _MIN_SECONDS_AFTER_A_WAIT - self._start, self._max_wait)

    def attempt_timeout(self, now: float) -> float | None:
        """Return the seconds that an attempt that starts now may take, None if the time is too short."""
        left = self._deadline - now
        return None if left < _MIN_ATTEMPT_SECONDS else min(left, CONNECT_TIMEOUT + READ_TIMEOUT)

    @property
    def last_start(self) -> float:
        """The moment after which no attempt may start."""
        return self._deadline - _MIN_ATTEMPT_SECONDS

    def latest_start(self, now: float, *, is_retry: bool) -> float:
        """Return the moment until which the rate limiter may delay an attempt that could start now."""
        latest = min(self._deadline - _MIN_SECONDS_AFTER_A_WAIT, now + self._max_wait)
        return min(latest, self._first_failure + self._retry_seconds) if is_retry else latest

    def note_failure(self, started: float) -> None:
        """Start the time for retries at the start of this attempt, if it is the first that failed."""
        self._first_failure = min(self._first_failure, started)

    def note_part_sent(self) -> None:
        """End the time for retries: the chat responds, and the rest of a message should follow its start."""
        self._first_failure = math.inf

    def allows_retry_at(self, moment: float) -> bool:
        in_time = moment <= self._first_failure + self._retry_seconds
        return in_time and self.attempt_timeout(moment) is not None
