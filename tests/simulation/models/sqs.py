"""SQS, by the behaviours that were recorded of it or that its documentation states.

Source: SQS developer guide and API reference; visibility in FIFO queues, recorded against the service. Each
behaviour has its test in `test_queue_model.py`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from tests.simulation.models.clock import VirtualTime

DEDUPLICATION_SECONDS: Final = 300.0
_MAX_BYTES: Final = 1_048_576
_MAX_ATTRIBUTES: Final = 10
_LARGEST_BATCH: Final = 10
_MAX_VISIBILITY: Final = 43_200
_REFUSED: Final = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FIFO_ID: Final = re.compile(r"[!-~]{1,128}")
_ATTRIBUTE_NAME: Final = re.compile(r"(?!\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,256}(?<!\.)")


class SqsError(Exception):
    """A call that SQS refuses. The text is the name of the error, as in an answer of its JSON protocol."""


@dataclass(slots=True, kw_only=True)
class Message:
    """A message in a queue.

    Attributes:
        sequence: Its place in the order in which the queue accepted its messages.
        visible_at: The moment from which it may be received.
        source_queue: Of a message that SQS moved here: the name of the queue it was in.
        receipt: Of the last receive.
    """

    message_id: str
    body: str
    attributes: Mapping[str, str]
    group: str | None
    deduplication_id: str | None
    sequence: int
    enqueued_at: float
    visible_at: float = 0.0
    receive_count: int = 0
    source_queue: str | None = None
    receipt: str = ""


def arn_of(name: str) -> str:
    return f"arn:aws:sqs:eu-central-1:000000000000:{name}"


class Queue:
    """One queue.

    Args:
        name: Ends in `.fifo` if it is a FIFO queue.
        random: For ids and for the order of groups in a receive.
        dead_letters: Where a message goes that was received `max_receive_count` times.

    Attributes:
        messages_accepted: So far.
        accepted: All of these, by message id. What changes of one does so here too.
    """

    def __init__(
        self,
        name: str,
        *,
        time: VirtualTime,
        random: Random,
        visibility_timeout: float = 30.0,
        dead_letters: Queue | None = None,
        max_receive_count: int = 0,
    ) -> None:
        self.name = name
        self.arn = arn_of(name)
        self.fifo = name.endswith(".fifo")
        self.visibility_timeout = visibility_timeout
        self._time = time
        self._random = random
        self._dead_letters = dead_letters
        self._max_receive_count = max_receive_count
        self.messages_accepted = 0
        self.accepted: dict[str, Message] = {}
        # A standard queue has one group for each message: nothing waits for anything.
        self._groups: defaultdict[str, list[Message]] = defaultdict(list)
        self._by_receipt: dict[str, Message] = {}
        self._repeats: dict[tuple[str, str], tuple[float, str]] = {}
        self._watchers: list[Callable[[], object]] = []

    @property
    def messages(self) -> list[Message]:
        """All messages, hidden ones too, in the order in which the queue accepted them."""
        return sorted(
            (message for group in self._groups.values() for message in group),
            key=lambda message: message.sequence,
        )

    def watch(self, action: Callable[[], object]) -> None:
        """Call something whenever a message may have become visible."""
        self._watchers.append(action)

    def send(
        self,
        body: str,
        *,
        group: str | None = None,
        deduplication_id: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> str:
        """Accept a message and return its id.

        A FIFO queue takes a repeat within five minutes, of the same group, for the message that it has.

        Raises:
            SqsError: SQS would refuse it.
        """
        attributes = attributes or {}
        _check_size(body, attributes)
        if not self.fifo:
            return self._add(body, attributes, group, None).message_id
        if group is None or deduplication_id is None:
            raise SqsError("MissingParameter")
        if not _FIFO_ID.fullmatch(group) or not _FIFO_ID.fullmatch(deduplication_id):
            raise SqsError("InvalidParameterValue")
        accepted_at, message_id = self._repeats.get((group, deduplication_id), (0.0, ""))
        now = self._time.monotonic()
        if message_id and now - accepted_at < DEDUPLICATION_SECONDS:
            return message_id
        message = self._add(body, attributes, group, deduplication_id)
        self._repeats[group, deduplication_id] = now, message.message_id
        return message.message_id

    def receive(
        self, most: int = _LARGEST_BATCH, *, visibility_timeout: float | None = None
    ) -> list[Message]:
        """Receive messages and hide them, for the queue's visibility timeout unless another is given.

        Of a FIFO group only what stands before its first hidden message, in order.
        """
        now = self._time.monotonic()
        groups = list(self._groups)
        self._random.shuffle(groups)
        received: list[Message] = []
        for group in groups:
            for message in tuple(self._groups[group]):
                if len(received) == most or message.visible_at > now:
                    break
                if self._dead_letters is not None and message.receive_count >= self._max_receive_count:
                    self._remove(message)
                    self._dead_letters.take_over(message, self.name)
                    continue
                received.append(message)
            if len(received) == most:
                break
        for message in received:
            message.receive_count += 1
            self._by_receipt.pop(message.receipt, None)
            message.receipt = f"{message.message_id}/{message.receive_count}"
            self._by_receipt[message.receipt] = message
            self._hide(message, visibility_timeout or self.visibility_timeout)
        return received

    def delete(self, receipt: str) -> None:
        """Delete a message that is held. Deleting it once more changes nothing.

        Raises:
            SqsError: The receipt handle is no longer good. A FIFO queue refuses one that has expired.
        """
        message = self._by_receipt.get(receipt)
        if message is None or (self.fifo and message.visible_at <= self._time.monotonic()):
            raise SqsError("InvalidParameterValue")
        self._remove(message)
        self._tell()

    def change_visibility(self, receipt: str, seconds: int) -> None:
        """Set when a message that is held comes back. Each message of a group has its own moment.

        Raises:
            SqsError: The message is not held, or the value is none.
        """
        if not 0 <= seconds <= _MAX_VISIBILITY:
            raise SqsError("InvalidParameterValue")
        message = self._by_receipt.get(receipt)
        if message is None:
            raise SqsError("ReceiptHandleIsInvalid")
        if message.visible_at <= self._time.monotonic():
            raise SqsError("MessageNotInflight")
        self._hide(message, seconds)

    def release(self, message: Message, *, seconds: float = 0.0) -> None:
        """Let a message come back early, as when SQS delivers it twice."""
        self._hide(message, seconds)

    def take_over(self, message: Message, source_queue: str) -> None:
        """Accept a message from the queue whose dead letters these are.

        It keeps its id, which replaces its de-duplication id in a FIFO queue, and its time starts anew.
        """
        moved = self._add(
            message.body,
            message.attributes,
            message.group,
            message.message_id if self.fifo else None,
            message_id=message.message_id,
        )
        moved.source_queue = source_queue
        if moved.group is not None and moved.deduplication_id is not None:
            self._repeats[moved.group, moved.deduplication_id] = self._time.monotonic(), moved.message_id

    def redrive(self, message: Message, to: Queue) -> str:
        """Move a dead letter back. The message is a new one for the queue: another id, another time."""
        self._remove(message)
        return to._add(message.body, message.attributes, message.group, message.deduplication_id).message_id

    def _add(
        self,
        body: str,
        attributes: Mapping[str, str],
        group: str | None,
        deduplication_id: str | None,
        *,
        message_id: str | None = None,
    ) -> Message:
        self.messages_accepted += 1
        message = Message(
            message_id=message_id or str(UUID(int=self._random.getrandbits(128), version=4)),
            body=body,
            attributes=dict(attributes),
            group=group,
            deduplication_id=deduplication_id,
            sequence=self.messages_accepted,
            enqueued_at=self._time.epoch(),
        )
        self.accepted[message.message_id] = message
        self._groups[self._key(message)].append(message)
        self._tell()
        return message

    def _hide(self, message: Message, seconds: float) -> None:
        message.visible_at = self._time.monotonic() + seconds
        if self._watchers:
            self._time.after(seconds, self._tell)

    def _remove(self, message: Message) -> None:
        key = self._key(message)
        if message in self._groups[key]:
            self._groups[key].remove(message)
        if not self._groups[key]:
            del self._groups[key]

    def _tell(self) -> None:
        for action in self._watchers:
            self._time.after(0.0, action)

    def _key(self, message: Message) -> str:
        return str(message.group) if self.fifo else str(message.sequence)


def _check_size(body: str, attributes: Mapping[str, str]) -> None:
    texts = [body, *attributes.values()]
    if not all(texts) or any(_REFUSED.search(text) for text in texts):
        raise SqsError("InvalidMessageContents")
    if len(attributes) > _MAX_ATTRIBUTES or not all(map(_ATTRIBUTE_NAME.fullmatch, attributes)):
        raise SqsError("InvalidParameterValue")
    size = len(body.encode()) + sum(
        len(name) + len("String") + len(value.encode()) for name, value in attributes.items()
    )
    if size > _MAX_BYTES:
        raise SqsError("InvalidParameterValue")
