"""The use case: send the message of a request, and return the outcome."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from message_sender.errors import (
    DeadlineExceededError,
    DeliveryError,
    ExpiredError,
    RejectedError,
    RetryableError,
    ThrottledError,
)
from message_sender.request import SendMessageRequest
from message_sender.result import Deferred, MessageResult, Rejected, Sent
from message_sender.retry import delay_before_retry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from message_sender.clock import Clock
    from message_sender.rate_limiter import RateLimiter
    from message_sender.request import Correlation, ParsedRequest, Secret
    from message_sender.result import Origin, Outcome
    from message_sender.retry import TimeBudget

_CLOCK_TOLERANCE: Final = timedelta(seconds=5)
"""The difference between a producer's clock and ours that does not count as expiry."""

DeliveryOutcome: TypeAlias = Sent | Rejected | Deferred


class Participant(Protocol):
    """Sends a message in a single attempt."""

    def send_message(self, request: SendMessageRequest, *, timeout: float) -> Sent:
        """Send a message, or raise a `DeliveryError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call of SendMessage.

    Attributes:
        started_at: When the call began.
        wait: Seconds of waiting before it, for the rate limiter and after a failed attempt.
        seconds: Duration of the call.
        code: The code of its error, None if the service accepted the message.
        http_status: Of an error that has one.
    """

    started_at: datetime
    wait: float
    seconds: float
    code: str | None = None
    http_status: int | None = None


@dataclass(slots=True)
class _Attempts:
    """The attempts to send one message.

    Attributes:
        made: Each attempt so far.
        count: Calls of SendMessage.
        throttles: The number of these that were answered with 429.
        send_seconds: Duration of the last call, None without a call.
        maybe_delivered: Whether a failed call may have reached the chat.
        started: When the last call began, by the monotonic clock.
        waited: Whether the next call had to wait for the rate limiter.
        wait: Seconds of waiting since the last call.
    """

    made: list[Attempt] = field(default_factory=list)
    count: int = 0
    throttles: int = 0
    send_seconds: float | None = None
    maybe_delivered: bool = False
    started: float = 0.0
    waited: bool = False
    wait: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The outcome of one request in this invocation.

    Attributes:
        attempts: Calls of SendMessage.
        throttles: The number of these that were answered with 429.
        send_seconds: Duration of the last call, None without a call.
        each_attempt: What happened in each call, for the log.
    """

    parsed: ParsedRequest
    outcome: DeliveryOutcome
    completed_at: datetime
    attempts: int = 0
    throttles: int = 0
    send_seconds: float | None = None
    each_attempt: Sequence[Attempt] = ()

    @property
    def correlation(self) -> Correlation:
        return self.parsed.correlation

    @property
    def task_token(self) -> Secret | None:
        """The token of the task that waits for the outcome, also of an invalid request if it is readable."""
        return self.parsed.task_token

    def result(self, outcome: Outcome, origin: Origin) -> MessageResult:
        """Return the result for the outcome that the event source decided on."""
        return MessageResult(
            outcome=outcome,
            origin=origin,
            correlation=self.correlation,
            completed_at=self.completed_at,
            attempts=self.attempts,
        )


class MessageSender:
    """Sends the messages of requests, with retries inside a time budget.

    Args:
        participant: Must not retry by itself.
        random: Returns a number from 0 to 1, for jitter.
        rate_limiter: None: calls never wait.
    """

    def __init__(
        self,
        *,
        participant: Participant,
        clock: Clock,
        random: Callable[[], float],
        rate_limiter: RateLimiter | None = None,
    ) -> None:
        self._participant = participant
        self._clock = clock
        self._random = random
        self._rate_limiter = rate_limiter

    def deliver(self, parsed: ParsedRequest, *, budget: TimeBudget) -> Delivery:
        """Send the message of a request. Never raises a `DeliveryError`: it becomes the outcome.

        Args:
            parsed: An invalid request is rejected without a call.
            budget: For this message, or shared by the messages of one chat.
        """
        attempts = _Attempts()
        request = parsed.request
        outcome: DeliveryOutcome
        if isinstance(request, SendMessageRequest):
            outcome = self._send(request, budget, attempts)
        else:
            outcome = Rejected(request)
        return Delivery(
            parsed=parsed,
            outcome=outcome,
            completed_at=self._clock.now(),
            attempts=attempts.count,
            throttles=attempts.throttles,
            send_seconds=attempts.send_seconds,
            each_attempt=tuple(attempts.made),
        )

    def _send(self, request: SendMessageRequest, budget: TimeBudget, attempts: _Attempts) -> DeliveryOutcome:
        failure: RetryableError | None = None
        while True:
            try:
                timeout = self._wait_for_slot(request, budget, attempts)
                return self._attempt(request, timeout, attempts)
            except RejectedError as rejection:
                return Rejected(rejection, attempts.maybe_delivered)
            except DeadlineExceededError as no_time:
                return Deferred(failure or no_time, attempts.maybe_delivered)
            except RetryableError as retryable:
                failure = retryable
            budget.note_failure(attempts.started)
            now = self._clock.monotonic()
            delay = delay_before_retry(failure, attempts.count, random=self._random)
            if delay is None or not budget.allows_retry_at(now + delay):
                return Deferred(failure, attempts.maybe_delivered)
            self._sleep(delay, attempts)

    def _wait_for_slot(self, request: SendMessageRequest, budget: TimeBudget, attempts: _Attempts) -> float:
        """Wait for a slot of the rate limiter. Return the seconds that the attempt may take.

        Without a slot in time, wait until the last moment all the same. An instance with a low rate would
        otherwise return its batch at once and take the next one, and so get the most batches.

        Raises:
            ExpiredError: `ExpiresAt` is past, before or after the wait.
            DeadlineExceededError: There is too little time for an attempt.
        """
        timeout = self._time_for_attempt(request, budget)
        if self._rate_limiter is None:
            return timeout
        now = self._clock.monotonic()
        latest = budget.latest_start(now, is_retry=attempts.count > 0)
        wait = self._rate_limiter.reserve(now, latest=latest)
        attempts.waited = wait != 0.0
        if not attempts.waited:
            return timeout
        self._sleep(max(0.0, latest - now) if wait is None else wait, attempts)
        if wait is None:
            raise DeadlineExceededError("The quota leaves no slot for an attempt in this invocation")
        return self._time_for_attempt(request, budget)

    def _time_for_attempt(self, request: SendMessageRequest, budget: TimeBudget) -> float:
        if is_expired(request, self._clock.now()):
            raise ExpiredError("ExpiresAt is past")
        timeout = budget.attempt_timeout(self._clock.monotonic())
        if timeout is None:
            raise DeadlineExceededError("There is not enough time left in this invocation for an attempt")
        return timeout

    def _attempt(self, request: SendMessageRequest, timeout: float, attempts: _Attempts) -> Sent:
        attempts.started, started_at = self._clock.monotonic(), self._clock.now()
        attempts.count += 1
        code, http_status = None, None
        try:
            sent = self._participant.send_message(request, timeout=timeout)
        except DeliveryError as error:
            code, http_status = error.code, error.http_status
            attempts.maybe_delivered = attempts.maybe_delivered or error.maybe_delivered
            if isinstance(error, ThrottledError):
                attempts.throttles += 1
                if self._rate_limiter is not None:
                    self._rate_limiter.on_throttled(
                        self._clock.monotonic(), sent_at=attempts.started, retry_after=error.retry_after
                    )
            raise
        finally:
            attempts.send_seconds = self._clock.monotonic() - attempts.started
            attempts.made.append(
                Attempt(
                    started_at=started_at,
                    wait=attempts.wait,
                    seconds=attempts.send_seconds,
                    code=code,
                    http_status=http_status,
                )
            )
            attempts.wait = 0.0
        if self._rate_limiter is not None:
            self._rate_limiter.on_accepted(waited=attempts.waited)
        return sent

    def _sleep(self, seconds: float, attempts: _Attempts) -> None:
        self._clock.sleep(seconds)
        attempts.wait += seconds


def is_expired(request: SendMessageRequest, now: datetime) -> bool:
    return request.expires_at is not None and now - _CLOCK_TOLERANCE > request.expires_at
