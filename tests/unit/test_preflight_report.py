"""What preflight prints."""

from __future__ import annotations

import io

from ops.preflight.findings import Check, Finding
from ops.preflight.report import PreflightReport
from ops.preflight.target import Stages, Target
from tests.support.recorded_account import ACCOUNT, CALLER, REGION
from tests.support.stage_options import stage_options

HOSTILE = "\x1b[2J\x9b\u202e\u2028\r\n"
SHOWN = r"\x1b[2J\x9b\u202e\u2028\r\n"

COMMAND = f"aws sns set-topic-attributes --attribute-value {'x' * 100}"


class NarrowTerminal(io.StringIO):
    """A terminal of 80 columns."""

    def isatty(self) -> bool:
        return True


def printed(*checks: Check, stream: io.StringIO | None = None) -> str:
    stream = stream or io.StringIO()
    stages = Stages(stage="prod", options=stage_options(), others={}, undeployable=(), qualifier="hnb659fds")
    target = Target(stages=stages, account=ACCOUNT, caller_arn=CALLER, region=REGION)
    PreflightReport(stream).show(target, checks)
    return stream.getvalue()


def test_each_check_is_a_line_with_its_mark() -> None:
    output = printed(
        Check("stack", "does not exist yet"),
        Check("VPC", "none", applies=False),
        Check("alarm topic", not_checked=["needs sns:GetTopicAttributes"]),
        Check("names", "taken: 1", not_checked=["needs kms:ListAliases"], findings=[Finding("It is.", ())]),
    )

    assert output.splitlines()[:6] == [
        f"ConnectMessageSender-prod in account {ACCOUNT}, {REGION}",
        "",
        "ok   stack               does not exist yet",
        "-    VPC                 none",
        "?    alarm topic         not checked: needs sns:GetTopicAttributes",
        "fix  names               taken: 1; not checked: needs kms:ListAliases",
    ]


def test_findings_follow_with_their_fix_on_lines_to_copy() -> None:
    output = printed(
        Check("stack", "x", findings=[Finding("One " * 30, (COMMAND, "or:", "cdk.json: a: 1"))]),
        Check("names", "y", findings=[Finding("Two.", ())]),
    )

    details = output.partition("\n\n")[2].partition("\n\n")[2].splitlines()
    assert details[0].startswith("1. stack: One One")
    assert details[1].startswith("   One")
    assert details[2:7] == [f"    {COMMAND}", "    or:", "    cdk.json: a: 1", "", "2. names: Two."]
    assert details[-1] == "To fix before make deploy STAGE=prod: 2. Not checked: 0."


def test_everything_but_commands_fits_80_columns() -> None:
    check = Check(
        "SendMessage quota",
        "a long summary " * 8,
        not_checked=["a reason " * 9],
        findings=[Finding("problem " * 40, (COMMAND,))],
    )

    for stream in (io.StringIO(), NarrowTerminal()):
        lines = printed(check, stream=stream).splitlines()
        assert [line for line in lines if len(line) > 80 and COMMAND not in line and "\x1b" not in line] == []
        assert [line.strip() for line in lines if "aws" in line] == [COMMAND]


def test_line_that_is_cut_has_its_reasons_below() -> None:
    reasons = ["needs kms:DescribeKey", "needs kms:GetKeyPolicy", "needs kms:ListAliases"]

    lines = printed(
        Check("alarm topic", "alarms", not_checked=reasons), Check("names", "y" * 90)
    ).splitlines()

    assert lines[2].startswith("?    alarm topic         alarms; not checked: needs kms:Desc")
    assert lines[2].endswith("…")
    assert lines[3].endswith("yyy…")
    assert lines[5:7] == [
        "alarm topic: not checked: needs kms:DescribeKey; needs kms:GetKeyPolicy; needs",
        "   kms:ListAliases",
    ]


def test_last_line_says_whether_everything_was_checked() -> None:
    fine = printed(Check("stack", "x"))
    unknown = printed(Check("stack", not_checked=["needs a permission"]))

    assert fine.endswith("\nNothing found that would fail at make deploy STAGE=prod.\n")
    assert unknown.endswith("\nNothing found, but not everything was checked: 1.\n")


def test_text_of_services_is_escaped() -> None:
    check = Check(
        "stack",
        f"a{HOSTILE}",
        not_checked=[f"b{HOSTILE}"],
        findings=[Finding(f"c{HOSTILE}", (f"d{HOSTILE}",))],
    )

    output = printed(check)

    assert not set(output.replace("\n", "")) & set(HOSTILE) - set("[2J")
    for label in "abcd":
        assert f"{label}{SHOWN}" in output
