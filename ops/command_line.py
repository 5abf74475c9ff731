"""Parse the arguments of `python -m ops`."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from infra.producer import EventSource
from infra.stage import stack_name
from ops.dead_letters import DeadLetterQueue
from ops.redrive_policy import RedriveFilter
from ops.smoke.chat import GivenChat, NewChat
from ops.smoke.run import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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

Send nothing. Publish the missing results; then delete everything with a result:
  python -m ops redrive --max-age 0m --finalize --apply
  python -m ops redrive --max-age 0m --delete --apply

Guarantees and permissions: docs/redrive.md"""
_REPUBLISH: Final = """\
Show the results, then publish them:
  python -m ops republish
  python -m ops republish --apply

Guarantees and permissions: docs/redrive.md"""
_SMOKE: Final = """\
Test two event sources with a new chat, whose flow must keep it open for two
minutes (with --long, for 15):
  python -m ops smoke --instance ID --flow ID --source queue --source api

Use an existing chat. Its token is a secret, so it is not an argument:
  read -rs CONNECTION_TOKEN && export CONNECTION_TOKEN
  python -m ops smoke

Permissions: docs/smoke-test.md"""


def parse(arguments: Sequence[str], environ: Mapping[str, str]) -> Namespace:
    """Return the command and its options: with `redrive_filter` of a redrive, `settings` of a smoke test.

    Args:
        environ: CONNECTION_TOKEN is the token of an existing chat for the smoke test.

    Raises:
        SystemExit: An argument is wrong (2), or help was printed (0).
    """
    parser = ArgumentParser("python -m ops", epilog=_ALL, formatter_class=RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")

    def add(name: str, text: str, epilog: str) -> ArgumentParser:
        command = commands.add_parser(name, help=text, description=text, epilog=epilog, allow_abbrev=False)
        command.formatter_class = RawDescriptionHelpFormatter
        command.add_argument("--stage", type=_stage, default="dev", help="of the stack (default: dev)")
        return command

    redrive = add("redrive", "Send dead letters again, publish their results, or delete them", _REDRIVE)
    republish = add("republish", "Publish the results that the event bus did not accept", _REPUBLISH)
    smoke = add("smoke", "Send a message through each event source to a new or existing chat", _SMOKE)
    for command in (redrive, republish):
        command.add_argument("--apply", action="store_true", help="do it; without this flag, only show it")
    _add_redrive_options(redrive)
    _add_smoke_options(smoke)
    options = parser.parse_args(arguments)
    if options.command == "redrive":
        options.redrive_filter = _redrive_filter(options, redrive)
    elif options.command == "smoke":
        options.settings = _smoke_settings(options, environ.get("CONNECTION_TOKEN"), smoke)
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
    add("--code", action="append", type=_code, help="touch only messages with this code (repeatable)")
    add(
        "--max-age",
        type=_age,
        default="24h",
        metavar="AGE",
        help="send no older message (90m, 3d; default: 24h)",
    )
    flag("--finalize", help="publish the result of a message that has none and is not sent again")
    flag("--delete", help="delete a message that has its result and is too old or can never be sent")
    flag("--keep-maybe-delivered", help="send no message that may be in the chat already")


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
    )


def _smoke_settings(options: Namespace, connection_token: str | None, parser: ArgumentParser) -> Settings:
    new_chat = {"--instance": options.instance, "--flow": options.flow}
    missing = [flag for flag, value in new_chat.items() if not value]
    if connection_token and any(new_chat.values()):
        parser.error("CONNECTION_TOKEN names an existing chat: unset it, or omit --instance and --flow")
    if missing and not connection_token:
        parser.error(
            f"add {' and '.join(missing)} to start a chat, or set CONNECTION_TOKEN of an existing one"
        )
    return Settings(
        stack_name=stack_name(options.stage),
        chat=GivenChat(connection_token=connection_token)
        if connection_token
        else NewChat(instance_id=options.instance, contact_flow_id=options.flow),
        connect_region=options.connect_region,
        sources=tuple(map(EventSource, dict.fromkeys(options.source))) if options.source else None,
        api_url=options.api_url,
        long=options.long,
    )


def _stage(text: str) -> str:
    try:
        stack_name(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r}: {error}") from None
    return text


def _code(text: str) -> str:
    if re.fullmatch(r"[^\s,]+", text) is None:
        raise ArgumentTypeError(f"{text!r} is not a code; repeat the flag for several codes")
    return text


def _age(text: str) -> timedelta:
    if (match := re.fullmatch(r"([0-9]{1,4})([mhd])", text)) is None:
        raise ArgumentTypeError(f"{text!r} is not a number of minutes, hours or days, such as 90m, 24h or 3d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
