"""The one use case: a request in, what became of it out."""

from __future__ import annotations

from dataclasses import dataclass
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
    from collections.abc import Callable
    from datetime import datetime

    from message_sender.clock import Clock
    from message_sender.rate_limiter import RateLimiter
    from message_sender.request import Correlation, ParsedRequest, Secret
    from message_sender.result import Origin, Outcome
    from message_sender.retry import TimeBudget

_CLOCK_TOLERANCE: Final = timedelta(seconds=5)
"""How far the producer's clock may be from ours before a message counts as expired."""

DeliveryOutcome: TypeAlias = Sent | Rejected | Deferred


class Participant(Protocol):
    """Sends a message once."""

    def send_message(self, request: SendMessageRequest, *, timeout: float) -> Sent:
        """Send a message, or raise a `DeliveryError`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What became of one request in this invocation.

    Attributes:
        attempts: Calls of SendMessage.
        throttles: How many of these were answered with 429.
        send_seconds: What the last call took, None if there was none.
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
    def task_token(self) -> Secret | None:
        """Of the task that waits for the outcome. An invalid request has one too, if it can be read."""
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
        rate_limiter: Says when a call may be made. None: at once.
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
        """Send the message of a request. Never raises a `DeliveryError`: it is the outcome.

        Args:
            parsed: A request that is invalid is rejected without a call.
            budget: Of this message, or shared by the messages of one chat.
        """
        tries = _Tries()
        request = parsed.request
        if isinstance(request, SendMessageRequest):
            outcome = self._send(request, budget, tries)
        else:
            outcome = Rejected(request)
        return Delivery(
            parsed=parsed,
            outcome=outcome,
            completed_at=self._clock.now(),
            attempts=tries.attempts,
            throttles=tries.throttles,
            send_seconds=tries.send_seconds,
        )

    def _send(self, request: SendMessageRequest, budget: TimeBudget, tries: _Tries) -> DeliveryOutcome:
        failure: RetryableError | None = None
        while True:
            try:
                timeout = self._wait_for_turn(request, budget, tries)
                return self._try(request, timeout, tries)
            except RejectedError as rejection:
                return Rejected(rejection, tries.maybe_delivered)
            except DeadlineExceededError as no_time:
                return Deferred(failure or no_time, tries.maybe_delivered)
            except RetryableError as retryable:
                failure = retryable
            budget.note_failure(tries.started)
            now = self._clock.monotonic()
            delay = delay_before_retry(failure, tries.attempts, random=self._random)
            if delay is None or not budget.allows_retry_at(now + delay):
                return Deferred(failure, tries.maybe_delivered)
            self._clock.sleep(delay)

    def _wait_for_turn(self, request: SendMessageRequest, budget: TimeBudget, tries: _Tries) -> float:
        """Wait until the quota has room for a try, and return the seconds that the try may take.

        Where it has none in time, wait for as long as there was time all the same: an instance that gave its
        batch back at once would take the next one at once, and so the slowest would take the most.

        Raises:
            ExpiredError: `ExpiresAt` is past, before or after the wait.
            DeadlineExceededError: There is no time left for a try.
        """
        self._refuse_expired(request)
        timeout = self._time_for_a_try(budget)
        if self._rate_limiter is None:
            return timeout
        now = self._clock.monotonic()
        latest = budget.latest_start(now, is_retry=tries.attempts > 0)
        wait = self._rate_limiter.reserve(now, latest=latest)
        tries.had_to_wait = wait != 0.0
        if not tries.had_to_wait:
            return timeout
        self._clock.sleep(max(0.0, latest - now) if wait is None else wait)
        if wait is None:
            raise DeadlineExceededError("The quota leaves no room for a try in this invocation")
        self._refuse_expired(request)
        return self._time_for_a_try(budget)

    def _time_for_a_try(self, budget: TimeBudget) -> float:
        timeout = budget.attempt_timeout(self._clock.monotonic())
        if timeout is None:
            raise DeadlineExceededError("There is not enough time left in this invocation for a try")
        return timeout

    def _refuse_expired(self, request: SendMessageRequest) -> None:
        if is_expired(request, self._clock.now()):
            raise ExpiredError("ExpiresAt is past")

    def _try(self, request: SendMessageRequest, timeout: float, tries: _Tries) -> Sent:
        tries.started = self._clock.monotonic()
        tries.attempts += 1
        try:
            sent = self._participant.send_message(request, timeout=timeout)
        except DeliveryError as error:
            tries.maybe_delivered = tries.maybe_delivered or error.maybe_delivered
            if isinstance(error, ThrottledError):
                tries.throttles += 1
                if self._rate_limiter is not None:
                    self._rate_limiter.throttled(
                        self._clock.monotonic(), sent_at=tries.started, retry_after=error.retry_after
                    )
            raise
        else:
            if self._rate_limiter is not None:
                self._rate_limiter.accepted(had_to_wait=tries.had_to_wait)
            return sent
        finally:
            tries.send_seconds = self._clock.monotonic() - tries.started


@dataclass(slots=True)
class _Tries:
    """What the tries of one message add up to."""

    attempts: int = 0
    throttles: int = 0
    started: float = 0.0
    """The last one, by the monotonic clock."""
    send_seconds: float | None = None
    maybe_delivered: bool = False
    had_to_wait: bool = False
    """The next one, for the quota's sake."""


def is_expired(request: SendMessageRequest, now: datetime) -> bool:
    return request.expires_at is not None and now - _CLOCK_TOLERANCE > request.expires_at
