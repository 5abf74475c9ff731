"""The promise, checked from the outside.

What is looked at is what a producer, a consumer of results and an operator can see: what was accepted, the
transcripts, the result events, the queues, the callers' answers and all that was written. Two things come
from the driver: which messages a fault between function and source has hit, and which ones a fault of the
service has ended.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import fastjsonschema

from tests.faults.traffic import NUMBER, RETRYABLE_ERRORS, SECRET_WORD, Accepted
from tests.support.schemas import RESULT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.faults.queue_model import Message
    from tests.faults.simulation import Simulation

_valid_result: Final[Callable[[object], object]] = fastjsonschema.compile(RESULT_SCHEMA)
_TIMES_OUT_ALONE: Final = "an invocation ran into its timeout by itself"

Result = dict[str, Any]
Violations = list[str]


@dataclass(frozen=True)
class Observations:
    """What is to be seen when nothing is left to happen.

    Attributes:
        accepted: By ClientToken.
        transcripts: The numbers of the texts of each chat, in order, by contact id.
        published: Result events on the bus, in order, and results in the queue for unpublished ones.
        disturbed: ClientTokens of messages hit by a fault between the function and their source.
        ended_by_fault: ClientTokens of messages that a fault of the service made impossible.
        timed_out: Invocations that ran into their timeout by themselves.
        lost_results: Log lines that say that a result is safe nowhere.
    """

    accepted: Mapping[str, Accepted]
    transcripts: Mapping[str, Sequence[int]]
    published: Sequence[Result]
    messages: Sequence[Message]
    rejected: Sequence[Message]
    dead_letters: Sequence[Message]
    events_dead_letters: Sequence[Message]
    disturbed: frozenset[str]
    ended_by_fault: frozenset[str]
    leaks: Sequence[str]
    timed_out: int
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
        disturbed = simulation.mapping.disturbed | simulation.events.disturbed
        tokens = {producers.by_source_id[i].client_token for i in disturbed if i in producers.by_source_id}
        # A hand-over is a message of the queue that no producer sent: it is known by what it holds.
        tokens |= {
            token
            for message_id in disturbed - producers.by_source_id.keys()
            if (token := client_token_in(simulation.messages.bodies[message_id])) is not None
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
            published=published,
            messages=simulation.messages.messages,
            rejected=simulation.rejected.messages,
            dead_letters=simulation.dead_letters.messages,
            events_dead_letters=simulation.events_dead_letters.messages,
            disturbed=frozenset(tokens),
            ended_by_fault=frozenset(simulation.weather.ended_by_fault),
            leaks=[
                *output.leaks,
                *(text for result in published if output.holds_secret(text := json.dumps(result))),
            ],
            timed_out=len(simulation.function.timed_out),
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

    @cached_property
    def copied(self) -> set[str]:
        """ClientTokens of messages of which the function has made a copy, rejected or given up."""
        return {
            copy.attributes.get("ClientToken", "")
            for copy in (*self.rejected, *self.dead_letters)
            if copy.source_queue is None
        }

    @cached_property
    def moved_by_sqs(self) -> set[str]:
        """ClientTokens of messages that the function never got to finish."""
        return {
            token
            for letter in self.dead_letters
            if letter.source_queue is not None and (token := self._token_of(letter)) is not None
        }

    @cached_property
    def lost_events(self) -> set[str]:
        """ClientTokens of messages whose events lie among the dead letters."""
        return {
            self._by_source_id[event_id]
            for letter in self.events_dead_letters
            if (event_id := _event_id(json.loads(letter.body))) in self._by_source_id
        }

    def _token_of(self, letter: Message) -> str | None:
        return self._by_source_id.get(letter.message_id) or client_token_in(letter.body)

    @cached_property
    def _by_source_id(self) -> Mapping[str, str]:
        return {i: token for token, message in self.accepted.items() for i in message.source_ids}


def client_token_in(body: str) -> str | None:
    """Read the ClientToken of a request's text, None if it holds none."""
    try:
        token = json.loads(body).get("ClientToken")
    except (ValueError, AttributeError, RecursionError):
        return None
    return token if isinstance(token, str) else None


def _event_id(letter: dict[str, Any]) -> str:
    """Read the id of an event among the dead letters, in both formats."""
    return str(letter.get("requestPayload", letter)["id"])


def every_message_has_an_outcome(seen: Observations) -> Violations:
    """Nothing is lost: what has no outcome lies where an alarm is, or was answered to a caller."""
    return [
        f"message {message.number} ({message.route}) has no outcome and lies nowhere"
        for token, message in seen.accepted.items()
        if not message.route.has_caller
        and seen.outcome(token) is None
        and token not in seen.moved_by_sqs | seen.lost_events
    ]


def outcomes_do_not_contradict(seen: Observations) -> Violations:
    """A second outcome of what was accepted once needs a fault that hit an acknowledgement."""
    outcomes: dict[tuple[str, str], set[str]] = defaultdict(set)
    for result in seen.published:
        outcomes[result["ClientToken"], result["SourceId"]].add(result["Outcome"])
    return [
        f"{source_id} has outcomes {', '.join(sorted(several))}"
        for (token, source_id), several in outcomes.items()
        if len(several) > 1 and token not in seen.disturbed
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

    One of which a copy lies elsewhere has no place in it: it was rejected or given up, and sent after all
    when it came back since its acknowledgement was lost.
    """
    groups: dict[str, list[Accepted]] = defaultdict(list)
    for token, message in seen.accepted.items():
        if message.place is not None and seen.outcome(token) == "SENT" and token not in seen.copied:
            groups[message.chat.contact_id].append(message)
    violations = []
    for contact_id, messages in groups.items():
        transcript = {number: place for place, number in enumerate(seen.transcripts[contact_id])}
        in_order = sorted(messages, key=lambda message: message.place or 0)
        places = [transcript[message.number] for message in in_order if message.number in transcript]
        if places != sorted(places):
            violations.append(f"chat {messages[0].chat.number} is out of order")
    return violations


def rejected_messages_are_copied(seen: Observations) -> Violations:
    """Each REJECTED one is in the rejected queue, at least once, and nothing else is."""
    wanted = _with_outcome(seen, "REJECTED")
    return _compare(seen, seen.rejected, wanted, "the rejected queue")


def failed_messages_are_dead_letters(seen: Observations) -> Violations:
    """Each FAILED one is in the dead-letter queue, at least once, and else only what SQS moved by itself."""
    copies = [letter for letter in seen.dead_letters if letter.source_queue is None]
    return _compare(seen, copies, _with_outcome(seen, "FAILED"), "the dead-letter queue")


def _with_outcome(seen: Observations, outcome: str) -> set[str]:
    """Return the messages of queue and bus for which an outcome was published, if not the final one."""
    return {
        token
        for token, results in seen.results.items()
        if token in seen.accepted
        and not seen.accepted[token].route.has_caller
        and any(result["Outcome"] == outcome for result in results)
    }


def _compare(seen: Observations, copies: Sequence[Message], wanted: set[str], where: str) -> Violations:
    """Compare copies with outcomes. A copy without its outcome needs a fault after it was made."""
    there = {copy.attributes.get("ClientToken", "") for copy in copies}
    unexpected = there - wanted - seen.disturbed
    if seen.lost_results:  # such a message comes back, and the service may take it then
        unexpected -= seen.ended_by_fault
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
    """The messages queue is empty."""
    return [f"{len(seen.messages)} messages are left in the queue"] if seen.messages else []


def sqs_moves_only_what_the_function_never_got_to_run(seen: Observations) -> Violations:
    """What the function can run ends by the function: SQS is only the net for one that dies each time."""
    return [
        f"message {seen.accepted[token].number if token in seen.accepted else token} was moved by SQS itself"
        for token in seen.moved_by_sqs - seen.disturbed
    ]


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
    "secrets": no_secret_shows,
    "deadline": no_invocation_times_out,
}
"""Each check by the name that the report gives it."""


def violations(seen: Observations) -> dict[str, Violations]:
    """Return what each check found, without those that found nothing."""
    return {name: found for name, check in CHECKS.items() if (found := check(seen))}
