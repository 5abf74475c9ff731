"""Which faults occur, how often, and how many did."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sandbox.participant_service.faults import (
    AcceptedThenCut,
    AcceptedThenStatus,
    BadBody,
    BodyCutShort,
    FaultPlan,
    Latency,
    Processing,
    ResetBeforeAcceptance,
    Status,
)
from sandbox.participant_service.transcript import ProcessingStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from random import Random

    from sandbox.participant_service.faults import Fault as ServiceFault
    from tests.simulation.models.clock import VirtualTime


class Fault(StrEnum):
    """A kind of fault, by the words of the report."""

    # The Participant Service
    THROTTLED = "429"
    QUOTA = "429 over the quota"
    SERVER_ERROR = "5xx"
    CHAT_DOWN = "persistent fault of one chat"
    ACCEPTED_THEN_ERROR = "5xx after acceptance"
    RESET = "connection reset before acceptance"
    CUT = "connection cut after acceptance"
    SLOW = "response after the read timeout"
    BODY_CUT_SHORT = "response body cut short"
    BAD_BODY = "response body is not valid JSON"
    NOT_PROCESSED = "200 with status REJECTED or FAILED"
    UNEXPECTED = "redirect or unknown 4xx"
    CHAT_ENDED = "chat ended during the run"
    TOKEN_EXPIRED = "connection token expired during the run"
    # The network
    REFUSED = "connection refused"
    CONNECT_TIMEOUT = "connect timeout"
    DEAD_KEEP_ALIVE = "dead keep-alive connection"
    ARRIVES_LATE = "request arrives late"
    # EventBridge, KMS, SQS and Step Functions
    BUS_FAILS = "PutEvents fails"
    BUS_FAILS_IN_PART = "PutEvents fails in part"
    BUS_TIMES_OUT = "PutEvents accepted, no response"
    QUEUE_FAILS = "SQS SendMessage fails"
    QUEUE_TIMES_OUT = "SQS SendMessage accepted, no response"
    VISIBILITY_FAILS = "ChangeMessageVisibilityBatch fails"
    VISIBILITY_FAILS_IN_PART = "ChangeMessageVisibilityBatch fails in part"
    KEY_FAILS = "KMS Decrypt fails"
    KEY_UNUSABLE = "KMS key disabled or denied"
    KEY_SLOW = "KMS response slow or after the read timeout"
    TASK_ANSWER_FAILS = "task callback fails"
    TASK_ANSWER_TIMES_OUT = "task callback accepted, no response"
    TASK_TIMED_OUT = "task timed out"
    # Lambda
    LOST_ACKNOWLEDGEMENT = "acknowledgement lost"
    DELIVERED_TWICE = "record delivered twice"
    EVENT_TWICE = "event delivered twice"
    CUT_OFF = "invocation cut off"
    CRASH = "invocation crashed"
    INVOCATION_THROTTLED = "invocation throttled"
    POISONED = "invocation killed by a poison message"
    # Producers
    INVALID = "invalid message"
    UNKNOWN_TASK = "unknown task token"
    SENT_AGAIN = "accepted, then sent again by the state machine"
    # Operators
    DEAD_LETTER_CALL_FAILS = "SQS call for a dead letter fails"
    DEAD_LETTER_CALL_TIMES_OUT = "SQS call for a dead letter accepted, no response"
    OPERATOR_CUT_OFF = "operator run interrupted"


FaultProfile = dict[Fault, float]
"""The probability of each fault, per opportunity."""

NO_FAULTS: Final[FaultProfile] = {}
ALL_FAULTS: Final[FaultProfile] = {
    Fault.THROTTLED: 0.03,
    Fault.SERVER_ERROR: 0.03,
    Fault.ACCEPTED_THEN_ERROR: 0.02,
    Fault.RESET: 0.02,
    Fault.CUT: 0.02,
    Fault.SLOW: 0.01,
    Fault.BODY_CUT_SHORT: 0.01,
    Fault.BAD_BODY: 0.01,
    Fault.NOT_PROCESSED: 0.005,
    Fault.UNEXPECTED: 0.003,
    Fault.REFUSED: 0.01,
    Fault.CONNECT_TIMEOUT: 0.005,
    Fault.DEAD_KEEP_ALIVE: 0.01,
    Fault.ARRIVES_LATE: 0.004,
    Fault.BUS_FAILS: 0.03,
    Fault.BUS_FAILS_IN_PART: 0.02,
    Fault.BUS_TIMES_OUT: 0.01,
    Fault.QUEUE_FAILS: 0.05,
    Fault.QUEUE_TIMES_OUT: 0.02,
    Fault.VISIBILITY_FAILS: 0.03,
    Fault.VISIBILITY_FAILS_IN_PART: 0.02,
    Fault.KEY_FAILS: 0.05,
    Fault.KEY_UNUSABLE: 0.02,
    Fault.KEY_SLOW: 0.03,
    Fault.TASK_ANSWER_FAILS: 0.1,
    Fault.TASK_ANSWER_TIMES_OUT: 0.03,
    Fault.LOST_ACKNOWLEDGEMENT: 0.005,
    Fault.DELIVERED_TWICE: 0.005,
    Fault.EVENT_TWICE: 0.02,
    Fault.CUT_OFF: 0.005,
    Fault.CRASH: 0.01,
    Fault.INVOCATION_THROTTLED: 0.01,
    Fault.UNKNOWN_TASK: 0.02,
    Fault.SENT_AGAIN: 0.1,
    Fault.DEAD_LETTER_CALL_FAILS: 0.05,
    Fault.DEAD_LETTER_CALL_TIMES_OUT: 0.03,
    Fault.OPERATOR_CUT_OFF: 0.3,
}

RARE_FAULTS: Final[FaultProfile] = {
    Fault.BODY_CUT_SHORT: 0.03,
    Fault.BAD_BODY: 0.03,
    Fault.NOT_PROCESSED: 0.03,
    Fault.UNEXPECTED: 0.03,
    Fault.CONNECT_TIMEOUT: 0.1,
    Fault.ARRIVES_LATE: 0.02,
    Fault.BUS_FAILS_IN_PART: 0.05,
    Fault.BUS_TIMES_OUT: 0.03,
    Fault.QUEUE_TIMES_OUT: 0.1,
    Fault.VISIBILITY_FAILS_IN_PART: 0.1,
    Fault.KEY_SLOW: 0.1,
    Fault.KEY_UNUSABLE: 0.1,
    Fault.TASK_ANSWER_TIMES_OUT: 0.5,
    Fault.LOST_ACKNOWLEDGEMENT: 0.02,
    Fault.DELIVERED_TWICE: 0.05,
    Fault.EVENT_TWICE: 0.3,
    Fault.CUT_OFF: 0.01,
    Fault.INVOCATION_THROTTLED: 0.03,
    Fault.UNKNOWN_TASK: 0.15,
    Fault.SENT_AGAIN: 0.3,
    Fault.DEAD_LETTER_CALL_FAILS: 0.25,
    Fault.DEAD_LETTER_CALL_TIMES_OUT: 0.06,
}
"""Higher rates of the faults that seldom meet others."""

_SERVICE_FAULTS: Final[Mapping[Fault, Callable[[Random], ServiceFault]]] = {
    Fault.THROTTLED: lambda random: Status(
        status=429, retry_after_ms=random.choice([None, 300, 4_000, 90_000])
    ),
    Fault.SERVER_ERROR: lambda random: Status(
        status=random.choice([500, 502, 503, 408]), latency=random.choice([0.0, 3.0])
    ),
    Fault.ACCEPTED_THEN_ERROR: lambda random: AcceptedThenStatus(status=random.choice([500, 503])),
    Fault.RESET: lambda _: ResetBeforeAcceptance(),
    Fault.CUT: lambda _: AcceptedThenCut(),
    Fault.SLOW: lambda random: Latency(latency=random.uniform(4.5, 20)),
    Fault.BODY_CUT_SHORT: lambda _: BodyCutShort(),
    Fault.BAD_BODY: lambda random: BadBody(body=random.choice(['{"Id": "', "", "[]", "<html>"])),
    Fault.NOT_PROCESSED: lambda random: Processing(
        status=random.choice([ProcessingStatus.REJECTED, ProcessingStatus.FAILED])
    ),
    Fault.UNEXPECTED: lambda random: (
        Status(status=302, location="http://elsewhere/")
        if random.random() < 0.5
        else Status(status=random.choice([402, 404, 409]))
    ),
}
FINAL: Final = frozenset({Fault.NOT_PROCESSED, Fault.UNEXPECTED})
"""Faults that make a message fail for good: another attempt would not help."""

SEALED_ID: Final = "sealed:"
"""Before a sealed token, which several messages may have."""

_PARTICIPANT_HOST: Final = "participant"
_STEP_FUNCTIONS_HOST: Final = "states"


class FaultInjector:
    """Decides at random which faults occur.

    All faults come from one generator, so a seed gives the same faults in the same simulation.

    Args:
        profile: Only faults that it names can occur.

    Attributes:
        counts: Faults so far.
        ended_by_fault: ClientTokens of messages that a fault of the service has made impossible to send.
        ended_chats: How chats ended, by connection token.
        hits: Faults by what they hit: ClientTokens of messages and of parts, ids of records and events, task
            tokens.
        holders: Returns the ids of the messages with a sealed token that the function handles now.
    """

    def __init__(self, *, time: VirtualTime, random: Random, profile: FaultProfile) -> None:
        self._time = time
        self.random = random
        self.profile = dict(profile)
        self.counts: Counter[Fault] = Counter()
        self.ended_by_fault: set[str] = set()
        self.ended_chats: dict[str, Fault] = {}
        self.hits: defaultdict[str, set[Fault]] = defaultdict(set)
        self.holders: Callable[[str], Iterable[str]] = lambda _: ()

    def occurs(self, fault: Fault, ids: Iterable[str] = ()) -> bool:
        """Draw once. If the fault occurs, count it, and record what it hits.

        Args:
            ids: Read only if the fault occurs.
        """
        rate = self.profile.get(fault, 0.0)
        if rate == 0.0 or self.random.random() >= rate:
            return False
        self.count(fault, ids)
        return True

    def count(self, fault: Fault, ids: Iterable[str] = ()) -> None:
        """Count a fault that has occurred, and record what it hits."""
        self.counts[fault] += 1
        self.hit(fault, ids)

    def hit(self, fault: Fault, ids: Iterable[str]) -> None:
        """Record what a fault hits."""
        for each in ids:
            for found in self.holders(each) if each.startswith(SEALED_ID) else (each,):
                self.hits[found].add(fault)

    def burst(self, profile: FaultProfile, *, seconds: float) -> None:
        """Change some rates for a time. Bursts that change the same rate must not overlap."""
        usual = {fault: self.profile.get(fault, 0.0) for fault in profile}
        self.profile.update(profile)
        self._time.after(seconds, lambda: self.profile.update(usual))

    # The protocol `network.NetworkFaults`

    def connecting(self, host: str, body: bytes) -> str | None:
        if host == _PARTICIPANT_HOST and self.occurs(Fault.REFUSED, ids_in_call(body)):
            return "refused"
        if host == _PARTICIPANT_HOST and self.occurs(Fault.CONNECT_TIMEOUT, ids_in_call(body)):
            return "timeout"
        return None

    def kept_alive_is_dead(self, host: str, body: bytes) -> bool:
        # The invariants count the failed callbacks of each task, and the network does not know the task
        return host != _STEP_FUNCTIONS_HOST and self.occurs(Fault.DEAD_KEEP_ALIVE, ids_in_call(body))

    def arrives_late(self, host: str, body: bytes) -> float:
        if host == _PARTICIPANT_HOST and self.occurs(Fault.ARRIVES_LATE, ids_in_call(body)):
            return self.random.uniform(5.5, 40)
        return 0.0


class ServiceFaults(FaultPlan):
    """The faults of the Participant Service: the planned ones, then those that the injector draws."""

    def __init__(self, injector: FaultInjector) -> None:
        super().__init__()
        self._injector = injector

    def take(self, *, contact_id: str | None, client_token: str | None) -> ServiceFault | None:
        injector = self._injector
        if planned := super().take(contact_id=contact_id, client_token=client_token):
            injector.count(Fault.CHAT_DOWN, [client_token or ""])
            return planned
        for fault, service_fault in _SERVICE_FAULTS.items():
            if injector.occurs(fault, [client_token or ""]):
                if fault in FINAL and client_token is not None:
                    injector.ended_by_fault.add(client_token)
                return service_fault(injector.random)
        return None


def ids_in_call(call: bytes | Mapping[str, Any]) -> Iterator[str]:
    """Yield what a call of any service is about: ids that `FaultInjector.hits` has as its keys.

    A call with several entries is about all of them. A call of the look-up is about none: the message has its
    result.
    """
    parameters: Mapping[str, Any] = json.loads(call) if isinstance(call, bytes) else call
    for entry in parameters.get("Entries", (parameters,)):
        match entry:
            case {"ClientToken": str(token)} | {
                "MessageAttributes": {"ClientToken": {"StringValue": str(token)}}
            }:
                yield token
            case {"Detail": str(detail)} | {"MessageBody": str(detail)}:
                yield from _tokens_in(detail)
            case {"ReceiptHandle": str(receipt)}:
                yield receipt.partition("/")[0]
            case {"CiphertextBlob": str(sealed)}:
                yield f"{SEALED_ID}{sealed}"
            case {"taskToken": str(task_token)}:
                yield task_token


def ids_in_event(event: Mapping[str, Any], *, holding: str = "") -> Iterator[str]:
    """Yield what an invocation is about, by its event of any source.

    Args:
        holding: Only records and requests that hold this text.
    """
    match event:
        case {"Records": records}:
            yield from (record["messageId"] for record in records if holding in record["body"])
        case {"detail": detail, "id": str(event_id)}:
            if holding in detail.get("ConnectionToken", ""):
                yield event_id
        case {"body": str(body)}:
            if holding in body:
                yield from _tokens_in(body)
        case {"ClientToken": str(token)}:
            if holding in event.get("ConnectionToken", ""):
                yield token


def _tokens_in(text: str) -> Iterator[str]:
    """Yield the ClientToken in a request, a result, or the entry of a result that was not published."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return
    match fields:
        case {"ClientToken": str(token)}:
            yield token
        case {"Detail": str(detail)}:
            yield from _tokens_in(detail)
