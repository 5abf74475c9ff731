"""What a check found, and how to fix it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class NotCheckedError(Exception):
    """A check could not look. The text says why, and which permission would change that."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that would fail, now or at the first message.

    Attributes:
        problem: Sentences. They may quote a service, so print them escaped.
        fix: Commands to run in this order, or edits of `cdk.json`. `or:` stands before an alternative.
    """

    problem: str
    fix: tuple[str, ...]


@dataclass(slots=True)
class Check:
    """The result of one check.

    Attributes:
        summary: What the account has, or why the check does not matter for this stage.
        applies: Whether the stage needs what was checked.
        not_checked: The parts that could not be checked.
    """

    name: str
    summary: str = ""
    applies: bool = True
    findings: list[Finding] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)

    def found(self, problem: str, *fix: str) -> None:
        self.findings.append(Finding(problem, fix))

    @contextmanager
    def part(self) -> Iterator[None]:
        """Do a part of the check. If it cannot be done, the other parts still are."""
        try:
            yield
        except NotCheckedError as error:
            if str(error) not in self.not_checked:
                self.not_checked.append(str(error))
