"""Planned faults: which SendMessage requests go wrong, and how."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar

from sandbox.participant_service.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.participant_service.transcript import ProcessingStatus


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to one request. `kind` is its name in a control call.

    Args:
        latency: seconds until the answer or the cut. The message is accepted (if the fault accepts it)
            before this delay, even for a client that stops waiting.
    """

    kind: ClassVar[str]
    latency: float = 0.0


class Latency(Fault):
    """The request succeeds, with a delay."""

    kind = "latency"


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

    kind = "status"
    status: int
    error_type: str | None = None
    retry_after_ms: int | None = None
    retry_after: int | None = None
    location: str | None = None

    def __post_init__(self) -> None:
        _check_status(self.status)


class ResetBeforeAcceptance(Fault):
    """The message is not accepted. The connection is reset."""

    kind = "reset_before_acceptance"


class AcceptedThenCut(Fault):
    """The message is accepted. The connection is closed without an answer."""

    kind = "accepted_then_cut"


@dataclass(frozen=True, kw_only=True)
class AcceptedThenStatus(Fault):
    """The message is accepted. The answer is an error with this status."""

    kind = "accepted_then_status"
    status: int = 500

    def __post_init__(self) -> None:
        _check_status(self.status)


class BodyCutShort(Fault):
    """The message is accepted. The connection is closed in the middle of the answer's body."""

    kind = "body_cut_short"


@dataclass(frozen=True, kw_only=True)
class BadBody(Fault):
    """The message is accepted. The answer is a 200 with this body, which by default is not valid JSON."""

    kind = "bad_body"
    body: str = '{"Id": "'


@dataclass(frozen=True, kw_only=True)
class Processing(Fault):
    """The answer is a 200 with this processing status. REJECTED and FAILED reach no transcript."""

    kind = "processing_status"
    status: ProcessingStatus


FAULTS: Mapping[str, type[Fault]] = {fault.kind: fault for fault in Fault.__subclasses__()}


@dataclass(slots=True, kw_only=True)
class _PlannedFault:
    fault: Fault
    contact_id: str | None
    client_token: str | None
    times_left: int | None
    probability: float
    random: random.Random = field(repr=False)

    def applies_to(self, contact_id: str | None, client_token: str | None) -> bool:
        if self.contact_id not in {None, contact_id} or self.client_token not in {None, client_token}:
            return False
        return self.probability >= 1.0 or self.random.random() < self.probability


class FaultPlan:
    """Faults for future requests, in the order in which they were added. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[_PlannedFault] = []

    def add(
        self,
        fault: Fault,
        *,
        contact_id: str | None = None,
        client_token: str | None = None,
        times: int | None = 1,
        probability: float = 1.0,
        seed: int = 0,
    ) -> None:
        """Plan a fault.

        Args:
            contact_id: applies only to requests of this chat.
            client_token: applies only to requests with this ClientToken.
            times: how often it applies; None means until it is cleared.
            probability: of applying to a request that matches. Each fault has its own random generator.
            seed: of that generator.
        """
        if times is not None and times < 1:
            raise ValidationError("times must be at least 1")
        planned = _PlannedFault(
            fault=fault,
            contact_id=contact_id,
            client_token=client_token,
            times_left=times,
            probability=probability,
            random=random.Random(seed),  # noqa: S311  # a repeatable choice, not a secret
        )
        with self._lock:
            self._planned.append(planned)

    def take(self, *, contact_id: str | None, client_token: str | None) -> Fault | None:
        """Return the first fault that applies to a request, and count it as used."""
        with self._lock:
            for planned in self._planned:
                if planned.applies_to(contact_id, client_token):
                    if planned.times_left is not None:
                        planned.times_left -= 1
                        if planned.times_left == 0:
                            self._planned.remove(planned)
                    return planned.fault
        return None

    def clear(self) -> None:
        with self._lock:
            self._planned.clear()


def _check_status(status: int) -> None:
    if status not in range(300, 600) or status == HTTPStatus.NOT_MODIFIED:
        raise ValidationError("status must be between 300 and 599, and not 304")
