"""Publishes the results that EventBridge did not take when they were due."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import fastjsonschema

from message_sender.aws.client import tries
from message_sender.errors import AwsCallError
from message_sender.publisher import put_events
from message_sender.result import RESULT_SOURCE
from ops.aws import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from message_sender.aws.client import AwsApi
    from message_sender.clock import Clock
    from ops.queue_reader import QueueReader

_FIELDS: Final = {"EventBusName", "Source", "DetailType", "Detail"}
_OUTCOMES: Final = {"Message Sent": "SENT", "Message Rejected": "REJECTED", "Message Failed": "FAILED"}
_MAX_BYTES: Final = 262_144
"""Of the entries of one call. EventBridge takes four times as much."""
_MAX_CHARACTERS: Final = 131_072
"""Of one result, which is ASCII. The largest that the function writes has a third of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptResult:
    """A result, as `PutEvents` takes it, and the message that it is kept in."""

    entry: Mapping[str, str] = field(repr=False)
    message: Mapping[str, Any] = field(repr=False)
    client_token: str | None
    source_id: str

    @property
    def size(self) -> int:
        return sum(map(len, self.entry.values()))


@dataclass(slots=True, kw_only=True)
class Republished:
    """How many results were published, or would be; and whether the queue had no more to give."""

    published: int = 0
    errors: int = 0
    is_complete: bool = False


@dataclass(slots=True, kw_only=True)
class RepublishRun:
    """One run through the queue.

    May be cut off at any moment and repeated: a result is deleted only after EventBridge has taken it, and
    consumers expect that one may come twice. It ends early when EventBridge takes nothing.

    Attributes:
        event_bus_name: The stack's bus. Only its own results are published, on this bus alone.
        event_bus_arn: The other form in which a result may name it.
        tell: Gets each result, and what went wrong with it: None if it was published. Nothing of a message
            that holds no result but that.
    """

    reader: QueueReader
    events: AwsApi
    event_bus_name: str
    event_bus_arn: str
    dry_run: bool
    clock: Clock
    random: Callable[[], float]
    tell: Callable[[KeptResult | None, str | None], None]
    totals: Republished = field(default_factory=Republished)

    def run(self) -> Republished:
        """Publish every result that the queue gives. What stays is visible again at the end.

        Raises:
            AwsCallError: The queue cannot be read.
        """
        with self.reader:
            for messages in self.reader.batches():
                results = [result for message in messages if (result := self._read(message)) is not None]
                for chunk in _chunks(results):
                    if not self._publish(chunk):
                        return self.totals
        self.totals.is_complete = self.reader.is_read
        return self.totals

    def _read(self, message: Mapping[str, Any]) -> KeptResult | None:
        try:
            detail_type, detail = _parse(message["Body"], {self.event_bus_name, self.event_bus_arn})
            entry = {
                "EventBusName": self.event_bus_name,
                "Source": RESULT_SOURCE,
                "DetailType": detail_type,
                # Written anew, so that consumers read what was checked
                "Detail": json.dumps(detail, allow_nan=False),
            }
        except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
            self._failed(None, "it is not a result")
            return None
        return KeptResult(
            entry=entry,
            message=message,
            client_token=detail["ClientToken"],
            source_id=detail["SourceId"],
        )

    def _publish(self, results: Sequence[KeptResult]) -> bool:
        """Publish some results. Return whether EventBridge took any."""
        taken = [True] * len(results)
        if not self.dry_run:
            attempts = tries(clock=self.clock, random=self.random, until=self.clock.monotonic() + PATIENCE)
            taken = put_events([result.entry for result in results], events=self.events, attempts=attempts)
        for result, was_taken in zip(results, taken, strict=True):
            if was_taken:
                self._published(result)
            else:
                self._failed(result, "EventBridge does not take it")
        return any(taken)

    def _published(self, result: KeptResult) -> None:
        if not self.dry_run:
            try:
                self.reader.delete(result.message)
            except AwsCallError as error:
                self._failed(result, f"it is published, and still here: {error}")
                return
        self.totals.published += 1
        self.tell(result, None)

    def _failed(self, result: KeptResult | None, reason: str) -> None:
        self.totals.errors += 1
        self.tell(result, reason)


@cache
def _schema() -> Callable[[object], object]:
    text = (files("message_sender") / "schemas" / "message_result.json").read_text(encoding="utf-8")
    compiled: Callable[[object], object] = fastjsonschema.compile(json.loads(text), use_default=False)
    return compiled


def _parse(body: str, buses: set[str]) -> tuple[str, dict[str, Any]]:
    """Read a result as `Publisher` writes it. Return its detail type and its detail.

    Raises:
        ValueError: It is not a result of this stack. So do AttributeError, LookupError, TypeError and
            RecursionError.
    """
    if len(body) > _MAX_CHARACTERS:
        raise ValueError
    entry = json.loads(body)
    detail = json.loads(entry["Detail"])
    _schema()(detail)
    outcome = _OUTCOMES[entry["DetailType"]]
    is_sent = outcome == "SENT"
    if (
        entry.keys() != _FIELDS
        or entry["EventBusName"] not in buses
        or entry["Source"] != RESULT_SOURCE
        or detail["Outcome"] != outcome
        or (detail["Message"] is not None) != is_sent
        or (detail["Error"] is None) != is_sent
    ):
        raise ValueError
    return entry["DetailType"], detail


def _chunks(results: Sequence[KeptResult]) -> Iterator[Sequence[KeptResult]]:
    """Divide results so that no call is too large, unless a single one is."""
    chunk: list[KeptResult] = []
    for result in results:
        if chunk and sum(each.size for each in chunk) + result.size > _MAX_BYTES:
            yield chunk
            chunk = []
        chunk.append(result)
    if chunk:
        yield chunk
