"""`make smoke` against the local stack, with a local participant service in the place of Amazon Connect."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.producer import EventSource
from sandbox.participant_service.faults import AcceptedThenStatus
from tests.support.coverage import measured_environ

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.local_stack import LocalStack
    from sandbox.participant_service.chats import ChatState
    from tests.e2e.conftest import Conversation

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Smoke:
    """The smoke test as its user runs it, and the resources that it leaves in the account."""

    stack: LocalStack
    environ: dict[str, str] = field(repr=False)

    def start(self, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "ops.smoke"],
            cwd=ROOT,
            env=self.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, **variables: str) -> subprocess.CompletedProcess[str]:
        with self.start(**variables) as process:
            out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    @property
    def left_behind(self) -> list[str]:
        events, bus = self.stack.emulator.client("events"), self.stack.outputs.event_bus_name
        names = [rule["Name"] for rule in events.list_rules(EventBusName=bus)["Rules"]]
        names += self.stack.sqs.list_queues().get("QueueUrls", [])
        return [name for name in names if "-smoke-" in name]

    @property
    def last_chat(self) -> ChatState:
        return self.stack.participant.chats()[-1]


@pytest.fixture
def smoke(stack: LocalStack, folder: Path, tmp_path: Path) -> Iterator[Smoke]:
    participant_url = (folder / "participant-service.url").read_text(encoding="utf-8").strip()
    environ = {
        **measured_environ(),
        **stack.emulator.environ(home=tmp_path),
        "AWS_ENDPOINT_URL_CONNECT": participant_url,
        "AWS_ENDPOINT_URL_CONNECTPARTICIPANT": participant_url,
        "CONNECT_INSTANCE": "instance-1",
        "CONTACT_FLOW": "flow-1",
        "SOURCES": "direct",
        "API_URL": stack.api_url,
    }
    yield Smoke(stack, environ)
    stack.participant.clear_faults()
    stack.participant.set_idempotency_window(None)


def rows(output: str) -> dict[str, str]:
    """Return the row of each event source: its mark, and its cells."""
    found = re.findall(r"^ ([✓✗]) +(\S+) +(.*)$", output, re.MULTILINE)
    return {source: f"{mark} {re.sub(r' {2,}', ' | ', text)}" for mark, source, text in found}


def observations(output: str) -> dict[str, str]:
    _, _, after = output.partition("Behaviour of the Participant Service")
    return dict(re.findall(r"^ (\S.*?) {2,}(\S.*)$", after, re.MULTILINE))


def test_a_message_by_each_event_source_is_sent_and_shown_once(smoke: Smoke) -> None:
    done = smoke.run(SOURCES=",".join(EventSource))

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
        "a text of 1025 characters": "accepted, in the transcript once",
        "a participant token instead of a connection token": f"{refused}, not in the transcript",
        "a message after StopContact": refused,
    }
    assert not re.search(r"[A-Za-z0-9+/]{100}", done.stdout), "this looks like a token"
    assert smoke.last_chat.ended_at
    assert smoke.left_behind == []


def test_make_smoke_passes_its_variables_on(smoke: Smoke) -> None:
    environ = {name: value for name, value in smoke.environ.items() if name != "CONTACT_FLOW"}
    done = subprocess.run(
        ["make", "smoke", "STAGE=staging", "CONTACT_FLOW=flow-1"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode != 0
    assert "There is no stack ConnectMessageSender-staging in us-east-1" in done.stderr
    assert "make deploy STAGE=staging" in done.stderr


def test_a_message_that_is_shown_twice_fails(smoke: Smoke) -> None:
    # Accepted, answered with an error, and sent again under a ClientToken that the service has forgotten
    smoke.stack.participant.set_idempotency_window(0)
    smoke.stack.participant.add_fault(AcceptedThenStatus())

    done = smoke.run()

    assert done.returncode == 1
    assert rows(done.stdout) == {"direct": "✗ SENT | SENT | 2 times | 2 times in the transcript"}
    assert observations(done.stdout)["the same ClientToken after 1 s"] == (
        "accepted, its repeat has another Id, in the transcript 2 times"
    )


def test_a_given_chat_is_used_and_left_open(smoke: Smoke, alice: Conversation) -> None:
    done = smoke.run(
        CONNECTION_TOKEN=alice.chat.connection_token, CONNECT_INSTANCE="", CONTACT_FLOW="", SOURCES="queue"
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert f"contact {alice.chat.contact_id}, not ended by this test" in done.stdout
    assert len(observations(done.stdout)) == 2
    assert alice.chat.connection_token not in done.stdout
    assert smoke.last_chat.ended_at is None


def test_messages_to_an_ended_chat_fail_with_their_reason(smoke: Smoke, alice: Conversation) -> None:
    smoke.stack.participant.end_chat(alice.chat.contact_id)

    done = smoke.run(
        CONNECTION_TOKEN=alice.chat.connection_token, CONNECT_INSTANCE="", CONTACT_FLOW="", SOURCES="queue"
    )

    assert done.returncode == 1
    assert rows(done.stdout)["queue"].startswith("✗ accepted | REJECTED | 0 times | REJECTED AccessDenied: ")
    assert alice.chat.connection_token not in done.stdout + done.stderr


def test_a_refused_token_is_reported(smoke: Smoke, alice: Conversation) -> None:
    smoke.stack.participant.expire_connection_token(alice.chat.connection_token)

    done = smoke.run(CONNECTION_TOKEN=alice.chat.connection_token, CONNECT_INSTANCE="", CONTACT_FLOW="")

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
    with smoke.start(SOURCES="queue") as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith(moment):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)

    assert (process.returncode, err) == (128 + signal.SIGINT, "")
    assert out.endswith("Stopped.\n")
    assert smoke.last_chat.ended_at
    assert smoke.left_behind == []


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"CONTACT_FLOW": ""}, "no CONTACT_FLOW"),
        ({"SOURCES": "queue,fax"}, "'fax', which is none of the event sources"),
        ({"AWS_ACCESS_KEY_ID": ""}, "export AWS_PROFILE="),
        ({"AWS_DEFAULT_REGION": ""}, "export AWS_DEFAULT_REGION="),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}, "Could not connect"),
    ],
)
def test_a_missing_setting_is_reported_with_the_command_that_fixes_it(
    smoke: Smoke, variables: dict[str, str], complaint: str
) -> None:
    done = smoke.run(**variables)

    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert complaint in done.stderr
