"""What the page shows: records by section and key, and the browsers that follow their changes."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterator

_TOGETHER_SECONDS = 0.05  # changes within this time are one event
_KEEP_ALIVE_SECONDS = 10.0


class Board:
    """Records that any thread may change. A subscriber gets every record once, and then those that change.

    A subscriber that is slow gets only the latest value of a record, so nothing piles up.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._records: dict[tuple[str, str], Any] = {}
        self._subscribers: set[_Subscriber] = set()

    def put(self, section: str, key: str, value: Any) -> None:  # noqa: ANN401  # any JSON
        """Set a record. None removes it."""
        with self._lock:
            if self._records.get((section, key)) == value:
                return
            if value is None:
                self._records.pop((section, key), None)
            else:
                self._records[section, key] = value
            for subscriber in self._subscribers:
                subscriber.note((section, key), value)

    def count(self, section: str, prefix: str) -> int:
        """Return the number of records in a section whose keys start with a prefix."""
        with self._lock:
            return sum(name == section and key.startswith(prefix) for name, key in self._records)

    def clear(self, *sections: str, prefixes: Collection[str]) -> None:
        """Remove the records of these sections whose keys start with one of these."""
        with self._lock:
            gone = [
                (section, key)
                for section, key in self._records
                if section in sections and key.startswith(tuple(prefixes))
            ]
        for section, key in gone:
            self.put(section, key, None)

    async def events(self) -> AsyncIterator[str]:
        """Yield server-sent events: lists of section, key and value."""
        with self._subscribed() as subscriber:
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(subscriber.changed.wait(), _KEEP_ALIVE_SECONDS)
                    await asyncio.sleep(_TOGETHER_SECONDS)
                changes = [[*place, value] for place, value in subscriber.take().items()]
                yield f"data: {json.dumps(changes)}\n\n" if changes else ": still here\n\n"

    @contextmanager
    def _subscribed(self) -> Iterator[_Subscriber]:
        subscriber = _Subscriber()
        with self._lock:
            for place, value in self._records.items():
                subscriber.note(place, value)
            self._subscribers.add(subscriber)
        try:
            yield subscriber
        finally:
            with self._lock:
                self._subscribers.remove(subscriber)


class _Subscriber:
    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._changes: dict[tuple[str, str], Any] = {}

    def note(self, place: tuple[str, str], value: Any) -> None:  # noqa: ANN401  # any JSON
        with self._lock:
            self._changes.pop(place, None)  # the latest change comes last
            self._changes[place] = value
        with suppress(RuntimeError):  # the server has just stopped
            self._loop.call_soon_threadsafe(self.changed.set)

    def take(self) -> dict[tuple[str, str], Any]:
        with self._lock:
            self.changed.clear()
            changes, self._changes = self._changes, {}
            return changes
