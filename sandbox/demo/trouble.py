"""The second act: everything that can break does, for this stack and for a plain boto3 loop beside it.

The console's scenario “All of it”, and its score.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from infra.results import Outcome
from sandbox.console.console import FUNCTION, LOOP, TIME_LAPSE, Console
from sandbox.console.plain_loop import VARIANTS
from sandbox.console.scenarios import SCENARIOS, Runner
from sandbox.demo.verdict import Check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from sandbox.console.scenarios import Finished
    from sandbox.console.score import Score
    from sandbox.local_stack import LocalStack

SCENARIO = "all"
_VARIANT = "log"
_LOOP_SECONDS = 5.0  # for the plain loop, after this stack has finished
_COUNTS: Mapping[str, str] = {
    "sent": "messages sent",
    "shown": "shown in their chat",
    "explained": "not sent, with an outcome that says why",
    "lost": "lost: no outcome, no retry",
    "waiting": "still waiting",
    "twice": "shown twice",
    "late": "out of order",
}
_FAULTS = {"lost", "waiting", "twice", "late"}


def introduction() -> Group:
    scenario = SCENARIOS[SCENARIO]
    return Group(
        Text("\nThe second act: trouble", style="bold"),
        Text(
            f"{scenario.messages} messages for {scenario.chats} chats, through this stack "
            "and a plain boto3 loop.\nThis takes up to a minute. To skip it: make demo ACT=1"
        ),
        *(Text(f"Time-lapse: {text}", style="dim") for text in TIME_LAPSE),
        Text(),
    )


def make_trouble(stack: LocalStack, *, folder: Path, report: Callable[[float, str], None]) -> Finished:
    """Run the scenario.

    Args:
        folder: Of the local stack.
        report: Gets each thing that breaks when it has, with the seconds since the start.
    """
    console = Console(stack, folder=folder)
    console.start()
    try:
        with _results(stack, console):
            return Runner(console).run(SCENARIO, variant=_VARIANT, loop_seconds=_LOOP_SECONDS, report=report)
    finally:
        console.stop()


@contextmanager
def _results(stack: LocalStack, console: Console) -> Iterator[None]:
    """Hand the results that arrive to the console."""
    stopped = threading.Event()

    def receive() -> None:
        while not stopped.is_set():
            for result in stack.results.receive():
                console.on_result(result)

    thread = threading.Thread(target=receive, name="demo-results")
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def judge_trouble(finished: Finished) -> Sequence[Check]:
    """Judge this stack by what the project promises. The loop promises nothing."""
    score = finished.scores[FUNCTION]
    faults = [
        f"{count} {_COUNTS[name]}" for name in _COUNTS if (count := getattr(score, name)) and name in _FAULTS
    ]
    if not finished.is_over:
        faults.append(f"not finished after {finished.seconds:.0f} seconds")
    failed = [
        f"message {number}: FAILED" for number, each in finished.outcomes.items() if each == Outcome.FAILED
    ]
    return [
        Check("In trouble, no message was lost, shown twice or out of order", faults),
        Check("The message that failed was redriven, and then sent", failed),
    ]


def comparison(finished: Finished) -> Group:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("this stack", justify="right")
    table.add_column("plain boto3 loop", justify="right")
    for name, text in _COUNTS.items():
        table.add_row(text, *(_count(finished.scores[side], name) for side in (FUNCTION, LOOP)))
    return Group(
        Text(
            f"\nFinished after {finished.seconds:.0f} s. Both senders had the same messages and faults",
            style="bold",
        ),
        table,
        *_hopeless(finished),
        Text(
            f"After an error, this loop {VARIANTS[_VARIANT]}: no outcome, no retry. `make sandbox` has "
            "its other variants, and each breaks in its own way.",
            style="dim",
        ),
        Text(),
    )


def _hopeless(finished: Finished) -> Iterator[Text]:
    """Say how many of the loop's losses this stack could not deliver either."""
    rejected = {number for number, each in finished.outcomes.items() if each == Outcome.REJECTED}
    lost = {number for numbers in finished.scores[LOOP].missing.values() for number in numbers}
    if hopeless := len(rejected & lost):
        yield Text(
            f"Of the {len(lost)} that the loop lost, this stack could not deliver {hopeless} either: "
            "their chat had ended, or their token had expired.",
            style="dim",
        )


def _count(score: Score, name: str) -> Text:
    count = getattr(score, name)
    style = "" if name not in _FAULTS else "red" if count else "green"
    return Text(str(count), style=style)
