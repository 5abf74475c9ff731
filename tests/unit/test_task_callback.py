"""Answers to tasks: what they hold, what is tried again, what is no error."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_sender.errors import (
    AccessDeniedError,
    AwsCallError,
    InvalidRequestError,
    RejectedError,
    RetryableError,
    ThrottledError,
)
from message_sender.request import Correlation, Secret
from message_sender.result import Failed, MessageResult, Origin, Rejected, Sent
from message_sender.task_callback import TaskCallback
from tests.support.errors import leaves
from tests.support.fakes import FakeAwsApi, FakeClock

MOMENT = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
SENT = Sent(message_id="m-1", absolute_time=None, processing_status=None)
TOKEN = Secret("my-task-token")

Outcome = Sent | Rejected | Failed


def failure(name: str, status: int | None = 400) -> AwsCallError:
    return AwsCallError("SendTaskSuccess", name=name, http_status=status)


DOWN = failure("InternalFailure", 500)


def result_of(outcome: Outcome, correlation: Correlation | None = None) -> MessageResult:
    return MessageResult(
        outcome=outcome,
        origin=Origin(event_source="sqs", source_id="s-1", accepted_at=MOMENT),
        correlation=correlation or Correlation(client_token="t-1"),
        completed_at=MOMENT,
        attempts=1,
    )


class Setup:
    def __init__(self, *answers: Any) -> None:  # noqa: ANN401  # an error or an answer
        self.clock = FakeClock()
        self.step_functions = FakeAwsApi(lambda _: {}, list(answers))
        self._tasks = TaskCallback(step_functions=self.step_functions.client(self.clock))

    def answer(
        self, outcome: Outcome = SENT, *, correlation: Correlation | None = None, seconds: float = 60.0
    ) -> None:
        result = result_of(outcome, correlation)
        self._tasks.complete(TOKEN, result, until=self.clock.monotonic() + seconds)


def test_a_task_succeeds_with_the_result() -> None:
    setup = Setup()

    setup.answer(SENT)

    [(operation, parameters)] = setup.step_functions.calls
    assert operation == "SendTaskSuccess"
    assert parameters.keys() == {"taskToken", "output"}
    assert parameters["taskToken"] == "my-task-token"
    assert json.loads(parameters["output"]) == result_of(SENT).detail()


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (Rejected(AccessDeniedError("the reason")), "AccessDeniedError"),
        (Rejected(InvalidRequestError("the reason")), "InvalidRequestError"),
        (Failed(ThrottledError("the reason")), "ThrottledError"),
    ],
)
def test_a_task_fails_under_the_name_of_the_error(outcome: Outcome, error: str) -> None:
    setup = Setup()

    setup.answer(outcome)

    expected = {"taskToken": "my-task-token", "error": error, "cause": "the reason"}
    assert setup.step_functions.calls == [("SendTaskFailure", expected)]


@pytest.mark.parametrize("name", ["TaskTimedOut", "TaskDoesNotExist"])
def test_a_task_that_no_longer_exists_needs_no_answer(name: str) -> None:
    setup = Setup(failure(name))

    setup.answer()

    assert len(setup.step_functions.calls) == 1


@pytest.mark.parametrize(
    "passing",
    [DOWN, failure("KmsThrottlingException"), failure("ReadTimeoutError", None)],
    ids=["500", "throttled", "no answer"],
)
def test_what_may_pass_is_tried_once_more(passing: AwsCallError) -> None:
    setup = Setup(passing)

    setup.answer()

    assert len(setup.step_functions.calls) == 2
    assert setup.clock.slept == [0.1]


def test_a_task_that_has_timed_out_at_the_second_try_needs_no_answer() -> None:
    # The first may have reached it, although its own answer was lost
    setup = Setup(failure("ReadTimeoutError", None), failure("TaskTimedOut"))

    setup.answer()

    assert len(setup.step_functions.calls) == 2


def test_after_one_retry_the_task_is_not_answered() -> None:
    setup = Setup(DOWN, failure("ServiceUnavailable", 503))

    with pytest.raises(AwsCallError) as raised:
        setup.answer()

    assert raised.value.name == "ServiceUnavailable"
    assert len(setup.step_functions.calls) == 2


@pytest.mark.parametrize("name", ["InvalidToken", "InvalidOutput", "KmsAccessDeniedException"])
def test_what_another_try_could_not_change_is_not_tried_again(name: str) -> None:
    setup = Setup(failure(name))

    with pytest.raises(AwsCallError) as raised:
        setup.answer()

    assert raised.value.name == name
    assert len(setup.step_functions.calls) == 1


@pytest.mark.parametrize(("seconds", "calls"), [(2.9, 0), (3.0, 1), (3.05, 1), (3.1, 2)])
def test_nothing_is_begun_that_could_not_end_in_time(seconds: float, calls: int) -> None:
    setup = Setup(DOWN, DOWN)

    with pytest.raises(AwsCallError):
        setup.answer(seconds=seconds)

    assert len(setup.step_functions.calls) == calls


def test_an_error_does_not_hold_the_token() -> None:
    setup = Setup(DOWN, DOWN)

    with pytest.raises(AwsCallError) as raised:
        setup.answer()

    assert "my-task-token" not in f"{raised.value!r} {raised.value} {vars(raised.value)}"


ERRORS = [*leaves(RejectedError), *leaves(RetryableError)]


@given(st.sampled_from(ERRORS), st.text(st.characters(), max_size=100), st.integers(0, 2000))
def test_a_failure_keeps_to_the_limits_of_the_api(
    kind: type[RejectedError | RetryableError], text: str, times: int
) -> None:
    setup = Setup()
    error = kind(text * times)

    setup.answer(Rejected(error) if isinstance(error, RejectedError) else Failed(error))

    [(_, parameters)] = setup.step_functions.calls
    assert parameters["error"] == kind.__name__
    assert len(parameters["error"]) <= 256
    assert len(parameters["cause"].encode()) <= 32_768
    reason = error.reason.encode(errors="replace").decode()
    assert reason.startswith(parameters["cause"])
    assert parameters["cause"] == reason or len(parameters["cause"].encode()) > 32_768 - 4


WIDE = "\U0001f600"  # four bytes, and twelve characters when escaped


@pytest.mark.parametrize("filler", ["a", "\x00", "\uffff", WIDE])
def test_the_longest_result_is_far_below_the_limit_of_an_output(filler: str) -> None:
    setup = Setup()
    correlation = Correlation(
        client_token=filler * 500,
        contact_id="c" * 128,
        content_type="application/vnd.amazonaws.connect.message.interactive.response",
        metadata={f"{number}{filler * 10}": filler * 256 for number in range(10)},  # more than is valid
    )

    setup.answer(correlation=correlation)

    [(_, parameters)] = setup.step_functions.calls
    assert len(parameters["output"].encode()) < 262_144 / 4
