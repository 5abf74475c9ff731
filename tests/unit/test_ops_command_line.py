"""The arguments of `python -m ops`, and how every command ends."""

from __future__ import annotations

import io
import re
import shlex
import signal
from argparse import Namespace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from infra.outputs import OutputsError
from infra.producer import EventSource, NotOfferedError, ProducerError
from message_sender.errors import AwsCallError
from ops import __main__ as program
from ops.__main__ import parse
from ops.aws import CannotRunError
from ops.redrive import RedriveFilter
from ops.smoke.chat import NewChat
from tests.support.recorded_account import RecordedAccount, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

NEW_CHAT = ["--instance", "instance-1", "--flow", "flow-1"]
SEAL = ["seal", "--contact-id", "c-1"]
SENDER_COMMANDS = [["redrive"], ["smoke", *NEW_CHAT], ["prune"], SEAL]
COMMANDS = [*SENDER_COMMANDS, ["preflight"]]


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str], **environ: str) -> str:
    """Return what is printed to standard error for wrong arguments."""
    with pytest.raises(SystemExit) as raised:
        parse(arguments, environ)

    assert raised.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    # As one line: from Python 3.14, argparse wraps and colours by the terminal
    return " ".join(printed.err.split())


def test_redrive_is_a_dry_run_for_the_dead_letters_of_a_day_by_default() -> None:
    options = parse(["redrive"], {})

    assert (options.stage, options.queue, options.apply) == ("dev", "dead-letter", False)
    assert options.redrive_filter == RedriveFilter(
        codes=None, codes_required=False, max_age=timedelta(days=1), finalize=False
    )


def test_every_flag_of_redrive_counts() -> None:
    options = parse(
        [
            *("redrive", "rejected", "--stage", "prod", "--code", "AccessDenied"),
            *("--code", "ServiceValidation", "--max-age", "90m", "--keep-maybe-delivered", "--finalize"),
            *("--delete", "--apply"),
        ],
        {},
    )

    assert (options.stage, options.queue, options.apply) == ("prod", "rejected", True)
    assert options.redrive_filter == RedriveFilter(
        codes=frozenset({"AccessDenied", "ServiceValidation"}),
        codes_required=True,
        max_age=timedelta(minutes=90),
        finalize=True,
        delete=True,
        keep_maybe_delivered=True,
    )


@pytest.mark.parametrize(
    ("text", "age"), [("0m", timedelta()), ("2h", timedelta(hours=2)), ("3d", timedelta(days=3))]
)
def test_age_is_a_number_and_its_unit(text: str, age: timedelta) -> None:
    assert parse(["redrive", "--max-age", text], {}).redrive_filter.max_age == age


def test_rejected_messages_can_be_deleted_without_a_code() -> None:
    options = parse(["redrive", "rejected", "--delete", "--apply"], {})

    assert options.redrive_filter.delete
    assert options.redrive_filter.codes is None


@pytest.mark.parametrize("environ", [{}, {"CONNECTION_TOKEN": ""}])
def test_smoke_starts_a_chat_for_the_stack_of_stage_dev_by_default(environ: dict[str, str]) -> None:
    options = parse(["smoke", *NEW_CHAT], environ)

    assert options == Namespace(
        command="smoke",
        stage="dev",
        sender=None,
        instance="instance-1",
        flow="flow-1",
        chat=NewChat(instance_id="instance-1", contact_flow_id="flow-1"),
        connect_region=None,
        source=(),
        api_url=None,
        long=False,
    )


def test_every_flag_of_smoke_counts() -> None:
    options = parse(
        [
            *("smoke", "--connect-region", "eu-west-2", "--stage", "prod", "--source", "api-sync"),
            *("--source", "queue", "--source", "queue", "--api-url", "https://api.example.com", "--long"),
        ],
        {"CONNECTION_TOKEN": "secret"},
    )

    assert (options.stage, options.connect_region) == ("prod", "eu-west-2")
    assert options.source == (EventSource.API_SYNC, EventSource.QUEUE)
    assert (options.api_url, options.long) == ("https://api.example.com", True)
    assert options.chat.reveal() == "secret"
    assert "secret" not in repr(options)


@pytest.mark.parametrize("stage", ["feature/abc", "a" * 46, "-a", "$(touch x)", "a b", "٣", ""])
@pytest.mark.parametrize("command", COMMANDS)
def test_stage_that_no_stack_can_have_is_refused(
    command: list[str], stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused([*command, f"--stage={stage}"], capsys)

    assert f"argument --stage: {stage!r}: the name of a stage has 1 to 45 letters, digits" in error


@pytest.mark.parametrize("name", ["a/b", "a" * 67, "-a", "$(touch x)", "a b", ""])
@pytest.mark.parametrize("command", SENDER_COMMANDS)
def test_name_that_no_sender_can_have_is_refused(
    command: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused([*command, f"--sender={name}"], capsys)

    assert f"argument --sender: {name!r}: the name of a sender has 1 to 66 letters, digits" in error


@pytest.mark.parametrize("command", SENDER_COMMANDS)
def test_a_command_is_for_a_stage_or_for_a_sender(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert parse([*command, "--sender", "a" * 66], {}).sender == "a" * 66
    error = refused([*command, "--sender", "chat", "--stage", "prod"], capsys)

    assert "argument --stage: not allowed with argument --sender" in error


def test_preflight_is_for_a_stage(capsys: pytest.CaptureFixture[str]) -> None:
    assert "unrecognized arguments: --sender" in refused(["preflight", "--sender", "chat"], capsys)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["deliver"], "argument COMMAND: invalid choice: 'deliver'"),
        (["redrive", "messages"], "invalid choice: 'messages' (choose from"),
        (["redrive", "--code", "Throttled", "Expired"], "invalid choice: 'Expired' (choose from"),
        (["redrive", "--max-age", "2"], "argument --max-age: '2' is not a number of minutes, hours or days"),
        (["redrive", "--max-age=-1h"], "argument --max-age: '-1h' is not a number of minutes, hours or days"),
        (["redrive", "--max-age", ""], "argument --max-age: '' is not a number of minutes, hours or days"),
        (["redrive", "--code", "Throttled,Expired"], "argument --code: 'Throttled,Expired' is not a code"),
        (["redrive", "--code", " "], "argument --code: ' ' is not a code"),
        (["redrive", "--code", ""], "argument --code: '' is not a code"),
        (["redrive", "--apply=no"], "argument --apply: ignored explicit argument 'no'"),
        (["redrive", "--finalize=1"], "argument --finalize: ignored explicit argument '1'"),
        (["redrive", "--delete=true"], "argument --delete: ignored explicit argument 'true'"),
        (["redrive", "--del"], "unrecognized arguments: --del"),
        (["redrive", "rejected", "--apply"], "rejected messages cannot be sent unchanged: with --code"),
        (["smoke"], "add --instance and --flow to start a chat"),
        (["smoke", "--instance", "instance-1"], "add --flow to start a chat"),
        (["smoke", "--flow", "flow-1"], "add --instance to start a chat"),
        (["smoke", *NEW_CHAT, "--source", "fax"], "argument --source: invalid choice: 'fax'"),
    ],
)
def test_wrong_argument_is_refused_with_its_rule(
    arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert error in refused(arguments, capsys)


@pytest.mark.parametrize("flags", [NEW_CHAT, NEW_CHAT[:2], NEW_CHAT[2:]])
def test_connection_token_and_a_new_chat_exclude_each_other(
    flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused(["smoke", *flags], capsys, CONNECTION_TOKEN="secret")

    assert "CONNECTION_TOKEN names an existing chat: unset it, or omit --instance and --flow" in error
    assert "secret" not in error


@pytest.mark.parametrize("arguments", [[], ["redrive"], ["smoke"]])
def test_help_fits_a_terminal_of_80_columns_except_commands_to_copy(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    with pytest.raises(SystemExit) as raised:
        parse([*arguments, "--help"], {})

    assert raised.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if len(line) > 80 and not line.startswith("  python -m ops")] == []


ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
DOCUMENTED = [
    command
    for page in PAGES
    for command in re.findall(r"\.venv/bin/python -m ops ([^`#\n]+)", page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("command", sorted(set(DOCUMENTED)))
def test_every_command_in_the_documents_can_be_run(command: str) -> None:
    environ = {} if "--instance" in command else {"CONNECTION_TOKEN": "secret"}

    assert parse(shlex.split(command.replace("$STAGE", "dev")), environ)


def test_documents_have_each_command() -> None:
    assert {command.split()[0] for command in DOCUMENTED} == {command[0] for command in COMMANDS}


def test_seal_requires_a_contact(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--contact-id" in refused(["seal"], capsys)


def test_seal_takes_no_token_as_an_argument(capsys: pytest.CaptureFixture[str]) -> None:
    assert "unrecognized arguments" in refused([*SEAL, "the-token"], capsys)


class FakeProducer:
    """Seals a token into text that does not show it, or raises an error."""

    error: ProducerError | None = None

    def __init__(self, _: object, *, session: object) -> None:
        assert session is not None

    def seal(self, connection_token: str, contact_id: str) -> str:
        if self.error is not None:
            raise self.error
        return f"sealed:{len(connection_token)}-{contact_id}"


@pytest.fixture
def stack_with_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "Producer", FakeProducer)
    monkeypatch.setattr(program, "read_outputs", lambda *_: None)


@pytest.mark.usefixtures("stack_with_key")
def test_seal_reads_the_token_from_standard_input_and_prints_only_the_sealed_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("the-token\n"))

    assert run(monkeypatch, SEAL, Mock) == 0
    assert capsys.readouterr() == ("sealed:9-c-1\n", "")


@pytest.mark.usefixtures("stack_with_key")
def test_seal_asks_at_a_terminal_without_showing_the_token(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Mock(isatty=lambda: True))
    monkeypatch.setattr(program, "getpass", lambda _: "the-token")

    assert run(monkeypatch, SEAL, Mock) == 0
    assert capsys.readouterr().out == "sealed:9-c-1\n"


@pytest.mark.usefixtures("stack_with_key")
def test_a_token_that_cannot_be_sealed_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("the-token\n"))
    monkeypatch.setattr(FakeProducer, "error", NotOfferedError("The stack has no key for sealed tokens"))

    assert run(monkeypatch, SEAL, Mock) == 2
    assert capsys.readouterr() == ("", "The stack has no key for sealed tokens\n")


HOSTILE = "\x1b[2J\x9b\u202e\u2028\r\n"
SHOWN = r"\x1b[2J\x9b\u202e\u2028\r\n"


def run(monkeypatch: pytest.MonkeyPatch, command: list[str], session: Callable[[], object]) -> int:
    monkeypatch.delenv("CONNECTION_TOKEN", raising=False)
    monkeypatch.setattr(program, "open_session", session)
    return program.main(command)


def fails_with(error: Exception) -> Callable[[], object]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize("command", COMMANDS)
def test_error_text_of_a_service_is_escaped(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse = fails_with(ClientError({"Error": {"Code": "Denied", "Message": HOSTILE}}, "DescribeStacks"))

    assert run(monkeypatch, command, refuse) == 2
    error = capsys.readouterr().err
    assert error.endswith(f"DescribeStacks operation: {SHOWN}\n")
    assert len(error.splitlines()) == 1


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("error", "printed"),
    [
        (CannotRunError("There are no AWS credentials:\n    aws configure"), None),
        (
            OutputsError("stack", "There is no stack\x1b."),
            "There is no stack\\x1b. Name another stage or Region, or deploy it:\n    make deploy STAGE=dev",
        ),
        (CannotRunError("GetTranscript: 403 AccessDeniedException"), None),
        (AwsCallError("ReceiveMessage", name="AccessDenied", http_status=403), None),
        (NoCredentialsError(), "Unable to locate credentials"),
    ],
)
def test_command_that_cannot_run_exits_with_2_and_prints_why(
    command: list[str],
    error: Exception,
    printed: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, command, fails_with(error)) == 2
    assert capsys.readouterr().err == f"{printed or error}\n"


@pytest.mark.parametrize("command", SENDER_COMMANDS)
def test_command_for_a_sender_reads_its_addresses_from_the_parameters(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account = RecordedAccount({("ssm", "GetParametersByPath"): {"Parameters": []}})

    assert run(monkeypatch, [*command, "--sender", "chat"], lambda: account) == 2

    assert [(operation, asked) for _, operation, _, asked in account.calls] == [
        ("GetParametersByPath", {"Path": "/connect-message-sender/chat"})
    ]
    assert capsys.readouterr().err == (
        "There is no sender chat in eu-central-1: it has no parameters under /connect-message-sender/chat. "
        "Name another sender or Region.\n"
    )


@pytest.mark.parametrize("command", SENDER_COMMANDS)
def test_command_for_a_stage_reads_the_outputs_of_its_stack(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account = RecordedAccount({("cloudformation", "DescribeStacks"): Refusal("ValidationError")})

    assert run(monkeypatch, [*command, "--stage", "prod"], lambda: account) == 2

    assert [(operation, asked) for _, operation, _, asked in account.calls] == [
        ("DescribeStacks", {"StackName": "ConnectMessageSender-prod"})
    ]
    assert capsys.readouterr().err.startswith("There is no stack ConnectMessageSender-prod in eu-central-1.")


@pytest.mark.parametrize("command", COMMANDS)
def test_stopped_command_can_be_run_again(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as raised:
        run(monkeypatch, command, lambda: signal.raise_signal(signal.SIGTERM))

    assert raised.value.code == 128 + signal.SIGTERM
    assert capsys.readouterr().out == "Stopped. You can run the same command again.\n"
