"""`python -m sandbox.dashboard`, which `make picture` runs when everything is installed."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ops.stack.signals import stopped_by_signals
from sandbox import dashboard
from sandbox.command_line import (
    COULD_NOT_RUN,
    REASONS_NOT_TO_RUN,
    add_stack_arguments,
    explanation,
    held,
)
from sandbox.dashboard.picture import draw
from sandbox.dashboard.traffic import run
from sandbox.local_stack import FOLDER, ROOT, local_stack
from sandbox.processes import ChildProcesses

PICTURE = ROOT / "docs/images/dashboard.svg"

_POINTS = 30
_CAPTION = (
    "The dashboard of the stage dev, with the figures of a local run of {minutes:g} minutes. In the place of "
    "Amazon Connect is the local participant service, which answers in 60 to 250 ms and grants 10 calls a "
    "second with a burst of 15. The run: calm; a burst above the quota; calm; an outage (503); calm. A point "
    "stands for {period} seconds, sums are scaled to a minute. The function's metrics are the lines that it "
    "printed. Those of queues, invocations, API and state machine are derived from what can be seen locally; "
    "“AWS only” marks what cannot."
)


def main() -> int:
    arguments = _arguments()
    try:
        with held(arguments.folder), stopped_by_signals(), ChildProcesses() as children:
            _render(children, arguments)
    except REASONS_NOT_TO_RUN as error:
        sys.stderr.write(explanation(error, command="make picture"))
        return COULD_NOT_RUN
    return 0


def _render(children: ChildProcesses, arguments: argparse.Namespace) -> None:
    with local_stack(children, folder=arguments.folder, emulator_port=arguments.emulator_port) as stack:
        recording = run(stack, seconds=arguments.seconds, report=_tell)
        shown = stack.emulator.client("cloudwatch").get_dashboard(DashboardName=stack.outputs.stack_name)
    period = max(1, round(arguments.seconds / _POINTS))
    picture = draw(
        json.loads(shown["DashboardBody"]),
        recording,
        period=period,
        caption=_CAPTION.format(minutes=arguments.seconds / 60, period=period),
    )
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(picture, encoding="utf-8")
    _tell(f"written: {arguments.output}")


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.dashboard",
        description=dashboard.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=300, help="of traffic")
    parser.add_argument("--output", type=Path, default=PICTURE, help="the picture")
    add_stack_arguments(parser, folder=FOLDER / "dashboard")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
