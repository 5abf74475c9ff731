"""`python -m sandbox.dashboard`, which `make picture` runs when everything is installed."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path

from ops.stack.command import stopped_by_signals
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

_PICTURE = ROOT / "docs/images/dashboard.svg"
_POINTS = 30
_CAPTION = (
    "The dashboard of the stage dev, with the data of a local run of {minutes:g} minutes. The local "
    "participant service takes the place of Amazon Connect. It answers in 60 to 250 ms and allows 10 calls a "
    "second with a burst of 15. The run: calm; a burst above the quota; calm; an outage (503); calm. A point "
    "is the data of {period} seconds, sums are per minute. The function's metrics are the lines of its log. "
    "The data of queues, invocations, API and state machine come from local observation. “AWS only” marks "
    "metrics without local data."
)
_print = partial(print, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.dashboard",
        description=dashboard.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=300, help="duration of the traffic")
    parser.add_argument("--output", type=Path, default=_PICTURE, help="the picture's file")
    add_stack_arguments(parser, folder=FOLDER / "dashboard")
    arguments = parser.parse_args()
    try:
        with held(arguments.folder), stopped_by_signals(), ChildProcesses() as children:
            _draw_run(children, arguments)
    except REASONS_NOT_TO_RUN as error:
        sys.stderr.write(explanation(error, command="make picture"))
        return COULD_NOT_RUN
    return 0


def _draw_run(children: ChildProcesses, arguments: argparse.Namespace) -> None:
    with local_stack(children, folder=arguments.folder, emulator_port=arguments.emulator_port) as stack:
        recording = run(stack, seconds=arguments.seconds, report=_print)
        shown = stack.emulator.client("cloudwatch").get_dashboard(DashboardName=stack.outputs.stack_name)
    period = max(1, round(arguments.seconds / _POINTS))
    caption = _CAPTION.format(minutes=arguments.seconds / 60, period=period)
    picture = draw(json.loads(shown["DashboardBody"]), recording, period=period, caption=caption)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(picture, encoding="utf-8")
    _print(f"The picture is in {arguments.output}")


if __name__ == "__main__":
    sys.exit(main())
