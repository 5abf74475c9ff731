"""Completion of tasks: parameters, retries and errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

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
from message_sender.result import Failed, Rejected
from message_sender.task_callback import TaskCallback
from tests.support.errors import leaves
from tests.support.fakes import SENT, FakeAwsApi, FakeClock, result_of

if TYPE_CHECKING:
    from message_sender.result import Outcome

TOKEN = Secret("my-task-token")


def failure(name: str, status: int | None = 400) -> AwsCallError:
    return AwsCallError("SendTaskSuccess", name=name, http_status=status)


DOWN = failure("InternalFailure", 500)


class Setup:
    def __init__(self, *answers: AwsCallError) -> None:
        self.clock = FakeClock()
        self.step_functions = FakeAwsApi(lambda _: {}, list(answers))
        self._tasks = TaskCallback(step_functions=self.step_functions.client(self.clock))

    def complete(
        self, outcome: Outcome = SENT, *, correlation: Correlation | None = None, seconds: float = 60.0
    ) -> None:
        result = result_of(outcome, correlation=correlation)
        self._tasks.complete(TOKEN, result, until=self.clock.monotonic() + seconds)


def test_a_task_succeeds_with_the_result() -> None:
    setup = Setup()

    setup.complete(SENT)

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
def test_a_task_fails_with_the_name_of_the_error(outcome: Outcome, error: str) -> None:
    setup = Setup()

    setup.complete(outcome)

    expected = {"taskToken": "my-task-token", "error": error, "cause": "the reason"}
    assert setup.step_functions.calls == [("SendTaskFailure", expected)]


@pytest.mark.parametrize("name", ["TaskTimedOut", "TaskDoesNotExist"])
def test_a_task_that_no_longer_exists_is_not_an_error(name: str) -> None:
    setup = Setup(failure(name))

    setup.complete()

    assert len(setup.step_functions.calls) == 1


@pytest.mark.parametrize(
    "transient",
    [DOWN, failure("KmsThrottlingException"), failure("ReadTimeoutError", None)],
    ids=["500", "throttled", "no response"],
)
def test_a_transient_failure_is_retried_once(transient: AwsCallError) -> None:
    setup = Setup(transient)

    setup.complete()

    assert len(setup.step_functions.calls) == 2
    assert setup.clock.slept == [0.1]


def test_a_task_that_times_out_before_the_second_attempt_is_not_an_error() -> None:
    # The first attempt may have completed it, although its response was lost
    setup = Setup(failure("ReadTimeoutError", None), failure("TaskTimedOut"))

    setup.complete()

    assert len(setup.step_functions.calls) == 2


def test_a_second_failure_raises_an_error() -> None:
    setup = Setup(DOWN, failure("ServiceUnavailable", 503))

    with pytest.raises(AwsCallError) as raised:
        setup.complete()

    assert raised.value.name == "ServiceUnavailable"
    assert len(setup.step_functions.calls) == 2


@pytest.mark.parametrize("name", ["InvalidToken", "InvalidOutput", "KmsAccessDeniedException"])
def test_a_permanent_failure_is_not_retried(name: str) -> None:
    setup = Setup(failure(name))

    with pytest.raises(AwsCallError) as raised:
        setup.complete()

    assert raised.value.name == name
    assert len(setup.step_functions.calls) == 1


@pytest.mark.parametrize(("seconds", "calls"), [(2.9, 0), (3.0, 1), (3.05, 1), (3.1, 2)])
def test_a_call_is_not_started_without_time_for_it(seconds: float, calls: int) -> None:
    setup = Setup(DOWN, DOWN)

    with pytest.raises(AwsCallError):
        setup.complete(seconds=seconds)

    assert len(setup.step_functions.calls) == calls


def test_an_error_does_not_contain_the_token() -> None:
    setup = Setup(DOWN, DOWN)

    with pytest.raises(AwsCallError) as raised:
        setup.complete()

    assert "my-task-token" not in f"{raised.value!r} {raised.value} {vars(raised.value)}"


ERRORS = [*leaves(RejectedError), *leaves(RetryableError)]


@given(st.sampled_from(ERRORS), st.text(st.characters(), max_size=100), st.integers(0, 2000))
def test_a_failure_respects_the_limits_of_the_api(
    kind: type[RejectedError | RetryableError], text: str, times: int
) -> None:
    setup = Setup()
    error = kind(text * times)

    setup.complete(Rejected(error) if isinstance(error, RejectedError) else Failed(error))

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

    setup.complete(correlation=correlation)

    [(_, parameters)] = setup.step_functions.calls
    assert len(parameters["output"].encode()) < 262_144 / 4


@pytest.mark.parametrize("name", ["TaskDoesNotExist", "TaskTimedOut"])
def test_a_task_that_is_over_is_not_tried_again_whatever_the_status(name: str) -> None:
    setup = Setup(AwsCallError("SendTaskSuccess", name=name, http_status=503))

    setup.complete()

    assert len(setup.step_functions.calls) == 1
