"""Publishes the results that EventBridge did not take when they were due."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from message_sender.aws_api import tries
from message_sender.errors import AwsCallError
from message_sender.publisher import put_events
from operations.aws import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from message_sender.aws_api import AwsApi
    from message_sender.clock import Clock
    from operations.inbox import Inbox

_FIELDS: Final = ("EventBusName", "Source", "DetailType", "Detail")
_MAX_BYTES: Final = 262_144
"""Of the entries of one call. EventBridge takes four times as much; a result has a few thousand bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptResult:
    """A result, as `PutEvents` takes it, and the message that it is kept in."""

    entry: Mapping[str, str] = field(repr=False)
    message: Mapping[str, Any] = field(repr=False)

    @property
    def size(self) -> int:
        return sum(len(value.encode()) for value in self.entry.values())

    @property
    def client_token(self) -> str | None:
        return self._detail("ClientToken")

    @property
    def source_id(self) -> str | None:
        return self._detail("SourceId")

    def _detail(self, name: str) -> str | None:
        try:
            value = json.loads(self.entry["Detail"])[name]
        except (LookupError, TypeError, ValueError, RecursionError):
            return None
        return value if isinstance(value, str) else None


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
        tell: Gets each result, and what went wrong with it: None if it was published. Nothing of a message
            that holds no result but that.
    """

    inbox: Inbox
    events: AwsApi
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
        with self.inbox:
            for messages in self.inbox.batches():
                results = [result for message in messages if (result := self._read(message)) is not None]
                for chunk in _chunks(results):
                    if not self._publish(chunk):
                        return self.totals
        self.totals.is_complete = self.inbox.is_read
        return self.totals

    def _read(self, message: Mapping[str, Any]) -> KeptResult | None:
        try:
            entry = json.loads(message["Body"])
            if entry.keys() >= set(_FIELDS) and all(isinstance(entry[name], str) for name in _FIELDS):
                return KeptResult(entry={name: entry[name] for name in _FIELDS}, message=message)
        except (AttributeError, ValueError, RecursionError):
            pass
        self._failed(None, "it is no result")
        return None

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
                self.inbox.delete(result.message)
            except AwsCallError as error:
                self._failed(result, f"it is published, and still here: {error}")
                return
        self.totals.published += 1
        self.tell(result, None)

    def _failed(self, result: KeptResult | None, reason: str) -> None:
        self.totals.errors += 1
        self.tell(result, reason)


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
