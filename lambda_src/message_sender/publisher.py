"""Result events, published with PutEvents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from message_sender.aws.client import MAX_CALL_SECONDS
from message_sender.errors import AwsCallError
from message_sender.result import RESULT_SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from message_sender.aws.client import AwsClient
    from message_sender.queues import Queues
    from message_sender.result import MessageResult

_MAX_ENTRIES: Final = 10
"""Of one call. Source: EventBridge API reference, "PutEvents"."""


class Publisher:
    """Publishes results on the event bus, and keeps in a queue the ones that EventBridge does not accept."""

    def __init__(self, *, events: AwsClient, event_bus_name: str, queues: Queues) -> None:
        self._events = events
        self._event_bus_name = event_bus_name
        self._queues = queues
        self.failure = ""
        """Why the last result that was not safe is neither on the bus nor in the queue: both errors."""

    def publish(self, results: Sequence[MessageResult], *, until: float) -> list[bool]:
        """Publish results. Return for each whether it is on the bus or in the unpublished-results queue.

        A result that cannot be published does not cause its message to be sent again: after three attempts
        the queue keeps it.

        Args:
            until: The moment of the monotonic clock by which this must be over.
        """
        entries = [self._entry(result) for result in results]
        safe: list[bool] = []
        for start in range(0, len(entries), _MAX_ENTRIES):
            safe += self._publish_ten(entries[start : start + _MAX_ENTRIES], until)
        return safe

    def _publish_ten(self, entries: list[dict[str, str]], until: float) -> list[bool]:
        # The queue needs time for one call. Without it, an outage of EventBridge would repeat messages.
        failures: list[AwsCallError] = []
        accepted = put_events(
            entries, events=self._events, until=until - MAX_CALL_SECONDS, on_failure=failures.append
        )
        pending = {index: entry for index, entry in enumerate(entries) if not accepted[index]}
        if not pending:
            return accepted
        unpublished = [
            {"Id": str(index), "MessageBody": json.dumps(entry)} for index, entry in pending.items()
        ]
        is_kept = self._queues.keep_unpublished(unpublished, until=until, on_failure=failures.append)
        kept = dict(zip(pending, is_kept, strict=True))
        if not all(is_kept):
            self.failure = "; ".join(map(str, failures))
        return [kept.get(index, True) for index in range(len(entries))]

    def _entry(self, result: MessageResult) -> dict[str, str]:
        return {
            "EventBusName": self._event_bus_name,
            "Source": RESULT_SOURCE,
            "DetailType": result.detail_type,
            "Detail": json.dumps(result.detail()),
        }


def put_events(
    entries: Sequence[Mapping[str, str]],
    *,
    events: AwsClient,
    until: float,
    on_failure: Callable[[AwsCallError], None] = lambda _: None,
) -> list[bool]:
    """Put at most ten entries on their bus. Return for each whether EventBridge accepted it.

    Args:
        until: The moment of the monotonic clock by which this must be over.
        on_failure: Gets the reason if an entry was not accepted.
    """
    pending = dict(enumerate(entries))

    def remaining(answer: Mapping[str, Any]) -> dict[str, Any] | None:
        nonlocal pending
        pending = _refused(pending, answer)
        return {"Entries": list(pending.values())} if pending else None

    try:
        events.call("PutEvents", {"Entries": list(entries)}, until=until, remaining=remaining)
    except AwsCallError as error:
        on_failure(error)
    return [index not in pending for index in range(len(entries))]


def _refused(
    pending: Mapping[int, Mapping[str, str]], answer: Mapping[str, Any]
) -> dict[int, Mapping[str, str]]:
    """Return the entries that EventBridge did not accept. Its answer has one item for each, in order."""
    items = answer.get("Entries")
    accepted = [
        isinstance(item, dict) and bool(item.get("EventId"))
        for item in (items if isinstance(items, list) else [])
    ]
    accepted += [False] * (len(pending) - len(accepted))
    return {index: entry for (index, entry), ok in zip(pending.items(), accepted, strict=False) if not ok}
