"""The state behind the page, and what the page can do to the local stack."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.producer import EventSource, MessageRequest, ProducerError
from infra.timing import FUNCTION_TIMEOUT_SECONDS, VISIBILITY_TIMEOUT_SECONDS
from ops.dead_letters import DeadLetterQueue
from ops.redrive import RedriveFilter, redrive_run
from ops.stack.printable import printable
from sandbox.console.board import Board
from sandbox.console.faults import Faults
from sandbox.console.life import Lives, now
from sandbox.console.plain_loop import NAME as LOOP_NAME
from sandbox.console.plain_loop import PlainLoop, deploy_plain_loop
from sandbox.console.watch import Watch
from sandbox.emulator import SESSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from infra.results import MessageResult
    from ops.redrive import Handled
    from sandbox.local_stack import LocalStack
    from sandbox.participant_service.control import OpenChat, ParticipantControl

HIDDEN_SECONDS = FUNCTION_TIMEOUT_SECONDS + 2
"""How long the batch of a killed function stays hidden here. Longer than an invocation, as it must be."""

TIME_LAPSE = (
    f"A killed function’s batch is redelivered after {HIDDEN_SECONDS} s, not {VISIBILITY_TIMEOUT_SECONDS} s.",
    "To fail at once, one message is dated back by the retry window.",
)

FUNCTION, LOOP = "function", "loop"
_DEAD_LETTER_QUEUES = {
    "dead_letter": DeadLetterQueue.DEAD_LETTER,
    "rejected": DeadLetterQueue.REJECTED,
    "events_dead_letter": DeadLetterQueue.EVENTS,
}


class RefusedError(Exception):
    """The page asked for something that cannot be done. The text says why."""


@dataclass(frozen=True, slots=True)
class Chat:
    """A chat that the console opened.

    Attributes:
        twin: At the plain loop.
        of_scenario: Whether the next scenario removes it from the page.
    """

    name: str
    opened: OpenChat
    twin: OpenChat | None = None
    of_scenario: bool = False


class Console:
    """Any thread may call every method.

    Args:
        folder: Of the local stack.
        on_line: Gets every line of the function's log.

    Attributes:
        lock: Protects the attributes below.
        chats: On the page, by contact id.
        twins: The contact ids of their twins.
        hidden: Contact ids of chats that are not on the page any more.
        expired: Contact ids of chats whose connection token has expired.
        loop: None before its first use.
    """

    def __init__(
        self,
        stack: LocalStack,
        *,
        folder: Path,
        on_line: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> None:
        self.stack = stack
        self.board = Board()
        self.lives = Lives(self.board)
        self.faults = Faults(self.participants, self.board)
        self.lock = threading.RLock()
        self.chats: dict[str, Chat] = {}
        self.twins: set[str] = set()
        self.hidden: set[str] = set()
        self.expired: set[str] = set()
        self.loop: PlainLoop | None = None
        self._folder = folder
        self._watch = Watch(self, emulator_log=folder / "emulator.log", on_line=on_line)

    def start(self) -> None:
        """Start to watch, and shorten the wait after a killed function."""
        self.stack.sqs.set_queue_attributes(
            QueueUrl=self.stack.outputs.message_queue_url,
            Attributes={"VisibilityTimeout": str(HIDDEN_SECONDS)},
        )
        self._watch.start()

    def stop(self) -> None:
        self._watch.stop()

    def on_result(self, result: MessageResult) -> None:
        """Take a result event."""
        if result.client_token is not None:
            self.lives.change(result.client_token, lambda life: life.add_result(result, at=now()))

    # Chats and messages

    def open_chat(self, *, of_scenario: bool = False, with_twin: bool = False) -> Chat:
        """Open a chat, on both sides if wanted. Its name is the first that no chat on the page has."""
        opened = self.stack.participant.open_chat()
        twin = self.plain_loop().participant.open_chat() if with_twin else None
        with self.lock:
            names = {chat.name for chat in self.chats.values()}
            name = next(name for number in itertools.count(1) if (name := f"Chat {number}") not in names)
            chat = Chat(name, opened, twin, of_scenario)
            self.chats[opened.contact_id] = chat
            if twin:
                self.twins.add(twin.contact_id)
        return chat

    def chat(self, contact_id: str) -> Chat:
        with self.lock:
            if contact_id not in self.chats:
                raise RefusedError("The console did not open this chat, so it does not have its token")
            return self.chats[contact_id]

    def end_chat(self, contact_id: str) -> None:
        """End a chat, on both sides. The console need not have opened it."""
        self.stack.participant.end_chat(contact_id)
        twin = self.chats[contact_id].twin if contact_id in self.chats else None
        if self.loop and twin:
            self.loop.participant.end_chat(twin.contact_id)

    def expire_token(self, chat: Chat) -> None:
        sides = [(self.stack.participant, chat.opened)]
        if self.loop and chat.twin:
            sides.append((self.loop.participant, chat.twin))
        for participant, opened in sides:
            participant.call("expire_connection_token", connection_token=opened.connection_token)
        with self.lock:
            self.expired.add(chat.opened.contact_id)

    def participants(self) -> list[ParticipantControl]:
        return [self.stack.participant, *([self.loop.participant] if self.loop else [])]

    def send(self, chat: Chat, *, text: str, content_type: str, source: EventSource) -> str:
        """Send a message as a producer would. Return its ClientToken."""
        request = MessageRequest(
            connection_token=chat.opened.connection_token,
            contact_id=chat.opened.contact_id,
            content=text,
            content_type=content_type,
        )
        self._remember(request, chat, source)
        try:
            self.stack.producer.send(request, through=source)
            self._accept(request)
        except ProducerError as error:
            problem = str(error)
            self.lives.change(request.client_token, lambda life: life.facts.update(refused=problem))
            raise RefusedError(problem) from None
        return request.client_token

    def send_numbered(self, chat: Chat, number: int, *, text: str, prefix: str, aged: bool = False) -> str:
        """Send a message of a scenario through the queue, to both sides. Return its ClientToken.

        Args:
            aged: As if it had waited for the retry window already.
        """
        request = MessageRequest(
            connection_token=chat.opened.connection_token,
            contact_id=chat.opened.contact_id,
            content=text,
            client_token=f"{prefix}-{number}",
            metadata={"number": str(number)},
        )
        self._remember(request, chat, EventSource.QUEUE)
        if aged:
            self._send_aged(request)
        else:
            self.stack.producer.send(request, through=EventSource.QUEUE)
        self._accept(request)
        if self.loop and (twin := chat.twin):
            same = replace(request, connection_token=twin.connection_token, contact_id=twin.contact_id)
            self.loop.send(same.document())
        return request.client_token

    def _send_aged(self, request: MessageRequest) -> None:
        name = self.stack.outputs.function_name
        environ = self.stack.lambda_.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        seconds = 60 * int(environ["RETRY_WINDOW_MINUTES"]) + 1
        age: Any = {"SecondsAgo": {"DataType": "Number", "StringValue": str(seconds)}}
        self.stack.sqs.send_message(
            QueueUrl=self.stack.outputs.message_queue_url,
            MessageGroupId=request.contact_id or "",
            MessageDeduplicationId=request.client_token,
            MessageBody=json.dumps(request.document()),
            MessageSystemAttributes=age,
        )

    def _remember(self, request: MessageRequest, chat: Chat, source: EventSource) -> None:
        facts = {
            "chat": chat.opened.contact_id,
            "chat_name": chat.name,
            "source": source,
            "content_type": request.content_type,
            "text": printable(request.content, lines=True),
            "at": now(),
        }
        self.lives.change(request.client_token, lambda life: life.facts.update(facts))

    def _accept(self, request: MessageRequest) -> None:
        self.lives.change(request.client_token, lambda life: life.accept(now()))

    def transcript(self, contact_id: str, *, side: str) -> list[str]:
        """Return the texts of a chat, in order."""
        participant = self.stack.participant if side == FUNCTION else self.plain_loop().participant
        return [item.content or "" for item in participant.messages(contact_id)]

    def start_over(self) -> None:
        """Remove the chats of the scenario before and the ended chats from the page, with their messages.

        They stay in the participant service.
        """
        with self.lock:
            gone = self.twins | {
                record["contact_id"]
                for record in self.stack.participant.call("chats")
                if record["ended_at"] or self._is_of_scenario(record["contact_id"])
            }
            self.hidden |= gone
            self.chats = {key: chat for key, chat in self.chats.items() if key not in gone}
            self.twins.clear()
            self.lives.forget(self.hidden)
            self.board.clear("chats", "bubbles", "marks", prefixes=gone)

    def _is_of_scenario(self, contact_id: str) -> bool:
        return contact_id in self.chats and self.chats[contact_id].of_scenario

    # The function, the plain loop and the queues

    def kill(self) -> int:
        """Kill the processes of the function, and of the loop. Return how many were the function's."""
        killed = 0
        for name in (self.stack.outputs.function_name, *([LOOP_NAME] if self.loop else [])):
            for process in _processes_of(name, self.stack.children.process_groups):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
                    killed += name != LOOP_NAME
                    self._watch.note(f"The console killed process {process} of {name}")
        return killed

    def plain_loop(self) -> PlainLoop:
        """Return the plain loop. Deploy it the first time."""
        if not self.stack.has_error_types:
            raise RefusedError("The plain loop needs awslambdaric, which has wheels for Linux only")
        with self.lock:
            if self.loop is None:
                self.loop = deploy_plain_loop(
                    self.stack, folder=self._folder, visibility_timeout=HIDDEN_SECONDS
                )
                self.faults.apply(self.loop.participant)
            return self.loop

    def depth(self, queue_url: str) -> tuple[int, int]:
        """Return the numbers of messages that are visible and in flight."""
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes: Any = self.stack.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)
        visible, in_flight = (int(attributes["Attributes"][name]) for name in names)
        return visible, in_flight

    def redrive(self, queue: str, *, code: str | None, apply: bool) -> list[dict[str, Any]]:
        """Read a queue of dead letters, and return what a redrive does with each. Do it if `apply` is true.

        Args:
            code: Redrive only dead letters with this code. Rejected messages need one.
        """
        rows: list[dict[str, Any]] = []
        started = now()

        def note(handled: Handled) -> None:
            rows.append(_row(handled))
            token = rows[-1]["client_token"]
            if apply and handled.done == "redrive" and self.lives.knows(token):
                self.lives.change(token, lambda life: life.redrive(started))

        redrive_run(
            SESSION,
            self.stack.outputs,
            queue=_DEAD_LETTER_QUEUES[queue],
            redrive_filter=RedriveFilter(
                codes=frozenset({code}) if code else None,
                codes_required=queue == "rejected",
                max_age=timedelta(days=1),
            ),
            dry_run=not apply,
            on_handled=note,
            endpoint_url=self.stack.emulator.url,
        ).run()
        return rows


def _row(handled: Handled) -> dict[str, Any]:
    dead_letter = handled.dead_letter
    content = getattr(dead_letter.parsed.request, "content", None) if dead_letter else None
    return {
        "client_token": dead_letter.client_token if dead_letter else None,
        "code": dead_letter.code if dead_letter else "Unreadable",
        "text": printable(content.reveal(), lines=True) if content else None,
        "age_seconds": round(handled.age.total_seconds()) if handled.age else None,
        "done": str(handled.done),
        "reason": printable(handled.reason),
    }


def _processes_of(function_name: str, groups: Sequence[int]) -> Iterator[int]:
    """Yield the runtime processes of a function in the emulator's process group. Linux only."""
    variable = f"AWS_LAMBDA_FUNCTION_NAME={function_name}\0".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            process = int(folder.name)
            is_runtime = b"awslambdaric" in (folder / "cmdline").read_bytes()
            if is_runtime and os.getpgid(process) in groups and variable in (folder / "environ").read_bytes():
                yield process
