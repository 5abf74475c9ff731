"""Tasks that wait for a callback: SendTaskSuccess and SendTaskFailure."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING

from tests.simulation.fault_profiles import NO_FAULTS, Fault, FaultInjector, FaultProfile
from tests.simulation.models.aws import NO_ANSWER_SECONDS, StepFunctions
from tests.simulation.models.clock import VirtualTime
from tests.simulation.models.network import Request

if TYPE_CHECKING:
    from sandbox.participant_service.api import Answer
    from tests.simulation.models.aws import WaitingTask


class Tasks:
    """Step Functions, and the timeouts that its state machines saw."""

    def __init__(self, profile: FaultProfile = NO_FAULTS) -> None:
        self.time = VirtualTime()
        self.injector = FaultInjector(time=self.time, random=Random(1), profile=profile)
        self.step_functions = StepFunctions(self.time, self.injector, "task-")
        self.timeouts: list[float] = []

    def start(self, *, timeout: float = 60.0) -> WaitingTask:
        return self.step_functions.start_task(
            timeout=timeout, on_timeout=lambda: self.timeouts.append(self.time.monotonic())
        )

    def call(self, token: str, *, operation: str = "SendTaskSuccess") -> Answer:
        body = json.dumps({"taskToken": token, "output": "{}"}).encode()
        headers = {"x-amz-target": f"AWSStepFunctions.{operation}"}
        return self.step_functions(Request("POST", "/", headers, body))

    def answer(self, token: str, *, operation: str = "SendTaskSuccess") -> tuple[int, str | None]:
        """Answer a task. Return the status and the name of the error."""
        answer = self.call(token, operation=operation)
        return answer.status, json.loads(answer.body).get("__type", "").rpartition("#")[2] or None


def test_a_task_accepts_one_answer() -> None:
    tasks = Tasks()
    task = tasks.start()

    tasks.time.run(until=7)
    answers = [tasks.answer(task.token), tasks.answer(task.token, operation="SendTaskFailure")]
    tasks.time.run()

    assert answers == [(200, None), (400, "TaskDoesNotExist")]
    assert task.answer == ("SendTaskSuccess", {"output": "{}"})
    assert task.timed_out_at is None
    assert tasks.timeouts == []


def test_a_task_that_has_timed_out_accepts_no_answer() -> None:
    tasks = Tasks()
    task = tasks.start(timeout=60)

    tasks.time.run()

    assert tasks.answer(task.token) == (400, "TaskTimedOut")
    assert (task.answer, task.timed_out_at, tasks.timeouts) == (None, 60, [60])
    assert tasks.injector.counts == {Fault.TASK_TIMED_OUT: 1}


def test_a_stopped_task_accepts_no_answer_and_does_not_time_out() -> None:
    tasks = Tasks()
    task = tasks.start()

    tasks.step_functions.stop(task)
    tasks.time.run()

    assert tasks.answer(task.token) == (400, "TaskDoesNotExist")
    assert tasks.timeouts == []


def test_an_unknown_task_token_is_invalid() -> None:
    assert Tasks().answer("unknown") == (400, "InvalidToken")


def test_a_failed_callback_has_no_effect_and_is_counted() -> None:
    tasks = Tasks({Fault.TASK_ANSWER_FAILS: 1.0})
    task = tasks.start()

    tasks.answer(task.token)

    assert (task.answer, task.calls_lost) == (None, 1)


def test_a_callback_without_a_response_was_accepted() -> None:
    tasks = Tasks({Fault.TASK_ANSWER_TIMES_OUT: 1.0})
    task = tasks.start()

    answer = tasks.call(task.token)

    assert answer.latency >= NO_ANSWER_SECONDS
    assert task.answer is not None


def test_an_operation_without_a_model_is_rejected() -> None:
    tasks = Tasks()

    assert tasks.answer(tasks.start().token, operation="SendTaskHeartbeat")[0] == 400
