"""The senders that the study compares: the function, with and without its rate limiter, and an AWS SDK.

The event sources, the retries and the rate limiter are the function's own code. The rate limiter and the
retry quota of the SDK are botocore's own code.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from botocore.exceptions import CapacityNotAvailableError
from botocore.retries.adaptive import ClientRateLimiter, RateClocker
from botocore.retries.bucket import Clock, TokenBucket
from botocore.retries.quota import RetryQuota
from botocore.retries.throttling import CubicCalculator

from message_sender.delivery import Delivery, MessageSender
from message_sender.errors import ThrottledError
from message_sender.queues import Queues
from message_sender.rate_limiter import RateLimiter
from message_sender.result import Deferred, Sent
from sandbox.participant_service.faults import Throttle
from tests.simulation.function import handler_of_parts, new_outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from message_sender.request import ParsedRequest
    from message_sender.retry import TimeBudget
    from tests.simulation.models.clock import VirtualTime
    from tests.simulation.models.lambda_service import Handler
    from tests.simulation.models.network import Service

# Ranges of seconds from which durations are drawn
_SENDING: Final = (0.06, 0.12)
_BEING_THROTTLED: Final = (0.01, 0.03)


class ParticipantModel:
    """SendMessage: one token bucket for all callers.

    Attributes:
        accepted, throttled: Calls, by second.
    """

    def __init__(self, time: VirtualTime, random: Random, *, quota: float, retry_after: float | None) -> None:
        self._time = time
        self._random = random
        self._retry_after = retry_after
        self._throttle = Throttle(clock=time.monotonic)
        self.accepted: Counter[int] = Counter()
        self.throttled: Counter[int] = Counter()
        self.set_quota(quota)

    def set_quota(self, quota: float) -> None:
        """Set the calls per second, and a burst of half as many more: the service's own are 10 and 15."""
        self._throttle.set(quota, burst=round(1.5 * quota))

    def send_message(self, _request: object, *, timeout: float) -> Sent:
        del timeout  # no call takes that long
        is_accepted = self._throttle.allows()
        (self.accepted if is_accepted else self.throttled)[int(self._time.monotonic())] += 1
        self._time.sleep(self._random.uniform(*(_SENDING if is_accepted else _BEING_THROTTLED)))
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

    def reserve(self, now: float, *, latest: float) -> float | None:
        slot = max(now, self._next_slot)
        if slot > latest:
            return None
        self._next_slot = max(self._next_slot, now - self._burst_seconds) + self._interval
        return slot - now

    def on_accepted(self, *, waited: bool) -> None: ...

    def on_throttled(self, now: float, *, sent_at: float, retry_after: float | None = None) -> None: ...


class SdkSender(MessageSender):
    """Sends as a boto3 client does: three attempts, with or without its adaptive rate limiter."""

    _ATTEMPTS: Final = 3
    _THROTTLING_RETRY_COST: Final = 5

    def __init__(
        self, participant: ParticipantModel, time: VirtualTime, random: Random, *, is_adaptive: bool
    ) -> None:
        super().__init__(participant=participant, clock=time, random=random.random)
        self._model = participant
        self._time = time
        self._chance = random
        self._retry_quota = RetryQuota()
        self._limiter = ClientRateLimiter(
            rate_adjustor=CubicCalculator(starting_max_rate=0, start_time=time.monotonic()),
            rate_clocker=RateClocker(_SdkClock(time)),
            token_bucket=_VirtualBucket(time),
            throttling_detector=_ThrottlingDetector(),
            clock=_SdkClock(time),
        )
        self._is_adaptive = is_adaptive

    def deliver(self, parsed: ParsedRequest, *, budget: TimeBudget) -> Delivery:
        del budget  # an SDK does not know it
        attempts, cost = 0, 1
        while True:
            attempts += 1
            outcome = self._call_once(parsed)
            if isinstance(outcome, Sent):
                self._retry_quota.release(cost)
                break
            cost = self._THROTTLING_RETRY_COST
            if attempts == self._ATTEMPTS or not self._retry_quota.acquire(cost):
                break
            # `ExponentialBackoff` of botocore for throttling: up to 1 second, doubled each time
            self._time.sleep(self._chance.random() * 2 ** (attempts - 1))
        return Delivery(parsed=parsed, outcome=outcome, completed_at=self._time.now(), attempts=attempts)

    def _call_once(self, parsed: ParsedRequest) -> Sent | Deferred:
        if self._is_adaptive:
            self._limiter.on_sending_request(request=None)
        outcome: Sent | Deferred
        try:
            outcome = self._model.send_message(parsed.request, timeout=60)
        except ThrottledError as error:
            outcome = Deferred(error)
        if self._is_adaptive:
            self._limiter.on_receiving_response(throttled=isinstance(outcome, Deferred))
        return outcome


class _SdkClock(Clock):
    def __init__(self, time: VirtualTime) -> None:
        super().__init__()
        self._time = time

    def current_time(self) -> float:
        return self._time.monotonic()


class _VirtualBucket(TokenBucket):
    """botocore's token bucket, which waits in virtual time."""

    def __init__(self, time: VirtualTime) -> None:
        super().__init__(max_rate=1, clock=_SdkClock(time))
        self._time = time

    def acquire(self, amount: int = 1, block: bool = True) -> bool:  # noqa: FBT001, FBT002  # botocore's signature
        while True:
            try:
                return bool(super().acquire(amount, block=False))
            except CapacityNotAvailableError:
                if not block:
                    raise
                # At least a microsecond: rounding could otherwise leave the moment unchanged
                self._time.sleep(max(1e-6, (amount - self.available_capacity) / self.max_rate))


class _ThrottlingDetector:
    def is_throttling_error(self, *, throttled: bool) -> bool:
        return throttled


class _QueuesWithoutVisibility(Queues):
    """The loop with an SDK does not change the visibility of a failed record."""

    def delay_redelivery(self, receipt_handles: Sequence[str], *, seconds: int, until: float) -> None: ...


def _in_turn(calls: Sequence[Callable[[], None]], *, timeout: float) -> list[BaseException | None]:
    """Run the chats of a batch one after another, as a loop over the records does."""
    del timeout
    for call in calls:
        call()
    return [None for _ in calls]


def new_instance(
    name: str,
    *,
    fair_share: float,
    participant: ParticipantModel,
    services: Mapping[str, Service],
    time: VirtualTime,
    random: Random,
) -> Handler:
    """Return the handler of a new instance.

    Args:
        name: One of `SENDERS`.
        fair_share: The calls per second of one instance: the quota divided by the maximum concurrency.
    """
    draw = random.random
    is_sdk = name.startswith("SDK")
    unlimited = sender = MessageSender(participant=participant, clock=time, random=draw)
    if is_sdk:
        unlimited = sender = SdkSender(participant, time, random, is_adaptive=name == "SDK adaptive")
    elif name != "no rate limiter":
        limiter = (RateLimiter if name == "ours" else FixedDivision)(fair_share=fair_share, random=draw)
        sender = MessageSender(participant=participant, clock=time, random=draw, rate_limiter=limiter)
    queues = _QueuesWithoutVisibility if is_sdk else Queues
    return handler_of_parts(
        sender=sender,
        synchronous_sender=unlimited,
        outputs=new_outputs(services, time=time, random=draw, queues_type=queues),
        workers=_in_turn if is_sdk else time.workers,
        time=time,
        random=draw,
    )


SENDERS: Final = {
    "ours": "the function unchanged, with its `RateLimiter`",
    "no rate limiter": "the function with only the maximum concurrency and the backoff of redeliveries",
    "fixed division": "the function with a token bucket of its fair share in each instance",
    "SDK standard": "a loop over the records with boto3, mode `standard`; failed records return after 168 s",
    "SDK adaptive": "the same with mode `adaptive`, botocore's own rate limiter",
}
"""The senders with their descriptions."""
