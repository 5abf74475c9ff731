"""The local participant service as a process: its output, its exit code and its sockets."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.functional.participant_service.conftest import ALL_INTERFACES, exercise

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.participant_service.server import RunningParticipantService

PROJECT = Path(__file__).parents[3]
COMMAND = (sys.executable, "-m", "sandbox.participant_service")


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start the service, and kill it if the test leaves it running."""
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the service with arguments that it refuses."""
    return subprocess.run(
        [*COMMAND, *arguments], cwd=PROJECT, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
def test_process_prints_only_its_url_and_stops_on_a_signal(stop_signal: signal.Signals) -> None:
    with started("--port", "0") as process:
        url = first_line(process)
        exercise(url)
        process.send_signal(stop_signal)
        remaining_output, errors = process.communicate(timeout=30)

    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", url)
    assert (process.returncode, remaining_output, errors) == (0, "", "")


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's table of sockets")
def test_process_listens_on_loopback_only() -> None:
    with started("--port", "0") as process:
        port = int(first_line(process).rpartition(":")[2])
        tables = [
            Path(f"/proc/{process.pid}/net/{name}").read_text(encoding="ascii") for name in ("tcp", "tcp6")
        ]

    sockets = [line.split() for table in tables for line in table.splitlines()[1:]]
    listening = [fields[1] for fields in sockets if fields[3] == "0A" and fields[1].endswith(f":{port:04X}")]
    assert listening == [f"0100007F:{port:04X}"]


def test_process_refuses_a_host_other_than_loopback() -> None:
    done = run("--host", ALL_INTERFACES)

    assert (done.returncode, done.stdout) == (2, "")
    assert f"{ALL_INTERFACES} is not a loopback address" in done.stderr


def test_process_reports_in_one_line_that_its_port_is_taken(running: RunningParticipantService) -> None:
    done = run("--port", running.url.rpartition(":")[2])

    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"The participant service cannot start: .*in use.*\n", done.stderr)


def test_process_introduces_itself_with_lines_to_paste() -> None:
    with started("--introduce") as process:
        url = first_line(process)
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        introduction = process.stdout.read()

    assert f"export AWS_ENDPOINT_URL_CONNECT={url} AWS_ENDPOINT_URL_CONNECTPARTICIPANT={url}" in introduction
    [page] = re.findall(r"docs/\S+\.md", introduction)
    page_text = (PROJECT / page).read_text()
    for line in introduction.replace(url, "http://127.0.0.1:4600").splitlines():
        assert not line.startswith("export") or line in page_text
