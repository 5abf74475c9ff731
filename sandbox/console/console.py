"""Watches the local stack, puts what it sees on the board, and acts on the stack for the page."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from infra.log_queries import ATTEMPTS
from infra.producer import EventSource, MessageRequest, ProducerError
from infra.timing import FUNCTION_TIMEOUT_SECONDS, VISIBILITY_TIMEOUT_SECONDS
from ops.dead_letters import DeadLetterQueue
from ops.redrive import RedriveFilter, redrive_run
from ops.stack.printable import printable
from sandbox.console.board import Board
from sandbox.console.life import Life
from sandbox.console.plain_loop import NAME as LOOP_NAME
from sandbox.console.plain_loop import PlainLoop, deploy_plain_loop
from sandbox.emulator import SESSION
from sandbox.local_stack import function_log
from sandbox.participant_service.control import ControlCallError
from sandbox.participant_service.faults import AcceptedThenCut, Latency, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from infra.contract import MessageResult
    from ops.redrive import Handled
    from sandbox.local_stack import LocalStack
    from sandbox.participant_service.control import OpenChat, ParticipantControl
    from sandbox.participant_service.faults import Fault
    from sandbox.participant_service.transcript import TranscriptItem

HIDDEN_SECONDS = FUNCTION_TIMEOUT_SECONDS + 2
"""How long the batch of a killed function stays hidden here. Longer than an invocation, as it must be."""

TIME_LAPSE = (
    f"A killed function’s batch is redelivered after {HIDDEN_SECONDS} s, not {VISIBILITY_TIMEOUT_SECONDS} s.",
    "The message of “One message fails” is queued as if it had waited for the retry window already.",
)

FUNCTION, LOOP = "function", "loop"
_POLL_SECONDS = 0.4
_LOG_LINES = 250
_CHART_SECONDS = 120
_QUEUES = ("message", "dead_letter", "rejected", "unpublished_results", "events_dead_letter")
_DEAD_LETTER_QUEUES = {
    "dead_letter": DeadLetterQueue.DEAD_LETTER,
    "rejected": DeadLetterQueue.REJECTED,
    "events_dead_letter": DeadLetterQueue.EVENTS,
}

SWITCHES: Mapping[str, tuple[str, Fault]] = {
    "outage": ("Outage: every call is answered 503", Status(status=503)),
    "lost": ("Lost answers: 4 of 10 are accepted and cut off", AcceptedThenCut()),
    "slow": ("Slow: 2 of 10 answers take 8 seconds", Latency(latency=8.0)),
}
"""Faults by name, with what they do."""
_SHARES = {"lost": 0.4, "slow": 0.2}
THROTTLES = {"throttle": (2.0, 2.0), "quota": (10.0, 15.0)}
"""Calls a second and burst. The second is the quota of Amazon Connect by default."""


class RefusedError(Exception):
    """The page asked for something that cannot be done. The text says why."""


@dataclass(slots=True)
class Chat:
    """A chat on the page, and its twin at the plain loop. Tokens are the customer's current ones."""

    name: str
    contact_id: str
    token: str
    twin: OpenChat | None = None
    twin_token: str = ""


class Console:
    """The state behind the page. Every method may be called from any thread.

    Args:
        folder: Of the local stack.
    """

    def __init__(self, stack: LocalStack, *, folder: Path) -> None:
        self.stack = stack
        self.board = Board()
        self.loop: PlainLoop | None = None
        self.chats: dict[str, Chat] = {}
        self.switched_on: set[str] = set()
        self.latency = 0.0
        self._failing_chat: str | None = None
        self._folder = folder
        self._lives: dict[str, Life] = {}
        self._token_of: dict[str, str] = {}
        self._lock = threading.RLock()
        self._hidden: set[str] = set()
        self._numbers = itertools.count(1)
        self._log_keys = itertools.count(1)
        self._streams: set[str] = set()
        self._log_since = 0
        self._calls: Counter[tuple[str, int]] = Counter()
        self._latencies: dict[int, list[int]] = {}
        self._waiting: dict[int, int] = {}
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(watch,), name=f"console-{watch.__name__}")
            for watch in (self._watch_chats, self._watch_log, self._watch_queues, self._watch_emulator)
        ]
        self._emulator_log = (folder / "emulator.log").open(encoding="utf-8", errors="replace")
        self._emulator_log.seek(0, os.SEEK_END)

    def start(self) -> None:
        """Start to watch, and shorten the wait after a killed function."""
        self.stack.sqs.set_queue_attributes(
            QueueUrl=self.stack.outputs.message_queue_url,
            Attributes={"VisibilityTimeout": str(HIDDEN_SECONDS)},
        )
        self._put_switches()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        self._emulator_log.close()

    # Chats and messages

    def open_chat(self, *, with_twin: bool = False) -> Chat:
        """Open a chat, on both sides if wanted."""
        opened = self.stack.participant.open_chat()
        twin = self.plain_loop().participant.open_chat() if with_twin else None
        with self._lock:
            chat = Chat(
                name=f"Chat {next(self._numbers)}",
                contact_id=opened.contact_id,
                token=opened.connection_token,
                twin=twin,
                twin_token=twin.connection_token if twin else "",
            )
            self.chats[chat.contact_id] = chat
        return chat

    def chat(self, contact_id: str) -> Chat:
        with self._lock:
            if contact_id not in self.chats:
                raise RefusedError("The console did not open this chat, so it does not have its token")
            return self.chats[contact_id]

    def end_chat(self, chat: Chat) -> None:
        self.stack.participant.end_chat(chat.contact_id)
        if chat.twin and self.loop:
            self.loop.participant.end_chat(chat.twin.contact_id)

    def expire_token(self, chat: Chat) -> None:
        self.stack.participant.call("expire_connection_token", connection_token=chat.token)
        if self.loop and chat.twin:
            self.loop.participant.call("expire_connection_token", connection_token=chat.twin_token)

    def send(self, chat: Chat, *, text: str, content_type: str, source: EventSource) -> str:
        """Send a message as a producer would. Return its ClientToken."""
        request = MessageRequest(
            connection_token=chat.token, contact_id=chat.contact_id, content=text, content_type=content_type
        )
        self._remember(request, chat, source)
        try:
            answer = self.stack.producer.send(request, through=source)
        except ProducerError as error:
            problem = str(error)
            self._change(request.client_token, lambda life: life.facts.update(refused=problem))
            raise RefusedError(problem) from None
        self._change(
            request.client_token,
            lambda life: life.facts.update(source_id=answer.source_id),
        )
        return request.client_token

    def send_numbered(self, chat: Chat, number: int, *, text: str, prefix: str, aged: bool = False) -> str:
        """Send a message of a scenario through the queue, to both sides. Return its ClientToken."""
        request = MessageRequest(
            connection_token=chat.token,
            contact_id=chat.contact_id,
            content=text,
            client_token=f"{prefix}-{number}",
            metadata={"number": str(number)},
        )
        self._remember(request, chat, EventSource.QUEUE)
        if aged:
            self._send_aged(request)
        else:
            self.stack.producer.send(request, through=EventSource.QUEUE)
        if chat.twin and self.loop:
            twin = replace(request, connection_token=chat.twin_token, contact_id=chat.twin.contact_id)
            self.loop.send(twin.document())
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
            "chat": chat.contact_id,
            "chat_name": chat.name,
            "source": source,
            "content_type": request.content_type,
            "text": printable(request.content, lines=True),
            "sent_at": now(),
        }
        self._change(request.client_token, lambda life: life.facts.update(facts))

    def outcomes(self, client_tokens: Sequence[str]) -> dict[str, str]:
        """Return the published outcomes of these messages."""
        with self._lock:
            lives = [self._lives[token] for token in client_tokens if token in self._lives]
            return {
                life.client_token: life.state
                for life in lives
                if any(step["kind"] == "published" for step in life.steps)
            }

    def start_over(self) -> None:
        """Remove all chats and messages from the page. The chats stay in the participant service."""
        with self._lock:
            self._hidden |= {record["contact_id"] for record in self._chats_of(self.stack.participant)}
            self.chats.clear()
            self._lives.clear()
            self._numbers = itertools.count(1)
            self.board.clear("chats", "bubbles", "messages", "marks")

    # Faults

    def switch(self, name: str, *, on: bool) -> None:
        """Switch a fault on or off, on both sides."""
        self.set_faults(self.switched_on | {name} if on else self.switched_on - {name}, latency=self.latency)

    def set_faults(self, names: set[str], *, latency: float = 0.0, failing_chat: str | None = None) -> None:
        """Switch on exactly these faults, on both sides.

        Args:
            latency: Seconds of every answer without a fault.
            failing_chat: A chat in which every call is answered 503.
        """
        self.switched_on, self.latency, self._failing_chat = names, latency, failing_chat
        for participant in self.participants():
            self._apply(participant)
        self._put_switches()

    def participants(self) -> list[ParticipantControl]:
        return [self.stack.participant, *([self.loop.participant] if self.loop else [])]

    def _apply(self, participant: ParticipantControl) -> None:
        participant.clear_faults()
        if self._failing_chat:
            participant.add_fault(Status(status=503), times=None, contact_id=self._failing_chat)
        for name, (_, fault) in SWITCHES.items():
            if name in self.switched_on:
                participant.add_fault(fault, times=None, probability=_SHARES.get(name, 1.0))
        if self.latency:
            participant.add_fault(Latency(latency=self.latency), times=None)
        for name, (rate, burst) in THROTTLES.items():
            if name in self.switched_on:
                participant.call("set_throttle", requests_per_second=rate, burst=burst)
                break
        else:
            participant.call("throttle_off")

    def _put_switches(self) -> None:
        for name in (*SWITCHES, *THROTTLES):
            self.board.put("switches", name, {"on": name in self.switched_on})

    def kill(self) -> int:
        """Kill the processes of the function, and of the loop. Return how many were the function's."""
        killed = 0
        for name in (self.stack.outputs.function_name, *([LOOP_NAME] if self.loop else [])):
            for process in _processes_of(name, self.stack.children.process_groups):
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
                    killed += name != LOOP_NAME
                    self._put_log("platform", f"The console killed process {process} of {name}")
        return killed

    def kill_in_mid_batch(self, *, timeout: float = 10.0) -> None:
        """Wait until a batch is in flight, then kill."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and not self.depth(self.stack.outputs.message_queue_url)[1]:
            time.sleep(0.02)
        time.sleep(0.15)
        if not self.kill():
            raise RefusedError("There is no process of the function. Only Linux shows which one it is")

    # The plain loop

    def plain_loop(self) -> PlainLoop:
        """Return the plain loop. Deploy it the first time."""
        if not self.stack.has_error_types:
            raise RefusedError("The plain loop needs awslambdaric, which has wheels for Linux only")
        with self._lock:
            if self.loop is None:
                self.loop = deploy_plain_loop(
                    self.stack, folder=self._folder, visibility_timeout=HIDDEN_SECONDS
                )
                self._apply(self.loop.participant)
            return self.loop

    # Dead letters

    def redrive(self, queue: str, *, code: str | None, apply: bool) -> list[dict[str, Any]]:
        """Read a queue of dead letters, and return what a redrive does with each. Do it if `apply` is true.

        Args:
            code: Redrive only dead letters with this code. Rejected messages need one.
        """
        rows: list[dict[str, Any]] = []

        def note(handled: Handled) -> None:
            rows.append(_row(handled))
            token = rows[-1]["client_token"]
            if apply and handled.done == "redrive" and token in self._lives:
                step = {"kind": "redriven", "at": now()}
                self._change(token, lambda life: life.steps.append(step))

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

    # What is watched

    def on_result(self, result: MessageResult) -> None:
        """Take a result event."""
        if result.client_token is not None:
            self._change(result.client_token, lambda life: life.add_result(result, at=now()))

    def _change(self, client_token: str, change: Callable[[Life], None]) -> None:
        with self._lock:
            life = self._lives.setdefault(client_token, Life(client_token))
            change(life)
            view = life.view()
            view["shown_token"] = printable(client_token)
            self.board.put("messages", client_token, view)

    def _repeat(self, watch: Callable[[], None]) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            with suppress(BotoCoreError, ClientError, HTTPError, ControlCallError):  # the stack is stopping
                watch()

    def _chats_of(self, participant: ParticipantControl) -> list[dict[str, Any]]:
        records: list[dict[str, Any]] = participant.call("chats")
        return records

    def _watch_chats(self) -> None:
        for side, participant in zip((FUNCTION, LOOP), self.participants(), strict=False):
            for record in self._chats_of(participant):
                contact_id = record["contact_id"]
                with self._lock:
                    twins = {chat.twin.contact_id: chat for chat in self.chats.values() if chat.twin}
                    chat = twins.get(contact_id) if side == LOOP else self.chats.get(contact_id)
                    if contact_id in self._hidden or (side == LOOP and chat is None):
                        continue
                    self._put_chat(side, record, chat, participant)

    def _put_chat(
        self, side: str, record: Mapping[str, Any], chat: Chat | None, participant: ParticipantControl
    ) -> None:
        contact_id = record["contact_id"]
        if side == FUNCTION:
            name = chat.name if chat else f"Chat {contact_id[:8]}"
            shown = {
                "name": name,
                "twin": chat.twin.contact_id if chat and chat.twin else None,
                "is_own": chat is not None,
                "ended_at": record["ended_at"],
            }
            self.board.put("chats", contact_id, shown)
        known = self.board.count("bubbles", f"{contact_id}/")
        if record["items"] == known:
            return
        for position, item in enumerate(participant.transcript(contact_id)[known:], start=known):
            self.board.put("bubbles", f"{contact_id}/{position:05}", _bubble(contact_id, item))

    def transcript(self, contact_id: str, *, side: str) -> list[str]:
        """Return the texts of a chat, in order."""
        participant = self.stack.participant if side == FUNCTION else self.plain_loop().participant
        return [item.content or "" for item in participant.messages(contact_id)]

    def _watch_queues(self) -> None:
        outputs = self.stack.outputs
        urls = {name: getattr(outputs, f"{name}_queue_url") for name in _QUEUES}
        if self.loop:
            urls |= {"loop": self.loop.queue_url, "loop_dead_letter": self.loop.dead_letter_queue_url}
        for name, url in urls.items():
            visible, in_flight = self.depth(url)
            self.board.put("queues", name, {"visible": visible, "in_flight": in_flight})
            if name == "message":
                self._waiting[int(time.time())] = visible + in_flight
        self._put_series()

    def depth(self, queue_url: str) -> tuple[int, int]:
        """Return the numbers of messages that are visible and in flight."""
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes: Any = self.stack.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)
        visible, in_flight = (int(attributes["Attributes"][name]) for name in names)
        return visible, in_flight

    def _watch_log(self) -> None:
        new = [
            event
            for event in function_log(self.stack.emulator, self.stack.outputs, since=self._log_since)
            if event["logStreamName"] not in self._streams
        ]
        # The emulator writes a stream for each invocation, all at once
        self._streams |= {event["logStreamName"] for event in new}
        for event in new:
            self._log_since = max(self._log_since, event["timestamp"] - 1000)
            self._take_line(event["message"])

    def _take_line(self, text: str) -> None:
        try:
            line = json.loads(text)
        except ValueError:
            if not text.startswith(("START ", "END ", "REPORT ")):
                self._put_log("platform", text)
            return
        if not isinstance(line, dict) or "message" not in line:  # metrics
            return
        self._put_log("function", line["message"], line)
        if (client_token := line.get("client_token")) is not None:
            self._token_of[line["correlation_id"]] = client_token
            self._count(line)
            self._change(client_token, lambda life: life.add_line(line))

    def _count(self, line: Mapping[str, Any]) -> None:
        for attempt in line.get(ATTEMPTS, []):
            second = int(datetime.fromisoformat(attempt["at"]).timestamp())
            throttled = attempt["code"] == "Throttled"
            kind = "accepted" if attempt["code"] is None else "throttled" if throttled else "failed"
            self._calls[kind, second] += 1
        if "latency_ms" in line:
            second = int(datetime.fromisoformat(line["timestamp"]).timestamp())
            self._latencies.setdefault(second, []).append(line["latency_ms"])

    def _put_series(self) -> None:
        end = int(time.time()) - 1
        seconds = range(end - _CHART_SECONDS + 1, end + 1)
        series: dict[str, Any] = {
            kind: [self._calls[kind, second] for second in seconds]
            for kind in ("accepted", "throttled", "failed")
        }
        series["waiting"] = [self._waiting.get(second) for second in seconds]
        series["latency"] = [max(self._latencies.get(second, [0])) for second in seconds]
        self.board.put("series", "series", {"end": end, **series})

    def _put_log(self, source: str, message: str, line: Mapping[str, Any] | None = None) -> None:
        number = next(self._log_keys)
        fields = {
            name: printable(str(value)) if isinstance(value, str) else value
            for name, value in (line or {}).items()
            if value is not None and name not in {"message", "timestamp", "level", "location", "service"}
        }
        record = {
            "at": datetime.fromisoformat(line["timestamp"]).astimezone(UTC).isoformat() if line else now(),
            "level": line["level"] if line else "ERROR",
            "source": source,
            "message": printable(message),
            "fields": fields,
            "client_token": (line or {}).get("client_token")
            or self._token_of.get((line or {}).get("correlation_id", "")),
        }
        self.board.put("log", f"{number:06}", record)
        if number > _LOG_LINES:
            self.board.put("log", f"{number - _LOG_LINES:06}", None)

    def _watch_emulator(self) -> None:
        """Show errors that no log group has: a function that does not start, or was killed."""
        for text in self._emulator_log:
            name = self.stack.outputs.function_name
            if name in text and any(sign in text for sign in _PLATFORM_ERRORS):
                self._put_log("platform", text.strip())


_PLATFORM_ERRORS = ("execution error", "Runtime exited", "Task timed out")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _bubble(contact_id: str, item: TranscriptItem) -> dict[str, Any]:
    return {
        "chat": contact_id,
        "type": item.type,
        "content_type": item.content_type,
        "text": printable(item.content or "", lines=True),
        "at": item.absolute_time,
        "client_token": item.client_token,
    }


def _row(handled: Handled) -> dict[str, Any]:
    dead_letter = handled.dead_letter
    request = dead_letter.parsed.request if dead_letter else None
    content = getattr(request, "content", None)
    return {
        "message_id": handled.message_id,
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
