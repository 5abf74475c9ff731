"""An HTTP server for tests: it records each request and gives the answer that the test sets."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping
    from ssl import SSLContext


class Request(NamedTuple):
    """A request that arrived. The names of its headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class FakeServer:
    """The requests that arrived, and the answer that the test sets.

    Attributes:
        respond: Sets `status` and `body` for a request. None: they are the same for all requests.
        barrier: Requests wait here before they are answered.
        cut: Close the connection instead of answering.
        preamble: Bytes before each answer, such as an informational one.
        trickle: Seconds between the bytes of a body.
        connections: The number of connections that were accepted.
    """

    url: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    respond: Callable[[Request], tuple[int, bytes]] | None = None
    barrier: threading.Barrier | None = None
    cut: bool = False
    preamble: bytes = b""
    trickle: float = 0.0
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, fake: FakeServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fake = fake

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, address = super().get_request()
        self.fake.connections += 1
        return connection, address

    def handle_error(self, *_: object) -> None:
        """Print nothing about a client that refuses our certificate."""


class _Handler(BaseHTTPRequestHandler):
    server: _Listener
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # an answer is one packet

    def do_POST(self) -> None:
        fake = self.server.fake
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, content)
        fake.requests.append(request)
        if fake.barrier is not None:
            fake.barrier.wait()
        if fake.cut:
            self.close_connection = True
            return
        status, body = (fake.status, fake.body) if fake.respond is None else fake.respond(request)
        self.wfile.write(fake.preamble)
        self.send_response(status)
        # First: a malformed header of a test must not hide it
        self.send_header("Content-Length", str(len(body)))
        for name, value in fake.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self._write(body)

    def do_GET(self) -> None:
        self.do_POST()

    def _write(self, body: bytes) -> None:
        fake = self.server.fake
        if not fake.trickle:
            self.wfile.write(body)
            return
        try:
            for byte in body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                if fake.stopped.wait(fake.trickle):
                    return
        except OSError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def running_server(*, tls: SSLContext | None = None) -> Iterator[FakeServer]:
    """Serve on a free loopback port until the block ends."""
    server = FakeServer()
    listener = _Listener(server)
    if tls is not None:
        listener.socket = tls.wrap_socket(listener.socket, server_side=True, do_handshake_on_connect=False)
    server.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{listener.server_port}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        listener.shutdown()
        listener.server_close()
        thread.join()
