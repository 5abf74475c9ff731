"""What the demo prints of its second act, and how it judges it."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from ops.stack.terminal import Terminal
from sandbox.console.console import FUNCTION, LOOP
from sandbox.console.scenarios import Finished
from sandbox.console.score import Score
from sandbox.demo.trouble import comparison, introduction, judge_trouble

GOOD = Score(sent=3, shown=2, explained=1, waiting=0, lost=0, twice=0, late=0, marks={}, missing={})
FINISHED = Finished(
    seconds=41.4,
    is_over=True,
    outcomes={1: "SENT", 2: "REJECTED", 3: "SENT"},
    scores={FUNCTION: GOOD, LOOP: replace(GOOD, shown=1, explained=0, lost=2)},
)


def problems(finished: Finished) -> list[str]:
    return [problem for check in judge_trouble(finished) for problem in check.problems]


def test_faults_of_the_loop_are_no_problem() -> None:
    assert problems(FINISHED) == []


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ("lost", "1 lost: no outcome, no retry"),
        ("waiting", "1 still waiting"),
        ("twice", "1 shown twice"),
        ("late", "1 out of order"),
    ],
)
def test_faults_of_this_stack_are_problems(fault: str, problem: str) -> None:
    scores = {**FINISHED.scores, FUNCTION: replace(GOOD, **{fault: 1})}  # type: ignore[arg-type]  # counts only

    assert problems(replace(FINISHED, scores=scores)) == [problem]


def test_message_that_stays_failed_is_a_problem() -> None:
    outcomes = {**FINISHED.outcomes, 3: "FAILED"}

    assert problems(replace(FINISHED, outcomes=outcomes)) == ["message 3: FAILED"]


def test_run_that_does_not_finish_is_a_problem() -> None:
    assert problems(replace(FINISHED, is_over=False)) == ["not finished after 41 seconds"]


def test_both_senders_are_in_one_table_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.stack.terminal._PLAIN_WIDTH", 80)
    stream = io.StringIO()

    Terminal(stream).print(introduction(), comparison(FINISHED))

    lines = stream.getvalue().splitlines()
    assert [line.split()[-2:] for line in lines if "lost: no outcome" in line] == [["0", "2"]]
    assert max(map(len, lines)) <= 80


def test_loss_that_this_stack_has_too_is_named() -> None:
    stream = io.StringIO()
    loop = replace(FINISHED.scores[LOOP], missing={"c-1": [2], "c-2": [3]})

    Terminal(stream).print(comparison(replace(FINISHED, scores={**FINISHED.scores, LOOP: loop})))

    assert "Of the 2 that the loop lost, this stack could not deliver 1 either" in stream.getvalue()
