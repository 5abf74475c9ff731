"""`python -m sandbox.live`, which `make sandbox` runs."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError
from rich.text import Text

from sandbox import live
from sandbox.command_line import run_program, stack_parser, standard_output
from sandbox.console.server import running_console
from sandbox.lambda_runtime import CodeWatch
from sandbox.live.feed import entry
from sandbox.local_stack import FOLDER, ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops.stack.terminal import Terminal
    from sandbox.local_stack import LocalStack

_CTRL_C = 128 + signal.SIGINT
_LAST_BREATH_SECONDS = 0.5  # from the end of the emulator's connections to the end of its process


def main() -> int:
    parser = stack_parser("sandbox.live", live.__doc__, folder=FOLDER / "live")
    parser.add_argument("--console-port", type=int, default=0, help="of the console; by default a free one")
    arguments = parser.parse_args()
    terminal = standard_output()
    code = CodeWatch(ROOT / "lambda_src/message_sender")

    def run(stack: LocalStack) -> int:
        with running_console(
            stack,
            folder=arguments.folder,
            port=arguments.console_port,
            on_line=lambda line: _print_entry(line, terminal),
        ) as (console, url):
            _introduce(url, terminal)
            while True:
                try:
                    for result in stack.results.receive():
                        console.on_result(result)
                    _update_code(code, stack, terminal)
                except BotoCoreError:
                    time.sleep(_LAST_BREATH_SECONDS)
                    stack.children.require_running()  # its error explains more
                    raise

    terminal.print()
    try:
        return run_program(run, arguments, terminal=terminal)
    except SystemExit as stop:
        if stop.code == _CTRL_C:  # the ordinary end
            return 0
        raise


def _introduce(url: str, terminal: Terminal) -> None:
    _heading(terminal, "Open the console in a browser, to see chats and break things")
    terminal.print_to_paste(f"  {url}")

    _heading(terminal, "In another terminal, in this folder")
    for command_line, effect in {
        "make env": "prints two lines to paste: the endpoints, and a new chat",
        "make commands": "prints a command for each event source",
        "make chat": "opens a chat, and prints its line to paste",
        "make chats": "lists all chats",
        "make transcript": "shows the chat $CONTACT_ID, or CHAT=...",
        "make end-chat": "ends it",
        "make fault": "breaks something: KIND=outage, lost, throttle, kill, off ...",
        "make find": "prints the log of the message or chat with ID=...",
    }.items():
        terminal.print(Text.assemble(f"  {command_line:<15}  ", (effect, "dim")))

    _heading(terminal, "Messages, retries and errors. Changed code is deployed. Ctrl-C to stop")


def _heading(terminal: Terminal, text: str) -> None:
    terminal.print(Text(f"\n{text}\n", style="bold"))


def _print_entry(line: Mapping[str, Any], terminal: Terminal) -> None:
    if laid_out := entry(line):
        terminal.print(laid_out)


def _update_code(code: CodeWatch, stack: LocalStack, terminal: Terminal) -> None:
    try:
        if code.update(stack.emulator, stack.outputs):
            terminal.print(Text("The changed code is deployed", style="dim"))
    except SyntaxError as error:
        terminal.print(Text(f"The changed code is not deployed: {error}", style="red"))


if __name__ == "__main__":
    sys.exit(main())
