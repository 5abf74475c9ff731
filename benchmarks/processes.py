"""The processes of a benchmark: the stub of the services, and a worker for each handler."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

_LONGEST_REPLY: Final = 120.0
"""Seconds after which a process that does not answer is ended, and the benchmark with it."""
_WAIT: Final = 0.5
"""Seconds, at most, until a signal that interrupts no call is seen."""

_PERIOD: Final = 0.02
"""Seconds in which a limited process gets its share: a period such as schedulers ration CPU time in."""
_GLANCE: Final = 0.0005


class BenchmarkError(Exception):
    """The benchmark could not be run, or a handler did not do its work."""


class _Process:
    """A child that answers lines with lines. It ends when its standard input does."""

    def __init__(
        self, command: Sequence[str], *, environ: Mapping[str, str], log: Path, folder: Path
    ) -> None:
        self._log = log
        self.started = time.monotonic()
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environ,
                cwd=folder,
                start_new_session=True,  # Ctrl-C reaches the parent alone, which ends its children
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def _write(self, text: str) -> None:
        try:
            _stream(self._process.stdin).write(text.encode())
            _stream(self._process.stdin).flush()
        except BrokenPipeError:
            raise self._failed() from None

    def _read(self) -> Any:  # noqa: ANN401  # JSON
        replies = _stream(self._process.stdout)
        # No timer: a signal that interrupts the start of its thread leaves it, and Python waits for its end.
        # In short waits: a signal that comes just before the system is called does not interrupt the call.
        deadline, answers = time.monotonic() + _LONGEST_REPLY, False
        while not answers and time.monotonic() < deadline:
            answers = bool(select.select([replies], [], [], _WAIT)[0])
        line = replies.readline() if answers else b""
        if not line:
            raise self._failed()
        return json.loads(line)

    def _failed(self) -> BenchmarkError:
        self._process.kill()
        return BenchmarkError(f"{self._process.args!r} failed:\n{self._log.read_text()[-2000:]}")


def _stream(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:  # both are pipes
        raise TypeError
    return pipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What the stub has counted since it was last asked."""

    messages: int
    results: int
    other_calls: int
    connections: int
    cpu: float


class Stub(_Process):
    """The stub of the services, in a process of its own. See `benchmarks.stub`."""

    def __init__(self, *, python: str, certificate: Path, log: Path, folder: Path) -> None:
        command = [python, "-m", "benchmarks.stub", str(certificate)]
        super().__init__(command, environ=dict(os.environ), log=log, folder=folder)
        self.port, self.tls_port = self._read()

    def set_latency(self, *, message: float, event: float) -> None:
        """Set the seconds after which a SendMessage, and any other call, is answered."""
        self._write(json.dumps({"message": message, "event": event}) + "\n")
        self._read()

    def counts(self) -> Counts:
        self._write("{}\n")
        return Counts(**self._read())


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a worker says of its handler since the last report, and of its process. Seconds and bytes."""

    cpu: float
    wall: float
    cpu_of_process: float
    finished: float
    rss: int
    peak: int


class Worker(_Process):
    """A handler in a process of its own. See `benchmarks/worker.py`."""

    def run(self, events: Sequence[dict[str, Any]]) -> Report:
        """Have the handler work off events, one after the other.

        Raises:
            BenchmarkError: It failed.
        """
        for event in events:
            self._write(json.dumps(event) + "\n")
        self._write("\n")
        return Report(**self._read())


@contextmanager
def limited(pid: int, share: float) -> Iterator[None]:
    """Hold a process to a share of one core, by SIGSTOP, SIGCONT and the clock of its CPU time. Linux only.

    Every 20 ms the process earns its share of them. When it has used more than it earned, it is stopped until
    it is even: so the share is right in all, though one period may be longer than another.
    """
    clock = (~pid << 3) | 2  # of the CPU time of all the process's threads: clock_getcpuclockid(3)
    ended = threading.Event()

    def ration() -> None:
        credit, used, period = share * _PERIOD, time.clock_gettime(clock), time.monotonic()
        stopped = False
        while not ended.wait(_GLANCE):
            now, used_before, used = time.monotonic(), used, time.clock_gettime(clock)
            periods = int((now - period) / _PERIOD)
            period += periods * _PERIOD
            credit = min(share * _PERIOD, credit - (used - used_before) + periods * share * _PERIOD)
            if stopped is not (credit <= 0):
                stopped = credit <= 0
                os.kill(pid, signal.SIGSTOP if stopped else signal.SIGCONT)

    def ration_until_it_ends() -> None:
        with suppress(OSError):  # the process has ended
            ration()

    thread = threading.Thread(target=ration_until_it_ends)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with suppress(OSError):
            os.kill(pid, signal.SIGCONT)
