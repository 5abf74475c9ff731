"""Operators in virtual time: boto3's methods over the models, and commands that run until nothing is left."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from sandbox.participant_service.api import Answer, Ending
from tests.simulation.fault_profiles import NO_FAULTS, Fault, FaultInjector, FaultProfile
from tests.simulation.models.clock import VirtualTime
from tests.simulation.models.operator import AwsClient, Operator

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.models.network import Request

PARAMETERS = {"QueueUrl": "https://sqs/000000000000/dead-letter.fifo", "ReceiptHandle": "r"}


class Called:
    """A service that records its requests, and always gives the same answer."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Answer:
        self.requests.append(request)
        return self._answer


def answer(
    status: int = 200, body: bytes = b"{}", latency: float = 0.0, ending: Ending = Ending.KEPT_OPEN
) -> Answer:
    return Answer(status=status, headers={}, body=body, latency=latency, ending=ending)


def call(service: Called, time: VirtualTime) -> object:
    """Call a service as boto3 does. Return the answer, or the error."""
    task = time.start(lambda: AwsClient(service, time).delete_message(**PARAMETERS))
    time.run()
    return task.error or task.result


def test_a_method_of_boto3_is_an_operation_of_the_service() -> None:
    service = Called(answer(body=b'{"a": 1}'))

    assert call(service, VirtualTime()) == {"a": 1}
    assert service.requests[0].headers["x-amz-target"] == "Service.DeleteMessage"


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (answer(400, b'{"__type": "com.amazonaws.sqs#Denied"}'), ClientError),
        (answer(latency=30.0), ReadTimeoutError),
        (answer(ending=Ending.RESET), ConnectionClosedError),
    ],
)
def test_a_failed_call_raises_the_error_of_boto3(given: Answer, error: type[Exception]) -> None:
    raised = call(Called(given), VirtualTime())

    assert isinstance(raised, error)
    if isinstance(raised, ClientError):
        assert raised.response["Error"]["Code"] == "Denied"
        assert raised.response["ResponseMetadata"]["HTTPStatusCode"] == 400


class Desk:
    """An operator with commands that take three seconds each, and succeed at the n-th run."""

    def __init__(self, profile: FaultProfile = NO_FAULTS) -> None:
        self.time = VirtualTime()
        injector = FaultInjector(time=self.time, random=Random(1), profile=profile)
        self.operator = Operator(time=self.time, random=Random(2), injector=injector, services={})
        self.begun: list[str] = []
        self.done: list[str] = []

    def command(self, name: str, *, done_at: int = 1) -> Callable[[], bool]:
        def run() -> bool:
            self.begun.append(name)
            self.time.sleep(3)
            self.done.append(name)
            return self.done.count(name) >= done_at

        return run


def test_a_command_is_repeated_until_nothing_is_left_before_the_next_starts() -> None:
    desk = Desk()

    desk.operator.carry_out([desk.command("a", done_at=3), desk.command("b")])
    desk.time.run()

    assert desk.done == ["a", "a", "a", "b"]
    assert desk.time.monotonic() > 2 * 900  # an interrupted run hides its dead letters as long


def test_an_interrupted_run_is_repeated() -> None:
    desk = Desk({Fault.OPERATOR_CUT_OFF: 1.0})

    desk.operator.carry_out([desk.command("a")])
    desk.time.run()

    assert desk.begun == ["a"] * 12
    assert desk.done == []


def test_a_defect_in_a_command_is_reported() -> None:
    desk = Desk()

    def broken() -> bool:
        raise KeyError

    desk.operator.carry_out([broken])

    with pytest.raises(KeyError):
        desk.time.run()
