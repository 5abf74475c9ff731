"""The service without a socket: takes the bytes of a request, and returns an answer or a cut.

StartChatContact, StopContact and those for streaming are operations of the `connect` service. They accept any
credentials, instance and flow. They ignore attributes and other members that only flows read. Nothing is
streamed: clients read the transcript.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
import uuid
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sandbox.participant_service.chats import TEXT_PLAIN, Chat, Connection, ParticipantService
from sandbox.participant_service.errors import STATUSES, ServiceError, access_denied, invalid
from sandbox.participant_service.faults import (
    BadBody,
    Ending,
    Fault,
    FaultPlan,
    Processing,
    Scope,
    Status,
    Throttle,
    check_arguments,
    fault_from,
)
from sandbox.participant_service.operations import OPERATIONS, without_nulls
from sandbox.participant_service.transcript import TranscriptItem, iso_time

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Unpack

CONTROL_PREFIX = "/_local/"

# The name of an error for a status
_ERROR_TYPES = {status: code for code, status in reversed(STATUSES.items())}
_WEBSOCKET_URL_LIFETIME = 100.0
_DEFAULT_DURATION_MINUTES = 25 * 60
# Customers receive this type and never send it
_INTERACTIVE = "application/vnd.amazonaws.connect.message.interactive"
# These members of StartChatContact need contact records or streams. If they were ignored, a program that
# relies on them would seem to work.
_UNSUPPORTED = ("PersistentChat",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP response. `latency` is in seconds."""

    status: int = 200
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)
    ending: Ending = Ending.KEPT_OPEN
    latency: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorStyle:
    """Two differences between errors of the real service.

    Args:
        lower_case_message: the body has `message`, not `Message`.
        type_suffix: follows the name in `x-amzn-errortype`, for instance `:http://internal.amazon.com/x/`.
    """

    lower_case_message: bool = False
    type_suffix: str = ""


class ParticipantApi:
    """Answers requests, from any thread.

    Attributes:
        requests: HTTP requests by operation, failed ones included.
        client_tokens: HTTP requests of SendMessage by ClientToken.
    """

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.requests: Counter[str] = Counter()
        self.client_tokens: Counter[str] = Counter()
        self.service = ParticipantService(clock=clock)
        self.faults = FaultPlan()
        self.throttle = Throttle(clock=clock)
        self.error_style = ErrorStyle()
        self._operations: Mapping[str, Callable[[str, dict[str, Any]], object]] = {
            "CreateParticipantConnection": self._create_participant_connection,
            "DisconnectParticipant": lambda token, _: self.service.disconnect_participant(token),
            "GetTranscript": self._get_transcript,
            "SendMessage": self._send_message,
            "StartChatContact": self._start_chat_contact,
            "StartContactStreaming": self._start_contact_streaming,
            "StopContactStreaming": self._stop_contact_streaming,
            "StopContact": lambda _, request: self.service.end_chat(request["ContactId"]),
        }
        self._control_calls: Mapping[str, Callable[..., object]] = {
            "add_fault": self._add_fault,
            "chats": self.service.chats,
            "clear_faults": self.faults.clear,
            "create_connection": self._new_connection_token,
            "end_chat": self.service.end_chat,
            "expire_connection_token": self.service.expire_connection_token,
            "requests": lambda: self.requests,
            "reset": self.reset,
            "set_error_style": self._set_error_style,
            "set_idempotency_window": self.service.set_idempotency_window,
            "set_throttle": self.throttle.set,
            "start_chat": self.service.start_chat,
            "throttle_off": self.throttle.off,
            "transcript": self.service.transcript,
        }

    def answer(self, method: str, path: str, *, bearer: str | None, body: bytes) -> Answer:
        """Answer one request.

        Args:
            bearer: the header `X-Amz-Bearer`.
        """
        try:
            with self._lock:
                if method == "POST" and path.startswith(CONTROL_PREFIX):
                    document = self._control(path.removeprefix(CONTROL_PREFIX), body)
                else:
                    document = self._operate(method, path, bearer, body)
        except ServiceError as error:
            return self._error(error.status, error.code, str(error))
        if isinstance(document, Answer):
            return document
        return _json_answer({} if document is None else document)

    def reset(self) -> None:
        """Delete all chats, faults and counts, and restore the defaults."""
        self.requests.clear()
        self.client_tokens.clear()
        self.service.reset()
        self.faults.clear()
        self.throttle.off()
        self.error_style = ErrorStyle()

    def _operate(self, method: str, path: str, bearer: str | None, body: bytes) -> object:
        operation = OPERATIONS.get((method, path))
        if operation is None:
            names = ", ".join(each.name for each in OPERATIONS.values())
            raise ServiceError("UnknownOperationException", f"This local service has {names}")
        self.requests[operation.name] += 1
        is_of_participant = path.startswith("/participant/")
        if is_of_participant and not bearer:
            raise access_denied()
        try:
            return self._operations[operation.name](bearer or "", operation.read(body))
        except ServiceError as error:
            if is_of_participant or error.code != "ValidationException":
                raise
            # The `connect` model has another name for it
            raise ServiceError("InvalidParameterException", str(error)) from None

    def _control(self, name: str, body: bytes) -> object:
        """Make a control call. The members of the body are its arguments."""
        if name not in self._control_calls:
            names = ", ".join(self._control_calls)
            raise ServiceError("UnknownOperationException", f"The control calls are {names}")
        try:
            arguments = json.loads(body or b"{}")
            if not isinstance(arguments, dict):
                raise invalid("The arguments are not valid: they must be an object")
            check_arguments(self._control_calls[name], arguments)
            return self._control_calls[name](**arguments)
        except KeyError as error:
            raise invalid(f"The arguments are not valid: {error} is missing") from None
        except TypeError:  # its text is about Python
            raise invalid("The arguments are not valid") from None
        except ValueError as error:
            raise invalid(f"The arguments are not valid: {error}") from None

    def _add_fault(self, fault: Mapping[str, Any], **scope: Unpack[Scope]) -> None:
        self.faults.add(fault_from(fault), **scope)

    def _new_connection_token(self, participant_token: str) -> str:
        return self.service.create_connection(participant_token).connection_token

    def _set_error_style(self, *, lower_case_message: bool = False, type_suffix: str = "") -> None:
        self.error_style = ErrorStyle(lower_case_message=lower_case_message, type_suffix=type_suffix)

    def _create_participant_connection(self, participant_token: str, request: dict[str, Any]) -> object:
        connection = self.service.create_connection(participant_token)
        websocket = {"Websocket": self._websocket()} if "WEBSOCKET" in request.get("Type", []) else {}
        return {"ConnectionCredentials": _credentials(connection), **websocket}

    def _websocket(self) -> dict[str, str]:
        return {
            # No server listens at this URL: clients read the transcript
            "Url": f"wss://websocket.invalid/{uuid.uuid4()}",
            "ConnectionExpiry": iso_time(self._clock() + _WEBSOCKET_URL_LIFETIME),
        }

    def _get_transcript(self, connection_token: str, request: dict[str, Any]) -> object:
        page = self.service.get_transcript(connection_token, request)
        members = {
            "InitialContactId": page.contact_id,
            "Transcript": [_transcript_item(item) for item in page.items],
            "NextToken": page.next_token,
        }
        return without_nulls(members.items())

    def _send_message(self, connection_token: str, request: dict[str, Any]) -> Answer:
        client_token = request.get("ClientToken")
        if client_token:
            self.client_tokens[client_token] += 1
        if not self.throttle.allows():
            raise ServiceError("ThrottlingException")
        contact_id = self.service.contact_id_of(connection_token)
        fault = self.faults.take(contact_id=contact_id, client_token=client_token) or Fault()
        answer = Answer(headers={})
        if fault.accepts:
            sent = self.service.send_message(
                connection_token,
                content_type=request["ContentType"],
                content=request["Content"],
                client_token=client_token,
                processing_status=fault.status if isinstance(fault, Processing) else None,
            )
            status = sent.processing_status
            metadata = {"MessageMetadata": {"MessageProcessingStatus": status}} if status else {}
            answer = _json_answer({"Id": sent.id, "AbsoluteTime": sent.absolute_time, **metadata})
        match fault:
            case Status():
                answer = self._status(fault)
            case BadBody():
                answer = replace(answer, body=fault.body.encode())
        return replace(answer, ending=fault.ending, latency=fault.latency)

    def _start_chat_contact(self, _: str, request: dict[str, Any]) -> object:
        for name in _UNSUPPORTED:
            if name in request:
                raise ServiceError("InvalidRequestException", f"{name} is not served by this local service")
        content_types = request.get("SupportedMessagingContentTypes", [TEXT_PLAIN])
        chat = self.service.start_chat(
            content_types=set(content_types) - {_INTERACTIVE},
            duration=request.get("ChatDurationInMinutes", _DEFAULT_DURATION_MINUTES) * 60.0,
            display_name=request["ParticipantDetails"]["DisplayName"],
            initial_message=request.get("InitialMessage"),
            client_token=request.get("ClientToken"),
        )
        answer: dict[str, object] = {
            "ContactId": chat.contact_id,
            "ParticipantId": chat.participant_id,
            "ParticipantToken": chat.participant_token,
        }
        types = {"WEBSOCKET", "CONNECTION_CREDENTIALS"} & set(request.get("ConnectionTypes", []))
        if types:
            # A client with a web socket connects by itself, another with ConnectParticipant
            connection = self.service.create_connection(chat.participant_token, joins="WEBSOCKET" in types)
            if "CONNECTION_CREDENTIALS" in types:
                answer["ConnectionCredentials"] = _credentials(connection)
            if "WEBSOCKET" in types:
                answer["Websocket"] = self._websocket()
        if "ChatStreamingConfiguration" in request:
            answer["StreamingId"] = _streaming_id(chat.contact_id)
        return answer

    def _start_contact_streaming(self, _: str, request: dict[str, Any]) -> object:
        self.service.transcript(request["ContactId"])  # or there is no such chat
        return {"StreamingId": _streaming_id(request["ContactId"])}

    def _stop_contact_streaming(self, _: str, request: dict[str, Any]) -> None:
        self.service.transcript(request["ContactId"])
        if request["StreamingId"] != _streaming_id(request["ContactId"]):
            raise ServiceError("ResourceNotFoundException", "No such streaming")

    def _status(self, fault: Status) -> Answer:
        error_type = fault.error_type or _ERROR_TYPES.get(fault.status)
        phrase = http.client.responses.get(fault.status, f"Status {fault.status}")
        answer = self._error(fault.status, error_type, phrase)
        more = {
            "x-amz-retry-after": fault.retry_after_ms,
            "retry-after": fault.retry_after,
            "location": fault.location,
        }
        present = {name: str(value) for name, value in more.items() if value is not None}
        return replace(answer, headers={**answer.headers, **present})

    def _error(self, status: int, error_type: str | None, message: str) -> Answer:
        """Answer with an error. One without a type looks like the error of a load balancer."""
        style = self.error_style
        document = {"message" if style.lower_case_message else "Message": message}
        headers = {"x-amzn-errortype": f"{error_type}{style.type_suffix}"} if error_type else {}
        return _json_answer(document, status=status, headers=headers)


def _streaming_id(contact_id: str) -> str:
    return str(uuid.uuid5(uuid.UUID(contact_id), "streaming"))


def _credentials(connection: Connection) -> dict[str, str]:
    return {
        "ConnectionToken": connection.connection_token,
        "Expiry": iso_time(connection.expires_at),
    }


def _json_answer(document: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    own = {"content-type": "application/json", "x-amzn-requestid": str(uuid.uuid4())}
    body = json.dumps(document, default=_document).encode()
    return Answer(status=status, headers={**own, **(headers or {})}, body=body)


def _document(value: Chat | TranscriptItem) -> dict[str, Any]:
    if isinstance(value, Chat):
        names = ("contact_id", "participant_id", "participant_token", "ended_at")
        return {**{name: getattr(value, name) for name in names}, "items": len(value.items)}
    return asdict(value)


def _transcript_item(item: TranscriptItem) -> dict[str, Any]:
    values = asdict(item)
    del values["client_token"]
    status = values.pop("processing_status")
    metadata = {"MessageId": item.id, "MessageProcessingStatus": status}
    members = {name.title().replace("_", ""): value for name, value in values.items()}
    return without_nulls({**members, "MessageMetadata": metadata if status else None}.items())
