"""What a command is to do: its variables, read once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, Self

from infra.stage import stack_name
from ops.dead_letters import DeadLetterQueue
from ops.redrive_policy import Rules

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}
_AGE: Final = re.compile(r"([0-9]{1,4})([mhd])")


class SettingsError(Exception):
    """A variable is wrong or missing. The text says which, and the line that mends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedriveSettings:
    stage: str
    queue: DeadLetterQueue
    rules: Rules
    dry_run: bool

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the variables of `make redrive`; an empty one counts as none.

        Raises:
            SettingsError: One is wrong or missing.
        """
        variables = {name: value for name, value in environ.items() if value}
        settings = cls(
            stage=_stage(variables),
            queue=_queue(variables.get("QUEUE", DeadLetterQueue.DEAD_LETTER)),
            rules=Rules(
                codes=_codes(variables["CODE"]) if "CODE" in variables else None,
                codes_required=variables.get("QUEUE") == DeadLetterQueue.REJECTED,
                max_age=_age(variables.get("MAX_AGE", "24h")),
                settle=_yes_or_no(variables, "SETTLE", default="no"),
                discard=_yes_or_no(variables, "DISCARD", default="no"),
                leave_maybe_delivered=_either(variables, "MAYBE_DELIVERED", ("leave", "try"), default="try")
                == "leave",
            ),
            dry_run=_yes_or_no(variables, "DRY_RUN", default="yes"),
        )
        rules = settings.rules
        if rules.codes_required and rules.codes is None and not rules.discard and not settings.dry_run:
            raise SettingsError(
                "Rejected letters cannot be sent as they are. Name the code of those that can be by now:\n"
                "    make redrive QUEUE=rejected CODE=ServiceValidation DRY_RUN=no"
            )
        return settings


@dataclass(frozen=True, slots=True, kw_only=True)
class RepublishSettings:
    stage: str
    dry_run: bool

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the variables of `make republish`; an empty one counts as none.

        Raises:
            SettingsError: One is wrong.
        """
        variables = {name: value for name, value in environ.items() if value}
        return cls(stage=_stage(variables), dry_run=_yes_or_no(variables, "DRY_RUN", default="yes"))


def _stage(variables: Mapping[str, str]) -> str:
    stage = variables.get("STAGE", "dev")
    try:
        stack_name(stage)
    except ValueError as error:
        raise SettingsError(f"STAGE is {stage!r}; {error}:\n    STAGE=dev") from None
    return stage


def _queue(value: str) -> DeadLetterQueue:
    try:
        return DeadLetterQueue(value)
    except ValueError:
        queues = "|".join(DeadLetterQueue)
        raise SettingsError(f"QUEUE is {value!r}. It can be:\n    make redrive QUEUE={queues}") from None


def _codes(value: str) -> frozenset[str]:
    codes = frozenset(code.strip() for code in value.split(",") if code.strip())
    if not codes:
        raise SettingsError(
            "CODE names none. It is a list:\n    make redrive CODE=Throttled,ServiceUnavailable"
        )
    return codes


def _age(value: str) -> timedelta:
    if (match := _AGE.fullmatch(value)) is None:
        raise SettingsError(
            f"MAX_AGE is {value!r}. It is a number of minutes, hours or days:\n    make redrive MAX_AGE=90m"
        )
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _yes_or_no(variables: Mapping[str, str], name: str, *, default: str) -> bool:
    return _either(variables, name, ("yes", "no"), default=default) == "yes"


def _either(variables: Mapping[str, str], name: str, values: tuple[str, str], *, default: str) -> str:
    value = variables.get(name, default)
    if value not in values:
        raise SettingsError(f"{name} is {value!r}. It is {values[0]} or {values[1]}:\n    {name}={values[0]}")
    return value
