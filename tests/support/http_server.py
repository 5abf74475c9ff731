"""An HTTP server for tests: it records each request and gives the answer that the test sets."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping
    from ssl import SSLContext


class Request(NamedTuple):
    """A request as it arrived; the names of its headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class FakeServer:
    """What arrived, and what shall be answered.

    Attributes:
        together: A barrier that requests wait at before they are answered.
        cut: Close the connection instead of answering.
        preamble: Bytes before each answer, such as an informational one.
        trickle: Seconds between the bytes of a body.
        connections: How many connections were accepted.
    """

    url: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    together: threading.Barrier | None = None
    cut: bool = False
    preamble: bytes = b""
    trickle: float = 0.0
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)


@contextmanager
def running_server(*, tls: SSLContext | None = None) -> Iterator[FakeServer]:  # noqa: C901  # a small server, whole
    """Serve on a free loopback port until the block is left."""
    server = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.requests.append(Request(self.command, self.path, headers, body))
            if server.together is not None:
                server.together.wait()
            if server.cut:
                self.close_connection = True
                return
            self.wfile.write(server.preamble)
            self.send_response(server.status)
            # First, so that it is read whatever the headers of a test look like
            self.send_header("Content-Length", str(len(server.body)))
            for name, value in server.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.write_body()

        def write_body(self) -> None:
            if not server.trickle:
                self.wfile.write(server.body)
                return
            try:
                for byte in server.body:
                    self.wfile.write(bytes([byte]))
                    if server.stopped.wait(server.trickle):
                        return
            except OSError:
                self.close_connection = True

        do_GET = do_POST = answer  # noqa: N815  # names of the base class

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            pass

    class Listener(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
            connection, address = super().get_request()
            server.connections += 1
            return connection, address

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # a client that does not like our certificate

    listener = Listener(("127.0.0.1", 0), Handler)
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
