"""Chats, their participants and connections: what Amazon Connect would decide. No HTTP.

Sources of the rules: the `connectparticipant` service model of botocore, and the service's documentation.
"""

from __future__ import annotations

import base64
import secrets
import threading
import time
import uuid
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
    from collections.abc import Callable, Collection

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

# As long as the real ones, in the same alphabet; 451 and 226 bytes leave the `==` at the end that those have.
_CONNECTION_TOKEN_BYTES = 451
_PARTICIPANT_TOKEN_BYTES = 226


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """What StartChatContact answers."""

    contact_id: str
    participant_id: str
    participant_token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialMessage:
    """The customer's first message, which StartChatContact brings with it."""

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
        clock: seconds since the epoch. Tests may drive it; it must not go back.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._chats: dict[str, _Chat] = {}
        self._by_participant_token: dict[str, _Chat] = {}
        self._by_connection_token: dict[str, _Connection] = {}
        self._started: dict[str, Chat] = {}
        self._idempotency_window: float | None = None

    # What a participant's SDK can call.

    def create_connection(self, participant_token: str) -> Connection:
        """Give the participant one more connection; earlier ones stay good until they expire."""
        with self._lock:
            now = self._clock()
            chat = self._by_participant_token.get(participant_token)
            if chat is None:
                raise AccessDeniedError
            chat.advance(now)
            if chat.ended or chat.customer.has_left:
                raise AccessDeniedError
            if not chat.customer.connections:
                chat.add_event(PARTICIPANT_JOINED, chat.customer, now)
            connection = _Connection(
                token=_new_token(_CONNECTION_TOKEN_BYTES), chat=chat, expires_at=now + chat.token_lifetime
            )
            chat.customer.connections.append(connection)
            self._by_connection_token[connection.token] = connection
            return Connection(connection_token=connection.token, expiry=iso_time(connection.expires_at))

    def send_message(
        self,
        connection_token: str,
        *,
        content_type: str,
        content: str,
        client_token: str | None = None,
        processing_status: ProcessingStatus | None = None,
    ) -> SentMessage:
        """Accept a message, once for each `client_token` within the idempotency window.

        What the service does with the same token and another content is not documented: this one answers
        the first result. With the processing status REJECTED or FAILED the message reaches no transcript.
        """
        _check_content(content)
        _check_client_token(client_token)
        with self._lock:
            now = self._clock()
            chat = self._authorized_chat(connection_token, now)
            if chat.ended:
                raise AccessDeniedError
            if content_type not in chat.content_types:
                raise ValidationError("ContentType is not enabled for this chat")
            if client_token and (first := self._first_result(chat.customer, client_token, now)):
                return first
            sent = SentMessage(
                id=str(uuid.uuid4()), absolute_time=iso_time(now), processing_status=processing_status
            )
            if client_token:
                chat.customer.accepted[client_token] = _Accepted(now, sent)
            if processing_status not in {ProcessingStatus.REJECTED, ProcessingStatus.FAILED}:
                chat.add_message(sent, content_type=content_type, content=content, client_token=client_token)
            return sent

    def get_transcript(
        self, connection_token: str, query: TranscriptQuery, *, contact_id: str | None = None
    ) -> TranscriptPage:
        """Answer one page. A chat that has ended still has its transcript, as the documentation implies."""
        with self._lock:
            chat = self._authorized_chat(connection_token, self._clock())
            if contact_id not in {None, chat.contact_id}:
                raise AccessDeniedError
            return transcript_page(chat.contact_id, chat.items, query)

    def disconnect_participant(self, connection_token: str) -> None:
        """Let the participant leave for good: all its tokens are refused from now on."""
        with self._lock:
            now = self._clock()
            chat = self._authorized_chat(connection_token, now)
            chat.customer.has_left = True
            chat.add_event(PARTICIPANT_LEFT, chat.customer, now)

    # What an SDK of the `connect` service can call, in part; control calls too.

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
        """Start a chat with one customer in it, who has still to connect; one for each `client_token`.

        Args:
            content_types: what SupportedMessagingContentTypes would say; text/plain is always enabled.
            duration: seconds until the chat ends by itself.
            token_lifetime: seconds from a connection's creation to its token's expiry.
            display_name: the customer's name in the transcript.
            initial_message: what the transcript begins with.
            client_token: a repeat is answered with the first chat.
        """
        if unknown := set(content_types) - set(CONTENT_TYPES):
            raise ValidationError(f"Unknown content types: {', '.join(sorted(unknown))}")
        _check_client_token(client_token)
        if initial_message is not None:
            _check_content(initial_message.content)
            if initial_message.content_type not in {TEXT_PLAIN, *content_types}:
                raise ValidationError("ContentType of the initial message is not enabled for this chat")
        with self._lock:
            if client_token and (first := self._started.get(client_token)):
                return first
            now = self._clock()
            chat = _Chat(
                contact_id=str(uuid.uuid4()),
                content_types=frozenset({TEXT_PLAIN, *content_types}),
                token_lifetime=token_lifetime,
                started_at=now,
                ends_at=now + duration,
                customer=_Customer(participant_id=str(uuid.uuid4()), display_name=display_name),
            )
            participant_token = _new_token(_PARTICIPANT_TOKEN_BYTES)
            self._chats[chat.contact_id] = chat
            self._by_participant_token[participant_token] = chat
            if initial_message is not None:
                chat.add_message(
                    SentMessage(id=str(uuid.uuid4()), absolute_time=iso_time(now)),
                    content_type=initial_message.content_type,
                    content=initial_message.content,
                )
            started = Chat(
                contact_id=chat.contact_id,
                participant_id=chat.customer.participant_id,
                participant_token=participant_token,
            )
            if client_token:
                self._started[client_token] = started
            return started

    def end_chat(self, contact_id: str) -> None:
        """End a chat now; ending it once more changes nothing."""
        with self._lock:
            now = self._clock()
            chat = self._chat(contact_id, now)
            if not chat.ended:
                chat.ends_at = now
                chat.advance(now)

    # What only tests and control calls can call.

    def expire_connection_token(self, connection_token: str) -> None:
        with self._lock:
            connection = self._by_connection_token.get(connection_token)
            if connection is None:
                raise ResourceNotFoundError("No such connection token")
            connection.expires_at = min(connection.expires_at, self._clock())

    def chats(self) -> list[ChatState]:
        """Return all chats in the order in which they were started."""
        with self._lock:
            now = self._clock()
            return [chat.state(now) for chat in self._chats.values()]

    def transcript(self, contact_id: str) -> list[TranscriptItem]:
        """Return the chat's messages and events in the order of their acceptance."""
        with self._lock:
            return list(self._chat(contact_id, self._clock()).items)

    def messages(self, contact_id: str) -> list[TranscriptItem]:
        """Return the chat's transcript without its events."""
        return [item for item in self.transcript(contact_id) if item.type is ItemType.MESSAGE]

    def contact_id_of(self, connection_token: str) -> str | None:
        """Say which chat a connection token was given for, expired or not."""
        with self._lock:
            connection = self._by_connection_token.get(connection_token)
            return connection.chat.contact_id if connection else None

    def set_idempotency_window(self, seconds: float | None) -> None:
        """Set how long a repeated ClientToken is recognized; None is as long as the chat exists.

        The real window is not documented.
        """
        with self._lock:
            self._idempotency_window = seconds

    def reset(self) -> None:
        """Forget all chats and take the defaults again."""
        with self._lock:
            self._chats.clear()
            self._by_participant_token.clear()
            self._by_connection_token.clear()
            self._started.clear()
            self._idempotency_window = None

    def _chat(self, contact_id: str, now: float) -> _Chat:
        chat = self._chats.get(contact_id)
        if chat is None:
            raise ResourceNotFoundError("No such chat")
        chat.advance(now)
        return chat

    def _authorized_chat(self, connection_token: str, now: float) -> _Chat:
        connection = self._by_connection_token.get(connection_token)
        if connection is None or connection.expires_at <= now or connection.chat.customer.has_left:
            raise AccessDeniedError
        connection.chat.advance(now)
        return connection.chat

    def _first_result(self, customer: _Customer, client_token: str, now: float) -> SentMessage | None:
        accepted = customer.accepted.get(client_token)
        if accepted is None:
            return None
        window = self._idempotency_window
        return accepted.message if window is None or now - accepted.at < window else None


@dataclass(frozen=True, slots=True)
class _Accepted:
    at: float
    message: SentMessage


@dataclass(slots=True, kw_only=True)
class _Connection:
    token: str = field(repr=False)
    chat: _Chat = field(repr=False)
    expires_at: float


@dataclass(slots=True, kw_only=True)
class _Customer:
    participant_id: str
    display_name: str
    has_left: bool = False
    connections: list[_Connection] = field(default_factory=list)
    accepted: dict[str, _Accepted] = field(default_factory=dict, repr=False)


@dataclass(slots=True, kw_only=True)
class _Chat:
    contact_id: str
    content_types: frozenset[str]
    token_lifetime: float
    started_at: float
    ends_at: float
    customer: _Customer
    ended: bool = False
    items: list[TranscriptItem] = field(default_factory=list, repr=False)

    def advance(self, now: float) -> None:
        """Let the chat end if its time has come."""
        if now >= self.ends_at and not self.ended:
            self.ended = True
            self.add_event(CHAT_ENDED, None, self.ends_at)

    def add_message(
        self, sent: SentMessage, *, content_type: str, content: str, client_token: str | None = None
    ) -> None:
        self.items.append(
            TranscriptItem(
                id=sent.id,
                type=ItemType.MESSAGE,
                absolute_time=sent.absolute_time,
                content_type=content_type,
                participant_id=self.customer.participant_id,
                participant_role=ParticipantRole.CUSTOMER,
                display_name=self.customer.display_name,
                content=content,
                client_token=client_token,
                processing_status=sent.processing_status,
            )
        )

    def add_event(self, content_type: str, customer: _Customer | None, at: float) -> None:
        self.items.append(
            TranscriptItem(
                id=str(uuid.uuid4()),
                type=ItemType.EVENT,
                absolute_time=iso_time(at),
                content_type=content_type,
                participant_id=customer.participant_id if customer else "SYSTEM",
                participant_role=ParticipantRole.CUSTOMER if customer else ParticipantRole.SYSTEM,
                display_name=customer.display_name if customer else "SYSTEM",
            )
        )

    def state(self, now: float) -> ChatState:
        self.advance(now)
        return ChatState(
            contact_id=self.contact_id,
            participant_id=self.customer.participant_id,
            content_types=tuple(sorted(self.content_types)),
            started_at=iso_time(self.started_at),
            ended_at=iso_time(self.ends_at) if self.ended else None,
            disconnected=self.customer.has_left,
            connections=tuple(
                ConnectionState(expiry=iso_time(connection.expires_at), expired=connection.expires_at <= now)
                for connection in self.customer.connections
            ),
        )


def _check_content(content: str) -> None:
    """Check a message's length, which counts in bytes."""
    if not 1 <= len(content.encode("utf-8", "surrogatepass")) <= MAX_CONTENT_BYTES:
        raise ValidationError(f"Content must have 1 to {MAX_CONTENT_BYTES} bytes")


def _check_client_token(client_token: str | None) -> None:
    """Check a token's length, which counts in characters."""
    if client_token is not None and len(client_token) > MAX_CLIENT_TOKEN_LENGTH:
        raise ValidationError(f"ClientToken must have at most {MAX_CLIENT_TOKEN_LENGTH} characters")


def _new_token(random_bytes: int) -> str:
    return base64.b64encode(secrets.token_bytes(random_bytes)).decode()
