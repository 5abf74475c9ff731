"""Publish the results that EventBridge did not accept at first."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from message_sender.errors import AwsCallError
from message_sender.publisher import put_events
from message_sender.result_reader import KeptResult, in_calls, read_kept_result
from ops.aws import CALL_TIMEOUT
from ops.redrive import Done, Totals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from types_boto3_sqs.type_defs import MessageTypeDef

    from message_sender.aws.client import AwsClient
    from message_sender.clock import Clock
    from ops.queue_reader import QueueReader


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
    _received: dict[str, MessageTypeDef] = field(init=False, default_factory=dict, repr=False)

    def run(self) -> Totals:
        """Publish every result that the queue returns. Those that stay are visible again at the end.

        Raises:
            AwsCallError: The queue cannot be read.
        """
        with closing(self.reader.batches()) as batches:
            for messages in batches:
                self._received = {message["MessageId"]: message for message in messages}
                results = [result for message in messages if (result := self._read(message)) is not None]
                for call in in_calls(results):
                    if not self._publish(call):
                        return self.totals
        self.totals.is_complete = self.reader.is_complete
        return self.totals

    def _read(self, message: MessageTypeDef) -> KeptResult | None:
        names = [self.event_bus_name, self.event_bus_arn]
        result = read_kept_result(message["Body"], message_id=message["MessageId"], event_bus_names=names)
        if result is None:
            self._report(None, "not a result")
        return result

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
                self.reader.delete(self._received[result.message_id])
            except AwsCallError as error:
                return f"published, but still in the queue: {error}"
        return None

    def _report(self, result: KeptResult | None, error: str | None) -> None:
        self.totals.count[Done.PUBLISHED if error is None else Done.ERROR] += 1
        self.on_result(result, error)
