"""Runs the service on uvicorn: on loopback, in a thread of this process, on connections that can be cut."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox.participant_service.api import ParticipantApi
from sandbox.participant_service.app import participant_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sandbox.participant_service.chats import ParticipantService
    from sandbox.participant_service.faults import FaultPlan
    from sandbox.participant_service.throttle import Throttle

_START_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class RunningParticipantService:
    """A service that listens at `url`, and a way into it that tests in the same process can use."""

    url: str
    api: ParticipantApi

    @property
    def service(self) -> ParticipantService:
        return self.api.service

    @property
    def faults(self) -> FaultPlan:
        return self.api.faults

    @property
    def throttle(self) -> Throttle:
        return self.api.throttle


@contextmanager
def running_participant_service(
    *, host: str = "127.0.0.1", port: int = 0, clock: Callable[[], float] = time.time
) -> Iterator[RunningParticipantService]:
    """Serve until the block is left; then neither thread nor socket is left.

    Args:
        host: a loopback address.
        port: 0 takes a free one.
        clock: seconds since the epoch, for all that the service decides; a fault's latency is real time.

    Raises:
        ValueError: the host is not a loopback address.
        OSError: the port is taken.
    """
    api = ParticipantApi(clock=clock)
    listener = _listen(host, port)
    server = _Server(
        uvicorn.Config(
            participant_app(api),
            loop="asyncio",
            http=_CuttableConnection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            # As long as a load balancer would: the function keeps its connections.
            timeout_keep_alive=60,
            access_log=False,
            log_config=None,
            log_level="warning",
            server_header=False,
            date_header=False,
        )
    )
    thread = threading.Thread(target=server.run, args=([listener],), name="participant-service")
    thread.start()
    if not server.ready.wait(_START_TIMEOUT):
        raise RuntimeError("The participant service did not start")
    try:
        authority = f"[{host}]" if ":" in host else host
        yield RunningParticipantService(f"http://{authority}:{listener.getsockname()[1]}", api)
    finally:
        server.stop()
        thread.join()


def _listen(host: str, port: int) -> socket.socket:
    address = ipaddress.ip_address(host)
    if not address.is_loopback:
        raise ValueError(f"{host} is not a loopback address")
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004  # the version's name
    return socket.create_server((host, port), family=family)


class _CuttableConnection(H11Protocol):
    """Hands its transport to the application, in the `state` of the ASGI scope; sends without delay.

    asyncio sets TCP_NODELAY only where the listening socket was made with an explicit protocol number, and
    uvicorn writes head and body apart: each answer would wait 40 ms for an acknowledgement.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """Stops at once: uvicorn's own way looks every 0.1 s whether to stop, and lets open answers finish."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self.ready.set()
        await self._stopping.wait()

    def stop(self) -> None:
        """Ask for the end, from any thread, once the server is ready."""
        self._loop.call_soon_threadsafe(self._stopping.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        # A latency ends when its connection does.
        await asyncio.gather(*self.server_state.tasks)
        for server in self.servers:
            await server.wait_closed()
