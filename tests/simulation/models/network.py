"""A network without sockets: urllib3 and http.client are real, down to the bytes, and the server is a model.

So the function sees a reset, a late answer or a cut body as the exception that urllib3 raises for it.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from functools import partial
from http.client import responses
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Protocol

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from sandbox.participant_service.faults import Ending

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping
    from random import Random

    from _typeshed import WriteableBuffer

    from sandbox.participant_service.api import Answer
    from tests.simulation.models.clock import VirtualTime

_CONNECT_SECONDS: Final = 0.002
_HEAD_END: Final = b"\r\n\r\n"
_CONTENT_LENGTH: Final = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


class Request(NamedTuple):
    """A request as the server sees it. Names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Service(Protocol):
    """Listens at a host name. It answers at once; the network adds the latency of the answer."""

    def __call__(self, request: Request) -> Answer: ...


class NetworkFaults(Protocol):
    """Decides which faults of the network occur. The body is that of the request that they hit."""

    def connecting(self, host: str, body: bytes, /) -> str | None:
        """Return `refused` or `timeout` for a connection that fails, else None."""
        ...

    def kept_alive_is_dead(self, host: str, body: bytes, /) -> bool:
        """Return whether the server has closed an idle connection that the client reuses."""
        ...

    def arrives_late(self, host: str, body: bytes, /) -> float:
        """Return the seconds by which a request arrives late, when its sender may have timed out."""
        ...


class NoFaults:
    """A network without faults."""

    def connecting(self, _host: str, _body: bytes) -> str | None:
        return None

    def kept_alive_is_dead(self, _host: str, _body: bytes) -> bool:
        return False

    def arrives_late(self, _host: str, _body: bytes) -> float:
        return 0.0


@dataclass(frozen=True, kw_only=True)
class Network:
    """Host names and the services that listen there.

    Args:
        random: For the time that an answer takes.
        typical_seconds: From a request to its answer, plus or minus 50 %, by host.
    """

    time: VirtualTime
    random: Random
    services: Mapping[str, Service]
    faults: NetworkFaults = field(default_factory=NoFaults)
    typical_seconds: Mapping[str, float] = field(default_factory=dict)

    def pools(self) -> urllib3.PoolManager:
        """Return urllib3's pools over this network, as an instance of the function has them."""

        class Connection(VirtualConnection):
            network = self

        class Pool(HTTPConnectionPool):
            scheme = "https"
            ConnectionCls = Connection

        manager = urllib3.PoolManager(maxsize=10, retries=False)
        manager.pool_classes_by_scheme = {"https": Pool}
        return manager

    def answer_seconds(self, host: str) -> float:
        return self.typical_seconds.get(host, 0.03) * (0.5 + self.random.random())


class VirtualConnection(HTTPConnection):
    """urllib3's connection over a fake socket. It skips TLS, because no fault depends on it."""

    network: ClassVar[Network]
    _body: bytes = b""

    def request(self, method: str, url: str, body: Any = None, headers: Any = None, **options: Any) -> None:  # noqa: ANN401  # as urllib3 has it
        """Keep the body of the request for which the connection is made."""
        self._body = body.encode() if isinstance(body, str) else body or b""
        super().request(method, url, body, headers, **options)

    def _new_conn(self) -> socket.socket:
        network = self.network
        fault = network.faults.connecting(self.host, self._body)
        if fault == "timeout":
            network.time.sleep(self.timeout if isinstance(self.timeout, float) else 1.0)
            raise ConnectTimeoutError(self, "a fault of the profile")
        network.time.sleep(_CONNECT_SECONDS)
        if fault is not None or self.host not in network.services:
            raise NewConnectionError(self, "a fault of the profile")
        return VirtualSocket(network, self.host)  # type: ignore[return-value]  # it has the methods that urllib3 calls

    @property
    def is_connected(self) -> bool:
        """Whether the client believes so: it notices a dead connection only when it uses it."""
        return self.sock is not None


class VirtualSocket:
    """The client's end of a connection. The service at the other end gets a request when it is complete."""

    def __init__(self, network: Network, host: str) -> None:
        self._network = network
        self._host = host
        self._timeout: float | None = None
        self._sent = bytearray()
        self._answer = _Incoming(b"", 0.0, Ending.CLOSED)
        self._used_before = False

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def setsockopt(self, *option: object) -> None:
        """Ignore an option of a real socket."""

    def shutdown(self, how: int) -> None:
        """Ignore the end of reading."""

    def close(self) -> None:
        """Ignore the end of use."""

    def sendall(self, data: bytes) -> None:
        self._sent += data
        head, separator, body = bytes(self._sent).partition(_HEAD_END)
        length = _CONTENT_LENGTH.search(head)
        if not separator or (length and len(body) < int(length[1])):
            return
        self._sent.clear()
        self._answer = self._deliver(_request(head, body))
        self._used_before = True

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._receive))

    def _deliver(self, request: Request) -> _Incoming:
        """Pass a request to the service at once: a client that is killed while it waits has sent it."""
        network = self._network
        service = network.services[self._host]
        arrives = network.time.monotonic() + network.answer_seconds(self._host)
        if self._used_before and network.faults.kept_alive_is_dead(self._host, request.body):
            return _Incoming(b"", network.time.monotonic(), Ending.CLOSED)
        if late := network.faults.arrives_late(self._host, request.body):
            network.time.after(late, partial(service, request))
            return _Incoming(b"", arrives + late, Ending.CLOSED)
        answer = service(request)
        return _Incoming(_bytes(answer), arrives + answer.latency, answer.ending)

    def _receive(self) -> bytes:
        """Return the next bytes, or none at the end.

        Raises:
            TimeoutError: They do not arrive in time.
            ConnectionResetError: The server broke the connection.
        """
        time, answer = self._network.time, self._answer
        wait = answer.arrives - time.monotonic()
        if self._timeout is not None and wait > self._timeout:
            time.sleep(self._timeout)
            raise TimeoutError("timed out")
        if wait > 0:
            time.sleep(wait)
        if answer.ending is Ending.RESET:
            raise ConnectionResetError("a fault of the profile")
        data, answer.data = answer.data, b""
        return data


@dataclass(slots=True)
class _Incoming:
    """Bytes on the way and the moment of their arrival. No bytes: the connection ends without an answer."""

    data: bytes
    arrives: float
    ending: Ending


class _Reader(io.RawIOBase):
    def __init__(self, receive: Callable[[], bytes]) -> None:
        self._receive = receive
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        self._left = self._left or self._receive()
        size = min(len(view), len(self._left))
        view[:size], self._left = self._left[:size], self._left[size:]
        return size


def _request(head: bytes, body: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines)
    return Request(method, path, {name.lower(): value for name, value in headers.items()}, body)


def _bytes(answer: Answer) -> bytes:
    """Return an answer as bytes, cut where the fault cuts it."""
    if answer.ending in {Ending.CLOSED, Ending.RESET}:
        return b""
    headers = {**answer.headers, "content-length": str(len(answer.body))}
    lines = [f"HTTP/1.1 {answer.status} {responses.get(answer.status, '')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    body = answer.body
    if answer.ending is Ending.BODY_CUT_SHORT:
        body = body[: len(body) // 2]
    return "\r\n".join(lines).encode("latin-1") + _HEAD_END + body
