"""Checks the promise from the outside.

The checks read what a producer, a consumer of results and an operator can see: accepted messages,
transcripts, result events, queues, answers to callers, and all captured output. Two facts come from the
simulation: the messages that a fault hit between the function and their source, and the messages that a fault
of the service made impossible to send.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import fastjsonschema

from message_sender.request import client_token_of_part
from tests.simulation.models.clock import START
from tests.simulation.workload import (
    LINE,
    NUMBER,
    RETRYABLE_ERRORS,
    SECRET_WORD,
    Accepted,
    Route,
    client_token_in,
)
from tests.support.schemas import RESULT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.simulation.models.aws import WaitingTask
    from tests.simulation.models.sqs import Message
    from tests.simulation.simulation import Simulation

_valid_result: Final[Callable[[object], object]] = fastjsonschema.compile(RESULT_SCHEMA)
_TIMED_OUT: Final = "an invocation timed out without a fault"

Result = dict[str, Any]
Violations = list[str]


@dataclass(frozen=True)
class Wait:
    """A task and the messages that hold its token: ClientToken and source id of each."""

    task: WaitingTask
    messages: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Observations:
    """The state at the end of a run.

    Attributes:
        accepted: By ClientToken.
        transcripts: The numbers of the texts of each chat, in order, by contact id. Of a long text, its
            first part counts.
        lines: The numbers of text and line in each chat, in order. The line is 0 in a text of one part.
        positions: Of each message in the messages queue, by ClientToken, in the order in which the queue
            accepted them. An event that was enqueued for retry has one; each redrive adds one.
        published: Results on the bus, in order, then those in the unpublished-results queue.
        published_at: The moment at which each result was on the bus, or in that queue.
        rejected: Copies that are in the queue at the end. The same holds for the queues below.
        all_rejected: Copies that were ever in the queue. The same holds for the queues below.
        dead_letters_handled: Whether operators have handled all dead letters.
        waits: Tasks that waited for messages.
        disturbed: ClientTokens of messages that a fault hit between the function and their source.
        ended_by_fault: ClientTokens of messages that a fault of the service made impossible to send.
        timed_out: Invocations that timed out without a fault.
        not_published: ClientTokens of messages that were redelivered because their results were not safe.
        lost_results: Log lines about such results, those of synchronous callers included.
        maximum_age: The age at which messages expire, None if they do not expire by their age.
        stored: The results that the look-up finds, by ClientToken. None without the look-up.
        lost_lookups: ClientTokens of messages with a result that Lambda did not pass on to the look-up.
    """

    accepted: Mapping[str, Accepted]
    transcripts: Mapping[str, Sequence[int]]
    lines: Mapping[str, Sequence[tuple[int, int]]]
    positions: Mapping[str, Sequence[int]]
    published: Sequence[Result]
    published_at: Sequence[tuple[float, Result]]
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
    leaks: Sequence[str]
    timed_out: int
    not_published: frozenset[str]
    lost_results: int
    maximum_age: timedelta | None
    stored: Mapping[str, Result] | None
    lost_lookups: frozenset[str]

    @classmethod
    def of(cls, simulation: Simulation) -> Observations:
        producers, capture = simulation.producers, simulation.capture
        service = simulation.participant.service
        unpublished = [json.loads(entry.body) for entry in simulation.unpublished.messages]
        published = [
            *(detail for _, detail in simulation.bus.results),
            *(json.loads(entry["Detail"]) for entry in unpublished),
        ]
        kept = [
            (message.enqueued_at - START.timestamp(), json.loads(json.loads(message.body)["Detail"]))
            for message in simulation.unpublished.accepted.values()
        ]
        positions: dict[str, list[int]] = defaultdict(list)
        for message_id, message in simulation.messages.accepted.items():
            sent = producers.by_source_id.get(message_id)
            if (token := sent.client_token if sent else client_token_in(message.body)) is not None:
                positions[token].append(message.sequence)
        lines = {
            chat.contact_id: [
                line for item in service.messages(chat.contact_id) for line in _lines_of(str(item.content))
            ]
            for chat in producers.chats
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
        return cls(
            accepted=producers.accepted,
            transcripts={
                contact_id: [number for number, line in of_chat if line in {0, 1}]
                for contact_id, of_chat in lines.items()
            },
            lines=lines,
            positions=positions,
            published=published,
            published_at=[*simulation.bus.results, *kept],
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
                token
                for token in producers.accepted
                if any(of_call in simulation.injector.ended_by_fault for of_call in _tokens_of_calls(token))
            ),
            leaks=[
                *capture.leaks,
                *(text for result in published if capture.holds_secret(text := json.dumps(result))),
            ],
            timed_out=len(simulation.function.timed_out),
            not_published=frozenset(
                producers.by_source_id[i].client_token
                for i in capture.not_published & producers.by_source_id.keys()
            ),
            lost_results=capture.lines["Result not published"],
            maximum_age=None if age is None else timedelta(minutes=age),
            stored=_stored(simulation) if lookup else None,
            lost_lookups=frozenset(
                json.loads(message.body).get("requestPayload", {}).get("detail", {}).get("ClientToken")
                for message in simulation.lost_lookups.messages
            ),
        )

    @cached_property
    def results(self) -> Mapping[str, list[Result]]:
        """The results of each message, by ClientToken, in order."""
        results: dict[str, list[Result]] = defaultdict(list)
        for result in self.published:
            results[result["ClientToken"]].append(result)
        return results

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
    def copied(self) -> set[str]:
        """ClientTokens of messages that the function has copied, as rejected or failed."""
        return {
            copy.attributes.get("ClientToken", "")
            for copy in (*self.all_rejected, *self.all_dead_letters)
            if copy.source_queue is None
        }

    @cached_property
    def redelivered_after_copy(self) -> set[str]:
        """ClientTokens of messages that may have been redelivered after they were rejected or failed."""
        return self.copied & (self.disturbed | self.not_published)

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
            return dead_letter.attributes.get("ClientToken", "")
        return self._by_source_id.get(dead_letter.message_id) or client_token_in(dead_letter.body) or ""

    @cached_property
    def _by_source_id(self) -> Mapping[str, str]:
        return {i: token for token, message in self.accepted.items() for i in message.source_ids}


def _stored(simulation: Simulation) -> dict[str, Result]:
    """Return the results in the table, by ClientToken."""
    prefix = "client_token#"
    return {
        key.removeprefix(prefix): json.loads(item["Result"]["S"])
        for key, item in simulation.table.items.items()
        if key.startswith(prefix)
    }


def _lines_of(content: str) -> list[tuple[int, int]]:
    """Return the numbers of text and line in a message of a chat."""
    if lines := LINE.findall(content):
        return [(int(number), int(line)) for number, line in lines]
    return [(int(found[1]), 0)] if (found := NUMBER.search(content)) else []


def _tokens_of_calls(client_token: str) -> list[str]:
    """Return the ClientTokens of the calls for a message: its own, or those of its parts."""
    return [client_token, *(client_token_of_part(client_token, number) for number in range(1, 11))]


def _event_id(body: dict[str, Any]) -> str:
    """Read the id of an event from a dead letter in either format."""
    return str(body.get("requestPayload", body)["id"])


def every_message_has_an_outcome(seen: Observations) -> Violations:
    """Check that every message has an outcome, or is in a dead-letter queue with an alarm.

    After the operators have handled the dead letters, every message must have an outcome. Callers have theirs
    in the answer.
    """
    exempt = set() if seen.dead_letters_handled else seen.dead_letter_tokens
    return [
        f"message {message.number} ({message.route}) has no outcome and is in no queue"
        for token, message in seen.accepted.items()
        if not message.route.has_caller and seen.outcome(token) is None and token not in exempt
    ]


def kept_results_are_not_lost(seen: Observations) -> Violations:
    """Check that each unpublished result is still in its queue, or on the bus."""
    published = {json.dumps(result) for result in seen.published}
    lost = [result for _, result in seen.published_at if json.dumps(result) not in published]
    return [f"an unpublished result of {result['ClientToken']} is lost" for result in lost]


def outcomes_do_not_contradict(seen: Observations) -> Violations:
    """Check that a message accepted once has one outcome, unless a fault hit an acknowledgement.

    A redrive accepts a message once more.
    """
    outcomes: dict[tuple[str, str], set[str]] = defaultdict(set)
    for result in seen.published:
        outcomes[result["ClientToken"], result["SourceId"]].add(result["Outcome"])
    return [
        f"{source_id} has outcomes {', '.join(sorted(several))}"
        for (token, source_id), several in outcomes.items()
        if len(several) > 1 and token not in seen.disturbed | seen.handled_dead_letters
    ]


def outcomes_are_those_of_accepted_messages(seen: Observations) -> Violations:
    """Check that every result belongs to a message, by its ClientToken, and matches the schema."""
    return [
        f"a result has ClientToken {result['ClientToken']}, which no message has"
        for result in seen.published
        if result["ClientToken"] not in seen.accepted
    ] + [
        f"a result does not match its schema: {reason}"
        for result in seen.published
        if (reason := _schema(result))
    ]


def _schema(result: Result) -> str:
    try:
        _valid_result(result)
    except fastjsonschema.JsonSchemaValueException as error:
        return str(error.message)
    return ""


def outcomes_fit_the_messages(seen: Observations) -> Violations:
    """Check that invalid messages are rejected, and others only because of their chat, time or a fault."""
    return [
        f"message {message.number} ended as {code or 'SENT'}"
        for token, results in seen.results.items()
        if (message := seen.accepted.get(token))
        for code in {result["Error"] and result["Error"]["Code"] for result in results}
        if not (code == "Expired" and token in seen.expired_by_age)
        and code not in _codes(message, ended_by_fault=token in seen.ended_by_fault)
        and not (code == "DeadlineExceeded" and token in seen.handled_dead_letters)  # too old to send
    ]


def _codes(message: Accepted, *, ended_by_fault: bool) -> set[str | None]:
    """Return the error codes with which a message may end, None for SENT."""
    if message.code == "InvalidRequest":
        return {"InvalidRequest"}
    codes = {message.code, "Throttled", "ServiceUnavailable", "ConnectionFailed", "DeadlineExceeded"}
    if message.sealed:
        codes.add("KeyUnavailable")
    if message.chat.ended:
        codes.add("AccessDenied")
    if message.expires:
        codes.add("Expired")
    if ended_by_fault:
        codes |= {"ProcessingRejected", "UnexpectedResponse"}
    return codes


def sent_messages_appear_once(seen: Observations) -> Violations:
    """Check that a SENT message appears in its chat, and that no message appears twice or in another chat."""
    violations = []
    places: dict[int, list[str]] = defaultdict(list)
    for contact_id, numbers in seen.transcripts.items():
        for number in numbers:
            places[number].append(contact_id)
    for token, message in seen.accepted.items():
        at = places[message.number]
        if len(at) > 1 or any(contact_id != message.chat.contact_id for contact_id in at):
            violations.append(f"message {message.number} appears {len(at)} times, or in another chat")
        if seen.outcome(token) == "SENT" and not at:
            violations.append(f"message {message.number} is SENT and does not appear")
    return violations


def other_messages_do_not_appear(seen: Observations) -> Violations:
    """Check that only SENT messages appear, and those with MaybeDelivered.

    A caller that repeated its call is exempt: the message may have been sent by an earlier call.
    """
    appeared = {number for numbers in seen.transcripts.values() for number in numbers}
    return [
        f"message {message.number} ({message.route}) is {outcome} without MaybeDelivered, and appears"
        for token, message in seen.accepted.items()
        if message.number in appeared
        and (outcome := seen.outcome(token)) not in {"SENT", None}
        and not any(result["Error"]["MaybeDelivered"] for result in seen.results[token])
        and len(message.answers) < 2
    ]


def chats_keep_their_order(seen: Observations) -> Violations:
    """Check that SENT messages of a group appear in the order in which the queue accepted them.

    A message appears after all messages that ended before its first acceptance. Three kinds have more room:

    - A message that the queue accepted several times (repeated by its producer, redriven) may appear at any
      of its positions.
    - The message of an event may appear at the position where it was enqueued for retry, or earlier.
    - A message that was rejected or failed, and redelivered because a fault hit its acknowledgement, may be
      late.
    """
    chats: dict[str, list[tuple[int, float, Accepted]]] = defaultdict(list)
    for token, message in seen.accepted.items():
        if seen.outcome(token) == "SENT" and (positions := seen.positions.get(token)):
            first = positions[0] if message.route is Route.QUEUE else 0
            last = math.inf if token in seen.redelivered_after_copy else positions[-1]
            chats[message.chat.contact_id].append((first, last, message))
    violations = []
    for contact_id, messages in chats.items():
        transcript = {number: place for place, number in enumerate(seen.transcripts[contact_id])}
        appeared = [entry for entry in messages if entry[2].number in transcript]
        violations += [
            f"message {later.number} appears before message {earlier.number} in chat {later.chat.number}"
            for _, last, earlier in appeared
            for first, _, later in appeared
            if last < first and transcript[later.number] < transcript[earlier.number]
        ]
    return violations


def parts_are_whole_and_in_order(seen: Observations) -> Violations:
    """Check that the lines of a long text appear in order and once, and all of them if it is SENT.

    No other message of its queue is between them, unless it was accepted several times, or redelivered after
    it had failed.
    """
    by_number = {message.number: (token, message) for token, message in seen.accepted.items()}
    violations = []
    for chat in seen.lines.values():
        ordered = [
            number
            for number, _ in chat
            if (entry := by_number.get(number)) is not None and _keeps_order(seen, *entry)
        ]
        for number in dict.fromkeys(number for number, _ in chat):
            token, message = by_number[number]
            lines = [line for other, line in chat if other == number]
            is_sent = message.lines > 0 and seen.outcome(token) == "SENT"
            if message.lines and lines != list(range(1, len(lines) + 1)):
                violations.append(f"the lines of message {number} appear as {lines}")
            elif is_sent and len(lines) != message.lines:
                violations.append(f"message {number} is SENT with {len(lines)} of {message.lines} lines")
            if (
                number in ordered
                and len(list(filter(number.__eq__, map(itemgetter(0), groupby(ordered))))) > 1
            ):
                violations.append(f"another message is between the parts of message {number}")
    return violations


def _keeps_order(seen: Observations, token: str, message: Accepted) -> bool:
    return (
        message.route is Route.QUEUE
        and seen.outcome(token) == "SENT"
        and len(seen.positions.get(token, ())) == 1
        and token not in seen.redelivered_after_copy
    )


def parts_delivered_are_reported(seen: Observations) -> Violations:
    """Check that a message with PartsDelivered is in its chat, has MaybeDelivered, and did not expire."""
    appeared = {number for chat in seen.lines.values() for number, _ in chat}
    expired = [
        f"message {seen.accepted[result['ClientToken']].number} expired between two parts"
        for result in seen.published
        if result["ClientToken"] in seen.accepted
        and result["Error"]
        and result["Error"]["Code"] == "Expired"
        and result["Error"].get("PartsDelivered")
    ]
    return expired + [
        f"message {seen.accepted[token].number} has PartsDelivered, and its chat has none"
        for token, results in seen.results.items()
        if token in seen.accepted
        and any(
            result["Error"]
            and result["Error"].get("PartsDelivered")
            and not (result["Error"]["MaybeDelivered"] and seen.accepted[token].number in appeared)
            for result in results
        )
    ]


def rejected_messages_are_copied(seen: Observations) -> Violations:
    """Check that the rejected queue holds every REJECTED message, and no other."""
    wanted = _with_outcome(seen, "REJECTED")
    return _compare(seen, seen.rejected, wanted, wanted, "the rejected queue")


def failed_messages_are_dead_letters(seen: Observations) -> Violations:
    """Check that the dead-letter queue holds every FAILED message, and otherwise only what SQS moved.

    A message that ended in another way after a redrive is exempt.
    """
    copies = [dead_letter for dead_letter in seen.dead_letters if dead_letter.source_queue is None]
    failed = _with_outcome(seen, "FAILED")
    elsewhere = {token for token in seen.handled_dead_letters if seen.last_outcome(token) != "FAILED"}
    return _compare(seen, copies, failed - elsewhere, failed, "the dead-letter queue")


def _with_outcome(seen: Observations, outcome: str) -> set[str]:
    """Return the messages of queue and bus for which an outcome was published, final or not."""
    return {
        token
        for token, results in seen.results.items()
        if token in seen.accepted
        and not seen.accepted[token].route.has_caller
        and any(result["Outcome"] == outcome for result in results)
    }


def _compare(
    seen: Observations, copies: Sequence[Message], wanted: set[str], allowed: set[str], where: str
) -> Violations:
    """Compare copies with outcomes. A copy without its outcome needs a later fault."""
    present = {copy.attributes.get("ClientToken", "") for copy in copies}
    unexpected = present - allowed - seen.disturbed
    unexpected -= seen.not_published  # redelivered: the service may accept it the next time
    return [f"{token} is not in {where}" for token in sorted(wanted - present)] + [
        f"{token} is in {where} without a reason" for token in sorted(unexpected)
    ]


def copies_carry_the_client_token(seen: Observations) -> Violations:
    """Check that the body of each copy holds the ClientToken, if it is an object: a redrive needs it."""
    copies = [
        *seen.rejected,
        *(dead_letter for dead_letter in seen.dead_letters if dead_letter.source_queue is None),
    ]
    return [
        f"the body of a copy has no ClientToken: {copy.attributes.get('SourceId')}"
        for copy in copies
        if _is_object(copy.body) and client_token_in(copy.body) is None
    ]


def _is_object(body: str) -> bool:
    """Return whether a body is an object without repeated fields, and with no ClientToken of a wrong type."""
    try:
        fields = json.loads(body, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return False
    if not isinstance(fields, list) or not all(isinstance(field, tuple) for field in fields):
        return False
    names = Counter(name for name, _ in fields)
    return max(names.values(), default=1) == 1 and isinstance(dict(fields).get("ClientToken", ""), str)


def nothing_is_left(seen: Observations) -> Violations:
    """Check that no messages and no unpublished results are left, and after the operators no dead letters."""
    without_outcome = [
        *(dead_letter for dead_letter in seen.dead_letters if dead_letter.source_queue is not None),
        *seen.events_dead_letters,
    ]
    left = {"messages": seen.messages, "results": seen.unpublished}
    if seen.dead_letters_handled:
        left |= {"dead letters": without_outcome}
    return [f"{len(messages)} {what} are left" for what, messages in left.items() if messages]


def sqs_moves_only_messages_that_kill_the_function(seen: Observations) -> Violations:
    """Check that SQS itself moves only messages with which every invocation dies."""
    return [
        f"message {seen.accepted[token].number if token in seen.accepted else token} was moved by SQS itself"
        for token in seen.moved_by_sqs - seen.disturbed
    ]


def tasks_are_answered(seen: Observations) -> Violations:
    """Check that the task of a message with an outcome is answered before it times out.

    Exempt are tasks of which faults hit both callbacks, and messages that a fault hit after their result.
    """
    published: dict[tuple[str, str], float] = {}
    for at, result in seen.published_at:
        key = result["ClientToken"], result["SourceId"]
        published[key] = min(at, published.get(key, math.inf))
    return [
        f"a task timed out waiting for message {seen.accepted[token].number}"
        for wait in seen.waits
        for token, source_id in wait.messages
        if wait.task.timed_out_at is not None
        and published.get((token, source_id), math.inf) + _ANSWER_SECONDS < wait.task.timed_out_at
        and wait.task.calls_lost < _ANSWER_ATTEMPTS
        and token not in seen.disturbed
    ]


_ANSWER_SECONDS: Final = 10.0
"""The most that a task waits after the result of its message was published."""
_ANSWER_ATTEMPTS: Final = 2


def tasks_are_answered_with_the_published_result(seen: Observations) -> Violations:
    """Check that no task is answered before its result is safe, and none with another result."""
    results: dict[str, list[tuple[float, Result]]] = defaultdict(list)
    for at, result in seen.published_at:
        results[result["ClientToken"]].append((at, result))
    return [
        f"the task of message {seen.accepted[wait.messages[0][0]].number} got an unpublished answer"
        for wait in seen.waits
        if wait.task.answer is not None
        and not any(
            at <= wait.task.answered_at and _answer_of(result) == _read_answer(*wait.task.answer)
            for token, _ in wait.messages
            for at, result in results[token]
        )
    ]


def _answer_of(result: Result) -> object:
    """Return the callback for a result: the result itself, or the error of a direct invocation."""
    error = result["Error"]
    return (f"{error['Code']}Error", error["Reason"]) if error else result


def _read_answer(operation: str, parameters: Mapping[str, str]) -> object:
    if operation == "SendTaskSuccess":
        return json.loads(parameters["output"])
    return parameters["error"], parameters["cause"]


def callers_are_answered(seen: Observations) -> Violations:
    """Check that callers get an outcome or a documented error, and that a SENT message is in the chat."""
    appeared = {number for numbers in seen.transcripts.values() for number in numbers}
    violations = []
    for message in seen.accepted.values():
        if not message.route.has_caller:
            continue
        last = message.answers[-1] if message.answers else "nothing"
        known = RETRYABLE_ERRORS | _REJECTIONS | {"SENT", None}
        if last not in known:
            violations.append(f"the caller of message {message.number} got {last}")
        if "SENT" in message.answers and message.number not in appeared:
            violations.append(f"the caller of message {message.number} got SENT, and it does not appear")
    without_result = sum(
        bool(message.answers) and message.answers[-1] in _REJECTIONS and token not in seen.results
        for token, message in seen.accepted.items()
    )
    if without_result > seen.lost_results:  # a caller gets its answer even if publishing fails
        violations.append(f"{without_result} callers got a rejection without a result")
    return violations


_REJECTIONS: Final = frozenset(
    f"{name}Error"
    for name in (
        "InvalidRequest",
        "TokenUnreadable",
        "ServiceValidation",
        "AccessDenied",
        "Expired",
        "ProcessingRejected",
        "UnexpectedResponse",
    )
)


def best_outcomes_are_stored(seen: Observations) -> Violations:
    """Check that the look-up finds the best result of each message: SENT, else the latest one."""
    if seen.stored is None:
        return []
    return [
        f"the look-up does not find the best result of {token}"
        for token, results in seen.results.items()
        if token not in seen.lost_lookups
        and (token not in seen.stored or _rank(seen.stored[token]) != max(map(_rank, results)))
    ]


def _rank(result: Result) -> tuple[bool, str]:
    return result["Outcome"] == "SENT", result["CompletedAt"]


def no_secret_is_written(seen: Observations) -> Violations:
    """Check that no token and no text is in any log line, metric, error or result."""
    return [f"a secret in: {_masked(leak)}" for leak in seen.leaks]


def _masked(text: str) -> str:
    return re.sub(rf"{SECRET_WORD}\d+.*", "…", text)[:60]


def no_invocation_times_out(seen: Observations) -> Violations:
    """Check that the function starts nothing that cannot end before the deadline."""
    return [_TIMED_OUT] * seen.timed_out


CHECKS: Final[Mapping[str, Callable[[Observations], Violations]]] = {
    "an outcome": every_message_has_an_outcome,
    "unpublished results": kept_results_are_not_lost,
    "one outcome": outcomes_do_not_contradict,
    "results": outcomes_are_those_of_accepted_messages,
    "fitting outcomes": outcomes_fit_the_messages,
    "once": sent_messages_appear_once,
    "only sent messages": other_messages_do_not_appear,
    "order": chats_keep_their_order,
    "parts": parts_are_whole_and_in_order,
    "parts delivered": parts_delivered_are_reported,
    "rejected": rejected_messages_are_copied,
    "dead letters": failed_messages_are_dead_letters,
    "copies": copies_carry_the_client_token,
    "empty queue": nothing_is_left,
    "moved by SQS": sqs_moves_only_messages_that_kill_the_function,
    "answers": callers_are_answered,
    "tasks": tasks_are_answered,
    "task results": tasks_are_answered_with_the_published_result,
    "lookup": best_outcomes_are_stored,
    "secrets": no_secret_is_written,
    "deadline": no_invocation_times_out,
}
"""The checks, by their names in the report."""


def violations(seen: Observations) -> dict[str, Violations]:
    """Return the violations by check, without the checks that found none."""
    return {name: found for name, check in CHECKS.items() if (found := check(seen))}
