"""What `make smoke` makes of what it has seen."""

from __future__ import annotations

import pytest

from ops.smoke.chat import Refused, Sent
from ops.smoke.deployment import Deployment, DeploymentError
from ops.smoke.observations import Attempt
from ops.smoke.results import Result
from ops.smoke.run import Run, Sending, judge
from ops.smoke.sources import Answer, Source

TEXT = "Smoke test 1: by queue"
SENT = Result(client_token="1-queue", outcome="SENT", code=None, reason=None)
REJECTED = Result(client_token="1-queue", outcome="REJECTED", code="Expired", reason="It was late.")


@pytest.mark.parametrize(
    ("answer", "result", "watched", "transcript", "problems"),
    [
        (Answer(), SENT, True, [TEXT, "another"], ()),
        (Answer(outcome="SENT"), SENT, True, [TEXT], ()),
        (Answer(), None, False, [TEXT], ()),
        (Answer(), None, True, [TEXT], ("no result within 60 seconds",)),
        (Answer(), SENT, True, [], ("not in the transcript",)),
        (Answer(), SENT, True, [TEXT, TEXT], ("2 times in the transcript",)),
        (Answer(), REJECTED, True, [], ("REJECTED Expired: It was late.", "not in the transcript")),
        (Answer(outcome="FAILED"), None, False, [TEXT], ("the answer is FAILED",)),
        (Answer(problem="HTTP 403"), None, True, [], ("HTTP 403", "not in the transcript")),
    ],
)
def test_a_message_is_to_be_sent_and_shown_once(
    answer: Answer, result: Result | None, watched: bool, transcript: list[str], problems: tuple[str, ...]
) -> None:
    sending = Sending(source=Source.QUEUE, client_token="1-queue", text=TEXT, answer=answer)

    delivery = judge(sending, result, transcript, results_watched=watched)

    assert delivery.problems == problems
    run = Run(contact_id="c", chat_ended_by=None, not_watched=None, deliveries=(delivery,), observations=())
    assert run.passed == (not problems)


@pytest.mark.parametrize(
    ("answers", "transcript", "seen"),
    [
        ([Sent("a"), Sent("a")], [TEXT], "accepted, its repeat has the same Id, in the transcript once"),
        (
            [Sent("a"), Sent("b")],
            [TEXT, TEXT],
            "accepted, its repeat has another Id, in the transcript 2 times",
        ),
        (
            [Sent("a"), Refused("ConflictException", 409)],
            [TEXT],
            "accepted, its repeat: 409 ConflictException, in the transcript once",
        ),
        ([Refused("ReadTimeoutError", None)], [], "ReadTimeoutError, not in the transcript"),
    ],
)
def test_an_observation_says_what_was_answered_and_shown(
    answers: list[Sent | Refused], transcript: list[str], seen: str
) -> None:
    attempt = Attempt(what="the same ClientToken", text=TEXT, answers=tuple(answers))

    assert attempt.observed(transcript).seen == seen


def test_the_sources_are_those_that_the_stack_has_outputs_for() -> None:
    deployment = Deployment(
        stack_name="ConnectMessageSender-prod",
        outputs={"MessageQueueUrl": "https://queue", "FunctionAliasArn": "arn:function"},
    )

    assert deployment.sources(None) == (Source.QUEUE, Source.DIRECT)
    assert deployment.sources((Source.DIRECT,)) == (Source.DIRECT,)
    with pytest.raises(DeploymentError, match=r"no output StateMachineArn(.|\n)*make deploy STAGE=prod"):
        deployment.sources((Source.QUEUE, Source.WORKFLOW))
