"""A client of the control calls."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

import urllib3

from sandbox.participant_service.api import CONTROL_PREFIX
from sandbox.participant_service.chats import CONTENT_TYPES
from sandbox.participant_service.transcript import TranscriptItem

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Unpack

    from sandbox.participant_service.faults import Fault, Scope

    Json: TypeAlias = Any


class ControlCallError(Exception):
    """The participant service refused a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenChat:
    contact_id: str
    participant_token: str = field(repr=False)
    connection_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ParticipantControl:
    """A client of a participant service in another process."""

    url: str

    def call(self, name: str, **arguments: object) -> Json:
        """Make a control call by its name in `ParticipantApi`.

        Raises:
            ControlCallError: The service refused it.
        """
        url = f"{self.url}{CONTROL_PREFIX}{name}"
        response = urllib3.request("POST", url, json=arguments, retries=False, timeout=10.0)
        answer = response.json()
        if response.status != HTTPStatus.OK:
            raise ControlCallError(f"{response.status}: {answer.get('Message') or answer.get('message')}")
        return answer

    def open_chat(self, *, ended: bool = False, content_types: Collection[str] = CONTENT_TYPES) -> OpenChat:
        """Start a chat and connect its customer."""
        chat = self.call("start_chat", content_types=list(content_types))
        opened = OpenChat(
            contact_id=chat["contact_id"],
            participant_token=chat["participant_token"],
            connection_token=self.new_connection_token(chat["participant_token"]),
        )
        if ended:
            self.end_chat(opened.contact_id)
        return opened

    def new_connection_token(self, participant_token: str) -> str:
        """Connect the customer once more, as you do when a connection token is about to expire."""
        return str(self.call("create_connection", participant_token=participant_token))

    def end_chat(self, contact_id: str) -> None:
        self.call("end_chat", contact_id=contact_id)

    def transcript(self, contact_id: str) -> list[TranscriptItem]:
        """Return the chat's messages and events in the order of acceptance."""
        return [TranscriptItem(**item) for item in self.call("transcript", contact_id=contact_id)]

    def messages(self, contact_id: str) -> list[TranscriptItem]:
        """Return the chat's transcript without its events."""
        return [item for item in self.transcript(contact_id) if item.type == "MESSAGE"]

    def add_fault(self, fault: Fault, **scope: Unpack[Scope]) -> None:
        """Plan a fault; see `FaultPlan.add`."""
        self.call("add_fault", fault={"kind": type(fault).__name__, **asdict(fault)}, **scope)

    def clear_faults(self) -> None:
        self.call("clear_faults")
