"""Delays before retries, and the time for the attempts of one chat."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.timing import FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS, max_receive_count
from message_sender.errors import (
    ConnectionFailedError,
    RetryableError,
    ServiceUnavailableError,
    ThrottledError,
)
from message_sender.retry import (
    MAX_ATTEMPTS,
    MAX_REDELIVERY_DELAY,
    MIN_REDELIVERY_DELAY,
    TimeBudget,
    delay_before_retry,
    full_jitter,
    redelivery_delay,
)

THROTTLED = ThrottledError("slow down")
UNAVAILABLE = ServiceUnavailableError("down")
RANDOM = st.floats(0, 1)


@given(st.integers(1, 10), st.floats(0.01, 10), RANDOM)
def test_full_jitter_is_at_most_the_doubled_base(attempt: int, base: float, random: float) -> None:
    delay = full_jitter(attempt, base=base, random=lambda: random)

    assert 0 <= delay <= base * 2 ** (attempt - 1)


@pytest.mark.parametrize(
    ("error", "attempt", "longest"),
    [(UNAVAILABLE, 1, 0.1), (UNAVAILABLE, 2, 0.2), (THROTTLED, 1, 0.5), (THROTTLED, 2, 1.0)],
)
def test_the_longest_delay_depends_on_error_and_attempt(
    error: RetryableError, attempt: int, longest: float
) -> None:
    assert delay_before_retry(error, attempt, random=lambda: 1.0) == pytest.approx(longest)


@pytest.mark.parametrize(
    "error", [THROTTLED, UNAVAILABLE, ConnectionFailedError("cut", connection_lost=True)]
)
def test_the_last_attempt_is_not_retried(error: RetryableError) -> None:
    assert delay_before_retry(error, MAX_ATTEMPTS, random=lambda: 0.0) is None


@given(st.floats(0, 600), RANDOM)
def test_a_delay_is_at_least_the_retry_after_of_the_service(retry_after: float, random: float) -> None:
    error = ThrottledError("slow down", retry_after=retry_after)

    delay = delay_before_retry(error, 1, random=lambda: random)

    assert delay is not None
    assert retry_after <= delay <= retry_after + 0.5


def test_a_broken_connection_is_replaced_at_once_the_first_time() -> None:
    error = ConnectionFailedError("cut", connection_lost=True)

    assert delay_before_retry(error, 1, random=lambda: 1.0) == 0.0
    assert delay_before_retry(error, 2, random=lambda: 1.0) == pytest.approx(0.2)


def test_an_attempt_takes_at_most_six_seconds_or_the_time_that_is_left() -> None:
    budget = TimeBudget(deadline=100.0)

    assert budget.attempt_timeout(50.0) == 6.0
    assert budget.attempt_timeout(97.0) == 3.0
    assert budget.attempt_timeout(99.5) is None
    assert budget.attempt_timeout(101.0) is None


def test_the_time_for_retries_starts_with_the_first_failed_attempt() -> None:
    budget = TimeBudget(deadline=100.0, retry_seconds=5.0)

    budget.note_failure(10.0)
    budget.note_failure(14.0)

    assert budget.allows_retry_at(15.0)
    assert not budget.allows_retry_at(15.1)


def test_retries_without_a_time_limit_continue_to_the_deadline() -> None:
    budget = TimeBudget(deadline=100.0)

    budget.note_failure(10.0)

    assert budget.allows_retry_at(99.0)
    assert not budget.allows_retry_at(99.1)


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 200))
def test_an_allowed_retry_can_end_before_the_deadline(deadline: float, failure: float, moment: float) -> None:
    budget = TimeBudget(deadline=deadline, retry_seconds=5.0)
    budget.note_failure(failure)

    if budget.allows_retry_at(moment):
        timeout = budget.attempt_timeout(moment)
        assert timeout is not None
        assert moment + timeout <= deadline + 1e-9


@pytest.mark.parametrize(
    ("receive_count", "least", "most"),
    [(1, 1, 2), (2, 2, 4), (3, 4, 8), (5, 16, 32), (6, 30, 60), (7, 30, 60), (1000, 30, 60)],
)
def test_half_of_the_redelivery_backoff_is_jitter(receive_count: int, least: int, most: int) -> None:
    assert redelivery_delay(receive_count, random=lambda: 0.0) == least
    assert redelivery_delay(receive_count, random=lambda: 1.0) == most


@given(st.integers(1, 10_000), RANDOM, st.floats(0, 1e6))
def test_a_redelivery_is_delayed_by_at_most_a_minute(receive_count: int, random: float, asked: float) -> None:
    delay = redelivery_delay(receive_count, random=lambda: random, retry_after=asked)

    assert min(asked, 60) <= delay <= 60
    assert delay >= 1


def test_the_function_and_the_queue_use_the_same_backoff() -> None:
    assert FIRST_BACKOFF_SECONDS == MIN_REDELIVERY_DELAY
    assert LONGEST_BACKOFF_SECONDS == MAX_REDELIVERY_DELAY


@pytest.mark.parametrize("minutes", [1, 10, 60, 240])
def test_the_queue_allows_every_receive_within_the_retry_window(minutes: int) -> None:
    receives, elapsed = 1, 0
    while elapsed <= minutes * 60:
        elapsed += redelivery_delay(receives, random=lambda: 0.0)  # the shortest waits, the most receives
        receives += 1

    assert receives <= max_receive_count(
        retry_window_minutes=minutes, maximum_concurrency=2, send_quota_per_second=10
    )


def test_the_rate_limiter_may_delay_a_new_message_longer_than_a_retry() -> None:
    budget = TimeBudget(deadline=100.0, retry_seconds=5.0)
    budget.note_failure(10.0)

    assert budget.latest_start(12.0, is_retry=True) == 15.0
    assert budget.latest_start(12.0, is_retry=False) == 98.5


def test_a_part_that_is_sent_starts_the_time_for_retries_anew() -> None:
    budget = TimeBudget(deadline=100.0, retry_seconds=5.0)
    budget.note_failure(10.0)
    assert not budget.allows_retry_at(16.0)

    budget.note_part_sent()
    budget.note_failure(20.0)

    assert budget.allows_retry_at(24.0)
    assert not budget.allows_retry_at(26.0)


def test_the_last_attempt_starts_a_second_before_the_deadline() -> None:
    budget = TimeBudget(deadline=100.0)

    assert budget.last_start == 99.0
    assert budget.attempt_timeout(budget.last_start) == 1.0
    assert budget.attempt_timeout(99.1) is None


def test_the_longest_wait_is_that_of_an_invocation_that_begins() -> None:
    assert TimeBudget(deadline=115.5, start=100.0).longest_wait == pytest.approx(14.0)
    assert TimeBudget(deadline=115.5, start=100.0, max_wait=0.5).longest_wait == pytest.approx(0.5)
    assert TimeBudget(deadline=115.5).longest_wait == math.inf
