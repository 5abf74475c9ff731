"""Send messages to a deployed stack, by any of its event sources.

    outputs = read_outputs(boto3.client("cloudformation"), "ConnectMessageSender-prod")
    producer = Producer(outputs)
    request = MessageRequest(
        connection_token=token,
        contact_id=contact_id,
        content="Your parcel is on its way.",
        client_token="parcel-4711",
    )
    producer.send(request, through=EventSource.QUEUE)

The errors that `Producer` raises, as a tree:

ProducerError
├── InvalidRequestError    the request breaks a rule of the contract; nothing was sent
├── NotOfferedError        the stack does not have this event source
├── NotAcceptedError       the event source refused the request, or did not answer
├── NotSentError           the caller waited, and the message was not sent
└── StillRunningError      the execution did not end in time

No text and no repr in this module holds a token or the text of a message.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache, cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, TypeAlias, TypeVar, cast

import boto3
import fastjsonschema
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from infra.contract import REQUEST_DETAIL_TYPE, REQUEST_SCHEMA, RESULT_SCHEMA, MessageResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from types_boto3_events import EventBridgeClient
    from types_boto3_lambda import LambdaClient
    from types_boto3_sqs import SQSClient
    from types_boto3_stepfunctions import SFNClient

    from infra.outputs import StackOutputs

T = TypeVar("T")

ContentLimits: TypeAlias = Literal["specification", "service"]

_FIELDS: Final[dict[str, dict[str, Any]]] = REQUEST_SCHEMA["properties"]
_ERROR_CODES: Final = frozenset(
    RESULT_SCHEMA["properties"]["Error"]["oneOf"][1]["properties"]["Code"]["enum"]
)
_JSON: Final = "application/json"

_QUEUE_PATH: Final = "/messages"
_SYNCHRONOUS_PATH: Final = "/messages/sync"

# API Gateway answers within 29 seconds, and Lambda when the function has its outcome or its timeout
_CONNECT_TIMEOUT: Final = 5.0
_READ_TIMEOUT: Final = 65.0

_CONFIG: Final = Config(connect_timeout=_CONNECT_TIMEOUT, read_timeout=_READ_TIMEOUT)

_POLL_SECONDS: Final = 0.5


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
    def reported_as(self) -> frozenset[str]:
        """The values that `EventSource` may have in the result of such a message."""
        return _REPORTED_AS[self]


_REPORTED_AS: Final[dict[EventSource, frozenset[str]]] = {
    EventSource.QUEUE: frozenset({"sqs"}),
    EventSource.EVENT: frozenset({"eventbridge"}),
    EventSource.DIRECT: frozenset({"direct"}),
    # With a ContactId the state machine uses the queue, without one it invokes the function
    EventSource.WORKFLOW: frozenset({"sqs", "direct"}),
    EventSource.API: frozenset({"sqs"}),
    EventSource.API_SYNC: frozenset({"api_gateway"}),
}

_NEEDS_CONTACT_ID: Final = {EventSource.QUEUE, EventSource.API}
_REFUSES_TASK_TOKEN: Final = {EventSource.DIRECT, EventSource.API_SYNC, EventSource.WORKFLOW}


class ProducerError(Exception):
    """The root of the errors that `Producer` raises."""


class InvalidRequestError(ProducerError):
    """The request breaks a rule of the contract. The text names field and rule, never a value."""


class NotOfferedError(ProducerError):
    """The stack does not have this event source."""


class NotAcceptedError(ProducerError):
    """The event source refused the request, or did not answer.

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


class NotSentError(ProducerError):
    """The caller waited for the outcome, and the message was not sent.

    Attributes:
        code: A code of the contract, such as `Expired`, or the error that Lambda or Step Functions reports.
        reason: Which rule or fact led to it. None if the code is not one of the contract's.
        source_id: The id of the invocation, or the execution's ARN. None from the HTTP API.
        client_token: The identity of the message, if the answer names it.
        status: The HTTP status, from the HTTP API only.
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
        # A reason of the function holds no value. One of Lambda or Step Functions may quote the request.
        self.reason = reason if code in _ERROR_CODES else None
        super().__init__(f"{code}: {self.reason}" if self.reason else code)
        self.code = code
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
        connection_token: The ConnectionToken of CreateParticipantConnection, not the ParticipantToken.
        content: The message. For application/json: JSON text.
        client_token: The identity of the message: two requests under one ClientToken are one message.
            By default a UUID.
        contact_id: The ContactId of StartChatContact. The queue keeps the messages of one contact in order.
            Required by QUEUE and API.
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
    metadata: Mapping[str, str] | None = None

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
    """Sends messages to one stack. Threads may share it.

    Args:
        session: The credentials and Region to act with; by default those of the environment.
        endpoint_url: The endpoint of all AWS services, for an emulator.
        api_url: The address of the HTTP API, for a custom domain or a private endpoint.
        content_limits: The stack's option of this name.
        clock, sleep: For waiting, in seconds.
    """

    def __init__(
        self,
        outputs: StackOutputs,
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
        self._api_url = (api_url or outputs.api_url).rstrip("/")
        self._content_limits: ContentLimits = content_limits
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()  # threads may share clients, and not the session that makes them
        self._http = urllib3.PoolManager(
            retries=False, timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT, read=_READ_TIMEOUT)
        )

    @property
    def offered(self) -> tuple[EventSource, ...]:
        """The event sources that the stack has."""
        missing = {EventSource.API, EventSource.API_SYNC} if not self._api_url else set()
        if not self._outputs.state_machine_arn:
            missing.add(EventSource.WORKFLOW)
        return tuple(source for source in EventSource if source not in missing)

    def send(self, request: MessageRequest, *, through: EventSource) -> Answer:
        """Check a request against the contract, and send it.

        boto3 repeats a call that failed, as the session says. That is safe: the ClientToken stays the same.

        Raises:
            InvalidRequestError: The request breaks a rule of the contract, and was not sent.
            NotOfferedError: The stack does not have this event source.
            NotAcceptedError: The event source refused the request, or did not answer.
            NotSentError: DIRECT and API_SYNC only: the message was not sent.
        """
        check_request(request, through=through, content_limits=self._content_limits)
        text = json.dumps(request.document())
        return self.send_text(text, through=through, message_group=request.contact_id or "")

    def send_text(self, text: str, *, through: EventSource, message_group: str = "") -> Answer:
        """Send any text without a check, to test what the stack rejects and how you handle that.

        Args:
            message_group: For QUEUE: messages of one group keep their order.

        Raises:
            NotOfferedError, NotAcceptedError, NotSentError: As in `send`.
        """
        if through not in self.offered:
            raise NotOfferedError(f"The stack {self._outputs.stack_name} does not offer {through}")
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

    def _put_event(self, text: str) -> Answer:
        put = _call(
            "PutEvents",
            lambda: self._events.put_events(
                Entries=[
                    {
                        "EventBusName": self._outputs.event_bus_name,
                        "Source": "connect-message-sender.producer",
                        "DetailType": REQUEST_DETAIL_TYPE,
                        "Detail": text,
                    }
                ]
            ),
        )
        (entry,) = put["Entries"]
        if "ErrorCode" in entry:
            raise NotAcceptedError("PutEvents", entry["ErrorCode"], status=HTTPStatus.OK)
        return Answer(source_id=entry["EventId"])

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
            if (credentials := self._session.get_credentials()) is None:
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
    def _lambda(self) -> LambdaClient:
        with self._lock:
            return self._session.client("lambda", endpoint_url=self._endpoint_url, config=_CONFIG)

    @cached_property
    def _step_functions(self) -> SFNClient:
        with self._lock:
            return self._session.client("stepfunctions", endpoint_url=self._endpoint_url, config=_CONFIG)


def check_request(
    request: MessageRequest, *, through: EventSource, content_limits: ContentLimits = "specification"
) -> None:
    """Check a request against the contract. The function checks each request once more.

    Raises:
        InvalidRequestError: It breaks a rule.
    """
    for reason in _broken_rules(request, through, content_limits):
        raise InvalidRequestError(reason)


def _broken_rules(
    request: MessageRequest, through: EventSource, content_limits: ContentLimits
) -> Iterator[str]:
    """Yield the rules that a request breaks. Only the first counts: a later one may not apply any more."""
    fields = request.document()
    if request.expires_at is not None and request.expires_at.tzinfo is None:
        yield "ExpiresAt must be a time with an offset"
    try:
        _validator()(fields)
    except fastjsonschema.JsonSchemaValueException as error:
        yield _in_words(error)
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


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError  # NaN and Infinity are not JSON


@cache
def _validator() -> Callable[[object], object]:
    return cast("Callable[[object], object]", fastjsonschema.compile(REQUEST_SCHEMA, use_default=False))


def _in_words(error: fastjsonschema.JsonSchemaValueException) -> str:
    """Name the field and the rule. The text of fastjsonschema holds the value."""
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
    except (KeyError, TypeError):
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
