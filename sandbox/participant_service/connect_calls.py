"""The two operations of the `connect` service that a chat begins and ends with, as its SDKs call them.

Paths, members and errors are those of botocore's `connect` model of 2017-08-08. Any credentials will do, any
instance and any flow. What a stand-in without flows, contact records and streams cannot do is refused by name
(`_NOT_SERVED`), except for Attributes and the like, which only a flow could look at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from sandbox.participant_service.chats import CONTENT_TYPES, TEXT_PLAIN, InitialMessage
from sandbox.participant_service.errors import InvalidParameterError, InvalidRequestError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandbox.participant_service.chats import ParticipantService
    from sandbox.participant_service.members import Members

    ConnectCall: TypeAlias = Callable[[Members], object]

# Customers are shown these, and do not send them
_INTERACTIVE = "application/vnd.amazonaws.connect.message.interactive"

_NOT_SERVED = ("ChatStreamingConfiguration", "ConnectionTypes", "PersistentChat")

_DEFAULT_DURATION_MINUTES = 25 * 60
_MIN_DURATION_MINUTES = 60
_MAX_DURATION_MINUTES = 7 * 24 * 60


class ConnectCalls:
    def __init__(self, service: ParticipantService) -> None:
        self._service = service
        self.routes: Mapping[tuple[str, str], ConnectCall] = {
            ("PUT", "/contact/chat"): _with_errors_of_connect(self._start_chat_contact),
            ("POST", "/contact/stop"): _with_errors_of_connect(self._stop_contact),
        }

    def _start_chat_contact(self, members: Members) -> object:
        for name in _NOT_SERVED:
            if members.has(name):
                raise InvalidRequestError(f"{name} is not served by this local service")
        members.text("InstanceId", longest=100)
        members.text("ContactFlowId", longest=500)
        minutes = members.get("ChatDurationInMinutes", _DEFAULT_DURATION_MINUTES)
        if not _MIN_DURATION_MINUTES <= minutes <= _MAX_DURATION_MINUTES:
            raise InvalidParameterError("ChatDurationInMinutes must be between 60 and 10080")
        chat = self._service.start_chat(
            content_types=_content_types(members),
            duration=minutes * 60.0,
            display_name=members.required_members("ParticipantDetails").text("DisplayName", longest=256),
            initial_message=_initial_message(members),
            client_token=members.optional("ClientToken", str),
        )
        return {
            "ContactId": chat.contact_id,
            "ParticipantId": chat.participant_id,
            "ParticipantToken": chat.participant_token,
        }

    def _stop_contact(self, members: Members) -> object:
        members.text("InstanceId", longest=100)
        self._service.end_chat(members.text("ContactId", longest=256))
        return {}


def _with_errors_of_connect(call: ConnectCall) -> ConnectCall:
    """Let bad input have the name that the `connect` model has for it: it knows no ValidationException."""

    def renamed(members: Members) -> object:
        try:
            return call(members)
        except ValidationError as error:
            raise InvalidParameterError(str(error)) from None

    return renamed


def _content_types(members: Members) -> list[str]:
    content_types = members.strings("SupportedMessagingContentTypes")
    if content_types is None:
        return [TEXT_PLAIN]
    if TEXT_PLAIN not in content_types:
        raise InvalidParameterError(f"SupportedMessagingContentTypes must contain {TEXT_PLAIN}")
    if not {*CONTENT_TYPES, _INTERACTIVE}.issuperset(content_types):
        raise InvalidParameterError("SupportedMessagingContentTypes holds an unknown content type")
    return [content_type for content_type in content_types if content_type != _INTERACTIVE]


def _initial_message(members: Members) -> InitialMessage | None:
    message = members.members("InitialMessage")
    if message is None:
        return None
    return InitialMessage(
        content_type=message.required("ContentType", str), content=message.required("Content", str)
    )
