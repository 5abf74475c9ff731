"""Result events, published with PutEvents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from message_sender.aws_api import LONGEST_CALL, tries
from message_sender.errors import AwsCallError
from message_sender.outcome import RESULT_SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from message_sender.aws_api import AwsApi
    from message_sender.clock import Clock
    from message_sender.outcome import MessageResult
    from message_sender.queues import Queues

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
        pending = dict(enumerate(entries))
        # One call's time is left for the queue, or an outage of the bus would have messages sent again.
        for _ in tries(clock=self._clock, random=self._random, until=until - LONGEST_CALL):
            try:
                answer = self._events.call("PutEvents", {"Entries": list(pending.values())})
            except AwsCallError as error:
                if not error.retryable:
                    break
            else:
                pending = _refused(pending, answer)
            if not pending:
                return [True] * len(entries)
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


def _refused(pending: dict[int, dict[str, str]], answer: dict[str, Any]) -> dict[int, dict[str, str]]:
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
