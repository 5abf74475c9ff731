"""Whether a run went as the file expects and as the project promises. Pure: a run in, findings out."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from sandbox.api_client import HttpAnswer
from sandbox.demo.message_file import Expectation, Route
from sandbox.local_stack import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sandbox.demo.message_file import Message
    from sandbox.demo.run import ChatRecord, Run, Sending
    from sandbox.participant_service.transcript import TranscriptItem
    from sandbox.results import ResultEvent

HTTP_STATUS: Mapping[str, int] = {
    "InvalidRequest": 400,
    "ServiceValidation": 400,
    "AccessDenied": 422,
    "Expired": 422,
    "ProcessingRejected": 422,
    "UnexpectedResponse": 502,
    "Throttled": 429,
    "ServiceUnavailable": 502,
    "ConnectionFailed": 502,
    "DeadlineExceeded": 504,
}
"""What the synchronous API answers beside each code."""

# The routes that lead over the queue or the bus, where what is rejected is copied
_COPIED = {Route.QUEUE, Route.API, Route.EVENT, Route.TASK}


@dataclass(frozen=True, slots=True)
class Check:
    """What should hold, and everything that contradicts it."""

    title: str
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.problems


def judge(run: Run) -> list[Check]:
    return [
        Check(title, tuple(problems))
        for title, problems in (
            ("Every message had the outcome that the file expects", _unexpected_outcomes(run.sendings)),
            ("Every caller who waited was answered what was published", _wrong_answers(run)),
            ("Messages by the queue or POST /messages appear in order", _out_of_order(run)),
            ("No message appears twice", _repeated(run)),
            ("Every message sent is in its chat, and nothing else is", _wrong_transcripts(run)),
            (
                "The queues are empty, except for copies of rejected messages",
                _wrong_queues(run),
            ),
        )
    ]


def as_expected(sending: Sending) -> bool:
    return outcome_of(sending) == sending.message.expected


def outcome_of(sending: Sending) -> Expectation | None:
    """Return the outcome that was published, or that the API refused the request, or None for neither."""
    if sending.result is not None:
        return Expectation(sending.result.outcome, sending.result.code)
    if isinstance(sending.answer, HttpAnswer) and sending.answer.is_refusal:
        return Expectation("REFUSED", sending.answer.payload.get("Code"))
    return None


def _unexpected_outcomes(sendings: Iterable[Sending]) -> Iterator[str]:
    for sending in sendings:
        if not as_expected(sending):
            outcome = str(outcome_of(sending) or _no_result(sending.answer))
            reason = f" ({sending.result.reason})" if sending.result and sending.result.reason else ""
            yield (
                f"line {sending.message.number}: {outcome}{reason}, "
                f"where {sending.message.expected} was expected"
            )


def _wrong_answers(run: Run) -> Iterator[str]:
    for sending in run.sendings:
        if sending.result and not _agrees(sending, sending.result, has_error_types=run.has_error_types):
            answered = "nothing" if sending.answer is None else _described(sending.answer)
            yield f"line {sending.message.number}: answered {answered}, published {outcome_of(sending)}"


def _agrees(sending: Sending, result: ResultEvent, *, has_error_types: bool) -> bool:
    match sending.answer:
        case None:
            return sending.message.route in {Route.QUEUE, Route.EVENT}
        case HttpAnswer(status=status) if sending.message.route is Route.API:
            return status == HTTPStatus.ACCEPTED
        case HttpAnswer(status=status, payload=payload):
            return (status, payload) == _synchronous_answer(result)
        case Answer(error_type=None, payload=payload):
            return payload == result.detail
        case Answer(error_type=name):
            # The name of the error class, where the runtime passes it on
            return result.code is not None and (name == f"{result.code}Error" or not has_error_types)


def _synchronous_answer(result: ResultEvent) -> tuple[int, Mapping[str, Any]]:
    if result.code is None:
        return HTTPStatus.OK, result.detail
    error = {"Code": result.code, "Reason": result.reason, "ClientToken": result.client_token}
    return HTTP_STATUS[result.code], error


def _no_result(answer: Answer | HttpAnswer | None) -> str:
    return "no result" if answer is None else f"no result but {_described(answer)}"


def _described(answer: Answer | HttpAnswer) -> str:
    match answer:
        case Answer():
            return str(answer.error_type or answer.payload.get("Outcome"))
        case HttpAnswer():
            said = answer.payload.get("Code") or answer.payload.get("Outcome") or ""
            return f"{answer.status} {said}".rstrip()


def _out_of_order(run: Run) -> Iterator[str]:
    for record in run.chats:
        sendings = _sendings_of(run, record)
        # What also came in another way may have been the first to arrive
        unordered = {each.message.identity for each in sendings if not _keeps_order(each.message)}
        sent = _unique(
            sending.result.message_id
            for sending in sendings
            if sending.message.identity not in unordered and sending.result and sending.result.message_id
        )
        shown = _unique(item.id for item in record.transcript if item.id in set(sent))
        if shown != [message_id for message_id in sent if message_id in set(shown)]:
            yield f"chat {record.chat.name}: not in the order of the file"


def _keeps_order(message: Message) -> bool:
    """Say whether a message is in the queue, and in the same message group as the others of its chat."""
    if message.route in {Route.API, Route.TASK}:
        return "ContactId" not in message.request
    return message.route is Route.QUEUE


def _repeated(run: Run) -> Iterator[str]:
    for record in run.chats:
        for message_id, count in Counter(item.id for item in record.transcript).items():
            if count > 1:
                yield f"chat {record.chat.name}: {message_id} is there {count} times"
        ids: dict[tuple[str, str], set[str]] = defaultdict(set)
        for sending in _sendings_of(run, record):
            if sending.result and sending.result.message_id:
                ids[sending.message.identity].add(sending.result.message_id)
        for (_, identity), message_ids in ids.items():
            if len(message_ids) > 1:
                yield f"chat {record.chat.name}: {identity} was sent as {len(message_ids)} messages"


def _wrong_transcripts(run: Run) -> Iterator[str]:
    for record in run.chats:
        shown = {item.id: item for item in record.transcript}
        expected: dict[str, Sending] = {}
        for sending in _sendings_of(run, record):
            if sending.result is None or sending.result.message_id is None:
                continue
            same_id = expected.setdefault(sending.result.message_id, sending).message
            if same_id.identity != sending.message.identity:
                yield f"lines {same_id.number} and {sending.message.number}: two messages became one"
        for message_id, sending in expected.items():
            if message_id not in shown:
                yield f"line {sending.message.number}: sent, but not in chat {record.chat.name}"
            elif not _shows(shown[message_id], sending):
                yield f"line {sending.message.number}: not the same text in chat {record.chat.name}"
        for message_id in shown.keys() - expected.keys():
            yield f"chat {record.chat.name}: {message_id} comes from no line of the file"


def _wrong_queues(run: Run) -> Iterator[str]:
    rejected = sum(
        sending.message.route in _COPIED
        and sending.result is not None
        and sending.result.outcome == "REJECTED"
        for sending in run.sendings
    )
    for name, depth, expected in (
        ("message queue", run.queues.messages, 0),
        ("dead-letter queue", run.queues.dead_letter, 0),
        ("rejected queue", run.queues.rejected, rejected),
        ("events dead-letter queue", run.queues.events_dead_letter, 0),
    ):
        if depth != expected:
            yield f"{name}: holds {depth}, not {expected}"


def _sendings_of(run: Run, record: ChatRecord) -> list[Sending]:
    return [sending for sending in run.sendings if sending.message.chat == record.chat.name]


def _shows(item: TranscriptItem, sending: Sending) -> bool:
    request = sending.message.request
    return (item.content, item.content_type) == (request.get("Content"), request.get("ContentType"))


def _unique(ids: Iterable[str]) -> Sequence[str]:
    return list(dict.fromkeys(ids))
