"""Sends the messages of a file through the local stack and gathers what becomes of them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from sandbox.api_client import QUEUE_PATH, SYNCHRONOUS_PATH, HttpAnswer
from sandbox.demo.message_file import Chat, Message, MessageFile, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sandbox.local_stack import Answer, LocalStack, OpenChat, QueueDepths
    from sandbox.participant_service.transcript import TranscriptItem
    from sandbox.results import ResultEvent, ResultEvents

# Under which event source the result comes of what is waited for
_EVENT_SOURCES = {Route.DIRECT: "direct", Route.WORKFLOW: "direct", Route.API_SYNC: "api_gateway"}

_PATIENCE_SECONDS = 30.0  # for the next result
_LOST_PATIENCE_SECONDS = 1.0  # once one has not come
_QUEUE_TIMEOUT = 10.0  # a result is out a moment before its message is deleted from the queue
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """A message and what became of it.

    Attributes:
        result: None if none came.
        answer: what a caller got who waited for the outcome, and anyone from the API; None if nothing.
    """

    message: Message
    result: ResultEvent | None
    answer: Answer | HttpAnswer | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRecord:
    chat: Chat
    contact_id: str
    connections: int
    """How many connection tokens it has had."""
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
    producers = {
        chat.name: _Producer(stack, stack.open_chat(ended=chat.ended, content_types=chat.content_types))
        for chat in file.chats
    }
    wait = _Wait(stack.results)
    sent: list[_Sent] = []
    for message in file.messages:
        sent.append(producers[message.chat].send(message, wait))
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
                contact_id=producers[chat.name].contact_id,
                connections=producers[chat.name].connections,
                transcript=stack.participant.messages(producers[chat.name].contact_id),
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
    answer: Answer | HttpAnswer | None = None


class _Producer:
    """Sends the messages of one chat."""

    def __init__(self, stack: LocalStack, chat: OpenChat) -> None:
        self._stack = stack
        self._chat = chat
        self.connections = 1

    @property
    def contact_id(self) -> str:
        return self._chat.contact_id

    def send(self, message: Message, wait: _Wait) -> _Sent:  # noqa: PLR0911  # a table: one way in for each route
        while self.connections < message.connection:
            self._chat = self._stack.renew_connection(self._chat)
            self.connections += 1
        request = {
            "ContactId": self._chat.contact_id,
            **message.request,
            "ConnectionToken": self._chat.connection_token,
        }
        match message.route:
            case Route.QUEUE:
                return _Sent(message, self._queue(message, request))
            case Route.API:
                answer = self._stack.api.post(QUEUE_PATH, json.dumps(request))
                return _Sent(message, answer.payload.get("MessageId"), answer)
            case Route.EVENT:
                return _Sent(message, self._stack.put_event(json.dumps(request)))
            case Route.DIRECT:
                return self._wait_for_answer(message, partial(self._stack.invoke, request), wait)
            case Route.WORKFLOW:
                without_contact = {name: value for name, value in request.items() if name != "ContactId"}
                return self._wait_for_answer(message, partial(self._execute, without_contact), wait)
            case Route.TASK:
                return self._wait_for_task(message, request, wait)
            case Route.API_SYNC:
                post = partial(self._stack.api.post, SYNCHRONOUS_PATH, json.dumps(request))
                return self._wait_for_answer(message, post, wait)

    def _queue(self, message: Message, request: Mapping[str, Any]) -> str:
        return self._stack.send_to_queue(
            json.dumps(request), group=self.contact_id, deduplication_id=f"line-{message.number}"
        )

    def _execute(self, request: Mapping[str, Any]) -> Answer | None:
        try:
            return self._stack.wait_for_execution(self._stack.start_execution(request))
        except TimeoutError:
            return None

    def _wait_for_task(self, message: Message, request: Mapping[str, Any], wait: _Wait) -> _Sent:
        # The message id is the state machine's. Others may be under way in the queue: the ClientToken tells.
        request = {"ClientToken": f"line-{message.number}", **request}
        known = self._stack.results.source_ids
        answer = self._execute(request)
        result = wait(
            lambda event: (
                event.client_token == request["ClientToken"]
                and event.event_source == "sqs"
                and event.source_id not in known
            )
        )
        return _Sent(message, None if result is None else result.source_id, answer)

    def _wait_for_answer(
        self, message: Message, call: Callable[[], Answer | HttpAnswer | None], wait: _Wait
    ) -> _Sent:
        # The answer of an error does not tell the id. No other message is under way from this source: it is
        # the next.
        source, known = _EVENT_SOURCES[message.route], self._stack.results.source_ids
        answer = call()
        if isinstance(answer, HttpAnswer) and answer.is_refusal:
            return _Sent(message, None, answer)
        result = wait(lambda event: event.event_source == source and event.source_id not in known)
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
