"""Takes the figures. Whatever is compared is measured in turn, in an order that is drawn anew each round."""

from __future__ import annotations

import random
import socket
import time
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from benchmarks.events import POISONS, batch, poisoned
from benchmarks.processes import BenchmarkError, limited

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from benchmarks.contenders import Contender, Contenders
    from benchmarks.processes import Counts, Report, Stub, Worker

Samples = dict[str, list[float]]
"""By contender, one for each round: those of one round belong together."""

BATCH: Final = 10
PUBLISH_SECONDS: Final = 0.01
"""The latency of PutEvents where SendMessage has one."""
LATENCIES: Final = (0.02, 0.05, 0.1)
SHARES: Final = (0.15, 0.3)
SIZES: Final = (1, 10, 100, 1000)
MANY_CHATS: Final = 1000
UNPOISONED: Final = "none"
_SMALL_LATENCY: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How often each figure is taken."""

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


QUICK: Final = Effort(
    cold=1,
    cold_tls=1,
    warm=1,
    warm_tls=1,
    warm_batches=2,
    batches=1,
    poison=1,
    sizes=1,
    messages_of_a_size=100,
    long_run=200,
    long_run_points=2,
    small_cold=1,
    small_batches=1,
)
"""Enough to see that everything runs."""


def bound(latency: float) -> float:
    """Return the seconds that a batch of chats takes at least: one SendMessage, then one PutEvents."""
    return latency + PUBLISH_SECONDS


class Bench:
    """Takes the figures, each with the stub at the latency that it needs.

    Args:
        ca_bundle: Trusts the stub's certificate, and all that a Lambda function trusts.
        tell: Called with what is measured now.
    """

    def __init__(
        self,
        contenders: Contenders,
        stub: Stub,
        *,
        effort: Effort,
        ca_bundle: Path,
        tell: Callable[[str], None],
    ) -> None:
        self._contenders = contenders
        self._stub = stub
        self._effort = effort
        self._ca_bundle = ca_bundle
        self._tell = tell
        self._random = random.Random(6)  # noqa: S311  # an order, no secret

    def stub_ceiling(self) -> dict[str, float]:
        """Measure the stub by itself: ten raw connections that ask for nothing but SendMessage."""
        self._tell("the stub by itself")
        self._set_latency(0.0)
        body = batch(1)["Records"][0]["body"].encode()
        call = b"POST /participant/message HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (
            len(body),
            body,
        )
        calls = self._effort.warm_batches * 100
        with ExitStack() as stack:
            connections = [
                stack.enter_context(socket.create_connection(("127.0.0.1", self._stub.port)))
                for _ in range(BATCH)
            ]
            started = time.monotonic()
            for _ in range(calls):
                for connection in connections:
                    connection.sendall(call)
                for connection in connections:
                    connection.recv(65_536)
            seconds = time.monotonic() - started
        counts = self._stub.counts()
        return {
            "calls_a_second": counts.messages / seconds,
            "cpu_a_call": counts.cpu / counts.messages,
        }

    def cold(self, *, tls: bool) -> dict[str, Samples]:
        """Measure from the start of the process to the answer of its first batch of one, result published."""
        all_of = self._contenders
        contenders = [all_of.ours, all_of.loop, all_of.powertools]
        if not tls:
            contenders += [
                all_of.bare,
                all_of.ours_uncompiled,
                all_of.powertools_uncompiled,
                all_of.ours_traced,
                all_of.powertools_traced,
            ]
        self._tell(f"cold start{' over TLS' if tls else ''}")
        self._set_latency(0.0)
        taken: dict[str, Samples] = {"wall": {}, "cpu": {}, "peak": {}}
        for contender in self._rounds(self._effort.cold_tls if tls else self._effort.cold, contenders):
            seconds, report = self._start_cold(contender, tls=tls)
            _add(taken, contender, wall=seconds, cpu=report.cpu_of_process, peak=report.peak)
        return taken

    def _start_cold(
        self, contender: Contender, *, tls: bool = False, share: float | None = None
    ) -> tuple[float, Report]:
        event = [batch(1)]
        with self._start(contender, tls=tls) as worker, _limit(worker, share):
            report = worker.run(event)
        if contender is not self._contenders.bare:
            require_all(event, self._stub.counts())
        return report.finished - worker.started, report

    def warm(self, *, tls: bool) -> dict[str, Samples]:
        """Measure batches of ten chats in processes that are warm, without any latency."""
        contenders = self._peers()
        if not tls:
            contenders += [self._contenders.ours_traced, self._contenders.powertools_traced]
        self._tell(f"warm batches{' over TLS' if tls else ''}")
        self._set_latency(0.0)
        taken: dict[str, Samples] = {"cpu": {}, "wall": {}, "peak": {}}
        messages = self._effort.warm_batches * BATCH
        with ExitStack() as stack:
            workers = self._warmed_up(contenders, stack, tls=tls)
            for contender in self._rounds(self._effort.warm_tls if tls else self._effort.warm, contenders):
                events = [batch(BATCH) for _ in range(self._effort.warm_batches)]
                report = self._run(workers[contender], events)
                _add(
                    taken,
                    contender,
                    cpu=report.cpu / messages,
                    wall=report.wall / messages,
                    peak=report.peak,
                )
        return taken

    def batches(self, latency: float) -> Samples:
        """Measure one batch of ten chats at a latency of the service: wall seconds."""
        self._tell(f"batches at {latency * 1000:.0f} ms")
        contenders = self._peers()
        taken: Samples = {}
        with ExitStack() as stack:
            workers = self._warmed_up(contenders, stack)
            self._set_latency(latency)
            for contender in self._rounds(self._effort.batches, contenders):
                report = self._run(workers[contender], [batch(BATCH)])
                taken.setdefault(contender.name, []).append(report.wall)
        return taken

    def poison(self) -> Samples:
        """Measure nine chats at 50 ms, alone and with one more message that is hard to read: wall seconds."""
        self._tell("a batch with a message that is hard to read")
        taken: Samples = {}
        with ExitStack() as stack:
            worker = self._warmed_up([self._contenders.ours], stack)[self._contenders.ours]
            self._set_latency(_SMALL_LATENCY)
            for _ in range(self._effort.poison):
                for name in self._random.sample([UNPOISONED, *POISONS], len(POISONS) + 1):
                    chats = batch(BATCH - 1)
                    event = poisoned(chats, body=POISONS[name]) if name in POISONS else chats
                    report = worker.run([event])
                    require_all(
                        [chats], self._stub.counts(), rejected=len(event["Records"]) - len(chats["Records"])
                    )
                    taken.setdefault(name, []).append(report.wall)
        return taken

    def sizes(self) -> Samples:
        """Measure the CPU of ours by message, in batches of several sizes; at last with a chat each."""
        self._tell("batches of several sizes")
        self._set_latency(0.0)
        cases = {f"{size}": (size, BATCH) for size in SIZES} | {
            f"{MANY_CHATS}, each its own chat": (MANY_CHATS, MANY_CHATS)
        }
        taken: Samples = {}
        with ExitStack() as stack:
            worker = self._warmed_up([self._contenders.ours], stack)[self._contenders.ours]
            for _ in range(self._effort.sizes):
                for name in self._random.sample(list(cases), len(cases)):
                    size, chats = cases[name]
                    times = max(1, self._effort.messages_of_a_size // size)
                    report = self._run(worker, [batch(size, chats=chats) for _ in range(times)])
                    taken.setdefault(name, []).append(report.cpu / (size * times))
        return taken

    def long_run(self) -> list[dict[str, float]]:
        """Send many messages through one process of ours, in batches of ten: CPU by message and memory."""
        self._tell(f"{self._effort.long_run} messages in one process")
        self._set_latency(0.0)
        points: list[dict[str, float]] = []
        messages = self._effort.long_run // self._effort.long_run_points
        with self._start(self._contenders.ours) as worker:
            for number in range(1, self._effort.long_run_points + 1):
                report = self._run(worker, [batch(BATCH) for _ in range(messages // BATCH)])
                points.append(
                    {"messages": number * messages, "cpu": report.cpu / messages, "rss": report.rss}
                )
        return points

    def small(self, share: float) -> dict[str, Samples]:
        """Measure with a share of one core: a cold start, and a batch of ten chats at 50 ms."""
        self._tell(f"{share} of a core")
        contenders = [self._contenders.ours, self._contenders.threads]
        taken: dict[str, Samples] = {"cold": {}, "batch": {}}
        self._set_latency(0.0)
        for contender in self._rounds(self._effort.small_cold, contenders):
            seconds, _ = self._start_cold(contender, share=share)
            _add(taken, contender, cold=seconds)
        with ExitStack() as stack:
            workers = self._warmed_up(contenders, stack)
            for worker in workers.values():
                stack.enter_context(_limit(worker, share))
            self._set_latency(_SMALL_LATENCY)
            for contender in self._rounds(self._effort.small_batches, contenders):
                report = self._run(workers[contender], [batch(BATCH)])
                _add(taken, contender, batch=report.wall)
        return taken

    def _peers(self) -> list[Contender]:
        all_of = self._contenders
        return [all_of.ours, all_of.loop, all_of.powertools, all_of.threads, all_of.javascript]

    def _rounds(self, rounds: int, contenders: Sequence[Contender]) -> Iterator[Contender]:
        for _ in range(rounds):
            yield from self._random.sample(contenders, len(contenders))

    def _set_latency(self, message: float) -> None:
        self._stub.set_latency(message=message, event=PUBLISH_SECONDS if message else 0.0)

    def _start(self, contender: Contender, *, tls: bool = False) -> Worker:
        endpoint = (
            f"https://localhost:{self._stub.tls_port}" if tls else f"http://127.0.0.1:{self._stub.port}"
        )
        return self._contenders.start(
            contender, endpoint=endpoint, ca_bundle=self._ca_bundle if tls else None
        )

    def _warmed_up(
        self, contenders: Sequence[Contender], stack: ExitStack, *, tls: bool = False
    ) -> dict[Contender, Worker]:
        self._set_latency(0.0)
        workers = {each: stack.enter_context(self._start(each, tls=tls)) for each in contenders}
        for worker in workers.values():
            self._run(worker, [batch(BATCH) for _ in range(self._effort.warm_batches)])
        return workers

    def _run(self, worker: Worker, events: Sequence[dict[str, Any]]) -> Report:
        report = worker.run(events)
        require_all(events, self._stub.counts())
        return report


def require_all(events: Sequence[dict[str, Any]], counts: Counts, *, rejected: int = 0) -> None:
    """See that every message of the events was sent and its result published, once.

    Args:
        rejected: Messages beside those of the events that must be copied, and have their result published.

    Raises:
        BenchmarkError: It was not so.
    """
    expected = sum(len(event["Records"]) for event in events)
    found = counts.messages, counts.results, counts.other_calls
    if found != (expected, expected + rejected, rejected):
        raise BenchmarkError(f"of {expected} messages the stub saw {counts}")


def _limit(worker: Worker, share: float | None) -> AbstractContextManager[None]:
    return nullcontext() if share is None else limited(worker.pid, share)


def _add(taken: dict[str, Samples], contender: Contender, **values: float) -> None:
    for figure, value in values.items():
        taken[figure].setdefault(contender.name, []).append(value)
