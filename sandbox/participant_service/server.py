"""Runs the service on uvicorn, on loopback, in a thread, on connections that it can cut."""

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
    """A service that listens at `url`, and its inside for tests in the same process."""

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
    """Serve until the block ends, then close every thread and socket.

    Args:
        host: a loopback address.
        port: 0 takes a free one.
        clock: seconds since the epoch, for every decision. A fault's latency is real time.

    Raises:
        ValueError: the host is not a loopback address.
        OSError: the port is taken.
    """
    address = ipaddress.ip_address(host)
    if not address.is_loopback:
        raise ValueError(f"{host} is not a loopback address")
    is_ipv4 = isinstance(address, ipaddress.IPv4Address)
    listener = socket.create_server((host, port), family=socket.AF_INET if is_ipv4 else socket.AF_INET6)
    api = ParticipantApi(clock=clock)
    server = _Server(
        uvicorn.Config(
            participant_app(api),
            loop="asyncio",
            http=_CuttableConnection,
            ws="none",
            lifespan="off",
            interface="asgi3",
            # As long as a load balancer: the function reuses its connections
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
        authority = host if is_ipv4 else f"[{host}]"
        yield RunningParticipantService(f"http://{authority}:{listener.getsockname()[1]}", api)
    finally:
        server.stop()
        thread.join()


class _CuttableConnection(H11Protocol):
    """Puts its transport into the `state` of the ASGI scope, and sends without delay.

    asyncio sets TCP_NODELAY only if the listening socket has an explicit protocol number. Without it each
    answer waits 40 ms for an acknowledgement, since uvicorn writes head and body separately.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.app_state = {**self.app_state, "transport": transport}


class _Server(uvicorn.Server):
    """Stops at once. uvicorn itself polls every 0.1 s, and waits for open answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self.ready.set()
        await self._stopping.wait()

    def stop(self) -> None:
        """Stop a server that is ready. May be called from any thread."""
        self._loop.call_soon_threadsafe(self._stopping.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        # A delayed answer ends when its connection does
        await asyncio.gather(*self.server_state.tasks)
        for server in self.servers:
            await server.wait_closed()
