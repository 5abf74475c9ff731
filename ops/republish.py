"""Publish the results that EventBridge did not accept at first."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Final

import fastjsonschema

from infra.contract import RESULT_SCHEMA, RESULT_SOURCE
from message_sender.errors import AwsCallError
from message_sender.publisher import put_events
from ops.aws import CALL_TIMEOUT
from ops.redrive import Done, Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from types_boto3_sqs.type_defs import MessageTypeDef

    from message_sender.aws.client import AwsClient
    from message_sender.clock import Clock
    from ops.queue_reader import QueueReader

_MAX_BYTES: Final = 262_144
"""For the entries of one call. EventBridge accepts four times as much."""
_MAX_CHARACTERS: Final = 131_072
"""For one result, which is ASCII. The function writes at most a third of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptResult:
    """A result as an entry of `PutEvents`, and the message that holds it."""

    entry: Mapping[str, str] = field(repr=False)
    message: MessageTypeDef = field(repr=False)
    client_token: str | None
    source_id: str

    @property
    def size(self) -> int:
        return sum(map(len, self.entry.values()))


@dataclass(slots=True, kw_only=True)
class RepublishRun:
    """One run through the queue. It ends early if EventBridge accepts nothing.

    You can interrupt and repeat it at any time: it deletes a result only after EventBridge accepted it, and
    consumers expect that a result may arrive twice.

    Attributes:
        event_bus_name: The stack's bus. The run publishes only results of this stack, and only on this bus.
        event_bus_arn: The other form in which a result may name the bus.
        on_result: Gets each result and its error, None if it was published. For a message that is not a
            result, it gets None and the error.
    """

    reader: QueueReader
    events: AwsClient
    event_bus_name: str
    event_bus_arn: str
    dry_run: bool
    clock: Clock
    on_result: Callable[[KeptResult | None, str | None], None]
    totals: Totals = field(default_factory=Totals)

    def run(self) -> Totals:
        """Publish every result that the queue returns. Those that stay are visible again at the end.

        Raises:
            AwsCallError: The queue cannot be read.
        """
        with closing(self.reader.batches()) as batches:
            for messages in batches:
                results = [result for message in messages if (result := self._read(message)) is not None]
                for chunk in _chunks(results):
                    if not self._publish(chunk):
                        return self.totals
        self.totals.is_complete = self.reader.is_complete
        return self.totals

    def _read(self, message: MessageTypeDef) -> KeptResult | None:
        try:
            body = message["Body"]
            entry = json.loads(body if len(body) <= _MAX_CHARACTERS else "")
            detail = json.loads(entry["Detail"])
            self._check(entry, detail)
            # Serialized again, so that consumers read exactly the fields that were checked
            entry |= {"EventBusName": self.event_bus_name, "Detail": json.dumps(detail, allow_nan=False)}
        except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
            self._report(None, "not a result")
            return None
        return KeptResult(
            entry=entry, message=message, client_token=detail["ClientToken"], source_id=detail["SourceId"]
        )

    def _check(self, entry: dict[str, str], detail: dict[str, object]) -> None:
        """Check that `Publisher` wrote this for the bus of this stack.

        With the permissions of an operator, a forged entry could reach any bus under any source.

        Raises:
            ValueError: It did not. AttributeError, LookupError and TypeError mean the same.
        """
        _schema()(detail)
        is_sent = detail["Outcome"] == "SENT"
        detail_type = f"Message {str(detail['Outcome']).capitalize()}"
        rest = {"Source": RESULT_SOURCE, "DetailType": detail_type, "Detail": entry["Detail"]}
        if (
            entry not in ({"EventBusName": bus} | rest for bus in (self.event_bus_name, self.event_bus_arn))
            or (detail["Message"] is not None) != is_sent
            or (detail["Error"] is None) != is_sent
        ):
            raise ValueError

    def _publish(self, results: Sequence[KeptResult]) -> bool:
        """Publish some results. Return whether EventBridge accepted any."""
        accepted = [True] * len(results)
        if not self.dry_run:
            until = self.clock.monotonic() + CALL_TIMEOUT
            accepted = put_events([result.entry for result in results], events=self.events, until=until)
        for result, was_accepted in zip(results, accepted, strict=True):
            self._report(result, self._delete(result) if was_accepted else "EventBridge did not accept it")
        return any(accepted)

    def _delete(self, result: KeptResult) -> str | None:
        """Delete a published result. Return why it is still in the queue."""
        if not self.dry_run:
            try:
                self.reader.delete(result.message)
            except AwsCallError as error:
                return f"published, but still in the queue: {error}"
        return None

    def _report(self, result: KeptResult | None, error: str | None) -> None:
        self.totals.count[Done.PUBLISHED if error is None else Done.ERROR] += 1
        self.on_result(result, error)


@cache
def _schema() -> Callable[[object], object]:
    compiled: Callable[[object], object] = fastjsonschema.compile(RESULT_SCHEMA, use_default=False)
    return compiled


def _chunks(results: Sequence[KeptResult]) -> Iterator[Sequence[KeptResult]]:
    """Split results so that no call is too large, unless a single result is."""
    chunk: list[KeptResult] = []
    for result in results:
        if chunk and sum(each.size for each in chunk) + result.size > _MAX_BYTES:
            yield chunk
            chunk = []
        chunk.append(result)
    if chunk:
        yield chunk
