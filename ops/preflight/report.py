"""Print the results in 80 columns. Commands to copy stay on their line."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from rich.text import Text

from ops.stack.printable import printable
from ops.stack.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from ops.preflight.findings import Check
    from ops.preflight.target import Target

_COLUMNS: Final = 80
_NAME: Final = 20
_STYLES: Final = {"ok": "green", "fix": "bold red", "?": "yellow", "-": ""}


def mark(check: Check) -> str:
    """Return "fix" for a finding, "?" for something not checked, "-" if it does not apply, or "ok"."""
    if check.findings:
        return "fix"
    if check.not_checked:
        return "?"
    return "ok" if check.applies else "-"


class PreflightReport:
    def __init__(self, stream: TextIO) -> None:
        self._terminal = Terminal(stream)

    def show(self, target: Target, checks: Sequence[Check]) -> None:
        self._line(f"{target.stack_name} in account {target.account}, {target.region}")
        self._line("")
        cut = [check for check in checks if not self._check(check)]
        for check in cut:
            if check.not_checked:
                self._line("")
                self._paragraph(f"{check.name}: {_reasons(check)}")
        findings = [(check.name, finding) for check in checks for finding in check.findings]
        for number, (name, finding) in enumerate(findings, start=1):
            self._line("")
            self._paragraph(f"{number}. {name}: {finding.problem}")
            for line in finding.fix:
                self._terminal.print_to_paste(f"    {printable(line)}")
        self._line("")
        self._line(_conclusion(target.stage, len(findings), sum(bool(each.not_checked) for each in checks)))

    def _check(self, check: Check) -> bool:
        """Print the line of a check. Return whether all of it was there to read."""
        word, text = mark(check), check.summary
        if check.not_checked:
            text = f"{text}; {_reasons(check)}" if text else _reasons(check)
        line = Text(f"{word:<5}", style=_STYLES[word])
        line.append(f"{check.name:<{_NAME}}", style="")
        line.append(printable(text), style="")
        is_complete = line.cell_len <= _COLUMNS
        line.truncate(_COLUMNS, overflow="ellipsis")
        self._terminal.print(line)
        return is_complete

    def _paragraph(self, text: str) -> None:
        for line in textwrap.wrap(printable(text), _COLUMNS, subsequent_indent="   ", break_on_hyphens=False):
            self._line(line)

    def _line(self, text: str) -> None:
        self._terminal.print_to_paste(printable(text))


def _reasons(check: Check) -> str:
    return f"not checked: {'; '.join(check.not_checked)}"


def _conclusion(stage: str, findings: int, not_checked: int) -> str:
    if findings:
        return f"To fix before make deploy STAGE={stage}: {findings}. Not checked: {not_checked}."
    if not_checked:
        return f"Nothing found, but not everything was checked: {not_checked}."
    return f"Nothing found that would fail at make deploy STAGE={stage}."
