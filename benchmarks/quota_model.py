"""A model of all that shares the quota: service, queue, event source mapping, instances of the function.

Time is virtual, and what goes on in it is a generator that yields the seconds to wait for. What the
function itself decides (deadlines, retries, redelivery, give-up, pacing) is decided by its own modules or
by their figures.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

from infra.timing import FUNCTION_TIMEOUT_SECONDS, VISIBILITY_TIMEOUT_SECONDS
from message_sender.deadlines import Deadlines
from message_sender.event_sources.eventbridge import MAX_RATE_LIMIT_WAIT
from message_sender.event_sources.sqs import RETRY_SECONDS
from message_sender.retry import TimeBudget, redelivery_delay
from sandbox.participant_service.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

Route: TypeAlias = Literal["queue", "event", "call"]
Process: TypeAlias = "Iterator[float]"

RETRY_WINDOW: Final = 600.0
"""Seconds. The option's default."""

_BATCH_SIZE: Final = 10
_FUNCTION_TIMEOUT: Final = FUNCTION_TIMEOUT_SECONDS
_VISIBILITY_TIMEOUT: Final = VISIBILITY_TIMEOUT_SECONDS

# Spans of seconds from which durations are drawn
_SENDING: Final = (0.06, 0.12)
_BEING_THROTTLED: Final = (0.01, 0.03)
_PUBLISHING: Final = (0.02, 0.06)
_POLLING: Final = (0.01, 0.05)


class World:
    """Virtual time, and chance."""

    def __init__(self, *, seed: int) -> None:
        self.now = 0.0
        self.random = Random(seed)  # noqa: S311  # the same numbers in every run are the point
        self._agenda: list[tuple[float, int, Process]] = []
        self._turns = count()

    def start(self, process: Process, *, after: float = 0.0) -> None:
        heapq.heappush(self._agenda, (self.now + after, next(self._turns), process))

    def run(self, *, until: float) -> None:
        while self._agenda and self._agenda[0][0] <= until:
            self.now, _, process = heapq.heappop(self._agenda)
            wait = next(process, None)
            if wait is not None:
                self.start(process, after=wait)
        self.now = until

    def monotonic(self) -> float:
        return self.now

    def some(self, span: tuple[float, float]) -> float:
        return self.random.uniform(*span)


@dataclass(slots=True, eq=False)
class Message:
    """A message on its way.

    Attributes:
        accepted_at: By whichever way it came in.
        queued_at: By the queue. An event that was handed over was accepted before.
    """

    chat: int
    route: Route
    accepted_at: float
    queued_at: float
    receives: int = 0


@dataclass(slots=True)
class Attempt:
    """What came of one message in one invocation."""

    sent: bool
    tries: int
    retry_after: float = 0.0


class Sender(Protocol):
    """A way to send messages.

    Attributes:
        workers: Whether the chats of a batch are sent at the same time, or one after the other.
        sets_visibility: Whether a record that failed comes back after a backoff, or when its visibility ends.
    """

    workers: bool
    sets_visibility: bool

    def new_instance(self, world: World) -> Any:  # noqa: ANN401  # each sender's own
        """Return what an instance of the function keeps between its invocations."""
        ...

    def send(
        self,
        instance: Any,  # noqa: ANN401  # the same
        world: World,
        service: Service,
        route: Route,
        budget: TimeBudget,
    ) -> Generator[float, None, Attempt]: ...


@dataclass(slots=True)
class Tally:
    """What happened since a moment, and what came of all messages."""

    since: float
    calls: int = 0
    throttled: int = 0
    received: int = 0
    busy_seconds: float = 0.0
    seconds_to_outcome: dict[Route, list[float]] = field(default_factory=lambda: defaultdict(list))
    sent_by_chat: Counter[int] = field(default_factory=Counter)
    arrived: int = 0
    sent: int = 0
    failed: int = 0
    refused: int = 0
    """Callers who were told to come back later."""
    moved: int = 0
    """By SQS, to the dead-letter queue, without an outcome."""
    most_receives: int = 0
    last_outcome_at: float = 0.0
    accepted_in: Counter[int] = field(default_factory=Counter)
    throttled_in: Counter[int] = field(default_factory=Counter)
    """Calls by second, from the start."""


class Service:
    """The Participant Service: a bucket of tokens for all who call it."""

    def __init__(self, world: World, tally: Tally, *, quota: float, retry_after: float | None) -> None:
        self.retry_after = retry_after
        self._world = world
        self._tally = tally
        self._throttle = Throttle(clock=world.monotonic)
        self.set_quota(quota)

    def set_quota(self, quota: float) -> None:
        """Allow so many calls a second, and a burst of half as many more, as the service's own 10 and 15."""
        self._throttle.set(quota, burst=round(1.5 * quota))

    def call(self) -> Generator[float, None, bool]:
        """Take one call. Return whether it was accepted."""
        world, tally = self._world, self._tally
        accepted = self._throttle.allows()
        if world.now >= tally.since:
            tally.calls += 1
            tally.throttled += not accepted
        (tally.accepted_in if accepted else tally.throttled_in)[int(world.now)] += 1
        yield world.some(_SENDING if accepted else _BEING_THROTTLED)
        return accepted


class Queue:
    """An SQS FIFO queue.

    While a message of a chat is in flight or hidden, none of the chat is handed out. A batch takes as many
    messages of one chat as there are before it goes on to the next ("FIFO queue delivery logic", SQS
    developer guide). Of the order between chats SQS promises nothing: here they wait in line, or are drawn.
    """

    def __init__(self, world: World, tally: Tally, *, max_receive_count: int, at_random: bool) -> None:
        self._world = world
        self._tally = tally
        self._max_receive_count = max_receive_count
        self._at_random = at_random
        self._chats: defaultdict[int, deque[Message]] = defaultdict(deque)
        self._ready: deque[int] = deque()
        self._held: set[int] = set()
        self.on_ready: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        return sum(map(len, self._chats.values()))

    @property
    def has_ready(self) -> bool:
        return bool(self._ready)

    def put(self, message: Message) -> None:
        message.queued_at = self._world.now
        chat = self._chats[message.chat]
        chat.append(message)
        if len(chat) == 1 and message.chat not in self._held:
            self._make_ready(message.chat)

    def receive(self) -> list[list[Message]]:
        """Hand out at most ten messages, chat by chat."""
        batch: list[list[Message]] = []
        room = _BATCH_SIZE
        while room and self._ready:
            if self._at_random:
                self._ready.rotate(-self._world.random.randrange(len(self._ready)))
            number = self._ready.popleft()
            records = self._receive_of(self._chats[number], room)
            if records:
                self._held.add(number)
                batch.append(records)
                room -= len(records)
        return batch

    def _receive_of(self, chat: deque[Message], room: int) -> list[Message]:
        records: list[Message] = []
        while len(chat) > len(records) and len(records) < room:
            message = chat[len(records)]
            message.receives += 1
            if message.receives > self._max_receive_count:
                del chat[len(records)]
                self._tally.moved += 1
                continue
            self._tally.most_receives = max(self._tally.most_receives, message.receives)
            records.append(message)
        return records

    def settle(self, number: int, *, done: int, hidden_for: float) -> None:
        """Delete the first messages of a chat that was handed out, and hide the others for a while."""
        for _ in range(done):
            self._chats[number].popleft()
        self._world.start(self._release(number), after=hidden_for)

    def _release(self, number: int) -> Process:
        self._held.discard(number)
        if self._chats[number]:
            self._make_ready(number)
        yield from ()

    def _make_ready(self, number: int) -> None:
        self._ready.append(number)
        self.on_ready()


class _Context:
    """The context of an invocation that begins."""

    def get_remaining_time_in_millis(self) -> int:
        return int(_FUNCTION_TIMEOUT * 1000)


@dataclass(slots=True)
class _Batch:
    instance: Any
    began_at: float
    deadlines: Deadlines
    open_chats: int
    handled: list[tuple[list[Message], list[bool], Attempt | None]] = field(default_factory=list)
    """For each chat its records, of those that are done whether they were sent, and what came of the next."""


class Function:
    """The function: its instances, and the event source mapping that brings it batches."""

    def __init__(
        self, world: World, tally: Tally, *, sender: Sender, service: Service, queue: Queue, concurrency: int
    ) -> None:
        self._world = world
        self._tally = tally
        self._sender = sender
        self._service = service
        self._queue = queue
        queue.on_ready = self._poll
        self._concurrency = concurrency
        self._batches = 0
        self._idle: list[Any] = []
        self.on_their_way = 0
        """Messages of events and calls whose invocation has not ended."""

    def accept(self, message: Message) -> None:
        self._tally.arrived += 1
        if message.route == "queue":
            self._queue.put(message)
        else:
            self.on_their_way += 1
            self._world.start(self._single(message))

    def _poll(self) -> None:
        while self._batches < self._concurrency and self._queue.has_ready:
            self._batches += 1
            self._world.start(self._invocation(), after=self._world.some(_POLLING))

    def _take_instance(self) -> Any:  # noqa: ANN401  # the sender's own
        """Take the instance that was used last, as Lambda tends to, or a new one."""
        return self._idle.pop() if self._idle else self._sender.new_instance(self._world)

    def _deadlines(self) -> Deadlines:
        clock: Any = self._world
        context: Any = _Context()
        return Deadlines.of_invocation(context, clock)

    def _invocation(self) -> Process:
        chats = self._queue.receive()
        if not chats:
            self._batches -= 1
            return
        if self._world.now >= self._tally.since:
            self._tally.received += sum(map(len, chats))
        batch = _Batch(self._take_instance(), self._world.now, self._deadlines(), open_chats=len(chats))
        lines = [[chat] for chat in chats] if self._sender.workers else [chats]
        for line in lines:
            self._world.start(self._work_off(batch, line))
        yield from ()

    def _work_off(self, batch: _Batch, chats: Sequence[list[Message]]) -> Process:
        for records in chats:
            yield from self._send_chat(batch, records)
        batch.open_chats -= len(chats)
        if batch.open_chats == 0:
            yield from self._end(batch)

    def _send_chat(self, batch: _Batch, records: list[Message]) -> Process:
        """Send the messages of a chat in order, as `SqsSource._deliver_chat` does."""
        world = self._world
        budget = TimeBudget(deadline=batch.deadlines.send, retry_seconds=RETRY_SECONDS)
        done: list[bool] = []
        left: Attempt | None = None
        for message in records:
            if world.now >= batch.deadlines.send:
                break
            attempt = yield from self._sender.send(batch.instance, world, self._service, "queue", budget)
            given_up = attempt.tries > 0 and world.now - message.queued_at > RETRY_WINDOW
            if not attempt.sent and not given_up:
                left = attempt
                break
            done.append(attempt.sent)
        batch.handled.append((records, done, left))

    def _end(self, batch: _Batch) -> Process:
        world, tally = self._world, self._tally
        yield world.some(_PUBLISHING)
        for records, done, left in batch.handled:
            for message, sent in zip(records, done, strict=False):
                self._note_outcome(message, sent=sent)
            rest = records[len(done) :]
            hidden_for = self._hidden_for(batch, rest[0], left, is_head=not done) if rest else 0.0
            self._queue.settle(records[0].chat, done=len(done), hidden_for=hidden_for)
        if world.now >= tally.since:
            tally.busy_seconds += world.now - max(batch.began_at, tally.since)
        self._idle.append(batch.instance)
        self._batches -= 1
        self._poll()

    def _hidden_for(self, batch: _Batch, message: Message, left: Attempt | None, *, is_head: bool) -> float:
        """Return when the rest of a chat comes back, as `SqsSource._delay_of` does."""
        if not self._sender.sets_visibility:
            return batch.began_at + _VISIBILITY_TIMEOUT - self._world.now
        was_tried = left is not None and left.tries > 0
        tries = message.receives if was_tried and is_head else 1
        retry_after = left.retry_after if left is not None else 0.0
        return redelivery_delay(tries, random=self._world.random.random, retry_after=retry_after)

    def _single(self, message: Message) -> Process:
        """Send the message of an event, which else joins the queue, or of a caller, who else is told."""
        world, tally = self._world, self._tally
        instance = self._take_instance()
        deadlines = self._deadlines()
        budget = (
            TimeBudget(deadline=deadlines.send, rate_limit_wait=MAX_RATE_LIMIT_WAIT)
            if message.route == "event"
            else TimeBudget(deadline=deadlines.copy)
        )
        attempt = yield from self._sender.send(instance, world, self._service, message.route, budget)
        yield world.some(_PUBLISHING)
        self.on_their_way -= 1
        self._idle.append(instance)
        if attempt.sent:
            self._note_outcome(message, sent=True)
        elif message.route == "event":
            self._queue.put(message)
        else:
            tally.refused += 1

    def _note_outcome(self, message: Message, *, sent: bool) -> None:
        world, tally = self._world, self._tally
        tally.sent += sent
        tally.failed += not sent
        tally.last_outcome_at = world.now
        if world.now >= tally.since:
            tally.seconds_to_outcome[message.route].append(world.now - message.accepted_at)
            tally.sent_by_chat[message.chat] += sent and message.route == "queue"
