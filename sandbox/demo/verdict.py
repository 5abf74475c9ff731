"""Whether a run went as the file expects and as the project promises. Pure: a run in, findings out."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.demo.message_file import Expectation, Route

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sandbox.demo.run import ChatRecord, Run, Sending
    from sandbox.participant_service.transcript import TranscriptItem


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
            ("Every direct caller was answered what was published", _wrong_answers(run)),
            ("Every chat shows its messages from the queue in order", _out_of_order(run)),
            ("No message appears twice", _repeated(run)),
            ("Every message sent is in its chat, and nothing else is", _wrong_transcripts(run)),
            ("The queue is empty, and each message it rejected has been copied", _wrong_queues(run)),
        )
    ]


def as_expected(sending: Sending) -> bool:
    return outcome_of(sending) == sending.message.expected


def outcome_of(sending: Sending) -> Expectation | None:
    return None if sending.result is None else Expectation(sending.result.outcome, sending.result.code)


def _unexpected_outcomes(sendings: Iterable[Sending]) -> Iterator[str]:
    for sending in sendings:
        if not as_expected(sending):
            outcome = str(outcome_of(sending) or "no result")
            if sending.result is None and sending.answer and sending.answer.error_type:
                outcome += f" but {sending.answer.error_type}"
            yield f"line {sending.message.number}: {outcome}, where {sending.message.expected} was expected"


def _wrong_answers(run: Run) -> Iterator[str]:
    for sending in run.sendings:
        if sending.answer is None or sending.result is None:
            continue
        if sending.result.code is None:
            agrees = sending.answer.payload == sending.result.detail
        else:
            # The name of the error class, where the runtime passes it on
            expected = f"{sending.result.code}Error"
            agrees = sending.answer.error_type is not None and (
                sending.answer.error_type == expected or not run.has_error_types
            )
        if not agrees:
            answer = sending.answer.error_type or sending.answer.payload.get("Outcome")
            yield f"line {sending.message.number}: answered {answer}, published {outcome_of(sending)}"


def _out_of_order(run: Run) -> Iterator[str]:
    for record in run.chats:
        sent = _unique(
            sending.result.message_id
            for sending in _sendings_of(run, record)
            if sending.message.route is Route.QUEUE and sending.result and sending.result.message_id
        )
        shown = _unique(item.id for item in record.transcript if item.id in set(sent))
        if shown != [message_id for message_id in sent if message_id in set(shown)]:
            yield f"chat {record.chat.name}: not in the order of the file"


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
        sending.message.route is Route.QUEUE
        and sending.result is not None
        and sending.result.outcome == "REJECTED"
        for sending in run.sendings
    )
    for name, depth, expected in (
        ("message queue", run.queues.messages, 0),
        ("dead-letter queue", run.queues.dead_letter, 0),
        ("rejected queue", run.queues.rejected, rejected),
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
