"""Sends the messages of a file through the local stack and gathers what becomes of them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sandbox.demo.message_file import Chat, Message, MessageFile, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sandbox.local_stack import Answer, LocalStack, OpenChat, QueueDepths
    from sandbox.participant_service.transcript import TranscriptItem
    from sandbox.results import ResultEvent, ResultEvents

_PATIENCE_SECONDS = 30.0  # for the next result
_LOST_PATIENCE_SECONDS = 1.0  # once one has not come
_QUEUE_TIMEOUT = 10.0  # a result is out a moment before its message is deleted from the queue
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A message and what became of it: the result event, None if none came; a direct caller's answer."""

    message: Message
    result: ResultEvent | None
    answer: Answer | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRecord:
    chat: Chat
    contact_id: str
    transcript: Sequence[TranscriptItem]
    """Its messages, as the participant service has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    sendings: Sequence[Sending]
    chats: Sequence[ChatRecord]
    queues: QueueDepths
    has_error_types: bool


def send_all(stack: LocalStack, file: MessageFile, *, progress: Callable[[int], None]) -> Run:
    """Send every message and wait for the results.

    Args:
        progress: gets the number of results that have come.
    """
    chats = {
        chat.name: stack.open_chat(ended=chat.ended, content_types=chat.content_types) for chat in file.chats
    }
    wait = _Wait(stack.results)
    sent: list[_Sent] = []
    for message in file.messages:
        sent.append(_send(stack, message, chats[message.chat], wait))
        progress(len(stack.results.source_ids))
    source_ids = {each.source_id for each in sent if each.source_id is not None}
    while missing := frozenset(source_ids - stack.results.source_ids):
        if wait(partial(_is_one_of, missing)) is None:
            break
        progress(len(stack.results.source_ids))
    return Run(
        sendings=[
            Sending(message=each.message, result=_result_of(each, stack.results), answer=each.answer)
            for each in sent
        ],
        chats=[
            ChatRecord(
                chat=chat,
                contact_id=chats[chat.name].contact_id,
                transcript=stack.participant.messages(chats[chat.name].contact_id),
            )
            for chat in file.chats
        ],
        queues=_settled_queues(stack),
        has_error_types=stack.has_error_types,
    )


@dataclass(frozen=True, slots=True)
class _Sent:
    """A message and the id under which its result is published, None if it is not known."""

    message: Message
    source_id: str | None
    answer: Answer | None = None


def _send(stack: LocalStack, message: Message, chat: OpenChat, wait: _Wait) -> _Sent:
    request = {"ContactId": chat.contact_id, **message.request, "ConnectionToken": chat.connection_token}
    if message.route is Route.QUEUE:
        source_id = stack.send_to_queue(
            json.dumps(request), group=chat.contact_id, deduplication_id=f"line-{message.number}"
        )
        return _Sent(message, source_id)
    # The answer of an error does not tell the id. No other direct message is under way: it is the next.
    known = stack.results.source_ids
    answer = stack.invoke(request)
    result = wait(lambda event: event.event_source == "direct" and event.source_id not in known)
    return _Sent(message, None if result is None else result.source_id, answer)


def _result_of(sent: _Sent, results: ResultEvents) -> ResultEvent | None:
    return next((event for event in results.received if event.source_id == sent.source_id), None)


class _Wait:
    """Waits for results: once one has not come, there is little hope for the others."""

    def __init__(self, results: ResultEvents) -> None:
        self._results = results
        self._timeout = _PATIENCE_SECONDS

    def __call__(self, is_wanted: Callable[[ResultEvent], bool]) -> ResultEvent | None:
        try:
            return self._results.wait_for_any(is_wanted, timeout=self._timeout)
        except TimeoutError:
            self._timeout = _LOST_PATIENCE_SECONDS
            return None


def _is_one_of(source_ids: frozenset[str], event: ResultEvent) -> bool:
    return event.source_id in source_ids


def _settled_queues(stack: LocalStack) -> QueueDepths:
    deadline = time.monotonic() + _QUEUE_TIMEOUT
    while (depths := stack.queue_depths()).messages and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
    return depths
