"""A network without sockets: urllib3 and http.client are real, down to the bytes; only the server is not.

So a reset, a late answer or a body cut short reaches the function as the exception that urllib3 makes of it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from functools import partial
from http.client import responses
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple, Protocol

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from sandbox.participant_service.api import Answer, Ending

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping
    from random import Random

    from tests.simulation.models.clock import VirtualTime

_CONNECT_SECONDS: Final = 0.002
_HEAD_END: Final = b"\r\n\r\n"


class Request(NamedTuple):
    """A request as it arrived; the names of its headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Service(Protocol):
    """What listens at a host name. Answers at once: an answer's latency passes on the server."""

    def __call__(self, request: Request) -> Answer: ...


class Trouble(Protocol):
    """Decides what goes wrong on the server."""

    def connecting(self, host: str) -> str | None:
        """Return `refused` or `timeout` for a connection that does not come about."""
        ...

    def kept_alive_is_dead(self, host: str) -> bool:
        """Say whether the other side has closed a connection that is used again, unnoticed."""
        ...

    def arrives_late(self, host: str) -> float:
        """Return the seconds that a request is on its way: one whose sender may long have given up."""
        ...


class NoTrouble:
    """A network on which nothing goes wrong."""

    def connecting(self, host: str) -> str | None:  # noqa: ARG002  # the protocol's
        return None

    def kept_alive_is_dead(self, host: str) -> bool:  # noqa: ARG002  # the protocol's
        return False

    def arrives_late(self, host: str) -> float:  # noqa: ARG002  # the protocol's
        return 0.0


@dataclass(frozen=True, kw_only=True)
class Network:
    """Host names and what listens there.

    Args:
        random: For the time that an answer takes.
        typical_seconds: From a request to its answer, give or take a half, by host.
    """

    time: VirtualTime
    random: Random
    services: Mapping[str, Service]
    trouble: Trouble = field(default_factory=NoTrouble)
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
    """urllib3's connection over a fake socket. It skips TLS: no fault depends on it."""

    network: ClassVar[Network]

    def _new_conn(self) -> socket.socket:
        network = self.network
        trouble = network.trouble.connecting(self.host)
        if trouble == "timeout":
            network.time.sleep(self.timeout if isinstance(self.timeout, float) else 1.0)
            raise ConnectTimeoutError(self, "told to time out")
        network.time.sleep(_CONNECT_SECONDS)
        if trouble is not None or self.host not in network.services:
            raise NewConnectionError(self, "told to refuse")
        return VirtualSocket(network, self.host)  # type: ignore[return-value]  # as much of one as is used

    @property
    def is_connected(self) -> bool:
        """Whether it seems so: nobody notices a dead connection before it is used."""
        return self.sock is not None


class VirtualSocket:
    """One end of a connection. The other end is a service, which gets a request as soon as it is whole."""

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
        """Take an option of a real socket: there is none here."""

    def shutdown(self, how: int) -> None:
        """Be told that no more is read."""

    def close(self) -> None:
        """Be told that nobody uses this any more."""

    def sendall(self, data: bytes) -> None:
        self._sent += data
        head, separator, body = bytes(self._sent).partition(_HEAD_END)
        if not separator:
            return
        request = _request(head, body)
        if len(body) < int(request.headers.get("content-length", 0)):
            return
        self._sent.clear()
        self._answer = self._deliver(request)
        self._used_before = True

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002  # http.client reads bytes
        return io.BufferedReader(_Reader(self._receive))

    def _deliver(self, request: Request) -> _Incoming:
        """Hand a request to the service at once: whoever is cut off while it waits has sent it."""
        network = self._network
        service = network.services[self._host]
        arrives = network.time.monotonic() + network.answer_seconds(self._host)
        if self._used_before and network.trouble.kept_alive_is_dead(self._host):
            return _Incoming(b"", network.time.monotonic(), Ending.CLOSED)
        if late := network.trouble.arrives_late(self._host):
            network.time.after(late, partial(service, request))
            return _Incoming(b"", arrives + late, Ending.CLOSED)
        answer = service(request)
        return _Incoming(_bytes(answer), arrives + answer.latency, answer.ending)

    def _receive(self) -> bytes:
        """Return the next bytes, none at the end.

        Raises:
            TimeoutError: They do not come in time.
            ConnectionResetError: The other side broke the connection.
        """
        time, answer = self._network.time, self._answer
        wait = answer.arrives - time.monotonic()
        if self._timeout is not None and wait > self._timeout:
            time.sleep(self._timeout)
            raise TimeoutError("timed out")
        if wait > 0:
            time.sleep(wait)
        if answer.ending is Ending.RESET:
            raise ConnectionResetError("told to reset")
        data, answer.data = answer.data, b""
        return data


@dataclass(slots=True)
class _Incoming:
    """Bytes on the way, and when they arrive: none for an answer that never comes."""

    data: bytes
    arrives: float
    ending: Ending


class _Reader(io.RawIOBase):
    def __init__(self, receive: Callable[[], bytes]) -> None:
        self._receive = receive
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  # a writable buffer, which has no name in 3.11
        self._left = self._left or self._receive()
        size = min(len(buffer), len(self._left))
        buffer[:size], self._left = self._left[:size], self._left[size:]
        return size


def _request(head: bytes, body: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = dict(line.split(": ", 1) for line in lines)
    return Request(method, path, {name.lower(): value for name, value in headers.items()}, body)


def _bytes(answer: Answer) -> bytes:
    """Write an answer as it goes over the server, cut where it is cut."""
    if answer.ending in {Ending.CLOSED, Ending.RESET}:
        return b""
    headers = {**answer.headers, "content-length": str(len(answer.body))}
    lines = [f"HTTP/1.1 {answer.status} {responses.get(answer.status, '')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    body = answer.body
    if answer.ending is Ending.BODY_CUT_SHORT:
        body = body[: len(body) // 2]
    return "\r\n".join(lines).encode("latin-1") + _HEAD_END + body
