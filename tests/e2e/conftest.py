"""The deployed stack in the emulator. Each pytest-xdist worker starts its own, on free ports."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.api_client import QUEUE_PATH, SYNCHRONOUS_PATH
from sandbox.local_stack import local_stack
from sandbox.participant_service.chats import CONTENT_TYPES
from sandbox.processes import ChildProcesses
from tests.e2e.listeners import ListenerWatch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from sandbox.api_client import HttpAnswer
    from sandbox.local_stack import Answer, LocalStack, OpenChat
    from sandbox.participant_service.transcript import TranscriptItem
    from sandbox.results import ResultEvent

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Conversation:
    """A chat, and its producer's ways of sending to it."""

    stack: LocalStack
    chat: OpenChat

    def request(self, content: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
        """Return a request, changed by `fields`. A field of `...` is left out."""
        valid = {
            "ConnectionToken": self.chat.connection_token,
            "ContactId": self.chat.contact_id,
            "ContentType": "text/plain",
            "Content": content,
        }
        return {name: value for name, value in (valid | fields).items() if value is not ...}

    def queue(self, content: str, **fields: Any) -> str:  # noqa: ANN401  # JSON
        """Send through the queue; return the message id."""
        return self.stack.send_to_queue(
            json.dumps(self.request(content, **fields)),
            group=self.chat.contact_id,
            deduplication_id=str(uuid.uuid4()),
        )

    def invoke(self, content: str, **fields: Any) -> Answer:  # noqa: ANN401  # JSON
        return self.stack.invoke(self.request(content, **fields))

    def post(self, content: str, **fields: Any) -> HttpAnswer:  # noqa: ANN401  # JSON
        """Send through the HTTP API and the queue."""
        return self.stack.api.post(QUEUE_PATH, json.dumps(self.request(content, **fields)))

    def post_and_wait(self, content: str, **fields: Any) -> HttpAnswer:  # noqa: ANN401  # JSON
        """Send through the HTTP API and the function."""
        return self.stack.api.post(SYNCHRONOUS_PATH, json.dumps(self.request(content, **fields)))

    def event(self, content: str, **fields: Any) -> str:  # noqa: ANN401  # JSON
        """Send through the event bus; return the event's id."""
        return self.stack.put_event(json.dumps(self.request(content, **fields)))

    def execute(self, content: str, **fields: Any) -> tuple[str, Answer]:  # noqa: ANN401  # JSON
        """Send through the state machine; return the execution's ARN, and what it ended with."""
        execution = self.stack.start_execution(self.request(content, **fields))
        return execution, self.stack.wait_for_execution(execution)

    def result_of(self, source_id: str) -> ResultEvent:
        return self.stack.results.wait_for(source_id)

    @property
    def messages(self) -> list[TranscriptItem]:
        return self.stack.participant.messages(self.chat.contact_id)

    @property
    def texts(self) -> list[str | None]:
        return [message.content for message in self.messages]


@dataclass(frozen=True)
class Conversations:
    stack: LocalStack

    def open(self, *, ended: bool = False, content_types: Collection[str] = CONTENT_TYPES) -> Conversation:
        return Conversation(self.stack, self.stack.open_chat(ended=ended, content_types=content_types))


class RejectedCopies:
    """What the rejected queue has held so far."""

    def __init__(self, stack: LocalStack) -> None:
        self._sqs = stack.sqs
        self._queue_url = stack.outputs.rejected_queue_url
        self._copies: dict[str, dict[str, Any]] = {}

    def copy_of(self, source_id: str) -> dict[str, Any]:
        """Return the copy of a message that has been rejected, as ReceiveMessage answers it."""
        answer: dict[str, Any] = {"Messages": [{}]}
        while source_id not in self._copies and answer.get("Messages"):
            answer = self._sqs.receive_message(
                QueueUrl=self._queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            )
            for copy in answer.get("Messages", []):
                self._copies[copy["MessageAttributes"]["SourceId"]["StringValue"]] = copy
        return self._copies[source_id]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that the stack writes to."""
    return tmp_path_factory.mktemp("local-stack") / "stack"


@pytest.fixture(scope="session")
def children() -> Iterator[ChildProcesses]:
    with ChildProcesses() as children:
        yield children


@pytest.fixture(scope="session")
def listeners(children: ChildProcesses) -> Iterator[ListenerWatch]:
    """Watch what the stack's processes listen on, from before the first is started."""
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    with ListenerWatch(lambda: children.process_groups) as watch:
        yield watch


@pytest.fixture(scope="session")
def stack(
    children: ChildProcesses,
    folder: Path,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[LocalStack]:
    """Start one stack in each pytest-xdist worker."""
    if sys.platform == "linux":
        request.getfixturevalue("listeners")
    # The stack of the working tree, also if you run pytest without make. One worker at a time prepares it.
    with (tmp_path_factory.getbasetemp().parent / "prepare.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "prepare"], cwd=ROOT, check=True)
    with local_stack(children, folder=folder) as stack:
        yield stack


@pytest.fixture(scope="session")
def rejected(stack: LocalStack) -> RejectedCopies:
    return RejectedCopies(stack)


@pytest.fixture
def conversations(stack: LocalStack) -> Conversations:
    return Conversations(stack)


@pytest.fixture
def alice(conversations: Conversations) -> Conversation:
    return conversations.open()
