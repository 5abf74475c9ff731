"""Result events, published with PutEvents."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from message_sender.aws.client import MAX_CALL_SECONDS
from message_sender.errors import AwsCallError, ResultNotPublishedError
from message_sender.result import RESULT_SOURCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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

    def publish(
        self, results: Sequence[MessageResult], *, until: float
    ) -> list[ResultNotPublishedError | None]:
        """Publish results. Return an error for each one that is neither on the bus nor in the queue.

        A result that cannot be published does not cause its message to be sent again: after three attempts
        the queue for unpublished results keeps it.

        Args:
            until: The moment of the monotonic clock by which this must be over.

        Returns:
            One item per result, in order. None: the result is safe.
        """
        entries = [self._entry(result) for result in results]
        errors: list[ResultNotPublishedError | None] = []
        for start in range(0, len(entries), _MAX_ENTRIES):
            errors += self._publish_ten(entries[start : start + _MAX_ENTRIES], until)
        return errors

    def _publish_ten(
        self, entries: list[dict[str, str]], until: float
    ) -> list[ResultNotPublishedError | None]:
        # The queue needs time for one call. Without it, an outage of EventBridge would repeat messages.
        refused = put_events(entries, events=self._events, until=until - MAX_CALL_SECONDS)
        pending = [index for index, error in enumerate(refused) if error is not None]
        errors: list[ResultNotPublishedError | None] = [None] * len(entries)
        if pending:
            unpublished = [{"Id": str(index), "MessageBody": json.dumps(entries[index])} for index in pending]
            not_kept = self._queues.keep_unpublished(unpublished, until=until)
            for index, error in zip(pending, not_kept, strict=True):
                if error is not None:
                    errors[index] = ResultNotPublishedError(f"{refused[index]}; {error}")
        return errors

    def _entry(self, result: MessageResult) -> dict[str, str]:
        return {
            "EventBusName": self._event_bus_name,
            "Source": RESULT_SOURCE,
            "DetailType": result.detail_type,
            "Detail": json.dumps(result.detail()),
        }


def put_events(
    entries: Sequence[Mapping[str, str]], *, events: AwsClient, until: float
) -> list[AwsCallError | None]:
    """Put at most ten entries on their bus. Return for each why EventBridge did not accept it.

    Args:
        until: The moment of the monotonic clock by which this must be over.

    Returns:
        One item per entry, in order. None: it is accepted.
    """
    pending = dict(enumerate(entries))

    def remaining(answer: Mapping[str, Any]) -> dict[str, Any] | None:
        nonlocal pending
        pending = _refused(pending, answer)
        return {"Entries": list(pending.values())} if pending else None

    try:
        events.call("PutEvents", {"Entries": list(entries)}, until=until, remaining=remaining)
    except AwsCallError as error:
        return [error if index in pending else None for index in range(len(entries))]
    return [None] * len(entries)


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
