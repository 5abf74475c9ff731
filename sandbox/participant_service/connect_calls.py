"""StartChatContact and StopContact of the `connect` service, with which a chat begins and ends.

Paths, members and errors are those of botocore's `connect` model of 2017-08-08. Any credentials, instance and
flow are accepted. `_UNSUPPORTED` members need contact records or streams, so they are refused. Attributes and
similar members, which only a flow reads, are ignored.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.participant_service.chats import CONTENT_TYPES, TEXT_PLAIN, InitialMessage
from sandbox.participant_service.errors import InvalidParameterError, InvalidRequestError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.participant_service.chats import ParticipantService
    from sandbox.participant_service.members import Members

# Customers receive this type and never send it
_INTERACTIVE = "application/vnd.amazonaws.connect.message.interactive"
_UNSUPPORTED = ("ChatStreamingConfiguration", "ConnectionTypes", "PersistentChat")
_MIN_DURATION_MINUTES, _DEFAULT_DURATION_MINUTES, _MAX_DURATION_MINUTES = 60, 25 * 60, 7 * 24 * 60


def connect_call(
    call: Callable[[ParticipantService, Members], dict[str, Any]], service: ParticipantService
) -> Callable[[Members], dict[str, Any]]:
    """Bind a call to the service, and rename its ValidationError: the `connect` model does not have it."""

    def bound(members: Members) -> dict[str, Any]:
        try:
            return call(service, members)
        except ValidationError as error:
            raise InvalidParameterError(str(error)) from None

    return bound


def start_chat_contact(service: ParticipantService, members: Members) -> dict[str, Any]:
    for name in _UNSUPPORTED:
        if members.has(name):
            raise InvalidRequestError(f"{name} is not served by this local service")
    members.text("InstanceId", max_length=100)
    members.text("ContactFlowId", max_length=500)
    minutes = members.optional("ChatDurationInMinutes", int)
    if minutes is None:
        minutes = _DEFAULT_DURATION_MINUTES
    if not _MIN_DURATION_MINUTES <= minutes <= _MAX_DURATION_MINUTES:
        raise ValidationError("ChatDurationInMinutes must be between 60 and 10080")
    message = members.nested("InitialMessage")
    chat = service.start_chat(
        content_types=_content_types(members),
        duration=minutes * 60.0,
        display_name=members.required_nested("ParticipantDetails").text("DisplayName", max_length=256),
        initial_message=None
        if message is None
        else InitialMessage(
            content_type=message.required("ContentType", str), content=message.required("Content", str)
        ),
        client_token=members.optional("ClientToken", str),
    )
    return {
        "ContactId": chat.contact_id,
        "ParticipantId": chat.participant_id,
        "ParticipantToken": chat.participant_token,
    }


def stop_contact(service: ParticipantService, members: Members) -> dict[str, Any]:
    members.text("InstanceId", max_length=100)
    service.end_chat(members.text("ContactId", max_length=256))
    return {}


def _content_types(members: Members) -> list[str]:
    content_types = members.strings("SupportedMessagingContentTypes")
    if content_types is None:
        return [TEXT_PLAIN]
    if TEXT_PLAIN not in content_types:
        raise ValidationError(f"SupportedMessagingContentTypes must contain {TEXT_PLAIN}")
    if not {*CONTENT_TYPES, _INTERACTIVE}.issuperset(content_types):
        raise ValidationError("SupportedMessagingContentTypes contains an unknown content type")
    return [content_type for content_type in content_types if content_type != _INTERACTIVE]
