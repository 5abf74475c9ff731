"""Chats, participants and connections: the decisions of Amazon Connect, without HTTP.

Sources of the rules: the `connectparticipant` service model of botocore, and the service's documentation.
"""

from __future__ import annotations

import base64
import secrets
import threading
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandbox.participant_service.errors import AccessDeniedError, ResourceNotFoundError, ValidationError
from sandbox.participant_service.transcript import (
    ItemType,
    ParticipantRole,
    ProcessingStatus,
    TranscriptItem,
    TranscriptPage,
    TranscriptQuery,
    iso_time,
    transcript_page,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

TEXT_PLAIN = "text/plain"
CONTENT_TYPES = (
    TEXT_PLAIN,
    "text/markdown",
    "application/json",
    "application/vnd.amazonaws.connect.message.interactive.response",
)
ONE_DAY = 86_400.0
MAX_CONTENT_BYTES = 16_384
MAX_CLIENT_TOKEN_LENGTH = 500

_EVENT = "application/vnd.amazonaws.connect.event"
PARTICIPANT_JOINED = f"{_EVENT}.participant.joined"
PARTICIPANT_LEFT = f"{_EVENT}.participant.left"
CHAT_ENDED = f"{_EVENT}.chat.ended"

# Tokens have the length and alphabet of real ones; 451 and 226 bytes also give the `==` at their end
_CONNECTION_TOKEN_BYTES = 451
_PARTICIPANT_TOKEN_BYTES = 226


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """The answer of StartChatContact."""

    contact_id: str
    participant_id: str
    participant_token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialMessage:
    """The customer's first message, which is part of StartChatContact."""

    content_type: str
    content: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    connection_token: str = field(repr=False)
    expiry: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    id: str
    absolute_time: str
    processing_status: ProcessingStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionState:
    expiry: str
    expired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatState:
    contact_id: str
    participant_id: str
    content_types: tuple[str, ...]
    started_at: str
    ended_at: str | None
    disconnected: bool
    connections: tuple[ConnectionState, ...]


class ParticipantService:
    """All chats of one instance. Every method may be called from any thread.

    Args:
        clock: seconds since the epoch. It must not go backwards.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._chats: dict[str, _Chat] = {}
        self._by_participant_token: dict[str, _Chat] = {}
        self._by_connection_token: dict[str, _Connection] = {}
        self._by_client_token: dict[str, Chat] = {}
        self._idempotency_window: float | None = None

    # Operations of the participant's SDK

    def create_connection(self, participant_token: str) -> Connection:
        """Add a connection for the participant. Earlier ones stay valid until they expire."""
        with self._locked() as now:
            chat = self._by_participant_token.get(participant_token)
            if chat is None:
                raise AccessDeniedError
            chat.advance(now)
            if chat.ended or chat.customer_left:
                raise AccessDeniedError
            if not chat.connections:
                chat.add_event(PARTICIPANT_JOINED, now)
            connection = _Connection(chat=chat, expires_at=now + chat.token_lifetime)
            token = _new_token(_CONNECTION_TOKEN_BYTES)
            chat.connections.append(connection)
            self._by_connection_token[token] = connection
            return Connection(connection_token=token, expiry=iso_time(connection.expires_at))

    def send_message(
        self,
        connection_token: str,
        *,
        content_type: str,
        content: str,
        client_token: str | None = None,
        processing_status: ProcessingStatus | None = None,
    ) -> SentMessage:
        """Accept a message, once per `client_token` within the idempotency window.

        The answer to the same token with other content is not documented: here it is the first result. With
        the processing status REJECTED or FAILED the message reaches no transcript.
        """
        _check_content(content)
        _check_client_token(client_token)
        with self._locked() as now:
            chat = self._authorized_chat(connection_token, now)
            if chat.ended:
                raise AccessDeniedError
            if content_type not in chat.content_types:
                raise ValidationError("ContentType is not enabled for this chat")
            if client_token in chat.accepted:
                first, at = chat.accepted[client_token]
                if self._idempotency_window is None or now - at < self._idempotency_window:
                    return first
            sent = SentMessage(
                id=str(uuid.uuid4()), absolute_time=iso_time(now), processing_status=processing_status
            )
            if client_token:
                chat.accepted[client_token] = sent, now
            if processing_status not in {ProcessingStatus.REJECTED, ProcessingStatus.FAILED}:
                chat.add_message(sent, content_type=content_type, content=content, client_token=client_token)
            return sent

    def get_transcript(
        self, connection_token: str, query: TranscriptQuery, *, contact_id: str | None = None
    ) -> TranscriptPage:
        """Return one page. As the documentation implies, an ended chat still has its transcript."""
        with self._locked() as now:
            chat = self._authorized_chat(connection_token, now)
            if contact_id not in {None, chat.contact_id}:
                raise AccessDeniedError
            return transcript_page(chat.contact_id, chat.items, query)

    def disconnect_participant(self, connection_token: str) -> None:
        """Disconnect the participant for good: from now on all its tokens are refused."""
        with self._locked() as now:
            chat = self._authorized_chat(connection_token, now)
            chat.customer_left = True
            chat.add_event(PARTICIPANT_LEFT, now)

    # Operations of the `connect` service and of control calls

    def start_chat(
        self,
        *,
        content_types: Collection[str] = CONTENT_TYPES,
        duration: float = ONE_DAY,
        token_lifetime: float = ONE_DAY,
        display_name: str = "Customer",
        initial_message: InitialMessage | None = None,
        client_token: str | None = None,
    ) -> Chat:
        """Start a chat, once per `client_token`, with one customer who has not connected yet.

        Args:
            content_types: as in SupportedMessagingContentTypes; text/plain is always enabled.
            duration: seconds until the chat ends by itself.
            token_lifetime: seconds from a connection's creation to its token's expiry.
            display_name: the customer's name in the transcript.
            initial_message: the first message of the transcript.
        """
        if unknown := set(content_types) - set(CONTENT_TYPES):
            raise ValidationError(f"Unknown content types: {', '.join(sorted(unknown))}")
        _check_client_token(client_token)
        if initial_message is not None:
            _check_content(initial_message.content)
            if initial_message.content_type not in {TEXT_PLAIN, *content_types}:
                raise ValidationError("ContentType of the initial message is not enabled for this chat")
        with self._locked() as now:
            if client_token in self._by_client_token:
                return self._by_client_token[client_token]
            started = Chat(
                contact_id=str(uuid.uuid4()),
                participant_id=str(uuid.uuid4()),
                participant_token=_new_token(_PARTICIPANT_TOKEN_BYTES),
            )
            chat = _Chat(
                contact_id=started.contact_id,
                content_types=frozenset({TEXT_PLAIN, *content_types}),
                token_lifetime=token_lifetime,
                started_at=now,
                ends_at=now + duration,
                participant_id=started.participant_id,
                display_name=display_name,
            )
            self._chats[chat.contact_id] = chat
            self._by_participant_token[started.participant_token] = chat
            if initial_message is not None:
                chat.add_message(
                    SentMessage(id=str(uuid.uuid4()), absolute_time=iso_time(now)),
                    content_type=initial_message.content_type,
                    content=initial_message.content,
                )
            if client_token:
                self._by_client_token[client_token] = started
            return started

    def end_chat(self, contact_id: str) -> None:
        """End a chat. A second call has no effect."""
        with self._locked() as now:
            chat = self._chat(contact_id, now)
            if not chat.ended:
                chat.ends_at = now
                chat.advance(now)

    # For tests and control calls only

    def expire_connection_token(self, connection_token: str) -> None:
        with self._locked() as now:
            connection = self._by_connection_token.get(connection_token)
            if connection is None:
                raise ResourceNotFoundError("No such connection token")
            connection.expires_at = min(connection.expires_at, now)

    def chats(self) -> list[ChatState]:
        """Return all chats, oldest first."""
        with self._locked() as now:
            return [chat.state(now) for chat in self._chats.values()]

    def transcript(self, contact_id: str) -> list[TranscriptItem]:
        """Return the chat's messages and events in the order of acceptance."""
        with self._locked() as now:
            return list(self._chat(contact_id, now).items)

    def messages(self, contact_id: str) -> list[TranscriptItem]:
        """Return the chat's transcript without its events."""
        return [item for item in self.transcript(contact_id) if item.type is ItemType.MESSAGE]

    def contact_id_of(self, connection_token: str) -> str | None:
        """Return the chat of a connection token, which may have expired."""
        with self._lock:
            connection = self._by_connection_token.get(connection_token)
            return connection.chat.contact_id if connection else None

    def set_idempotency_window(self, seconds: float | None) -> None:
        """Set how long a repeated ClientToken is recognized. None means as long as the chat exists.

        The real window is not documented.
        """
        with self._lock:
            self._idempotency_window = seconds

    def reset(self) -> None:
        """Delete all chats and restore the defaults."""
        with self._lock:
            self._chats.clear()
            self._by_participant_token.clear()
            self._by_connection_token.clear()
            self._by_client_token.clear()
            self._idempotency_window = None

    @contextmanager
    def _locked(self) -> Iterator[float]:
        """Hold the lock, and give the time."""
        with self._lock:
            yield self._clock()

    def _chat(self, contact_id: str, now: float) -> _Chat:
        chat = self._chats.get(contact_id)
        if chat is None:
            raise ResourceNotFoundError("No such chat")
        chat.advance(now)
        return chat

    def _authorized_chat(self, connection_token: str, now: float) -> _Chat:
        connection = self._by_connection_token.get(connection_token)
        if connection is None or connection.expires_at <= now or connection.chat.customer_left:
            raise AccessDeniedError
        connection.chat.advance(now)
        return connection.chat


@dataclass(slots=True, kw_only=True)
class _Connection:
    chat: _Chat = field(repr=False)
    expires_at: float


@dataclass(slots=True, kw_only=True)
class _Chat:
    """A chat with its one customer. `accepted` has result and time of acceptance by ClientToken."""

    contact_id: str
    content_types: frozenset[str]
    token_lifetime: float
    started_at: float
    ends_at: float
    participant_id: str
    display_name: str
    ended: bool = False
    customer_left: bool = False
    connections: list[_Connection] = field(default_factory=list)
    accepted: dict[str | None, tuple[SentMessage, float]] = field(default_factory=dict, repr=False)
    items: list[TranscriptItem] = field(default_factory=list, repr=False)

    def advance(self, now: float) -> None:
        """End the chat if its duration is over."""
        if now >= self.ends_at and not self.ended:
            self.ended = True
            self.add_event(CHAT_ENDED, self.ends_at, role=ParticipantRole.SYSTEM)

    def add_message(
        self, sent: SentMessage, *, content_type: str, content: str, client_token: str | None = None
    ) -> None:
        self.items.append(
            TranscriptItem(
                id=sent.id,
                type=ItemType.MESSAGE,
                absolute_time=sent.absolute_time,
                content_type=content_type,
                participant_id=self.participant_id,
                participant_role=ParticipantRole.CUSTOMER,
                display_name=self.display_name,
                content=content,
                client_token=client_token,
                processing_status=sent.processing_status,
            )
        )

    def add_event(
        self, content_type: str, at: float, *, role: ParticipantRole = ParticipantRole.CUSTOMER
    ) -> None:
        is_customer = role is ParticipantRole.CUSTOMER
        self.items.append(
            TranscriptItem(
                id=str(uuid.uuid4()),
                type=ItemType.EVENT,
                absolute_time=iso_time(at),
                content_type=content_type,
                participant_id=self.participant_id if is_customer else "SYSTEM",
                participant_role=role,
                display_name=self.display_name if is_customer else "SYSTEM",
            )
        )

    def state(self, now: float) -> ChatState:
        self.advance(now)
        return ChatState(
            contact_id=self.contact_id,
            participant_id=self.participant_id,
            content_types=tuple(sorted(self.content_types)),
            started_at=iso_time(self.started_at),
            ended_at=iso_time(self.ends_at) if self.ended else None,
            disconnected=self.customer_left,
            connections=tuple(
                ConnectionState(expiry=iso_time(connection.expires_at), expired=connection.expires_at <= now)
                for connection in self.connections
            ),
        )


def _check_content(content: str) -> None:
    if not 1 <= len(content.encode("utf-8", "surrogatepass")) <= MAX_CONTENT_BYTES:
        raise ValidationError(f"Content must have 1 to {MAX_CONTENT_BYTES} bytes")


def _check_client_token(client_token: str | None) -> None:
    if client_token is not None and len(client_token) > MAX_CLIENT_TOKEN_LENGTH:
        raise ValidationError(f"ClientToken must have at most {MAX_CLIENT_TOKEN_LENGTH} characters")


def _new_token(random_bytes: int) -> str:
    return base64.b64encode(secrets.token_bytes(random_bytes)).decode()
