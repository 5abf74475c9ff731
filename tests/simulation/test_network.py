"""The server: what urllib3 makes of each thing that can go wrong on it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING

import pytest
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)

from sandbox.participant_service.api import Answer, Ending
from tests.simulation.models.clock import VirtualTime
from tests.simulation.models.network import Network, NoTrouble

if TYPE_CHECKING:
    from tests.simulation.models.network import Request, Trouble

ANSWER = Answer(headers={"x-amzn-requestid": "r-1"}, body=b'{"Id": "1"}')


@dataclass
class Client:
    """Calls a service that answers what it is told."""

    answer: Answer = ANSWER
    trouble: Trouble = field(default_factory=NoTrouble)
    time: VirtualTime = field(default_factory=VirtualTime)
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.network = Network(
            time=self.time, random=Random(1), services={"there": self._serve}, trouble=self.trouble
        )
        self.pools = self.network.pools()

    def _serve(self, request: Request) -> Answer:
        self.requests.append(request)
        return self.answer

    def call(self, *, host: str = "there", calls: int = 1) -> urllib3.BaseHTTPResponse:
        """Call in virtual time, and return the last response or raise what ended the calls."""

        def main() -> urllib3.BaseHTTPResponse:
            for _ in range(calls):
                response = self.pools.request(
                    "POST",
                    f"https://{host}/path",
                    body=b"{}",
                    headers={"X-Amz-Target": "Service.Operation"},
                    timeout=urllib3.Timeout(connect=1.0, read=5.0),
                    retries=False,
                )
            return response

        task = self.time.start(main)
        self.time.run()
        if task.error is not None:
            raise task.error
        assert isinstance(task.result, urllib3.BaseHTTPResponse)
        return task.result


def test_a_request_arrives_and_its_answer_comes_back() -> None:
    client = Client(answer=replace(ANSWER, status=429))

    response = client.call()

    assert (response.status, response.data, response.headers["X-Amzn-RequestId"]) == (
        429,
        ANSWER.body,
        "r-1",
    )
    [request] = client.requests
    assert (request.method, request.path, request.body) == ("POST", "/path", b"{}")
    assert request.headers["x-amz-target"] == "Service.Operation"
    assert 0 < client.time.monotonic() < 0.1


@pytest.mark.parametrize("ending", [Ending.CLOSED, Ending.RESET, Ending.BODY_CUT_SHORT])
def test_a_connection_that_breaks_is_an_error_though_the_request_arrived(ending: Ending) -> None:
    client = Client(answer=replace(ANSWER, ending=ending))

    with pytest.raises(ProtocolError):
        client.call()

    assert len(client.requests) == 1


def test_an_answer_past_the_read_timeout_is_a_timeout_though_the_request_arrived() -> None:
    client = Client(answer=replace(ANSWER, latency=7.0))

    with pytest.raises(ReadTimeoutError):
        client.call()

    assert len(client.requests) == 1
    assert client.time.monotonic() == pytest.approx(5.0, abs=0.01)


def test_a_late_answer_within_the_read_timeout_is_waited_for() -> None:
    client = Client(answer=replace(ANSWER, latency=4.0))

    assert client.call().status == 200
    assert client.time.monotonic() == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize(
    ("kind", "error"), [("refused", NewConnectionError), ("timeout", ConnectTimeoutError)]
)
def test_no_connection_is_an_error_and_nothing_arrives(kind: str, error: type[HTTPError]) -> None:
    class Down(NoTrouble):
        def connecting(self, host: str) -> str:  # noqa: ARG002  # the protocol's
            return kind

    client = Client(trouble=Down())

    with pytest.raises(error):
        client.call()

    assert client.requests == []


def test_an_unknown_host_refuses() -> None:
    with pytest.raises(NewConnectionError):
        Client().call(host="elsewhere")


def test_a_connection_is_used_again_and_found_dead_only_then() -> None:
    class DeadOnUse(NoTrouble):
        def kept_alive_is_dead(self, host: str) -> bool:  # noqa: ARG002  # the protocol's
            return True

    client = Client(trouble=DeadOnUse())

    with pytest.raises(ProtocolError):
        client.call(calls=2)

    assert len(client.requests) == 1


def test_a_request_may_arrive_when_its_sender_has_given_up() -> None:
    class Slow(NoTrouble):
        def arrives_late(self, host: str) -> float:  # noqa: ARG002  # the protocol's
            return 8.0

    client = Client(trouble=Slow())

    with pytest.raises(ReadTimeoutError):
        client.call()

    assert len(client.requests) == 1
    assert client.time.monotonic() == pytest.approx(8.0, abs=0.1)
