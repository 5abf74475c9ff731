"""`python -m sandbox.demo`, which `make demo` runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ops.stack.terminal import Terminal
from sandbox import demo
from sandbox.command_line import COULD_NOT_RUN, explanation, run_program, stack_parser
from sandbox.demo.message_file import MessageFileError, read_message_file
from sandbox.demo.report import Report
from sandbox.demo.run import send_all
from sandbox.demo.verdict import judge
from sandbox.local_stack import FOLDER

if TYPE_CHECKING:
    from sandbox.local_stack import LocalStack
    from sandbox.processes import ChildProcesses

_NOT_AS_EXPECTED = 1


def main() -> int:
    parser = stack_parser("sandbox.demo", demo.__doc__, folder=FOLDER / "demo")
    parser.add_argument(
        "messages", type=Path, nargs="?", default=Path("examples/messages.jsonl"), help="the file of messages"
    )
    arguments = parser.parse_args()
    # A terminal without a check mark must not end the demo
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # standard output is a text stream
    terminal = Terminal(sys.stdout)
    report = Report(terminal)
    try:
        file = read_message_file(arguments.messages)
    except MessageFileError as error:
        sys.stderr.write(explanation(error, command="make demo"))
        return COULD_NOT_RUN
    report.introduction(file, arguments.messages)

    def run(stack: LocalStack, _: ChildProcesses) -> int:
        with report.sending(len(file.messages)) as progress:
            run = send_all(stack, file, progress=progress)
        checks = judge(run)
        passed = all(check.passed for check in checks)
        report.run(run, checks)
        report.verdict(passed=passed, folder=arguments.folder)
        return 0 if passed else _NOT_AS_EXPECTED

    return run_program(run, arguments, terminal=terminal, command="make demo")


if __name__ == "__main__":
    sys.exit(main())
