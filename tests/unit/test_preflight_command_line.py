"""The arguments of `python -m ops preflight` and `prune`, and how they end."""

from __future__ import annotations

import pytest

from ops import __main__ as program
from ops.__main__ import parse
from ops.preflight.findings import Check, Finding
from ops.preflight.target import Target, read_stages
from tests.support.recorded_account import ACCOUNT, CALLER, REGION, RecordedAccount, Refusal


def test_arguments_have_their_defaults() -> None:
    assert vars(parse(["preflight"], {})) == {
        "command": "preflight",
        "stage": "dev",
        "send_quota": None,
        "deployer": None,
    }
    assert vars(parse(["prune"], {})) == {
        "command": "prune",
        "sender": None,
        "stage": "dev",
        "keep": 5,
        "apply": False,
    }


def test_every_flag_counts() -> None:
    arguments = ["preflight", "--stage", "prod", "--send-quota", "40", "--deployer", "arn:aws:iam::1:role/x"]
    options = parse(arguments, {})
    assert (options.stage, options.send_quota, options.deployer) == ("prod", 40, "arn:aws:iam::1:role/x")
    options = parse(["prune", "--stage", "prod", "--keep", "1", "--apply"], {})
    assert (options.stage, options.keep, options.apply) == ("prod", 1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["prune", "--keep", "0"],
        ["prune", "--keep=-1"],
        ["prune", "--keep", "all"],
        ["prune", "--apply=no"],
        ["preflight", "--send-quota", "0"],
        ["preflight", "--send-quota", "1.5"],
        ["preflight", "--apply"],
        ["preflight", "--stage", "a b"],
    ],
)
def test_wrong_argument_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        parse(arguments, {})

    assert raised.value.code == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("command", ["preflight", "prune"])
def test_help_fits_a_terminal_of_80_columns(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    with pytest.raises(SystemExit):
        parse([command, "--help"], {})

    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize(
    ("check", "code"),
    [
        (Check("stack", "fine"), 0),
        (Check("VPC", "none", applies=False), 0),
        (Check("stack", findings=[Finding("problem", ())]), 1),
        (Check("stack", not_checked=["needs a permission"]), 0),
    ],
)
def test_exit_code_says_whether_there_is_something_to_fix(
    check: Check, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = Target(stages=read_stages("dev"), account=ACCOUNT, caller_arn=CALLER, region=REGION)
    monkeypatch.setattr(program, "open_session", lambda: None)
    monkeypatch.setattr(program, "preflight", lambda *_, **__: (target, [Check("credentials"), check]))

    assert program.main(["preflight"]) == code
    assert f"ConnectMessageSender-dev in account {ACCOUNT}, {REGION}\n" in capsys.readouterr().out


def test_refused_credentials_and_invalid_options_end_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("AWS_REGION", "AMAZON_REGION", "AWS_DEFAULT_REGION", "AMAZON_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    account = RecordedAccount({("sts", "GetCallerIdentity"): Refusal("ExpiredToken", 403)})
    monkeypatch.setattr(program, "open_session", lambda: account)

    assert program.main(["preflight"]) == 2
    assert (
        "Nothing can be checked in eu-central-1. GetCallerIdentity: ExpiredToken." in capsys.readouterr().err
    )
    assert program.main(["preflight", "--stage", "staging"]) == 2
    assert "cdk.json: unknown stage 'staging'; accepted: dev, prod" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["preflight", "prune"])
def test_stage_without_a_stack_or_options_changes_nothing(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account = RecordedAccount({("cloudformation", "DescribeStacks"): Refusal("ValidationError")})
    monkeypatch.setattr(program, "open_session", lambda: account)

    assert program.main([command, "--stage", "staging"]) == 2
    assert capsys.readouterr().out == ""
