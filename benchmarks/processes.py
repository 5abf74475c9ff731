"""The processes of a benchmark: the stub of the services, and one worker per handler."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Self, cast

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FOLDER: Final = Path(__file__).parent
_LONGEST_REPLY: Final = 120.0
"""Seconds without a reply after which the benchmark fails."""
_PERIOD: Final = 0.02
"""Seconds: the period in which a limited process gets its fraction of a core, as schedulers have it."""
_CHECK_EVERY: Final = 0.0005


class BenchmarkError(Exception):
    """The benchmark could not run, or a handler did not do its work."""


class _Process:
    """A child process that answers lines with lines of JSON. It ends when its standard input is closed."""

    def __init__(self, command: Sequence[str], *, environ: Mapping[str, str], log: Path) -> None:
        self._log = log
        self.started = time.monotonic()
        with log.open("ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environ,
                start_new_session=True,  # Ctrl-C reaches only the parent, which ends its children
            )
        self._input = cast("IO[bytes]", self._process.stdin)
        self._output = cast("IO[bytes]", self._process.stdout)
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def _ask(self, *values: object) -> dict[str, Any]:
        """Write JSON values, with an empty line for None. Return the reply."""
        try:
            for value in values:
                self._input.write(b"\n" if value is None else json.dumps(value).encode() + b"\n")
                self._input.flush()
        except BrokenPipeError:
            raise self._failed() from None
        # Without a timer thread: a signal must end the benchmark at any moment
        is_ready, _, _ = select.select([self._output], [], [], _LONGEST_REPLY)
        line = self._output.readline() if is_ready else b""
        if not line:
            raise self._failed()
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _failed(self) -> BenchmarkError:
        self._process.kill()
        return BenchmarkError(f"{self._process.args!r} failed:\n{self._log.read_text()[-2000:]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """The counters of the stub since the last reply."""

    messages: int = 0
    results: int = 0
    decryptions: int = 0
    other_calls: int = 0
    cpu: float


class Stub(_Process):
    """The stub of the services. See `benchmarks.stub`."""

    def __init__(self, *, certificate: Path, log: Path) -> None:
        command = [sys.executable, "-I", f"{FOLDER / 'stub.py'}", f"{certificate}"]
        super().__init__(command, environ=os.environ, log=log)
        ports = self._ask()
        self.port = ports["http"]
        self.http, self.https = f"http://localhost:{self.port}", f"https://localhost:{ports['tls']}"

    def set_latency(self, *, message: float, event: float) -> None:
        """Set the seconds before a SendMessage, and any other call, is answered."""
        self._ask({"message": message, "event": event})

    def counts(self) -> Counts:
        return Counts(**self._ask({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Seconds and bytes: `cpu` and `wall` of the handler since the last report, the others of the process."""

    cpu: float
    wall: float
    cpu_of_process: float
    finished: float
    rss: int
    peak: int


class Worker(_Process):
    """A handler in its own process. See `benchmarks/worker.py`."""

    def run(self, events: Sequence[dict[str, Any]]) -> Report:
        """Make the handler handle events, one after the other.

        Raises:
            BenchmarkError: The handler failed.
        """
        return Report(**self._ask(*events, None))


@contextmanager
def limited(pid: int, fraction: float) -> Iterator[None]:
    """Limit a process to a fraction of one core, with SIGSTOP, SIGCONT and its CPU clock. Linux only.

    A fraction of 1 is no limit. The process earns its fraction of each period of 20 ms. It is stopped while
    it has used more than it has earned, so the fraction is exact over time.
    """
    if fraction >= 1:
        yield
        return
    clock = (~pid << 3) | 2  # the CPU time of all threads of the process: clock_getcpuclockid(3)
    ended = threading.Event()

    def ration() -> None:
        credit, is_stopped, period = fraction * _PERIOD, False, time.monotonic()
        with suppress(OSError):  # the process has ended
            used = time.clock_gettime(clock)
            while not ended.wait(_CHECK_EVERY):
                now, used_before, used = time.monotonic(), used, time.clock_gettime(clock)
                periods = int((now - period) / _PERIOD)
                period += periods * _PERIOD
                credit = min(fraction * _PERIOD, credit - (used - used_before) + periods * fraction * _PERIOD)
                if is_stopped is not (credit <= 0):
                    is_stopped = credit <= 0
                    os.kill(pid, signal.SIGSTOP if is_stopped else signal.SIGCONT)

    thread = threading.Thread(target=ration)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        with suppress(OSError):
            os.kill(pid, signal.SIGCONT)
