"""The service without a socket: takes the bytes of a request, and returns an answer or a cut.

Paths, headers and members are those of botocore's `connectparticipant` model of 2018-09-07.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from sandbox.participant_service.chats import ParticipantService
from sandbox.participant_service.errors import (
    AccessDeniedError,
    ServiceError,
    ThrottlingError,
    ValidationError,
)
from sandbox.participant_service.faults import (
    AcceptedThenCut,
    AcceptedThenStatus,
    BadBody,
    BodyCutShort,
    FaultPlan,
    Processing,
    ResetBeforeAcceptance,
    Status,
)
from sandbox.participant_service.members import Members
from sandbox.participant_service.throttle import Throttle
from sandbox.participant_service.transcript import (
    DEFAULT_PAGE_SIZE,
    ScanDirection,
    SortOrder,
    StartPosition,
    TranscriptItem,
    TranscriptQuery,
    iso_time,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OPERATION_PATHS: Mapping[str, str] = {
    "CreateParticipantConnection": "/participant/connection",
    "DisconnectParticipant": "/participant/disconnect",
    "GetTranscript": "/participant/transcript",
    "SendMessage": "/participant/message",
}
"""The supported operations of a participant, all of them POST. Others get an UnknownOperationException."""

# The exceptions that the model has for a status
_ERROR_TYPES: Mapping[int, str] = {
    400: "ValidationException",
    402: "ServiceQuotaExceededException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    409: "ConflictException",
    429: "ThrottlingException",
    500: "InternalServerException",
}
# WEBRTC_CONNECTION is for calls
_CONNECTION_TYPES_OF_A_CHAT = frozenset({"WEBSOCKET", "CONNECTION_CREDENTIALS"})
_WEBSOCKET_URL_LIFETIME = 100.0


class Ending(Enum):
    """How the connection ends."""

    KEPT_OPEN = "the whole answer is sent"
    BODY_CUT_SHORT = "closed after half of the body"
    CLOSED = "closed before the answer"
    RESET = "reset before the answer"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCounts:
    """HTTP requests, failed ones included. `by_client_token` counts those of SendMessage."""

    by_operation: Mapping[str, int]
    by_client_token: Mapping[str, int]


class ParticipantApi:
    """Every method may be called from any thread."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._by_operation: Counter[str] = Counter()
        self._by_client_token: Counter[str] = Counter()
        self._operations: Mapping[str, Callable[[str, Members], object]] = {
            "CreateParticipantConnection": self._create_participant_connection,
            "DisconnectParticipant": self._disconnect_participant,
            "GetTranscript": self._get_transcript,
            "SendMessage": self._send_message,
        }
        self.service = ParticipantService(clock=clock)
        self.faults = FaultPlan()
        self.throttle = Throttle(clock=clock)
        self.error_style = ErrorStyle()

    def call(self, operation: str, *, bearer: str | None, body: bytes) -> Answer:
        """Answer one request.

        Args:
            operation: one of `OPERATION_PATHS`.
            bearer: the header `X-Amz-Bearer`.
            body: a JSON object.
        """
        with self._lock:
            self._by_operation[operation] += 1

        def answer() -> object:
            if not bearer:
                raise AccessDeniedError
            return self._operations[operation](bearer, Members.parse(body))

        return self.answer(answer)

    def answer(self, call: Callable[[], object]) -> Answer:
        """Answer with the document that a call returns, or with the ServiceError that it raises."""
        try:
            document = call()
        except ServiceError as error:
            return self.error(error)
        return document if isinstance(document, Answer) else _json_answer(document)

    def error(self, error: ServiceError) -> Answer:
        return self._error(error.status, error.code, str(error))

    def request_counts(self) -> RequestCounts:
        with self._lock:
            return RequestCounts(
                by_operation=dict(self._by_operation), by_client_token=dict(self._by_client_token)
            )

    def reset(self) -> None:
        """Delete all chats, faults and counts, and restore the defaults."""
        with self._lock:
            self._by_operation.clear()
            self._by_client_token.clear()
        self.service.reset()
        self.faults.clear()
        self.throttle.off()
        self.error_style = ErrorStyle()

    def _create_participant_connection(self, participant_token: str, members: Members) -> object:
        types = members.strings("Type") or []
        members.optional("ConnectParticipant", bool)
        if not _CONNECTION_TYPES_OF_A_CHAT.issuperset(types):
            raise ValidationError("Type must be WEBSOCKET or CONNECTION_CREDENTIALS in a chat")
        connection = self.service.create_connection(participant_token)
        document: dict[str, Any] = {
            "ConnectionCredentials": {
                "ConnectionToken": connection.connection_token,
                "Expiry": connection.expiry,
            }
        }
        if "WEBSOCKET" in types:
            document["Websocket"] = {
                # No server listens at this URL: clients read the transcript
                "Url": f"wss://websocket.invalid/{uuid.uuid4()}",
                "ConnectionExpiry": iso_time(self._clock() + _WEBSOCKET_URL_LIFETIME),
            }
        return document

    def _disconnect_participant(self, connection_token: str, _: Members) -> object:
        self.service.disconnect_participant(connection_token)
        return {}

    def _get_transcript(self, connection_token: str, members: Members) -> object:
        page = self.service.get_transcript(
            connection_token, _transcript_query(members), contact_id=members.optional("ContactId", str)
        )
        return {
            "InitialContactId": page.contact_id,
            "Transcript": [_transcript_item(item) for item in page.items],
            **({} if page.next_token is None else {"NextToken": page.next_token}),
        }

    def _send_message(self, connection_token: str, members: Members) -> object:
        client_token = members.optional("ClientToken", str)
        if client_token:
            with self._lock:
                self._by_client_token[client_token] += 1
        if not self.throttle.allows():
            raise ThrottlingError
        fault = self.faults.take(
            contact_id=self.service.contact_id_of(connection_token), client_token=client_token
        )
        match fault:
            case Status():
                answer = self._status(fault)
            case ResetBeforeAcceptance():
                answer = Answer(headers={}, ending=Ending.RESET)
            case _:
                sent = self.service.send_message(
                    connection_token,
                    content_type=members.required("ContentType", str),
                    content=members.required("Content", str),
                    client_token=client_token,
                    processing_status=fault.status if isinstance(fault, Processing) else None,
                )
                status = sent.processing_status
                answer = _json_answer(
                    {
                        "Id": sent.id,
                        "AbsoluteTime": sent.absolute_time,
                        **({"MessageMetadata": {"MessageProcessingStatus": status}} if status else {}),
                    }
                )
        match fault:
            case AcceptedThenCut():
                answer = replace(answer, ending=Ending.CLOSED)
            case BodyCutShort():
                answer = replace(answer, ending=Ending.BODY_CUT_SHORT)
            case BadBody():
                answer = replace(answer, body=fault.body.encode())
            case AcceptedThenStatus():
                answer = self._error(fault.status, _ERROR_TYPES.get(fault.status), _phrase(fault.status))
        return replace(answer, latency=fault.latency) if fault else answer

    def _status(self, fault: Status) -> Answer:
        error_type = fault.error_type or _ERROR_TYPES.get(fault.status)
        answer = self._error(fault.status, error_type, _phrase(fault.status))
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
        answer = _json_answer({"message" if style.lower_case_message else "Message": message}, status=status)
        if error_type is None:
            return answer
        return replace(
            answer, headers={**answer.headers, "x-amzn-errortype": f"{error_type}{style.type_suffix}"}
        )


def _json_answer(document: object, *, status: int = 200) -> Answer:
    """Write a document, in which dataclasses are objects."""
    return Answer(
        status=status,
        headers={"content-type": "application/json", "x-amzn-requestid": str(uuid.uuid4())},
        body=json.dumps(document, default=asdict).encode(),
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def _transcript_query(members: Members) -> TranscriptQuery:
    start = members.nested("StartPosition")
    return TranscriptQuery(
        # The model allows 0 without a meaning: here it counts as absent
        max_results=members.optional("MaxResults", int) or DEFAULT_PAGE_SIZE,
        next_token=members.optional("NextToken", str),
        scan_direction=members.optional("ScanDirection", ScanDirection),
        sort_order=members.optional("SortOrder", SortOrder) or SortOrder.DESCENDING,
        start_position=None
        if start is None
        else StartPosition(
            id=start.optional("Id", str),
            absolute_time=start.optional("AbsoluteTime", str),
            most_recent=start.optional("MostRecent", int),
        ),
    )


def _transcript_item(item: TranscriptItem) -> dict[str, Any]:
    values = asdict(item)
    del values["client_token"]
    status = values.pop("processing_status")
    metadata = {"MessageId": item.id, "MessageProcessingStatus": status}
    members = {name.title().replace("_", ""): value for name, value in values.items() if value is not None}
    return members | ({"MessageMetadata": metadata} if status else {})
