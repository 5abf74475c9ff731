"""Sends the messages of a file through the local stack, and collects their outcomes."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from infra.contract import REQUEST_DETAIL_TYPE
from infra.producer import Answer, EventSource, NotAcceptedError, NotSentError, ProducerError
from infra.results import MessageResult
from sandbox.demo.message_file import TASK, Chat, Expectation, Message, MessageFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.local_stack import LocalStack, QueueDepths
    from sandbox.participant_service.transcript import TranscriptItem

_RESULT_SECONDS = 30.0
_LATE_SECONDS = 1.0  # for each further result, once one has not arrived
_EXECUTION_SECONDS = 60.0
_LOOK_UP_SECONDS = 10.0  # a rule stores an outcome a moment after it is published
_POLL_SECONDS = 0.1
_QUEUE_SECONDS = 10.0  # a result is published a moment before its message is deleted from the queue


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A message, the producer's answer or error, and the published result, None if none arrived.

    Attributes:
        looked_up: The outcome that the REST API answers for its SourceId.
    """

    message: Message
    answer: Answer | ProducerError
    result: MessageResult | None
    looked_up: MessageResult | None

    @property
    def message_id(self) -> str | None:
        return self.result.message_id if self.result else None

    @property
    def message_ids(self) -> list[str]:
        """The ids of all parts, in order. A message without `SplitAt` has one."""
        message = (self.result.detail.get("Message") if self.result else None) or {}
        ids = [part["Id"] for part in message.get("Parts", ())] or [self.message_id]
        return [message_id for message_id in ids if message_id is not None]

    @property
    def outcome(self) -> Expectation | None:
        """The published outcome, or REFUSED if the event source refused the request. None for neither."""
        if self.result is not None:
            return Expectation(self.result.outcome, self.result.code)
        if isinstance(self.answer, NotAcceptedError):
            return Expectation("REFUSED", self.answer.code)
        return None

    @property
    def is_as_expected(self) -> bool:
        if self.message.expected is None:
            return self.outcome is not None
        return self.outcome == self.message.expected


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRecord:
    """A chat, the number of its connection tokens, and its messages in the participant service."""

    chat: Chat
    contact_id: str
    connections: int
    transcript: Sequence[TranscriptItem]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    sendings: Sequence[Sending]
    chats: Sequence[ChatRecord]
    queues: QueueDepths
    has_error_types: bool


def send_all(stack: LocalStack, file: MessageFile, *, progress: Callable[[int], None]) -> Run:
    """Send every message and wait for the results.

    Args:
        progress: Gets the number of results that have arrived.
    """
    chats = {
        chat.name: stack.participant.open_chat(ended=chat.ended, content_types=chat.content_types)
        for chat in file.chats
    }
    tokens = {name: [chat.connection_token] for name, chat in chats.items()}
    results = _Results(stack, progress)
    sent = []
    for message in file.messages:
        known, chat = results.source_ids, chats[message.chat]
        while len(tokens[message.chat]) < message.connection:
            tokens[message.chat].append(stack.participant.new_connection_token(chat.participant_token))
        answer = _send(stack, message, chat.contact_id, tokens[message.chat][-1])
        sent.append((message, answer, results.source_id_of(message, answer, known=known)))
    published = [results.get(source_id) for _, _, source_id in sent]
    return Run(
        sendings=[
            Sending(message=message, answer=answer, result=result, looked_up=looked_up)
            for (message, answer, _), result, looked_up in zip(
                sent, published, _look_up(stack, published), strict=True
            )
        ],
        chats=[
            ChatRecord(
                chat=chat,
                contact_id=chats[chat.name].contact_id,
                connections=len(tokens[chat.name]),
                transcript=stack.participant.messages(chats[chat.name].contact_id),
            )
            for chat in file.chats
        ],
        queues=stack.queue_depths(timeout=_QUEUE_SECONDS),
        has_error_types=stack.has_error_types,
    )


def _look_up(stack: LocalStack, results: Sequence[MessageResult | None]) -> list[MessageResult | None]:
    """Look up each outcome by the id of its message. Wait for the last ones to be stored."""
    deadline = time.monotonic() + _LOOK_UP_SECONDS

    def look_up(source_id: str) -> MessageResult | None:
        while (found := stack.look_up(source_id)) is None and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        return found

    return [look_up(result.source_id) if result else None for result in results]


def _send(
    stack: LocalStack, message: Message, contact_id: str, connection_token: str
) -> Answer | ProducerError:
    producer = stack.producer
    request: dict[str, Any] = {
        "ContactId": contact_id,
        **message.request,
        "ConnectionToken": connection_token,
    }
    if message.sealed:
        request["ConnectionToken"] = producer.seal(connection_token, contact_id)
    if message.age_minutes is not None:
        return _put_old_event(stack, request, timedelta(minutes=message.age_minutes))
    if message.through == TASK:
        request.setdefault("ClientToken", _client_token_of_task(message))
    elif message.source is EventSource.WORKFLOW:
        del request["ContactId"]
    try:
        answer = producer.send_text(json.dumps(request), through=message.source, message_group=contact_id)
        if message.source is EventSource.WORKFLOW:
            answer = producer.wait_for_execution(answer.source_id, timeout=_EXECUTION_SECONDS)
    except ProducerError as error:
        return error
    return answer


def _put_old_event(stack: LocalStack, request: dict[str, Any], age: timedelta) -> Answer:
    """Put an event that says when it happened. The producer's events happen when they are sent."""
    entry = {
        "EventBusName": stack.outputs.event_bus_name,
        "Source": "demo",
        "DetailType": REQUEST_DETAIL_TYPE,
        "Detail": json.dumps(request),
        "Time": datetime.now(UTC) - age,
    }
    [put] = stack.emulator.client("events").put_events(Entries=[entry])["Entries"]
    return Answer(source_id=put["EventId"])


class _Results:
    """Finds the result of each message. After a result that did not arrive, it waits less for the others."""

    def __init__(self, stack: LocalStack, progress: Callable[[int], None]) -> None:
        self._watcher = stack.results
        self._progress = progress
        self._timeout = _RESULT_SECONDS

    @property
    def source_ids(self) -> set[str]:
        return {result.source_id for result in self._watcher.received}

    def source_id_of(
        self, message: Message, answer: Answer | ProducerError, *, known: set[str]
    ) -> str | None:
        """Return the SourceId of the result, None if there will be none. Wait for it if the caller waited.

        Args:
            known: The SourceIds of the results that had arrived before the message was sent.
        """
        match answer:
            case Answer(result=None, source_id=source_id):
                return source_id
            case NotAcceptedError():
                return None
            case Answer(result=MessageResult(source_id=source_id)):
                result = self.get(source_id)
            case NotSentError(source_id=str(source_id)) if message.source is EventSource.DIRECT:
                result = self.get(source_id)
            case _:
                result = self._wait_for(_is_next_of(message, known))
        return result.source_id if result else None

    def get(self, source_id: str | None) -> MessageResult | None:
        if source_id is None:
            return None
        return self._wait_for(lambda result: result.source_id == source_id)

    def _wait_for(self, is_wanted: Callable[[MessageResult], bool]) -> MessageResult | None:
        try:
            return self._watcher.wait_for(is_wanted, timeout=self._timeout)
        except TimeoutError:
            self._timeout = _LATE_SECONDS
            return None
        finally:
            self._progress(len(self.source_ids))


def _is_next_of(message: Message, known: set[str]) -> Callable[[MessageResult], bool]:
    """Recognize the result of a message whose error does not name the SourceId.

    It is the next result from its event source: no other message is on its way there. Only a task shares the
    queue with others, so its ClientToken identifies its result.
    """
    token = _client_token_of_task(message) if message.through == TASK else None
    reported_as = {"sqs"} if token else message.source.reported_as - {"sqs"}
    return lambda result: (
        result.source_id not in known
        and result.event_source in reported_as
        and token in {None, result.client_token}
    )


def _client_token_of_task(message: Message) -> str:
    return str(message.request.get("ClientToken", f"line-{message.number}"))
