"""Which faults strike, how often, and how many did."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sandbox.participant_service.faults import (
    AcceptedThenCut,
    AcceptedThenStatus,
    BadBody,
    BodyCutShort,
    Fault,
    FaultPlan,
    Latency,
    Processing,
    ResetBeforeAcceptance,
    Status,
)
from sandbox.participant_service.transcript import ProcessingStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from tests.simulation.models.clock import VirtualTime


class Strike(StrEnum):
    """What can go wrong, in the words of the report."""

    # The Participant Service
    THROTTLED = "429"
    QUOTA = "429 over the quota"
    SERVER_ERROR = "5xx"
    CHAT_DOWN = "fault of one chat, again and again"
    ACCEPTED_THEN_ERROR = "5xx though accepted"
    RESET = "reset before acceptance"
    CUT = "cut after acceptance"
    SLOW = "answer past the read timeout"
    BODY_CUT_SHORT = "body cut short"
    BAD_BODY = "body is no JSON"
    NOT_PROCESSED = "200 but REJECTED or FAILED"
    UNEXPECTED = "redirect or unknown 4xx"
    CHAT_ENDED = "chat ended half-way"
    TOKEN_EXPIRED = "token expired"
    # The server
    REFUSED = "connection refused"
    CONNECT_TIMEOUT = "connect timeout"
    DEAD_KEEP_ALIVE = "dead keep-alive connection"
    ARRIVES_LATE = "request arrives late"
    # EventBridge, SQS and Step Functions
    BUS_FAILS = "PutEvents fails"
    BUS_FAILS_IN_PART = "PutEvents fails in part"
    BUS_TIMES_OUT = "PutEvents accepted, no answer"
    QUEUE_FAILS = "SQS SendMessage fails"
    QUEUE_TIMES_OUT = "SQS SendMessage accepted, no answer"
    VISIBILITY_FAILS = "visibility call fails"
    VISIBILITY_FAILS_IN_PART = "visibility call fails in part"
    TASK_ANSWER_FAILS = "answer of a task fails"
    TASK_ANSWER_TIMES_OUT = "answer of a task accepted, no answer"
    TASK_TIMED_OUT = "task timed out"
    # Lambda
    LOST_ACKNOWLEDGEMENT = "acknowledgement lost"
    DELIVERED_TWICE = "record delivered twice"
    EVENT_TWICE = "event delivered twice"
    CUT_OFF = "invocation cut off"
    CRASH = "invocation crashed"
    INVOCATION_THROTTLED = "invocation throttled"
    POISONED = "invocation died of a message"
    # Producers
    INVALID = "invalid message"
    UNKNOWN_TASK = "task token of no task"
    SENT_AGAIN = "accepted, and sent again by its state machine"
    # Operators
    LETTERS_FAIL = "SQS receive or delete of a letter fails"
    LETTERS_TIME_OUT = "SQS receive or delete of a letter done, no answer"
    OPERATOR_CUT_OFF = "run of an operator cut off"


Rates = dict[Strike, float]
"""The probability of a strike at each occasion for it."""

CALM: Final[Rates] = {}
STORMY: Final[Rates] = {
    Strike.THROTTLED: 0.03,
    Strike.SERVER_ERROR: 0.03,
    Strike.ACCEPTED_THEN_ERROR: 0.02,
    Strike.RESET: 0.02,
    Strike.CUT: 0.02,
    Strike.SLOW: 0.01,
    Strike.BODY_CUT_SHORT: 0.01,
    Strike.BAD_BODY: 0.01,
    Strike.NOT_PROCESSED: 0.005,
    Strike.UNEXPECTED: 0.003,
    Strike.REFUSED: 0.01,
    Strike.CONNECT_TIMEOUT: 0.005,
    Strike.DEAD_KEEP_ALIVE: 0.01,
    Strike.ARRIVES_LATE: 0.004,
    Strike.BUS_FAILS: 0.03,
    Strike.BUS_FAILS_IN_PART: 0.02,
    Strike.BUS_TIMES_OUT: 0.01,
    Strike.QUEUE_FAILS: 0.05,
    Strike.QUEUE_TIMES_OUT: 0.02,
    Strike.VISIBILITY_FAILS: 0.03,
    Strike.VISIBILITY_FAILS_IN_PART: 0.02,
    Strike.TASK_ANSWER_FAILS: 0.1,
    Strike.TASK_ANSWER_TIMES_OUT: 0.03,
    Strike.LOST_ACKNOWLEDGEMENT: 0.005,
    Strike.DELIVERED_TWICE: 0.005,
    Strike.EVENT_TWICE: 0.02,
    Strike.CUT_OFF: 0.005,
    Strike.CRASH: 0.01,
    Strike.INVOCATION_THROTTLED: 0.01,
    Strike.UNKNOWN_TASK: 0.02,
    Strike.SENT_AGAIN: 0.1,
    Strike.LETTERS_FAIL: 0.05,
    Strike.LETTERS_TIME_OUT: 0.03,
    Strike.OPERATOR_CUT_OFF: 0.3,
}

_SERVICE_FAULTS: Final[Mapping[Strike, Callable[[Random], Fault]]] = {
    Strike.THROTTLED: lambda random: Status(
        status=429, retry_after_ms=random.choice([None, 300, 4_000, 90_000])
    ),
    Strike.SERVER_ERROR: lambda random: Status(
        status=random.choice([500, 502, 503, 408]), latency=random.choice([0.0, 3.0])
    ),
    Strike.ACCEPTED_THEN_ERROR: lambda random: AcceptedThenStatus(status=random.choice([500, 503])),
    Strike.RESET: lambda _: ResetBeforeAcceptance(),
    Strike.CUT: lambda _: AcceptedThenCut(),
    Strike.SLOW: lambda random: Latency(latency=random.uniform(4.5, 20)),
    Strike.BODY_CUT_SHORT: lambda _: BodyCutShort(),
    Strike.BAD_BODY: lambda random: BadBody(body=random.choice(['{"Id": "', "", "[]", "<html>"])),
    Strike.NOT_PROCESSED: lambda random: Processing(
        status=random.choice([ProcessingStatus.REJECTED, ProcessingStatus.FAILED])
    ),
    Strike.UNEXPECTED: lambda random: (
        Status(status=302, location="http://elsewhere/")
        if random.random() < 0.5
        else Status(status=random.choice([402, 404, 409]))
    ),
}
FINAL: Final = frozenset({Strike.NOT_PROCESSED, Strike.UNEXPECTED})
"""Strikes that end a message: no try would be better."""

_HOST_OF_MESSAGES: Final = "participant"
_HOST_OF_TASKS: Final = "states"


class Weather:
    """Decides by chance. One generator, so that a seed gives the same weather in the same simulation.

    Attributes:
        counts: Strikes so far.
        ended_by_fault: ClientTokens of messages that a fault of the service itself made impossible.
    """

    def __init__(self, *, time: VirtualTime, random: Random, rates: Rates) -> None:
        self._time = time
        self.random = random
        self.rates = dict(rates)
        self.counts: Counter[Strike] = Counter()
        self.ended_by_fault: set[str] = set()

    def strikes(self, strike: Strike) -> bool:
        """Draw once."""
        rate = self.rates.get(strike, 0.0)
        if rate == 0.0 or self.random.random() >= rate:
            return False
        self.counts[strike] += 1
        return True

    def storm(self, rates: Rates, *, seconds: float) -> None:
        """Change rates for some time. Storms may not overlap in what they change."""
        usual = {strike: self.rates.get(strike, 0.0) for strike in rates}
        self.rates.update(rates)
        self._time.after(seconds, lambda: self.rates.update(usual))

    # The server: `network.Trouble`.

    def connecting(self, host: str) -> str | None:
        if host == _HOST_OF_MESSAGES and self.strikes(Strike.REFUSED):
            return "refused"
        if host == _HOST_OF_MESSAGES and self.strikes(Strike.CONNECT_TIMEOUT):
            return "timeout"
        return None

    def kept_alive_is_dead(self, host: str) -> bool:
        # Calls that answer a task fail with their task known, which nobody knows here
        return host != _HOST_OF_TASKS and self.strikes(Strike.DEAD_KEEP_ALIVE)

    def arrives_late(self, host: str) -> float:
        if host == _HOST_OF_MESSAGES and self.strikes(Strike.ARRIVES_LATE):
            return self.random.uniform(5.5, 40)
        return 0.0


class ServiceFaults(FaultPlan):
    """The faults of the Participant Service, as the weather has them; and what is planned on top."""

    def __init__(self, weather: Weather) -> None:
        super().__init__()
        self._weather = weather

    def take(self, *, contact_id: str | None, client_token: str | None) -> Fault | None:
        weather = self._weather
        if planned := super().take(contact_id=contact_id, client_token=client_token):
            weather.counts[Strike.CHAT_DOWN] += 1
            return planned
        for strike, fault in _SERVICE_FAULTS.items():
            if weather.strikes(strike):
                if strike in FINAL and client_token is not None:
                    weather.ended_by_fault.add(client_token)
                return fault(weather.random)
        return None
