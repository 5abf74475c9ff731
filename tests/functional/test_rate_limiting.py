"""The quota, with a service that throttles."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from message_sender.application import create_handler
from sandbox.participant_service.faults import Status, Throttle
from tests.functional.conftest import capture_logs, function_environ
from tests.support.lambda_events import FakeLambdaContext, api_request, bus_event, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.functional.conftest import Function

QUOTA = 40
BURST = 4


class CountingThrottle(Throttle):
    """Counts the calls that it refuses."""

    refused = 0

    def allows(self) -> bool:
        allowed = super().allows()
        self.refused += not allowed
        return allowed


@pytest.fixture
def throttle(function: Function) -> Iterator[CountingThrottle]:
    throttle = CountingThrottle(clock=function.clock.monotonic)
    throttle.set(QUOTA, burst=BURST)
    function.participant.api.throttle = throttle
    yield throttle
    throttle.off()


def with_quota(function: Function, *, quota: int, instances: int = 1) -> Function:
    environ = function_environ(
        function.participant.url,
        function.aws.url,
        SEND_QUOTA_PER_SECOND=f"{quota}",
        MAXIMUM_CONCURRENCY=f"{instances}",
    )
    handler = create_handler(environ, clock=function.clock, random=lambda: 0.5, workers=in_turn)
    capture_logs()
    return replace(function, handler=handler)


def in_turn(calls: Sequence[Callable[[], None]], *, timeout: float) -> list[BaseException | None]:
    """Run one call after another: the clock that skips waits has one time for all threads."""
    assert timeout > 0
    for call in calls:
        call()
    return [None for _ in calls]


def test_an_instance_that_was_throttled_keeps_to_its_fair_share(
    function: Function, throttle: CountingThrottle
) -> None:
    def refused_while_sending(*, quota: int, instances: int) -> int:
        sender = with_quota(function, quota=quota, instances=instances)
        before = throttle.refused
        for _ in range(4):
            chats = [sender.start_chat() for _ in range(10)]
            waiting = {chat.contact_id: record(chat.request(), group=chat.contact_id) for chat in chats}
            while waiting:
                failed = sender.batch(*waiting.values())
                waiting = {group: item for group, item in waiting.items() if item["messageId"] in failed}
            assert [len(chat.texts) for chat in chats] == [1] * 10
        return throttle.refused - before

    unlimited = refused_while_sending(quota=1_000_000, instances=1)
    limited = refused_while_sending(quota=1_000_000, instances=1_000_000 // QUOTA * 2)  # half of the quota

    assert unlimited >= 8
    assert limited <= unlimited / 3


def pause(function: Function) -> None:
    """Let the service ask for a pause. The instance pauses for five seconds."""
    chat = function.start_chat()
    function.participant.faults.add(Status(status=429, retry_after=30), contact_id=chat.contact_id)
    message = record(chat.request(), group=chat.contact_id)
    assert function.batch(message) == [message["messageId"]]


def test_a_message_without_a_slot_is_redelivered_without_an_attempt(function: Function) -> None:
    chat = function.start_chat()
    old = record(chat.request(), age=3600, receive_count=9)
    pause(function)

    failed = function.batch(old, context=FakeLambdaContext(seconds_left=16))  # 2.5 s to start an attempt

    assert failed == [old["messageId"]]
    assert chat.texts == []
    assert function.aws.delays[-1][old["receiptHandle"]] <= 2
    assert function.aws.results == []


def test_an_event_without_a_slot_is_enqueued_without_an_attempt(function: Function) -> None:
    chat = function.start_chat()
    pause(function)

    function(bus_event(chat.request()) | {"time": datetime.now(UTC).isoformat()})

    [enqueued] = function.aws.messages
    assert enqueued["QueueUrl"].endswith("/messages.fifo")
    assert enqueued["MessageAttributes"]["MaybeDelivered"]["StringValue"] == "false"
    assert chat.texts == []


def test_a_synchronous_call_is_not_rate_limited(function: Function) -> None:
    chat = function.start_chat()
    pause(function)
    began = function.clock.monotonic()

    answer = function(api_request(chat.request(ClientToken="c")))

    assert answer["statusCode"] == 200
    assert function.clock.monotonic() - began < 2
