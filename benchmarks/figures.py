"""Takes the measurements. Contenders take turns, in a new random order each round."""

from __future__ import annotations

import random
import socket
import time
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from benchmarks.contenders import (
    INTERPRETER,
    JAVASCRIPT,
    LOOP,
    OURS,
    POWERTOOLS,
    THREADS,
    TRACED,
    UNCOMPILED,
)
from benchmarks.events import POISONS, batch, poisoned
from benchmarks.processes import BenchmarkError, limited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from benchmarks.contenders import Contenders
    from benchmarks.processes import Counts, Report, Stub, Worker

Samples = dict[str, list[float]]
"""By contender, one sample per round. Samples at the same position are of the same round."""

BATCH: Final = 10
PUBLISH_SECONDS: Final = 0.01
"""The latency of PutEvents where SendMessage has a latency."""
LATENCIES: Final = (0.02, 0.05, 0.1)
CORE_FRACTIONS: Final = (0.15, 0.3)
SIZES: Final = (1, 10, 100, 1000)
MANY_CHATS: Final = 1000
UNPOISONED: Final = "none"
_SMALL_LATENCY: Final = 0.05
_EVERYBODY: Final = (OURS, LOOP, POWERTOOLS, THREADS, JAVASCRIPT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """The number of samples per figure."""

    cold: int = 15
    cold_tls: int = 15
    warm: int = 25
    warm_tls: int = 10
    warm_batches: int = 10
    batches: int = 15
    poison: int = 15
    sizes: int = 9
    messages_of_a_size: int = 1000
    long_run: int = 100_000
    long_run_points: int = 20
    small_cold: int = 5
    small_batches: int = 15


_ONCE: Final = dict.fromkeys((field.name for field in fields(Effort)), 1)
QUICK: Final = Effort(
    **_ONCE | {"warm_batches": 2, "messages_of_a_size": 100, "long_run": 200, "long_run_points": 2}
)
"""Enough to see that everything runs."""


def bound(latency: float) -> float:
    """Return the least seconds for a batch of several chats: one SendMessage, then one PutEvents."""
    return latency + PUBLISH_SECONDS


class Bench:
    """Takes the figures, each with the latency that it needs.

    Args:
        ca_bundle: Trusts the stub's certificate, and all authorities that a Lambda function trusts.
        report: Gets the name of each measurement when it begins.
    """

    def __init__(
        self,
        contenders: Contenders,
        stub: Stub,
        *,
        effort: Effort,
        ca_bundle: Path,
        report: Callable[[str], None],
    ) -> None:
        self._contenders = contenders
        self._stub = stub
        self._effort = effort
        self._ca_bundle = ca_bundle
        self._report = report
        self._random = random.Random(6)  # noqa: S311  # an order, not a secret

    def stub_ceiling(self) -> dict[str, float]:
        """Measure the stub alone: ten raw connections that only call SendMessage."""
        self._begin("the stub alone")
        body = batch(1)["Records"][0]["body"].encode()
        head = (
            f"POST /participant/message HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        with ExitStack() as stack:
            address = ("127.0.0.1", self._stub.port)
            connections = [stack.enter_context(socket.create_connection(address)) for _ in range(BATCH)]
            started = time.monotonic()
            for _ in range(self._effort.warm_batches * 100):
                for connection in connections:
                    connection.sendall(head + body)
                for connection in connections:
                    connection.recv(65_536)
            seconds = time.monotonic() - started
        counts = self._stub.counts()
        return {"calls_a_second": counts.messages / seconds, "cpu_a_call": counts.cpu / counts.messages}

    def cold(self, *, tls: bool) -> dict[str, Samples]:
        """Measure from the start of the process until its first batch of one is handled and published."""
        self._begin(f"cold start{' over TLS' if tls else ''}")
        names = [OURS, LOOP, POWERTOOLS]
        if not tls:
            variants = [name + variant for name in (OURS, POWERTOOLS) for variant in (UNCOMPILED, TRACED)]
            names += [INTERPRETER, *variants]
        taken: dict[str, Samples] = {}
        for name in self._rounds(self._effort.cold_tls if tls else self._effort.cold, names):
            seconds, report = self._start_cold(name, tls=tls)
            _add(taken, name, wall=seconds, cpu=report.cpu_of_process, peak=report.peak)
        return taken

    def _start_cold(
        self, name: str, *, tls: bool = False, fraction: float | None = None
    ) -> tuple[float, Report]:
        event = [batch(1)]
        with self._start(name, tls=tls) as worker, _limit(worker, fraction):
            report = worker.run(event)
        if name != INTERPRETER:
            require_all(event, self._stub.counts())
        return report.finished - worker.started, report

    def warm(self, *, tls: bool) -> dict[str, Samples]:
        """Measure batches of ten chats in warm processes, without latency."""
        self._begin(f"warm batches{' over TLS' if tls else ''}")
        names = [*_EVERYBODY, *([] if tls else [OURS + TRACED, POWERTOOLS + TRACED])]
        taken: dict[str, Samples] = {}
        messages = self._effort.warm_batches * BATCH
        rounds = self._effort.warm_tls if tls else self._effort.warm
        for name, worker in self._warm_rounds(rounds, names, tls=tls):
            report = self._run(worker, [batch(BATCH) for _ in range(self._effort.warm_batches)])
            _add(taken, name, cpu=report.cpu / messages, wall=report.wall / messages, peak=report.peak)
        return taken

    def batches(self, latency: float) -> Samples:
        """Measure the wall time of one batch of ten chats with a latency of the service."""
        self._begin(f"batches at {latency * 1000:.0f} ms")
        taken: dict[str, Samples] = {}
        for name, worker in self._warm_rounds(self._effort.batches, _EVERYBODY, latency=latency):
            _add(taken, name, wall=self._run(worker, [batch(BATCH)]).wall)
        return taken["wall"]

    def poison(self) -> Samples:
        """Measure the wall time of nine chats at 50 ms, with and without a message that is slow to parse."""
        self._begin("a batch with a message that is slow to parse")
        taken: dict[str, Samples] = {}
        for _, worker in self._warm_rounds(self._effort.poison, [OURS], latency=_SMALL_LATENCY):
            for name in self._rounds(1, [UNPOISONED, *POISONS]):
                chats = batch(BATCH - 1)
                event = poisoned(chats, body=POISONS[name]) if name in POISONS else chats
                report = worker.run([event])
                require_all([chats], self._stub.counts(), rejected=int(name in POISONS))
                _add(taken, name, wall=report.wall)
        return taken["wall"]

    def sizes(self) -> Samples:
        """Measure our CPU per message, in batches of several sizes and in one with a chat per message."""
        self._begin("batches of several sizes")
        cases = {f"{size}": (size, BATCH) for size in SIZES}
        cases[f"{MANY_CHATS}, each its own chat"] = (MANY_CHATS, MANY_CHATS)
        taken: dict[str, Samples] = {}
        for _, worker in self._warm_rounds(self._effort.sizes, [OURS]):
            for name in self._rounds(1, list(cases)):
                size, chats = cases[name]
                times = max(1, self._effort.messages_of_a_size // size)
                report = self._run(worker, [batch(size, chats=chats) for _ in range(times)])
                _add(taken, name, cpu=report.cpu / (size * times))
        return taken["cpu"]

    def long_run(self) -> list[dict[str, float]]:
        """Measure our CPU per message and memory over many batches of ten in one process."""
        self._begin(f"{self._effort.long_run} messages in one process")
        points: list[dict[str, float]] = []
        messages = self._effort.long_run // self._effort.long_run_points
        with self._start(OURS) as worker:
            for number in range(1, self._effort.long_run_points + 1):
                report = self._run(worker, [batch(BATCH) for _ in range(messages // BATCH)])
                cpu = report.cpu / messages
                points.append({"messages": number * messages, "cpu": cpu, "rss": report.rss})
        return points

    def small(self, fraction: float) -> dict[str, Samples]:
        """Measure with a fraction of one core: a cold start, and a batch of ten chats at 50 ms."""
        self._begin(f"{fraction} of a core")
        taken: dict[str, Samples] = {}
        for name in self._rounds(self._effort.small_cold, (OURS, THREADS)):
            _add(taken, name, cold=self._start_cold(name, fraction=fraction)[0])
        rounds = self._warm_rounds(
            self._effort.small_batches, (OURS, THREADS), latency=_SMALL_LATENCY, fraction=fraction
        )
        for name, worker in rounds:
            _add(taken, name, batch=self._run(worker, [batch(BATCH)]).wall)
        return taken

    def _begin(self, measurement: str) -> None:
        self._report(measurement)
        self._set_latency(0.0)

    def _rounds(self, rounds: int, names: Sequence[str]) -> Iterator[str]:
        for _ in range(rounds):
            yield from self._random.sample(names, len(names))

    def _set_latency(self, message: float) -> None:
        self._stub.set_latency(message=message, event=PUBLISH_SECONDS if message else 0.0)

    def _start(self, name: str, *, tls: bool = False) -> Worker:
        if not tls:
            return self._contenders.start(name, endpoint=f"http://127.0.0.1:{self._stub.port}")
        endpoint = f"https://localhost:{self._stub.tls_port}"
        return self._contenders.start(name, endpoint=endpoint, ca_bundle=self._ca_bundle)

    def _warm_rounds(
        self,
        rounds: int,
        names: Sequence[str],
        *,
        tls: bool = False,
        latency: float = 0.0,
        fraction: float | None = None,
    ) -> Iterator[tuple[str, Worker]]:
        """Warm workers up, then yield each once per round."""
        with ExitStack() as stack:
            workers = {name: stack.enter_context(self._start(name, tls=tls)) for name in names}
            for worker in workers.values():
                self._run(worker, [batch(BATCH) for _ in range(self._effort.warm_batches)])
                stack.enter_context(_limit(worker, fraction))
            self._set_latency(latency)
            for name in self._rounds(rounds, names):
                yield name, workers[name]

    def _run(self, worker: Worker, events: Sequence[dict[str, Any]]) -> Report:
        report = worker.run(events)
        require_all(events, self._stub.counts())
        return report


def require_all(events: Sequence[dict[str, Any]], counts: Counts, *, rejected: int = 0) -> None:
    """Check that every message of the events was sent and its result published, once.

    Args:
        rejected: Further messages that must be copied, and have their result published.

    Raises:
        BenchmarkError: A count is wrong.
    """
    expected = sum(len(event["Records"]) for event in events)
    found = counts.messages, counts.results, counts.other_calls
    if found != (expected, expected + rejected, rejected):
        raise BenchmarkError(f"of {expected} messages the stub saw {counts}")


def _limit(worker: Worker, fraction: float | None) -> AbstractContextManager[None]:
    return nullcontext() if fraction is None else limited(worker.pid, fraction)


def _add(taken: dict[str, Samples], name: str, **values: float) -> None:
    for figure, value in values.items():
        taken.setdefault(figure, {}).setdefault(name, []).append(value)
