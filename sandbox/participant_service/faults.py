"""Which SendMessage requests go wrong, and how: planned faults, and a limit on requests per second."""

from __future__ import annotations

import inspect
import random
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict, Unpack

from sandbox.participant_service.transcript import ProcessingStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Ending(Enum):
    """How the connection ends."""

    KEPT_OPEN = "the whole answer is sent"
    BODY_CUT_SHORT = "closed after half of the body"
    CLOSED = "closed before the answer"
    RESET = "reset before the answer"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A change of one request's answer. Each subclass is a kind of fault.

    Args:
        latency: seconds until the answer or the cut. The message is accepted (if the fault accepts it)
            before this delay, even for a client that stops waiting.
    """

    accepts: ClassVar[bool] = True
    ending: ClassVar[Ending] = Ending.KEPT_OPEN
    latency: float = 0.0


class Latency(Fault):
    """The request succeeds, with a delay."""


@dataclass(frozen=True, kw_only=True)
class Status(Fault):
    """The message is not accepted. The answer has this status.

    Args:
        status: 300 to 599 except 304, which has no body.
        error_type: the exception's name. None takes the one that the model has for the status.
        retry_after_ms: for the header `x-amz-retry-after`.
        retry_after: seconds, for the header `Retry-After`.
        location: for a redirect.
    """

    accepts = False
    status: int
    error_type: str | None = None
    retry_after_ms: int | None = None
    retry_after: int | None = None
    location: str | None = None

    def __post_init__(self) -> None:
        if self.status not in range(300, 600) or self.status == HTTPStatus.NOT_MODIFIED:
            raise ValueError("status must be between 300 and 599, and not 304")


@dataclass(frozen=True, kw_only=True)
class AcceptedThenStatus(Status):
    """The message is accepted. The answer is an error with this status."""

    accepts = True
    status: int = 500


class ResetBeforeAcceptance(Fault):
    """The message is not accepted. The connection is reset."""

    accepts = False
    ending = Ending.RESET


class AcceptedThenCut(Fault):
    """The message is accepted. The connection is closed without an answer."""

    ending = Ending.CLOSED


class BodyCutShort(Fault):
    """The message is accepted. The connection is closed in the middle of the answer's body."""

    ending = Ending.BODY_CUT_SHORT


@dataclass(frozen=True, kw_only=True)
class BadBody(Fault):
    """The message is accepted. The answer is a 200 with this body, which by default is not valid JSON."""

    body: str = '{"Id": "'


@dataclass(frozen=True, kw_only=True)
class Processing(Fault):
    """The answer is a 200 with this processing status. REJECTED and FAILED reach no transcript."""

    status: ProcessingStatus

    def __post_init__(self) -> None:
        if self.status not in {*ProcessingStatus}:
            raise ValueError(f"status must be one of {', '.join(ProcessingStatus)}")


_KINDS: Mapping[str, Callable[..., Fault]] = {
    kind.__name__: kind for kind in (*Fault.__subclasses__(), AcceptedThenStatus)
}


def fault_from(document: Mapping[str, Any]) -> Fault:
    """Read a fault from JSON: its fields, and the name of its class as `kind`."""
    if not isinstance(document, dict):
        raise ValueError("fault must be an object")  # noqa: TRY004  # of JSON, not of Python
    fields = {name: value for name, value in document.items() if name != "kind"}
    kind = document.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ValueError(f"kind must be one of {', '.join(sorted(_KINDS))}")
    check_arguments(_KINDS[kind], fields)
    return _KINDS[kind](**fields)


_TYPES: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "float": ("a number", (int, float)),
    "int": ("a whole number", (int,)),
    "str": ("a text", (str,)),
    "bool": ("true or false", (bool,)),
    "None": ("null", (type(None),)),
}


def check_arguments(call: Callable[..., object], arguments: Mapping[str, object]) -> None:
    """Check the names of JSON members against a signature, and their types if these are simple.

    Raises:
        ValueError: Its text names the member and the rule.
    """
    parameters = dict(inspect.signature(call).parameters)
    others = [name for name, each in parameters.items() if each.kind is each.VAR_KEYWORD]
    for name in others:
        del parameters[name]
    if not others and (unknown := arguments.keys() - parameters.keys()):
        known = f"known: {', '.join(parameters)}" if parameters else "it takes none"
        raise ValueError(f"{', '.join(sorted(unknown))} is unknown ({known})")
    for name, parameter in parameters.items():
        if name not in arguments:
            if parameter.default is parameter.empty:
                raise ValueError(f"{name} is missing")
            continue
        types = str(parameter.annotation).split(" | ")
        value = arguments[name]
        fits = any(
            isinstance(value, _TYPES[each][1]) and (each == "bool" or not isinstance(value, bool))
            for each in types
            if each in _TYPES
        )
        if not fits and _TYPES.keys() >= {*types}:
            raise ValueError(f"{name} must be {' or '.join(_TYPES[each][0] for each in types)}")


class Scope(TypedDict, total=False):
    """Which requests a fault applies to.

    Attributes:
        contact_id: only requests of this chat.
        client_token: only requests with this ClientToken.
        times: how often; None means until it is cleared. By default once.
        probability: of applying to a request that matches. Each fault has its own random generator.
        seed: of that generator.
    """

    contact_id: str | None
    client_token: str | None
    times: int | None
    probability: float
    seed: int


@dataclass(slots=True, kw_only=True)
class _PlannedFault:
    fault: Fault
    contact_id: str | None = None
    client_token: str | None = None
    times: int | None = 1
    probability: float = 1.0
    seed: int = 0
    random: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.times is not None and self.times < 1:
            raise ValueError("times must be at least 1")
        if not 0 <= self.probability <= 1:
            raise ValueError("probability must be between 0 and 1")
        self.random = random.Random(self.seed)  # noqa: S311  # a repeatable choice, not a secret

    def applies_to(self, contact_id: str | None, client_token: str | None) -> bool:
        if self.contact_id not in {None, contact_id} or self.client_token not in {None, client_token}:
            return False
        return self.probability >= 1.0 or self.random.random() < self.probability


class FaultPlan:
    """Faults for future requests, in the order in which they were added."""

    def __init__(self) -> None:
        self._planned: list[_PlannedFault] = []

    def add(self, fault: Fault, **scope: Unpack[Scope]) -> None:
        """Plan a fault.

        Raises:
            ValueError: The scope is not valid.
        """
        check_arguments(_PlannedFault, {"fault": fault, **scope})
        self._planned.append(_PlannedFault(fault=fault, **scope))

    def take(self, *, contact_id: str | None, client_token: str | None) -> Fault | None:
        """Return the first fault that applies to a request, and count it as used."""
        for planned in self._planned:
            if planned.applies_to(contact_id, client_token):
                if planned.times is not None:
                    planned.times -= 1
                if planned.times == 0:
                    self._planned.remove(planned)
                return planned.fault
        return None

    def clear(self) -> None:
        self._planned.clear()


class Throttle:
    """A token bucket for requests per second. It allows every request until a rate is set."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rate: float | None = None
        self._burst = self._tokens = self._filled_at = 0.0

    def set(self, requests_per_second: float, *, burst: float) -> None:
        """Start with a full bucket. The real limits of SendMessage are 10 requests a second, burst 15."""
        self._tokens, self._filled_at = burst, self._clock()
        self._rate, self._burst = requests_per_second, burst

    def off(self) -> None:
        self._rate = None

    def allows(self) -> bool:
        """Take a token for one request. Return False if there is none."""
        if self._rate is None:
            return True
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
