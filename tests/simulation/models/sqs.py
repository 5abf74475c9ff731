"""SQS, by the behaviours that its documentation states or that were recorded against the service.

Source: SQS developer guide and API reference. Each behaviour has a test in `test_sqs_*.py`.
"""

from __future__ import annotations

import heapq
import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Final
from uuid import UUID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from random import Random

    from tests.simulation.models.clock import VirtualTime

DEDUPLICATION_SECONDS: Final = 300.0
LARGEST_BATCH: Final = 10
_MAX_BYTES: Final = 1_048_576
_MAX_ATTRIBUTES: Final = 10
_MAX_VISIBILITY: Final = 43_200
_INVALID_CHARACTER: Final = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_FIFO_ID: Final = re.compile(r"[!-~]{1,128}")
_ATTRIBUTE_NAME: Final = re.compile(r"(?!\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,256}(?<!\.)")


class SqsError(Exception):
    """A call that SQS rejects. The text is the name of the error in the JSON protocol."""


@dataclass(slots=True, kw_only=True)
class Message:
    """A message in a queue.

    Attributes:
        sequence: Its position in the order in which the queue accepted its messages.
        visible_at: The moment from which it can be received.
        source_queue: The name of the queue from which SQS moved the message here, if it did.
        receipt: The receipt handle of the last receive.
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

    SQS promises no order between message groups. A receive therefore draws the groups at random, or takes
    them in turn, so that a study can compare both.

    Args:
        name: Ends in `.fifo` for a FIFO queue.
        random: For ids and for the order of the groups.
        dead_letters: Gets the messages that were received `max_receive_count` times.
        groups_in_turn: Whether the group that has been ready longest is received first.

    Attributes:
        messages_accepted: So far.
        accepted: All messages that the queue ever accepted, by message id. They are the same objects.
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
        groups_in_turn: bool = False,
    ) -> None:
        self.name = name
        self.arn = arn_of(name)
        self.fifo = name.endswith(".fifo")
        self.visibility_timeout = visibility_timeout
        self._time = time
        self._random = random
        self._dead_letters = dead_letters
        self._max_receive_count = max_receive_count
        self._groups_in_turn = groups_in_turn
        self.messages_accepted = 0
        self.accepted: dict[str, Message] = {}
        # By group and message id, in order. In a standard queue each message is its own group.
        self._groups: defaultdict[str, dict[str, Message]] = defaultdict(dict)
        # Every group whose first message is visible is in `_ready`. `_hidden` holds the ends of visibility
        # timeouts, so that a receive finds the groups that have become ready since.
        self._ready: dict[str, None] = {}
        self._hidden: list[tuple[float, int, str]] = []
        self._order = count()
        self._by_receipt: dict[str, Message] = {}
        self._repeats: dict[tuple[str, str], tuple[float, str]] = {}
        self._watchers: list[Callable[[], object]] = []
        self._notifying = False

    @property
    def messages(self) -> list[Message]:
        """All messages, including the hidden ones, in the order in which the queue accepted them."""
        return sorted(
            (message for group in self._groups.values() for message in group.values()),
            key=lambda message: message.sequence,
        )

    def watch(self, action: Callable[[], object]) -> None:
        """Call an action whenever a message may have become visible."""
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

        A FIFO queue accepts a repeat of a de-duplication id within the same group and five minutes, and
        drops it.

        Raises:
            SqsError: SQS would reject the call.
        """
        attributes = attributes or {}
        _validate(body, attributes)
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

    def receive(self, most: int = LARGEST_BATCH, *, visibility_timeout: float | None = None) -> list[Message]:
        """Receive messages and hide them.

        A FIFO group returns its messages in order, and only those before its first hidden message. A batch
        takes as many messages of one group as there are before it takes the next group. Source: SQS developer
        guide, "FIFO queue delivery logic".

        Args:
            visibility_timeout: In place of the queue's own, in seconds.
        """
        received: list[Message] = []
        for group in self._ready_groups():
            received += self._receive_from(group, most - len(received))
            if len(received) == most:
                break
        for message in received:
            message.receive_count += 1
            self._by_receipt.pop(message.receipt, None)
            message.receipt = f"{message.message_id}/{message.receive_count}"
            self._by_receipt[message.receipt] = message
            self._hide(message, visibility_timeout or self.visibility_timeout)
        return received

    def _ready_groups(self) -> Iterator[str]:
        """Yield each group whose first message may be visible, and count it as taken."""
        now = self._time.monotonic()
        while self._hidden and self._hidden[0][0] <= now:
            _, _, group = heapq.heappop(self._hidden)
            if group in self._groups:
                self._ready[group] = None
        groups = list(self._ready)
        if self._groups_in_turn:
            groups.reverse()
        while groups:
            if not self._groups_in_turn:
                drawn = self._random.randrange(len(groups))
                groups[drawn], groups[-1] = groups[-1], groups[drawn]
            group = groups.pop()
            del self._ready[group]
            yield group

    def _receive_from(self, group: str, room: int) -> list[Message]:
        now = self._time.monotonic()
        received: list[Message] = []
        exhausted: list[Message] = []
        for message in self._groups[group].values():
            if len(received) == room or message.visible_at > now:
                break
            is_exhausted = self._dead_letters and message.receive_count >= self._max_receive_count
            (exhausted if is_exhausted else received).append(message)
        for message in exhausted:
            self._remove(message)
            if self._dead_letters is not None:
                self._dead_letters.take_over(message, self.name)
        return received

    def delete(self, receipt: str) -> None:
        """Delete a received message. A second delete changes nothing.

        Raises:
            SqsError: The receipt handle is no longer valid. A FIFO queue rejects one that has expired.
        """
        message = self._by_receipt.get(receipt)
        if message is None or (self.fifo and message.visible_at <= self._time.monotonic()):
            raise SqsError("InvalidParameterValue")
        self._remove(message)
        self._notify()

    def change_visibility(self, receipt: str, seconds: int) -> None:
        """Set when a received message becomes visible again. Each message of a group has its own time.

        Raises:
            SqsError: The message is not in flight, or the value is out of range.
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
        """Make a message visible early, as when SQS delivers it twice."""
        self._hide(message, seconds)

    def take_over(self, message: Message, source_queue: str) -> None:
        """Accept a message from the queue of which this is the dead-letter queue.

        The message keeps its id. In a FIFO queue the id also replaces the de-duplication id, and the enqueue
        time starts again.
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
        """Move a dead letter to a queue, where it is a new message with another id and enqueue time."""
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
        key = self._key(message)
        if key not in self._groups:
            self._ready[key] = None
        self._groups[key][message.message_id] = message
        self._notify()
        return message

    def _hide(self, message: Message, seconds: float) -> None:
        message.visible_at = self._time.monotonic() + seconds
        heapq.heappush(self._hidden, (message.visible_at, next(self._order), self._key(message)))
        if self._watchers:
            self._time.after(seconds, self._notify)

    def _remove(self, message: Message) -> None:
        key = self._key(message)
        group = self._groups.get(key, {})
        group.pop(message.message_id, None)
        if not group:
            self._groups.pop(key, None)
            self._ready.pop(key, None)
        elif next(iter(group.values())).visible_at <= self._time.monotonic():
            self._ready[key] = None

    def _notify(self) -> None:
        """Call the watchers once, when all that happens at this moment has happened."""
        if self._watchers and not self._notifying:
            self._notifying = True
            self._time.after(0.0, self._call_watchers)

    def _call_watchers(self) -> None:
        self._notifying = False
        for action in self._watchers:
            action()

    def _key(self, message: Message) -> str:
        return str(message.group) if self.fifo else str(message.sequence)


def _validate(body: str, attributes: Mapping[str, str]) -> None:
    texts = [body, *attributes.values()]
    if not all(texts) or any(_INVALID_CHARACTER.search(text) for text in texts):
        raise SqsError("InvalidMessageContents")
    if len(attributes) > _MAX_ATTRIBUTES or not all(map(_ATTRIBUTE_NAME.fullmatch, attributes)):
        raise SqsError("InvalidParameterValue")
    size = len(body.encode()) + sum(
        len(name) + len("String") + len(value.encode()) for name, value in attributes.items()
    )
    if size > _MAX_BYTES:
        raise SqsError("InvalidParameterValue")
