"""The deployed stack in the emulator. Each pytest-xdist worker starts its own, on free ports."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infra.producer import EventSource, NotSentError
from sandbox.local_stack import start_local_stack
from sandbox.participant_service.chats import CONTENT_TYPES
from sandbox.processes import ChildProcesses
from tests.e2e.listeners import ListenerWatch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from types_boto3_sqs.type_defs import MessageTypeDef

    from infra.producer import Answer
    from infra.results import MessageResult
    from sandbox.local_stack import LocalStack
    from sandbox.participant_service.control import OpenChat
    from sandbox.participant_service.transcript import TranscriptItem

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Conversation:
    """A chat, and its producer, who sends any request without a check."""

    stack: LocalStack
    chat: OpenChat

    def request(self, content: str, **fields: object) -> dict[str, Any]:
        """Return a request, changed by `fields`. A field of `...` is left out."""
        valid = {
            "ConnectionToken": self.chat.connection_token,
            "ContactId": self.chat.contact_id,
            "ContentType": "text/plain",
            "Content": content,
        }
        return {name: value for name, value in (valid | fields).items() if value is not ...}

    def send(self, through: EventSource, content: str, **fields: object) -> Answer:
        text = json.dumps(self.request(content, **fields))
        return self.stack.producer.send_text(text, through=through, message_group=self.chat.contact_id)

    def sent(self, through: EventSource, content: str, **fields: object) -> dict[str, Any]:
        """Send, and return the result that the event source answers."""
        result = self.send(through, content, **fields).result
        assert result is not None
        return dict(result.detail)

    def refused(self, through: EventSource, content: str, **fields: object) -> NotSentError:
        """Send, and return the error that the event source answers."""
        with pytest.raises(NotSentError) as raised:
            self.send(through, content, **fields)
        return raised.value

    def queue(self, content: str, **fields: object) -> str:
        """Send through the queue. Return the message id."""
        return self.send(EventSource.QUEUE, content, **fields).source_id

    def post(self, content: str, **fields: object) -> str:
        """Send through the REST API to the queue. Return the message id."""
        return self.send(EventSource.API, content, **fields).source_id

    def event(self, content: str, **fields: object) -> str:
        """Send through the event bus. Return the event's id."""
        return self.send(EventSource.EVENT, content, **fields).source_id

    def start(self, content: str, **fields: object) -> str:
        """Start an execution. Return its ARN."""
        return self.send(EventSource.WORKFLOW, content, **fields).source_id

    def result_of(self, source_id: str) -> MessageResult:
        return self.stack.results.wait_for(lambda result: result.source_id == source_id)

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
        return Conversation(
            self.stack, self.stack.participant.open_chat(ended=ended, content_types=content_types)
        )


class RejectedCopies:
    """The copies that have been in the rejected queue so far."""

    def __init__(self, stack: LocalStack) -> None:
        self._sqs = stack.sqs
        self._queue_url = stack.outputs.rejected_queue_url
        self._copies: dict[str, MessageTypeDef] = {}

    def copy_of(self, source_id: str) -> MessageTypeDef:
        """Return the copy of a rejected message, as ReceiveMessage answers it."""
        while source_id not in self._copies:
            answer = self._sqs.receive_message(
                QueueUrl=self._queue_url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
            )
            if not answer.get("Messages"):
                break
            for copy in answer["Messages"]:
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
    """Watch the addresses that the stack's processes listen on, from before the first is started."""
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
) -> LocalStack:
    """Start one stack in each pytest-xdist worker."""
    if sys.platform == "linux":
        request.getfixturevalue("listeners")
    # The stack of the working tree, also if you run pytest without make. One worker at a time prepares it.
    with (tmp_path_factory.getbasetemp().parent / "prepare.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(["make", "prepare"], cwd=ROOT, check=True)
    return start_local_stack(children, folder=folder)


@pytest.fixture(scope="session")
def rejected(stack: LocalStack) -> RejectedCopies:
    return RejectedCopies(stack)


@pytest.fixture
def conversations(stack: LocalStack) -> Conversations:
    return Conversations(stack)


@pytest.fixture
def alice(conversations: Conversations) -> Conversation:
    return conversations.open()
