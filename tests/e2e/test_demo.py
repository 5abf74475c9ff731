"""`make demo` as its user runs it: its output, its exit code, and that it leaves nothing behind."""

from __future__ import annotations

import fcntl
import json
import re
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.programs import Program

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("stack")]


@pytest.fixture
def demo(tmp_path: Path) -> Program:
    return Program("sandbox.demo", tmp_path)


@pytest.fixture
def unexpected(tmp_path: Path) -> Path:
    """Return a file of one message with an expectation that is wrong."""
    line = {
        "chat": "alice",
        "through": "queue",
        "request": {"ContentType": "text/plain", "Content": "Hello"},
        "expect": {"outcome": "REJECTED", "code": "InvalidRequest"},
    }
    path = tmp_path / "unexpected.jsonl"
    path.write_text(json.dumps(line), encoding="utf-8")
    return path


def test_the_example_goes_as_expected_and_leaves_nothing_behind(demo: Program) -> None:
    done = demo.run()

    assert (done.returncode, done.stderr) == (0, "")
    assert "Everything is as expected." in done.stdout
    assert "✗" not in done.stdout
    [lost, *_] = [line.split() for line in done.stdout.splitlines() if "lost: no outcome" in line]
    assert lost[-2] == "0"
    assert int(lost[-1]) > 0, "the plain loop loses messages"
    assert not re.search(r"[A-Za-z0-9+/]{100}", done.stdout), "this looks like a token"
    assert demo.left_behind == []
    assert list(demo.home.iterdir()) == []


def test_a_file_that_expects_something_else_fails(demo: Program, unexpected: Path) -> None:
    done = demo.run("--act", "1", str(unexpected))

    assert done.returncode == 1
    assert "line 1: expected REJECTED InvalidRequest, got SENT" in done.stdout
    assert "Not everything is as expected." in done.stdout
    assert demo.left_behind == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["participant-service.log", "emulator.log", "cdk.log", "outputs.json"])
def test_a_signal_at_any_moment_leaves_no_process_behind(
    demo: Program, moment: str, number: signal.Signals
) -> None:
    with demo.start() as process:
        deadline = time.monotonic() + 60
        while not (demo.folder / moment).exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        out, _ = process.communicate(timeout=20)

    assert process.returncode == 128 + number
    assert "Stopped. All processes have ended." in out
    assert demo.left_behind == []


def test_a_taken_port_is_reported_with_its_fix(demo: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = demo.run("--emulator-port", str(port))

    assert done.returncode == 2
    assert re.search(rf"port {port} on 127\.0\.0\.1: .*in use", done.stderr)
    assert "Name another with EMULATOR_PORT=" in done.stderr
    assert demo.left_behind == []


@pytest.mark.parametrize("port", ["70000", "http"])
def test_a_port_that_does_not_exist_is_refused(demo: Program, port: str) -> None:
    done = demo.run("--emulator-port", port)

    assert done.returncode == 2
    assert port in done.stderr
    assert "Traceback" not in done.stderr


def test_a_second_demo_in_the_same_folder_is_refused(demo: Program) -> None:
    with demo.folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = demo.run()

    assert done.returncode == 2
    assert f"{demo.folder} is in use by another run" in done.stderr


def test_a_folder_with_other_files_is_left_alone(demo: Program) -> None:
    demo.folder.mkdir()
    (demo.folder / "thesis.txt").touch()

    done = demo.run()

    assert done.returncode == 2
    assert f"{demo.folder} holds files of something else" in done.stderr
    assert (demo.folder / "thesis.txt").exists()


def test_errors_in_a_file_are_reported_by_line_and_field(demo: Program, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"chat": "alice", "through": "pigeon"}\n', encoding="utf-8")

    done = demo.run(str(path))

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{path}:1: the line has no request\n"
