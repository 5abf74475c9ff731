"""The use case: send the message of a request and return the outcome. In virtual time."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_sender.delivery import Delivery, MessageSender
from message_sender.errors import (
    AccessDeniedError,
    ConnectionFailedError,
    DeliveryError,
    ServiceUnavailableError,
    ThrottledError,
)
from message_sender.event_sources.sqs import RETRY_SECONDS
from message_sender.rate_limiter import RateLimiter
from message_sender.request import ParsedRequest, parse_request
from message_sender.result import Deferred, Rejected, Sent
from message_sender.retry import READ_TIMEOUT, TimeBudget
from tests.support.fakes import SENT, START, FakeClock, FakeParticipant
from tests.support.lambda_events import request

PLENTY = 1e6


def deliver(
    participant: FakeParticipant,
    *,
    clock: FakeClock | None = None,
    seconds: float = PLENTY,
    retry_seconds: float = math.inf,
    **fields: object,
) -> Delivery:
    clock = clock or FakeClock()
    sender = MessageSender(participant=participant, clock=clock, random=lambda: 1.0)
    budget = TimeBudget(deadline=clock.monotonic() + seconds, retry_seconds=retry_seconds)
    return sender.deliver(parsed(**fields), budget=budget)


def parsed(**fields: object) -> ParsedRequest:
    return parse_request(json.dumps(request(**fields)), client_token="derived")


def test_a_message_that_the_service_accepts_is_sent() -> None:
    participant = FakeParticipant()

    delivery = deliver(participant)

    assert isinstance(delivery.outcome, Sent)
    assert delivery.attempts == 1
    assert delivery.correlation.client_token == "derived"


def test_an_invalid_request_is_rejected_without_a_call() -> None:
    participant = FakeParticipant()

    delivery = deliver(participant, Content="")

    assert isinstance(delivery.outcome, Rejected)
    assert delivery.outcome.error.code == "InvalidRequest"
    assert participant.requests == []
    assert delivery.completed_at == START


@pytest.mark.parametrize("content", ["Hello", ""], ids=["valid", "invalid"])
def test_a_delivery_has_the_task_token_and_its_repr_hides_it(content: str) -> None:
    delivery = deliver(FakeParticipant(), Content=content, TaskToken="my-task-token")

    assert delivery.task_token is not None
    assert delivery.task_token.reveal() == "my-task-token"
    assert "task_token" not in repr(delivery)
    assert "my-task-token" not in repr(delivery)


def test_an_expired_message_is_rejected_without_a_call() -> None:
    participant = FakeParticipant()

    delivery = deliver(participant, ExpiresAt="2026-01-31T11:59:54Z")  # six seconds ago

    assert isinstance(delivery.outcome, Rejected)
    assert delivery.outcome.error.code == "Expired"
    assert participant.requests == []


@pytest.mark.parametrize(
    "time", ["2026-01-31T11:59:56Z", "2026-01-31T13:00:00+01:00", "9999-12-31T23:59:59Z"]
)
def test_a_message_is_not_expired_within_the_tolerance_for_clocks(time: str) -> None:
    assert isinstance(deliver(FakeParticipant(), ExpiresAt=time).outcome, Sent)


def test_a_message_that_expires_between_two_attempts_is_not_sent_again() -> None:
    participant = FakeParticipant([ThrottledError("slow down", retry_after=60)])

    delivery = deliver(participant, ExpiresAt="2026-01-31T12:00:30Z")

    assert isinstance(delivery.outcome, Rejected)
    assert delivery.outcome.error.code == "Expired"
    assert len(participant.requests) == 1


def test_a_rejected_message_is_not_sent_again() -> None:
    participant = FakeParticipant([AccessDeniedError("refused")])

    delivery = deliver(participant)

    assert isinstance(delivery.outcome, Rejected)
    assert delivery.attempts == 1


def test_every_attempt_has_the_same_client_token() -> None:
    participant = FakeParticipant([ServiceUnavailableError("down"), ThrottledError("slow down")])

    delivery = deliver(participant)

    assert isinstance(delivery.outcome, Sent)
    assert delivery.attempts == 3
    assert delivery.throttles == 1
    assert {item.client_token for item in participant.requests} == {"derived"}


def test_a_message_is_deferred_after_three_attempts() -> None:
    participant = FakeParticipant([ServiceUnavailableError("down")] * 9)

    delivery = deliver(participant)

    assert isinstance(delivery.outcome, Deferred)
    assert delivery.outcome.error.code == "ServiceUnavailable"
    assert len(participant.requests) == 3


def test_retries_end_with_the_time_for_retries() -> None:
    clock = FakeClock()
    participant = FakeParticipant([ThrottledError("slow down", retry_after=6)])

    delivery = deliver(participant, clock=clock, retry_seconds=5.0)

    assert isinstance(delivery.outcome, Deferred)
    assert delivery.outcome.error.code == "Throttled"
    assert clock.slept == []


@pytest.mark.parametrize(
    ("quick_failures", "retry_seconds", "attempts"),
    [
        pytest.param(0, RETRY_SECONDS, 1, id="the queue retries it"),
        pytest.param(1, RETRY_SECONDS, 2, id="also after a failure that was quick"),
        pytest.param(0, math.inf, 3, id="nothing else retries it"),
    ],
)
def test_a_read_timeout_uses_up_the_time_for_retries_only_if_the_queue_retries(
    quick_failures: int, retry_seconds: float, attempts: int
) -> None:
    clock = FakeClock()

    def hang() -> Sent:
        clock.elapsed += READ_TIMEOUT
        raise ConnectionFailedError("no answer", maybe_delivered=True)

    participant = FakeParticipant([*[ServiceUnavailableError("down")] * quick_failures, hang, hang, hang])

    delivery = deliver(participant, clock=clock, retry_seconds=retry_seconds)

    assert isinstance(delivery.outcome, Deferred)
    assert delivery.outcome.error.code == "ConnectionFailed"
    assert delivery.outcome.maybe_delivered
    assert delivery.attempts == len(participant.requests) == attempts


def test_a_message_without_time_for_an_attempt_is_deferred() -> None:
    participant = FakeParticipant()

    delivery = deliver(participant, seconds=0.9)

    assert isinstance(delivery.outcome, Deferred)
    assert delivery.outcome.error.code == "DeadlineExceeded"
    assert delivery.attempts == 0


def test_an_attempt_gets_only_the_time_that_is_left() -> None:
    participant = FakeParticipant()

    deliver(participant, seconds=2.5)

    assert participant.timeouts == [2.5]


def test_an_outcome_reports_that_an_earlier_attempt_may_have_arrived() -> None:
    lost = ConnectionFailedError("cut", maybe_delivered=True, connection_lost=True)

    rejected = deliver(FakeParticipant([lost, AccessDeniedError("refused")])).outcome
    deferred = deliver(FakeParticipant([lost, ThrottledError("a"), ThrottledError("b")])).outcome

    assert isinstance(rejected, Rejected)
    assert rejected.maybe_delivered
    assert isinstance(deferred, Deferred)
    assert deferred.maybe_delivered


def test_a_message_that_expires_or_runs_out_of_time_after_a_lost_answer_may_have_arrived() -> None:
    lost = ServiceUnavailableError("down", maybe_delivered=True, retry_after=10)

    expired = deliver(FakeParticipant([lost]), ExpiresAt="2026-01-31T12:00:02Z").outcome
    out_of_time = deliver(FakeParticipant([lost]), seconds=5).outcome

    assert isinstance(expired, Rejected)
    assert expired.error.code == "Expired"
    assert expired.maybe_delivered
    assert isinstance(out_of_time, Deferred)
    assert out_of_time.maybe_delivered


def test_an_outcome_reports_that_no_attempt_arrived() -> None:
    outcome = deliver(FakeParticipant([ThrottledError("a"), AccessDeniedError("refused")])).outcome

    assert isinstance(outcome, Rejected)
    assert not outcome.maybe_delivered


FAULTS: list[DeliveryError] = [
    ThrottledError("a"),
    ThrottledError("b", retry_after=7.0),
    ServiceUnavailableError("c", maybe_delivered=True),
    ConnectionFailedError("d", connection_lost=True, maybe_delivered=True),
    AccessDeniedError("e"),
]


@given(st.lists(st.sampled_from(FAULTS), max_size=5), st.floats(0, 30), st.just(math.inf) | st.floats(0, 10))
def test_a_delivery_ends_within_its_budget(
    answers: list[DeliveryError], seconds: float, retry_seconds: float
) -> None:
    clock = FakeClock()
    participant = FakeParticipant(list(answers))

    delivery = deliver(participant, clock=clock, seconds=seconds, retry_seconds=retry_seconds)

    assert clock.elapsed <= max(0.0, seconds - 1.0)
    assert delivery.attempts == len(participant.requests) <= 3


SLOT_SECONDS = 1.0  # between the slots of the rate limiter in these tests


def rate_limited_sender(participant: FakeParticipant, clock: FakeClock) -> MessageSender:
    """Return a sender whose instance was just throttled. Its first slot is a second away."""
    rate_limiter = RateLimiter(fair_share=1 / SLOT_SECONDS, random=lambda: 0.5)
    rate_limiter.on_throttled(clock.monotonic(), sent_at=clock.monotonic())
    return MessageSender(
        participant=participant,
        clock=clock,
        random=lambda: 0.0,
        rate_limiter=rate_limiter,
    )


def send(sender: MessageSender, budget: TimeBudget, **fields: object) -> Delivery:
    return sender.deliver(parsed(**fields), budget=budget)


def test_messages_wait_for_their_slots() -> None:
    clock, participant = FakeClock(), FakeParticipant()
    sender = rate_limited_sender(participant, clock)
    budget = TimeBudget(deadline=clock.monotonic() + PLENTY)

    deliveries = [send(sender, budget) for _ in range(3)]

    assert all(isinstance(delivery.outcome, Sent) for delivery in deliveries)
    assert clock.slept == pytest.approx([1.0, 1.0, 1.0], abs=0.05)  # the rate begins to grow


def test_a_message_without_a_slot_in_time_waits_and_is_deferred() -> None:
    clock, participant = FakeClock(), FakeParticipant()
    sender = rate_limited_sender(participant, clock)
    budget = TimeBudget(deadline=clock.monotonic() + 1.9)  # the last attempt may start at 0.9

    delivery = send(sender, budget)

    assert isinstance(delivery.outcome, Deferred)
    assert delivery.outcome.error.code == "DeadlineExceeded"
    assert delivery.attempts == 0
    assert participant.requests == []
    assert clock.elapsed == pytest.approx(0.9)


def test_a_message_waits_for_the_rate_limiter_no_longer_than_it_may() -> None:
    clock, participant = FakeClock(), FakeParticipant()
    sender = rate_limited_sender(participant, clock)
    budget = TimeBudget(deadline=clock.monotonic() + PLENTY, max_wait=0.5)

    delivery = send(sender, budget)

    assert delivery.attempts == 0
    assert clock.elapsed == pytest.approx(0.5)


def test_a_throttled_message_gets_another_slot_within_its_time_for_retries() -> None:
    clock = FakeClock()
    participant = FakeParticipant([ThrottledError("slow down")])
    sender = rate_limited_sender(participant, clock)
    budget = TimeBudget(deadline=clock.monotonic() + PLENTY, retry_seconds=5.0)

    delivery = send(sender, budget)

    assert isinstance(delivery.outcome, Sent)
    assert (delivery.attempts, delivery.throttles) == (2, 1)


def test_each_attempt_has_its_wait_duration_and_error() -> None:
    clock = FakeClock()

    def answers_after_a_while() -> Sent:
        clock.elapsed += 0.04
        return SENT

    errors = [
        ThrottledError("slow down", retry_after=1.5, http_status=429),
        ConnectionFailedError("no answer"),
    ]

    delivery = deliver(FakeParticipant([*errors, answers_after_a_while]), clock=clock)

    first, second, third = delivery.each_attempt
    assert (first.code, first.http_status, first.wait, first.started_at) == ("Throttled", 429, 0.0, START)
    assert (second.code, second.http_status) == ("ConnectionFailed", None)
    assert second.wait == pytest.approx((second.started_at - START).total_seconds()) == pytest.approx(2.0)
    assert third.code is None
    assert third.seconds == pytest.approx(0.04)


def test_the_wait_for_a_slot_counts_as_the_wait_of_the_attempt() -> None:
    clock = FakeClock()
    sender = rate_limited_sender(FakeParticipant(), clock)

    delivery = send(sender, TimeBudget(deadline=clock.monotonic() + PLENTY))

    [attempt] = delivery.each_attempt
    assert attempt.wait == pytest.approx(clock.elapsed) != 0.0


def test_a_throttled_message_without_another_slot_in_time_is_deferred_as_throttled() -> None:
    clock = FakeClock()
    participant = FakeParticipant([ThrottledError("slow down", retry_after=4.0)])
    sender = rate_limited_sender(participant, clock)
    budget = TimeBudget(deadline=clock.monotonic() + PLENTY, retry_seconds=3.0)

    delivery = send(sender, budget)

    assert isinstance(delivery.outcome, Deferred)
    assert delivery.outcome.error.code == "Throttled"
    assert delivery.attempts == 1


def test_the_wait_for_a_slot_shortens_the_time_for_the_attempt() -> None:
    clock, participant = FakeClock(), FakeParticipant()
    sender = rate_limited_sender(participant, clock)

    send(sender, TimeBudget(deadline=clock.monotonic() + 5.0))

    assert participant.timeouts == pytest.approx([4.0])


def test_a_message_is_deferred_if_the_clock_sleeps_past_the_time_for_retries() -> None:
    class LateClock(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            self.elapsed += 0.01

    clock = LateClock()
    sender = rate_limited_sender(FakeParticipant([ThrottledError("slow down", retry_after=1.0)]), clock)

    delivery = send(sender, TimeBudget(deadline=clock.monotonic() + PLENTY, retry_seconds=1.0))

    assert isinstance(delivery.outcome, Deferred)
    assert delivery.outcome.error.code == "Throttled"


def test_a_retry_after_for_one_chat_delays_the_next_one() -> None:
    clock = FakeClock()
    sender = rate_limited_sender(FakeParticipant([ThrottledError("slow down", retry_after=4.0)]), clock)
    send(sender, TimeBudget(deadline=clock.monotonic() + PLENTY, retry_seconds=1.0))
    clock.slept.clear()

    send(sender, TimeBudget(deadline=clock.monotonic() + PLENTY))

    assert clock.slept == pytest.approx([4.0])


def test_overlapping_throttled_calls_reduce_the_rate_once() -> None:
    def throttled_after_another() -> Sent:
        clock.elapsed += 0.1
        rate_limiter.on_throttled(clock.monotonic(), sent_at=clock.monotonic())
        rate_limiter.on_accepted(waited=False)
        raise ThrottledError("slow down")

    clock, rate_limiter = FakeClock(), RateLimiter(fair_share=1.0, random=lambda: 0.0)
    sender = MessageSender(
        participant=FakeParticipant([throttled_after_another]),
        clock=clock,
        random=lambda: 0.0,
        rate_limiter=rate_limiter,
    )

    send(sender, TimeBudget(deadline=clock.monotonic() + PLENTY, max_wait=0.0))

    assert rate_limiter.rate == 1.0


def test_an_expired_message_reserves_no_slot() -> None:
    clock, participant = FakeClock(), FakeParticipant()
    sender = rate_limited_sender(participant, clock)

    delivery = send(sender, TimeBudget(deadline=clock.monotonic() + PLENTY), ExpiresAt="2026-01-31T11:59:54Z")

    assert isinstance(delivery.outcome, Rejected)
    assert clock.slept == []


def test_a_message_that_expires_while_it_waits_is_rejected_without_a_call() -> None:
    clock, participant = FakeClock(), FakeParticipant()
    sender = rate_limited_sender(participant, clock)
    clock.elapsed = -0.5  # five seconds of tolerance end at 0

    delivery = send(sender, TimeBudget(deadline=clock.monotonic() + PLENTY), ExpiresAt="2026-01-31T11:59:55Z")

    assert isinstance(delivery.outcome, Rejected)
    assert delivery.outcome.error.code == "Expired"
    assert participant.requests == []
    assert clock.slept != []


def test_without_a_rate_limiter_only_the_backoff_delays_a_message() -> None:
    clock = FakeClock()

    deliver(FakeParticipant([ThrottledError("slow down")] * 2), clock=clock)
    deliver(FakeParticipant(), clock=clock)

    assert clock.slept == pytest.approx([0.5, 1.0])
