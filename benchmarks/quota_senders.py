"""The ways to send that the simulation compares: the function's, with and without pacing, and an AWS SDK's.

The pacing and the retry policy are the function's, the rate limiter and the retry quota botocore's: not
copies.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, Protocol

from botocore.retries.adaptive import ClientRateLimiter, RateClocker
from botocore.retries.bucket import TokenBucket
from botocore.retries.quota import RetryQuota
from botocore.retries.throttling import CubicCalculator

from benchmarks.quota_model import Attempt
from message_sender.errors import ThrottledError
from message_sender.rate_limiter import RateLimiter
from message_sender.retry import delay_before_retry

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from benchmarks.quota_model import Route, Service, World
    from message_sender.retry import TimeBudget


class Pacing(Protocol):
    """What `RateLimiter` and its alternatives have in common."""

    def reserve(self, now: float, *, latest: float) -> float | None: ...
    def accepted(self, *, had_to_wait: bool) -> None: ...
    def throttled(self, now: float, *, sent_at: float, retry_after: float | None = None) -> None: ...


class OurFunction:
    """The function's own way: `MessageSender._send`, step by step. A test holds the two against each other.

    Args:
        pacing: Makes what paces an instance. What it returns for None has no pacing at all.
    """

    workers = True
    sets_visibility = True

    def __init__(self, pacing: Callable[[World], Pacing | None]) -> None:
        self._pacing = pacing

    def new_instance(self, world: World) -> Pacing | None:
        return self._pacing(world)

    def send(
        self, instance: Pacing | None, world: World, service: Service, route: Route, budget: TimeBudget
    ) -> Generator[float, None, Attempt]:
        pacing = None if route == "call" else instance
        failure: ThrottledError | None = None
        tries = 0
        while True:
            wait: float | None = 0.0
            if pacing is not None:
                latest = budget.latest_start(world.now, is_retry=tries > 0)
                wait = pacing.reserve(world.now, latest=latest)
                if wait != 0.0:
                    yield max(0.0, latest - world.now) if wait is None else wait
            if wait is None or budget.attempt_timeout(world.now) is None:
                break
            tries += 1
            sent_at = world.now
            if (yield from service.call()):
                if pacing is not None:
                    pacing.accepted(had_to_wait=wait > 0)
                return Attempt(sent=True, tries=tries)
            failure = ThrottledError("", retry_after=service.retry_after)
            if pacing is not None:
                pacing.throttled(world.now, sent_at=sent_at, retry_after=failure.retry_after)
            budget.note_failure(sent_at)
            delay = delay_before_retry(failure, tries, random=world.random.random)
            if delay is None or not budget.allows_retry_at(world.now + delay):
                break
            yield delay
        retry_after = failure.retry_after if failure is not None else None
        return Attempt(sent=False, tries=tries, retry_after=retry_after or 0.0)


class FixedDivision:
    """A bucket of the instance's share of the quota, which learns nothing."""

    def __init__(self, world: World, *, share: float) -> None:
        self._interval = 1 / share
        self._kept = max(0.0, 1.5 - self._interval)  # seconds, as much as the service's own bucket
        self._next_place = world.random.random() * self._interval

    def reserve(self, now: float, *, latest: float) -> float | None:
        place = max(now, self._next_place)
        if place > latest:
            return None
        self._next_place = max(self._next_place, now - self._kept) + self._interval
        return place - now

    def accepted(self, *, had_to_wait: bool) -> None: ...

    def throttled(self, now: float, *, sent_at: float, retry_after: float | None = None) -> None: ...


@dataclass(slots=True)
class _Client:
    """What a boto3 client keeps between calls."""

    bucket: Any
    limiter: Any
    retry_quota: Any = field(default_factory=RetryQuota)


class _ThrottlingDetector:
    def is_throttling_error(self, *, throttled: bool) -> bool:
        return throttled


class SdkLoop:
    """A loop over the records with a boto3 client, as the public samples have it.

    A record that fails is reported with those of its chat behind it. They come back when the queue's own
    visibility timeout ends.
    """

    workers = False
    sets_visibility = False

    _ATTEMPTS: Final = 3
    _THROTTLING_RETRY_COST: Final = 5
    _LEAST_WAIT: Final = 1e-6  # below that a float may not get any closer

    def __init__(self, *, adaptive: bool) -> None:
        self._adaptive = adaptive

    def new_instance(self, world: World) -> _Client:
        clock: Any = SimpleNamespace(current_time=world.monotonic)
        bucket = TokenBucket(max_rate=1, clock=clock)
        limiter = ClientRateLimiter(
            rate_adjustor=CubicCalculator(starting_max_rate=0, start_time=world.now),
            rate_clocker=RateClocker(clock),
            token_bucket=bucket,
            throttling_detector=_ThrottlingDetector(),
            clock=clock,
        )
        return _Client(bucket=bucket, limiter=limiter)

    def send(
        self, instance: _Client, world: World, service: Service, route: Route, budget: TimeBudget
    ) -> Generator[float, None, Attempt]:
        del route, budget  # an SDK knows of neither
        taken: int | None = None
        tries = 0
        while True:
            if self._adaptive:
                yield from self._acquire(instance)
            tries += 1
            sent = yield from service.call()
            if self._adaptive:
                instance.limiter.on_receiving_response(throttled=not sent)
            if sent:
                instance.retry_quota.release(1 if taken is None else taken)
                return Attempt(sent=True, tries=tries)
            if tries == self._ATTEMPTS or not instance.retry_quota.acquire(self._THROTTLING_RETRY_COST):
                return Attempt(sent=False, tries=tries)
            taken = self._THROTTLING_RETRY_COST
            yield world.random.random() * 2 ** (tries - 1)  # of 1 second: `ExponentialBackoff`, throttling

    def _acquire(self, client: _Client) -> Generator[float, None, None]:
        """Do what `TokenBucket.acquire` does, without blocking a thread."""
        if not client.limiter._enabled:  # noqa: SLF001  # there is no public way that does not block
            return
        bucket = client.bucket
        bucket._refill()  # noqa: SLF001  # the same
        while (wait := bucket._sleep_amount(1)) > self._LEAST_WAIT:  # noqa: SLF001  # the same
            yield wait
            bucket._refill()  # noqa: SLF001  # the same
        bucket._current_capacity -= 1  # noqa: SLF001  # the same


SENDERS: Final[dict[str, Callable[[float], Any]]] = {
    "ours": lambda share: OurFunction(lambda world: RateLimiter(share=share, random=world.random.random)),
    "no pacing": lambda _: OurFunction(lambda _: None),
    "fixed division": lambda share: OurFunction(lambda world: FixedDivision(world, share=share)),
    "SDK standard": lambda _: SdkLoop(adaptive=False),
    "SDK adaptive": lambda _: SdkLoop(adaptive=True),
}
"""By name. Each takes the share of an instance: the quota over the maximum concurrency."""
