"""`python -m sandbox.demo`, which `make demo` runs when everything is installed."""

from __future__ import annotations

import argparse
import fcntl
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import demo
from sandbox.demo.message_file import MessageFile, MessageFileError, read_message_file
from sandbox.demo.report import Report
from sandbox.demo.run import send_all
from sandbox.demo.verdict import judge
from sandbox.emulator import PortTakenError
from sandbox.local_stack import FOLDER, ForeignFolderError, NotPreparedError, local_stack
from sandbox.processes import ChildProcesses, ProcessError, stopped_by_signals

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_AS_EXPECTED = 1
_COULD_NOT_RUN = 2


class FolderInUseError(Exception):
    """Another demo writes to the same folder."""


_REASONS_NOT_TO_RUN = (
    MessageFileError,
    FolderInUseError,
    ForeignFolderError,
    NotPreparedError,
    ProcessError,
)


def main() -> int:
    arguments = _arguments()
    # A terminal that cannot show a check mark must not be the end of the demo
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr] # standard output is a text stream
    report = Report(sys.stdout)
    try:
        file = read_message_file(arguments.messages)
        report.introduction(file, arguments.messages)
        with _held(arguments.folder), stopped_by_signals(), ChildProcesses() as children:
            passed = _run(
                children, file, report, folder=arguments.folder, emulator_port=arguments.emulator_port
            )
    except SystemExit:
        report.stopped()
        raise
    except PortTakenError as error:
        sys.stderr.write(
            f"The emulator's {error}. Take another, or leave EMULATOR_PORT out and a free one is found:\n"
            f"    make demo EMULATOR_PORT={error.port + 1}\n"
        )
    except _REASONS_NOT_TO_RUN as error:
        sys.stderr.write(f"{error}\n")
    else:
        return 0 if passed else _NOT_AS_EXPECTED
    return _COULD_NOT_RUN


def _run(
    children: ChildProcesses, file: MessageFile, report: Report, *, folder: Path, emulator_port: int | None
) -> bool:
    with ExitStack() as running:
        with report.starting() as ready:
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


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep the folder to this process, however it may end."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUseError(f"Another demo is running in {folder}: wait for it, or stop it") from None
        yield


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.demo",
        description=demo.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "messages", type=Path, nargs="?", default=Path("examples/messages.jsonl"), help="the file of messages"
    )
    parser.add_argument("--emulator-port", type=_port, help="of the AWS emulator; a free one unless given")
    parser.add_argument("--folder", type=Path, default=FOLDER / "demo", help="for logs and other files")
    return parser.parse_args()


def _port(text: str) -> int:
    if text.isdecimal() and int(text) in range(1, 65_536):
        return int(text)
    raise argparse.ArgumentTypeError(f"{text} is not a port")


if __name__ == "__main__":
    sys.exit(main())
