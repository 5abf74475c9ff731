"""The state at the end of a run, as the invariants see it: plain data, read from the models.

Two facts come from the simulation: the messages that a fault hit between the function and their source, and
the messages that a fault of the service made impossible to send.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tests.simulation.accepted import LINE, NUMBER, client_token_in
from tests.simulation.contract import client_tokens_of
from tests.simulation.fault_profiles import Fault
from tests.simulation.models.clock import START

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from tests.simulation.accepted import Accepted, Chat
    from tests.simulation.models.aws import WaitingTask
    from tests.simulation.models.sqs import Message
    from tests.simulation.simulation import Simulation

Result = dict[str, Any]


@dataclass(frozen=True)
class Wait:
    """A task and the messages that hold its token: ClientToken and source id of each."""

    task: WaitingTask
    messages: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A message in the transcript of a chat.

    Attributes:
        number: Of the text. 0 if nobody sent it.
        part: Of a long text, from 1. 0: it is whole.
        client_token: Of the call.
    """

    number: int
    part: int
    id: str
    absolute_time: str
    content_type: str
    content: str
    client_token: str | None
    participant_id: str

    @property
    def at(self) -> datetime:
        return datetime.fromisoformat(self.absolute_time)


@dataclass(frozen=True)
class Observations:
    """The state at the end of a run.

    Attributes:
        accepted: By ClientToken.
        items: The messages of each chat, in order, by contact id.
        transcripts: The numbers of the texts of each chat, in order, by contact id. Of a long text, its
            first part counts.
        lines: The numbers of text and line in each chat, in order. The line is 0 in a text of one part.
        calls: How many calls of SendMessage reached the service, by the ClientToken of the call.
        owners: The ClientToken of the message, by the ClientToken of each call that may be made for it.
        positions: Of each message in the messages queue, by ClientToken, in the order in which the queue
            accepted them. An event that was enqueued for retry has one; each redrive adds one.
        receives: How often the messages queue delivered each message, by message id.
        published: Results on the bus, in order, then those in the unpublished-results queue.
        published_at: The moment at which each result was on the bus, or in that queue.
        envelopes: Source, detail type and detail of each result on the bus.
        rejected: Copies that are in the queue at the end. The same holds for the queues below.
        all_rejected: Copies that were ever in the queue. The same holds for the queues below.
        dead_letters_handled: Whether operators have handled all dead letters.
        waits: Tasks that waited for messages.
        disturbed: ClientTokens of messages that a fault hit between the function and their source.
        ended_by_fault: ClientTokens of messages that a fault of the service made impossible to send.
        late_calls: Whether calls may have reached the service long after they were made.
        timed_out: Invocations that timed out without a fault.
        not_safe: ClientTokens of messages that were redelivered because a result or copy was not safe.
        lost_results: Log lines about results that are not published, those of synchronous callers included.
        maximum_age: The age at which messages expire, None if they do not expire by their age.
        stored: The results that the look-up finds, by ClientToken. None without the look-up.
        lost_lookups: ClientTokens of messages with a result that Lambda did not pass on to the look-up.
    """

    accepted: Mapping[str, Accepted]
    chats: Mapping[str, Chat]
    items: Mapping[str, Sequence[Item]]
    transcripts: Mapping[str, Sequence[int]]
    lines: Mapping[str, Sequence[tuple[int, int]]]
    calls: Mapping[str, int]
    owners: Mapping[str, str]
    positions: Mapping[str, Sequence[int]]
    receives: Mapping[str, int]
    published: Sequence[Result]
    published_at: Sequence[tuple[float, Result]]
    envelopes: Sequence[tuple[str, str, Result]]
    messages: Sequence[Message]
    rejected: Sequence[Message]
    all_rejected: Sequence[Message]
    dead_letters: Sequence[Message]
    all_dead_letters: Sequence[Message]
    unpublished: Sequence[Message]
    events_dead_letters: Sequence[Message]
    all_events_dead_letters: Sequence[Message]
    dead_letters_handled: bool
    waits: Sequence[Wait]
    disturbed: frozenset[str]
    ended_by_fault: frozenset[str]
    late_calls: bool
    leaks: Sequence[str]
    timed_out: int
    not_safe: frozenset[str]
    lost_results: int
    maximum_age: timedelta | None
    stored: Mapping[str, Result] | None
    lost_lookups: frozenset[str]

    @classmethod
    def of(cls, simulation: Simulation) -> Observations:
        producers, capture = simulation.producers, simulation.capture
        unpublished = [json.loads(entry.body) for entry in simulation.unpublished.messages]
        published = [
            *(detail for _, detail in simulation.bus.results),
            *(json.loads(entry["Detail"]) for entry in unpublished),
        ]
        # What the bus refused: entries of PutEvents
        refused = [
            (message.enqueued_at, json.loads(message.body))
            for message in simulation.unpublished.accepted.values()
        ]
        positions: dict[str, list[int]] = defaultdict(list)
        for message_id, message in simulation.messages.accepted.items():
            sent = producers.by_source_id.get(message_id)
            if (token := sent.client_token if sent else client_token_in(message.body)) is not None:
                positions[token].append(message.sequence)
        calls = {
            token: {call: (message.number, part) for call, part in tokens.items()}
            for token, message in producers.accepted.items()
            for tokens in [client_tokens_of(token, is_split=message.split_at is not None)]
        }
        by_call = {call: text for texts in calls.values() for call, text in texts.items()}
        items = {chat.contact_id: _items(simulation, chat, by_call) for chat in producers.chats}
        numbered = {message.number for message in producers.accepted.values() if message.lines}
        lines = {
            contact_id: [line for item in of_chat for line in _lines_of(item, numbered)]
            for contact_id, of_chat in items.items()
        }
        age, lookup = simulation.setup.maximum_age_minutes, simulation.setup.outcome_lookup
        disturbed = simulation.mapping.disturbed | simulation.events.disturbed
        tokens = {producers.by_source_id[i].client_token for i in disturbed if i in producers.by_source_id}
        # No producer sent an event that was enqueued for retry to the queue: its body identifies it
        tokens |= {
            token
            for message_id in disturbed - producers.by_source_id.keys()
            if (token := client_token_in(simulation.messages.accepted[message_id].body)) is not None
        }
        ended_by_fault = simulation.injector.ended_by_fault
        return cls(
            accepted=producers.accepted,
            chats={chat.contact_id: chat for chat in producers.chats},
            items=items,
            transcripts={
                contact_id: [number for number, line in of_chat if line in {0, 1}]
                for contact_id, of_chat in lines.items()
            },
            lines=lines,
            calls=simulation.participant.client_tokens,
            owners={call: token for token, texts in calls.items() for call in texts},
            positions=positions,
            receives={
                message_id: message.receive_count
                for message_id, message in simulation.messages.accepted.items()
            },
            published=published,
            published_at=[
                *simulation.bus.results,
                *((at - START.timestamp(), json.loads(entry["Detail"])) for at, entry in refused),
            ],
            envelopes=[
                *simulation.bus.envelopes,
                *(
                    (entry["Source"], entry["DetailType"], json.loads(entry["Detail"]))
                    for _, entry in refused
                ),
            ],
            messages=simulation.messages.messages,
            rejected=simulation.rejected.messages,
            all_rejected=[*simulation.rejected.accepted.values()],
            dead_letters=simulation.dead_letters.messages,
            all_dead_letters=[*simulation.dead_letters.accepted.values()],
            unpublished=simulation.unpublished.messages,
            events_dead_letters=simulation.events_dead_letters.messages,
            all_events_dead_letters=[*simulation.events_dead_letters.accepted.values()],
            dead_letters_handled=simulation.dead_letters_handled,
            waits=[
                Wait(task, [(producers.by_source_id[i].client_token, i) for i in source_ids])
                for token, source_ids in producers.source_ids_by_task.items()
                if (task := simulation.step_functions.tasks.get(token)) is not None
            ],
            disturbed=frozenset(tokens),
            ended_by_fault=frozenset(
                token for token, texts in calls.items() if not ended_by_fault.isdisjoint(texts)
            ),
            late_calls=simulation.injector.counts[Fault.ARRIVES_LATE] > 0,
            leaks=[
                *capture.leaks,
                *(text for result in published if capture.holds_secret(text := json.dumps(result))),
            ],
            timed_out=len(simulation.function.timed_out),
            not_safe=frozenset(
                producers.by_source_id[i].client_token
                for i in capture.not_safe & producers.by_source_id.keys()
            ),
            lost_results=capture.lines["Result not published"],
            maximum_age=None if age is None else timedelta(minutes=age),
            stored=_stored(simulation) if lookup else None,
            lost_lookups=frozenset(
                event.get("requestPayload", event)["detail"]["ClientToken"]
                for message in simulation.lost_lookups.messages
                for event in [json.loads(message.body)]
            ),
        )

    @cached_property
    def results(self) -> Mapping[str, list[Result]]:
        """The results of each message, by ClientToken, in order."""
        results: dict[str, list[Result]] = defaultdict(list)
        for result in self.published:
            results[result["ClientToken"]].append(result)
        return results

    @cached_property
    def by_number(self) -> Mapping[int, tuple[str, Accepted]]:
        """ClientToken and message, by the number of the text."""
        return {message.number: (token, message) for token, message in self.accepted.items()}

    def outcome(self, client_token: str) -> str | None:
        """Return a message's outcome, None if it has none. SENT wins over all others."""
        outcomes = [result["Outcome"] for result in self.results.get(client_token, [])]
        return "SENT" if "SENT" in outcomes else outcomes[-1] if outcomes else None

    def last_outcome(self, client_token: str) -> str | None:
        """Return the latest outcome of a message."""
        results = self.results.get(client_token, [])
        return max(results, key=lambda result: str(result["CompletedAt"]))["Outcome"] if results else None

    @cached_property
    def expired_by_age(self) -> set[str]:
        """ClientTokens of the messages that were rejected as expired, and were older than the maximum age."""
        if self.maximum_age is None:
            return set()
        return {
            result["ClientToken"]
            for result in self.published
            if result["Error"]
            and result["Error"]["Code"] == "Expired"
            and datetime.fromisoformat(result["CompletedAt"]) - datetime.fromisoformat(result["AcceptedAt"])
            > self.maximum_age
        }

    @cached_property
    def copies(self) -> Sequence[Message]:
        """All copies of rejected and failed messages that there ever were."""
        return [copy for copy in (*self.all_rejected, *self.all_dead_letters) if copy.source_queue is None]

    @cached_property
    def copied(self) -> set[str]:
        """ClientTokens of messages that the function has copied, as rejected or failed."""
        return {self.token_of_copy(copy) for copy in self.copies}

    def token_of_copy(self, copy: Message) -> str:
        """Return the ClientToken of a copied message, empty without one. An attribute may escape it."""
        token = copy.attributes.get("ClientToken", "")
        return client_token_in(copy.body) or token if "\\u" in token else token

    @cached_property
    def redelivered_after_copy(self) -> set[str]:
        """ClientTokens of messages that may have been redelivered after they were rejected or failed."""
        return self.copied & (self.disturbed | self.not_safe)

    @cached_property
    def moved_by_sqs(self) -> set[str]:
        """ClientTokens of messages that SQS moved to the dead-letter queue."""
        return {
            self._token_of(dead_letter) for dead_letter in self.all_dead_letters if dead_letter.source_queue
        } - {""}

    @cached_property
    def dead_letter_tokens(self) -> set[str]:
        """ClientTokens of the messages in both dead-letter queues, with or without an outcome."""
        return self._tokens_of(self.dead_letters, self.events_dead_letters)

    @cached_property
    def handled_dead_letters(self) -> set[str]:
        """ClientTokens of messages of which an operator has redriven or finalized a dead letter."""
        present = {id(dead_letter) for dead_letter in (*self.dead_letters, *self.events_dead_letters)}
        gone, gone_events = (
            [dead_letter for dead_letter in dead_letters if id(dead_letter) not in present]
            for dead_letters in (self.all_dead_letters, self.all_events_dead_letters)
        )
        return self._tokens_of(gone, gone_events)

    def _tokens_of(self, dead_letters: Sequence[Message], events: Sequence[Message]) -> set[str]:
        of_events = {
            self._by_source_id.get(_event_id(json.loads(dead_letter.body)), "") for dead_letter in events
        }
        return ({self._token_of(dead_letter) for dead_letter in dead_letters} | of_events) - {""}

    def _token_of(self, dead_letter: Message) -> str:
        if dead_letter.source_queue is None:
            return self.token_of_copy(dead_letter)
        return self._by_source_id.get(dead_letter.message_id) or client_token_in(dead_letter.body) or ""

    @cached_property
    def _by_source_id(self) -> Mapping[str, str]:
        return {i: token for token, message in self.accepted.items() for i in message.source_ids}


def _items(simulation: Simulation, chat: Chat, by_call: Mapping[str, tuple[int, int]]) -> Sequence[Item]:
    """Read a transcript. The ClientToken identifies a message; for an unknown one, its text does."""
    items = []
    for item in simulation.participant.service.messages(chat.contact_id):
        content = str(item.content)
        number, part = by_call.get(item.client_token or "", (0, 0))
        if not number and (found := NUMBER.search(content)):
            number = int(found[1])
        items.append(
            Item(
                number=number,
                part=part,
                id=item.id,
                absolute_time=item.absolute_time,
                content_type=item.content_type,
                content=content,
                client_token=item.client_token,
                participant_id=item.participant_id,
            )
        )
    return items


def _lines_of(item: Item, numbered: AbstractSet[int]) -> list[tuple[int, int]]:
    """Return the numbers of text and line in a message of a chat. A part is a line of a text without them."""
    if item.number in numbered:
        return [(int(number), int(line)) for number, line in LINE.findall(item.content)]
    return [(item.number, item.part)] if item.number else []


def _stored(simulation: Simulation) -> dict[str, Result]:
    """Return the results in the table, by ClientToken."""
    prefix = "client_token#"
    return {
        key.removeprefix(prefix): json.loads(item["Result"]["S"])
        for key, item in simulation.table.items.items()
        if key.startswith(prefix)
    }


def _event_id(body: dict[str, Any]) -> str:
    """Read the id of an event from a dead letter in either format."""
    return str(body.get("requestPayload", body)["id"])
