"""Settings of the smoke test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.producer import EventSource


@dataclass(frozen=True, slots=True, kw_only=True)
class NewChat:
    """A chat to start."""

    instance_id: str
    contact_flow_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenChat:
    """An existing chat, by a connection to it."""

    connection_token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What to test.

    Attributes:
        connect_region: The instance's Region. None means the stack's.
        sources: None means all that the stack offers.
        api_url: None means the stack's output `ApiUrl`.
        long: Also repeat a ClientToken after 1 and 10 minutes.
    """

    stack_name: str
    chat: NewChat | GivenChat
    connect_region: str | None = None
    sources: tuple[EventSource, ...] | None = None
    api_url: str | None = None
    long: bool = False
