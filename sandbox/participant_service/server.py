"""Runs the service on loopback, in threads, on connections that it can cut."""

from __future__ import annotations

import ipaddress
import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import TYPE_CHECKING, Any

from sandbox.participant_service.api import ParticipantApi
from sandbox.participant_service.faults import Ending

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_POLL_SECONDS = 0.02  # how long a stop may take


@contextmanager
def running_participant_service(
    *, host: str = "127.0.0.1", port: int = 0, clock: Callable[[], float] = time.time
) -> Iterator[RunningParticipantService]:
    """Serve until the block ends, then close every thread and socket.

    Args:
        port: 0 takes a free one.
        clock: seconds since the epoch, for every decision. A fault's latency is real time.

    Raises:
        ValueError: the host is not a loopback address.
        OSError: the port is taken.
    """
    if not ipaddress.ip_address(host).is_loopback:
        raise ValueError(f"{host} is not a loopback address")
    server = RunningParticipantService(host, port, ParticipantApi(clock=clock))
    thread = threading.Thread(target=server.serve_forever, args=(_POLL_SECONDS,), name="participant-service")
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join()


class RunningParticipantService(ThreadingTCPServer):
    """Listens at `url`, with a thread for each connection.

    Attributes:
        api, service, faults: The inside, for tests in the same process.
    """

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, host: str, port: int, api: ParticipantApi) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.api, self.service, self.faults = api, api.service, api.faults
        self.stopping = threading.Event()
        self._connections: set[socket.socket] = set()
        super().__init__((host, port), _Connection)
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self.server_address[1]}"

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        """Close a connection, without the orderly end that would come before a reset."""
        for connection in self._connections & {request}:
            self._connections -= {connection}
            connection.close()

    def stop(self) -> None:
        """Close every connection, also those that wait with a delayed answer, and join their threads."""
        self.stopping.set()
        self.shutdown()
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Connection(BaseHTTPRequestHandler):
    server: RunningParticipantService
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60  # as long as a load balancer: the function reuses its connections

    def handle(self) -> None:
        with suppress(ConnectionError):  # the client has left
            super().handle()

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        bearer = self.headers.get("X-Amz-Bearer")
        answer = self.server.api.answer(self.command, self.path, bearer=bearer, body=body)
        self.close_connection = self.close_connection or answer.ending is not Ending.KEPT_OPEN
        if self.server.stopping.wait(answer.latency) or answer.ending is Ending.CLOSED:
            return
        if answer.ending is Ending.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            return
        self.send_response_only(answer.status)
        for name, value in {**answer.headers, "content-length": str(len(answer.body))}.items():
            self.send_header(name, value)
        self.end_headers()
        is_cut = answer.ending is Ending.BODY_CUT_SHORT
        self.wfile.write(answer.body[: len(answer.body) // 2] if is_cut else answer.body)

    def do_PUT(self) -> None:
        self.do_POST()

    def do_GET(self) -> None:
        self.do_POST()  # its answer lists the operations

    def log_message(self, *_: object) -> None:
        """Print nothing."""
