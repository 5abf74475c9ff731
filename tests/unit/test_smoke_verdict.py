"""How `python -m ops smoke` judges a message, and how it describes an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from infra.producer import EventSource
from ops.smoke.chat import Answer, Experiment
from ops.smoke.run import Run, Sending
from tests.support.result_events import published_result

if TYPE_CHECKING:
    from infra.results import MessageResult

TEXT = "Smoke test 1: by queue"


def sending(outcome: str | None = None, problem: str | None = None) -> Sending:
    return Sending(
        source=EventSource.QUEUE, client_token="1-queue", text=TEXT, outcome=outcome, problem=problem
    )


SENT = published_result("SENT")
REJECTED = published_result("REJECTED")


@pytest.mark.parametrize(
    ("message", "result", "watched", "transcript", "problems"),
    [
        (sending(), SENT, True, [TEXT, "another"], []),
        (sending("SENT"), SENT, True, [TEXT], []),
        (sending(), None, False, [TEXT], []),
        (sending(), None, True, [TEXT], ["no result within 60 seconds"]),
        (sending(), SENT, True, [], ["not in the transcript"]),
        (sending(), SENT, True, [TEXT, TEXT], ["2 times in the transcript"]),
        (sending(), REJECTED, True, [], ["REJECTED Expired: ExpiresAt is past", "not in the transcript"]),
        (sending("FAILED"), None, False, [TEXT], ["the answer is FAILED"]),
        (sending(problem="HTTP 403"), None, True, [], ["HTTP 403", "not in the transcript"]),
    ],
)
def test_a_message_must_be_sent_and_shown_once(
    message: Sending,
    result: MessageResult | None,
    watched: bool,
    transcript: list[str],
    problems: list[str],
) -> None:
    run = Run(
        contact_id="c",
        chat_ended_by=None,
        not_watched=None if watched else "AccessDenied",
        sendings=[message],
        results={} if result is None else {"1-queue": result},
        experiments=[],
        transcript=transcript,
    )

    assert run.problems(message) == problems
    assert run.passed == (not problems)


@pytest.mark.parametrize(
    ("answers", "transcript", "seen"),
    [
        ([Answer("a"), Answer("a")], [TEXT], "accepted, its repeat has the same Id, in the transcript once"),
        (
            [Answer("a"), Answer("b")],
            [TEXT, TEXT],
            "accepted, its repeat has another Id, in the transcript 2 times",
        ),
        (
            [Answer("a"), Answer(None, "409 ConflictException")],
            [TEXT],
            "accepted, its repeat: 409 ConflictException, in the transcript once",
        ),
        ([Answer(None, "ReadTimeoutError")], [], "ReadTimeoutError, not in the transcript"),
    ],
)
def test_an_experiment_has_the_answers_and_the_transcript(
    answers: list[Answer], transcript: list[str], seen: str
) -> None:
    experiment = Experiment("the same ClientToken", TEXT, answers)

    assert experiment.observed(transcript) == seen
