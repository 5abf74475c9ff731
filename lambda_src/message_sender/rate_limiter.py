"""The rate limiter of this instance of the function: adaptive, with no knowledge of the other instances.

All instances share one quota and do not talk to each other. Each learns from the answers to its calls. As
congestion control in TCP (RFC 9438, CUBIC), it reduces the rate at a throttle, then raises it slowly at first
and faster later, counted in calls instead of seconds. Nothing sleeps here.
docs/decisions/001-rate-limiter.md has the reasons, docs/explanation/benchmarks.md the figures.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_DECREASE: Final = 0.3
"""The part of its rate that an instance loses when it is throttled."""
_MIN_PART: Final = 0.25
"""The part of its fair share that an instance keeps however often it is throttled. The rate grows with calls,
so an instance near zero would hardly recover."""
_CALLS_TO_GROW: Final = 75
"""After so many calls that had to wait, the rate has grown by 1.5 fair shares. It decides how many calls are
throttled in the steady state: about 3 %. Far fewer would leave quota unused, since only throttles show its
end."""
_BURST_SECONDS: Final = 1.0
"""Unused slots expire after this time, which may pass while Lambda freezes the process."""
_MAX_PAUSE: Final = 5.0
"""Seconds. A `Retry-After` stops every chat of this instance, so it stops them no longer than this."""
_MEMORY_SECONDS: Final = 900.0
"""How long an instance keeps to a limit after its last throttle. The quota may be free since."""


class RateLimiter:
    """Assigns slots in time to the calls of one instance. Thread-safe.

    There is no limit until the service throttles for the first time, and none a quarter of an hour after it
    throttled last. Until then, the instance begins with its fair share. Each throttle reduces the rate, down
    to a quarter of the fair share. Each call that had to wait for its slot and was accepted raises it, slowly
    at first, then faster.

    Moments are seconds of any one clock. If the clock stops while the process is frozen, slots come later. If
    it goes on, at most one second's worth of slots accumulates.

    Args:
        fair_share: Calls a second of one instance when the maximum number of instances sends.
        random: Returns a number from 0 to 1. Instances that were throttled together must not resume together.
    """

    def __init__(self, *, fair_share: float, random: Callable[[], float]) -> None:
        self._fair_share = fair_share
        self._random = random
        self._lock = threading.Lock()
        self._rate_after_decrease = math.inf
        self._decreased_at = -math.inf
        self._throttled_at = -math.inf
        self._accepted_since_decrease = True
        self._waited_calls = 0
        self._next_slot = -math.inf

    @property
    def rate(self) -> float:
        """The calls a second that are allowed now. Infinite before the first throttle."""
        growth = self._waited_calls / _CALLS_TO_GROW
        return self._rate_after_decrease + self._fair_share * (growth / 2 + growth**3)

    def reserve(self, now: float, *, latest: float) -> float | None:
        """Reserve a slot and return the seconds to wait for it, None if it would be after `latest`."""
        waits = self.reserve_all(1, now, latest=latest)
        return None if waits is None else waits[0]

    def reserve_all(
        self, calls: int, now: float, *, latest: float, longest_wait: float = math.inf
    ) -> list[float] | None:
        """Reserve slots for all calls of a message. Return the seconds to wait for each.

        Return None if the last one would be after `latest`. But calls that would never fit are made all the
        same, at even distances up to `latest`. They take their slots from the time after it, so there is no
        second such message in a batch, and the rate stays the same on average.

        Args:
            longest_wait: The seconds from the start of an invocation to the last moment for a call.
        """
        with self._lock:
            self._forget_old_throttles(now)
            interval = 1 / self.rate
            kept = max(0.0, _BURST_SECONDS - interval)
            first = max(self._next_slot, now - kept)
            slots = [max(now, first + number * interval) for number in range(calls)]
            if slots[-1] > latest:
                if slots[0] > latest or (calls - 1) * interval <= longest_wait:
                    return None
                distance = (latest - slots[0]) / (calls - 1)
                slots = [slots[0] + number * distance for number in range(calls)]
            self._next_slot = first + calls * interval
            return [slot - now for slot in slots]

    def _forget_old_throttles(self, now: float) -> None:
        """End the limit if the last throttle is long past, and no slot in the future is taken."""
        if now - self._throttled_at > _MEMORY_SECONDS and self._next_slot <= now:
            self._rate_after_decrease = math.inf
            self._waited_calls = 0
            self._accepted_since_decrease = True  # the next throttle sets a limit

    def on_accepted(self, *, waited: bool) -> None:
        """Note that the service accepted a call. Only one that had to wait shows that the rate is too low."""
        with self._lock:
            self._accepted_since_decrease = True
            self._waited_calls += waited

    def on_throttled(self, now: float, *, sent_at: float, retry_after: float | None = None) -> None:
        """Note that the service throttled a call.

        Throttled calls that overlapped reduce the rate once. It stays as it is until a call is accepted: if
        none is, the rate is not the cause.

        Args:
            sent_at: When the call was made.
            retry_after: Seconds that the service asked to wait, None if it did not ask.
        """
        with self._lock:
            self._throttled_at = now
            if sent_at >= self._decreased_at and self._accepted_since_decrease:
                rate, share = self.rate, self._fair_share
                decreased = share if rate == math.inf else max(rate * (1 - _DECREASE), share * _MIN_PART)
                self._rate_after_decrease = decreased
                self._decreased_at = now
                self._accepted_since_decrease = False
                self._waited_calls = 0
                self._next_slot = max(self._next_slot, now + 2 * self._random() / decreased)
            pause = min(retry_after or 0.0, _MAX_PAUSE)
            self._next_slot = max(self._next_slot, now + pause)
