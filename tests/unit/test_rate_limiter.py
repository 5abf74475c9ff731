"""How fast an instance may send. In virtual time, but for the threads."""

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

EVER = math.inf
SHARES = st.sampled_from([0.05, 0.2, 1.0, 5.0, 50.0])
RANDOM = st.floats(0, 1)


def paced(*, share: float = 1.0, random: float = 0.5) -> RateLimiter:
    """Return a rate_limiter that was throttled at the moment 0 and keeps to its share."""
    rate_limiter = RateLimiter(fair_share=share, random=lambda: random)
    rate_limiter.on_throttled(0.0, sent_at=0.0)
    return rate_limiter


def places(rate_limiter: RateLimiter, *, number: int, now: float = 0.0) -> list[float]:
    waits = [rate_limiter.reserve(now, latest=EVER) for _ in range(number)]
    return [now + wait for wait in waits if wait is not None]


def grow(rate_limiter: RateLimiter, calls: int) -> None:
    for _ in range(calls):
        rate_limiter.on_accepted(waited=True)


def test_nothing_waits_until_the_service_throttles() -> None:
    rate_limiter = RateLimiter(fair_share=0.1, random=lambda: 1.0)

    assert places(rate_limiter, number=1000) == [0.0] * 1000


def test_after_a_throttle_calls_keep_to_the_share() -> None:
    rate_limiter = paced(share=2.0, random=0.25)

    assert places(rate_limiter, number=4) == pytest.approx([0.25, 0.75, 1.25, 1.75])


def test_instances_that_were_throttled_together_come_back_one_by_one() -> None:
    first = [places(paced(share=1.0, random=number / 10), number=1)[0] for number in range(11)]

    assert first == pytest.approx([number / 5 for number in range(11)])


def test_a_place_that_would_be_too_late_is_not_taken() -> None:
    rate_limiter = paced(share=1.0)
    places(rate_limiter, number=1)

    assert rate_limiter.reserve(0.0, latest=1.9) is None
    assert rate_limiter.reserve(0.0, latest=2.1) == pytest.approx(2.0)


def test_a_throttle_takes_a_third_of_the_rate_nearly() -> None:
    rate_limiter = paced(share=10.0)
    rate_limiter.on_accepted(waited=False)

    rate_limiter.on_throttled(1.0, sent_at=1.0)

    assert rate_limiter.rate == pytest.approx(7.0)


def test_calls_that_are_throttled_together_slow_down_once() -> None:
    rate_limiter = paced(share=10.0)
    rate_limiter.on_accepted(waited=False)

    for _ in range(10):
        rate_limiter.on_throttled(1.0, sent_at=0.9)
        rate_limiter.on_accepted(waited=False)

    assert rate_limiter.rate == pytest.approx(7.0)


def test_a_throttle_takes_back_no_place_that_is_given_away() -> None:
    rate_limiter = paced(share=1.0, random=0.0)
    last = places(rate_limiter, number=10)[-1]
    rate_limiter.on_accepted(waited=False)

    rate_limiter.on_throttled(1.0, sent_at=1.0)

    assert places(rate_limiter, number=1, now=1.0)[0] > last


def test_a_service_that_accepts_nothing_does_not_slow_an_instance_down_for_good() -> None:
    rate_limiter = paced(share=10.0)

    for second in range(1, 100):
        rate_limiter.on_throttled(float(second), sent_at=float(second))

    assert rate_limiter.rate == 10.0


def test_throttles_that_its_own_rate_does_not_cause_leave_an_instance_a_quarter_of_its_share() -> None:
    rate_limiter = paced(share=10.0)

    for second in range(1, 1000):  # as when somebody else uses the quota up, or one chat is always refused
        rate_limiter.on_accepted(waited=False)
        rate_limiter.on_throttled(float(second), sent_at=float(second))

    assert rate_limiter.rate == 2.5


def test_a_rate_that_is_too_low_grows_faster_and_faster() -> None:
    rate_limiter = paced(share=1.0)
    rates = []

    for _ in range(4):
        grow(rate_limiter, 75)
        rates.append(rate_limiter.rate)

    gains = [after - before for before, after in pairwise([1.0, *rates])]
    assert gains == sorted(gains)
    assert gains[0] == pytest.approx(1.5)
    assert rates[-1] > 60


def test_calls_that_did_not_have_to_wait_say_nothing_of_the_rate() -> None:
    rate_limiter = paced(share=1.0)

    for _ in range(1000):
        rate_limiter.on_accepted(waited=False)

    assert rate_limiter.rate == 1.0


def test_what_the_service_asks_to_wait_is_waited_for_by_all_calls_of_the_instance() -> None:
    rate_limiter = paced(share=100.0)

    rate_limiter.on_throttled(1.0, sent_at=1.0, retry_after=3.0)

    assert rate_limiter.reserve(1.0, latest=EVER) == pytest.approx(3.0)


def test_a_hint_without_measure_stops_an_instance_for_five_seconds() -> None:
    rate_limiter = paced(share=100.0)

    rate_limiter.on_throttled(1.0, sent_at=1.0, retry_after=86400.0)

    assert rate_limiter.reserve(1.0, latest=EVER) == pytest.approx(5.0)


@pytest.mark.parametrize("frozen", [1.0, 60.0, 86400.0])
def test_after_a_freeze_there_is_a_second_of_places_at_most(frozen: float) -> None:
    rate_limiter = paced(share=5.0)
    places(rate_limiter, number=1)

    at_once = [place for place in places(rate_limiter, number=20, now=frozen) if place == frozen]

    assert 1 <= len(at_once) <= 6


@given(SHARES, RANDOM, st.lists(st.tuples(st.floats(0, 30), st.integers(1, 12)), min_size=1, max_size=30))
def test_no_second_holds_more_calls_than_rate_and_burst(
    share: float, random: float, asked: list[tuple[float, int]]
) -> None:
    rate_limiter = paced(share=share, random=random)
    now, granted = 0.0, []

    for pause, calls in asked:
        now += pause
        granted += places(rate_limiter, number=calls, now=now)

    burst = max(1.0, share)
    for first, begin in enumerate(granted):
        for last, end in enumerate(granted[first:], first):
            assert last - first + 1 <= share * (end - begin) + burst + 1e-6


@given(SHARES, st.lists(st.booleans(), max_size=400))
def test_whatever_the_answers_an_instance_keeps_a_quarter_of_its_share(
    share: float, answers: list[bool]
) -> None:
    rate_limiter = RateLimiter(fair_share=share, random=lambda: 0.5)
    now = 0.0

    for accepted in answers:
        wait = rate_limiter.reserve(now, latest=EVER)
        assert wait is not None
        now += wait
        if accepted:
            rate_limiter.on_accepted(waited=wait > 0)
        else:
            rate_limiter.on_throttled(now, sent_at=now)

    assert rate_limiter.rate >= share / 4


@given(SHARES, st.integers(2, 20))
def test_a_lone_instance_finds_a_quota_above_its_share(share: float, times: int) -> None:
    quota = share * times
    rate_limiter = paced(share=share)
    tokens, filled_at, now = 1.0, 0.0, 0.0
    accepted: list[float] = []

    for _ in range(2000):
        wait = rate_limiter.reserve(now, latest=EVER)
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
    assert len(late) / (late[-1] - late[0]) > 0.8 * quota  # a sawtooth, and a small burst


@pytest.fixture
def restless_threads() -> Iterator[None]:
    """Let threads interrupt each other as often as can be."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("restless_threads")
def test_threads_share_the_places_and_lose_none() -> None:
    rate_limiter = paced(share=1000.0, random=0.0)
    start = threading.Barrier(10)

    def reserve(_: int) -> list[float]:
        start.wait()
        return places(rate_limiter, number=200)

    with ThreadPoolExecutor(10) as threads:
        granted = sorted(place for part in threads.map(reserve, range(10)) for place in part)

    assert granted == pytest.approx([number / 1000 for number in range(2000)])
