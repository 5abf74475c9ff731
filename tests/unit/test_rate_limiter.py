"""The rate limiter of one instance. In virtual time, except for the test with threads."""

from __future__ import annotations

import math
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_sender.rate_limiter import RateLimiter

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_LIMIT = math.inf
FAIR_SHARES = st.sampled_from([0.05, 0.2, 1.0, 5.0, 50.0])
RANDOM = st.floats(0, 1)


def throttled(*, fair_share: float = 1.0, random: float = 0.5) -> RateLimiter:
    """Return a rate limiter that was throttled at the moment 0 and keeps to its fair share."""
    rate_limiter = RateLimiter(fair_share=fair_share, random=lambda: random)
    rate_limiter.on_throttled(0.0, sent_at=0.0)
    return rate_limiter


def reserve_slots(rate_limiter: RateLimiter, *, number: int, now: float = 0.0) -> list[float]:
    waits = [rate_limiter.reserve(now, latest=NO_LIMIT) for _ in range(number)]
    return [now + wait for wait in waits if wait is not None]


def grow(rate_limiter: RateLimiter, calls: int) -> None:
    for _ in range(calls):
        rate_limiter.on_accepted(waited=True)


def test_no_call_waits_until_the_service_throttles() -> None:
    rate_limiter = RateLimiter(fair_share=0.1, random=lambda: 1.0)

    assert reserve_slots(rate_limiter, number=1000) == [0.0] * 1000


def test_calls_keep_to_the_fair_share_after_a_throttle() -> None:
    rate_limiter = throttled(fair_share=2.0, random=0.25)

    assert reserve_slots(rate_limiter, number=4) == pytest.approx([0.25, 0.75, 1.25, 1.75])


def test_instances_that_were_throttled_together_resume_at_different_times() -> None:
    first = [
        reserve_slots(throttled(fair_share=1.0, random=number / 10), number=1)[0] for number in range(11)
    ]

    assert first == pytest.approx([number / 5 for number in range(11)])


def test_a_slot_that_would_be_too_late_is_not_reserved() -> None:
    rate_limiter = throttled(fair_share=1.0)
    reserve_slots(rate_limiter, number=1)

    assert rate_limiter.reserve(0.0, latest=1.9) is None
    assert rate_limiter.reserve(0.0, latest=2.1) == pytest.approx(2.0)


def test_all_calls_of_a_message_get_slots_or_none() -> None:
    rate_limiter = throttled(fair_share=1.0)  # the first slot is at 1

    assert rate_limiter.reserve_all(5, 0.0, latest=4.9) is None
    assert rate_limiter.reserve_all(5, 0.0, latest=5.0) == pytest.approx([1.0, 2.0, 3.0, 4.0, 5.0])
    assert rate_limiter.reserve(0.0, latest=NO_LIMIT) == pytest.approx(6.0)


def test_no_call_of_a_message_waits_until_the_service_throttles() -> None:
    rate_limiter = RateLimiter(fair_share=0.1, random=lambda: 1.0)

    assert rate_limiter.reserve_all(10, 5.0, latest=5.0, longest_wait=14.5) == [0.0] * 10


def test_calls_that_never_fit_start_at_even_distances_and_later_ones_wait_for_all_their_slots() -> None:
    rate_limiter = throttled(fair_share=0.25)  # the first slot is at 4, so the fifth one would be at 20

    waits = rate_limiter.reserve_all(5, 0.0, latest=14.0, longest_wait=14.5)

    assert waits == pytest.approx([4.0, 6.5, 9.0, 11.5, 14.0])
    assert rate_limiter.reserve_all(5, 0.0, latest=14.0, longest_wait=14.5) is None
    assert rate_limiter.reserve(0.0, latest=14.0) is None
    assert rate_limiter.reserve(15.0, latest=NO_LIMIT) == pytest.approx(24.0 - 15.0)


def test_calls_that_would_fit_into_another_invocation_do_not_start_in_a_late_one() -> None:
    rate_limiter = throttled(fair_share=0.5)  # five calls take 8 seconds

    assert rate_limiter.reserve_all(5, 0.0, latest=7.0, longest_wait=14.5) is None
    assert rate_limiter.reserve(0.0, latest=7.0) == pytest.approx(2.0)


@given(FAIR_SHARES, st.integers(1, 10), st.floats(0, 30), st.floats(0, 20))
def test_reserved_calls_are_in_order_and_in_time(
    fair_share: float, calls: int, latest: float, longest_wait: float
) -> None:
    waits = throttled(fair_share=fair_share).reserve_all(calls, 0.0, latest=latest, longest_wait=longest_wait)

    assert waits is None or (len(waits) == calls and sorted(waits) == waits and waits[0] >= 0)
    assert waits is None or waits[-1] <= latest + 1e-9


def test_a_throttle_reduces_the_rate_by_30_percent() -> None:
    rate_limiter = throttled(fair_share=10.0)
    rate_limiter.on_accepted(waited=False)

    rate_limiter.on_throttled(1.0, sent_at=1.0)

    assert rate_limiter.rate == pytest.approx(7.0)


def test_overlapping_throttled_calls_reduce_the_rate_once() -> None:
    rate_limiter = throttled(fair_share=10.0)
    rate_limiter.on_accepted(waited=False)

    for _ in range(10):
        rate_limiter.on_throttled(1.0, sent_at=0.9)
        rate_limiter.on_accepted(waited=False)

    assert rate_limiter.rate == pytest.approx(7.0)


def test_a_throttle_keeps_the_slots_that_are_already_reserved() -> None:
    rate_limiter = throttled(fair_share=1.0, random=0.0)
    last = reserve_slots(rate_limiter, number=10)[-1]
    rate_limiter.on_accepted(waited=False)

    rate_limiter.on_throttled(1.0, sent_at=1.0)

    assert reserve_slots(rate_limiter, number=1, now=1.0)[0] > last


def test_the_rate_stays_the_same_until_the_service_accepts_a_call() -> None:
    rate_limiter = throttled(fair_share=10.0)

    for second in range(1, 100):
        rate_limiter.on_throttled(float(second), sent_at=float(second))

    assert rate_limiter.rate == 10.0


def test_throttles_with_another_cause_leave_a_quarter_of_the_fair_share() -> None:
    rate_limiter = throttled(fair_share=10.0)

    for second in range(1, 1000):  # such as another user of the quota, or one chat that is always refused
        rate_limiter.on_accepted(waited=False)
        rate_limiter.on_throttled(float(second), sent_at=float(second))

    assert rate_limiter.rate == 2.5


def test_the_rate_grows_faster_and_faster() -> None:
    rate_limiter = throttled(fair_share=1.0)
    rates = []

    for _ in range(4):
        grow(rate_limiter, 75)
        rates.append(rate_limiter.rate)

    gains = [after - before for before, after in pairwise([1.0, *rates])]
    assert gains == sorted(gains)
    assert gains[0] == pytest.approx(1.5)
    assert rates[-1] > 60


def test_calls_that_did_not_wait_do_not_raise_the_rate() -> None:
    rate_limiter = throttled(fair_share=1.0)

    for _ in range(1000):
        rate_limiter.on_accepted(waited=False)

    assert rate_limiter.rate == 1.0


def test_a_retry_after_delays_all_calls_of_the_instance() -> None:
    rate_limiter = throttled(fair_share=100.0)

    rate_limiter.on_throttled(1.0, sent_at=1.0, retry_after=3.0)

    assert rate_limiter.reserve(1.0, latest=NO_LIMIT) == pytest.approx(3.0)


def test_a_long_retry_after_stops_an_instance_for_five_seconds() -> None:
    rate_limiter = throttled(fair_share=100.0)

    rate_limiter.on_throttled(1.0, sent_at=1.0, retry_after=86400.0)

    assert rate_limiter.reserve(1.0, latest=NO_LIMIT) == pytest.approx(5.0)


@pytest.mark.parametrize("frozen", [1.0, 60.0, 900.0])
def test_a_frozen_instance_keeps_at_most_one_second_of_slots(frozen: float) -> None:
    rate_limiter = throttled(fair_share=5.0)
    reserve_slots(rate_limiter, number=1)

    at_once = [slot for slot in reserve_slots(rate_limiter, number=20, now=frozen) if slot == frozen]

    assert 1 <= len(at_once) <= 6


def test_a_quarter_of_an_hour_after_the_last_throttle_there_is_no_limit_until_the_next() -> None:
    rate_limiter = throttled(fair_share=0.1)
    assert rate_limiter.reserve(0.0, latest=NO_LIMIT) is not None

    assert max(rate_limiter.reserve_all(10, 900.1, latest=NO_LIMIT) or []) == 0.0
    assert rate_limiter.rate == math.inf

    rate_limiter.on_accepted(waited=False)
    rate_limiter.on_throttled(901.0, sent_at=900.5)
    assert rate_limiter.rate == pytest.approx(0.1)


def test_a_limit_stays_while_every_call_is_throttled() -> None:
    rate_limiter = throttled(fair_share=0.1)
    for moment in range(0, 2000, 100):
        rate_limiter.on_throttled(float(moment), sent_at=float(moment))

    assert rate_limiter.reserve(2000.0, latest=NO_LIMIT) is not None
    assert rate_limiter.rate == pytest.approx(0.1)


def test_after_a_time_without_a_limit_the_first_throttle_sets_one_again() -> None:
    rate_limiter = throttled(fair_share=0.1)  # and no call was accepted since
    rate_limiter.reserve(1000.0, latest=NO_LIMIT)

    rate_limiter.on_throttled(1000.0, sent_at=1000.0)

    assert rate_limiter.rate == pytest.approx(0.1)


def test_a_limit_stays_while_slots_in_the_future_are_taken() -> None:
    rate_limiter = throttled(fair_share=0.001)
    reserve_slots(rate_limiter, number=3)

    assert rate_limiter.reserve(1000.0, latest=1100.0) is None


@given(
    FAIR_SHARES, RANDOM, st.lists(st.tuples(st.floats(0, 30), st.integers(1, 12)), min_size=1, max_size=30)
)
def test_calls_never_exceed_rate_and_burst(
    fair_share: float, random: float, asked: list[tuple[float, int]]
) -> None:
    rate_limiter = throttled(fair_share=fair_share, random=random)
    now, granted = 0.0, []

    for pause, calls in asked:
        now += pause
        granted += reserve_slots(rate_limiter, number=calls, now=now)

    burst = max(1.0, fair_share)
    for first, begin in enumerate(granted):
        for last, end in enumerate(granted[first:], first):
            assert last - first + 1 <= fair_share * (end - begin) + burst + 1e-6


@given(FAIR_SHARES, st.lists(st.booleans(), max_size=400))
def test_an_instance_keeps_a_quarter_of_its_fair_share_after_any_answers(
    fair_share: float, answers: list[bool]
) -> None:
    rate_limiter = RateLimiter(fair_share=fair_share, random=lambda: 0.5)
    now = 0.0

    for accepted in answers:
        wait = rate_limiter.reserve(now, latest=NO_LIMIT)
        assert wait is not None
        now += wait
        if accepted:
            rate_limiter.on_accepted(waited=wait > 0)
        else:
            rate_limiter.on_throttled(now, sent_at=now)

    assert rate_limiter.rate >= fair_share / 4


@given(FAIR_SHARES, st.integers(2, 20))
def test_a_lone_instance_uses_a_quota_above_its_fair_share(fair_share: float, times: int) -> None:
    quota = fair_share * times
    rate_limiter = throttled(fair_share=fair_share)
    tokens, filled_at, now = 1.0, 0.0, 0.0
    accepted: list[float] = []

    for _ in range(2000):
        wait = rate_limiter.reserve(now, latest=NO_LIMIT)
        assert wait is not None
        now += wait
        tokens, filled_at = min(1.5 * quota + 1, tokens + (now - filled_at) * quota), now
        if tokens >= 1:
            tokens -= 1
            accepted.append(now)
            rate_limiter.on_accepted(waited=wait > 0)
        else:
            rate_limiter.on_throttled(now, sent_at=now)

    late = accepted[-500:]
    assert len(late) / (late[-1] - late[0]) > 0.8 * quota  # the rate is a sawtooth, and the burst is small


@pytest.fixture
def restless_threads() -> Iterator[None]:
    """Let threads interrupt each other as often as possible."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("restless_threads")
def test_threads_share_the_slots_and_lose_none() -> None:
    rate_limiter = throttled(fair_share=1000.0, random=0.0)
    start = threading.Barrier(10)

    def reserve(_: int) -> list[float]:
        start.wait()
        return reserve_slots(rate_limiter, number=200)

    with ThreadPoolExecutor(10) as threads:
        granted = sorted(slot for part in threads.map(reserve, range(10)) for slot in part)

    assert granted == pytest.approx([number / 1000 for number in range(2000)])
