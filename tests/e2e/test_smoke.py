"""`python -m ops smoke` against the local stack and the local participant service."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infra.producer import EventSource
from sandbox.participant_service.faults import AcceptedThenStatus
from tests.support.coverage import measured_environ
from tests.support.limits import TOO_LONG

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation

ROOT = Path(__file__).parents[2]
STACK = "ConnectMessageSender-dev"
NEW_CHAT = ("--instance", "instance-1", "--flow", "flow-1")

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Smoke:
    """The smoke test as its user runs it, and the resources that it leaves in the account."""

    stack: LocalStack
    environ: dict[str, str] = field(repr=False)
    api_url: str

    def start(
        self,
        *flags: str,
        chat: Sequence[str] = NEW_CHAT,
        sources: Sequence[str] = ("direct",),
        **environ: str,
    ) -> subprocess.Popen[str]:
        arguments = ["smoke", *chat, "--api-url", self.api_url, *flags]
        arguments += [argument for source in sources for argument in ("--source", source)]
        return subprocess.Popen(
            [sys.executable, "-m", "ops", *arguments],
            cwd=ROOT,
            env=self.environ | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        *flags: str,
        chat: Sequence[str] = NEW_CHAT,
        sources: Sequence[str] = ("direct",),
        **environ: str,
    ) -> subprocess.CompletedProcess[str]:
        with self.start(*flags, chat=chat, sources=sources, **environ) as process:
            out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    @property
    def left_behind(self) -> list[str]:
        events, bus = self.stack.emulator.client("events"), self.stack.outputs.event_bus_name
        names = [rule["Name"] for rule in events.list_rules(EventBusName=bus)["Rules"]]
        names += self.stack.sqs.list_queues().get("QueueUrls", [])
        return [name for name in names if "-smoke-" in name]

    @property
    def last_chat(self) -> dict[str, Any]:
        """The latest chat, as the control call `chats` reports it."""
        chats: list[dict[str, Any]] = self.stack.participant.call("chats")
        return chats[-1]


@pytest.fixture
def smoke(stack: LocalStack, tmp_path: Path) -> Iterator[Smoke]:
    participant_url = stack.participant.url
    environ = {
        **measured_environ(),
        **stack.emulator.environ(home=tmp_path),
        "AWS_ENDPOINT_URL_CONNECT": participant_url,
        "AWS_ENDPOINT_URL_CONNECTPARTICIPANT": participant_url,
    }
    yield Smoke(stack, environ, stack.api_url)
    stack.participant.clear_faults()
    stack.participant.call("set_idempotency_window", seconds=None)


def rows(output: str) -> dict[str, str]:
    """Return the row of each event source: its mark, and its cells."""
    found = re.findall(r"^ ([✓✗]) +(\S+) +(.*)$", output, re.MULTILINE)
    return {source: f"{mark} {re.sub(r' {2,}', ' | ', text)}" for mark, source, text in found}


def observations(output: str) -> dict[str, str]:
    _, _, after = output.partition("Behaviour of the Participant Service")
    return dict(re.findall(r"^ (\S.*?) {2,}(\S.*)$", after, re.MULTILINE))


def test_a_message_by_each_event_source_is_sent_and_shown_once(smoke: Smoke) -> None:
    done = smoke.run(sources=tuple(EventSource))

    assert (done.returncode, done.stderr) == (0, "")
    assert rows(done.stdout) == {
        "queue": "✓ accepted | SENT | once",
        "event": "✓ accepted | SENT | once",
        "direct": "✓ SENT | SENT | once",
        "workflow": "✓ SENT | SENT | once",
        "api": "✓ accepted | SENT | once",
        "api-sync": "✓ SENT | SENT | once",
    }
    refused = "403 AccessDeniedException"
    assert observations(done.stdout) == {
        "the same ClientToken after 1 s": "accepted, its repeat has the same Id, in the transcript once",
        f"a text of {len(TOO_LONG):,} characters": "accepted, in the transcript once",
        "a participant token instead of a connection token": f"{refused}, not in the transcript",
        "a message after StopContact": refused,
    }
    assert not re.search(r"[A-Za-z0-9+/]{100}", done.stdout), "this looks like a token"
    assert smoke.last_chat["ended_at"]
    assert smoke.left_behind == []


def test_stack_of_another_stage_is_named(smoke: Smoke) -> None:
    done = smoke.run("--stage", "staging")

    assert done.returncode == 2
    assert "There is no stack ConnectMessageSender-staging in us-east-1" in done.stderr
    assert "make deploy STAGE=staging" in done.stderr


def test_a_message_that_is_shown_twice_fails(smoke: Smoke) -> None:
    # Accepted, answered with an error, and sent again under a ClientToken that the service has forgotten
    smoke.stack.participant.call("set_idempotency_window", seconds=0)
    smoke.stack.participant.add_fault(AcceptedThenStatus())

    done = smoke.run()

    assert done.returncode == 1
    assert rows(done.stdout) == {"direct": "✗ SENT | SENT | 2 times | 2 times in the transcript"}
    assert observations(done.stdout)["the same ClientToken after 1 s"] == (
        "accepted, its repeat has another Id, in the transcript 2 times"
    )


def test_a_given_chat_is_used_and_left_open(smoke: Smoke, alice: Conversation) -> None:
    done = smoke.run(chat=(), sources=("queue",), CONNECTION_TOKEN=alice.chat.connection_token)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"contact {alice.chat.contact_id}, not ended by this test" in done.stdout
    assert len(observations(done.stdout)) == 2
    assert alice.chat.connection_token not in done.stdout
    assert smoke.last_chat["ended_at"] is None


def test_messages_to_an_ended_chat_fail_with_their_reason(smoke: Smoke, alice: Conversation) -> None:
    smoke.stack.participant.end_chat(alice.chat.contact_id)

    done = smoke.run(chat=(), sources=("queue",), CONNECTION_TOKEN=alice.chat.connection_token)

    assert done.returncode == 1
    assert rows(done.stdout)["queue"].startswith("✗ accepted | REJECTED | 0 times | REJECTED AccessDenied: ")
    assert alice.chat.connection_token not in done.stdout + done.stderr


def test_a_refused_token_is_reported(smoke: Smoke, alice: Conversation) -> None:
    token = alice.chat.connection_token
    smoke.stack.participant.call("expire_connection_token", connection_token=token)

    done = smoke.run(chat=(), CONNECTION_TOKEN=token)

    assert done.returncode == 2
    assert done.stderr == "GetTranscript: 403 AccessDeniedException\n"


def test_the_transcript_decides_if_the_results_cannot_be_watched(smoke: Smoke) -> None:
    done = smoke.run(AWS_ENDPOINT_URL_SQS="http://127.0.0.1:1", AWS_MAX_ATTEMPTS="1")

    assert (done.returncode, done.stderr) == (0, "")
    assert rows(done.stdout) == {"direct": "✓ SENT | not watched | once"}
    assert "The results were not watched: EndpointConnectionError" in done.stdout
    assert smoke.left_behind == []


@pytest.mark.parametrize("moment", ["Sending", "Waiting", "Repeating"])
def test_a_signal_leaves_nothing_behind(smoke: Smoke, moment: str) -> None:
    with smoke.start(sources=("queue",)) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith(moment):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert (process.returncode, err) == (128 + signal.SIGINT, "")
    assert out.endswith("Stopped. You can run the same command again.\n")
    assert smoke.last_chat["ended_at"]
    assert smoke.left_behind == []


@pytest.mark.parametrize(
    ("chat", "sources", "environ", "error"),
    [
        (NEW_CHAT[:2], ["direct"], {}, "add --flow to start a chat"),
        (NEW_CHAT, ["queue", "fax"], {}, "argument --source: invalid choice: 'fax'"),
        (NEW_CHAT, ["direct"], {"AWS_ACCESS_KEY_ID": ""}, "export AWS_PROFILE="),
        (NEW_CHAT, ["direct"], {"AWS_DEFAULT_REGION": ""}, "export AWS_DEFAULT_REGION="),
        (
            NEW_CHAT,
            ["direct"],
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"},
            "Could not connect",
        ),
    ],
)
def test_missing_or_wrong_setting_is_reported(
    smoke: Smoke, chat: Sequence[str], sources: Sequence[str], environ: dict[str, str], error: str
) -> None:
    done = smoke.run(chat=chat, sources=sources, **environ)

    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert error in done.stderr
