"""A queue whose messages are looked at once each, and stay unless they are deleted."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

from message_sender.errors import AwsCallError
from ops.aws import call_patiently
from ops.stack.signals import defer_signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from message_sender.aws.client import AwsApi
    from message_sender.clock import Clock

    Message = Mapping[str, Any]
    """As ReceiveMessage answers it."""

_SECONDS: Final = 600.0
"""For how long messages are received. Thousands of letters take minutes; what is left is for the next run."""
_VISIBILITY_TIMEOUT: Final = 900
"""Seconds, above `_SECONDS` by more than a batch takes: no message comes back while the reader is open."""
_BATCH: Final = 10
_WAIT: Final = 1
"""Seconds. Any wait makes SQS ask all its servers, so an empty answer means that there is nothing."""


class QueueReader:
    """Receives each message once and, on leaving the block, lets go of those that stay.

    Of a group of a FIFO queue whose first ten messages stay, the others are not seen: they come ten at a
    time, and none while earlier ones are held. Source: SQS developer guide, "FIFO queue delivery logic".
    """

    def __init__(self, sqs: AwsApi, queue_url: str, *, clock: Clock, random: Callable[[], float]) -> None:
        self._call = partial(call_patiently, sqs, clock=clock, random=random)
        self._queue_url = queue_url
        self._clock = clock
        self._is_fifo = queue_url.endswith(".fifo")
        self._held: dict[str, str] = {}
        self._seen: set[str] = set()
        self.is_read = False
        """Whether the queue had nothing more to give, rather than the time run out."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._release()

    def batches(self) -> Iterator[Sequence[Message]]:
        """Receive messages, at most ten at a time, of a FIFO queue in the order of each group.

        Raises:
            AwsCallError: They cannot be received.
        """
        end = self._clock.monotonic() + _SECONDS
        any_new = False
        while self._clock.monotonic() < end:
            # What a call receives that is given up half-way, nobody would know of, nor let go
            with defer_signals():
                messages = self._receive()
                self._held |= {message["MessageId"]: message["ReceiptHandle"] for message in messages}
            if messages:
                new = [message for message in messages if message["MessageId"] not in self._seen]
                self._seen |= {message["MessageId"] for message in new}
                any_new = any_new or bool(new)
                yield new
            elif any_new and self._is_fifo:
                # What is held hides the rest of its group: received anew, it comes with what is behind it
                self._release()
                any_new = False
            else:
                self.is_read = True
                return

    def delete(self, message: Message) -> None:
        """Delete a message that was received.

        Raises:
            AwsCallError: It is still there.
        """
        self._call("DeleteMessage", {"QueueUrl": self._queue_url, "ReceiptHandle": message["ReceiptHandle"]})
        del self._held[message["MessageId"]]

    def _receive(self) -> Sequence[Message]:
        answer = self._call(
            "ReceiveMessage",
            {
                "QueueUrl": self._queue_url,
                "MaxNumberOfMessages": _BATCH,
                "VisibilityTimeout": _VISIBILITY_TIMEOUT,
                "WaitTimeSeconds": _WAIT,
                "MessageSystemAttributeNames": ["All"],
                "MessageAttributeNames": ["All"],
            },
        )
        messages: Sequence[Message] = answer.get("Messages", [])
        return messages

    def _release(self) -> None:
        """Make visible again what stays. Should that fail, its visibility timeout does it."""
        handles = list(self._held.values())
        with defer_signals():
            for start in range(0, len(handles), _BATCH):
                entries = [
                    {"Id": str(index), "ReceiptHandle": handle, "VisibilityTimeout": 0}
                    for index, handle in enumerate(handles[start : start + _BATCH])
                ]
                with suppress(AwsCallError):
                    self._call(
                        "ChangeMessageVisibilityBatch", {"QueueUrl": self._queue_url, "Entries": entries}
                    )
            self._held.clear()
