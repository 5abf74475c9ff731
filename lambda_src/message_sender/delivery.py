"""The use case: send the message of a request, and return the outcome."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

from message_sender.aws.client import MAX_CALL_SECONDS
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
    from collections.abc import Callable, Sequence
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


class Attempt(NamedTuple):
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
        of_part: Those for the present part.
        parts_left: The present part and the following ones.
        has_sent_parts: Whether the service has accepted earlier ones.
        throttles: The number of attempts that were answered with 429.
        maybe_delivered: Whether a failed call may have reached the chat.
        started: When the last call began, by the monotonic clock.
        waited: Whether the next call had to wait for the rate limiter.
        too_old_at: When the message expires by its age, None if it does not, or not any more.
        slot: The moment of the rate limiter for the last attempt at the present part.
        slots: Those for the following parts.
        wait: Seconds of waiting since the last call.
        ran_out_of_time: Whether the time of the invocation was over after the last call, or before the first.
    """

    made: list[Attempt] = field(default_factory=list)
    of_part: int = 0
    parts_left: int = 1
    has_sent_parts: bool = False
    throttles: int = 0
    maybe_delivered: bool = False
    started: float = 0.0
    waited: bool = False
    too_old_at: datetime | None = None
    slot: float = 0.0
    slots: list[float] = field(default_factory=list)
    wait: float = 0.0
    ran_out_of_time: bool = False


class Delivery(NamedTuple):
    """The outcome of one request in this invocation.

    Attributes:
        attempts: Calls of SendMessage.
        throttles: The number of these that were answered with 429.
        send_seconds: Duration of the last call, None without a call.
        each_attempt: What happened in each call, for the log.
        ran_out_of_time: Whether the message is deferred because the time of the invocation was over. A slow
            answer to its last call may have come later.
    """

    parsed: ParsedRequest
    outcome: DeliveryOutcome
    completed_at: datetime
    attempts: int = 0
    throttles: int = 0
    send_seconds: float | None = None
    each_attempt: Sequence[Attempt] = ()
    ran_out_of_time: bool = False

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
            none_delivered = 0 if request.is_split else None
            try:
                outcome = self._send(self._unsealed(request, budget, attempts), budget, attempts)
            except RejectedError as rejection:
                outcome = Rejected(rejection, parts_delivered=none_delivered)
            except RetryableError as failure:  # the client of KMS has retried, if there was time
                outcome = Deferred(failure, parts_delivered=none_delivered)
        else:
            outcome = Rejected(request)
        return Delivery(
            parsed=parsed,
            outcome=outcome,
            completed_at=self._clock.now(),
            attempts=len(attempts.made),
            throttles=attempts.throttles,
            send_seconds=attempts.made[-1].seconds if attempts.made else None,
            each_attempt=tuple(attempts.made),
            ran_out_of_time=attempts.ran_out_of_time,
        )

    def _unsealed(
        self, request: SendMessageRequest, budget: TimeBudget, attempts: _Attempts
    ) -> SendMessageRequest:
        """Return the request with its connection token in clear.

        Raises:
            RejectedError: The token can never be decrypted, or the message has expired.
            RetryableError: The token may be decrypted later.
        """
        if not request.is_sealed:
            return request
        self._require_unexpired(request, attempts)
        if self._token_key is None or request.contact_id is None:
            raise InvalidRequestError(
                "ConnectionToken is sealed, and this stack has no key for sealed tokens"
            )
        has_little_time = self._clock.monotonic() > budget.last_start - 2 * MAX_CALL_SECONDS
        try:
            token = self._token_key.unseal(
                request.connection_token, contact_id=request.contact_id, until=budget.last_start
            )
        except RetryableError:
            attempts.ran_out_of_time = has_little_time
            raise
        return replace(request, connection_token=token)

    def _send(self, request: SendMessageRequest, budget: TimeBudget, attempts: _Attempts) -> DeliveryOutcome:
        """Send the parts of a message in order, up to the first that is not accepted."""
        sent: list[Sent] = []
        for part in request.parts:
            attempts.of_part = 0
            attempts.parts_left = len(request.parts) - len(sent)
            attempts.has_sent_parts = bool(sent)
            outcome = self._send_part(part, budget, attempts)
            if not isinstance(outcome, Sent):
                return _unfinished(outcome, len(sent)) if request.is_split else outcome
            sent.append(outcome)
            attempts.too_old_at = None  # half a message helps nobody
            if attempts.parts_left > 1:
                budget.note_part_sent()
        return _whole(sent) if request.is_split else sent[0]

    def _send_part(
        self, part: SendMessageRequest, budget: TimeBudget, attempts: _Attempts
    ) -> DeliveryOutcome:
        failure: RetryableError | None = None
        while True:
            try:
                timeout = self._wait_for_slot(part, budget, attempts)
                return self._attempt(part, timeout, attempts)
            except RejectedError as rejection:
                return Rejected(rejection, attempts.maybe_delivered)
            except DeadlineExceededError as no_time:
                attempts.ran_out_of_time = failure is None
                return Deferred(failure or no_time, attempts.maybe_delivered)
            except RetryableError as retryable:
                failure = retryable
            budget.note_failure(attempts.started)
            now = self._clock.monotonic()
            delay = delay_before_retry(failure, attempts.of_part, random=self._random)
            if delay is None or not budget.allows_retry_at(now + delay):
                attempts.ran_out_of_time = budget.attempt_timeout(now + (delay or 0.0)) is None
                return Deferred(failure, attempts.maybe_delivered)
            self._sleep(delay, attempts)

    def _wait_for_slot(self, part: SendMessageRequest, budget: TimeBudget, attempts: _Attempts) -> float:
        """Wait for a slot of the rate limiter. Return the seconds that the attempt may take.

        Without a slot in time, wait until the last moment all the same. An instance with a low rate would
        otherwise return its batch at once and take the next one, and so get the most batches.

        Raises:
            ExpiredError: `ExpiresAt` or the maximum age is past, before or after the wait.
            DeadlineExceededError: There is too little time for an attempt.
        """
        timeout = self._time_for_attempt(part, budget, attempts)
        if self._rate_limiter is None:
            return timeout
        now = self._clock.monotonic()
        latest = budget.latest_start(now, is_retry=attempts.of_part > 0)
        wait = _take_slot(self._rate_limiter, attempts, budget, now=now, latest=latest)
        attempts.waited = wait != 0.0
        if not attempts.waited:
            return timeout
        self._sleep(max(0.0, latest - now) if wait is None else wait, attempts)
        if wait is None:
            raise DeadlineExceededError("The quota leaves no slot for an attempt in this invocation")
        return self._time_for_attempt(part, budget, attempts)

    def _time_for_attempt(
        self, request: SendMessageRequest, budget: TimeBudget, attempts: _Attempts
    ) -> float:
        self._require_unexpired(request, attempts)
        timeout = budget.attempt_timeout(self._clock.monotonic())
        if timeout is None:
            raise DeadlineExceededError("There is not enough time left in this invocation for an attempt")
        return timeout

    def _require_unexpired(self, request: SendMessageRequest, attempts: _Attempts) -> None:
        now = self._clock.now()
        if is_expired(request, now):
            raise ExpiredError("ExpiresAt is past")
        if attempts.too_old_at is not None and now - _CLOCK_TOLERANCE > attempts.too_old_at:
            raise ExpiredError("The message is older than maximum_age_minutes")

    def _attempt(self, request: SendMessageRequest, timeout: float, attempts: _Attempts) -> Sent:
        attempts.started, started_at = self._clock.monotonic(), self._clock.now()
        attempts.of_part += 1
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
            attempts.made.append(
                Attempt(
                    started_at=started_at,
                    wait=attempts.wait,
                    seconds=self._clock.monotonic() - attempts.started,
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


def _take_slot(
    rate_limiter: RateLimiter, attempts: _Attempts, budget: TimeBudget, *, now: float, latest: float
) -> float | None:
    """Take the next slot. Return the seconds to wait for it, None if there is none in time.

    The first attempt at a message takes the slots for all its parts. A further attempt at a part takes one
    more slot, and the following parts keep their distance from it if they can. Without a slot, it is made at
    once if the chat has earlier parts: a deferred message would repeat them, which costs more of the quota.
    """
    if attempts.of_part > 0:
        wait = rate_limiter.reserve(now, latest=latest)
        if wait is None:
            return 0.0 if attempts.has_sent_parts else None
        if attempts.slots:
            delay = max(0.0, now + wait - attempts.slot)
            last = budget.latest_start(now, is_retry=False)
            attempts.slots = [max(slot, min(slot + delay, last)) for slot in attempts.slots]
            attempts.slot = now + wait  # the next retry delays them by the rest only
        return wait
    if not attempts.made:
        longest_wait = budget.longest_wait
        waits = rate_limiter.reserve_all(attempts.parts_left, now, latest=latest, longest_wait=longest_wait)
        if waits is None:
            return None
        attempts.slots = [now + wait for wait in waits]
    attempts.slot = attempts.slots.pop(0)
    return max(0.0, attempts.slot - now)


def _whole(parts: Sequence[Sent]) -> Sent:
    """Return the answer for a message by those for its parts. If one is not yet processed, neither is it."""
    statuses = [part.processing_status for part in parts if part.processing_status is not None]
    return replace(
        parts[-1],
        processing_status=statuses[-1] if statuses else None,
        is_malformed=any(part.is_malformed for part in parts),
        parts=tuple(parts),
    )


def _unfinished(outcome: Rejected | Deferred, parts_delivered: int) -> Rejected | Deferred:
    return replace(
        outcome,
        maybe_delivered=outcome.maybe_delivered or parts_delivered > 0,
        parts_delivered=parts_delivered,
    )


def is_expired(request: SendMessageRequest, now: datetime) -> bool:
    return request.expires_at is not None and now - _CLOCK_TOLERANCE > request.expires_at
