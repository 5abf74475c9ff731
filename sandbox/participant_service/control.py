"""A client of the control calls, and of CreateParticipantConnection, with which every chat begins."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import urllib3

from sandbox.participant_service.api import OPERATION_PATHS, RequestCounts
from sandbox.participant_service.chats import (
    CONTENT_TYPES,
    ONE_DAY,
    Chat,
    ChatState,
    Connection,
    ConnectionState,
)
from sandbox.participant_service.control_calls import PREFIX
from sandbox.participant_service.transcript import (
    ItemType,
    ParticipantRole,
    ProcessingStatus,
    TranscriptItem,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from sandbox.participant_service.faults import Fault

    Json: TypeAlias = Any


class ControlCallError(Exception):
    """The participant service refused a call."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class ParticipantControl:
    """A client of a participant service in another process. Close it, or use it in a `with` statement."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._http = urllib3.PoolManager(retries=False, timeout=10.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.clear()

    def start_chat(
        self,
        *,
        content_types: Collection[str] = CONTENT_TYPES,
        duration: float = ONE_DAY,
        token_lifetime: float = ONE_DAY,
        display_name: str = "Customer",
    ) -> Chat:
        """Start a chat; see `ParticipantService.start_chat`."""
        members = {
            "content_types": list(content_types),
            "duration": duration,
            "token_lifetime": token_lifetime,
            "display_name": display_name,
        }
        return Chat(**self._call("POST", "/chats", members))

    def connect(self, participant_token: str) -> Connection:
        """Connect the participant, as an application does."""
        document = self._request(
            "POST",
            OPERATION_PATHS["CreateParticipantConnection"],
            {"Type": ["CONNECTION_CREDENTIALS"], "ConnectParticipant": True},
            {"X-Amz-Bearer": participant_token},
        )
        credentials = document["ConnectionCredentials"]
        return Connection(connection_token=credentials["ConnectionToken"], expiry=credentials["Expiry"])

    def end_chat(self, contact_id: str) -> None:
        self._call("POST", f"/chats/{contact_id}/end")

    def expire_connection_token(self, connection_token: str) -> None:
        self._call("POST", "/connections/expire", {"connection_token": connection_token})

    def chats(self) -> list[ChatState]:
        return [
            ChatState(
                **document
                | {
                    "connections": tuple(ConnectionState(**each) for each in document["connections"]),
                    "content_types": tuple(document["content_types"]),
                }
            )
            for document in self._call("GET", "/chats")
        ]

    def transcript(self, contact_id: str) -> list[TranscriptItem]:
        """Return the chat's messages and events in the order of acceptance."""
        return [
            TranscriptItem(
                **document
                | {
                    "type": ItemType(document["type"]),
                    "participant_role": ParticipantRole(document["participant_role"]),
                    "processing_status": (status := document["processing_status"])
                    and ProcessingStatus(status),
                }
            )
            for document in self._call("GET", f"/chats/{contact_id}/transcript")
        ]

    def messages(self, contact_id: str) -> list[TranscriptItem]:
        """Return the chat's transcript without its events."""
        return [item for item in self.transcript(contact_id) if item.type is ItemType.MESSAGE]

    def add_fault(
        self,
        fault: Fault,
        *,
        contact_id: str | None = None,
        client_token: str | None = None,
        times: int | None = 1,
        probability: float = 1.0,
        seed: int = 0,
    ) -> None:
        """Plan a fault; see `FaultPlan.add`."""
        members = {
            "kind": fault.kind,
            "contact_id": contact_id,
            "client_token": client_token,
            "times": times,
            "forever": times is None,
            "probability": probability,
            "seed": seed,
        }
        self._call("POST", "/faults", asdict(fault) | members)

    def clear_faults(self) -> None:
        self._call("DELETE", "/faults")

    def set_throttle(self, requests_per_second: float, *, burst: int) -> None:
        """Throttle SendMessage; see `Throttle.set`."""
        self._call("PUT", "/throttle", {"requests_per_second": requests_per_second, "burst": burst})

    def throttle_off(self) -> None:
        self._call("DELETE", "/throttle")

    def set_idempotency_window(self, seconds: float | None) -> None:
        """Set how long a repeated ClientToken is recognized; see `ParticipantService`."""
        self._call("PUT", "/idempotency-window", {"seconds": seconds})

    def set_error_style(self, *, lower_case_message: bool = False, type_suffix: str = "") -> None:
        """Set how errors are written; see `ErrorStyle`."""
        members = {"lower_case_message": lower_case_message, "type_suffix": type_suffix}
        self._call("PUT", "/error-style", members)

    def request_counts(self) -> RequestCounts:
        return RequestCounts(**self._call("GET", "/requests"))

    def reset(self) -> None:
        """Delete all chats, faults and counts, and restore the defaults."""
        self._call("POST", "/reset")

    def _call(self, method: str, path: str, members: dict[str, Any] | None = None) -> Json:
        return self._request(method, PREFIX + path, members or {})

    def _request(self, method: str, path: str, members: Json, headers: dict[str, str] | None = None) -> Json:
        response = self._http.request(method, self.url + path, json=members, headers=headers)
        answer = response.json()
        if response.status != HTTPStatus.OK:
            raise ControlCallError(response.status, answer.get("Message") or answer.get("message") or "")
        return answer
