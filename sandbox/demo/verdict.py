"""Judges a run by what the file expects and the project promises. Pure: a run in, problems out."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.producer import Answer, EventSource, NotAcceptedError, NotSentError
from sandbox.demo.message_file import TASK, Expectation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from infra.contract import MessageResult
    from sandbox.demo.message_file import Message
    from sandbox.demo.run import ChatRecord, Run, Sending
    from sandbox.participant_service.transcript import TranscriptItem

# By queue or bus: a copy of a rejected message goes to the rejected queue
_COPIED = {EventSource.QUEUE, EventSource.API, EventSource.EVENT, TASK}


@dataclass(frozen=True, slots=True)
class Check:
    """A rule, and everything that breaks it."""

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
            ("Every caller who waited got the outcome that was published", _wrong_answers(run)),
            ("Messages by the queue or POST /messages appear in order", _out_of_order(run)),
            ("No message appears twice", _repeated(run)),
            ("Every chat has exactly the messages that were sent to it", _wrong_transcripts(run)),
            ("The queues are empty, except for copies of rejected messages", _wrong_queues(run)),
        )
    ]


def as_expected(sending: Sending) -> bool:
    return outcome_of(sending) == sending.message.expected


def outcome_of(sending: Sending) -> Expectation | None:
    """Return the published outcome, or REFUSED if the event source refused the request. None for neither."""
    if sending.result is not None:
        return Expectation(sending.result.outcome, sending.result.code)
    if isinstance(sending.answer, NotAcceptedError):
        return Expectation("REFUSED", sending.answer.code)
    return None


def _unexpected_outcomes(sendings: Iterable[Sending]) -> Iterator[str]:
    for sending in sendings:
        if not as_expected(sending):
            outcome = outcome_of(sending) or f"no result, answered {_described(sending)}"
            reason = f" ({sending.result.reason})" if sending.result and sending.result.reason else ""
            yield (
                f"line {sending.message.number}: expected {sending.message.expected}, got {outcome}{reason}"
            )


def _wrong_answers(run: Run) -> Iterator[str]:
    for sending in run.sendings:
        if sending.result and not _agrees(sending, sending.result, has_error_types=run.has_error_types):
            yield (
                f"line {sending.message.number}: "
                f"answered {_described(sending)}, published {outcome_of(sending)}"
            )


def _agrees(sending: Sending, result: MessageResult, *, has_error_types: bool) -> bool:
    match sending.answer:
        case Answer(result=None):
            return sending.message.through in {EventSource.QUEUE, EventSource.EVENT, EventSource.API}
        case Answer(result=answered):
            return answered == result
        case NotSentError(client_token=str(client_token), code=code, reason=reason):
            return (client_token, code, reason) == (result.client_token, result.code, result.reason)
        case NotSentError(code=code):
            return result.code is not None and (code == result.code or not has_error_types)
    return False


def _described(sending: Sending) -> str:
    match sending.answer:
        case Answer(result=None):
            return "nothing yet"
        case Answer(result=result):
            return result.outcome if result else ""
        case NotSentError(code=code):
            return code
        case error:
            return str(error)


def _out_of_order(run: Run) -> Iterator[str]:
    for record in run.chats:
        sendings = _sendings_of(run, record)
        # A message that was also sent in another way may have arrived by that first
        unordered = {each.message.identity for each in sendings if not _keeps_order(each.message)}
        sent = dict.fromkeys(
            sending.result.message_id
            for sending in sendings
            if sending.message.identity not in unordered and sending.result and sending.result.message_id
        )
        shown = dict.fromkeys(item.id for item in record.transcript if item.id in sent)
        if list(shown) != [message_id for message_id in sent if message_id in shown]:
            yield f"chat {record.chat.name}: not in the order of the file"


def _keeps_order(message: Message) -> bool:
    """Return whether a message is in the queue, in the message group of its chat."""
    if message.through in {EventSource.API, TASK}:
        return "ContactId" not in message.request
    return message.through == EventSource.QUEUE


def _repeated(run: Run) -> Iterator[str]:
    for record in run.chats:
        for message_id, count in Counter(item.id for item in record.transcript).items():
            if count > 1:
                yield f"chat {record.chat.name}: {message_id} appears {count} times"
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
        expected: dict[str, Message] = {}
        for sending in _sendings_of(run, record):
            if sending.result is None or sending.result.message_id is None:
                continue
            message = sending.message
            same_id = expected.setdefault(sending.result.message_id, message)
            if same_id.identity != message.identity:
                yield f"lines {same_id.number} and {message.number}: two messages became one"
        for message_id, message in expected.items():
            if message_id not in shown:
                yield f"line {message.number}: sent, but not in chat {record.chat.name}"
            elif not _shows(shown[message_id], message):
                yield f"line {message.number}: not the same text in chat {record.chat.name}"
        for message_id in shown.keys() - expected.keys():
            yield f"chat {record.chat.name}: {message_id} is not from a line of the file"


def _wrong_queues(run: Run) -> Iterator[str]:
    rejected = sum(
        sending.message.through in _COPIED
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
            yield f"{name}: has {depth} messages, not {expected}"


def _sendings_of(run: Run, record: ChatRecord) -> list[Sending]:
    return [sending for sending in run.sendings if sending.message.chat == record.chat.name]


def _shows(item: TranscriptItem, message: Message) -> bool:
    request = message.request
    return (item.content, item.content_type) == (request.get("Content"), request.get("ContentType"))
