"""`python -m ops preflight` and `prune` on the deployed stack.

The emulator has no Service Quotas, and does not enforce permissions.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.emulator import ACCOUNT, REGION
from tests.support.coverage import measured_environ

if TYPE_CHECKING:
    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.e2e

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(stack: LocalStack, tmp_path: Path) -> Run:
    environ = {**measured_environ(), **stack.emulator.environ(home=tmp_path)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ops", *arguments],
            cwd=ROOT,
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


def marks(output: str) -> dict[str, tuple[str, str]]:
    """Return mark and summary of each check, by its name."""
    lines = output.split("\n\n")[1].splitlines()
    return {line[5:25].strip(): (line[:5].strip(), line[25:]) for line in lines if line[0] != " "}


def test_deployed_stack_could_be_deployed_again(run: Run) -> None:
    done = run("preflight", "--send-quota", "100")

    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    found = marks(done.stdout)
    assert {mark for mark, _ in found.values()} == {"ok", "-"}
    assert found["credentials"] == ("ok", f"account {ACCOUNT}, root")
    assert found["stack"] == ("ok", "ConnectMessageSender-dev: CREATE_COMPLETE")
    assert found["CDK bootstrap"][1].endswith(", needed: 6")
    assert found["names"] == ("-", "the stack has them already")
    assert found["API Gateway's role"][1].startswith("ConnectMessageSender-dev-"), done.stdout
    assert found["log policies"][0] == "ok"
    assert f"in account {ACCOUNT}, {REGION}\n" in done.stdout
    assert done.stdout.endswith("Nothing found that would fail at make deploy STAGE=dev.\n")


def test_service_that_does_not_answer_stops_no_other_check(run: Run) -> None:
    done = run("preflight")

    assert done.returncode == 0
    assert "\n\nSendMessage quota: not checked: ListServiceQuotas: " in done.stdout
    assert marks(done.stdout)["web ACL"] == ("-", "none")


def test_old_versions_are_deleted_and_the_alias_still_works(
    run: Run, stack: LocalStack, alice: Conversation
) -> None:
    lambda_, name = stack.lambda_, stack.outputs.function_name

    def versions() -> list[str]:
        listed = lambda_.list_versions_by_function(FunctionName=name)["Versions"]
        return [each["Version"] for each in listed if each["Version"] != "$LATEST"]

    live = lambda_.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
    for number in range(6):
        lambda_.update_function_configuration(FunctionName=name, Description=f"Release {number}")
        lambda_.publish_version(FunctionName=name)
    before = versions()
    assert len(before) >= 7
    old = len(before) - 4

    shown = run("prune", "--keep", "3")
    assert versions() == before
    done = run("prune", "--keep", "3", "--apply")

    for output in (shown, done):
        assert (output.returncode, output.stderr) == (0, "")
    assert "This is a dry run" in shown.stdout
    assert f"{old} to delete, 4 to keep" in shown.stdout
    assert f"{old} deleted, 4 kept" in done.stdout
    assert f"keep    {live:>5}  alias live" in done.stdout
    assert versions() == [live, *before[-3:]]
    assert alice.result_of(alice.queue("Still here")).outcome == "SENT"
