"""The life of a message, as the function reports it: its log lines, and its result event."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from infra.log_queries import ATTEMPTS
from ops.stack.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from infra.results import MessageResult
    from sandbox.console.board import Board

_NO_OUTCOME = {
    "Message deferred": "deferred",
    "Message enqueued": "enqueued",
    "Message enqueued for retry": "enqueued",
    "Copy not made": "copy not made",
}
_SHOWN = ("code", "reason", "failure", "receive_count", "service_request_id", "function_request_id")


@dataclass(slots=True)
class Life:
    """A message under one ClientToken.

    Attributes:
        facts: What its producer knows: chat, text, event source and time.
        ids: Its ids by name. Several `correlation_id` mean several requests under one ClientToken.
        steps: What happened, each with a `kind` and the time `at`.
        accepted_at: From the producer, until the result has the exact time.
        state: `waiting`, `deferred`, or its last outcome.
    """

    client_token: str
    facts: dict[str, Any] = field(default_factory=dict)
    ids: dict[str, list[str]] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)
    accepted_at: str | None = None
    state: str = "waiting"
    _receives: dict[str, int] = field(default_factory=dict)

    def accept(self, at: str) -> None:
        """Note that its event source accepted it, if its result has not said so yet."""
        self.accepted_at = self.accepted_at or at

    def add_line(self, line: Mapping[str, Any]) -> None:
        """Add a log line about this message. Others are ignored."""
        message = line["message"]
        if message != "Message ended" and message not in _NO_OUTCOME:
            return
        self._add_ids(line)
        self._note_receive(line)
        receive = line["receive_count"]
        self.steps += [
            {"kind": "attempt", "receive": receive, **attempt} for attempt in line.get(ATTEMPTS, [])
        ]
        shown = {name: line[name] for name in _SHOWN if line.get(name) is not None}
        at = _utc(line["timestamp"])
        if message == "Message ended":
            self.state = line["outcome"]
            step = {"kind": "ended", "at": at, "outcome": line["outcome"], "ms": line["latency_ms"], **shown}
        else:
            self.state = "deferred"
            step = {"kind": _NO_OUTCOME[message], "at": at, **shown}
        self.steps.append(step)

    def add_result(self, result: MessageResult, *, at: str) -> None:
        """Add the result event, which arrived at this time."""
        self.state = result.outcome
        detail = result.detail
        step = {
            "kind": "published",
            "at": at,
            "outcome": result.outcome,
            "attempts": detail["Attempts"],
            "maybe_delivered": bool((detail["Error"] or {}).get("MaybeDelivered")),
        }
        self.facts.setdefault("event_source", result.event_source)
        self.accepted_at = detail["AcceptedAt"]
        self.steps.append(step)
        self._add_ids({"correlation_id": result.source_id, "contact_id": result.contact_id})

    def redrive(self, at: str) -> None:
        """Note that a redrive, which started at this time, has sent it to its queue again."""
        self.steps.append({"kind": "redriven", "at": at})
        if not self.is_published:  # its next outcome may be here already
            self.state = "waiting" if self.state in {"REJECTED", "FAILED"} else self.state

    @property
    def is_published(self) -> bool:
        """Whether its final outcome is published: SENT, or one that no redrive has followed so far."""
        steps = [step for step in self.steps if step["kind"] in {"published", "redriven"}]
        steps.sort(key=itemgetter("at"))
        return any(
            step["kind"] == "published" and (step["outcome"] == "SENT" or step is steps[-1]) for step in steps
        )

    def view(self) -> dict[str, Any]:
        """Return it for the page. Steps are in the order of their time."""
        order = ("accepted", "gap", "attempt")
        accepted = [{"kind": "accepted", "at": self.accepted_at}] if self.accepted_at else []
        return {
            "client_token": self.client_token,
            "shown_token": printable(self.client_token),
            "state": self.state,
            "ids": self.ids,
            "steps": sorted(
                [*accepted, *self.steps],
                key=lambda step: (step["at"], order.index(step["kind"]) if step["kind"] in order else 9),
            ),
            **self.facts,
        }

    def _add_ids(self, line: Mapping[str, Any]) -> None:
        for name in ("correlation_id", "contact_id", "message_id", "service_request_id"):
            known = self.ids.setdefault(name, [])
            if line.get(name) is not None and line[name] not in known:
                known.append(line[name])

    def _note_receive(self, line: Mapping[str, Any]) -> None:
        """Add a step for receives without a line.

        A redrive starts to count anew.
        """
        receive, before = line["receive_count"], self._receives.get(line["correlation_id"], 0)
        if line["event_source"] == "eventbridge" and _NO_OUTCOME.get(line["message"]) == "enqueued":
            receive = 0  # the queue counts from 1
        if receive > before + 1:
            first_attempt = next(iter(line.get(ATTEMPTS, [])), {"at": _utc(line["timestamp"])})
            missing = receive - before - 1
            self.steps.append({"kind": "gap", "at": first_attempt["at"], "receives": missing})
        self._receives[line["correlation_id"]] = receive


def now() -> str:
    return _in_utc(datetime.now(UTC))


def _utc(timestamp: str) -> str:
    """Write the time of a log line in the format of results."""
    return _in_utc(datetime.fromisoformat(timestamp).astimezone(UTC))


def _in_utc(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Lives:
    """The lives of all messages, by ClientToken. Every method may be called from any thread.

    Args:
        board: Shows them, in the section `messages`.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._lock = threading.Lock()
        self._lives: dict[str, Life] = {}

    def change(self, client_token: str, change: Callable[[Life], object]) -> None:
        with self._lock:
            life = self._lives.setdefault(client_token, Life(client_token))
            change(life)
            self._board.put("messages", client_token, life.view())

    def knows(self, client_token: str | None) -> bool:
        return client_token in self._lives

    def outcomes(self, client_tokens: Iterable[str]) -> dict[str, str]:
        """Return the published outcomes of these messages."""
        with self._lock:
            lives = [self._lives[token] for token in client_tokens if token in self._lives]
            return {life.client_token: life.state for life in lives if life.is_published}

    def forget(self, contact_ids: Collection[str]) -> None:
        """Remove the messages of these chats."""
        with self._lock:
            for token, life in list(self._lives.items()):
                if not {life.facts.get("chat"), *life.ids.get("contact_id", [])}.isdisjoint(contact_ids):
                    del self._lives[token]
                    self._board.put("messages", token, None)
