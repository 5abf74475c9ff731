"""`python -m sandbox.dashboard`, which `make picture` runs when everything is installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import dashboard
from sandbox.command_line import run_program, stack_parser, standard_output
from sandbox.dashboard.picture import draw
from sandbox.dashboard.traffic import run
from sandbox.local_stack import FOLDER, ROOT

if TYPE_CHECKING:
    from sandbox.local_stack import LocalStack

# No test compares the picture with the deployed dashboard, since drawing it takes six minutes
_PICTURE = ROOT / "docs/images/dashboard.svg"
_POINTS = 30
_CAPTION = (
    "The dashboard of the stage dev, with the data of a local run of {minutes:g} minutes. The local "
    "participant service takes the place of Amazon Connect. It answers in 60 to 250 ms and allows 10 calls a "
    "second with a burst of 15. The run: ordinary load, a burst above the quota, ordinary load, an outage "
    "(503), ordinary load. A point is the data of {period} seconds, sums are per minute. The function's "
    "metrics are the lines of its log. Queues, invocations, API and state machine are observed locally. “AWS "
    "only” marks metrics without local data."
)


def main() -> int:
    parser = stack_parser("sandbox.dashboard", dashboard.__doc__, folder=FOLDER / "dashboard")
    parser.add_argument("--seconds", type=float, default=300, help="duration of the workload")
    parser.add_argument("--output", type=Path, default=_PICTURE, help="the file of the picture")
    arguments = parser.parse_args()
    terminal = standard_output()

    def render(stack: LocalStack) -> int:
        recording = run(stack, seconds=arguments.seconds, report=terminal.print)
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
        terminal.print(f"The picture is in {arguments.output}")
        return 0

    return run_program(render, arguments, terminal=terminal)


if __name__ == "__main__":
    sys.exit(main())
