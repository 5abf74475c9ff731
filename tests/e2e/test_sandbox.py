"""`make sandbox` as its user runs it: its output, the commands that it prints, and its end."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from infra.producer import EventSource
from sandbox.lambda_runtime import CodeWatch
from sandbox.local_stack import addresses_in, participant_service_in
from tests.e2e.programs import ROOT, Program
from tests.support.limits import TOO_LONG

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("stack")]

# Replaces the AWS CLI, which is not a dependency: it writes down its arguments
AWS = """#!{python}
import json, os, sys
stdin = sys.stdin.read() if "fileb:///dev/stdin" in sys.argv else ""
with open(os.environ["CALLS"], "a") as calls:
    print(json.dumps({{"arguments": sys.argv[1:], "stdin": stdin}}), file=calls)
"""


class Sandbox:
    """A running sandbox, its output, and another terminal."""

    def __init__(self, program: Program, process: subprocess.Popen[str]) -> None:
        self.program = program
        self.process = process
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, name="sandbox-output")
        self._reader.start()
        self.introduction = "\n".join(self._lines_until("Messages, retries and errors"))
        self.to_paste = self.chats("env").stdout
        self.printed_commands = self.chats("commands").stdout

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))

    def _lines_until(self, text: str) -> Iterator[str]:
        deadline = time.monotonic() + 60
        line = ""
        while text not in line:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            yield line

    def line_with(self, text: str) -> str:
        """Wait for the next line with this text."""
        return list(self._lines_until(text))[-1]

    @property
    def exports(self) -> list[str]:
        return [line for line in self.to_paste.splitlines() if line.startswith("export ")]

    def commands(self, tool: str) -> list[str]:
        """Return the printed commands that use a tool."""
        blocks = re.findall(r"^(?:aws|curl|echo) .*(?:\n    .*)*", self.printed_commands, re.MULTILINE)
        return [block for block in blocks if re.search(rf"^ *{tool} ", block, re.MULTILINE)]

    def paste(self, command: str, **environ: str) -> str:
        """Run a command as in a terminal where the exports have been pasted."""
        done = subprocess.run(
            ["/bin/sh", "-ec", "\n".join([*self.exports, command])],
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    def chats(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run what `make env`, `make commands`, `make chat` and others run."""
        return subprocess.run(
            [sys.executable, "-m", "sandbox.live.chats", "--folder", str(self.program.folder), *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        status = self.process.wait(timeout=20)
        self._reader.join()
        return status


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with running_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@contextmanager
def running_sandbox(folder: Path) -> Iterator[Sandbox]:
    program = Program("sandbox.live", folder)
    with program.start() as process:
        sandbox = Sandbox(program, process)
        try:
            yield sandbox
        finally:
            if process.poll() is None:
                sandbox.stop(signal.SIGTERM)


def variable(name: str, text: str) -> str:
    [value] = re.findall(rf"\b{name}=(\S+)", text)
    return str(value)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_printed_request_leads_to_a_message_and_a_live_result(sandbox: Sandbox) -> None:
    to_the_queue, and_wait = sandbox.commands("curl")
    contact_id = variable("CONTACT_ID", "\n".join(sandbox.exports))

    accepted = sandbox.paste(to_the_queue)
    queued = sandbox.line_with("SENT")
    answered = sandbox.paste(and_wait)
    awaited = sandbox.line_with("SENT")

    assert accepted.endswith(" 202\n")
    assert answered.endswith(" 200\n")
    assert re.search(r"SENT +api-\d+-\d* through sqs$", queued)
    assert re.search(r"SENT +api-sync-\d+-\d* through api_gateway$", awaited)
    transcript = sandbox.chats("transcript", contact_id).stdout
    assert re.search(r"Hello by the API\n.*Hello by the API, waiting\n", transcript)


def test_the_printed_commands_of_the_aws_cli_have_the_chats_token(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "aws").write_text(AWS.format(python=sys.executable))
    (tmp_path / "aws").chmod(0o755)
    commands = sandbox.commands("aws")

    for command in commands:
        sandbox.paste(command, PATH=f"{tmp_path}:{os.environ['PATH']}", CALLS=str(tmp_path / "calls"))

    calls = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    assert [call["arguments"][:2] for call in calls] == [
        ["sqs", "send-message"],
        ["events", "put-events"],
        ["stepfunctions", "start-execution"],
        ["lambda", "invoke"],
    ]
    sqs, events, step_functions, lambda_ = (call["arguments"] for call in calls)
    [entry] = json.loads(events[events.index("--entries") + 1])
    requests = [
        json.loads(text)
        for text in (
            sqs[sqs.index("--message-body") + 1],
            entry["Detail"],
            step_functions[step_functions.index("--input") + 1],
            calls[-1]["stdin"],
        )
    ]
    exports = "\n".join(sandbox.exports)
    for name, field in (("CONNECTION_TOKEN", "ConnectionToken"), ("CONTACT_ID", "ContactId")):
        assert {request[field] for request in requests} == {variable(name, exports)}
    assert len({request["ClientToken"] for request in requests}) == len(requests)
    assert variable("AWS_ENDPOINT_URL", exports) in sqs
    assert lambda_[lambda_.index("--function-name") + 1].endswith(":live")


def test_another_terminal_opens_a_chat_ends_it_and_reads_its_transcript(sandbox: Sandbox) -> None:
    opened = sandbox.chats("open").stdout
    contact_id = variable("CONTACT_ID", opened)
    assert opened.startswith("export ")
    assert variable("CONNECTION_TOKEN", opened)

    assert "participant.joined" in sandbox.chats("transcript", contact_id[:8]).stdout
    assert sandbox.chats("end", contact_id).returncode == 0
    assert "chat.ended" in sandbox.chats("transcript", contact_id).stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_another_terminal_finds_the_log_of_a_chat(sandbox: Sandbox) -> None:
    _, and_wait = sandbox.commands("curl")
    contact_id = variable("CONTACT_ID", "\n".join(sandbox.exports))
    sandbox.paste(and_wait)
    sandbox.line_with("SENT")

    found, missing = (find(sandbox, identifier) for identifier in (contact_id, "nobody"))

    assert found.returncode == 0
    assert re.search(r"^\d\d:\d\d:\d\d\.\d{3}  Message ended\n  outcome +SENT$", found.stdout, re.MULTILINE)
    assert re.search(rf"^  contact_id +{contact_id}$", found.stdout, re.MULTILINE)
    assert max(map(len, found.stdout.splitlines())) <= 80
    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr.startswith("No line of the log has the id nobody.")


def find(sandbox: Sandbox, identifier: str) -> subprocess.CompletedProcess[str]:
    """Run what `make find` runs."""
    return subprocess.run(
        [
            *(sys.executable, "-m", "sandbox.live.find"),
            *("--folder", str(sandbox.program.folder), "--", identifier),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_a_fault_of_the_other_terminal_is_seen_in_this_one(sandbox: Sandbox) -> None:
    to_the_queue, _ = sandbox.commands("curl")

    broken = sandbox.chats("fault", "outage")
    sandbox.paste(to_the_queue)
    attempt, reason = sandbox.line_with("attempt 1: "), sandbox.line_with("ServiceUnavailable: ")
    repaired = sandbox.chats("fault", "off")
    sent = sandbox.line_with("SENT")

    assert (broken.returncode, broken.stdout) == (0, "Outage: every call is answered 503\n")
    assert re.search(r"attempt 1: ServiceUnavailable 503 in \d+ ms$", attempt)
    assert reason.strip() == "ServiceUnavailable: The service failed with status 503"
    assert (repaired.returncode, repaired.stdout) == (0, "All faults are off\n")
    assert re.search(r"through sqs, receive \d+$", sent)


def test_without_a_kind_the_faults_are_listed(sandbox: Sandbox) -> None:
    listed, unknown = sandbox.chats("fault", ""), sandbox.chats("fault", "nonsense")

    kind = "  make fault KIND=outage    Outage: every call is answered 503\n"
    assert (listed.returncode, listed.stderr) == (0, "")
    assert kind in listed.stdout
    assert unknown.returncode == 2
    assert unknown.stderr.startswith("There is no fault nonsense. There are:\n")
    assert kind in unknown.stderr


def test_exports_are_all_that_env_prints(sandbox: Sandbox) -> None:
    assert sandbox.to_paste.splitlines() == sandbox.exports


@pytest.mark.parametrize(("action", "target"), [("end", "end-chat"), ("transcript", "transcript")])
def test_without_a_chat_the_target_says_how_to_name_one(action: str, target: str, tmp_path: Path) -> None:
    done = Program("sandbox.live.chats", tmp_path).run(action, "--", "")

    assert done.returncode == 2
    assert done.stderr == f"Name a chat: make {target} CHAT=contact-id, or paste the lines of make env.\n"


def test_a_reader_that_leaves_early_gets_no_traceback(sandbox: Sandbox) -> None:
    command = f"{sys.executable} -m sandbox.live.chats --folder {sandbox.program.folder} commands | true"

    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stderr == ""


def test_all_chats_are_listed(sandbox: Sandbox) -> None:
    contact_id = variable("CONTACT_ID", sandbox.chats("open").stdout)

    assert re.search(rf"^{contact_id} +1 items  open$", sandbox.chats("list").stdout, re.MULTILINE)


def test_introduction_is_short_and_every_endpoint_is_local(sandbox: Sandbox) -> None:
    assert len(sandbox.introduction.splitlines()) <= 25
    assert "amazonaws.com" not in sandbox.to_paste + sandbox.printed_commands
    assert {
        variable(name, sandbox.to_paste)
        for name in ("AWS_ENDPOINT_URL_CONNECT", "AWS_ENDPOINT_URL_CONNECTPARTICIPANT")
    } == {participant_service_in(sandbox.program.folder).url}
    assert addresses_in(sandbox.program.folder).outputs.api_url.startswith("http://127.0.0.1:")


def test_an_unknown_chat_is_reported(sandbox: Sandbox) -> None:
    done = sandbox.chats("transcript", "nobody")

    assert (done.returncode, done.stderr) == (2, "404: No such chat\n")


def test_the_makefile_has_the_commands_of_the_other_terminal() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "env", "commands", "chat", "chats", "fault", "end-chat", "transcript"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    commands = [line.partition("sandbox.live.chats ")[2] for line in done.stdout.splitlines()]
    chat = '"${CHAT:-$CONTACT_ID}"'
    assert [command for command in commands if command] == [
        "env",
        "commands",
        "open",
        "list",
        'fault -- "$KIND"',
        f"end -- {chat}",
        f"transcript -- {chat}",
    ]


def test_ctrl_c_stops_it_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with running_sandbox(tmp_path) as sandbox:
        status = sandbox.stop(signal.SIGINT)

        assert status == 0
        assert sandbox.line_with("Stopped")
        assert sandbox.process.stderr
        assert sandbox.process.stderr.read() == ""
    assert sandbox.program.left_behind == []
    assert list(sandbox.program.home.iterdir()) == []


def test_without_a_sandbox_the_other_terminal_says_how_to_start_one(tmp_path: Path) -> None:
    program = Program("sandbox.live.chats", tmp_path)

    done = program.run("open")

    assert done.returncode == 2
    assert done.stderr == "No sandbox is running. Start one in another terminal: make sandbox\n"


def test_changed_code_is_deployed_and_invalid_code_is_not(
    stack: LocalStack, alice: Conversation, tmp_path: Path
) -> None:
    source = tmp_path / "message_sender"
    shutil.copytree(ROOT / "lambda_src/message_sender", source)
    request_module = source / "request.py"
    original = request_module.read_text()
    watch = CodeWatch(source)

    def reason() -> str:
        return str(alice.refused(EventSource.API_SYNC, TOO_LONG, ClientToken="c-1").reason)

    assert not watch.update(stack.emulator, stack.outputs)
    assert "longer than" in reason()

    request_module.write_text(original.replace("longer than", "much longer than"))
    assert watch.update(stack.emulator, stack.outputs)
    assert "much longer than" in reason()

    request_module.write_text("def broken(:\n")
    with pytest.raises(SyntaxError, match=r"request\.py"):
        watch.update(stack.emulator, stack.outputs)
    assert "much longer than" in reason()

    request_module.write_text(original)
    assert watch.update(stack.emulator, stack.outputs)
    assert "much" not in reason()
