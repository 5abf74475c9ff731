"""The producers' own record of the messages that they sent. Plain data: the invariants know no other plan.

Most texts hold `confidential-` and a number. The number identifies the text in a transcript, and the word
must not appear in any captured output.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET_WORD: Final = "confidential-"
NUMBER: Final = re.compile(rf"{SECRET_WORD}(\d+)")
LINE: Final = re.compile(rf"{SECRET_WORD}(\d+)-line-(\d+)")
"""In a long text, which is sent in parts: the number of the text and that of the line."""
TASK_TOKEN_PREFIX: Final = f"task-token-{SECRET_WORD}"

Fields = dict[str, Any]


class Route(StrEnum):
    """An event source, as a producer uses it."""

    QUEUE = "queue"
    BUS = "bus"
    DIRECT = "direct"
    API = "api"

    @property
    def has_caller(self) -> bool:
        """Whether a caller waits for the answer."""
        return self in {Route.DIRECT, Route.API}


@dataclass(slots=True)
class Chat:
    """A chat as its producers know it.

    Attributes:
        connection_tokens: Every token that a producer got for it. The last one is in use.
        sealed_token: Made at the first message that uses it.
        ended: Whether the chat ended, or a token expired, before the run did.
        participant_id: The participant whose connection tokens these are.
    """

    number: int
    contact_id: str
    connection_tokens: list[str] = field(repr=False)
    participant_id: str = ""
    sealed_token: str = field(default="", repr=False)
    ended: bool = False

    @property
    def connection_token(self) -> str:
        return self.connection_tokens[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """One time that a producer sent a message.

    Attributes:
        body: The text of the request, as the producer wrote it.
        request: The same as an object. None if the text is no object.
        at: The moment, on the clock of the simulation.
        dated: The moment with which the producer dated the event. None for any other route.
        group: The message group in the queue.
    """

    route: Route
    body: str = field(repr=False)
    request: Fields | None = field(repr=False)
    at: datetime
    dated: datetime | None = None
    group: str | None = None

    @classmethod
    def of(
        cls,
        body: Fields | str,
        route: Route,
        *,
        at: datetime,
        dated: datetime | None = None,
        group: str | None = None,
    ) -> Sending:
        """Record a request, given as an object or as text."""
        text = body if isinstance(body, str) else json.dumps(body)
        request = None if isinstance(body, str) else body
        return cls(route=route, body=text, request=request, at=at, dated=dated, group=group)

    @property
    def expires_at(self) -> datetime | None:
        try:
            return datetime.fromisoformat((self.request or {})["ExpiresAt"].upper())
        except (AttributeError, KeyError, ValueError):
            return None


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one call.

    Attributes:
        name: `SENT`, the name of an error, or None for a lost call.
        status: The HTTP status, of the API.
        document: The result, or the body of the answer. None if there is none.
    """

    source_id: str
    name: str | None
    status: int | None = None
    document: Mapping[str, Any] | None = None


@dataclass(slots=True, kw_only=True)
class Accepted:
    """A message that a service has accepted, or that a caller waits for.

    Attributes:
        number: Identifies its text.
        route: The first one, if it was sent by several.
        code: The error code of an invalid message. None if the message is valid.
        lines: Of a long text whose lines have numbers. 0 for any other.
        source_ids: The ids that the producer got, one for each time that it sent the message.
        sendings: By source id, those of calls included.
        replies: The answers to a caller's calls, in order.
        follows: The message whose outcome SENT its producer awaited before it sent this one.
    """

    number: int
    route: Route
    chat: Chat
    client_token: str
    at: float
    code: str | None = None
    lines: int = 0
    source_ids: list[str] = field(default_factory=list)
    sendings: dict[str, Sending] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)
    follows: Accepted | None = field(default=None, repr=False)

    @property
    def answers(self) -> list[str | None]:
        return [reply.name for reply in self.replies]

    @property
    def request(self) -> Fields | None:
        """The request, as it was sent first. The text is the same each time."""
        return next(iter(self.sendings.values())).request if self.sendings else None

    @property
    def split_at(self) -> int | None:
        found = (self.request or {}).get("SplitAt")
        return int(found) if isinstance(found, (int, float)) else None

    @property
    def sealed(self) -> bool:
        """Whether its connection token must be decrypted."""
        return any(
            str((sending.request or {}).get("ConnectionToken")).startswith("sealed:")
            for sending in self.sendings.values()
        )

    @property
    def expires(self) -> bool:
        """Whether it has an ExpiresAt that may pass."""
        return any(sending.expires_at is not None for sending in self.sendings.values())

    @property
    def awaited_outcome(self) -> bool:
        """Whether a producer waits for its result, and not only for the answer to a call."""
        return any(not sending.route.has_caller for sending in self.sendings.values())

    @property
    def keeps_order(self) -> bool:
        """Whether it was only ever sent to the queue."""
        return all(sending.route is Route.QUEUE for sending in self.sendings.values())


def client_token_in(body: str) -> str | None:
    """Return the ClientToken in the text of a request, None if there is none."""
    return string_in(body, "ClientToken")


def string_in(body: str, name: str) -> str | None:
    """Return a text in the text of a request, None if there is none or the request cannot be read."""
    try:
        value = json.loads(body).get(name)
    except (ValueError, AttributeError, RecursionError):
        return None
    return value if isinstance(value, str) else None
