"""`python -m sandbox.demo`, which `make demo` runs when everything is installed."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from ops.stack.signals import stopped_by_signals
from ops.stack.terminal import Terminal
from sandbox import demo
from sandbox.command_line import (
    COULD_NOT_RUN,
    REASONS_NOT_TO_RUN,
    add_stack_arguments,
    explanation,
    held,
)
from sandbox.demo.message_file import MessageFile, MessageFileError, read_message_file
from sandbox.demo.report import Report
from sandbox.demo.run import send_all
from sandbox.demo.verdict import judge
from sandbox.display import STOPPED, starting
from sandbox.local_stack import FOLDER, local_stack
from sandbox.processes import ChildProcesses

_NOT_AS_EXPECTED = 1


def main() -> int:
    arguments = _arguments()
    # A terminal that cannot show a check mark must not be the end of the demo
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # standard output is a text stream
    terminal = Terminal(sys.stdout)
    try:
        file = read_message_file(arguments.messages)
        Report(terminal).introduction(file, arguments.messages)
        with held(arguments.folder), stopped_by_signals(), ChildProcesses() as children:
            passed = _run(
                children, file, terminal, folder=arguments.folder, emulator_port=arguments.emulator_port
            )
    except SystemExit:
        terminal.print(STOPPED)
        raise
    except (MessageFileError, *REASONS_NOT_TO_RUN) as error:
        sys.stderr.write(explanation(error, command="make demo"))
        return COULD_NOT_RUN
    return 0 if passed else _NOT_AS_EXPECTED


def _run(
    children: ChildProcesses,
    file: MessageFile,
    terminal: Terminal,
    *,
    folder: Path,
    emulator_port: int | None,
) -> bool:
    report = Report(terminal)
    with ExitStack() as running:
        with starting(terminal) as ready:
            stack = running.enter_context(
                local_stack(children, folder=folder, emulator_port=emulator_port, report=ready)
            )
        with report.sending(len(file.messages)) as progress:
            run = send_all(stack, file, progress=progress)
    checks = judge(run)
    passed = all(check.passed for check in checks)
    report.run(run, checks)
    report.verdict(passed=passed, folder=folder)
    return passed


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.demo",
        description=demo.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "messages", type=Path, nargs="?", default=Path("examples/messages.jsonl"), help="the file of messages"
    )
    add_stack_arguments(parser, folder=FOLDER / "demo")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
