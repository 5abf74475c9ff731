"""Chats, participants and connections: the decisions of Amazon Connect, without HTTP.

Sources of the rules: the `connectparticipant` service model of botocore, and the service's documentation.
"""

from __future__ import annotations

import base64
import secrets
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox.participant_service.errors import ServiceError, access_denied, invalid
from sandbox.participant_service.transcript import (
    ProcessingStatus,
    TranscriptItem,
    TranscriptPage,
    iso_time,
    transcript_page,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

TEXT_PLAIN = "text/plain"
CONTENT_TYPES = (
    TEXT_PLAIN,
    "text/markdown",
    "application/json",
    "application/vnd.amazonaws.connect.message.interactive.response",
)
ONE_DAY = 86_400.0
_MAX_CONTENT_BYTES = 16_384

_EVENT = "application/vnd.amazonaws.connect.event"
PARTICIPANT_JOINED = f"{_EVENT}.participant.joined"
PARTICIPANT_LEFT = f"{_EVENT}.participant.left"
CHAT_ENDED = f"{_EVENT}.chat.ended"

# Tokens have the length and alphabet of real ones; 451 and 226 bytes also give the `==` at their end
_CONNECTION_TOKEN_BYTES = 451
_PARTICIPANT_TOKEN_BYTES = 226


@dataclass(slots=True, kw_only=True)
class Chat:
    """A chat with its one customer.

    Attributes:
        content_types: those that the customer may send.
        token_lifetime: seconds from a connection's creation to its token's expiry.
        ends_at: when the chat ends by itself, or ended.
        was_joined: whether the customer has ever connected.
        accepted: message and time of acceptance by ClientToken.
    """

    contact_id: str
    participant_id: str
    participant_token: str = field(repr=False)
    content_types: frozenset[str]
    token_lifetime: float
    ends_at: float
    display_name: str
    ended: bool = False
    was_joined: bool = False
    customer_left: bool = False
    accepted: dict[str | None, tuple[TranscriptItem, float]] = field(default_factory=dict, repr=False)
    items: list[TranscriptItem] = field(default_factory=list, repr=False)

    @property
    def ended_at(self) -> str | None:
        return iso_time(self.ends_at) if self.ended else None

    def advance(self, now: float) -> None:
        """End the chat if its duration is over."""
        if now >= self.ends_at and not self.ended:
            self.ended = True
            self.add_event(CHAT_ENDED, self.ends_at, role="SYSTEM")

    def add_event(self, content_type: str, at: float, *, role: str = "CUSTOMER") -> None:
        self.items.append(self.item("EVENT", content_type, at, role=role))

    def item(
        self, item_type: str, content_type: str, at: float, *, role: str = "CUSTOMER", **more: str | None
    ) -> TranscriptItem:
        is_customer = role == "CUSTOMER"
        return TranscriptItem(
            id=str(uuid.uuid4()),
            type=item_type,
            absolute_time=iso_time(at),
            content_type=content_type,
            participant_id=self.participant_id if is_customer else role,
            participant_role=role,
            display_name=self.display_name if is_customer else role,
            **more,
        )


@dataclass(slots=True, kw_only=True)
class Connection:
    chat: Chat
    connection_token: str = field(repr=False)
    expires_at: float


class ParticipantService:
    """All chats of one instance. It needs no lock: `ParticipantApi` makes one call at a time.

    Args:
        clock: seconds since the epoch. It must not go backwards.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Delete all chats and restore the defaults."""
        self._chats: dict[str, Chat] = {}
        self._by_participant_token: dict[str, Chat] = {}
        self._by_client_token: dict[str, Chat] = {}
        self._connections: dict[str, Connection] = {}
        self._idempotency_window: float | None = None

    # Operations of the participant's SDK

    def create_connection(self, participant_token: str, *, joins: bool = True) -> Connection:
        """Add a connection for the participant. Earlier ones stay valid until they expire.

        Args:
            joins: whether it connects the participant. Without that, SendMessage refuses its token.
        """
        now = self._clock()
        chat = self._by_participant_token.get(participant_token)
        if chat is None:
            raise access_denied()
        chat.advance(now)
        if chat.ended or chat.customer_left:
            raise access_denied()
        if joins and not chat.was_joined:
            chat.was_joined = True
            chat.add_event(PARTICIPANT_JOINED, now)
        connection = Connection(
            chat=chat,
            connection_token=_new_token(_CONNECTION_TOKEN_BYTES),
            expires_at=now + chat.token_lifetime,
        )
        self._connections[connection.connection_token] = connection
        return connection

    def send_message(
        self,
        connection_token: str,
        *,
        content_type: str,
        content: str,
        client_token: str | None = None,
        processing_status: ProcessingStatus | None = None,
    ) -> TranscriptItem:
        """Accept a message, once per `client_token` within the idempotency window.

        The answer to the same token with other content is not documented: here it is the first result. With
        the processing status REJECTED or FAILED the message reaches no transcript.
        """
        _check_content(content)
        chat, now = self._authorized_chat(connection_token), self._clock()
        if chat.ended or not chat.was_joined:
            raise access_denied()
        if content_type not in chat.content_types:
            raise invalid("ContentType is not enabled for this chat")
        if client_token in chat.accepted:
            first, at = chat.accepted[client_token]
            if self._idempotency_window is None or now - at < self._idempotency_window:
                return first
        message = chat.item(
            "MESSAGE",
            content_type,
            now,
            content=content,
            client_token=client_token,
            processing_status=processing_status,
        )
        if client_token:
            chat.accepted[client_token] = message, now
        if processing_status not in {ProcessingStatus.REJECTED, ProcessingStatus.FAILED}:
            chat.items.append(message)
        return message

    def get_transcript(self, connection_token: str, query: Mapping[str, Any]) -> TranscriptPage:
        """Answer a request of GetTranscript. As the documentation implies, an ended chat still has one."""
        chat = self._authorized_chat(connection_token)
        if query.get("ContactId") not in {None, chat.contact_id}:
            raise access_denied()
        return transcript_page(chat.contact_id, chat.items, query)

    def disconnect_participant(self, connection_token: str) -> None:
        """Disconnect the participant for good: from now on all its tokens are refused."""
        chat = self._authorized_chat(connection_token)
        chat.customer_left = True
        chat.add_event(PARTICIPANT_LEFT, self._clock())

    # Operations of the `connect` service and of control calls

    def start_chat(
        self,
        *,
        content_types: Collection[str] = CONTENT_TYPES,
        duration: float = ONE_DAY,
        token_lifetime: float = ONE_DAY,
        display_name: str = "Customer",
        initial_message: Mapping[str, str] | None = None,
        client_token: str | None = None,
    ) -> Chat:
        """Start a chat, once per `client_token`, with one customer who has not connected yet.

        Args:
            content_types: as in SupportedMessagingContentTypes; text/plain is always enabled.
            duration: seconds until the chat ends by itself.
            initial_message: ContentType and Content of the first message of the transcript.
        """
        if unknown := set(content_types) - set(CONTENT_TYPES):
            raise invalid(f"Unknown content types: {', '.join(sorted(unknown))}")
        now = self._clock()
        if client_token in self._by_client_token:
            return self._by_client_token[client_token]
        chat = Chat(
            contact_id=str(uuid.uuid4()),
            participant_id=str(uuid.uuid4()),
            participant_token=_new_token(_PARTICIPANT_TOKEN_BYTES),
            content_types=frozenset({TEXT_PLAIN, *content_types}),
            token_lifetime=token_lifetime,
            ends_at=now + duration,
            display_name=display_name,
        )
        if initial_message is not None:
            content_type, content = initial_message["ContentType"], initial_message["Content"]
            _check_content(content)
            if content_type not in chat.content_types:
                raise invalid("ContentType of the initial message is not enabled for this chat")
            chat.items.append(chat.item("MESSAGE", content_type, now, content=content))
        self._chats[chat.contact_id] = chat
        self._by_participant_token[chat.participant_token] = chat
        if client_token:
            self._by_client_token[client_token] = chat
        return chat

    def end_chat(self, contact_id: str) -> None:
        """End a chat. A second call has no effect."""
        chat, now = self._chat(contact_id), self._clock()
        chat.ends_at = min(chat.ends_at, now)
        chat.advance(now)

    # For tests and control calls only

    def expire_connection_token(self, connection_token: str) -> None:
        if connection_token not in self._connections:
            raise ServiceError("ResourceNotFoundException", "No such connection token")
        self._connections[connection_token].expires_at = self._clock()

    def chats(self) -> list[Chat]:
        """Return all chats, oldest first."""
        return [self._chat(contact_id) for contact_id in self._chats]

    def transcript(self, contact_id: str) -> list[TranscriptItem]:
        """Return the chat's messages and events in the order of acceptance."""
        return list(self._chat(contact_id).items)

    def messages(self, contact_id: str) -> list[TranscriptItem]:
        """Return the chat's transcript without its events."""
        return [item for item in self.transcript(contact_id) if item.type == "MESSAGE"]

    def contact_id_of(self, connection_token: str) -> str | None:
        """Return the chat of a connection token, which may have expired."""
        connection = self._connections.get(connection_token)
        return connection.chat.contact_id if connection else None

    def set_idempotency_window(self, seconds: float | None) -> None:
        """Set how long a repeated ClientToken is recognized. None means as long as the chat exists.

        The real window is not documented.
        """
        self._idempotency_window = seconds

    def _chat(self, contact_id: str) -> Chat:
        if contact_id not in self._chats:
            raise ServiceError("ResourceNotFoundException", "No such chat")
        self._chats[contact_id].advance(self._clock())
        return self._chats[contact_id]

    def _authorized_chat(self, connection_token: str) -> Chat:
        connection, now = self._connections.get(connection_token), self._clock()
        if connection is None or connection.expires_at <= now or connection.chat.customer_left:
            raise access_denied()
        connection.chat.advance(now)
        return connection.chat


def _check_content(content: str) -> None:
    if not 1 <= len(content.encode("utf-8", "surrogatepass")) <= _MAX_CONTENT_BYTES:
        raise invalid(f"Content must have 1 to {_MAX_CONTENT_BYTES} bytes")


def _new_token(random_bytes: int) -> str:
    return base64.b64encode(secrets.token_bytes(random_bytes)).decode()
