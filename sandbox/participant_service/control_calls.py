"""The calls under `/_local`, which AWS does not offer. Their client is `control`."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, TypeAlias

from sandbox.participant_service.api import ErrorStyle, ParticipantApi
from sandbox.participant_service.errors import ValidationError
from sandbox.participant_service.faults import FAULTS, Fault, Processing
from sandbox.participant_service.transcript import ProcessingStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.participant_service.members import Members

    Call: TypeAlias = Callable[[Members], object]
    """Takes body and path parameters as one object, returns a document."""

PREFIX = "/_local"
_FAULT_MEMBERS: Mapping[str, type] = {
    "latency": float,
    "status": int,
    "error_type": str,
    "retry_after_ms": int,
    "retry_after": int,
    "location": str,
    "body": str,
}


def control_calls(api: ParticipantApi) -> Mapping[tuple[str, str], Call]:
    """Return the calls by method and path."""
    service = api.service

    def start_chat(members: Members) -> object:
        members.strings("content_types")
        options = members.present(content_types=list, duration=float, token_lifetime=float, display_name=str)
        return service.start_chat(**options)

    def add_fault(members: Members) -> None:
        """Plan a fault: once, or `times` times, or `forever`."""
        options = members.present(contact_id=str, client_token=str, times=int, probability=float, seed=int)
        if members.optional("forever", bool):
            options["times"] = None
        api.faults.add(_read_fault(members), **options)

    def set_throttle(members: Members) -> None:
        rate = members.required("requests_per_second", float)
        api.throttle.set(rate, burst=members.required("burst", int))

    def set_error_style(members: Members) -> None:
        api.error_style = ErrorStyle(**members.present(lower_case_message=bool, type_suffix=str))

    return {
        ("POST", "/chats"): start_chat,
        ("GET", "/chats"): lambda _: service.chats(),
        ("GET", "/chats/{contact_id}/transcript"): lambda members: service.transcript(
            members.required("contact_id", str)
        ),
        ("POST", "/chats/{contact_id}/end"): lambda members: service.end_chat(
            members.required("contact_id", str)
        ),
        ("POST", "/connections/expire"): lambda members: service.expire_connection_token(
            members.required("connection_token", str)
        ),
        ("POST", "/faults"): add_fault,
        ("DELETE", "/faults"): lambda _: api.faults.clear(),
        ("PUT", "/throttle"): set_throttle,
        ("DELETE", "/throttle"): lambda _: api.throttle.off(),
        ("PUT", "/idempotency-window"): lambda members: service.set_idempotency_window(
            members.optional("seconds", float)
        ),
        ("PUT", "/error-style"): set_error_style,
        ("GET", "/requests"): lambda _: api.request_counts(),
        ("POST", "/reset"): lambda _: api.reset(),
    }


def _read_fault(members: Members) -> Fault:
    fault = FAULTS.get(members.required("kind", str))
    if fault is None:
        raise ValidationError("kind is not the name of a fault")
    types = {**_FAULT_MEMBERS, **({"status": ProcessingStatus} if fault is Processing else {})}
    try:
        return fault(**members.present(**{each.name: types[each.name] for each in fields(fault)}))
    except TypeError:  # the only member without a default
        raise ValidationError("status is missing") from None
