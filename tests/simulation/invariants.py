"""The promise, checked from the outside.

What is looked at is what a producer, a consumer of results and an operator can see: what was accepted, the
transcripts, the result events, the queues, the callers' answers and all that was written. Two things come
from the driver: which messages a fault between function and source has hit, and which ones a fault of the
service has ended.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import fastjsonschema

from tests.simulation.models.clock import START
from tests.simulation.workload import NUMBER, RETRYABLE_ERRORS, SECRET_WORD, Accepted, Route, client_token_in
from tests.support.schemas import RESULT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.simulation.models.aws import WaitingTask
    from tests.simulation.models.sqs import Message
    from tests.simulation.simulation import Simulation

_valid_result: Final[Callable[[object], object]] = fastjsonschema.compile(RESULT_SCHEMA)
_TIMES_OUT_ALONE: Final = "an invocation ran into its timeout by itself"

Result = dict[str, Any]
Violations = list[str]


@dataclass(frozen=True)
class Wait:
    """A task, and the messages that hold its token: of each the ClientToken and the id of its acceptance."""

    task: WaitingTask
    messages: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Observations:
    """What is to be seen when nothing is left to happen.

    Attributes:
        accepted: By ClientToken.
        transcripts: The numbers of the texts of each chat, in order, by contact id.
        places: Of each message in the messages queue, in the order in which the queue accepted them, by
            ClientToken. A hand-over has one, and each time that a letter is put back is one more.
        published: Result events on the bus, in order, and results in the queue for unpublished ones.
        published_at: When each result was on the bus, or kept in that queue.
        rejected: Copies that are there, as the letters below.
        all_rejected: All that ever were, as the letters below.
        worked_off: Whether operators have worked off all letters.
        waits: Tasks that waited for messages.
        disturbed: ClientTokens of messages hit by a fault between the function and their source.
        ended_by_fault: ClientTokens of messages that a fault of the service made impossible.
        timed_out: Invocations that ran into their timeout by themselves.
        not_published: ClientTokens of messages that came back since their results were safe nowhere.
        lost_results: Log lines that say so, of callers' messages too.
    """

    accepted: Mapping[str, Accepted]
    transcripts: Mapping[str, Sequence[int]]
    places: Mapping[str, Sequence[int]]
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
    worked_off: bool
    waits: Sequence[Wait]
    disturbed: frozenset[str]
    ended_by_fault: frozenset[str]
    leaks: Sequence[str]
    timed_out: int
    not_published: frozenset[str]
    lost_results: int

    @classmethod
    def of(cls, simulation: Simulation) -> Observations:
        producers, output = simulation.producers, simulation.output
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
        places: dict[str, list[int]] = defaultdict(list)
        for message_id, message in simulation.messages.accepted.items():
            sent = producers.by_source_id.get(message_id)
            if (token := sent.client_token if sent else client_token_in(message.body)) is not None:
                places[token].append(message.sequence)
        disturbed = simulation.mapping.disturbed | simulation.events.disturbed
        tokens = {producers.by_source_id[i].client_token for i in disturbed if i in producers.by_source_id}
        # A hand-over is a message of the queue that no producer sent: it is known by what it holds.
        tokens |= {
            token
            for message_id in disturbed - producers.by_source_id.keys()
            if (token := client_token_in(simulation.messages.accepted[message_id].body)) is not None
        }
        return cls(
            accepted=producers.accepted,
            transcripts={
                chat.contact_id: [
                    int(found[1])
                    for item in service.messages(chat.contact_id)
                    if (found := NUMBER.search(str(item.content)))
                ]
                for chat in producers.chats
            },
            places=places,
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
            worked_off=simulation.worked_off,
            waits=[
                Wait(task, [(producers.by_source_id[i].client_token, i) for i in source_ids])
                for token, source_ids in producers.source_ids_by_task.items()
                if (task := simulation.step_functions.tasks.get(token)) is not None
            ],
            disturbed=frozenset(tokens),
            ended_by_fault=frozenset(simulation.weather.ended_by_fault),
            leaks=[
                *output.leaks,
                *(text for result in published if output.holds_secret(text := json.dumps(result))),
            ],
            timed_out=len(simulation.function.timed_out),
            not_published=frozenset(
                producers.by_source_id[i].client_token
                for i in output.not_published & producers.by_source_id.keys()
            ),
            lost_results=output.lines["Result not published"],
        )

    @cached_property
    def results(self) -> Mapping[str, list[Result]]:
        """The results of each message, by ClientToken, in order."""
        results: dict[str, list[Result]] = defaultdict(list)
        for result in self.published:
            results[result["ClientToken"]].append(result)
        return results

    def outcome(self, client_token: str) -> str | None:
        """Return a message's one outcome by the rule that SENT wins, None if it has none."""
        outcomes = [result["Outcome"] for result in self.results.get(client_token, [])]
        return "SENT" if "SENT" in outcomes else outcomes[-1] if outcomes else None

    def last_outcome(self, client_token: str) -> str | None:
        """Return the outcome that a message came to last."""
        results = self.results.get(client_token, [])
        return max(results, key=lambda result: str(result["CompletedAt"]))["Outcome"] if results else None

    @cached_property
    def copied(self) -> set[str]:
        """ClientTokens of messages of which the function has made a copy, rejected or given up."""
        return {
            copy.attributes.get("ClientToken", "")
            for copy in (*self.all_rejected, *self.all_dead_letters)
            if copy.source_queue is None
        }

    @cached_property
    def came_back(self) -> set[str]:
        """ClientTokens of messages that may have come back after they were rejected or given up."""
        return self.copied & (self.disturbed | self.not_published)

    @cached_property
    def moved_by_sqs(self) -> set[str]:
        """ClientTokens of messages that the function never got to finish."""
        return {self._token_of(letter) for letter in self.all_dead_letters if letter.source_queue} - {""}

    @cached_property
    def letters(self) -> set[str]:
        """ClientTokens of messages that lie as letters. What SQS or the bus put there has no outcome yet."""
        return self._tokens_of(self.dead_letters, self.events_dead_letters)

    @cached_property
    def worked_off_letters(self) -> set[str]:
        """ClientTokens of messages of which a letter was put back, or given its outcome."""
        there = {id(letter) for letter in (*self.dead_letters, *self.events_dead_letters)}
        gone, gone_events = (
            [letter for letter in letters if id(letter) not in there]
            for letters in (self.all_dead_letters, self.all_events_dead_letters)
        )
        return self._tokens_of(gone, gone_events)

    def _tokens_of(self, letters: Sequence[Message], events: Sequence[Message]) -> set[str]:
        of_events = {self._by_source_id.get(_event_id(json.loads(letter.body)), "") for letter in events}
        return ({self._token_of(letter) for letter in letters} | of_events) - {""}

    def _token_of(self, letter: Message) -> str:
        if letter.source_queue is None:
            return letter.attributes.get("ClientToken", "")
        return self._by_source_id.get(letter.message_id) or client_token_in(letter.body) or ""

    @cached_property
    def _by_source_id(self) -> Mapping[str, str]:
        return {i: token for token, message in self.accepted.items() for i in message.source_ids}


def _event_id(letter: dict[str, Any]) -> str:
    """Read the id of an event among the dead letters, in both formats."""
    return str(letter.get("requestPayload", letter)["id"])


def every_message_has_an_outcome(seen: Observations) -> Violations:
    """Nothing is lost: what has no outcome lies where an alarm is, or was answered to a caller.

    When operators have worked off what lies there, it has one too.
    """
    excused = set() if seen.worked_off else seen.letters
    return [
        f"message {message.number} ({message.route}) has no outcome and lies nowhere"
        for token, message in seen.accepted.items()
        if not message.route.has_caller and seen.outcome(token) is None and token not in excused
    ]


def kept_results_are_not_lost(seen: Observations) -> Violations:
    """What was put aside for lack of a bus is still there, or on the bus."""
    published = {json.dumps(result) for result in seen.published}
    lost = [result for _, result in seen.published_at if json.dumps(result) not in published]
    return [f"a result of {result['ClientToken']} was kept and is gone" for result in lost]


def outcomes_do_not_contradict(seen: Observations) -> Violations:
    """A second outcome of what was accepted once needs a fault that hit an acknowledgement.

    What a redrive put back is accepted once more.
    """
    outcomes: dict[tuple[str, str], set[str]] = defaultdict(set)
    for result in seen.published:
        outcomes[result["ClientToken"], result["SourceId"]].add(result["Outcome"])
    return [
        f"{source_id} has outcomes {', '.join(sorted(several))}"
        for (token, source_id), several in outcomes.items()
        if len(several) > 1 and token not in seen.disturbed | seen.worked_off_letters
    ]


def outcomes_are_those_of_accepted_messages(seen: Observations) -> Violations:
    """Every result is that of a message, by its ClientToken, and keeps its schema."""
    return [
        f"a result has ClientToken {result['ClientToken']}, which no message has"
        for result in seen.published
        if result["ClientToken"] not in seen.accepted
    ] + [f"a result breaks its schema: {reason}" for result in seen.published if (reason := _schema(result))]


def _schema(result: Result) -> str:
    try:
        _valid_result(result)
    except fastjsonschema.JsonSchemaValueException as error:
        return str(error.message)
    return ""


def outcomes_fit_the_messages(seen: Observations) -> Violations:
    """What is invalid is rejected for that; what is not, only where chat, time or fault says so."""
    return [
        f"message {message.number} ended as {code or 'SENT'}"
        for token, results in seen.results.items()
        if (message := seen.accepted.get(token))
        for code in {result["Error"] and result["Error"]["Code"] for result in results}
        if code not in _codes(message, ended_by_fault=token in seen.ended_by_fault)
        and not (code == "DeadlineExceeded" and token in seen.worked_off_letters)  # too old to be read again
    ]


def _codes(message: Accepted, *, ended_by_fault: bool) -> set[str | None]:
    """Return the codes that a message may end with, None for SENT."""
    if message.code == "InvalidRequest":
        return {"InvalidRequest"}
    codes = {message.code, "Throttled", "ServiceUnavailable", "ConnectionFailed", "DeadlineExceeded"}
    if message.chat.ended:
        codes.add("AccessDenied")
    if message.expires:
        codes.add("Expired")
    if ended_by_fault:
        codes |= {"ProcessingRejected", "UnexpectedResponse"}
    return codes


def sent_messages_appear_once(seen: Observations) -> Violations:
    """A SENT message stands in its chat's transcript; none stands in one twice, or in another's."""
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
    """What is not SENT appears in no transcript, unless its event says MaybeDelivered.

    A caller that retried by itself knows more than the function: it may have been sent by an earlier call.
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
    """SENT messages of a group stand in the order in which the queue accepted them.

    A message stands behind all that was done with before it was accepted first. One that the queue accepted
    several times (sent again by its producer, put back by a redrive) may stand at any of its places; the
    message of an event at that of its hand-over, or before. One that was rejected or given up, and came back
    after that since a fault hit its acknowledgement, may be late.
    """
    chats: dict[str, list[tuple[int, float, Accepted]]] = defaultdict(list)
    for token, message in seen.accepted.items():
        if seen.outcome(token) == "SENT" and (places := seen.places.get(token)):
            first = places[0] if message.route is Route.QUEUE else 0
            last = math.inf if token in seen.came_back else places[-1]
            chats[message.chat.contact_id].append((first, last, message))
    violations = []
    for contact_id, messages in chats.items():
        transcript = {number: place for place, number in enumerate(seen.transcripts[contact_id])}
        appeared = [entry for entry in messages if entry[2].number in transcript]
        violations += [
            f"message {later.number} stands before message {earlier.number} in chat {later.chat.number}"
            for _, last, earlier in appeared
            for first, _, later in appeared
            if last < first and transcript[later.number] < transcript[earlier.number]
        ]
    return violations


def rejected_messages_are_copied(seen: Observations) -> Violations:
    """Each REJECTED one is in the rejected queue, at least once, and nothing else is."""
    wanted = _with_outcome(seen, "REJECTED")
    return _compare(seen, seen.rejected, wanted, wanted, "the rejected queue")


def failed_messages_are_dead_letters(seen: Observations) -> Violations:
    """Each FAILED one is in the dead-letter queue, at least once, and else only what SQS moved by itself.

    Unless it was put back, and ended in another way then.
    """
    copies = [letter for letter in seen.dead_letters if letter.source_queue is None]
    failed = _with_outcome(seen, "FAILED")
    elsewhere = {token for token in seen.worked_off_letters if seen.last_outcome(token) != "FAILED"}
    return _compare(seen, copies, failed - elsewhere, failed, "the dead-letter queue")


def _with_outcome(seen: Observations, outcome: str) -> set[str]:
    """Return the messages of queue and bus for which an outcome was published, if not the final one."""
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
    """Compare copies with outcomes. A copy without its outcome needs a fault after it was made."""
    there = {copy.attributes.get("ClientToken", "") for copy in copies}
    unexpected = there - allowed - seen.disturbed
    unexpected -= seen.not_published  # such a message comes back, and the service may take it then
    return [f"{token} is not in {where}" for token in sorted(wanted - there)] + [
        f"{token} is in {where} without reason" for token in sorted(unexpected)
    ]


def copies_carry_the_client_token(seen: Observations) -> Violations:
    """A redrive of a copy must be the same message: its body holds the ClientToken, if it is an object."""
    copies = [*seen.rejected, *(letter for letter in seen.dead_letters if letter.source_queue is None)]
    return [
        f"the body of a copy has no ClientToken: {copy.attributes.get('SourceId')}"
        for copy in copies
        if _is_object(copy.body) and client_token_in(copy.body) is None
    ]


def _is_object(body: str) -> bool:
    """Say whether a body is an object without a ClientToken of a wrong type and without a repeated field."""
    try:
        fields = json.loads(body, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return False
    if not isinstance(fields, list) or not all(isinstance(field, tuple) for field in fields):
        return False
    names = Counter(name for name, _ in fields)
    return max(names.values(), default=1) == 1 and isinstance(dict(fields).get("ClientToken", ""), str)


def nothing_is_left(seen: Observations) -> Violations:
    """The messages queue is empty; after operators, no letter without outcome is left, and no kept result."""
    letters = [
        *(letter for letter in seen.dead_letters if letter.source_queue is not None),
        *seen.events_dead_letters,
    ]
    left = {"messages": seen.messages}
    if seen.worked_off:
        left |= {"letters": letters, "results": seen.unpublished}
    return [f"{len(messages)} {what} are left" for what, messages in left.items() if messages]


def sqs_moves_only_what_the_function_never_got_to_run(seen: Observations) -> Violations:
    """What the function can run ends by the function: SQS is only the net for one that dies each time."""
    return [
        f"message {seen.accepted[token].number if token in seen.accepted else token} was moved by SQS itself"
        for token in seen.moved_by_sqs - seen.disturbed
    ]


def tasks_are_answered(seen: Observations) -> Violations:
    """The task of a message that has its outcome is answered before it times out.

    Unless the weather hit both tries, or the message itself between its result and the answer.
    """
    published: dict[tuple[str, str], float] = {}
    for at, result in seen.published_at:
        key = result["ClientToken"], result["SourceId"]
        published[key] = min(at, published.get(key, math.inf))
    return [
        f"a task waited in vain for message {seen.accepted[token].number}"
        for wait in seen.waits
        for token, source_id in wait.messages
        if wait.task.timed_out_at is not None
        and published.get((token, source_id), math.inf) + _ANSWER_SECONDS < wait.task.timed_out_at
        and wait.task.calls_lost < _ANSWER_TRIES
        and token not in seen.disturbed
    ]


_ANSWER_SECONDS: Final = 10.0
"""For which a task may wait after the result of its message was published, at most."""
_ANSWER_TRIES: Final = 2


def tasks_are_told_what_was_published(seen: Observations) -> Violations:
    """No task is answered before the result of its message is safe; and with no other: success for SENT."""
    results: dict[str, list[tuple[float, Result]]] = defaultdict(list)
    for at, result in seen.published_at:
        results[result["ClientToken"]].append((at, result))
    return [
        f"the task of message {seen.accepted[wait.messages[0][0]].number} was told what was not published"
        for wait in seen.waits
        if wait.task.answer is not None
        and not any(
            at <= wait.task.answered_at and _answer_of(result) == _read_answer(*wait.task.answer)
            for token, _ in wait.messages
            for at, result in results[token]
        )
    ]


def _answer_of(result: Result) -> object:
    """Return what a result means for a task: itself, or the error of a direct invocation."""
    error = result["Error"]
    return (f"{error['Code']}Error", error["Reason"]) if error else result


def _read_answer(operation: str, parameters: Mapping[str, str]) -> object:
    if operation == "SendTaskSuccess":
        return json.loads(parameters["output"])
    return parameters["error"], parameters["cause"]


def callers_are_answered(seen: Observations) -> Violations:
    """A caller that waits has an outcome or a named error; what it is told was sent is in the chat."""
    appeared = {number for numbers in seen.transcripts.values() for number in numbers}
    violations = []
    for message in seen.accepted.values():
        if not message.route.has_caller:
            continue
        last = message.answers[-1] if message.answers else "nothing"
        known = RETRYABLE_ERRORS | _REJECTIONS | {"SENT", None}
        if last not in known:
            violations.append(f"the caller of message {message.number} was told {last}")
        if "SENT" in message.answers and message.number not in appeared:
            violations.append(f"the caller of message {message.number} was told SENT, and it does not appear")
    untold = sum(
        bool(message.answers) and message.answers[-1] in _REJECTIONS and token not in seen.results
        for token, message in seen.accepted.items()
    )
    if untold > seen.lost_results:  # a caller has its answer even where the result cannot be published
        violations.append(f"{untold} callers were told of a rejection of which there is no result")
    return violations


_REJECTIONS: Final = frozenset(
    f"{name}Error"
    for name in (
        "InvalidRequest",
        "ServiceValidation",
        "AccessDenied",
        "Expired",
        "ProcessingRejected",
        "UnexpectedResponse",
    )
)


def no_secret_shows(seen: Observations) -> Violations:
    """No token and no text is in any log line, metric, error or result."""
    return [f"a secret in: {_masked(leak)}" for leak in seen.leaks]


def _masked(text: str) -> str:
    return re.sub(rf"{SECRET_WORD}\d+.*", "…", text)[:60]


def no_invocation_times_out(seen: Observations) -> Violations:
    """Nothing is started that cannot end before the deadline."""
    return [_TIMES_OUT_ALONE] * seen.timed_out


CHECKS: Final[Mapping[str, Callable[[Observations], Violations]]] = {
    "an outcome": every_message_has_an_outcome,
    "kept results": kept_results_are_not_lost,
    "one outcome": outcomes_do_not_contradict,
    "results": outcomes_are_those_of_accepted_messages,
    "fitting outcomes": outcomes_fit_the_messages,
    "once": sent_messages_appear_once,
    "not sent, not seen": other_messages_do_not_appear,
    "order": chats_keep_their_order,
    "rejected": rejected_messages_are_copied,
    "dead letters": failed_messages_are_dead_letters,
    "copies": copies_carry_the_client_token,
    "empty queue": nothing_is_left,
    "net": sqs_moves_only_what_the_function_never_got_to_run,
    "answers": callers_are_answered,
    "tasks": tasks_are_answered,
    "tasks' answers": tasks_are_told_what_was_published,
    "secrets": no_secret_shows,
    "deadline": no_invocation_times_out,
}
"""Each check by the name that the report gives it."""


def violations(seen: Observations) -> dict[str, Violations]:
    """Return what each check found, without those that found nothing."""
    return {name: found for name, check in CHECKS.items() if (found := check(seen))}
