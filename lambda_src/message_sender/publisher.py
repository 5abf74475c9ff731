"""Result events, published with PutEvents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from message_sender.aws.client import LONGEST_CALL, tries
from message_sender.errors import AwsCallError
from message_sender.result import RESULT_SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from message_sender.aws.client import AwsApi
    from message_sender.clock import Clock
    from message_sender.queues import Queues
    from message_sender.result import MessageResult

_ENTRIES_A_CALL: Final = 10
"""The most that PutEvents takes. Source: EventBridge API reference, "PutEvents"."""


class Publisher:
    """Publishes results on the event bus, and keeps in a queue what the bus does not take.

    Args:
        events: The EventBridge API.
        random: Returns a number from 0 to 1, for jitter.
    """

    def __init__(
        self,
        *,
        events: AwsApi,
        event_bus_name: str,
        queues: Queues,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._events = events
        self._event_bus_name = event_bus_name
        self._queues = queues
        self._clock = clock
        self._random = random

    def publish(self, results: Sequence[MessageResult], *, until: float) -> list[bool]:
        """Publish results. Return for each whether it is on the bus or in the unpublished-results queue.

        Publishing never sends a message again: it is tried three times at most, then the queue keeps the
        result.

        Args:
            until: The moment of the monotonic clock at which this must be over.
        """
        entries = [self._entry(result) for result in results]
        safe: list[bool] = []
        for start in range(0, len(entries), _ENTRIES_A_CALL):
            safe += self._publish_ten(entries[start : start + _ENTRIES_A_CALL], until)
        return safe

    def _publish_ten(self, entries: list[dict[str, str]], until: float) -> list[bool]:
        # One call's time is left for the queue, or an outage of the bus would have messages sent again.
        attempts = tries(clock=self._clock, random=self._random, until=until - LONGEST_CALL)
        taken = put_events(entries, events=self._events, attempts=attempts)
        pending = {index: entry for index, entry in enumerate(entries) if not taken[index]}
        if not pending:
            return taken
        unpublished = [
            {"Id": str(index), "MessageBody": json.dumps(entry)} for index, entry in pending.items()
        ]
        kept = dict(zip(pending, self._queues.keep_unpublished(unpublished, until=until), strict=True))
        return [kept.get(index, True) for index in range(len(entries))]

    def _entry(self, result: MessageResult) -> dict[str, str]:
        return {
            "EventBusName": self._event_bus_name,
            "Source": RESULT_SOURCE,
            "DetailType": result.detail_type,
            "Detail": json.dumps(result.detail()),
        }


def put_events(
    entries: Sequence[Mapping[str, str]], *, events: AwsApi, attempts: Iterable[int]
) -> list[bool]:
    """Put entries, at most ten, on their bus. Return for each whether EventBridge took it.

    What it did not take is offered again, as often as there are attempts.

    Args:
        attempts: See `tries`.
    """
    pending = dict(enumerate(entries))
    for _ in attempts:
        try:
            answer = events.call("PutEvents", {"Entries": list(pending.values())})
        except AwsCallError as error:
            if not error.retryable:
                break
        else:
            pending = _refused(pending, answer)
        if not pending:
            break
    return [index not in pending for index in range(len(entries))]


def _refused(
    pending: Mapping[int, Mapping[str, str]], answer: Mapping[str, Any]
) -> dict[int, Mapping[str, str]]:
    """Return the entries that EventBridge did not take: its answer has one place for each, in order."""
    answers = answer.get("Entries")
    taken = [
        isinstance(entry, dict) and bool(entry.get("EventId"))
        for entry in (answers if isinstance(answers, list) else [])
    ]
    return {
        index: entry
        for place, (index, entry) in enumerate(pending.items())
        if place >= len(taken) or not taken[place]
    }
