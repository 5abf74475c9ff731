"""The services that the handlers call: SendMessage, PutEvents and the queues' calls, at a set latency.

usage: python -m benchmarks.stub CERTIFICATE

Written to be fast rather than true: it reads no more of a request than it must, and takes every message. It
prints its ports, for HTTP and for TLS. Then it reads lines of JSON, `{"message": seconds, "event": seconds}`,
which set how long it waits before it answers a SendMessage and any other call, and answers each with what it
has counted since the last one.
"""

from __future__ import annotations

import asyncio
import json
import selectors
import ssl
import sys
import time
from typing import Any

_HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"x-amzn-RequestId: 0fd3a1e2-6b1c-4c55-9d0e-2c1f7b9a4e11\r\n"
    b"Content-Type: %s\r\n"
    b"Content-Length: %d\r\n"
    b"Date: Sat, 31 Jan 2026 12:00:00 GMT\r\n"
    b"\r\n"
)
_MESSAGE = json.dumps(
    {
        "Id": "c9b6a4a1-5f0e-4f4e-8d51-0c8a5ad2b6f3",
        "AbsoluteTime": "2026-01-31T12:00:00.123Z",
        "MessageMetadata": {"MessageProcessingStatus": "PROCESSING"},
    }
).encode()
_MESSAGE = _HEAD % (b"application/json", len(_MESSAGE)) + _MESSAGE


class Service:
    """What all connections share."""

    def __init__(self) -> None:
        self.message_seconds = 0.0
        self.event_seconds = 0.0
        self._zero()

    def _zero(self) -> None:
        self.messages = self.results = self.other_calls = self.connections = 0
        self._cpu = time.process_time()

    def set(self, latency: dict[str, float]) -> dict[str, float]:
        """Set the latencies, and return what was counted since the last time."""
        counted = {
            "messages": self.messages,
            "results": self.results,
            "other_calls": self.other_calls,
            "connections": self.connections,
            "cpu": time.process_time() - self._cpu,
        }
        self.message_seconds = latency.get("message", self.message_seconds)
        self.event_seconds = latency.get("event", self.event_seconds)
        self._zero()
        return counted


class Connection(asyncio.Protocol):
    """One connection: requests one after the other, as HTTP clients send them."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._service.connections += 1

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(rest) < length:
            return
        self._received = b""
        seconds, answer = self._answer(head, rest)
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self._write, answer)
        else:
            self._write(answer)

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)

    def _answer(self, head: bytes, body: bytes) -> tuple[float, bytes]:
        service = self._service
        if head.startswith(b"POST /participant/message "):
            service.messages += 1
            return service.message_seconds, _MESSAGE
        answer: dict[str, Any] = {"MessageId": "m"}  # of SQS
        if b"AWSEvents.PutEvents" in head:
            entries = json.loads(body)["Entries"]
            service.results += len(entries)
            answer = {"FailedEntryCount": 0, "Entries": [{"EventId": f"e-{n}"} for n in range(len(entries))]}
        else:
            service.other_calls += 1
        text = json.dumps(answer).encode()
        return service.event_seconds, _HEAD % (b"application/x-amz-json-1.1", len(text)) + text


async def _serve(certificate: str) -> None:
    loop, service = asyncio.get_running_loop(), Service()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    servers = [
        await loop.create_server(lambda: Connection(service), "127.0.0.1", 0, ssl=tls, backlog=2048)
        for tls in (None, context)
    ]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)  # noqa: T201
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        print(json.dumps(service.set(json.loads(line))), flush=True)  # noqa: T201  # the answer


if __name__ == "__main__":
    # Unlike epoll, select waits for a moment to the microsecond: a latency is what was set.
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(_serve(sys.argv[1]))
