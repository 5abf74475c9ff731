"""The senders that the study compares: the function, with and without its rate limiter, and an AWS SDK.

The event sources, the retries and the rate limiter are the function's own code. The rate limiter and the
retry quota of the SDK are botocore's own code.
"""

from __future__ import annotations

import math
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import CapacityNotAvailableError
from botocore.retries.adaptive import ClientRateLimiter, RateClocker
from botocore.retries.bucket import TokenBucket
from botocore.retries.quota import RetryQuota
from botocore.retries.throttling import CubicCalculator

from message_sender.delivery import Delivery, MessageSender
from message_sender.errors import ThrottledError
from message_sender.queues import Queues
from message_sender.rate_limiter import RateLimiter
from message_sender.result import Deferred, Sent
from sandbox.participant_service.faults import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from random import Random

    from botocore.retries.bucket import Clock

    from message_sender.request import ParsedRequest, SendMessageRequest
    from message_sender.retry import TimeBudget
    from tests.simulation.models.clock import VirtualTime

# Ranges of seconds from which durations are drawn
_SENDING: Final = (0.06, 0.12)
_BEING_THROTTLED: Final = (0.01, 0.03)


class ParticipantModel:
    """SendMessage: one token bucket for all callers.

    Attributes:
        accepted, throttled: Calls, by second.
        repeated: Accepted calls for a message or part that was accepted before, by second.
    """

    def __init__(self, time: VirtualTime, random: Random, *, quota: float, retry_after: float | None) -> None:
        self.time, self.random = time, random
        self._retry_after = retry_after
        self._throttle = Throttle(clock=time.monotonic)
        self.accepted: Counter[int] = Counter()
        self.throttled: Counter[int] = Counter()
        self.repeated: Counter[int] = Counter()
        self._known: set[str] = set()
        self.set_quota(quota)

    def set_quota(self, quota: float) -> None:
        """Set the calls per second, and a burst of half as many more: the service's own are 10 and 15."""
        self._throttle.set(quota, burst=round(1.5 * quota))

    def send_message(self, request: SendMessageRequest, *, timeout: float) -> Sent:
        del timeout  # no call takes that long
        is_accepted, second = self._throttle.allows(), int(self.time.monotonic())
        (self.accepted if is_accepted else self.throttled)[second] += 1
        if is_accepted:
            self.repeated[second] += request.client_token in self._known
            self._known.add(request.client_token)
        self.time.sleep(self.random.uniform(*(_SENDING if is_accepted else _BEING_THROTTLED)))
        if not is_accepted:
            raise ThrottledError("over the quota", retry_after=self._retry_after)
        return Sent(message_id="m", absolute_time=None, processing_status=None)


class FixedDivision(RateLimiter):
    """A token bucket with the fair share of the quota. It never adapts."""

    def __init__(self, *, fair_share: float, random: Callable[[], float]) -> None:
        super().__init__(fair_share=fair_share, random=random)
        self._interval = 1 / fair_share
        self._burst_seconds = max(0.0, 1.5 - self._interval)  # the same burst as the service's bucket
        self._next_slot = random() * self._interval

    def reserve_all(
        self, calls: int, now: float, *, latest: float, longest_wait: float = math.inf
    ) -> list[float] | None:
        del longest_wait  # it never adapts
        first = max(self._next_slot, now - self._burst_seconds)
        slots = [max(now, first + number * self._interval) for number in range(calls)]
        if slots[-1] > latest:
            return None
        self._next_slot = first + calls * self._interval
        return [slot - now for slot in slots]

    def on_accepted(self, *, waited: bool) -> None: ...

    def on_throttled(self, now: float, *, sent_at: float, retry_after: float | None = None) -> None: ...


class SdkSender(MessageSender):
    """Sends as a boto3 client does: three attempts, with or without its adaptive rate limiter."""

    _ATTEMPTS: Final = 3
    _THROTTLING_RETRY_COST: Final = 5

    def __init__(self, model: ParticipantModel, *, is_adaptive: bool) -> None:
        clock = model.time
        super().__init__(participant=model, clock=clock, random=model.random.random)
        self._model = model
        self._is_adaptive = is_adaptive
        self._retry_quota = RetryQuota()
        sdk_clock: Any = SimpleNamespace(current_time=clock.monotonic)
        self._limiter = ClientRateLimiter(
            rate_adjustor=CubicCalculator(starting_max_rate=0, start_time=clock.monotonic()),
            rate_clocker=RateClocker(sdk_clock),
            token_bucket=_VirtualBucket(clock, sdk_clock),
            throttling_detector=SimpleNamespace(is_throttling_error=lambda *, throttled: throttled),
            clock=sdk_clock,
        )

    def deliver(
        self, parsed: ParsedRequest, *, budget: TimeBudget, age_from: datetime | None = None
    ) -> Delivery:
        del budget, age_from  # an SDK does not know them
        outcome, attempts, cost = self._call_once(parsed), 1, 1
        while isinstance(outcome, Deferred) and attempts < self._ATTEMPTS:
            cost = self._THROTTLING_RETRY_COST
            if not self._retry_quota.acquire(cost):
                break
            # `ExponentialBackoff` of botocore for throttling: up to 1 second, doubled each time
            self._model.time.sleep(self._random() * 2 ** (attempts - 1))
            outcome, attempts = self._call_once(parsed), attempts + 1
        if isinstance(outcome, Sent):
            self._retry_quota.release(cost)
        return Delivery(
            parsed=parsed, outcome=outcome, completed_at=self._model.time.now(), attempts=attempts
        )

    def _call_once(self, parsed: ParsedRequest) -> Sent | Deferred:
        self._limiter.on_sending_request(request=None)  # never waits unless it has received a response
        outcome: Sent | Deferred
        try:
            request: Any = parsed.request  # the study has no invalid one
            outcome = self._model.send_message(request, timeout=60)
        except ThrottledError as error:
            outcome = Deferred(error)
        if self._is_adaptive:
            self._limiter.on_receiving_response(throttled=isinstance(outcome, Deferred))
        return outcome


class _VirtualBucket(TokenBucket):
    """botocore's token bucket, which waits in virtual time."""

    def __init__(self, time: VirtualTime, sdk_clock: Clock) -> None:
        super().__init__(max_rate=1, clock=sdk_clock)
        self._time = time

    def acquire(self, *_: object, **__: object) -> bool:
        while True:
            try:
                return super().acquire(block=False)
            except CapacityNotAvailableError:
                # At least a microsecond: rounding could otherwise leave the moment unchanged
                self._time.sleep(max(1e-6, (1 - self.available_capacity) / self.max_rate))


class QueuesWithoutVisibility(Queues):
    """The loop with an SDK does not change the visibility of a failed record."""

    def delay_redelivery(self, receipt_handles: Sequence[str], *, seconds: int, until: float) -> None: ...


def in_turn(calls: Sequence[Callable[[], None]], *, timeout: float) -> list[BaseException | None]:
    """Run the chats of a batch one after another, as a loop over the records does."""
    del timeout
    for call in calls:
        call()
    return [None for _ in calls]


SENDERS: Final = ("ours", "no rate limiter", "fixed division", "SDK standard", "SDK adaptive")
