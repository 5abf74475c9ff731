"""What is to become of a letter. Nothing here talks to AWS."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from message_sender.delivery import is_expired
from message_sender.errors import DeadlineExceededError, ExpiredError, InvalidRequestError
from message_sender.result import Failed, MessageResult, Rejected

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from message_sender.request import SendMessageRequest
    from ops.dead_letters import DeadLetter

LIFE_OF_A_CONNECTION_TOKEN: Final = timedelta(days=1)
"""Source: Amazon Connect Participant Service API reference, "CreateParticipantConnection"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Which letters are to be tried again.

    Attributes:
        codes: Only letters of these codes; None for all.
        codes_required: Whether letters stay unless their code is named.
        max_age: A letter that has been in its queue for longer is not tried again.
        settle: Whether a letter that has no outcome, and is not tried again, gets it now.
        discard: Whether a letter that has its outcome, and is too old or can never be sent, is deleted.
        leave_maybe_delivered: Whether a letter of which an earlier try may have arrived is not tried again.
    """

    codes: AbstractSet[str] | None
    codes_required: bool
    max_age: timedelta
    settle: bool
    discard: bool = False
    leave_maybe_delivered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrive:
    """Try it again, by the messages queue."""

    message_group: str
    has_dead_token: bool
    """Whether its connection token is certainly older than a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settle:
    """Give it the outcome that is due: publish it, and keep the letter where such letters lie."""

    outcome: Failed | Rejected
    message_group: str | None

    @property
    def reason(self) -> str:
        return f"{self.outcome.error.code}: {self.outcome.error.reason}"

    def result(self, letter: DeadLetter, now: datetime) -> MessageResult:
        return MessageResult(
            outcome=self.outcome,
            origin=letter.origin,
            correlation=letter.parsed.correlation,
            completed_at=now,
            attempts=0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Discard:
    """Delete it: its outcome was published, and it is not tried again."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """Let it lie.

    Attributes:
        outcome_is_due: Whether it has no outcome yet, and would get one if that were asked for.
    """

    reason: str
    outcome_is_due: bool = False


Decision: TypeAlias = Redrive | Settle | Discard | Leave


def decide(letter: DeadLetter, rules: Rules, now: datetime) -> Decision:
    """Say what is to become of a letter. What `CODE` leaves out is left, whatever the other rules say."""
    if rules.codes is not None and letter.code not in rules.codes:
        return Leave(reason="CODE leaves it out")
    if letter.is_truncated:
        return _end_of_a_copy("a part of it is missing: it was too large to be copied", rules)
    request = letter.parsed.request
    if isinstance(request, InvalidRequestError):
        return _end(letter, Settle(outcome=Rejected(request), message_group=letter.message_group), rules)
    group = letter.message_group or letter.parsed.message_group or letter.message_id
    if outcome := _end_of_time(letter, request, rules, now):
        return _end(letter, Settle(outcome=outcome, message_group=group), rules)
    return _try_again(letter, group, rules, now)


def _try_again(
    letter: DeadLetter, message_group: str, rules: Rules, now: datetime
) -> Redrive | Settle | Leave:
    """Say what is to become of a letter that can be tried again."""
    if rules.codes is None and rules.codes_required:
        return Leave(reason="rejected letters are tried again only if CODE names them")
    if letter.origin.maybe_delivered and rules.leave_maybe_delivered:
        if rules.settle and not letter.has_outcome:
            return Settle(outcome=_not_tried_again(), message_group=message_group)
        return Leave(reason="it may have been delivered", outcome_is_due=not letter.has_outcome)
    return Redrive(
        message_group=message_group,
        has_dead_token=now - letter.queued_at > LIFE_OF_A_CONNECTION_TOKEN,
    )


def _end_of_time(
    letter: DeadLetter, request: SendMessageRequest, rules: Rules, now: datetime
) -> Failed | Rejected | None:
    if is_expired(request, now):
        return Rejected(ExpiredError("ExpiresAt is past"))
    if now - letter.queued_at > rules.max_age:
        return _not_tried_again()
    return None


def _not_tried_again() -> Failed:
    return Failed(DeadlineExceededError("It was not sent in time and is not tried again"))


def _end(letter: DeadLetter, settle: Settle, rules: Rules) -> Settle | Discard | Leave:
    if letter.has_outcome:
        too_old = isinstance(settle.outcome, Failed)
        return _end_of_a_copy("it is older than MAX_AGE" if too_old else settle.reason, rules)
    if rules.settle:
        return settle
    return Leave(reason=settle.reason, outcome_is_due=True)


def _end_of_a_copy(reason: str, rules: Rules) -> Discard | Leave:
    """End a letter that has its outcome: nobody misses it."""
    return Discard(reason=reason) if rules.discard else Leave(reason=reason)
