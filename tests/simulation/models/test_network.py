"""The network: how urllib3 reports each of its faults."""

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

from sandbox.participant_service.api import Answer
from sandbox.participant_service.faults import Ending
from tests.simulation.models.clock import VirtualTime
from tests.simulation.models.network import Network, NoFaults

if TYPE_CHECKING:
    from tests.simulation.models.network import NetworkFaults, Request

ANSWER = Answer(headers={"x-amzn-requestid": "r-1"}, body=b'{"Id": "1"}')


@dataclass
class Client:
    """Calls a service that always gives the same answer."""

    answer: Answer = ANSWER
    faults: NetworkFaults = field(default_factory=NoFaults)
    time: VirtualTime = field(default_factory=VirtualTime)
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.network = Network(
            time=self.time, random=Random(1), services={"there": self._serve}, faults=self.faults
        )
        self.pools = self.network.pools()

    def _serve(self, request: Request) -> Answer:
        self.requests.append(request)
        return self.answer

    def call(self, *, host: str = "there", calls: int = 1) -> urllib3.BaseHTTPResponse:
        """Call in virtual time. Return the last response, or raise the error that ended the calls."""

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


def test_a_request_reaches_the_service_and_its_answer_the_client() -> None:
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
def test_a_broken_connection_is_an_error_after_the_request_has_arrived(ending: Ending) -> None:
    client = Client(answer=replace(ANSWER, ending=ending))

    with pytest.raises(ProtocolError):
        client.call()

    assert len(client.requests) == 1


def test_an_answer_after_the_read_timeout_is_a_timeout_after_the_request_has_arrived() -> None:
    client = Client(answer=replace(ANSWER, latency=7.0))

    with pytest.raises(ReadTimeoutError):
        client.call()

    assert len(client.requests) == 1
    assert client.time.monotonic() == pytest.approx(5.0, abs=0.01)


def test_the_client_waits_for_an_answer_within_the_read_timeout() -> None:
    client = Client(answer=replace(ANSWER, latency=4.0))

    assert client.call().status == 200
    assert client.time.monotonic() == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize(
    ("kind", "error"), [("refused", NewConnectionError), ("timeout", ConnectTimeoutError)]
)
def test_a_failed_connection_is_an_error_and_no_request_arrives(kind: str, error: type[HTTPError]) -> None:
    class Down(NoFaults):
        def connecting(self, _host: str, _body: bytes) -> str:
            return kind

    client = Client(faults=Down())

    with pytest.raises(error):
        client.call()

    assert client.requests == []


def test_an_unknown_host_refuses_the_connection() -> None:
    with pytest.raises(NewConnectionError):
        Client().call(host="elsewhere")


def test_the_client_notices_a_dead_connection_only_when_it_reuses_it() -> None:
    class DeadOnUse(NoFaults):
        def kept_alive_is_dead(self, _host: str, _body: bytes) -> bool:
            return True

    client = Client(faults=DeadOnUse())

    with pytest.raises(ProtocolError):
        client.call(calls=2)

    assert len(client.requests) == 1


def test_a_request_can_arrive_after_its_sender_has_timed_out() -> None:
    class Late(NoFaults):
        def arrives_late(self, _host: str, _body: bytes) -> float:
            return 8.0

    client = Client(faults=Late())

    with pytest.raises(ReadTimeoutError):
        client.call()

    assert len(client.requests) == 1
    assert client.time.monotonic() == pytest.approx(8.0, abs=0.1)
