"""Decide what happens to a dead letter. Nothing here calls AWS."""

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

    from ops.dead_letters import DeadLetter

CONNECTION_TOKEN_LIFETIME: Final = timedelta(days=1)
"""Source: Amazon Connect Participant Service API reference, "CreateParticipantConnection"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedriveFilter:
    """Select the dead letters to redrive, and say what happens to the others.

    Attributes:
        codes: Touch only dead letters with these codes. None selects every code.
        codes_required: Redrive nothing unless `codes` names its code.
        max_age: Redrive no dead letter that has been in its queue for longer.
        finalize: Publish the result of each dead letter that has none and is not redriven.
        delete: Delete each dead letter that has its result and is too old, or can never be sent.
        keep_maybe_delivered: Redrive no dead letter that an earlier attempt may have delivered.
    """

    codes: AbstractSet[str] | None = None
    codes_required: bool = False
    max_age: timedelta = timedelta(days=1)
    finalize: bool = False
    delete: bool = False
    keep_maybe_delivered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrive:
    """Send it again through the messages queue.

    Attributes:
        has_expired_token: Whether its connection token is certainly older than a day.
    """

    message_group: str
    has_expired_token: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Finalize:
    """Publish its result, and keep a copy in the queue for messages with that result."""

    outcome: Failed | Rejected
    message_group: str | None

    @property
    def reason(self) -> str:
        return f"{self.outcome.error.code}: {self.outcome.error.reason}"

    def result(self, dead_letter: DeadLetter, now: datetime) -> MessageResult:
        return MessageResult(
            outcome=self.outcome,
            origin=dead_letter.origin,
            correlation=dead_letter.parsed.correlation,
            completed_at=now,
            attempts=0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Delete it: its result was published, and it will not be sent."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """Change nothing.

    Attributes:
        needs_result: Whether it has no result yet, and finalizing would publish one.
    """

    reason: str
    needs_result: bool = False


Decision: TypeAlias = Redrive | Finalize | Delete | Keep


def decide(dead_letter: DeadLetter, redrive_filter: RedriveFilter, now: datetime) -> Decision:
    """Decide what happens to a dead letter. One whose code is not selected is kept in any case."""
    if redrive_filter.codes is not None and dead_letter.code not in redrive_filter.codes:
        return Keep(reason="--code does not name its code")
    if dead_letter.is_truncated:
        return _delete_or_keep("part of the message is missing: it was too large to copy", redrive_filter)
    group = dead_letter.message_group or dead_letter.parsed.message_group or dead_letter.message_id
    if (end := _end(dead_letter, group, redrive_filter.max_age, now)) is None:
        return _redrive_or_keep(dead_letter, group, redrive_filter, now)
    if dead_letter.has_outcome:
        is_too_old = isinstance(end.outcome, Failed)
        return _delete_or_keep("older than --max-age" if is_too_old else end.reason, redrive_filter)
    return end if redrive_filter.finalize else Keep(reason=end.reason, needs_result=True)


def _end(dead_letter: DeadLetter, group: str, max_age: timedelta, now: datetime) -> Finalize | None:
    """Return the result of a dead letter that is too old or can never be sent."""
    request = dead_letter.parsed.request
    if isinstance(request, InvalidRequestError):
        return Finalize(outcome=Rejected(request), message_group=dead_letter.message_group)
    if is_expired(request, now):
        return Finalize(outcome=Rejected(ExpiredError("ExpiresAt is past")), message_group=group)
    return _not_sent(group) if now - dead_letter.queued_at > max_age else None


def _redrive_or_keep(
    dead_letter: DeadLetter, group: str, redrive_filter: RedriveFilter, now: datetime
) -> Redrive | Finalize | Keep:
    if redrive_filter.codes is None and redrive_filter.codes_required:
        return Keep(reason="rejected messages are redriven only if --code names their code")
    if dead_letter.origin.maybe_delivered and redrive_filter.keep_maybe_delivered:
        if redrive_filter.finalize and not dead_letter.has_outcome:
            return _not_sent(group)
        return Keep(reason="it may have been delivered", needs_result=not dead_letter.has_outcome)
    return Redrive(
        message_group=group, has_expired_token=now - dead_letter.queued_at > CONNECTION_TOKEN_LIFETIME
    )


def _not_sent(group: str) -> Finalize:
    error = DeadlineExceededError("The message was not sent in time and will not be retried")
    return Finalize(outcome=Failed(error), message_group=group)


def _delete_or_keep(reason: str, redrive_filter: RedriveFilter) -> Delete | Keep:
    return Delete(reason=reason) if redrive_filter.delete else Keep(reason=reason)
