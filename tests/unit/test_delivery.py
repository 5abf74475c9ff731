"""The use case: send the message of a request and return the outcome. In virtual time."""

from __future__ import annotations

import json
import math
from datetime import timedelta
from functools import partial
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_sender.delivery import Delivery, MessageSender
from message_sender.errors import (
    AccessDeniedError,
    AwsCallError,
    ConnectionFailedError,
    DeliveryError,
    ServiceUnavailableError,
    ThrottledError,
)
from message_sender.event_sources.sqs import RETRY_SECONDS
from message_sender.rate_limiter import RateLimiter
from message_sender.request import ParsedRequest, parse_request
from message_sender.result import Deferred, MessageResult, Origin, Rejected, Sent
from message_sender.retry import READ_TIMEOUT, TimeBudget
from message_sender.token_key import TokenKey
from tests.support.fakes import SENT, START, FakeAwsApi, FakeClock, FakeParticipant
from tests.support.kms import TOKEN_KEY_ARN, Kms
from tests.support.lambda_events import TOKEN, request

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

PLENTY = 1e6


def deliver(
    participant: FakeParticipant,
    *,
    clock: FakeClock | None = None,
    seconds: float = PLENTY,
    retry_seconds: float = math.inf,
    maximum_age: timedelta | None = None,
    age: timedelta | None = None,
    **fields: object,
) -> Delivery:
    clock = clock or FakeClock()
    sender = MessageSender(participant=participant, clock=clock, random=lambda: 1.0, maximum_age=maximum_age)
    budget = TimeBudget(deadline=clock.monotonic() + seconds, retry_seconds=retry_seconds)
    age_from = None if age is None else clock.now() - age
    return sender.deliver(parsed(**fields), budget=budget, age_from=age_from)


def parsed(**fields: object) -> ParsedRequest:
    return parse_request(json.dumps(request(**fields)), client_token="derived")


def test_a_message_that_the_service_accepts_is_sent() -> None:
    participant = FakeParticipant()

    delivery = deliver(participant)

    assert isinstance(delivery.outcome, Sent)
    assert delivery.attempts == 1
    assert delivery.correlation.client_token == "derived"


def test_the_result_of_a_delivery_has_its_outcome_its_ids_and_its_attempts() -> None:
    clock = FakeClock()
    origin = Origin(event_source="direct", source_id="r-1", accepted_at=START)

    delivery = deliver(FakeParticipant([ThrottledError("slow down")]), clock=clock, ContactId="c-1")

    assert isinstance(delivery.outcome, Sent)
    assert delivery.result(delivery.outcome, origin) == MessageResult(
        outcome=delivery.outcome,
        origin=origin,
        correlation=parsed(ContactId="c-1").correlation,
        completed_at=START + timedelta(seconds=0.5),
        attempts=2,
    )


def test_the_send_time_of_a_delivery_is_the_duration_of_its_last_call() -> None:
    clock = FakeClock()

    def fails() -> Sent:
        clock.elapsed += 3.0
        raise ServiceUnavailableError("down")

    def succeeds() -> Sent:
        clock.elapsed += 0.25
        return SENT

    assert deliver(FakeParticipant([fails, succeeds]), clock=clock).send_seconds == pytest.approx(0.25)
    assert deliver(FakeParticipant(), Content="").send_seconds is None


def test_a_single_call_is_an_attempt() -> None:
    delivery = deliver(FakeParticipant([ThrottledError("slow down")]), retry_seconds=0.0)

    assert delivery.attempts == 1
    assert delivery.was_attempted
    assert not delivery.ran_out_of_time


@pytest.mark.parametrize(
    ("left", "connection_lost", "is_out_of_time"),
    [(1.2, False, False), (1.05, False, True), (1.05, True, False), (0.99, True, True)],
)
def test_a_failed_call_is_out_of_time_if_none_is_left_for_a_retry_after_its_delay(
    left: float, *, connection_lost: bool, is_out_of_time: bool
) -> None:
    clock = FakeClock()

    def fails() -> Sent:
        clock.elapsed += 10.0 - left
        raise ConnectionFailedError("no answer", maybe_delivered=True, connection_lost=connection_lost)

    delivery = deliver(FakeParticipant([fails]), clock=clock, seconds=10.0, retry_seconds=0.0)

    assert delivery.was_attempted
    assert delivery.ran_out_of_time is is_out_of_time


def test_without_a_slot_for_a_retry_the_failure_before_counts_and_not_the_time() -> None:
    clock = FakeClock()
    rate_limiter = RateLimiter(fair_share=0.05, random=lambda: 1.0)
    sender = MessageSender(
        participant=FakeParticipant([ThrottledError("slow down")]),
        clock=clock,
        random=lambda: 0.0,
        rate_limiter=rate_limiter,
    )

    delivery = sender.deliver(parsed(), budget=TimeBudget(deadline=clock.monotonic() + 10.0))

    assert isinstance(delivery.outcome, Deferred)
    assert delivery.outcome.error.code == "Throttled"
    assert delivery.ran_out_of_time is False


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
    assert delivery.outcome.error.reason == "ExpiresAt is past"
    assert participant.requests == []


@pytest.mark.parametrize(
    "time",
    ["2026-01-31T11:59:55Z", "2026-01-31T11:59:56Z", "2026-01-31T13:00:00+01:00", "9999-12-31T23:59:59Z"],
)
def test_a_message_is_not_expired_within_the_tolerance_for_clocks(time: str) -> None:
    assert isinstance(deliver(FakeParticipant(), ExpiresAt=time).outcome, Sent)


@pytest.mark.parametrize(
    ("maximum_age", "age", "is_sent"),
    [
        (timedelta(minutes=5), timedelta(minutes=5, seconds=5), True),
        (timedelta(minutes=5), timedelta(minutes=5, seconds=6), False),
        (timedelta(minutes=5), None, True),
        (None, timedelta(days=3), True),
    ],
)
def test_a_message_expires_at_the_maximum_age_if_it_has_an_age(
    maximum_age: timedelta | None, age: timedelta | None, is_sent: bool
) -> None:
    participant = FakeParticipant()

    delivery = deliver(participant, maximum_age=maximum_age, age=age)

    assert len(participant.requests) == is_sent
    if not is_sent:
        assert isinstance(delivery.outcome, Rejected)
        assert delivery.outcome.error.code == "Expired"
        assert delivery.outcome.error.reason == "The message is older than maximum_age_minutes"


def test_a_message_that_becomes_too_old_between_two_attempts_is_not_sent_again() -> None:
    participant = FakeParticipant([ThrottledError("429", retry_after=40.0)])

    delivery = deliver(participant, maximum_age=timedelta(seconds=30), age=timedelta(0))

    assert isinstance(delivery.outcome, Rejected)
    assert delivery.outcome.error.code == "Expired"
    assert delivery.attempts == 1


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
    assert delivery.outcome.error.reason == (
        "There is not enough time left in this invocation for an attempt"
    )
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


def rate_limited_sender(
    participant: FakeParticipant, clock: FakeClock, *, slot_seconds: float = SLOT_SECONDS
) -> MessageSender:
    """Return a sender whose instance was just throttled. Its first slot is a second away."""
    rate_limiter = RateLimiter(fair_share=1 / slot_seconds, random=lambda: 0.5)
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
    budget = TimeBudget(deadline=clock.monotonic() + 2.4)  # the last attempt may wait until 0.9

    delivery = send(sender, budget)

    assert isinstance(delivery.outcome, Deferred)
    assert delivery.outcome.error.code == "DeadlineExceeded"
    assert delivery.outcome.error.reason == "The quota leaves no slot for an attempt in this invocation"
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


def test_a_new_message_may_wait_for_its_slot_after_the_time_for_retries() -> None:
    """That time belongs to an earlier message of the chat, which failed first."""
    clock, participant = FakeClock(), FakeParticipant()
    sender = rate_limited_sender(participant, clock)
    budget = TimeBudget(deadline=clock.monotonic() + PLENTY, retry_seconds=0.5)
    budget.note_failure(clock.monotonic())

    delivery = send(sender, budget)

    assert isinstance(delivery.outcome, Sent)
    assert clock.slept == pytest.approx([1.0])


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


def test_the_wait_of_a_retry_is_its_backoff_and_the_wait_for_its_slot() -> None:
    clock = FakeClock()
    participant = FakeParticipant([ServiceUnavailableError("down", retry_after=0.25)])
    sender = rate_limited_sender(participant, clock)

    delivery = send(sender, TimeBudget(deadline=clock.monotonic() + PLENTY))

    assert clock.slept == pytest.approx([1.0, 0.25, 0.75])
    assert [attempt.wait for attempt in delivery.each_attempt] == pytest.approx([1.0, 1.0])


def test_a_message_without_another_slot_after_a_lost_answer_may_have_arrived() -> None:
    clock = FakeClock()
    lost = ServiceUnavailableError("down", maybe_delivered=True)
    sender = rate_limited_sender(FakeParticipant([lost]), clock)

    delivery = send(sender, TimeBudget(deadline=clock.monotonic() + PLENTY, retry_seconds=0.5))

    assert isinstance(delivery.outcome, Deferred)
    assert delivery.outcome.error is lost
    assert delivery.outcome.maybe_delivered
    assert delivery.attempts == 1
    assert clock.slept == pytest.approx([1.0, 0.0, 0.5])


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


class Sealed:
    """A sender with a key, and a message with a sealed token. `answers` of KMS come first."""

    def __init__(self, *answers: AwsCallError, rate: float | None = None) -> None:
        self.clock, self.participant, model = FakeClock(), FakeParticipant(), Kms()
        self.kms = FakeAwsApi(partial(model.call, "Decrypt"), list(answers))
        self.rate_limiter = RateLimiter(fair_share=rate, random=lambda: 0.0) if rate else None
        self.age_from: datetime | None = None
        self.sender = MessageSender(
            participant=self.participant,
            clock=self.clock,
            random=lambda: 1.0,
            rate_limiter=self.rate_limiter,
            token_key=TokenKey(kms=self.kms.client(self.clock), arn=TOKEN_KEY_ARN, clock=self.clock),
            maximum_age=timedelta(minutes=5),
        )
        self._fields = {"ConnectionToken": model.seal(TOKEN, contact_id="c-1"), "ContactId": "c-1"}

    def deliver(self, *, seconds: float = PLENTY, max_wait: float = math.inf, **fields: object) -> Delivery:
        budget = TimeBudget(deadline=self.clock.monotonic() + seconds, max_wait=max_wait)
        return self.sender.deliver(parsed(**self._fields | fields), budget=budget, age_from=self.age_from)


def kms_failure(name: str, status: int | None = 400) -> AwsCallError:
    return AwsCallError("Decrypt", name=name, http_status=status)


def test_a_sealed_token_is_decrypted_for_the_call_and_stays_sealed_in_the_copy() -> None:
    sealed = Sealed()

    delivery = sealed.deliver()

    assert isinstance(delivery.outcome, Sent)
    assert [each.connection_token.reveal() for each in sealed.participant.requests] == [TOKEN]
    assert TOKEN not in delivery.parsed.text


def test_without_a_key_a_sealed_token_is_an_invalid_request() -> None:
    participant = FakeParticipant()

    delivery = deliver(participant, ConnectionToken="sealed:QUJD", ContactId="c-1")

    assert isinstance(delivery.outcome, Rejected)
    assert delivery.outcome.error.code == "InvalidRequest"
    assert delivery.outcome.error.reason == (
        "ConnectionToken is sealed, and this stack has no key for sealed tokens"
    )
    assert participant.requests == []


def test_an_expired_message_is_not_decrypted() -> None:
    sealed = Sealed(kms_failure("DisabledException"))

    delivery = sealed.deliver(ExpiresAt="2026-01-31T11:59:54Z")

    assert isinstance(delivery.outcome, Rejected)
    assert delivery.outcome.error.code == "Expired"
    assert sealed.kms.calls == []


def test_a_message_that_is_too_old_is_not_decrypted() -> None:
    """Else it would wait for a key that cannot be used, and fail instead of expire."""
    sealed = Sealed(kms_failure("DisabledException"))
    sealed.age_from = START - timedelta(minutes=6)

    delivery = sealed.deliver()

    assert isinstance(delivery.outcome, Rejected)
    assert delivery.outcome.error.reason == "The message is older than maximum_age_minutes"
    assert sealed.kms.calls == []


def test_an_unreadable_token_is_rejected_without_a_send() -> None:
    sealed = Sealed()

    delivery = sealed.deliver(ContactId="c-2")

    assert isinstance(delivery.outcome, Rejected)
    assert delivery.outcome.error.code == "TokenUnreadable"
    assert delivery.outcome.parts_delivered is None
    assert (delivery.attempts, sealed.participant.requests) == (0, [])


@pytest.mark.parametrize(
    "cause", [kms_failure("AccessDeniedException"), kms_failure("KMSInternalException", 500)]
)
def test_a_key_that_cannot_be_used_defers_the_message_and_counts_as_an_attempt(cause: AwsCallError) -> None:
    sealed = Sealed(cause, cause)

    delivery = sealed.deliver()

    assert isinstance(delivery.outcome, Deferred)
    assert delivery.outcome.error.code == "KeyUnavailable"
    assert not delivery.outcome.maybe_delivered
    assert delivery.was_attempted
    assert (delivery.attempts, sealed.participant.requests) == (0, [])


def test_only_one_loop_retries_a_decryption() -> None:
    down = kms_failure("KMSInternalException", 500)
    sealed = Sealed(*[down] * 9)

    sealed.deliver()

    assert len(sealed.kms.calls) == 2


@pytest.mark.parametrize(("seconds", "is_out_of_time"), [(7.0, False), (6.99, True)])
def test_a_decryption_that_fails_is_out_of_time_if_there_was_none_for_two_calls(
    seconds: float, *, is_out_of_time: bool
) -> None:
    delivery = Sealed(*[kms_failure("KMSInternalException", 500)] * 2).deliver(seconds=seconds)

    assert isinstance(delivery.outcome, Deferred)
    assert delivery.outcome.error.code == "KeyUnavailable"
    assert delivery.ran_out_of_time is is_out_of_time


def test_without_time_for_decryption_and_a_send_there_is_no_attempt() -> None:
    sealed = Sealed()

    delivery = sealed.deliver(seconds=3.99)  # a call of KMS may take 3 seconds, and an attempt needs 1

    assert isinstance(delivery.outcome, Deferred)
    assert delivery.outcome.error.code == "DeadlineExceeded"
    assert not delivery.was_attempted
    assert delivery.ran_out_of_time
    assert sealed.kms.calls == []
    assert isinstance(sealed.deliver(seconds=4.0).outcome, Sent)


def test_the_wait_for_the_rate_limiter_does_not_shorten_the_time_for_decryption() -> None:
    assert isinstance(Sealed().deliver(max_wait=0.5).outcome, Sent)


def test_a_message_whose_token_cannot_be_decrypted_takes_no_slot() -> None:
    sealed = Sealed(kms_failure("DisabledException"), rate=1.0)
    assert sealed.rate_limiter is not None
    sealed.rate_limiter.on_throttled(sealed.clock.monotonic(), sent_at=sealed.clock.monotonic())
    before = vars(sealed.rate_limiter).copy()

    sealed.deliver()

    assert vars(sealed.rate_limiter) == before


# Messages in parts

FIVE_PARTS: dict[str, Any] = {"SplitAt": 256, "Content": " ".join(["x" * 250] * 5)}


def test_parts_are_sent_in_order_and_the_last_one_is_the_answer() -> None:
    participant = FakeParticipant()

    delivery = deliver(participant, SplitAt=256, Content=" ".join(f"{n}" * 250 for n in range(5)))

    assert [call.content.reveal() for call in participant.requests] == [f"{n}" * 250 for n in range(5)]
    assert len({call.client_token for call in participant.requests}) == 5
    assert isinstance(delivery.outcome, Sent)
    assert delivery.outcome.message_id == "id-5"
    assert [part.message_id for part in delivery.outcome.parts] == [f"id-{n}" for n in range(1, 6)]
    assert delivery.attempts == 5


def test_a_text_that_fits_is_one_part() -> None:
    participant = FakeParticipant()

    delivery = deliver(participant, SplitAt=256)

    assert isinstance(delivery.outcome, Sent)
    assert [part.message_id for part in delivery.outcome.parts] == ["id-1"]
    assert [call.client_token for call in participant.requests] == ["derived"]


def test_a_retry_makes_the_same_parts() -> None:
    first, second = FakeParticipant([ThrottledError("slow down")] * 3), FakeParticipant()

    deliver(first, **FIVE_PARTS)
    deliver(second, **FIVE_PARTS)

    assert {call.client_token for call in first.requests} == {second.requests[0].client_token}


def answer() -> Sent:
    return Sent(message_id="m", absolute_time=None, processing_status=None)


@pytest.mark.parametrize(
    ("answers", "outcome", "parts_delivered", "maybe_delivered"),
    [
        ([AccessDeniedError("refused")], Rejected, 0, False),
        ([answer, answer, AccessDeniedError("refused")], Rejected, 2, True),
        ([ThrottledError("slow down")] * 3, Deferred, 0, False),
        ([answer, *[ThrottledError("slow down")] * 3], Deferred, 1, True),
        ([ServiceUnavailableError("down", maybe_delivered=True)] * 3, Deferred, 0, True),
    ],
)
def test_a_message_ends_at_the_first_part_that_is_not_accepted(
    answers: list[DeliveryError | Callable[[], Sent]],
    outcome: type[Rejected | Deferred],
    parts_delivered: int,
    maybe_delivered: bool,
) -> None:
    participant = FakeParticipant(list(answers))

    delivery = deliver(participant, **FIVE_PARTS)

    assert isinstance(delivery.outcome, outcome)
    assert isinstance(delivery.outcome, Rejected | Deferred)
    assert delivery.outcome.parts_delivered == parts_delivered
    assert delivery.outcome.maybe_delivered is maybe_delivered
    assert len(participant.requests) == len(answers)


def test_only_a_message_in_parts_counts_them() -> None:
    rejected = deliver(FakeParticipant([AccessDeniedError("refused")])).outcome
    sent = deliver(FakeParticipant()).outcome

    assert isinstance(rejected, Rejected)
    assert rejected.parts_delivered is None
    assert isinstance(sent, Sent)
    assert sent.parts == ()


def test_each_part_has_three_attempts() -> None:
    throttle = ThrottledError("slow down")
    participant = FakeParticipant([throttle, throttle, answer, throttle, throttle, answer])

    delivery = deliver(participant, **FIVE_PARTS)

    assert isinstance(delivery.outcome, Sent)
    assert (delivery.attempts, delivery.throttles) == (9, 4)


def test_the_time_for_retries_is_that_of_a_part() -> None:
    clock = FakeClock()
    slow = ThrottledError("slow down", retry_after=3)
    participant = FakeParticipant([slow, answer, slow, answer, slow])

    delivery = deliver(participant, clock=clock, retry_seconds=5, **FIVE_PARTS)

    assert isinstance(delivery.outcome, Sent)
    assert clock.elapsed > 9


def test_the_last_part_of_a_message_leaves_its_time_for_retries_to_the_next_message() -> None:
    clock, participant = FakeClock(), FakeParticipant()
    sender = MessageSender(participant=participant, clock=clock, random=lambda: 1.0)
    budget = TimeBudget(deadline=clock.monotonic() + PLENTY, retry_seconds=5.0)
    start = clock.monotonic()
    slow = ThrottledError("slow down", retry_after=3)
    participant.answers.extend([slow, answer, slow, answer])

    send(sender, budget, SplitAt=256, Content=" ".join(["x" * 250] * 2))

    assert len(participant.requests) == 4
    second_failure = start + 3.5  # of the first attempt at the second part
    assert budget.allows_retry_at(second_failure + 5.0)
    assert not budget.allows_retry_at(second_failure + 5.1)


def test_a_message_expires_only_before_its_first_part() -> None:
    expiry: dict[str, Any] = {"ExpiresAt": "2026-01-31T12:00:10Z"}
    late = [ThrottledError("slow down", retry_after=60)]

    first = deliver(FakeParticipant([*late]), **FIVE_PARTS, **expiry).outcome
    later = deliver(FakeParticipant([answer, *late]), **FIVE_PARTS, **expiry).outcome

    assert isinstance(first, Rejected)
    assert (first.error.code, first.parts_delivered) == ("Expired", 0)
    assert isinstance(later, Sent)


def test_a_message_becomes_too_old_only_before_its_first_part() -> None:
    late = [ThrottledError("slow down", retry_after=60)]
    age: dict[str, Any] = {"maximum_age": timedelta(seconds=40), "age": timedelta(seconds=10), **FIVE_PARTS}

    first = deliver(FakeParticipant([*late]), **age).outcome
    later = deliver(FakeParticipant([answer, *late]), **age).outcome

    assert isinstance(first, Rejected)
    assert (first.error.code, first.parts_delivered) == ("Expired", 0)
    assert isinstance(later, Sent)


def test_a_sealed_token_is_decrypted_once_for_all_parts() -> None:
    sealed = Sealed()

    delivery = sealed.deliver(**FIVE_PARTS)

    assert isinstance(delivery.outcome, Sent)
    assert [each.connection_token.reveal() for each in sealed.participant.requests] == [TOKEN] * 5
    assert len(sealed.kms.calls) == 1


def test_the_key_is_not_needed_again_between_two_parts() -> None:
    """Even if the parts take longer than a decrypted token is kept."""
    sealed = Sealed()

    def slow() -> Sent:
        sealed.clock.sleep(200)
        return answer()

    sealed.participant.answers.extend([slow] * 5)

    assert isinstance(sealed.deliver(**FIVE_PARTS).outcome, Sent)
    assert len(sealed.kms.calls) == 1


@pytest.mark.parametrize(
    ("cause", "fields", "outcome"),
    [
        ("InvalidCiphertextException", {}, Rejected),
        ("DisabledException", {}, Deferred),
        ("DisabledException", {"ExpiresAt": "2026-01-31T11:59:54Z"}, Rejected),
    ],
)
def test_a_message_in_parts_whose_token_is_not_decrypted_counts_no_parts(
    cause: str, fields: dict[str, Any], outcome: type[Rejected | Deferred]
) -> None:
    sealed = Sealed(kms_failure(cause))

    found = sealed.deliver(**FIVE_PARTS, **fields).outcome

    assert isinstance(found, outcome)
    assert isinstance(found, Rejected | Deferred)
    assert (found.parts_delivered, found.maybe_delivered) == (0, False)
    assert sealed.participant.requests == []


def test_a_message_is_processed_when_its_parts_are() -> None:
    processing = Sent(message_id="m", absolute_time=None, processing_status="PROCESSING", is_malformed=True)

    outcome = deliver(FakeParticipant([answer, lambda: processing]), **FIVE_PARTS).outcome

    assert isinstance(outcome, Sent)
    assert (outcome.message_id, outcome.processing_status) == ("id-3", "PROCESSING")
    assert outcome.is_malformed


def test_a_message_starts_only_with_slots_for_all_its_parts() -> None:
    clock, participant = FakeClock(), FakeParticipant()
    sender = rate_limited_sender(participant, clock)
    start = clock.monotonic()

    late = send(sender, TimeBudget(deadline=start + 6.4, start=start - 9.6), **FIVE_PARTS)
    waited = clock.elapsed
    in_time = send(sender, TimeBudget(deadline=start + 16.0, start=start), **FIVE_PARTS)

    assert late.attempts == 0
    assert waited == pytest.approx(4.9)
    assert isinstance(in_time.outcome, Sent)
    assert clock.slept[1:] == pytest.approx([1.0] * 4, abs=0.1)  # the first slot is a second old


def test_a_message_that_never_fits_starts_all_the_same() -> None:
    clock, participant = FakeClock(), FakeParticipant()
    sender = rate_limited_sender(participant, clock)
    start = clock.monotonic()

    delivery = send(sender, TimeBudget(deadline=start + 4.5, start=start), **FIVE_PARTS)
    second = send(sender, TimeBudget(deadline=start + 4.5, start=start), **FIVE_PARTS)

    assert isinstance(delivery.outcome, Sent)
    assert clock.slept[:5] == pytest.approx([1.0, *[0.5] * 4])
    assert isinstance(second.outcome, Deferred)
    assert second.attempts == 0


def test_the_last_part_has_time_although_every_sleep_ends_late() -> None:
    class RealClock(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            self.elapsed += 0.01

    clock, participant = RealClock(), FakeParticipant()
    start = clock.monotonic()

    delivery = send(
        rate_limited_sender(participant, clock), TimeBudget(deadline=start + 4.5, start=start), **FIVE_PARTS
    )

    assert isinstance(delivery.outcome, Sent)
    assert min(participant.timeouts) > 1.4


def test_the_following_parts_keep_their_distance_from_a_retry() -> None:
    clock = FakeClock()
    moments: list[float] = []

    def send_now() -> Sent:
        moments.append(clock.elapsed)
        return answer()

    participant = FakeParticipant([send_now, ThrottledError("slow down", retry_after=4), *[send_now] * 4])
    sender = rate_limited_sender(participant, clock)
    budget = TimeBudget(deadline=clock.monotonic() + PLENTY, retry_seconds=6.0)

    delivery = send(sender, budget, **FIVE_PARTS)

    assert isinstance(delivery.outcome, Sent)
    assert all(later - earlier >= 0.9 for earlier, later in pairwise(moments[1:]))


def test_a_short_retry_delays_the_following_parts_by_its_wait_only() -> None:
    clock = FakeClock()
    moments: list[float] = []

    def send_now() -> Sent:
        moments.append(clock.elapsed)
        return answer()

    participant = FakeParticipant([*[send_now] * 3, ServiceUnavailableError("down"), *[send_now] * 2])
    sender = rate_limited_sender(participant, clock, slot_seconds=0.25)

    send(sender, TimeBudget(deadline=clock.monotonic() + PLENTY), **FIVE_PARTS)

    assert moments == pytest.approx([0.25, 0.5, 0.75, 1.5, 1.75], abs=0.02)


def test_a_second_retry_delays_the_following_parts_by_its_own_wait_only() -> None:
    clock = FakeClock()
    moments: list[float] = []

    def send_now() -> Sent:
        moments.append(clock.elapsed)
        return answer()

    throttles = [ThrottledError("slow down", retry_after=4)] * 2
    sender = rate_limited_sender(FakeParticipant([*throttles, *[send_now] * 5]), clock)

    send(sender, TimeBudget(deadline=clock.monotonic() + PLENTY), **FIVE_PARTS)

    assert [later - earlier for earlier, later in pairwise(moments)] == pytest.approx([1.0] * 4)


def test_a_part_is_retried_without_a_slot_rather_than_all_parts_repeated() -> None:
    clock, participant = FakeClock(), FakeParticipant([answer, ThrottledError("slow down")])
    sender = rate_limited_sender(participant, clock)
    start = clock.monotonic()

    delivery = send(sender, TimeBudget(deadline=start + 6.5, start=start), **FIVE_PARTS)

    assert isinstance(delivery.outcome, Sent)
    assert delivery.attempts == 6
    assert delivery.each_attempt[2].wait == 0.0


@given(st.lists(st.sampled_from([*FAULTS, answer]), max_size=20), st.floats(0, 30), st.floats(0, 10))
def test_a_message_in_parts_ends_within_its_budget(
    answers: list[DeliveryError | Callable[[], Sent]], seconds: float, retry_seconds: float
) -> None:
    clock = FakeClock()
    participant = FakeParticipant(list(answers))
    sender = rate_limited_sender(participant, clock)
    start = clock.monotonic()

    delivery = send(
        sender, TimeBudget(deadline=start + seconds, retry_seconds=retry_seconds, start=start), **FIVE_PARTS
    )

    assert clock.elapsed <= max(0.0, seconds - 1.0) + 1e-6
    contents = [call.client_token for call in participant.requests]
    assert len(list(dict.fromkeys(contents))) == len(list(groupby(contents)))  # no part is sent out of turn
    assert delivery.attempts == len(contents) <= 15
