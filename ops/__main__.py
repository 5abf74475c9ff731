"""Run a command on a deployed stack: `python -m ops --help`."""

from __future__ import annotations

import os
import re
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from datetime import timedelta
from functools import partial
from getpass import getpass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from infra.outputs import OutputsError, StackOutputs, read_outputs, read_parameters
from infra.producer import EventSource, NotOfferedError, Producer, ProducerError
from infra.stage import check_name, stack_name
from message_sender.errors import AwsCallError
from message_sender.request import Secret
from ops.aws import CannotRunError, open_session, queue_attribute
from ops.dead_letters import DeadLetterQueue
from ops.preflight.report import PreflightReport
from ops.preflight.run import preflight
from ops.preflight.target import read_stages
from ops.prune import DEFAULT_KEEP, PruneRun
from ops.redrive import RedriveFilter, redrive_run
from ops.report import Report
from ops.smoke.chat import NewChat
from ops.smoke.run import run as run_smoke_test
from ops.stack.printable import printable
from ops.stack.signals import stopped_by_signals

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import boto3

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}

_ALL: Final = """\
python -m ops COMMAND --help has examples. Credentials, Region and endpoints
are those of the AWS SDKs, such as AWS_PROFILE and AWS_DEFAULT_REGION.

Exit codes: 0 everything was done, 1 not everything, 2 the command could not run"""
_REDRIVE: Final = """\
Show each dead letter and what would happen to it:
  python -m ops redrive

Send messages with these codes again, if they are at most 90 minutes old:
  python -m ops redrive --code Throttled --code ServiceUnavailable --max-age 90m --apply

Send rejected messages again, after you fixed the cause:
  python -m ops redrive rejected --code ServiceValidation --apply

Send nothing, since every message is too old. Publish the missing results;
then, in a second run, delete the messages that have their result:
  python -m ops redrive --max-age 0m --finalize --apply
  python -m ops redrive --max-age 0m --delete --apply

Guarantees and permissions: docs/how-to/redrive.md"""
_SMOKE: Final = """\
Test two event sources with a new chat, whose flow must keep it open for two
minutes (with --long, for 15):
  python -m ops smoke --instance ID --flow ID --source queue --source api

Use an existing chat. Its token is a secret, so it is not an argument:
  read -rs CONNECTION_TOKEN && export CONNECTION_TOKEN
  python -m ops smoke

Permissions: docs/how-to/run-the-smoke-test.md"""

_PREFLIGHT: Final = """\
Check the account and Region of a stage, before make deploy STAGE=prod:
  python -m ops preflight --stage prod

Exit codes: 0 nothing to fix, 1 something to fix, 2 nothing could be checked.
Permissions: docs/how-to/check-before-you-deploy.md"""
_SEAL: Final = """\
Encrypt a connection token for the messages of one chat. The token is read from
standard input, and a terminal does not show it:
  python -m ops seal --stage prod --contact-id ID

Use the output as the ConnectionToken of every request with this ContactId.
Permissions: docs/how-to/send-messages.md"""
_PRUNE: Final = """\
Show the versions that would be deleted, then delete them:
  python -m ops prune --stage prod
  python -m ops prune --stage prod --apply"""


@stopped_by_signals()
def main(arguments: list[str]) -> int:
    # A terminal that cannot show a character must not end the command
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # standard output is a text stream
    options = parse(arguments, os.environ)
    command = {
        "redrive": _redrive,
        "smoke": _smoke,
        "preflight": _preflight,
        "prune": _prune,
        "seal": _seal,
    }[options.command]
    try:
        return 0 if command(options, open_session()) else 1
    except SystemExit:
        Report(sys.stdout).line("Stopped. You can run the same command again.")
        raise
    except OutputsError as error:
        advice = f"Name another stage or Region, or deploy it:\n    make deploy STAGE={options.stage}"
        if getattr(options, "sender", None):
            advice = "Name another sender or Region."
        sys.stderr.write(f"{printable(f'{error} {advice}', lines=True)}\n")
    except (CannotRunError, AwsCallError, BotoCoreError, ClientError) as error:
        # ClientError only from calls without a message or a token, so that its text quotes none
        sys.stderr.write(f"{printable(str(error), lines=not isinstance(error, ClientError))}\n")
    return 2


def _addresses(options: Namespace, session: boto3.Session) -> StackOutputs:
    if options.sender:
        return read_parameters(session.client("ssm"), options.sender)
    return read_outputs(session.client("cloudformation"), stack_name(options.stage))


def _redrive(options: Namespace, session: boto3.Session) -> bool:
    report = Report(sys.stdout)
    outputs = _addresses(options, session)
    run = redrive_run(
        session,
        outputs,
        queue=DeadLetterQueue(options.queue),
        redrive_filter=options.redrive_filter,
        dry_run=not options.apply,
        on_handled=report.dead_letter,
    )
    sqs, queue_url = run.reader.sqs, run.reader.queue_url
    waiting = int(queue_attribute(sqs, queue_url, "ApproximateNumberOfMessages"))
    report.line(f"From     {queue_url} (messages: about {waiting})")
    report.line(f"To       {outputs.message_queue_url}")
    if options.finalize:
        report.line(f"Results  {outputs.event_bus_name}")
        report.line(f"Copies   {outputs.dead_letter_queue_url}")
        report.line(f"         {outputs.rejected_queue_url}")
    if run.dry_run:
        report.line("This is a dry run: it changes nothing. Add --apply to carry it out.")
    report.totals(run.run(), dry_run=run.dry_run, waiting=waiting)
    return run.totals.all_done


def _smoke(options: Namespace, session: boto3.Session) -> bool:
    report, name = Report(sys.stdout), options.sender or stack_name(options.stage)
    with report.progress() as progress:
        progress(f"Reading the addresses of {name}")
        try:
            outcome = run_smoke_test(
                _addresses(options, session),
                session,
                chat=options.chat,
                connect_region=options.connect_region,
                sources=options.source,
                api_url=options.api_url,
                long=options.long,
                progress=progress,
                on_left_behind=report.left_behind,
            )
        except NotOfferedError as error:
            raise OutputsError(name, str(error)) from None
    report.smoke_test(outcome)
    return outcome.passed


def _preflight(options: Namespace, session: boto3.Session) -> bool:
    stages = read_stages(options.stage)
    target, checks = preflight(
        stages, session, os.environ, known_quota=options.send_quota, deployer=options.deployer
    )
    PreflightReport(sys.stdout).show(target, checks)
    return not any(check.findings for check in checks)


def _prune(options: Namespace, session: boto3.Session) -> bool:
    report = Report(sys.stdout)
    run = PruneRun(
        cloudformation=session.client("cloudformation"),
        lambda_=session.client("lambda"),
        function_name=_addresses(options, session).function_name,
        keep=options.keep,
        dry_run=not options.apply,
        on_line=report.line,
    )
    return run.run()


def _seal(options: Namespace, session: boto3.Session) -> bool:
    outputs = _addresses(options, session)
    token = getpass("Connection token: ") if sys.stdin.isatty() else sys.stdin.read()
    try:
        sealed = Producer(outputs, session=session).seal(token.strip(), options.contact_id)
    except ProducerError as error:
        raise CannotRunError(str(error)) from None
    sys.stdout.write(f"{sealed}\n")
    return True


def parse(arguments: Sequence[str], environ: Mapping[str, str]) -> Namespace:
    """Return the command and its options: with `redrive_filter` of a redrive, `chat` of a smoke test.

    Args:
        environ: CONNECTION_TOKEN is the token of an existing chat for the smoke test.

    Raises:
        SystemExit: An argument is wrong (2), or help was printed (0).
    """
    parser = ArgumentParser(
        "python -m ops",
        description="Commands for a deployed stack.",
        epilog=_ALL,
        formatter_class=RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")

    def add(name: str, text: str, epilog: str) -> ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, epilog=epilog, allow_abbrev=False)
        command.formatter_class = RawDescriptionHelpFormatter
        where = command.add_mutually_exclusive_group()
        where.add_argument("--stage", type=_stage, default="dev", help="stage of the stack (default: dev)")
        if name != "preflight":
            where.add_argument(
                "--sender",
                type=_sender,
                metavar="NAME",
                help="name of a sender in another application's stack",
            )
        return command

    redrive = add("redrive", "Send dead letters again, publish their results, or delete them", _REDRIVE)
    smoke = add(
        "smoke", "Send real messages, one through each event source, to a new or existing chat", _SMOKE
    )
    preflight_ = add("preflight", "Check what would fail at a deployment; changes nothing", _PREFLIGHT)
    preflight_.add_argument(
        "--send-quota",
        type=_count,
        metavar="N",
        help="your quota of SendMessage calls a second, if Service Quotas does not list it",
    )
    preflight_.add_argument(
        "--deployer", metavar="ARN", help="role or user that deploys (default: that of the credentials)"
    )
    prune = add("prune", "Delete old versions of the function", _PRUNE)
    prune.add_argument(
        "--keep",
        type=_count,
        default=DEFAULT_KEEP,
        metavar="N",
        help=f"keep the newest N versions, beside those in use (default: {DEFAULT_KEEP})",
    )
    seal = add("seal", "Encrypt a connection token, so that no queue holds it in clear", _SEAL)
    seal.add_argument("--contact-id", required=True, metavar="ID", help="ContactId of the requests")
    for command in (redrive, prune):
        command.add_argument(
            "--apply", action="store_true", help="make the changes; without this flag, only show them"
        )
    _add_redrive_options(redrive)
    _add_smoke_options(smoke)
    options = parser.parse_args(arguments)
    if options.command == "redrive":
        options.redrive_filter = _redrive_filter(options, redrive)
    elif options.command == "smoke":
        options.source = tuple(map(EventSource, dict.fromkeys(options.source or ())))
        options.chat = _chat(options, environ.get("CONNECTION_TOKEN"), smoke)
    return options


def _add_redrive_options(parser: ArgumentParser) -> None:
    add, flag = parser.add_argument, partial(parser.add_argument, action="store_true")
    queues = [queue.value for queue in DeadLetterQueue]
    add(
        "queue",
        nargs="?",
        default=queues[0],
        choices=queues,
        help="dead-letter (default): not sent in time; events: EventBridge or Lambda did not deliver them; "
        "rejected: cannot be sent unchanged",
    )
    add(
        "--code",
        action="append",
        type=_code,
        help="only messages with this code, as a run without --apply shows it (repeatable)",
    )
    age = "do not send older messages (90m, 3d; default: 24h)"
    add("--max-age", type=_age, default="24h", metavar="AGE", help=age)
    flag(
        "--finalize",
        help="publish the result, FAILED or REJECTED, of a message that has none and is not sent again",
    )
    flag("--delete", help="delete a message that has its result, if it is too old or can never be sent")
    flag("--keep-maybe-delivered", help="send no message that may be in the chat already")
    flag("--resend-parts", help="send long texts whose first parts are in the chat, from their first part")


def _add_smoke_options(parser: ArgumentParser) -> None:
    add, sources = parser.add_argument, [source.value for source in EventSource]
    add("--instance", metavar="ID", help="Amazon Connect instance of the new chat")
    add("--flow", metavar="ID", help="contact flow of the new chat")
    add("--connect-region", metavar="REGION", help="of the instance (default: the stack's)")
    add("--source", action="append", choices=sources, help="event source (repeatable; default: all)")
    add("--api-url", metavar="URL", help="of the API (default: the stack's output ApiUrl)")
    add("--long", action="store_true", help="also repeat a ClientToken after 1 and 10 minutes")


def _redrive_filter(options: Namespace, parser: ArgumentParser) -> RedriveFilter:
    codes_required = options.queue == DeadLetterQueue.REJECTED
    if codes_required and options.apply and not options.code and not options.delete:
        parser.error(
            "rejected messages cannot be sent unchanged: with --code, name the codes whose cause you fixed, "
            "such as --code ServiceValidation"
        )
    return RedriveFilter(
        codes=frozenset(options.code) if options.code else None,
        codes_required=codes_required,
        max_age=options.max_age,
        finalize=options.finalize,
        delete=options.delete,
        keep_maybe_delivered=options.keep_maybe_delivered,
        resend_parts=options.resend_parts,
    )


def _chat(options: Namespace, connection_token: str | None, parser: ArgumentParser) -> NewChat | Secret:
    new_chat = {"--instance": options.instance, "--flow": options.flow}
    missing = [flag for flag, value in new_chat.items() if not value]
    if connection_token and any(new_chat.values()):
        parser.error("CONNECTION_TOKEN names an existing chat: unset it, or omit --instance and --flow")
    if connection_token:
        return Secret(connection_token)
    if missing:
        parser.error(
            f"add {' and '.join(missing)} to start a chat, or set CONNECTION_TOKEN of an existing one"
        )
    return NewChat(instance_id=options.instance, contact_flow_id=options.flow)


def _stage(text: str) -> str:
    try:
        stack_name(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r}: {error}") from None
    return text


def _sender(text: str) -> str:
    try:
        check_name(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r}: {error}") from None
    return text


def _code(text: str) -> str:
    if re.fullmatch(r"[^\s,]+", text) is None:
        raise ArgumentTypeError(f"{text!r} is not a code; repeat the flag for several codes")
    return text


def _count(text: str) -> int:
    if re.fullmatch(r"[1-9][0-9]{0,4}", text) is None:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 to 99999")
    return int(text)


def _age(text: str) -> timedelta:
    if (match := re.fullmatch(r"([0-9]{1,4})([mhd])", text)) is None:
        raise ArgumentTypeError(f"{text!r} is not a number of minutes, hours or days, such as 90m, 24h or 3d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
