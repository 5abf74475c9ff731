"""Read a queue: receive each message once, and keep it in the queue unless it is deleted."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from message_sender.errors import AwsCallError
from ops.aws import CALL_TIMEOUT
from ops.stack.signals import defer_signals

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from types_boto3_sqs.type_defs import MessageTypeDef

    from message_sender.aws.client import AwsClient
    from message_sender.clock import Clock

_MAX_SECONDS: Final = 600.0
"""Receive for this long: enough for thousands of messages. The next run receives the rest."""
_VISIBILITY_TIMEOUT: Final = 900
"""Seconds. Longer than `_MAX_SECONDS` and a batch: no message is redelivered while the reader is open."""
_BATCH: Final = 10
_WAIT: Final = 1
"""Seconds. With any wait, SQS asks all its servers, so that an empty response means an empty queue."""


@dataclass(slots=True)
class QueueReader:
    """Receives each message once.

    In a FIFO queue, it does not see past the first ten messages of a group if all of them stay: SQS returns
    ten at a time, and none while earlier ones are in flight. Source: SQS developer guide, "FIFO queue
    delivery logic".

    Attributes:
        is_complete: Whether it received all that SQS returns before its time ran out.
    """

    sqs: AwsClient
    queue_url: str
    clock: Clock
    is_complete: bool = False
    _in_flight: dict[str, str] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def batches(self) -> Generator[Sequence[MessageTypeDef], None, None]:
        """Receive messages, at most ten at a time. In a FIFO queue, each group keeps its order.

        At the end, those that were not deleted are visible again. Close the generator if you stop early.

        Raises:
            AwsCallError: A receive failed.
        """
        end = self.clock.monotonic() + _MAX_SECONDS
        any_new = False
        try:
            while self.clock.monotonic() < end:
                # Nobody could release the messages of a call that a signal interrupts
                with defer_signals():
                    messages: Sequence[MessageTypeDef] = self._call(
                        "ReceiveMessage",
                        MaxNumberOfMessages=_BATCH,
                        VisibilityTimeout=_VISIBILITY_TIMEOUT,
                        WaitTimeSeconds=_WAIT,
                        MessageSystemAttributeNames=["All"],
                        MessageAttributeNames=["All"],
                    ).get("Messages", [])
                    self._in_flight |= {each["MessageId"]: each["ReceiptHandle"] for each in messages}
                if messages:
                    new = [message for message in messages if message["MessageId"] not in self._seen]
                    self._seen |= {message["MessageId"] for message in new}
                    any_new = any_new or bool(new)
                    yield new
                elif any_new and self.queue_url.endswith(".fifo"):
                    # Messages in flight hide the rest of their group. Received again, they no longer do
                    self._release()
                    any_new = False
                else:
                    self.is_complete = True
                    return
        finally:
            self._release()

    def delete(self, message: MessageTypeDef) -> None:
        """Delete a received message.

        Raises:
            AwsCallError: It is still in the queue.
        """
        self._call("DeleteMessage", ReceiptHandle=message["ReceiptHandle"])
        del self._in_flight[message["MessageId"]]

    def _release(self) -> None:
        """Make the remaining messages visible again. If this fails, the visibility timeout does it."""
        handles = list(self._in_flight.values())
        with defer_signals():
            for start in range(0, len(handles), _BATCH):
                entries = [
                    {"Id": str(index), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                    for index, handle in enumerate(handles[start : start + _BATCH])
                ]
                with suppress(AwsCallError):
                    self._call("ChangeMessageVisibilityBatch", Entries=entries)
            self._in_flight.clear()

    def _call(self, operation: str, **parameters: object) -> dict[str, Any]:
        until = self.clock.monotonic() + CALL_TIMEOUT
        return self.sqs.call(operation, {"QueueUrl": self.queue_url, **parameters}, until=until)
