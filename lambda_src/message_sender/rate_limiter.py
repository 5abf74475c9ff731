"""How fast this instance of the function may send, beside others that it does not know of.

All instances share one quota and do not talk to each other: what each learns, it learns from the answers to
its own calls. It adapts as TCP does (additive increase, multiplicative decrease, RFC 5681), in calls rather
than in round trips. Nothing sleeps here. The why: docs/decisions.md; the figures: docs/benchmarks/quota.md.
"""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_CUT: Final = 0.3
"""The part of its rate that an instance gives up when it is throttled."""
_LEAST_PART: Final = 0.25
"""Of its share, that an instance keeps however often it is throttled. A rate grows with calls: from one near
zero there would hardly be a way back when what used up the quota is gone.
"""
_CALLS_TO_GROW: Final = 75
"""The unit in which calls count towards a higher rate. It decides how many are throttled in the steady state:
about three of a hundred. Far fewer would not use the quota up, since only throttles tell where it is."""
_BURST_SECONDS: Final = 1.0
"""For how long places that were not used are kept: also while Lambda freezes the process."""
_LONGEST_PAUSE: Final = 5.0
"""Seconds. What the service asks to wait stops every chat of this instance: for no longer than this."""


class RateLimiter:
    """Hands out places in time to the calls of one instance. May be used from any thread.

    Until the service throttles for the first time there is no limit. Then the instance keeps to its share.
    From there it gives up a part of its rate at each throttle, down to a quarter of its share. It gains with
    each call that had to wait for its place and was accepted, slowly at first, faster the longer all is well.

    Moments are seconds of any one clock. If it stands still while the process is frozen, places come later;
    if it runs on, at most a second's worth of them has piled up.

    Args:
        share: The calls a second of one instance, when as many of them send as can.
        random: Returns a number from 0 to 1. What was throttled together must not come back together.
    """

    def __init__(self, *, share: float, random: Callable[[], float]) -> None:
        self._share = share
        self._random = random
        self._lock = threading.Lock()
        self._rate_after_cut = math.inf
        self._cut_at = -math.inf
        self._has_gone_well = True
        self._waited = 0
        self._next_place = -math.inf

    @property
    def rate(self) -> float:
        """Return the calls a second that are allowed now. Infinite before the first throttle."""
        growth = self._waited / _CALLS_TO_GROW
        return self._rate_after_cut + self._share * (growth / 2 + growth**3)

    def reserve(self, now: float, *, latest: float) -> float | None:
        """Return the seconds to wait before a call may be made, or None if that would be after `latest`."""
        with self._lock:
            place = max(now, self._next_place)
            if place > latest:
                return None
            interval = 1 / self.rate
            kept = max(0.0, _BURST_SECONDS - interval)
            self._next_place = max(self._next_place, now - kept) + interval
            return place - now

    def accepted(self, *, had_to_wait: bool) -> None:
        """Learn that the service took a call. Only one that had to wait says that the rate is too low."""
        with self._lock:
            self._has_gone_well = True
            self._waited += had_to_wait

    def throttled(self, now: float, *, sent_at: float, retry_after: float | None = None) -> None:
        """Learn that the service throttled a call.

        Calls that were on their way together slow the instance down once. It does not slow down any further
        while none of its calls is accepted: then it is not the rate that is wrong.

        Args:
            sent_at: When the call was made.
            retry_after: Seconds that the service asked to wait, None where it asked for nothing.
        """
        with self._lock:
            if sent_at >= self._cut_at and self._has_gone_well:
                rate = self.rate
                self._rate_after_cut = (
                    self._share if rate == math.inf else max(rate * (1 - _CUT), self._share * _LEAST_PART)
                )
                self._cut_at = now
                self._has_gone_well = False
                self._waited = 0
                self._next_place = max(self._next_place, now + 2 * self._random() / self._rate_after_cut)
            pause = min(retry_after or 0.0, _LONGEST_PAUSE)
            self._next_place = max(self._next_place, now + pause)
