"""Judges a run by what the file expects and the project promises. Pure: a run in, problems out."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from infra.producer import Answer, EventSource, NotSentError
from sandbox.demo.message_file import TASK

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from infra.results import MessageResult
    from sandbox.demo.message_file import Message
    from sandbox.demo.run import ChatRecord, Run, Sending
    from sandbox.participant_service.transcript import TranscriptItem

# By queue or bus: a copy of a rejected message goes to the rejected queue
_COPIED = {EventSource.QUEUE, EventSource.API, EventSource.EVENT, TASK}


class Check(NamedTuple):
    """A rule, and everything that breaks it."""

    title: str
    problems: Sequence[str]


def judge(run: Run) -> list[Check]:
    return [
        Check(title, list(problems))
        for title, problems in (
            (_outcome_title(run), _unexpected_outcomes(run)),
            ("Every caller who waited got the outcome that was published", _wrong_answers(run)),
            ("Messages by the queue or POST /messages appear in order", _out_of_order(run)),
            ("No message appears twice", _repeated(run)),
            ("Every chat has exactly the messages that were sent to it", _wrong_transcripts(run)),
            ("GET /messages/{id} answers with every outcome", _not_looked_up(run)),
            ("The queues are empty, except for copies of rejected messages", _wrong_queues(run)),
        )
    ]


def _outcome_title(run: Run) -> str:
    judged = sum(sending.message.expected is not None for sending in run.sendings)
    if judged == len(run.sendings):
        return "Every message had the outcome that the file expects"
    return f"Every message had an outcome. The file expects one for {judged} of {len(run.sendings)}"


def _unexpected_outcomes(run: Run) -> Iterator[str]:
    for sending in run.sendings:
        if not sending.is_as_expected:
            message, result = sending.message, sending.result
            outcome = sending.outcome or f"no result, answered {_described(sending)}"
            reason = f" ({result.reason})" if result and result.reason else ""
            expected = message.expected or "any outcome"
            yield f"line {message.number}: expected {expected}, got {outcome}{reason}"


def _wrong_answers(run: Run) -> Iterator[str]:
    for sending in run.sendings:
        if sending.result and not _agrees(sending, sending.result, has_error_types=run.has_error_types):
            answer, number = _described(sending), sending.message.number
            yield f"line {number}: answered {answer}, published {sending.outcome}"


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
        case Answer(result=result):
            return result.outcome if result else "nothing yet"
        case NotSentError(code=code):
            return code
        case error:
            return str(error)


def _out_of_order(run: Run) -> Iterator[str]:
    for record in run.chats:
        sendings = _sendings_of(run, record)
        # A message that was also sent in another way may have arrived by that first
        unordered = {each.message.identity for each in sendings if not _keeps_order(each.message)}
        sent = [
            sending.message_id
            for sending in sendings
            if sending.message_id and sending.message.identity not in unordered
        ]
        shown = [item.id for item in record.transcript]
        in_both = set(sent) & set(shown)
        if _first_of_each(sent, in_both) != _first_of_each(shown, in_both):
            yield f"chat {record.chat.name}: not in the order of the file"


def _first_of_each(ids: Iterable[str], wanted: Container[str]) -> list[str]:
    return list(dict.fromkeys(each for each in ids if each in wanted))


def _keeps_order(message: Message) -> bool:
    """Return whether a message is in the queue, in the message group of its chat."""
    if message.through in {EventSource.API, TASK}:
        return "ContactId" not in message.request
    return message.through == EventSource.QUEUE


def _repeated(run: Run) -> Iterator[str]:
    for record in run.chats:
        name = record.chat.name
        for message_id, count in Counter(item.id for item in record.transcript).items():
            if count > 1:
                yield f"chat {name}: {message_id} appears {count} times"
        sent = {(each.message.identity, each.message_id) for each in _sendings_of(run, record)}
        counts = Counter(identity for identity, message_id in sent if message_id)
        for (_, client_token), count in counts.items():
            if count > 1:
                yield f"chat {name}: {client_token} was sent as {count} messages"


def _wrong_transcripts(run: Run) -> Iterator[str]:
    for record in run.chats:
        name, shown = record.chat.name, {item.id: item for item in record.transcript}
        order = list(shown)
        expected: dict[str, Sending] = {}
        for sending in _sendings_of(run, record):
            if message_id := sending.message_id:
                first = expected.setdefault(message_id, sending).message
                if first.identity != sending.message.identity:
                    yield f"lines {first.number} and {sending.message.number}: two messages became one"
        for sending in expected.values():
            message, ids = sending.message, sending.message_ids
            parts = [item for each in ids if (item := shown.pop(each, None)) is not None]
            if len(parts) < len(ids):
                yield f"line {message.number}: sent, but not in chat {name}"
            elif not _is_text_of(message, parts):
                yield f"line {message.number}: not the same text in chat {name}"
            elif ids != order[order.index(ids[0]) :][: len(ids)]:
                yield f"line {message.number}: its parts are not one after another in chat {name}"
        for message_id in shown:
            yield f"chat {name}: {message_id} is not from a line of the file"


def _is_text_of(message: Message, parts: Sequence[TranscriptItem]) -> bool:
    """Return whether the parts are the text of a message, but for white space between them."""
    content, shown = str(message.request.get("Content")), [str(part.content) for part in parts]
    has_type = all(part.content_type == message.request.get("ContentType") for part in parts)
    if len(parts) == 1:
        return has_type and shown == [content]
    return has_type and "".join("".join(shown).split()) == "".join(content.split())


def _not_looked_up(run: Run) -> Iterator[str]:
    for sending in run.sendings:
        if sending.looked_up != sending.result:
            found = sending.looked_up.outcome if sending.looked_up else "nothing"
            yield f"line {sending.message.number}: published {sending.outcome}, looked up {found}"


def _wrong_queues(run: Run) -> Iterator[str]:
    rejected = sum(
        sending.message.through in _COPIED
        and sending.outcome is not None
        and sending.outcome.outcome == "REJECTED"
        for sending in run.sendings
    )
    for name, depth in asdict(run.queues).items():
        expected = rejected if name == "rejected" else 0
        if depth != expected:
            yield f"{name.replace('_', '-')} queue: has {depth} messages, not {expected}"


def _sendings_of(run: Run, record: ChatRecord) -> list[Sending]:
    return [sending for sending in run.sendings if sending.message.chat == record.chat.name]
