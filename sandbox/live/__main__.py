"""`python -m sandbox.live`, which `make sandbox` runs when everything is installed."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, NoReturn

from botocore.exceptions import BotoCoreError
from rich.text import Text

from ops.stack.printable import printable
from ops.stack.signals import stopped_by_signals
from ops.stack.terminal import Terminal
from sandbox import live
from sandbox.command_line import (
    COULD_NOT_RUN,
    REASONS_NOT_TO_RUN,
    add_stack_arguments,
    explanation,
    held,
)
from sandbox.display import OUTCOME_STYLES, STOPPED, starting, time_of_day
from sandbox.live.code import CodeWatch
from sandbox.live.commands import aws_environment, chat_environment, sending_commands
from sandbox.local_stack import FOLDER, ROOT, local_stack
from sandbox.processes import ChildProcesses

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.local_stack import LocalStack
    from sandbox.results import ResultEvent

_SOURCE = ROOT / "lambda_src/message_sender"
_CTRL_C = 128 + signal.SIGINT
_LAST_BREATH_SECONDS = 0.5  # from the end of the emulator's connections to its own


def main() -> int:
    arguments = _arguments()
    # A terminal that cannot show a check mark must not be the end of the sandbox
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # standard output is a text stream
    terminal = Terminal(sys.stdout)
    try:
        with held(arguments.folder), stopped_by_signals(), ChildProcesses() as children:
            _run(children, terminal, folder=arguments.folder, emulator_port=arguments.emulator_port)
    except SystemExit as stop:
        terminal.print(STOPPED)
        if stop.code == _CTRL_C:  # as it is meant to end
            return 0
        raise
    except REASONS_NOT_TO_RUN as error:
        sys.stderr.write(explanation(error, command="make sandbox"))
    return COULD_NOT_RUN


def _run(
    children: ChildProcesses, terminal: Terminal, *, folder: Path, emulator_port: int | None
) -> NoReturn:
    code = CodeWatch(_SOURCE)
    with ExitStack() as running:
        terminal.print()
        with starting(terminal) as ready:
            stack = running.enter_context(
                local_stack(children, folder=folder, emulator_port=emulator_port, report=ready)
            )
        _introduce(stack, terminal)
        while True:
            try:
                for result in stack.results.receive():
                    terminal.print_line(result_line(result))
                _update_code(code, stack, terminal)
            except BotoCoreError:
                time.sleep(_LAST_BREATH_SECONDS)
                children.require_running()  # says better what has happened
                raise


def _introduce(stack: LocalStack, terminal: Terminal) -> None:
    chat = stack.open_chat()
    _heading(terminal, "Endpoints")
    for name, value in {
        "AWS": stack.emulator.url,
        "Participant service": stack.participant.url,
        "Queue": stack.outputs.message_queue_url,
        "Event bus": stack.outputs.event_bus_name,
        "State machine": stack.outputs.state_machine_arn,
        "Function": stack.outputs.function_alias_arn,
        "HTTP API": stack.api.url,
    }.items():
        terminal.print_to_paste(f"  {name:<20}  {value}")

    _heading(terminal, "In another terminal, first: where AWS is, and an open chat with its connection token")
    terminal.print_to_paste(f"{aws_environment(stack)}\n\n{chat_environment(chat)}")

    _heading(terminal, "Then send to the chat, as often as you like")
    for sending in sending_commands(stack):
        terminal.print(Text(f"{sending.title}:", style="dim"))
        terminal.print_to_paste(f"{sending.text}\n")

    _heading(terminal, "And in the folder of the project")
    for command, what in {
        "make transcript": "shows the chat: that of $CONTACT_ID, or CHAT=...",
        "make end-chat": "ends it",
        "make chat": "opens another chat, and prints the line that makes it the one written to",
    }.items():
        terminal.print(Text.assemble(f"  {command:<20}  ", (what, "dim")))

    _heading(
        terminal, "Results, as they come. Changes in lambda_src/ are put in place. Ctrl-C stops everything"
    )


def _heading(terminal: Terminal, text: str) -> None:
    terminal.print(Text(f"\n{text}\n", style="bold"))


def result_line(result: ResultEvent) -> Text:
    what = f"message {result.message_id or '–'}" if result.code is None else f"{result.code}: {result.reason}"
    return Text.assemble(
        (f"{time_of_day(result.completed_at)}  ", "dim"),
        (f"{result.outcome:<8}  ", OUTCOME_STYLES[result.outcome]),
        printable(f"{result.event_source:<11}  "),
        (printable(f"contact {result.contact_id or '–'}  "), "dim"),
        printable(what),
    )


def _update_code(code: CodeWatch, stack: LocalStack, terminal: Terminal) -> None:
    try:
        if code.update(stack.emulator, stack.outputs):
            terminal.print(Text("The function has the changed code", style="dim"))
    except SyntaxError as error:
        terminal.print(Text(f"The function stays as it was: {error}", style="red"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.live",
        description=live.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_stack_arguments(parser, folder=FOLDER / "live")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
