"""Checks the promise from the outside.

The checks read what a producer, a consumer of results and an operator can see: accepted messages,
transcripts, result events, queues, answers to callers, and all captured output. They know the documents
(`contract`), and nothing of the function's code. `observations` has the facts that come from the simulation.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from datetime import datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import fastjsonschema
import regex

from tests.simulation.accepted import SECRET_WORD, Route, client_token_in
from tests.simulation.contract import (
    CLOCK_TOLERANCE,
    CODES,
    DETAIL_TYPES,
    EVENT_SOURCES,
    MOST_ATTEMPTS,
    MOST_BYTES,
    MOST_CHARACTERS,
    MOST_PARTS,
    REJECTED_ERRORS,
    RESULT_SOURCE,
    RETRYABLE_ERRORS,
    WITHOUT_A_CALL,
    client_tokens_of,
    fits,
    valid_result,
)
from tests.simulation.models.clock import START
from tests.simulation.observations import Observations, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.simulation.accepted import Accepted, Reply, Sending
    from tests.simulation.models.sqs import Message
from tests.simulation.observations import Item

__all__ = ["CHECKS", "Observations", "Violations", "violations"]

_TIMED_OUT: Final = "an invocation timed out without a fault"

Violations = list[str]


def every_message_has_an_outcome(seen: Observations) -> Violations:
    """Check that every message has an outcome, or is in a dead-letter queue with an alarm.

    After the operators have handled the dead letters, every message must have an outcome. Callers have theirs
    in the answer.
    """
    exempt = set() if seen.dead_letters_handled else seen.dead_letter_tokens
    return [
        f"message {message.number} ({message.route}) has no outcome and is in no queue"
        for token, message in seen.accepted.items()
        if message.awaited_outcome and seen.outcome(token) is None and token not in exempt
    ]


def kept_results_are_not_lost(seen: Observations) -> Violations:
    """Check that each unpublished result is still in its queue, or on the bus."""
    published = {json.dumps(result) for result in seen.published}
    lost = [result for _, result in seen.published_at if json.dumps(result) not in published]
    return [f"an unpublished result of {result['ClientToken']} is lost" for result in lost]


def outcomes_do_not_contradict(seen: Observations) -> Violations:
    """Check that a message accepted once has one outcome, unless a fault hit an acknowledgement.

    EventBridge can accept a result without a response, and a redrive accepts a message once more.
    """
    outcomes: dict[tuple[str, str], set[str]] = defaultdict(set)
    for result in seen.published:
        outcomes[result["ClientToken"], result["SourceId"]].add(result["Outcome"])
    return [
        f"{source_id} has outcomes {', '.join(sorted(several))}"
        for (token, source_id), several in outcomes.items()
        if len(several) > 1 and token not in seen.disturbed | seen.handled_dead_letters | seen.not_safe
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
        valid_result(result)
    except fastjsonschema.JsonSchemaValueException as error:
        return str(error.message)
    return ""


def outcomes_fit_the_messages(seen: Observations) -> Violations:
    """Check that invalid messages are rejected, and others only because of their chat, time or a fault."""
    return [
        f"message {message.number} ended as {code or 'SENT'}"
        for token, results in seen.results.items()
        if (message := seen.accepted.get(token))
        for code in {
            _code(result)
            for result in results
            if not (_code(result) == "AccessDenied" and _may_have_outlived_its_token(result))
        }
        if not (code == "Expired" and token in seen.expired_by_age)
        and code not in _codes(message, ended_by_fault=token in seen.ended_by_fault)
        and not (code == "DeadlineExceeded" and token in seen.handled_dead_letters)  # too old to send
    ]


def _code(result: Result) -> str | None:
    return None if result["Error"] is None else str(result["Error"]["Code"])


def _may_have_outlived_its_token(result: Result) -> bool:
    """Return whether a result is so late that the chat's token, which lives a day, can have expired."""
    return _epoch(result["CompletedAt"]) > _START + _LIFE_OF_A_TOKEN


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
        and len(message.answers) < (1 if message.awaited_outcome else 2)
    ]


def chats_keep_their_order(seen: Observations) -> Violations:
    """Check that SENT messages of a group appear in the order in which the queue accepted them.

    A message appears after all messages that ended before its first acceptance. Three kinds have more room:

    - A message that the queue accepted several times (repeated by its producer, redriven) may appear at any
      of its positions.
    - The message of an event may appear at the position where it was enqueued for retry, or earlier. If its
      producer repeats the event, it may also be late.
    - A message that was rejected or failed, and redelivered because a fault hit its acknowledgement, may be
      late.
    """
    groups: dict[tuple[str, str | None], list[tuple[int, float, Accepted]]] = defaultdict(list)
    for token, message in seen.accepted.items():
        if seen.outcome(token) == "SENT" and (positions := seen.positions.get(token)):
            first = positions[0] if message.keeps_order else 0
            may_be_late = token in seen.redelivered_after_copy or (
                not message.keeps_order and len(message.sendings) > 1
            )
            last = math.inf if may_be_late else positions[-1]
            groups[_group(message)].append((first, last, message))
    violations = []
    for (contact_id, _), messages in groups.items():
        transcript = {number: place for place, number in enumerate(seen.transcripts[contact_id])}
        appeared = [entry for entry in messages if entry[2].number in transcript]
        violations += [
            f"message {later.number} appears before message {earlier.number} in chat {later.chat.number}"
            for _, last, earlier in appeared
            for first, _, later in appeared
            if last < first and transcript[later.number] < transcript[earlier.number]
        ]
    return violations + [
        f"message {message.number} appears before message {message.follows.number}, which was SENT"
        for message in seen.accepted.values()
        if message.follows is not None
        and message.number in (numbers := seen.transcripts[message.chat.contact_id])
        and message.follows.number in numbers
        and numbers.index(message.number) < numbers.index(message.follows.number)
    ]


def _group(message: Accepted) -> tuple[str, str | None]:
    """Return the chat and the message group of a message. An event that is enqueued has its ContactId's."""
    sending = next(iter(message.sendings.values()))
    return message.chat.contact_id, sending.group or (sending.request or {}).get("ContactId")


def parts_are_whole_and_in_order(seen: Observations) -> Violations:
    """Check that the lines of a long text appear in order and once, and all of them if it is SENT.

    No other message of its queue is between them, unless it was accepted several times, or redelivered after
    it had failed.
    """
    by_number = seen.by_number
    violations = []
    for chat in seen.lines.values():
        # Of each message group: the number of each line in turn
        turns: dict[object, list[int]] = defaultdict(list)
        lines_of: dict[int, list[int]] = defaultdict(list)
        for number, line in chat:
            lines_of[number].append(line)
            if _keeps_order(seen, *by_number[number]):
                turns[_group(by_number[number][1])].append(number)
        for number, lines in lines_of.items():
            token, message = by_number[number]
            is_sent = message.lines > 0 and seen.outcome(token) == "SENT"
            if max(lines) > 0 and lines != list(range(1, len(lines) + 1)):
                violations.append(f"the lines of message {number} appear as {lines}")
            elif is_sent and len(lines) != message.lines:
                violations.append(f"message {number} is SENT with {len(lines)} of {message.lines} lines")
        for numbers in turns.values():
            several = Counter(number for number, _ in groupby(numbers))
            violations += [
                f"another message is between the parts of message {number}"
                for number, times in several.items()
                if times > 1
            ]
    return violations


def _keeps_order(seen: Observations, token: str, message: Accepted) -> bool:
    return (
        message.keeps_order
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
        and any(
            result["Outcome"] == outcome and result["EventSource"] in _COPIED_SOURCES for result in results
        )
    }


_COPIED_SOURCES: Final = frozenset({"sqs", "eventbridge"})


def _compare(
    seen: Observations, copies: Sequence[Message], wanted: set[str], allowed: set[str], where: str
) -> Violations:
    """Compare copies with outcomes. A copy without its outcome needs a later fault."""
    present = {seen.token_of_copy(copy) for copy in copies}
    unexpected = present - allowed - seen.disturbed
    unexpected -= seen.not_safe  # redelivered: the service may accept it the next time
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
    if len(body) > MOST_CHARACTERS:  # the function does not read it
        return False
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

    Exempt are tasks of which faults hit both callbacks, and messages that a fault hit after their result. So
    are results that the bus accepted without a response: the function must take them for unpublished.
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
        and token not in seen.disturbed | seen.not_safe
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
        known = RETRYABLE_ERRORS | REJECTED_ERRORS | {"SENT", None}
        if last not in known:
            violations.append(f"the caller of message {message.number} got {last}")
        if "SENT" in message.answers and message.number not in appeared:
            violations.append(f"the caller of message {message.number} got SENT, and it does not appear")
    without_result = sum(
        bool(message.answers) and message.answers[-1] in REJECTED_ERRORS and token not in seen.results
        for token, message in seen.accepted.items()
    )
    if without_result > seen.lost_results:  # a caller gets its answer even if publishing fails
        violations.append(f"{without_result} callers got a rejection without a result")
    return violations


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


def texts_are_unchanged(seen: Observations) -> Violations:
    """Check each message of a chat: text, content type and participant are those that its producer chose.

    The parts of a long text are the text, but for white space between them. Each has the length that the
    producer allows, and begins and ends at a grapheme, and at a word if it has several.
    """
    violations = []
    for contact_id, items in seen.items.items():
        owner = seen.chats[contact_id].participant_id
        parts: dict[int, list[Item]] = defaultdict(list)
        for item in items:
            _, message = seen.by_number.get(item.number, ("", None))
            request = message.request if message is not None else None
            if message is None or request is None:
                violations.append(f"chat {seen.chats[contact_id].number} has a message that nobody sent")
                continue
            if item.content_type != request["ContentType"] or item.participant_id != owner:
                violations.append(f"message {item.number} has another content type or participant")
            if item.part:
                parts[item.number].append(item)
            elif item.content != request["Content"]:
                violations.append(f"message {item.number} appears with another text")
        for number, found in parts.items():
            token, message = seen.by_number[number]
            is_sent = seen.outcome(token) == "SENT"
            texts = [item.content for item in sorted(found, key=lambda item: item.part)]
            wrong = wrong_cut(texts, (message.request or {})["Content"], message.split_at or 0, whole=is_sent)
            violations += [f"message {number}: {wrong}"] if wrong else []
    return violations


_SENTENCE: Final = re.compile(r"[。！？｡．][\"')}»”’」』）】*_]*$")
"""The end of a sentence after which a text may have no white space."""
_SPACE: Final = re.compile(r"\S[ \t\n\r]+\S")
_GRAPHEME: Final = regex.compile(r"\X")


def wrong_cut(texts: Sequence[str], content: str, split_at: int, *, whole: bool) -> str | None:
    """Return what is wrong with the parts of a text, None if nothing is.

    Args:
        whole: Whether these are all parts, and not only the first ones.
    """
    place = 0
    for number, text in enumerate(texts):
        start = content.find(text, place)
        between = content[place:start]
        if start < 0 or between.strip():
            return "the parts are not the text"
        if len(text) > split_at or len(text.encode()) > MOST_BYTES:
            return "a part is too long"
        if place and not between and _is_inside(content, place, texts[number - 1]):
            return "a cut is inside a word or a grapheme"
        place = start + len(text)
    if whole and content[place:].strip():
        return "the parts are not the whole text"
    return "a text has too many parts" if len(texts) > MOST_PARTS else None


def _is_inside(content: str, place: int, part: str) -> bool:
    """Return whether a place is inside a grapheme, or inside a word after a part of several words."""
    before, after = content[max(0, place - _CONTEXT) : place], content[place : place + _CONTEXT]
    if len(_GRAPHEME.findall(before + after)) < sum(len(_GRAPHEME.findall(text)) for text in (before, after)):
        return True
    is_pause = before[-1].isspace() or after[0].isspace() or _SENTENCE.search(before)
    return not is_pause and _SPACE.search(part) is not None


_CONTEXT: Final = 40
"""Characters that decide whether a place is inside a grapheme."""


def calls_carry_the_client_token(seen: Observations) -> Violations:
    """Check that each call was made for a message, under its own ClientToken, and none for an invalid one."""
    unknown = seen.calls.keys() - seen.owners.keys()
    return [f"{len(unknown)} ClientTokens of calls belong to no message"] * bool(unknown) + [
        f"message {message.number} ({message.code}) was sent"
        for token, message in seen.accepted.items()
        if message.code in WITHOUT_A_CALL and seen.calls.get(token)
    ]


def results_repeat_the_request(seen: Observations) -> Violations:
    """Check that the fields of a result are those of its message: request, source, times and counts."""
    violations = [
        f"a result with {result['Outcome']} was published as {source}, {detail_type}"
        for source, detail_type, result in seen.envelopes
        if (source, detail_type) != (RESULT_SOURCE, DETAIL_TYPES[result["Outcome"]])
    ]
    for result in seen.published:
        if (message := seen.accepted.get(result["ClientToken"])) is not None:
            violations += [
                f"message {message.number} has a result with another {field}"
                for field in _wrong_fields(seen, message, result)
            ]
    return violations + [
        f"a result was published before it was complete: {result['SourceId']}"
        for at, result in seen.published_at
        if _epoch(result["CompletedAt"]) > _START + at + _ROUNDING
    ]


def _wrong_fields(seen: Observations, message: Accepted, result: Result) -> Iterator[str]:
    sending = message.sendings.get(result["SourceId"])
    if sending is None:
        yield "SourceId"
        return
    if result["EventSource"] != EVENT_SOURCES[sending.route]:
        yield "EventSource"
    yield from (name for name in ("ContactId", "ContentType") if not _repeats(message, sending, result, name))
    if not _repeats(message, sending, result, "Metadata", absent={}):
        yield "Metadata"
    accepted, completed = _epoch(result["AcceptedAt"]), _epoch(result["CompletedAt"])
    if accepted > completed or not _is_accepted_at(seen, result, sending, accepted):
        yield "AcceptedAt"
    if completed < sending.at.timestamp() - _ROUNDING:
        yield "CompletedAt"
    yield from _wrong_outcome(result)
    is_only_position = len(seen.positions.get(message.client_token, ())) == 1
    most = (
        1 if sending.route.has_caller else seen.receives.get(result["SourceId"]) if is_only_position else None
    )
    if most is not None and result["ReceiveCount"] > most:
        yield "ReceiveCount"


def _wrong_outcome(result: Result) -> Iterator[str]:
    """Name what contradicts the outcome of a result."""
    is_sent, error = result["Outcome"] == "SENT", result["Error"]
    if is_sent != (error is None) or is_sent != (result["Message"] is not None):
        yield "Outcome"
    if error is not None and CODES[error["Code"]].outcome != result["Outcome"]:
        yield "Outcome"
    if error is not None and not fits(error["Code"], error["HttpStatus"]):
        yield f"HttpStatus ({error['Code']}, {error['HttpStatus']})"


def _repeats(
    message: Accepted, sending: Sending, result: Result, name: str, *, absent: object = None
) -> bool:
    """Return whether a result repeats a field. Of an invalid request, it repeats only the valid fields."""
    if sending.request is None:
        return True
    given = sending.request.get(name, absent)
    return bool(result[name] == given or (message.code == "InvalidRequest" and result[name] == absent))


def _is_accepted_at(seen: Observations, result: Result, sending: Sending, accepted: float) -> bool:
    """Return whether AcceptedAt is when a service first accepted the message.

    The producer of an event can date it. SQS forgets when it accepted a message that it moved.
    """
    at = sending.at.timestamp()
    if sending.dated is not None:
        dated = sending.dated.timestamp()
        return abs(accepted - dated) < _ROUNDING or at - _ROUNDING <= accepted < dated
    if sending.route.has_caller:
        return accepted >= at - _ROUNDING
    return abs(accepted - at) < _ROUNDING or (result["ClientToken"] in seen.moved_by_sqs and accepted > at)


_ROUNDING: Final = 0.0015
"""Seconds. Times have milliseconds."""
_START: Final = START.timestamp()
_LIFE_OF_A_TOKEN: Final = 86_400.0


def _epoch(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()


def sent_results_are_those_of_the_transcript(seen: Observations) -> Violations:
    """Check that a SENT result has the ids and times of the transcript, in all its parts."""
    items = {item.id: item for chat in seen.items.values() for item in chat}
    violations = []
    for result in seen.published:
        message = seen.accepted.get(result["ClientToken"])
        if message is not None and result["Message"] is not None:
            violations += [
                f"message {message.number} is SENT with {wrong}"
                for wrong in _wrong_message(message, result["Message"], items)
            ]
    return violations


def _wrong_message(message: Accepted, answer: Mapping[str, Any], items: Mapping[str, Item]) -> Iterator[str]:
    parts = answer.get("Parts", [])
    if (message.split_at is not None) != bool(parts):
        yield "Parts without SplitAt, or none"
    if parts and {key: answer[key] for key in ("Id", "AbsoluteTime")} != parts[-1]:
        yield "another id or time than the last part"
    for number, part in enumerate(parts or [answer], start=1):
        item = items.get(part["Id"])
        if item is None or item.number != message.number:
            yield "an id that is not in its chat"
        elif item.part != number and (item.part or len(parts) > 1):
            yield "the id of another part"
        elif item.absolute_time != part["AbsoluteTime"]:
            yield "another time"


def attempts_are_counted(seen: Observations) -> Violations:
    """Check that Attempts are at least the calls that reached the service, and at most three for each part.

    Only a message that one invocation has handled can be compared with the calls.
    """
    violations = []
    for token, results in seen.results.items():
        if (message := seen.accepted.get(token)) is None:
            continue
        parts = MOST_PARTS if message.split_at is not None else 1
        calls = sum(seen.calls.get(call, 0) for call in client_tokens_of(token, is_split=parts > 1))
        [result, *others] = results
        once = (
            not others
            and result["ReceiveCount"] == 1
            and len(message.sendings) == 1
            and len(seen.positions.get(token, ())) <= (1 if message.route is Route.QUEUE else 0)
            and token not in seen.disturbed
        )
        violations += [
            f"message {message.number} has {each['Attempts']} attempts, and {calls} calls"
            for each in results
            if each["Attempts"] > MOST_ATTEMPTS * parts
            or (once and each["Attempts"] < calls)
            or (each["Outcome"] == "SENT" and each["Attempts"] < len(each["Message"].get("Parts", "1")))
            or (each["Error"] and each["Error"]["Code"] in WITHOUT_A_CALL and each["Attempts"])
        ]
    return violations


def doubts_are_reported(seen: Observations) -> Violations:
    """Check MaybeDelivered: true in the cases of `promise.md`, and false where nobody can have sent it."""
    violations = []
    for token, results in seen.results.items():
        if (message := seen.accepted.get(token)) is None:
            continue
        for result in results:
            if (error := result["Error"]) is None or message.sendings.get(result["SourceId"]) is None:
                continue
            doubt = _is_doubtful(seen, message, result)
            if doubt is not None and doubt != error["MaybeDelivered"]:
                violations.append(
                    f"message {message.number} ({error['Code']}) has MaybeDelivered {error['MaybeDelivered']}"
                )
    return violations


def _is_doubtful(seen: Observations, message: Accepted, result: Result) -> bool | None:
    """Return what MaybeDelivered must be, None if the documents leave it open."""
    error, sending = result["Error"], message.sendings[result["SourceId"]]
    if error["Code"] == "InvalidRequest":
        return False
    repeated = seen.disturbed | seen.handled_dead_letters
    has_one_delivery = len(message.source_ids) == 1 and message.client_token not in repeated
    has_waited = result["EventSource"] == "eventbridge" and bool(seen.positions.get(message.client_token))
    if (
        error["Code"] == "ServiceUnavailable"
        or error.get("PartsDelivered")
        or (result["EventSource"] == "sqs" and result["ReceiveCount"] > 1)
        or (has_waited and has_one_delivery)
    ):
        return True
    if sending.dated is not None:
        early = sending.dated.timestamp() - _epoch(result["CompletedAt"])
        late = sending.at.timestamp() - sending.dated.timestamp()
        return True if early > _ROUNDING or late > _FIRST_ATTEMPT else None
    age = _epoch(result["CompletedAt"]) - _epoch(result["AcceptedAt"])
    if result["EventSource"] == "eventbridge" and age >= _FIRST_ATTEMPT:
        return True if age > _FIRST_ATTEMPT + _ONE_INVOCATION else None
    token = message.client_token
    is_only_receive = sending.route.has_caller or (
        len(seen.positions[token]) == 1 and token not in seen.handled_dead_letters
    )
    tried = result["Attempts"] > 0 and not (result["Attempts"] == 1 and error["Code"] in _CERTAIN)
    return False if is_only_receive and not has_waited and not tried else None


_CERTAIN: Final = frozenset({"Throttled", "ServiceValidation", "AccessDenied"})
"""Answers 429, 400 and 403: the service did not accept the message."""
_FIRST_ATTEMPT: Final = 10.0
"""Seconds. An older event may have had an attempt before."""
_ONE_INVOCATION: Final = 30.0
"""The most seconds from the moment at which an age is read to its result."""


def messages_expire_in_time(seen: Observations) -> Violations:
    """Check that no message is sent after its ExpiresAt, and that none expires before it.

    Of a long text, only the first part counts: the others follow in any case.
    """
    latest = CLOCK_TOLERANCE + _ONE_CALL + (_LATEST_ARRIVAL if seen.late_calls else 0.0)
    late = [
        f"message {message.number} was sent {seconds:.0f} s after its ExpiresAt"
        for chat in seen.items.values()
        for item in chat
        if item.part <= 1 and item.number in seen.by_number
        for message in [seen.by_number[item.number][1]]
        if (until := _expires_at(message)) is not None
        and (seconds := (item.at - until).total_seconds()) > latest
    ]
    return late + [
        f"message {message.number} expired before its ExpiresAt"
        for token, results in seen.results.items()
        if (message := seen.accepted.get(token)) is not None and token not in seen.expired_by_age
        for result in results
        if result["Error"] and result["Error"]["Code"] == "Expired" and result["SourceId"] in message.sendings
        if (expires_at := message.sendings[result["SourceId"]].expires_at) is None
        or _epoch(result["CompletedAt"]) < expires_at.timestamp()
    ]


def _expires_at(message: Accepted) -> datetime | None:
    """Return the latest ExpiresAt of a message, None if it may be sent at any time."""
    times = [sending.expires_at for sending in message.sendings.values()]
    return max((time for time in times if time is not None), default=None) if None not in times else None


_ONE_CALL: Final = 6.0
"""Seconds: until a call that was made in time has reached the service."""
_LATEST_ARRIVAL: Final = 40.0
"""Seconds by which a fault of the network delays a call."""


def copies_hold_the_request(seen: Observations) -> Violations:
    """Check that a copy has the text of its request, the ClientToken, and the attributes of its result.

    An earlier copy of the same sending may be of an invocation that did not see that SQS had accepted it.
    """
    latest = {(copy.attributes["SourceId"], copy.attributes["Code"]): id(copy) for copy in seen.copies}
    last = set(latest.values())
    return [
        f"the copy of message {message.number} has another {wrong}"
        for copy in seen.copies
        if (message := seen.accepted.get(seen.token_of_copy(copy))) is not None
        for wrong in _wrong_copy(seen, message, copy, is_last=id(copy) in last)
    ]


def _wrong_copy(seen: Observations, message: Accepted, copy: Message, *, is_last: bool) -> Iterator[str]:
    attributes = copy.attributes
    sending = message.sendings.get(attributes["SourceId"])
    if sending is None or attributes["EventSource"] != EVENT_SOURCES[sending.route]:
        yield "source"
        return
    if not _is_the_request(copy.body, sending, message.client_token):
        yield "body"
    if sending.group is not None and attributes.get("MessageGroupId") != sending.group:
        yield "MessageGroupId"
    if not _is_accepted_at(
        seen, {"ClientToken": message.client_token}, sending, _epoch(attributes["AcceptedAt"])
    ):
        yield "AcceptedAt"
    code = CODES.get(attributes["Code"])
    if code is None or (code.outcome == "FAILED") != (copy.group is not None):  # only one queue is FIFO
        yield "Code"
    errors = [
        result["Error"]
        for result in seen.results.get(message.client_token, ())
        if result["Error"]
        and (result["Error"]["Code"], result["SourceId"]) == (attributes["Code"], attributes["SourceId"])
    ]
    copied_again = message.client_token in seen.redelivered_after_copy
    found = attributes["MaybeDelivered"], attributes.get("PartsDelivered")
    if is_last and errors and found not in map(_doubt, errors) and not copied_again:
        yield "MaybeDelivered or PartsDelivered"


def _doubt(error: Mapping[str, Any]) -> tuple[str, str | None]:
    return str(error["MaybeDelivered"]).lower(), str(error.get("PartsDelivered") or "") or None


def _is_the_request(body: str, sending: Sending, client_token: str) -> bool:
    """Return whether a copy is the text of a request, or the same with its ClientToken added."""
    if body == sending.body or sending.request is None:
        return (
            client_token_in(sending.body) is not None or not _is_object(sending.body) or body != sending.body
        )
    added = {} if "ClientToken" in sending.request else {"ClientToken": client_token}
    return bool(json.loads(body) == {**sending.request, **added})


def answers_are_results(seen: Observations) -> Violations:
    """Check that a caller gets the published result, or an error with the status of its code."""
    published = {
        (result["ClientToken"], result["SourceId"]): result
        for result in seen.published
        if result["EventSource"] in {"direct", "api_gateway"}
    }
    missing = 0
    violations = []
    for token, message in seen.accepted.items():
        for reply in message.replies:
            if wrong := _wrong_reply(message, reply):
                violations.append(f"the caller of message {message.number} got {wrong}")
            if reply.name == "SENT":
                result = published.get((token, reply.source_id))
                missing += result is None
                if result is not None and result != reply.document:
                    violations.append(f"the caller of message {message.number} got another result")
    if missing > seen.lost_results:
        violations.append(f"{missing} callers got a result that was not published")
    return violations


def _wrong_reply(message: Accepted, reply: Reply) -> str | None:
    if reply.name is None or reply.document is None:
        return None
    if reply.document["ClientToken"] != message.client_token:
        return "another ClientToken"
    if reply.name == "SENT":
        return _schema(dict(reply.document)) or (None if reply.status in {None, 200} else "another status")
    code = CODES.get(reply.name.removesuffix("Error"))
    if code is None or reply.status != code.status:
        return f"status {reply.status} for {reply.name}"
    return None if reply.document.keys() == {"Code", "Reason", "ClientToken"} else "other fields"


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
    "texts": texts_are_unchanged,
    "client tokens": calls_carry_the_client_token,
    "result fields": results_repeat_the_request,
    "message ids": sent_results_are_those_of_the_transcript,
    "attempts": attempts_are_counted,
    "doubts": doubts_are_reported,
    "expiry": messages_expire_in_time,
    "copied requests": copies_hold_the_request,
    "returned results": answers_are_results,
    "secrets": no_secret_is_written,
    "deadline": no_invocation_times_out,
}
"""The checks, by their names in the report."""


def violations(seen: Observations) -> dict[str, Violations]:
    """Return the violations by check, without the checks that found none."""
    return {name: found for name, check in CHECKS.items() if (found := check(seen))}
