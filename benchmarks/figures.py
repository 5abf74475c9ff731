"""Takes the measurements. Contenders take turns, in a new random order each round."""

from __future__ import annotations

import base64
import json
import socket
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from benchmarks.contenders import (
    BATCHES_OF_ONE,
    COLD,
    COLD_OVER_TLS,
    INTERPRETER,
    JAVASCRIPT,
    OURS,
    THREADS,
    WARM,
    WARM_OVER_TLS,
    WITH_KEY,
)
from benchmarks.processes import BenchmarkError, limited
from tests.support.lambda_events import record, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from benchmarks.contenders import Contenders
    from benchmarks.processes import Counts, Report, Stub, Worker

Event = dict[str, Any]
Samples = dict[str, list[float]]
"""By contender or load, one sample per round. Samples at the same position are of the same round."""

BATCH: Final = 10
PUBLISH_SECONDS: Final = 0.01
"""The latency of PutEvents where SendMessage has a latency."""
LATENCIES: Final = (0.02, 0.05, 0.1)
UNPOISONED: Final = "none"
STUB: Final = "stub alone"
_WARM_UPS: Final = {JAVASCRIPT: 80}
"""How many times more batches than the others V8 handles until it has compiled what they need."""
_CORE_FRACTIONS: Final = (0.15, 0.3)
_MIDDLE_LATENCY: Final = 0.05
_SMALL: Final = (OURS, THREADS)
_TOKEN: Final = "QVFJREFIZ0tOZ2lCdGVzdC1jb25uZWN0aW9uLXRva2Vu" * 9  # made up, with a realistic length
_numbers = count(1)

CLEAR: Final = "in clear"
KEPT: Final = "sealed, decrypted before"
NEW: Final = "sealed, new"
TOKENS: Final = (CLEAR, KEPT, NEW)
"""How the connection tokens of a load come: KEPT ones are the same for all messages of a chat."""


def batches(
    times: int, records: int = BATCH, *, chats: int = BATCH, poison: str = "", tokens: str = CLEAR
) -> list[Event]:
    """Return events as the queue's event source mapping delivers them. Every message is new.

    Args:
        chats: The records of an event belong to these in turn.
        poison: The body of one more record in each event, in one more chat.
        tokens: One of `TOKENS`.
    """
    return [
        {
            "Records": [
                *(_record(number % chats, tokens) for number in range(records)),
                *([_record(records) | {"body": poison}] if poison else []),
            ]
        }
        for _ in range(times)
    ]


def _record(chat: int, tokens: str = CLEAR) -> dict[str, Any]:
    number = next(_numbers)
    contact_id = str(UUID(int=chat + 1))
    token = f"{_TOKEN}{chat:04d}"
    if tokens != CLEAR:
        token = _sealed(tokens, number if tokens == NEW else chat, length=len(token))
    body = request(
        ConnectionToken=token,
        Content="Your parcel is on its way. It will be with you tomorrow between 9 and 11 o'clock.",
        ClientToken=f"order-{number}-shipped",
        ContactId=contact_id,
        Metadata={"order": str(number)},
    )
    return record(body, group=contact_id, message_id=str(UUID(int=number)))


_MARKS: Final = {KEPT: "kep", NEW: "new"}  # three bytes are four characters of base64


def _start_of_sealed(tokens: str) -> str:
    return f"sealed:{base64.b64encode(_MARKS[tokens].encode()).decode()}"


def _sealed(tokens: str, number: int, *, length: int) -> str:
    """Return a sealed token as long as KMS makes one of this length. The stub decrypts any."""
    ciphertext = f"{number}".rjust(length + 149)
    return f"{_start_of_sealed(tokens)}{base64.b64encode(ciphertext.encode()).decode()}"


def _poison(size: int) -> str:
    """Return a text that is slow to parse: brackets, then a string of escaped quotes without an end."""
    return ("[]" * 65 + '"' + '\\"' * size)[:size]


POISONS: Final = {
    "24 KB": _poison(24_576),
    "1 MiB": _poison(1_048_576),
    "12 KB in Content": json.dumps(
        request(ConnectionToken=_TOKEN, ContentType="application/json", Content=_poison(12_000))
    ),
}
"""Bodies by the name of their size. SQS accepts 1 MiB, and `Content` has at most 12,000 characters."""


def _post(path: str, target: str, body: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nX-Amz-Target: {target}\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n{body}".encode()


_SEND_MESSAGE: Final = _post("/participant/message", "", batches(1, 1)[0]["Records"][0]["body"])
_PUT_EVENTS: Final = _post(
    "/", "AWSEvents.PutEvents", json.dumps({"Entries": [{"Detail": "x" * 500}] * BATCH})
)


def bound(latency: float) -> float:
    """Return the least seconds for a batch of several chats: one SendMessage, then one PutEvents."""
    return latency + PUBLISH_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Takes the figures, each with the latency that it needs.

    Attributes:
        report: Gets the name of each measurement when it begins.
        rounds: The most samples of a figure. One is enough to see that everything runs.
        times: Batches that warm a process up, and batches of a sample without a latency.
    """

    contenders: Contenders
    stub: Stub
    report: Callable[[str], None]
    rounds: int
    times: int
    random: Random = field(default_factory=partial(Random, 6))

    def results(self) -> dict[str, Any]:
        """Take all figures. Return them as `results.json` has them, in seconds and bytes."""
        many = {"": partial(batches, self.times)}
        bodies = {UNPOISONED: "", **POISONS}
        poisons = {name: partial(batches, 1, BATCH - 1, poison=body) for name, body in bodies.items()}
        tokens = {name: partial(batches, self.times, tokens=name) for name in TOKENS}
        ones = {"": partial(batches, self.times * BATCH, 1)}
        few_tokens = {name: partial(batches, 1, tokens=name) for name in TOKENS}
        return {
            "stub": self._stub_ceiling(),
            "cold": {"http": self._cold(9, COLD), "tls": self._cold(25, COLD_OVER_TLS, tls=True)},
            "warm": {
                "http": self._warm(25, WARM, many),
                "tls": self._warm(15, WARM_OVER_TLS, many, tls=True),
            },
            "ones": {
                "http": self._warm(25, BATCHES_OF_ONE, ones),
                "tls": self._warm(10, BATCHES_OF_ONE, ones, tls=True),
            },
            "warming": {name: self._warming(name) for name in (OURS, JAVASCRIPT)},
            "batches": {
                f"{latency * 1000:.0f}": {
                    **self._warm(15, WARM_OVER_TLS, latency=latency)["wall"],
                    STUB: self._stub_batches(15, latency),
                }
                for latency in LATENCIES
            },
            "poison": self._warm(15, [OURS], poisons, latency=_MIDDLE_LATENCY)["wall"],
            "sealed": {
                "cpu": self._warm(25, [OURS + WITH_KEY], tokens)["cpu"],
                "wall": self._warm(15, [OURS + WITH_KEY], few_tokens, latency=_MIDDLE_LATENCY)["wall"],
            },
            "long_run": self._long_run(points=min(20, self.rounds), times=25 * self.times),
            "small": {
                f"{fraction}": {
                    "cold": self._cold(5, _SMALL, fraction=fraction)["wall"],
                    "batch": self._warm(15, _SMALL, latency=_MIDDLE_LATENCY, fraction=fraction)["wall"],
                }
                for fraction in (_CORE_FRACTIONS if sys.platform == "linux" else ())  # limits need Linux
            },
        }

    def _stub_ceiling(self) -> dict[str, float]:
        """Measure the stub alone: ten raw connections that only call SendMessage."""
        self._begin(STUB)
        with self._connections() as connections:
            started = time.monotonic()
            for _ in range(self.times * 100):
                _exchange(_SEND_MESSAGE, connections)
            seconds = time.monotonic() - started
        counts = self.stub.counts()
        return {"calls_a_second": counts.messages / seconds, "cpu_a_call": counts.cpu / counts.messages}

    def _stub_batches(self, rounds: int, latency: float) -> list[float]:
        """Measure the stub alone: batches of ten chats by raw connections, without any work of a sender."""
        self._begin(STUB, latency=latency)
        self.stub.set_latency(message=latency, event=PUBLISH_SECONDS)
        seconds = []
        with self._connections() as connections:
            for _ in range(min(rounds, self.rounds)):
                started = time.monotonic()
                _exchange(_SEND_MESSAGE, connections)
                _exchange(_PUT_EVENTS, connections[:1])
                seconds.append(time.monotonic() - started)
        self.stub.counts()
        return seconds

    @contextmanager
    def _connections(self) -> Iterator[list[socket.socket]]:
        address = ("127.0.0.1", self.stub.port)
        with ExitStack() as stack:
            yield [stack.enter_context(socket.create_connection(address)) for _ in range(BATCH)]

    def _warming(self, name: str) -> list[float]:
        """Measure the CPU per message of a new process over TLS: one sample for every 1,000 messages."""
        self._begin(f"{name}, from its first message")
        times = self.times * BATCH
        with self._start(name, tls=True) as worker:
            return [self._run(worker, batches(times)).cpu / times / BATCH for _ in range(10)]

    def _cold(
        self, rounds: int, names: Sequence[str], *, tls: bool = False, fraction: float = 1.0
    ) -> dict[str, Samples]:
        """Measure from the start of the process until its first batch of one is handled and published."""
        self._begin("cold start", tls=tls, fraction=fraction)
        taken: dict[str, Samples] = {}
        for name in self._turns(rounds, names):
            with self._start(name, tls=tls) as worker, limited(worker.pid, fraction):
                report = (worker.run if name == INTERPRETER else partial(self._run, worker))(batches(1, 1))
            seconds = report.finished - worker.started
            _add(taken, name, wall=seconds, cpu=report.cpu_of_process, peak=report.peak)
        return taken

    def _warm(
        self,
        rounds: int,
        names: Sequence[str],
        loads: Mapping[str, Callable[[], list[Event]]] | None = None,
        *,
        tls: bool = False,
        latency: float = 0.0,
        fraction: float = 1.0,
    ) -> dict[str, Samples]:
        """Measure warm processes: the seconds per message, or with a latency per sample.

        Args:
            loads: By name, each once per round. By default one batch of ten chats. Without names the
                samples have the names of the contenders.
        """
        loads = loads or {"": partial(batches, 1)}
        self._begin("warm batches", loads=[*loads], tls=tls, latency=latency, fraction=fraction)
        taken: dict[str, Samples] = {}
        with ExitStack() as stack:
            workers = {name: stack.enter_context(self._start(name, tls=tls)) for name in names}
            for name, worker in workers.items():
                self._run(worker, batches(self.times * _WARM_UPS.get(name, 1)))
                if name.endswith(WITH_KEY):
                    self._run(worker, batches(1, tokens=KEPT))
                stack.enter_context(limited(worker.pid, fraction))
            if latency:
                self.stub.set_latency(message=latency, event=PUBLISH_SECONDS)
            for name in self._turns(rounds, names):
                for case in self._turns(1, [*loads]):
                    events = loads[case]()
                    report = self._run(workers[name], events)
                    parts = 1 if latency else sum(len(event["Records"]) for event in events)
                    cpu, wall = report.cpu / parts, report.wall / parts
                    _add(taken, case or name, cpu=cpu, wall=wall, peak=report.peak)
        return taken

    def _long_run(self, *, points: int, times: int) -> list[dict[str, float]]:
        """Measure our CPU per message and memory at some points of one process, that many batches apart."""
        self._begin("many messages in one process")
        with self._start(OURS) as worker:
            reports = [self._run(worker, batches(times)) for _ in range(points)]
        messages = times * BATCH
        return [
            {"messages": number * messages, "cpu": report.cpu / messages, "rss": report.rss}
            for number, report in enumerate(reports, start=1)
        ]

    def _begin(self, measurement: str, **conditions: object) -> None:
        self.report(" ".join([measurement, *(f"{name}={value}" for name, value in conditions.items())]))
        self.stub.set_latency(message=0.0, event=0.0)

    def _turns(self, rounds: int, names: Sequence[str]) -> Iterator[str]:
        for _ in range(min(rounds, self.rounds)):
            yield from self.random.sample(names, len(names))

    def _start(self, name: str, *, tls: bool = False) -> Worker:
        endpoint = self.stub.https if tls else self.stub.http
        return self.contenders.start(name, endpoint=endpoint)

    def _run(self, worker: Worker, events: Sequence[Event]) -> Report:
        report = worker.run(events)
        require_all(events, self.stub.counts())
        return report


def _exchange(request: bytes, connections: Sequence[socket.socket]) -> None:
    for connection in connections:
        connection.sendall(request)
    for connection in connections:
        connection.recv(65_536)


def require_all(events: Sequence[Event], counts: Counts) -> None:
    """Check that every message was sent, or copied if it is slow to parse, and its result published, once.

    Each new sealed token must be decrypted. One that was decrypted before may be decrypted once more, since
    the function keeps it for five minutes only.

    Raises:
        BenchmarkError: A count is wrong.
    """
    bodies = [record["body"] for event in events for record in event["Records"]]
    expected, rejected = len(bodies), sum(body in POISONS.values() for body in bodies)
    found = counts.messages, counts.results, counts.other_calls
    new, kept = (sum(_start_of_sealed(tokens) in body for body in bodies) for tokens in (NEW, KEPT))
    decrypted = new <= counts.decryptions <= new + min(kept, BATCH)
    if found != (expected - rejected, expected, rejected) or not decrypted:
        raise BenchmarkError(f"of {expected} messages the stub saw {counts}")


def _add(taken: dict[str, Samples], name: str, **values: float) -> None:
    for figure, value in values.items():
        taken.setdefault(figure, {}).setdefault(name, []).append(value)
