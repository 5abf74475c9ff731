"""The use case: send the message of a request, and return the outcome."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from message_sender.errors import (
    DeadlineExceededError,
    DeliveryError,
    ExpiredError,
    InvalidRequestError,
    KeyUnavailableError,
    RejectedError,
    RetryableError,
    ThrottledError,
)
from message_sender.request import SendMessageRequest
from message_sender.result import Deferred, MessageResult, Rejected, Sent
from message_sender.retry import delay_before_retry

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from message_sender.clock import Clock
    from message_sender.rate_limiter import RateLimiter
    from message_sender.request import Correlation, ParsedRequest, Secret
    from message_sender.result import Origin, Outcome
    from message_sender.retry import TimeBudget
    from message_sender.token_key import TokenKey

_CLOCK_TOLERANCE: Final = timedelta(seconds=5)
"""The difference between two clocks that does not count as expiry."""

DeliveryOutcome: TypeAlias = Sent | Rejected | Deferred


class Participant(Protocol):
    """Sends a message in a single attempt."""

    def send_message(self, request: SendMessageRequest, *, timeout: float) -> Sent:
        """Send a message, or raise a `DeliveryError`."""
        ...


@dataclass(slots=True)
class _Attempts:
    """The attempts to send one message, added up.

    Attributes:
        count: Calls of SendMessage.
        throttles: The number of these that were answered with 429.
        send_seconds: Duration of the last call, None without a call.
        maybe_delivered: Whether a failed call may have reached the chat.
        started: When the last call began, by the monotonic clock.
        waited: Whether the next call had to wait for the rate limiter.
        too_old_at: When the message expires by its age, None if it does not.
    """

    count: int = 0
    throttles: int = 0
    send_seconds: float | None = None
    maybe_delivered: bool = False
    started: float = 0.0
    waited: bool = False
    too_old_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The outcome of one request in this invocation.

    Attributes:
        attempts: Calls of SendMessage.
        throttles: The number of these that were answered with 429.
        send_seconds: Duration of the last call, None without a call.
    """

    parsed: ParsedRequest
    outcome: DeliveryOutcome
    completed_at: datetime
    attempts: int = 0
    throttles: int = 0
    send_seconds: float | None = None

    @property
    def correlation(self) -> Correlation:
        return self.parsed.correlation

    @property
    def was_attempted(self) -> bool:
        """Whether a service was called for this message, so that it may fail after the retry window."""
        return self.attempts > 0 or (
            isinstance(self.outcome, Deferred) and isinstance(self.outcome.error, KeyUnavailableError)
        )

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
        token_key: None: sealed connection tokens are rejected.
        maximum_age: The age at which a message expires. None: it does not expire by its age.
    """

    def __init__(
        self,
        *,
        participant: Participant,
        clock: Clock,
        random: Callable[[], float],
        rate_limiter: RateLimiter | None = None,
        token_key: TokenKey | None = None,
        maximum_age: timedelta | None = None,
    ) -> None:
        self._participant = participant
        self._clock = clock
        self._random = random
        self._rate_limiter = rate_limiter
        self._token_key = token_key
        self._maximum_age = maximum_age

    def deliver(
        self, parsed: ParsedRequest, *, budget: TimeBudget, age_from: datetime | None = None
    ) -> Delivery:
        """Send the message of a request. Never raises a `DeliveryError`: it becomes the outcome.

        Args:
            parsed: An invalid request is rejected without a call.
            budget: For this message, or shared by the messages of one chat.
            age_from: The start of its age. None: it does not expire by its age.
        """
        attempts = _Attempts()
        if self._maximum_age is not None and age_from is not None:
            attempts.too_old_at = age_from + self._maximum_age
        request = parsed.request
        outcome: DeliveryOutcome
        if isinstance(request, SendMessageRequest):
            try:
                outcome = self._send(self._unsealed(request, budget), budget, attempts)
            except RejectedError as rejection:
                outcome = Rejected(rejection)
            except RetryableError as failure:  # the client of KMS has retried
                outcome = Deferred(failure)
        else:
            outcome = Rejected(request)
        return Delivery(
            parsed=parsed,
            outcome=outcome,
            completed_at=self._clock.now(),
            attempts=attempts.count,
            throttles=attempts.throttles,
            send_seconds=attempts.send_seconds,
        )

    def _unsealed(self, request: SendMessageRequest, budget: TimeBudget) -> SendMessageRequest:
        """Return the request with its connection token in clear.

        Raises:
            RejectedError: The token can never be decrypted, or `ExpiresAt` is past.
            RetryableError: The token may be decrypted later.
        """
        if not request.is_sealed:
            return request
        if is_expired(request, self._clock.now()):
            raise ExpiredError("ExpiresAt is past")
        if self._token_key is None or request.contact_id is None:
            raise InvalidRequestError(
                "ConnectionToken is sealed, and this stack has no key for sealed tokens"
            )
        token = self._token_key.unseal(
            request.connection_token, contact_id=request.contact_id, until=budget.last_start
        )
        return replace(request, connection_token=token)

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
            self._clock.sleep(delay)

    def _wait_for_slot(self, request: SendMessageRequest, budget: TimeBudget, attempts: _Attempts) -> float:
        """Wait for a slot of the rate limiter. Return the seconds that the attempt may take.

        Without a slot in time, wait until the last moment all the same. An instance with a low rate would
        otherwise return its batch at once and take the next one, and so get the most batches.

        Raises:
            ExpiredError: `ExpiresAt` or the maximum age is past, before or after the wait.
            DeadlineExceededError: There is too little time for an attempt.
        """
        timeout = self._time_for_attempt(request, budget, attempts)
        if self._rate_limiter is None:
            return timeout
        now = self._clock.monotonic()
        latest = budget.latest_start(now, is_retry=attempts.count > 0)
        wait = self._rate_limiter.reserve(now, latest=latest)
        attempts.waited = wait != 0.0
        if not attempts.waited:
            return timeout
        self._clock.sleep(max(0.0, latest - now) if wait is None else wait)
        if wait is None:
            raise DeadlineExceededError("The quota leaves no slot for an attempt in this invocation")
        return self._time_for_attempt(request, budget, attempts)

    def _time_for_attempt(
        self, request: SendMessageRequest, budget: TimeBudget, attempts: _Attempts
    ) -> float:
        now = self._clock.now()
        if is_expired(request, now):
            raise ExpiredError("ExpiresAt is past")
        if attempts.too_old_at is not None and now - _CLOCK_TOLERANCE > attempts.too_old_at:
            raise ExpiredError("The message is older than maximum_age_minutes")
        timeout = budget.attempt_timeout(self._clock.monotonic())
        if timeout is None:
            raise DeadlineExceededError("There is not enough time left in this invocation for an attempt")
        return timeout

    def _attempt(self, request: SendMessageRequest, timeout: float, attempts: _Attempts) -> Sent:
        attempts.started = self._clock.monotonic()
        attempts.count += 1
        try:
            sent = self._participant.send_message(request, timeout=timeout)
        except DeliveryError as error:
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
        if self._rate_limiter is not None:
            self._rate_limiter.on_accepted(waited=attempts.waited)
        return sent


def is_expired(request: SendMessageRequest, now: datetime) -> bool:
    return request.expires_at is not None and now - _CLOCK_TOLERANCE > request.expires_at
