"""A client for the control calls, and for the one step of a participant that every chat begins with."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Self

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
    from types import TracebackType

    from sandbox.participant_service.faults import Fault

HTTP_OK = 200


class ControlCallError(Exception):
    """The participant service refused a call."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class ParticipantControl:
    """A client of a participant service that runs in another process. To be closed, or used in a `with`.

    Args:
        url: as the service printed it.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._http = urllib3.PoolManager(retries=False, timeout=10.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
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
        return Chat(
            **self._control(
                "POST",
                "/chats",
                {
                    "content_types": list(content_types),
                    "duration": duration,
                    "token_lifetime": token_lifetime,
                    "display_name": display_name,
                },
            )
        )

    def connect(self, participant_token: str) -> Connection:
        """Connect the participant as an application does, with CreateParticipantConnection."""
        document = self._request(
            "POST",
            OPERATION_PATHS["CreateParticipantConnection"],
            {"Type": ["CONNECTION_CREDENTIALS"], "ConnectParticipant": True},
            {"X-Amz-Bearer": participant_token},
        )
        credentials = document["ConnectionCredentials"]
        return Connection(connection_token=credentials["ConnectionToken"], expiry=credentials["Expiry"])

    def end_chat(self, contact_id: str) -> None:
        self._control("POST", f"/chats/{contact_id}/end")

    def expire_connection_token(self, connection_token: str) -> None:
        self._control("POST", "/connections/expire", {"connection_token": connection_token})

    def chats(self) -> list[ChatState]:
        return [_chat_state(document) for document in self._control("GET", "/chats")["chats"]]

    def transcript(self, contact_id: str) -> list[TranscriptItem]:
        """Return the chat's messages and events in the order of their acceptance."""
        documents = self._control("GET", f"/chats/{contact_id}/transcript")["items"]
        return [_transcript_item(document) for document in documents]

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
        self._control(
            "POST",
            "/faults",
            {
                **asdict(fault),
                "kind": fault.kind,
                "contact_id": contact_id,
                "client_token": client_token,
                "times": times,
                "forever": times is None,
                "probability": probability,
                "seed": seed,
            },
        )

    def clear_faults(self) -> None:
        self._control("DELETE", "/faults")

    def set_throttle(self, requests_per_second: float, *, burst: int) -> None:
        """Throttle SendMessage; see `Throttle.set`."""
        self._control("PUT", "/throttle", {"requests_per_second": requests_per_second, "burst": burst})

    def throttle_off(self) -> None:
        self._control("DELETE", "/throttle")

    def set_idempotency_window(self, seconds: float | None) -> None:
        """Set how long a repeated ClientToken is recognized; None is as long as the chat exists."""
        self._control("PUT", "/idempotency-window", {"seconds": seconds})

    def set_error_style(self, *, lower_case_message: bool = False, type_suffix: str = "") -> None:
        """Set how errors are written; see `ErrorStyle`."""
        self._control(
            "PUT",
            "/error-style",
            {"lower_case_message": lower_case_message, "type_suffix": type_suffix},
        )

    def request_counts(self) -> RequestCounts:
        return RequestCounts(**self._control("GET", "/requests"))

    def reset(self) -> None:
        """Forget all chats, faults and counts, and take the defaults again."""
        self._control("POST", "/reset")

    def _control(self, method: str, path: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
        return self._request(method, PREFIX + path, document, {})

    def _request(
        self, method: str, path: str, document: dict[str, Any] | None, headers: dict[str, str]
    ) -> dict[str, Any]:
        response = self._http.request(
            method,
            self.url + path,
            body=None if document is None else json.dumps(document),
            headers={"Content-Type": "application/json", **headers},
        )
        answer: dict[str, Any] = response.json()
        if response.status != HTTP_OK:
            raise ControlCallError(response.status, answer.get("Message") or answer.get("message") or "")
        return answer


def _chat_state(document: dict[str, Any]) -> ChatState:
    connections = tuple(ConnectionState(**connection) for connection in document["connections"])
    content_types = tuple(document["content_types"])
    return ChatState(**{**document, "connections": connections, "content_types": content_types})


def _transcript_item(document: dict[str, Any]) -> TranscriptItem:
    status = document["processing_status"]
    return TranscriptItem(
        **{
            **document,
            "type": ItemType(document["type"]),
            "participant_role": ParticipantRole(document["participant_role"]),
            "processing_status": None if status is None else ProcessingStatus(status),
        }
    )
