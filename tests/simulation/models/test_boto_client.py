"""The boto3 client in front of a model: its methods and its errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from sandbox.participant_service.api import Answer
from sandbox.participant_service.faults import Ending
from tests.simulation.models.boto_client import BotoClient
from tests.simulation.models.clock import VirtualTime

if TYPE_CHECKING:
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
    task = time.start(lambda: BotoClient(service, time).delete_message(**PARAMETERS))
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
