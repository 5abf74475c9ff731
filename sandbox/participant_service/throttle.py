"""The service's limit on requests per second: a token bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Throttle:
    """Allows every request until a rate is set."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rate: float | None = None
        self._burst = self._tokens = self._filled_at = 0.0

    def set(self, requests_per_second: float, *, burst: float) -> None:
        """Start with a full bucket. The real limits of SendMessage are 10 requests a second, burst 15."""
        self._tokens, self._filled_at = burst, self._clock()
        self._rate, self._burst = requests_per_second, burst

    def off(self) -> None:
        self._rate = None

    def allows(self) -> bool:
        """Take a token for one request. Return False if there is none."""
        if self._rate is None:
            return True
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
