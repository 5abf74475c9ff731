"""Child processes never outlive the one that started them, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox.processes import ChildProcesses, ProcessError

ROOT = Path(__file__).parents[2]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_pid(path: Path) -> int:
    """Return the process id that a script writes to a file, when it has."""
    deadline = time.monotonic() + 10
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < deadline, f"{path} was not written"
        time.sleep(0.01)
    return int(path.read_text())


def wait_until_gone(pid: int) -> None:
    """Wait until an orphan, which init reaps in its own time, is gone."""
    deadline = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < deadline, f"{pid} is still running"
        time.sleep(0.01)


def test_what_a_child_has_started_is_stopped_with_it(tmp_path: Path) -> None:
    with ChildProcesses() as children:
        child = children.start(
            ["sh", "-c", "sleep 60 & echo $! > grandchild; wait"], output=tmp_path / "out", folder=tmp_path
        )
        grandchild = wait_for_pid(tmp_path / "grandchild")

    assert child.process.returncode == 128 + signal.SIGTERM
    wait_until_gone(grandchild)


def test_children_are_stopped_when_something_fails(tmp_path: Path) -> None:
    pids = []

    def start_and_fail() -> None:
        with ChildProcesses() as children:
            children.start(["sleep", "60"], output=tmp_path / "out", folder=tmp_path)
            pids.extend(children.process_groups)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        start_and_fail()
    assert not any(map(is_running, pids))


def test_a_child_that_does_not_stop_when_asked_is_killed(tmp_path: Path) -> None:
    with ChildProcesses() as children:
        child = children.start(
            ["sh", "-c", "trap '' TERM; echo $$ > pid; while :; do sleep 0.1; done"],
            output=tmp_path / "out",
            folder=tmp_path,
        )
        wait_for_pid(tmp_path / "pid")

    assert child.process.returncode == -signal.SIGKILL


def test_a_command_that_fails_is_told_with_what_it_printed(tmp_path: Path) -> None:
    with ChildProcesses() as children, pytest.raises(ProcessError) as raised:
        children.run(
            ["sh", "-c", "echo out; echo err >&2; exit 3"],
            output=tmp_path / "out",
            folder=tmp_path,
            timeout=10,
        )

    assert "ended with status 3" in str(raised.value)
    assert str(raised.value).endswith("out\nerr")


def test_a_command_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    with ChildProcesses() as children:
        with pytest.raises(ProcessError, match=r"was not done after 0\.1 seconds"):
            children.run(["sleep", "60"], output=tmp_path / "out", folder=tmp_path, timeout=0.1)

        assert children.process_groups == []


def test_a_child_that_ends_before_it_is_ready_is_an_error(tmp_path: Path) -> None:
    with ChildProcesses() as children:
        child = children.start(["false"], output=tmp_path / "out", folder=tmp_path)
        with pytest.raises(ProcessError, match="ended with status 1"):
            child.wait_until(lambda: False, timeout=10)


def test_a_child_that_is_never_ready_is_an_error(tmp_path: Path) -> None:
    with ChildProcesses() as children:
        child = children.start(["sleep", "60"], output=tmp_path / "out", folder=tmp_path)
        with pytest.raises(ProcessError, match=r"was not ready after 0\.1 seconds"):
            child.wait_until(lambda: False, timeout=0.1)


def test_a_child_does_not_outlive_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path; from sandbox.processes import ChildProcesses; import os, time\n"
        "here = Path(os.environ['HERE'])\n"
        "with ChildProcesses() as children:\n"
        "    command = ['sh', '-c', 'sleep 60 & echo $! > pid; wait']\n"
        "    children.start(command, output=here / 'out', folder=here)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env={**os.environ, "HERE": str(tmp_path)}
    ) as parent:
        grandchild = wait_for_pid(tmp_path / "pid")
        parent.kill()

    wait_until_gone(grandchild)


class TestStep:
    """What shows that an installation is alive."""

    @staticmethod
    def step(*command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "sandbox.progress", "Installing", *command],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )

    def test_what_a_command_prints_is_hidden_when_it_succeeds(self) -> None:
        with self.step("echo", "chatter") as step:
            printed, _ = step.communicate(timeout=10)

        assert (step.returncode, printed) == (0, "  Installing  done (0 s)\n")

    def test_what_a_command_prints_is_shown_when_it_fails(self) -> None:
        with self.step("sh", "-c", r"printf 'sorry\033[2J\n'; exit 3") as step:
            printed, _ = step.communicate(timeout=10)

        assert (step.returncode, printed) == (3, "  Installing  failed:\nsorry\\x1b[2J\n\n")

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_stops_the_command(self, tmp_path: Path, number: signal.Signals) -> None:
        with self.step("sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; wait") as step:
            pid = wait_for_pid(tmp_path / "pid")
            step.send_signal(number)
            step.communicate(timeout=10)

        assert step.returncode == 128 + number
        wait_until_gone(pid)
