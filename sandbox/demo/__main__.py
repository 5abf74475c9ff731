"""`python -m sandbox.demo`, which `make demo` runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from sandbox import demo
from sandbox.command_line import explain, run_program, stack_parser, standard_output
from sandbox.demo.message_file import MessageFileError, read_message_file
from sandbox.demo.report import introduction, report
from sandbox.demo.run import send_all
from sandbox.demo.verdict import judge
from sandbox.local_stack import FOLDER

if TYPE_CHECKING:
    from sandbox.local_stack import LocalStack


def main() -> int:
    parser = stack_parser("sandbox.demo", demo.__doc__, folder=FOLDER / "demo")
    parser.add_argument(
        "messages", type=Path, nargs="?", default=Path("examples/messages.jsonl"), help="the file of messages"
    )
    arguments = parser.parse_args()
    terminal = standard_output()
    try:
        file = read_message_file(arguments.messages)
    except MessageFileError as error:
        return explain(error)
    terminal.print(introduction(file, arguments.messages))

    def run(stack: LocalStack) -> int:
        sending = f"Sending {len(file.messages)} messages"
        with terminal.status(sending) as update:
            run = send_all(stack, file, progress=lambda count: update(f"{sending}: {count} results"))
        checks = judge(run)
        terminal.print(report(run, checks, width=terminal.width))
        if any(check.problems for check in checks):
            terminal.print(Text("Not everything is as expected.", style="bold red"))
            terminal.print(Text(f"The logs of all parts are in {arguments.folder}/*.log"))
            return 1
        terminal.print(Text("Everything is as expected.", style="bold green"))
        return 0

    return run_program(run, arguments, terminal=terminal)


if __name__ == "__main__":
    sys.exit(main())
