"""Send messages to a deployed sender, by any of its event sources.

    producer = Producer.of_stack("ConnectMessageSender-prod")
    request = MessageRequest(
        connection_token=token,
        contact_id=contact_id,
        content="Your parcel is on its way.",
        client_token="parcel-4711",
    )
    producer.send(request, through=EventSource.QUEUE)

Create one producer when your program starts, as in a Lambda function outside of the handler: it keeps its
clients and connections. The errors that `Producer` raises, as a tree:

ProducerError
├── InvalidRequestError    the request breaks a rule of the contract; nothing was sent
├── NotOfferedError        the stack does not have this event source, or no key for tokens
├── NotAcceptedError       the event source or KMS refused the request, or did not answer
├── NotAttemptedError      `send_all` stopped before it
├── NotSentError           the caller waited, and the message was not sent
└── StillRunningError      the execution did not end in time

No text and no repr in this module holds a token or the text of a message. The debug log of botocore does.
"""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cache, cached_property
from http import HTTPStatus
from typing import (
    TYPE_CHECKING,
    Any,
    Final,
    Literal,
    NamedTuple,
    NoReturn,
    Self,
    TypeAlias,
    TypeVar,
    cast,
    get_args,
)

import boto3
import fastjsonschema
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from .contract import REQUEST_DETAIL_TYPE, REQUEST_SCHEMA
from .outputs import read_outputs, read_parameters
from .results import ErrorCode, MessageResult, NotAResultError, ReportedSource, as_member

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from types_boto3_events import EventBridgeClient
    from types_boto3_events.type_defs import PutEventsRequestEntryTypeDef
    from types_boto3_kms import KMSClient
    from types_boto3_lambda import LambdaClient
    from types_boto3_sqs import SQSClient
    from types_boto3_stepfunctions import SFNClient

    from .outputs import Addresses

T = TypeVar("T")

ContentLimits: TypeAlias = Literal["specification", "service"]

_FIELDS: Final[dict[str, dict[str, Any]]] = REQUEST_SCHEMA["properties"]
_JSON: Final = "application/json"
_SEALED: Final = "sealed:"

_QUEUE_PATH: Final = "/messages"
_SYNCHRONOUS_PATH: Final = "/messages/sync"

# API Gateway answers within 29 seconds, and Lambda when the function has its outcome or its timeout
_CONNECT_TIMEOUT: Final = 5.0
_READ_TIMEOUT: Final = 65.0

_CONFIG: Final = Config(connect_timeout=_CONNECT_TIMEOUT, read_timeout=_READ_TIMEOUT)

_POLL_SECONDS: Final = 0.5

_BATCH_ENTRIES: Final = 10
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
_SQS_BATCH_BYTES: Final = 1024 * 1024
# https://docs.aws.amazon.com/eventbridge/latest/userguide/calculate-putevents-entry-size.html
# 256 KiB, the older of its limits, less the names in ten entries
_EVENTS_BATCH_BYTES: Final = 255 * 1024


class EventSource(StrEnum):
    """The ways to send a message to the stack.

    QUEUE, EVENT and API only accept a message; its result is published. DIRECT and API_SYNC wait for the
    outcome. WORKFLOW starts an execution, which `Producer.wait_for_execution` waits for.
    """

    QUEUE = "queue"
    EVENT = "event"
    DIRECT = "direct"
    WORKFLOW = "workflow"
    API = "api"
    API_SYNC = "api-sync"

    @property
    def reported_as(self) -> frozenset[ReportedSource]:
        """The values that `EventSource` may have in the result of such a message."""
        return _REPORTED_AS[self]


_REPORTED_AS: Final[dict[EventSource, frozenset[ReportedSource]]] = {
    EventSource.QUEUE: frozenset({ReportedSource.SQS}),
    EventSource.EVENT: frozenset({ReportedSource.EVENTBRIDGE}),
    EventSource.DIRECT: frozenset({ReportedSource.DIRECT}),
    # With a ContactId the state machine uses the queue, without one it invokes the function
    EventSource.WORKFLOW: frozenset({ReportedSource.SQS, ReportedSource.DIRECT}),
    EventSource.API: frozenset({ReportedSource.SQS}),
    EventSource.API_SYNC: frozenset({ReportedSource.API_GATEWAY}),
}

BatchSource: TypeAlias = Literal[EventSource.QUEUE, EventSource.EVENT]
"""The event sources that take several messages in one call."""

_NEEDS_CONTACT_ID: Final = {EventSource.QUEUE, EventSource.API}
_REFUSES_TASK_TOKEN: Final = {EventSource.DIRECT, EventSource.API_SYNC, EventSource.WORKFLOW}


class ProducerError(Exception):
    """The root of the errors that `Producer` raises. They can be pickled, as by a pool of processes."""

    def __reduce__(self) -> tuple[object, ...]:
        # By default, Python repeats __init__ with the text of the error
        return _error_without_init, (type(self), self.args), self.__dict__


def _error_without_init(kind: type[ProducerError], args: tuple[object, ...]) -> ProducerError:
    return kind.__new__(kind, *args)


class InvalidRequestError(ProducerError):
    """The request breaks a rule of the contract. The text names field and rule, never a value."""


class NotOfferedError(ProducerError):
    """The stack does not have this event source or key, or the producer was not given its address."""


class NotAcceptedError(ProducerError):
    """The event source or KMS refused the request, or did not answer.

    Attributes:
        operation: The call that failed, such as `SendMessage` or `POST /messages`.
        code: The name of the error.
        status: The HTTP status. None without an answer: the request may have been accepted all the same.
            Sending it again under the same ClientToken is safe.
    """

    def __init__(self, operation: str, code: str, *, status: int | None, reason: str | None = None) -> None:
        super().__init__(f"{operation}: {code}" + (f": {reason}" if reason else ""))
        self.operation = operation
        self.code = code
        self.status = status


class NotAttemptedError(ProducerError):
    """`send_all` did not send the message, because an earlier message of its chat or a call failed."""


class NotSentError(ProducerError):
    """The caller waited for the outcome, and the message was not sent.

    Attributes:
        code: A code of the contract, such as `ErrorCode.EXPIRED`, or the error that Lambda or Step Functions
            reports, as a string.
        reason: Which rule or fact led to it. None if the code is not one of the contract's.
        source_id: The id of the invocation, or the execution's ARN. None from the REST API.
        client_token: The identity of the message, if the answer names it.
        status: The HTTP status, from the REST API only.
    """

    def __init__(
        self,
        code: str,
        *,
        reason: str | None,
        source_id: str | None = None,
        client_token: str | None = None,
        status: int | None = None,
    ) -> None:
        self.code: ErrorCode | str = as_member(ErrorCode, code)
        # A reason of the function holds no value. One of Lambda or Step Functions may quote the request.
        self.reason = reason if isinstance(self.code, ErrorCode) else None
        super().__init__(f"{code}: {self.reason}" if self.reason else code)
        self.source_id = source_id
        self.client_token = client_token
        self.status = status


class StillRunningError(ProducerError):
    """The execution did not end in time. Its message may still be sent.

    Attributes:
        execution_arn: The execution to wait for.
    """

    def __init__(self, execution_arn: str, seconds: float) -> None:
        super().__init__(f"The execution did not end within {seconds:g} seconds")
        self.execution_arn = execution_arn


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRequest:
    """A chat message and the connection that it is sent over.

    Args:
        connection_token: The ConnectionToken of CreateParticipantConnection, not the ParticipantToken, or
            what `Producer.seal` returned for it.
        content: The message. For application/json: JSON text.
        client_token: The identity of the message: two requests under one ClientToken are one message.
            By default a UUID.
        contact_id: The ContactId of StartChatContact. The queue keeps the messages of one contact in order.
            Required by QUEUE and API, and with a sealed token.
        expires_at: Do not send after this time, which must be aware of its offset.
        split_at: Cut a longer content into parts of at most so many characters. Only for text/plain and
            text/markdown, and only for a stack whose function has version 0.4.0 or later.
        task_token: A Step Functions task that is completed when the outcome is final. For QUEUE, API, EVENT.
        metadata: Returned in the result, for correlation. Put no secret here.
    """

    connection_token: str = field(repr=False)
    content: str = field(repr=False)
    content_type: str = "text/plain"
    client_token: str = field(default_factory=lambda: str(uuid.uuid4()))
    contact_id: str | None = None
    expires_at: datetime | None = None
    split_at: int | None = None
    task_token: str | None = field(default=None, repr=False)
    metadata: Mapping[str, str] | None = field(default=None, hash=False)

    def document(self) -> dict[str, Any]:
        """Return the request under the contract's names, without the fields that are None."""
        fields = {
            "ConnectionToken": self.connection_token,
            "ContentType": self.content_type,
            "Content": self.content,
            "ClientToken": self.client_token,
            "ContactId": self.contact_id,
            "ExpiresAt": self.expires_at.isoformat() if self.expires_at else None,
            "SplitAt": self.split_at,
            "TaskToken": self.task_token,
            "Metadata": dict(self.metadata) if self.metadata is not None else None,
        }
        return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer of an event source that took the request.

    Attributes:
        source_id: The id of the SQS message, of the event or of the invocation, or the execution's ARN.
        result: The outcome, if the event source waits for it.
    """

    source_id: str
    result: MessageResult | None = None


class Producer:
    """Sends messages to one sender. Threads may share it.

    A call connects within 5 seconds and waits for its answer for at most 65. boto3 repeats a call that failed
    as the session and the environment say, by default four times. Calls of the REST API are not repeated.

    Args:
        outputs: The addresses that you know, such as `Addresses(message_queue_url=...)` to use QUEUE only. No
            call and no permission is needed to find them then.
        session: The credentials and Region to act with; by default those of the environment.
        endpoint_url: The endpoint of all AWS services, for an emulator.
        api_url: The address of the REST API, for a custom domain or a private endpoint.
        content_limits: The stack's option of this name.
        clock, sleep: For waiting, in seconds.

    Raises:
        ValueError: The address of the API or content_limits is not valid.
    """

    def __init__(
        self,
        outputs: Addresses,
        *,
        session: boto3.Session | None = None,
        endpoint_url: str | None = None,
        api_url: str | None = None,
        content_limits: ContentLimits = "specification",
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._outputs = outputs
        self._session = session or boto3.Session()
        self._endpoint_url = endpoint_url
        self._api_url = _checked_url(api_url or outputs.api_url).rstrip("/")
        if content_limits not in get_args(ContentLimits):
            raise ValueError(
                f"content_limits is {content_limits!r}; accepted: {', '.join(get_args(ContentLimits))}"
            )
        self._content_limits: ContentLimits = content_limits
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()  # threads may share clients, and not the session that makes them
        self._http = urllib3.PoolManager(
            retries=False, timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT, read=_READ_TIMEOUT)
        )

    @classmethod
    def of_stack(
        cls,
        stack_name: str,
        *,
        session: boto3.Session | None = None,
        endpoint_url: str | None = None,
        content_limits: ContentLimits = "specification",
    ) -> Self:
        """Find the sender by the outputs of its stack. This takes `cloudformation:DescribeStacks`.

        Raises:
            OutputsError: There is no such stack in the Region, or it lacks an output.
            ClientError: CloudFormation refused the call for another reason.
        """
        session = session or boto3.Session()
        cloudformation = session.client("cloudformation", endpoint_url=endpoint_url, config=_CONFIG)
        outputs = read_outputs(cloudformation, stack_name)
        return cls(outputs, session=session, endpoint_url=endpoint_url, content_limits=content_limits)

    @classmethod
    def of_sender(
        cls,
        name: str,
        *,
        session: boto3.Session | None = None,
        endpoint_url: str | None = None,
        content_limits: ContentLimits = "specification",
    ) -> Self:
        """Find the sender by its name, with its Systems Manager parameters.

        This takes `ssm:GetParametersByPath` on `parameter/connect-message-sender/<name>`.

        Raises:
            OutputsError: There is no such sender in the Region, or it lacks a parameter.
            ClientError: Systems Manager refused the call.
        """
        session = session or boto3.Session()
        ssm = session.client("ssm", endpoint_url=endpoint_url, config=_CONFIG)
        outputs = read_parameters(ssm, name)
        return cls(outputs, session=session, endpoint_url=endpoint_url, content_limits=content_limits)

    @property
    def offered(self) -> tuple[EventSource, ...]:
        """The event sources that the sender has, as far as the addresses are known."""
        addresses = {
            EventSource.QUEUE: self._outputs.message_queue_url,
            EventSource.EVENT: self._outputs.event_bus_name,
            EventSource.DIRECT: self._outputs.function_alias_arn,
            EventSource.WORKFLOW: self._outputs.state_machine_arn,
            EventSource.API: self._api_url,
            EventSource.API_SYNC: self._api_url,
        }
        return tuple(source for source in EventSource if addresses[source])

    def send(self, request: MessageRequest, *, through: EventSource) -> Answer:
        """Check a request against the contract, and send it.

        To repeat it yourself is as safe as the repeats of boto3: under the same ClientToken it is the same
        message, and each repeat leads to a result.

        Raises:
            InvalidRequestError: The request breaks a rule of the contract, and was not sent.
            NotOfferedError: The stack does not have this event source.
            NotAcceptedError: The event source refused the request, or did not answer.
            NotSentError: DIRECT and API_SYNC only: the message was not sent.
        """
        check_request(request, through=through, content_limits=self._content_limits)
        text = json.dumps(request.document())
        return self.send_text(text, through=through, message_group=request.contact_id or "")

    def send_all(
        self, requests: Iterable[MessageRequest], *, through: BatchSource
    ) -> list[Answer | ProducerError]:
        """Check many requests, and send them with few calls. Return an answer or an error for each, in order.

        - An invalid request is not sent: its error is an `InvalidRequestError`. It stops no other message.
        - QUEUE keeps the order in each chat: a call has at most one message of a chat. If SQS refuses it, the
          later messages of its chat are a `NotAttemptedError`. EVENT has no order.
        - If a whole call fails, its messages are a `NotAcceptedError`, and the rest a `NotAttemptedError`.

        To repeat, pass the requests without an `Answer` again, in their order.

        Raises:
            NotOfferedError: The stack does not have this event source. Nothing was sent.
            ValueError: `through` is neither QUEUE nor EVENT.
        """
        if through not in {EventSource.QUEUE, EventSource.EVENT}:
            raise ValueError(f"through is {through}, which takes one message in each call: use send")
        self._require_offered(through)
        answers: dict[int, Answer | ProducerError] = {}
        chats: dict[str | int, deque[_Entry]] = {}
        for place, request in enumerate(requests):
            try:
                check_request(request, through=through, content_limits=self._content_limits)
            except InvalidRequestError as error:
                answers[place] = error.with_traceback(None)  # its frames hold the request
            else:
                group = request.contact_id or ""
                entry = _Entry(place, json.dumps(request.document()), group)
                chats.setdefault(group if through == EventSource.QUEUE else place, deque()).append(entry)
        for entry, answer in self._send_chats(chats.values(), through):
            answers[entry.place] = answer
        return [answers[place] for place in range(len(answers))]

    def _send_chats(
        self, chats: Iterable[deque[_Entry]], through: BatchSource
    ) -> Iterator[tuple[_Entry, Answer | ProducerError]]:
        """Send the messages of some chats, each chat in order. Yield the answer to each message."""
        to_queue = through == EventSource.QUEUE
        send = self._send_batch_to_queue if to_queue else self._put_events
        most_bytes = _SQS_BATCH_BYTES if to_queue else _EVENTS_BATCH_BYTES
        waiting, stopped = deque(chats), list[deque[_Entry]]()
        while waiting:
            batch = _next_batch(waiting, most_bytes)
            entries = [chat.popleft() for chat in batch]
            answers: list[Answer | ProducerError]
            try:
                answers = send(entries)
            except NotAcceptedError as error:
                answers = [error.with_traceback(None)] * len(entries)
                stopped += waiting
                waiting.clear()
            yield from zip(entries, answers, strict=True)
            for chat, answer in zip(batch, answers, strict=True):
                if not isinstance(answer, Answer):
                    stopped.append(chat)
                elif chat:
                    waiting.append(chat)
        reason = "Not sent, because an earlier message of its chat or a whole call failed"
        yield from ((entry, NotAttemptedError(reason)) for chat in stopped for entry in chat)

    def send_text(self, text: str, *, through: EventSource, message_group: str = "") -> Answer:
        """Send any text without a check, to test what the stack rejects and how you handle that.

        Args:
            message_group: For QUEUE: messages of one group keep their order.

        Raises:
            NotOfferedError, NotAcceptedError, NotSentError: As in `send`.
        """
        self._require_offered(through)
        match through:
            case EventSource.QUEUE:
                return self._send_to_queue(text, message_group)
            case EventSource.EVENT:
                return self._put_event(text)
            case EventSource.DIRECT:
                return self._invoke(text)
            case EventSource.WORKFLOW:
                return self._start_execution(text)
            case EventSource.API:
                return self._post(_QUEUE_PATH, text)
            case EventSource.API_SYNC:
                return self._post(_SYNCHRONOUS_PATH, text)

    def seal(self, connection_token: str, contact_id: str) -> str:
        """Encrypt a connection token, so that queues, copies and histories hold none in clear.

        Seal a token once for its connection, and use the result in all its messages: the function keeps what
        it has decrypted. This takes the permission `kms:Encrypt`.

        Args:
            contact_id: Of all requests that will use the sealed token.

        Raises:
            InvalidRequestError: The token or the ContactId breaks a rule of the contract.
            NotOfferedError: The stack has no key for sealed tokens.
            NotAcceptedError: KMS refused the call, or did not answer.
        """
        if not self._outputs.token_key_arn:
            raise NotOfferedError(
                "The stack has no key for sealed tokens, or the producer was not given its ARN"
            )
        request = MessageRequest(connection_token=connection_token, content="-", contact_id=contact_id)
        check_request(request, through=EventSource.QUEUE)
        if connection_token.startswith(_SEALED):
            raise InvalidRequestError("ConnectionToken is sealed already")
        encrypted = _call(
            "Encrypt",
            lambda: self._kms.encrypt(
                KeyId=self._outputs.token_key_arn,
                Plaintext=connection_token.encode(),
                EncryptionContext={"ContactId": contact_id},
            ),
        )
        return _SEALED + base64.b64encode(encrypted["CiphertextBlob"]).decode()

    def wait_for_execution(self, execution_arn: str, *, timeout: float) -> Answer:
        """Wait for the end of an execution that `send` started, in seconds.

        This takes the permissions `states:DescribeExecution` and `kms:Decrypt`.

        Raises:
            NotAcceptedError: DescribeExecution failed.
            NotSentError: The execution failed.
            StillRunningError: It did not end within the timeout.
        """
        deadline = self._clock() + timeout
        while True:
            execution = _call(
                "DescribeExecution",
                lambda: self._step_functions.describe_execution(executionArn=execution_arn),
            )
            if execution["status"] == "SUCCEEDED":
                answer = _answered("DescribeExecution", json.loads(execution["output"]))
                return replace(answer, source_id=execution_arn)
            if execution["status"] != "RUNNING":
                raise NotSentError(
                    execution.get("error", execution["status"]).removesuffix("Error"),
                    reason=_error_message(execution.get("cause", "")),
                    source_id=execution_arn,
                )
            if self._clock() >= deadline:
                raise StillRunningError(execution_arn, timeout)
            self._sleep(_POLL_SECONDS)

    def _require_offered(self, source: EventSource) -> None:
        if source not in self.offered:
            raise NotOfferedError(f"The sender does not offer {source}, or its address was not given")

    def _send_to_queue(self, text: str, message_group: str) -> Answer:
        # A repeat by boto3 has the same id, and SQS drops it. Another call of `send` has another, so that it
        # always leads to a result.
        deduplication_id = str(uuid.uuid4())
        sent = _call(
            "SendMessage",
            lambda: self._sqs.send_message(
                QueueUrl=self._outputs.message_queue_url,
                MessageGroupId=message_group,
                MessageDeduplicationId=deduplication_id,
                MessageBody=text,
            ),
        )
        return Answer(source_id=sent["MessageId"])

    def _send_batch_to_queue(self, entries: Sequence[_Entry]) -> list[Answer | ProducerError]:
        operation = "SendMessageBatch"
        sent = _call(
            operation,
            lambda: self._sqs.send_message_batch(
                QueueUrl=self._outputs.message_queue_url,
                Entries=[
                    {
                        "Id": str(entry.place),
                        "MessageGroupId": entry.group,
                        "MessageDeduplicationId": str(uuid.uuid4()),  # as in _send_to_queue
                        "MessageBody": entry.text,
                    }
                    for entry in entries
                ],
            ),
        )
        answers: dict[str, Answer | ProducerError] = {
            each["Id"]: Answer(source_id=each["MessageId"]) for each in sent.get("Successful", [])
        }
        for each in sent.get("Failed", []):
            answers[each["Id"]] = NotAcceptedError(operation, each["Code"], status=HTTPStatus.OK)
        missing = NotAcceptedError(operation, "NoAnswer", status=None)
        return [answers.get(str(entry.place), missing) for entry in entries]

    def _put_event(self, text: str) -> Answer:
        (answer,) = self._put_events([_Entry(0, text, "")])
        if isinstance(answer, ProducerError):
            raise answer
        return answer

    def _put_events(self, entries: Sequence[_Entry]) -> list[Answer | ProducerError]:
        events: list[PutEventsRequestEntryTypeDef] = [
            {
                "EventBusName": self._outputs.event_bus_name,
                "Source": "connect-message-sender.producer",
                "DetailType": REQUEST_DETAIL_TYPE,
                "Detail": entry.text,
            }
            for entry in entries
        ]
        put = _call("PutEvents", lambda: self._events.put_events(Entries=events))
        return [
            NotAcceptedError("PutEvents", each["ErrorCode"], status=HTTPStatus.OK)
            if "ErrorCode" in each
            else Answer(source_id=each["EventId"])
            for each in put["Entries"]
        ]

    def _invoke(self, text: str) -> Answer:
        alias = self._outputs.function_alias_arn
        answer = _call("Invoke", lambda: self._lambda.invoke(FunctionName=alias, Payload=text))
        payload = _call("Invoke", lambda: json.load(answer["Payload"]))
        if "FunctionError" not in answer:
            return _answered("Invoke", payload)
        raise NotSentError(
            payload.get("errorType", "Unknown").removesuffix("Error"),
            reason=payload.get("errorMessage"),
            source_id=payload.get("requestId"),
        )

    def _start_execution(self, text: str) -> Answer:
        name = str(uuid.uuid4())  # by which a repeat starts no second execution
        started = _call(
            "StartExecution",
            lambda: self._step_functions.start_execution(
                stateMachineArn=self._outputs.state_machine_arn, name=name, input=text
            ),
        )
        return Answer(source_id=started["executionArn"])

    def _post(self, path: str, text: str) -> Answer:
        operation = f"POST {path}"

        def post() -> urllib3.BaseHTTPResponse:
            with self._lock:
                credentials = self._session.get_credentials()
            if credentials is None:
                raise NoCredentialsError
            if (region := self._session.region_name) is None:
                raise NoRegionError
            request = AWSRequest("POST", self._api_url + path, {"Content-Type": _JSON}, text.encode())
            SigV4Auth(credentials, "execute-api", region).add_auth(request)
            return self._http.request(
                "POST", self._api_url + path, body=request.data, headers=dict(request.headers)
            )

        response = _call(operation, post)
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise NotAcceptedError(operation, f"HTTP {response.status}", status=response.status)
        if response.status == HTTPStatus.ACCEPTED and "MessageId" in document:
            return Answer(source_id=document["MessageId"])
        if response.status == HTTPStatus.OK:
            return _answered(operation, document)
        code, reason = document.get("Code", f"HTTP {response.status}"), document.get("Reason")
        # An error of the function names the ClientToken. The API itself never does.
        if (client_token := document.get("ClientToken")) is not None:
            raise NotSentError(code, reason=reason, client_token=client_token, status=response.status)
        raise NotAcceptedError(operation, code, status=response.status, reason=reason)

    @cached_property
    def _sqs(self) -> SQSClient:
        with self._lock:
            return self._session.client("sqs", endpoint_url=self._endpoint_url, config=_CONFIG)

    @cached_property
    def _events(self) -> EventBridgeClient:
        with self._lock:
            return self._session.client("events", endpoint_url=self._endpoint_url, config=_CONFIG)

    @cached_property
    def _kms(self) -> KMSClient:
        with self._lock:
            return self._session.client("kms", endpoint_url=self._endpoint_url, config=_CONFIG)

    @cached_property
    def _lambda(self) -> LambdaClient:
        with self._lock:
            return self._session.client("lambda", endpoint_url=self._endpoint_url, config=_CONFIG)

    @cached_property
    def _step_functions(self) -> SFNClient:
        with self._lock:
            return self._session.client("stepfunctions", endpoint_url=self._endpoint_url, config=_CONFIG)


class _Entry(NamedTuple):
    """A message of `send_all`: its place there, its text and its message group."""

    place: int
    text: str
    group: str


def _next_batch(waiting: deque[deque[_Entry]], most_bytes: int) -> list[deque[_Entry]]:
    """Take the chats whose first messages fit into one call. Texts are ASCII, with a byte for a character."""
    taken: list[deque[_Entry]] = []
    size = 0
    while waiting and len(taken) < _BATCH_ENTRIES:
        size += len(waiting[0][0].text)
        if taken and size > most_bytes:
            break
        taken.append(waiting.popleft())
    return taken


def check_request(
    request: MessageRequest, *, through: EventSource, content_limits: ContentLimits = "specification"
) -> None:
    """Check a request against the contract, but not the depth of JSON or the number of parts.

    The function checks each request once more.

    Raises:
        InvalidRequestError: It breaks a rule.
    """
    for reason in _broken_rules(request, through, content_limits):
        raise InvalidRequestError(reason)


def _broken_rules(
    request: MessageRequest, through: EventSource, content_limits: ContentLimits
) -> Iterator[str]:
    """Yield the rules that a request breaks. Only the first counts: a later one may not apply any more."""
    expires_at = request.expires_at
    if expires_at is not None and (not isinstance(expires_at, datetime) or expires_at.tzinfo is None):
        yield "ExpiresAt must be a time with an offset"
    if request.metadata is not None and not isinstance(request.metadata, Mapping):
        yield "Metadata must be an object"
    fields = request.document()
    try:
        _validator()(fields)
    except fastjsonschema.JsonSchemaValueException as error:
        yield _in_words(error, fields)
    for name, value in fields.items():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            yield f"{name} is not valid Unicode: it contains half of a surrogate pair"
    most = _FIELDS["Metadata"]["x-max-bytes"]
    if sum(len(f"{key}{value}".encode()) for key, value in (request.metadata or {}).items()) > most:
        yield f"Metadata is longer than {most} bytes of UTF-8 in all"
    if through in _NEEDS_CONTACT_ID and request.contact_id is None:
        yield f"ContactId is required by {through}: it keeps the messages of a chat in order"
    if through in _REFUSES_TASK_TOKEN and request.task_token is not None:
        yield f"TaskToken is not for {through}: the caller waits for the outcome there"
    if request.split_at is not None:
        yield from _broken_split_rules(
            request.content, request.content_type, request.split_at, content_limits
        )
    else:
        yield from _broken_content_rules(request.content, request.content_type, content_limits)


def _broken_split_rules(
    content: str, content_type: str, split_at: int, content_limits: ContentLimits
) -> Iterator[str]:
    """Yield the rules that can be checked without a cut. The function also counts the parts."""
    if content_type not in (content_types := _FIELDS["SplitAt"]["x-content-types"]):
        yield f"SplitAt is only for {' and '.join(content_types)}"
    most = _FIELDS["Content"]["x-max-characters"][content_limits].get(content_type)
    if most is not None and split_at > most:
        limit = f"{most} characters for {content_type} (content_limits={content_limits})"
        yield f"SplitAt is more than {limit}"
    most = _FIELDS["Content"]["x-max-split-bytes"]
    if len(content.encode()) > most:
        yield f"Content is longer than {most} bytes of UTF-8 (with SplitAt)"


def _broken_content_rules(content: str, content_type: str, content_limits: ContentLimits) -> Iterator[str]:
    rules = _FIELDS["Content"]
    most = rules["x-max-characters"][content_limits].get(content_type)
    if most is not None and len(content) > most:
        yield f"Content is longer than {most} characters for {content_type} (content_limits={content_limits})"
    most = rules["x-max-bytes"]
    if len(content.encode()) > most:
        yield f"Content is longer than {most} bytes of UTF-8 (content_limits={content_limits})"
    if content_type == _JSON:
        try:
            json.loads(content, parse_constant=_refuse_constant, parse_int=str, parse_float=str)
        except (ValueError, RecursionError):
            yield f"Content must be JSON text for {_JSON}"


def _checked_url(url: str) -> str:
    """Return the address of the REST API, or an empty text without one."""
    try:
        parsed = urllib3.util.parse_url(url)
    except urllib3.exceptions.LocationParseError:
        parsed = urllib3.util.Url()
    if url and not (parsed.scheme in {"https", "http"} and parsed.host):
        raise ValueError(
            f"The address of the API is {url!r}; accepted: a URL such as https://api.example.com/v1/"
        )
    return url


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError  # NaN and Infinity are not JSON


@cache
def _validator() -> Callable[[object], object]:
    return cast("Callable[[object], object]", fastjsonschema.compile(REQUEST_SCHEMA, use_default=False))


def _in_words(error: fastjsonschema.JsonSchemaValueException, fields: Mapping[str, Any]) -> str:
    """Name the field and the rule. The text of fastjsonschema holds the value."""
    if error.rule == "required":
        if missing := [name for name in error.rule_definition if name != "ContactId" and name not in fields]:
            return f"{missing[0]} is required"
        return "ContactId is required with a sealed ConnectionToken"
    name, *inner = error.path[1:]
    part = f"A value of {name}" if inner else str(name)
    limit = error.rule_definition
    match error.rule:
        case "type":
            rule = f"must be {'an' if limit[0] in 'aeiou' else 'a'} {limit}"
        case "minLength":
            rule = "must not be empty"
        case "maxLength":
            rule = f"is longer than {limit} characters"
        case "enum":
            rule = f"must be one of {', '.join(limit)}"
        case "pattern":
            rule = _FIELDS[name]["x-pattern-rule"]
        case "maxProperties":
            rule = f"has more than {limit} entries"
        case "minimum" | "maximum":
            rule = f"must be at {'least' if error.rule == 'minimum' else 'most'} {limit}"
        case _:  # propertyNames: the schema uses no other rule
            part = f"A key of {name}"
            rule = f"must be {limit['minLength']} to {limit['maxLength']} characters long"
    return f"{part} {rule}"


def _answered(operation: str, detail: Mapping[str, Any]) -> Answer:
    try:
        result = MessageResult.from_detail(detail)
    except NotAResultError:
        failure = NotAcceptedError(operation, "NotAResult", status=HTTPStatus.OK)
    else:
        return Answer(source_id=result.source_id, result=result)
    raise failure


def _error_message(cause: str) -> str:
    """Return the words of a cause. Of a failed invocation, the cause is a JSON object around them."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, TypeError, KeyError):
        return cause


def _call(operation: str, call: Callable[[], T]) -> T:
    """Make a call. The errors of boto3 and urllib3 may quote the request, so they are not chained.

    Raises:
        NotAcceptedError: The call failed.
    """
    try:
        return call()
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        failure = NotAcceptedError(operation, error.response["Error"]["Code"], status=status)
    except (BotoCoreError, urllib3.exceptions.HTTPError) as error:
        failure = NotAcceptedError(operation, type(error).__name__, status=None)
    raise failure
