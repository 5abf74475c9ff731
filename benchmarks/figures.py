"""Takes the measurements. Contenders take turns, in a new random order each round."""

from __future__ import annotations

import socket
import sys
import time
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Final

from benchmarks.contenders import COLD, COLD_OVER_TLS, INTERPRETER, OURS, THREADS, WARM, WARM_OVER_TLS
from benchmarks.events import POISONS, batch
from benchmarks.processes import BenchmarkError, limited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from benchmarks.contenders import Contenders
    from benchmarks.processes import Counts, Report, Stub, Worker

Samples = dict[str, list[float]]
"""By contender or load, one sample per round. Samples at the same position are of the same round."""

BATCH: Final = 10
PUBLISH_SECONDS: Final = 0.01
"""The latency of PutEvents where SendMessage has a latency."""
LATENCIES: Final = (0.02, 0.05, 0.1)
SIZES: Final = (1, 10, 100, 1000)
UNPOISONED: Final = "none"
_CORE_FRACTIONS: Final = (0.15, 0.3)
_MIDDLE_LATENCY: Final = 0.05
_SMALL: Final = (OURS, THREADS)


@dataclass(frozen=True, slots=True)
class Load:
    """Equal batches for one sample. `poison` is the body of one more message, which is rejected."""

    messages: int = BATCH
    times: int = 1
    chats: int = BATCH
    poison: str = ""

    def events(self) -> list[dict[str, Any]]:
        return [batch(self.messages, chats=self.chats, poison=self.poison) for _ in range(self.times)]


def bound(latency: float) -> float:
    """Return the least seconds for a batch of several chats: one SendMessage, then one PutEvents."""
    return latency + PUBLISH_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Takes the figures, each with the latency that it needs.

    Attributes:
        quick: Take one sample of each figure. That is enough to see that everything runs.
        report: Gets the name of each measurement when it begins.
    """

    contenders: Contenders
    stub: Stub
    quick: bool
    report: Callable[[str], None]
    random: Random = field(default_factory=partial(Random, 6))

    @property
    def many(self) -> Load:
        """The batches that warm a process up, and that one sample of warm processes has."""
        return Load(times=2 if self.quick else 10)

    def results(self) -> dict[str, Any]:
        """Take all figures. Return them as `results.json` has them, in seconds and bytes."""
        poisons = {name: Load(BATCH - 1, poison=body) for name, body in POISONS.items()}
        of_a_size = 100 if self.quick else 1000
        sizes = {f"{size}": Load(size, max(1, of_a_size // size)) for size in SIZES}
        sizes["1000, each its own chat"] = Load(1000, chats=1000)
        return {
            "stub": self._stub_ceiling(),
            "cold": {"http": self._cold(15, COLD), "tls": self._cold(15, COLD_OVER_TLS, tls=True)},
            "warm": {
                "http": self._warm(25, WARM, {"": self.many}),
                "tls": self._warm(10, WARM_OVER_TLS, {"": self.many}, tls=True),
            },
            "batches": {
                f"{latency * 1000:.0f}": self._warm(15, WARM_OVER_TLS, latency=latency)["wall"]
                for latency in LATENCIES
            },
            "poison": self._warm(
                15, [OURS], {UNPOISONED: Load(BATCH - 1), **poisons}, latency=_MIDDLE_LATENCY
            )["wall"],
            "sizes": self._warm(9, [OURS], sizes)["cpu"],
            "long_run": self._long_run(*(2, 10) if self.quick else (20, 500)),
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
        self._begin("the stub alone")
        body = batch(1)["Records"][0]["body"].encode()
        head = b"POST /participant/message HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        with ExitStack() as stack:
            address = ("127.0.0.1", self.stub.port)
            connections = [stack.enter_context(socket.create_connection(address)) for _ in range(BATCH)]
            started = time.monotonic()
            for _ in range(self.many.times * 100):
                for connection in connections:
                    connection.sendall(head + body)
                for connection in connections:
                    connection.recv(65_536)
            seconds = time.monotonic() - started
        counts = self.stub.counts()
        return {"calls_a_second": counts.messages / seconds, "cpu_a_call": counts.cpu / counts.messages}

    def _cold(
        self, rounds: int, names: Sequence[str], *, tls: bool = False, fraction: float = 1.0
    ) -> dict[str, Samples]:
        """Measure from the start of the process until its first batch of one is handled and published."""
        self._begin("cold start", tls=tls, fraction=fraction)
        taken: dict[str, Samples] = {}
        for name in self._turns(rounds, names):
            with self._start(name, tls=tls) as worker, _limit(worker, fraction):
                report = worker.run([batch(1)]) if name == INTERPRETER else self._run(worker, Load(1))
            seconds = report.finished - worker.started
            _add(taken, name, wall=seconds, cpu=report.cpu_of_process, peak=report.peak)
        return taken

    def _warm(
        self,
        rounds: int,
        names: Sequence[str],
        loads: Mapping[str, Load] | None = None,
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
        loads = loads or {"": Load()}
        self._begin("warm batches", loads=[*loads], tls=tls, latency=latency, fraction=fraction)
        taken: dict[str, Samples] = {}
        with ExitStack() as stack:
            workers = {name: stack.enter_context(self._start(name, tls=tls)) for name in names}
            for worker in workers.values():
                self._run(worker, self.many)
                stack.enter_context(_limit(worker, fraction))
            self._set_latency(latency)
            for name in self._turns(rounds, names):
                for case in self._turns(1, [*loads]):
                    load = loads[case]
                    report = self._run(workers[name], load)
                    parts = 1 if latency else load.messages * load.times
                    cpu, wall = report.cpu / parts, report.wall / parts
                    _add(taken, case or name, cpu=cpu, wall=wall, peak=report.peak)
        return taken

    def _long_run(self, points: int, batches: int) -> list[dict[str, float]]:
        """Measure our CPU per message and memory at some points of one process, some batches apart."""
        self._begin("many messages in one process")
        with self._start(OURS) as worker:
            reports = [self._run(worker, Load(times=batches)) for _ in range(points)]
        messages = batches * BATCH
        return [
            {"messages": number * messages, "cpu": report.cpu / messages, "rss": report.rss}
            for number, report in enumerate(reports, start=1)
        ]

    def _begin(self, measurement: str, **conditions: object) -> None:
        self.report(" ".join([measurement, *(f"{name}={value}" for name, value in conditions.items())]))
        self._set_latency(0.0)

    def _set_latency(self, message: float) -> None:
        self.stub.set_latency(message=message, event=PUBLISH_SECONDS if message else 0.0)

    def _turns(self, rounds: int, names: Sequence[str]) -> Iterator[str]:
        for _ in range(1 if self.quick else rounds):
            yield from self.random.sample(names, len(names))

    def _start(self, name: str, *, tls: bool = False) -> Worker:
        endpoint = f"https://localhost:{self.stub.tls_port}" if tls else f"http://127.0.0.1:{self.stub.port}"
        return self.contenders.start(name, endpoint=endpoint)

    def _run(self, worker: Worker, load: Load) -> Report:
        events = load.events()
        report = worker.run(events)
        require_all(events, self.stub.counts(), rejected=load.times if load.poison else 0)
        return report


def require_all(events: Sequence[dict[str, Any]], counts: Counts, *, rejected: int = 0) -> None:
    """Check that every message of the events was sent and its result published, once.

    Args:
        rejected: The messages of them that must be copied instead of sent.

    Raises:
        BenchmarkError: A count is wrong.
    """
    expected = sum(len(event["Records"]) for event in events)
    found = counts.messages, counts.results, counts.other_calls
    if found != (expected - rejected, expected, rejected):
        raise BenchmarkError(f"of {expected} messages the stub saw {counts}")


def _limit(worker: Worker, fraction: float) -> AbstractContextManager[None]:
    return limited(worker.pid, fraction) if fraction < 1 else nullcontext()


def _add(taken: dict[str, Samples], name: str, **values: float) -> None:
    for figure, value in values.items():
        taken.setdefault(figure, {}).setdefault(name, []).append(value)
