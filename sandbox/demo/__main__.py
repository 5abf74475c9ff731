"""`python -m sandbox.demo`, which `make demo` runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from sandbox import demo
from sandbox.command_line import explain, run_program, stack_parser, standard_output
from sandbox.demo.message_file import MessageFileError, read_message_file
from sandbox.demo.report import checks_of, introduction, report
from sandbox.demo.run import send_all
from sandbox.demo.trouble import comparison, judge_trouble, make_trouble
from sandbox.demo.trouble import introduction as trouble_introduction
from sandbox.demo.verdict import judge
from sandbox.local_stack import FOLDER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops.stack.terminal import Terminal
    from sandbox.demo.message_file import MessageFile
    from sandbox.demo.verdict import Check
    from sandbox.local_stack import LocalStack


def main() -> int:
    parser = stack_parser("sandbox.demo", demo.__doc__, folder=FOLDER / "demo")
    parser.add_argument(
        "messages", type=Path, nargs="?", default=Path("examples/messages.jsonl"), help="the file of messages"
    )
    parser.add_argument("--act", choices=["1"], help="1: leave out the second act")
    parser.add_argument("--verbose", action="store_true", help="print all ids and chats")
    arguments = parser.parse_args()
    terminal = standard_output()
    try:
        file = read_message_file(arguments.messages)
    except MessageFileError as error:
        return explain(error)
    terminal.print(introduction(file, arguments.messages))

    def run(stack: LocalStack) -> int:
        checks = _first_act(stack, file, terminal, verbose=arguments.verbose)
        is_good = not any(check.problems for check in checks)
        if is_good and arguments.act is None:
            is_good = _second_act(stack, arguments.folder, terminal)
        if not is_good:
            terminal.print(Text("Not everything is as expected.", style="bold red"))
            terminal.print(Text(f"The logs of all parts are in {arguments.folder}/*.log"))
            return 1
        terminal.print(Text("Everything is as expected.", style="bold green"))
        return 0

    return run_program(run, arguments, terminal=terminal)


def _first_act(stack: LocalStack, file: MessageFile, terminal: Terminal, *, verbose: bool) -> Sequence[Check]:
    sending = f"Sending {len(file.messages)} messages"
    with terminal.status(sending) as update:
        run = send_all(stack, file, progress=lambda count: update(f"{sending}: {count} results"))
    checks = judge(run)
    terminal.print(report(run, checks, verbose=verbose))
    return checks


def _second_act(stack: LocalStack, folder: Path, terminal: Terminal) -> bool:
    """Print the second act. Return whether this stack kept the project's promise."""
    if not stack.has_error_types:
        terminal.print(Text("The second act needs awslambdaric, which has wheels for Linux only.\n"))
        return True
    terminal.print(trouble_introduction())

    def report_step(seconds: float, text: str) -> None:
        terminal.print(Text.assemble((f"{seconds:>5.0f} s  ", "dim"), text))

    with terminal.status("Sending, and waiting for what is late"):
        finished = make_trouble(stack, folder=folder, report=report_step)
    checks = judge_trouble(finished)
    terminal.print(Group(comparison(finished), *checks_of(checks), Text()))
    return not any(check.problems for check in checks)


if __name__ == "__main__":
    sys.exit(main())
