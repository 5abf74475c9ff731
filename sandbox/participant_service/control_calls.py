"""The calls under `/_local`: what AWS does not offer. The client is `control`."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, TypeAlias

from sandbox.participant_service.api import ErrorStyle, ParticipantApi
from sandbox.participant_service.chats import CONTENT_TYPES, ONE_DAY
from sandbox.participant_service.errors import ValidationError
from sandbox.participant_service.faults import (
    AcceptedThenCut,
    AcceptedThenStatus,
    BadBody,
    BodyCutShort,
    Fault,
    Latency,
    Processing,
    ResetBeforeAcceptance,
    Status,
)
from sandbox.participant_service.transcript import ProcessingStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.participant_service.members import Members

    ControlCall: TypeAlias = Callable[[Members, Mapping[str, str]], object]
    """Body and path parameters in, a document out."""

PREFIX = "/_local"


class ControlCalls:
    def __init__(self, api: ParticipantApi) -> None:
        self._api = api
        self.routes: Mapping[tuple[str, str], ControlCall] = {
            ("POST", "/chats"): self._start_chat,
            ("GET", "/chats"): self._chats,
            ("GET", "/chats/{contact_id}/transcript"): self._transcript,
            ("POST", "/chats/{contact_id}/end"): self._end_chat,
            ("POST", "/connections/expire"): self._expire_connection_token,
            ("POST", "/faults"): self._add_fault,
            ("DELETE", "/faults"): self._clear_faults,
            ("PUT", "/throttle"): self._set_throttle,
            ("DELETE", "/throttle"): self._throttle_off,
            ("PUT", "/idempotency-window"): self._set_idempotency_window,
            ("PUT", "/error-style"): self._set_error_style,
            ("GET", "/requests"): self._request_counts,
            ("POST", "/reset"): self._reset,
        }

    def _start_chat(self, members: Members, _: Mapping[str, str]) -> object:
        content_types = members.strings("content_types")
        chat = self._api.service.start_chat(
            content_types=CONTENT_TYPES if content_types is None else content_types,
            duration=members.get("duration", ONE_DAY),
            token_lifetime=members.get("token_lifetime", ONE_DAY),
            display_name=members.get("display_name", "Customer"),
        )
        return asdict(chat)

    def _chats(self, _: Members, __: Mapping[str, str]) -> object:
        return {"chats": [asdict(chat) for chat in self._api.service.chats()]}

    def _transcript(self, _: Members, path: Mapping[str, str]) -> object:
        return {"items": [asdict(item) for item in self._api.service.transcript(path["contact_id"])]}

    def _end_chat(self, _: Members, path: Mapping[str, str]) -> object:
        self._api.service.end_chat(path["contact_id"])
        return {}

    def _expire_connection_token(self, members: Members, _: Mapping[str, str]) -> object:
        self._api.service.expire_connection_token(members.required("connection_token", str))
        return {}

    def _add_fault(self, members: Members, _: Mapping[str, str]) -> object:
        """Plan a fault: once, or so many `times`, or `forever`."""
        self._api.faults.add(
            _read_fault(members),
            contact_id=members.optional("contact_id", str),
            client_token=members.optional("client_token", str),
            times=None if members.get("forever", False) else members.get("times", 1),
            probability=members.get("probability", 1.0),
            seed=members.get("seed", 0),
        )
        return {}

    def _clear_faults(self, _: Members, __: Mapping[str, str]) -> object:
        self._api.faults.clear()
        return {}

    def _set_throttle(self, members: Members, _: Mapping[str, str]) -> object:
        self._api.throttle.set(
            members.required("requests_per_second", float), burst=members.required("burst", int)
        )
        return {}

    def _throttle_off(self, _: Members, __: Mapping[str, str]) -> object:
        self._api.throttle.off()
        return {}

    def _set_idempotency_window(self, members: Members, _: Mapping[str, str]) -> object:
        """Without `seconds`, the window is as long as the chat."""
        self._api.service.set_idempotency_window(members.optional("seconds", float))
        return {}

    def _set_error_style(self, members: Members, _: Mapping[str, str]) -> object:
        self._api.error_style = ErrorStyle(
            lower_case_message=members.get("lower_case_message", False),
            type_suffix=members.get("type_suffix", ""),
        )
        return {}

    def _request_counts(self, _: Members, __: Mapping[str, str]) -> object:
        return asdict(self._api.request_counts())

    def _reset(self, _: Members, __: Mapping[str, str]) -> object:
        self._api.reset()
        return {}


def _read_fault(members: Members) -> Fault:
    match members.required("kind", str):
        case Latency.kind:
            fault: Fault = Latency()
        case Status.kind:
            fault = Status(
                status=members.required("status", int),
                error_type=members.optional("error_type", str),
                retry_after_ms=members.optional("retry_after_ms", int),
                retry_after=members.optional("retry_after", int),
                location=members.optional("location", str),
            )
        case ResetBeforeAcceptance.kind:
            fault = ResetBeforeAcceptance()
        case AcceptedThenCut.kind:
            fault = AcceptedThenCut()
        case AcceptedThenStatus.kind:
            fault = AcceptedThenStatus(status=members.get("status", 500))
        case BodyCutShort.kind:
            fault = BodyCutShort()
        case BadBody.kind:
            fault = BadBody(body=members.get("body", BadBody().body))
        case Processing.kind:
            fault = Processing(status=members.required_enum("status", ProcessingStatus))
        case _:
            raise ValidationError("kind is not the name of a fault")
    return replace(fault, latency=members.get("latency", 0.0))
