"""A stub of the services that the handlers call: SendMessage, PutEvents, SQS and KMS, with a set latency.

usage: python -I stub.py CERTIFICATE

It accepts every message. It prints its ports as JSON. Then it reads lines of JSON,
`{"message": seconds, "event": seconds}`, which set the latency of SendMessage and of any other call. It
answers each line with its counters since the last line.
"""

from __future__ import annotations

import asyncio
import base64
import json
import selectors
import ssl
import sys
import time
from collections import Counter
from typing import cast

_HEAD = b"""HTTP/1.1 200 OK\r
x-amzn-RequestId: 0fd3a1e2-6b1c-4c55-9d0e-2c1f7b9a4e11\r
Content-Type: application/json\r
Date: Sat, 31 Jan 2026 12:00:00 GMT\r
Content-Length: %d\r
\r
%s"""
_MESSAGE = {
    "Id": "c9b6a4a1-5f0e-4f4e-8d51-0c8a5ad2b6f3",
    "AbsoluteTime": "2026-01-31T12:00:00.123Z",
    "MessageMetadata": {"MessageProcessingStatus": "PROCESSING"},
}

latency = {"message": 0.0, "event": 0.0}
counts: Counter[str] = Counter()


def _response(document: object) -> bytes:
    body = json.dumps(document).encode()
    return _HEAD % (len(body), body)


_ACCEPTED = _response(_MESSAGE)
_DECRYPTED = _response(
    {
        "KeyId": "arn:aws:kms:eu-central-1:000000000000:key/0b9f3c1e-8d8e-4b32-9a51-6f0a1f2c7d44",
        "Plaintext": base64.b64encode(b"QVFJREFIZ0tOZ2lCdGVzdC1jb25uZWN0aW9uLXRva2Vu" * 9).decode(),
        "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
    }
)


class Connection(asyncio.Protocol):
    """One connection, with one request at a time."""

    _received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]) if found else 0
        if not found or len(body) < length:
            return
        self._received = b""
        kind, response = _answer(head, body)
        if seconds := latency[kind]:
            asyncio.get_running_loop().call_later(seconds, self._transport.write, response)
        else:
            self._transport.write(response)


def _answer(head: bytes, body: bytes) -> tuple[str, bytes]:
    if head.startswith(b"POST /participant/message "):
        counts["messages"] += 1
        return "message", _ACCEPTED
    if b"AWSEvents.PutEvents" in head:
        entries = json.loads(body)["Entries"]
        counts["results"] += len(entries)
        ids = [{"EventId": f"e-{number}"} for number in range(len(entries))]
        return "event", _response({"FailedEntryCount": 0, "Entries": ids})
    if b"TrentService.Decrypt" in head:
        counts["decryptions"] += 1
        return "event", _DECRYPTED
    counts["other_calls"] += 1
    return "event", _response({"MessageId": "m"})


async def _serve(certificate: str) -> None:
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    servers = {
        name: await loop.create_server(Connection, "127.0.0.1", 0, ssl=tls, backlog=2048)
        for name, tls in (("http", None), ("tls", context))
    }
    _print({name: server.sockets[0].getsockname()[1] for name, server in servers.items()})
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    cpu = time.process_time()
    while line := await lines.readline():
        latency.update(json.loads(line))
        _print({**counts, "cpu": time.process_time() - cpu})
        counts.clear()
        cpu = time.process_time()


def _print(document: object) -> None:
    sys.stdout.write(f"{json.dumps(document)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # Unlike epoll, select waits with a precision of microseconds: the latency is exact
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(_serve(sys.argv[1]))
