"""Watches the local stack: chats, queues, the function's log and what the emulator says of the function."""

from __future__ import annotations

import ast
import itertools
import json
import os
import threading
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from infra.log_queries import ATTEMPTS
from ops.stack.printable import printable
from sandbox.console.life import now
from sandbox.local_stack import function_log
from sandbox.participant_service.control import ControlCallError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sandbox.console.console import Console
    from sandbox.participant_service.control import ParticipantControl
    from sandbox.participant_service.transcript import TranscriptItem

_POLL_SECONDS = 0.4
_LOG_LINES = 250
_CHART_SECONDS = 120
_QUEUES = ("message", "dead_letter", "rejected", "unpublished_results", "events_dead_letter")
_PLATFORM_ERRORS = ("execution error", "Runtime exited", "Task timed out")
_NO_FIELDS = {"message", "timestamp", "level", "location", "service"}


class Watch:
    """Puts what it sees on the board of a console, from threads of its own.

    Args:
        emulator_log: The file with what the emulator says.
        on_line: Gets every line of the function's log, and errors that the function could not log.
    """

    def __init__(
        self, console: Console, *, emulator_log: Path, on_line: Callable[[Mapping[str, Any]], None]
    ) -> None:
        self._console = console
        self._on_line = on_line
        self._stack, self._board = console.stack, console.board
        self._log_keys = itertools.count(1)
        self._streams: set[str] = set()
        self._log_since = 0
        self._calls: Counter[tuple[str, int]] = Counter()
        self._latencies: Counter[int] = Counter()
        self._waiting: dict[int, int] = {}
        self._problem_since = datetime.now(UTC)
        self._emulator_log = emulator_log.open(encoding="utf-8", errors="replace")
        self._emulator_log.seek(0, os.SEEK_END)
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(look,), name=f"console-{look.__name__}")
            for look in (self._chats, self._log, self._queues, self._emulator)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()
        self._emulator_log.close()

    def _repeat(self, look: Callable[[], None]) -> None:
        while not self._stopped.wait(_POLL_SECONDS):
            with suppress(BotoCoreError, ClientError, HTTPError, ControlCallError):  # the stack is stopping
                look()

    # Chats

    def _chats(self) -> None:
        for participant in self._console.participants():
            for record in participant.call("chats"):
                with self._console.lock:
                    self._put_chat(record, participant)

    def _put_chat(self, record: Mapping[str, Any], participant: ParticipantControl) -> None:
        contact_id, console = record["contact_id"], self._console
        is_twin = participant is not self._stack.participant
        if contact_id in console.hidden or (is_twin and contact_id not in console.twins):
            return
        if not is_twin:
            chat = console.chats.get(contact_id)
            shown = {
                "name": chat.name if chat else f"Chat {contact_id[:8]}",
                "twin": chat.twin.contact_id if chat and chat.twin else None,
                "is_own": chat is not None,
                "ended_at": record["ended_at"],
                "has_expired": contact_id in console.expired,
            }
            self._board.put("chats", contact_id, shown)
        known = self._board.count("bubbles", f"{contact_id}/")
        if record["items"] > known:
            for position, item in enumerate(participant.transcript(contact_id)[known:], start=known):
                self._board.put("bubbles", f"{contact_id}/{position:05}", _bubble(contact_id, item))

    # Queues and charts

    def _queues(self) -> None:
        outputs, loop = self._stack.outputs, self._console.loop
        urls = {name: getattr(outputs, f"{name}_queue_url") for name in _QUEUES}
        if loop:
            urls |= {"loop": loop.queue_url, "loop_dead_letter": loop.dead_letter_queue_url}
        for name, url in urls.items():
            visible, in_flight = self._console.depth(url)
            self._board.put("queues", name, {"visible": visible, "in_flight": in_flight})
            if name == "message":
                self._waiting[int(time.time())] = visible + in_flight
        end = int(time.time()) - 1
        seconds = range(end - _CHART_SECONDS + 1, end + 1)
        series: dict[str, Any] = {
            kind: [self._calls[kind, second] for second in seconds]
            for kind in ("accepted", "throttled", "failed")
        }
        series["waiting"] = [self._waiting.get(second) for second in seconds]
        series["latency"] = [self._latencies[second] for second in seconds]
        self._board.put("series", "series", series)

    def _count(self, line: Mapping[str, Any]) -> None:
        for attempt in line.get(ATTEMPTS, []):
            second = int(datetime.fromisoformat(attempt["at"]).timestamp())
            throttled = attempt["code"] == "Throttled"
            kind = "accepted" if attempt["code"] is None else "throttled" if throttled else "failed"
            self._calls[kind, second] += 1
        if "latency_ms" in line:
            second = int(datetime.fromisoformat(line["timestamp"]).timestamp())
            self._latencies[second] = max(self._latencies[second], line["latency_ms"])

    # The log

    def _log(self) -> None:
        new = [
            event
            for event in function_log(self._stack.emulator, self._stack.outputs, since=self._log_since)
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
                self.note(text)
            return
        if not isinstance(line, dict) or "message" not in line:  # metrics
            return
        if (client_token := line.get("client_token")) is not None:
            self._count(line)
            self._console.lives.change(client_token, lambda life: life.add_line(line))
        self._put_line(line)
        self._note_problem(line["timestamp"], None)

    def _note_problem(self, at: str, error_type: str | None) -> None:
        """Show that the function does not start or fails, until a later line says that it runs."""
        moment = datetime.fromisoformat(at).astimezone(UTC)
        with self._console.lock:
            if moment >= self._problem_since:
                self._problem_since = moment
                problem = error_type and {
                    "code": printable(error_type),
                    "at": moment.isoformat(),
                    "does_not_start": error_type.startswith("Runtime."),
                }
                self._board.put("function", "problem", problem)

    def note(self, text: str, **fields: object) -> None:
        """Add an error to the log that the function did not report."""
        self._put_line({"timestamp": now(), "level": "ERROR", "message": text, **fields})

    def _put_line(self, line: Mapping[str, Any]) -> None:
        self._on_line(line)
        fields = {
            name: printable(value) if isinstance(value, str) else value
            for name, value in line.items()
            if value is not None and name not in _NO_FIELDS
        }
        record = {
            "at": datetime.fromisoformat(line["timestamp"]).astimezone(UTC).isoformat(),
            "level": line["level"],
            "message": printable(line["message"]),
            "fields": fields,
        }
        number = next(self._log_keys)
        self._board.put("log", f"{number:06}", record)
        if number > _LOG_LINES:
            self._board.put("log", f"{number - _LOG_LINES:06}", None)

    def _emulator(self) -> None:
        """Show errors that no log group has: a function that does not start, or was killed."""
        for text in self._emulator_log:
            name = self._stack.outputs.function_name
            if name in text and any(sign in text for sign in _PLATFORM_ERRORS):
                error = platform_error(text.strip())
                self.note(**error)
                if error_type := error.get("error_type"):
                    self._note_problem(now(), error_type)


def platform_error(text: str) -> dict[str, Any]:
    """Read the emulator's line about a function that did not start, or ended.

    It quotes the error that the runtime reported, with its traceback, as a Python literal.
    """
    _, _, error = text.partition("error: {")
    with suppress(ValueError, SyntaxError, KeyError):
        reported = ast.literal_eval("{" + error)
        frames = [line.strip() for frame in reported["stackTrace"] for line in frame.splitlines()]
        stack = {"stack": frames} if frames else {}
        return {"text": reported["errorMessage"], "error_type": reported["errorType"], **stack}
    return {"text": text}


def _bubble(contact_id: str, item: TranscriptItem) -> dict[str, Any]:
    return {
        "chat": contact_id,
        "type": item.type,
        "content_type": item.content_type,
        "text": printable(item.content or "", lines=True),
        "at": item.absolute_time,
        "client_token": item.client_token,
    }
