"""Decide what happens to a dead letter. Nothing here calls AWS."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from message_sender.delivery import is_expired
from message_sender.errors import DeadlineExceededError, ExpiredError, InvalidRequestError
from message_sender.result import Failed, Rejected

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from ops.dead_letters import DeadLetter

CONNECTION_TOKEN_LIFETIME: Final = timedelta(days=1)
"""Source: Amazon Connect Participant Service API reference, "CreateParticipantConnection"."""

_NOT_SENT: Final = Failed(DeadlineExceededError("The message was not sent in time and will not be retried"))


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


class Done(StrEnum):
    """What a run did with a message, or would do in a dry run."""

    PUBLISHED = "publish"
    REDRIVEN = "redrive"
    FINALIZED = "finalize"
    DELETED = "delete"
    KEPT = "keep"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do with a dead letter.

    Attributes:
        done: REDRIVEN: send it again through the messages queue. FINALIZED: publish its outcome, and copy it
            to the queue for messages with that outcome. DELETED: it has its result. KEPT: change nothing.
        outcome: Of a dead letter that has no result and is not redriven.
        has_expired_token: Whether the connection token of a redriven message is certainly older than a day.
    """

    done: Done
    reason: str = ""
    outcome: Rejected | Failed | None = None
    has_expired_token: bool = False

    @property
    def needs_result(self) -> bool:
        """Whether finalizing would publish a result that is missing."""
        return self.done is Done.KEPT and self.outcome is not None


def decide(dead_letter: DeadLetter, redrive_filter: RedriveFilter, now: datetime) -> Decision:
    """Decide what happens to a dead letter. One whose code is not selected is kept in any case."""
    if redrive_filter.codes is not None and dead_letter.code not in redrive_filter.codes:
        return Decision(Done.KEPT, "--code does not name its code")
    delete_or_keep = Done.DELETED if redrive_filter.delete else Done.KEPT
    if dead_letter.is_truncated:
        return Decision(delete_or_keep, "part of the message is missing: it was too large to copy")
    age = now - dead_letter.queued_at
    outcome = _outcome(dead_letter, now, is_too_old=age > redrive_filter.max_age)
    if outcome is None:
        return _redrive_or_keep(dead_letter, redrive_filter, age)
    if dead_letter.has_outcome:
        return Decision(delete_or_keep, "older than --max-age" if outcome is _NOT_SENT else _words(outcome))
    return _finalize_or_keep(redrive_filter, outcome, _words(outcome))


def _outcome(dead_letter: DeadLetter, now: datetime, *, is_too_old: bool) -> Rejected | Failed | None:
    """Return the outcome of a dead letter that is too old or can never be sent."""
    request = dead_letter.parsed.request
    if isinstance(request, InvalidRequestError):
        return Rejected(request)
    if is_expired(request, now):
        return Rejected(ExpiredError("ExpiresAt is past"))
    return _NOT_SENT if is_too_old else None


def _redrive_or_keep(dead_letter: DeadLetter, redrive_filter: RedriveFilter, age: timedelta) -> Decision:
    if redrive_filter.codes is None and redrive_filter.codes_required:
        return Decision(Done.KEPT, "rejected messages are redriven only if --code names their code")
    if not (dead_letter.origin.maybe_delivered and redrive_filter.keep_maybe_delivered):
        return Decision(Done.REDRIVEN, has_expired_token=age > CONNECTION_TOKEN_LIFETIME)
    reason = "it may have been delivered"
    if dead_letter.has_outcome:
        return Decision(Done.KEPT, reason)
    return _finalize_or_keep(redrive_filter, _NOT_SENT, reason)


def _finalize_or_keep(redrive_filter: RedriveFilter, outcome: Rejected | Failed, reason: str) -> Decision:
    if redrive_filter.finalize:
        return Decision(Done.FINALIZED, _words(outcome), outcome)
    return Decision(Done.KEPT, reason, outcome)


def _words(outcome: Rejected | Failed) -> str:
    return f"{outcome.error.code}: {outcome.error.reason}"
