"""The producer: what it checks, what it sends to each event source, and what it makes of each answer."""

# ruff: noqa: N803  # the names of parameters are those of AWS

from __future__ import annotations

import ast
import copy
import io
import json
import math
import pickle
import subprocess
import sys
import traceback
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, assert_type, cast, get_args

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ReadTimeoutError

from infra.contract import (
    REQUEST_DETAIL_TYPE,
    REQUEST_SCHEMA,
    RESULT_DETAIL_TYPES,
    RESULT_SOURCE,
)
from infra.outputs import Addresses, OutputsError, StackOutputs
from infra.producer import (
    Answer,
    EventSource,
    InvalidRequestError,
    MessageRequest,
    NotAcceptedError,
    NotAttemptedError,
    NotOfferedError,
    NotSentError,
    Producer,
    ProducerError,
    StillRunningError,
    check_request,
)
from infra.results import ErrorCode, MessageResult, Outcome, ReportedSource
from message_sender import errors as function_errors
from message_sender.aws.client import AwsClient
from message_sender.event_sources import eventbridge
from message_sender.request import Secret, parse_request
from message_sender.result import RESULT_SOURCE as RESULT_SOURCE_OF_THE_FUNCTION
from message_sender.result import EventSource as SourceOfTheFunction
from message_sender.token_key import TokenKey
from tests.support.fakes import FakeClock
from tests.support.http_server import FakeServer, running_server
from tests.support.kms import TOKEN_KEY_ARN, Kms
from tests.support.limits import LONGEST, MAX_BYTES, MAX_CHARACTERS, MAX_SPLIT_BYTES, TOO_LONG, above
from tests.support.result_events import result_detail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import boto3

    from infra.producer import BatchSource, ContentLimits

INFRA = Path(__file__).parents[2] / "infra"
TOKEN = "the-connection-token"
TEXT = "The text of the message"
OUTPUTS = StackOutputs(
    stack_name="stack",
    message_queue_url="https://sqs/messages.fifo",
    dead_letter_queue_url="https://sqs/dead.fifo",
    rejected_queue_url="https://sqs/rejected",
    unpublished_results_queue_url="https://sqs/unpublished",
    events_dead_letter_queue_url="https://sqs/events",
    event_bus_name="bus",
    function_name="function",
    function_alias_arn="arn:function:live",
    api_url="https://api.example/v1/",
    state_machine_arn="arn:machine",
    token_key_arn=TOKEN_KEY_ARN,
)
DETAIL = result_detail(EventSource="direct", SourceId="i-1")
PATH = "/connect-message-sender/MyApp-1a2b"
PARAMETERS = [
    "DataKeyArn",
    "DeadLetterQueueUrl",
    "EventBusName",
    "EventsDeadLetterQueueUrl",
    "FunctionAliasArn",
    "FunctionName",
    "MessageQueueUrl",
    "ProducerPolicyArn",
    "RejectedQueueUrl",
    "UnpublishedResultsQueueUrl",
]

NO_OFFSET = datetime(2026, 1, 31, tzinfo=UTC).replace(tzinfo=None)


class FakeAws:
    """A boto3 session whose clients record each call and give one answer to all."""

    region_name = "eu-central-1"
    meta = SimpleNamespace(region_name="eu-central-1")

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.pages: list[dict[str, Any]] = []
        self.answers: dict[str, Any] = {
            "send_message": {"MessageId": "m-1"},
            "put_events": {"Entries": [{"EventId": "e-1"}]},
            "start_execution": {"executionArn": "arn:execution"},
            "encrypt": {"CiphertextBlob": b"\xff\x00 ciphertext"},
        }

    def client(self, service: str, **_: object) -> FakeAws:
        assert service
        return self

    def get_credentials(self) -> Credentials:
        return Credentials("AKIDEXAMPLE", "secret")

    def get_paginator(self, operation: str) -> SimpleNamespace:
        def paginate(**parameters: object) -> list[dict[str, Any]]:
            self.calls.append((operation, parameters))
            return self.pages

        return SimpleNamespace(paginate=paginate)

    def __getattr__(self, operation: str) -> Callable[..., object]:
        def call(**parameters: object) -> object:
            self.calls.append((operation, parameters))
            answer = self.answers[operation]
            if isinstance(answer, list):
                answer = answer.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


@pytest.fixture
def aws() -> FakeAws:
    return FakeAws()


@pytest.fixture
def producer(aws: FakeAws, clock: FakeClock) -> Producer:
    return make_producer(aws, clock)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with running_server() as server:
        yield server


def make_producer(aws: FakeAws, clock: FakeClock, outputs: Addresses = OUTPUTS, url: str = "") -> Producer:
    session = cast("boto3.Session", aws)
    return Producer(outputs, session=session, api_url=url, clock=clock.monotonic, sleep=clock.sleep)


def request(**fields: object) -> MessageRequest:
    valid = {"connection_token": TOKEN, "content": TEXT, "contact_id": "c-1", "client_token": "t-1"}
    return MessageRequest(**cast("dict[str, Any]", valid | fields))


def invoked(payload: object, **fields: object) -> dict[str, Any]:
    return {"Payload": io.BytesIO(json.dumps(payload).encode()), **fields}


def client_error(code: str, status: int) -> ClientError:
    error: Any = {
        "Error": {"Code": code, "Message": f"{TOKEN} is wrong"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(error, "Operation")


# The contract


def test_the_event_sources_lead_to_those_that_a_result_can_have() -> None:
    reported = {value for source in EventSource for value in source.reported_as}

    assert reported == set(ReportedSource)
    assert reported == set(get_args(SourceOfTheFunction))


def test_the_names_on_the_bus_are_those_of_the_function() -> None:
    assert eventbridge.REQUEST_DETAIL_TYPE == REQUEST_DETAIL_TYPE
    assert RESULT_SOURCE_OF_THE_FUNCTION == RESULT_SOURCE
    assert list(RESULT_DETAIL_TYPES) == [f"Message {outcome.title()}" for outcome in Outcome]


@pytest.mark.parametrize("module", ["contract", "outputs", "producer", "result_watcher", "results", "stage"])
def test_the_modules_of_the_library_need_only_each_other_and_published_packages(module: str) -> None:
    tree = ast.parse(INFRA.joinpath(f"{module}.py").read_text())
    from_imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported = {node.module or "" for node in from_imports if not node.level}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}

    packages = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names
    ours = {node.module for node in from_imports if node.level}

    assert {name for name in packages if not name.startswith("types_boto3_")} <= {
        *("boto3", "botocore", "fastjsonschema", "urllib3"),
    }
    assert ours <= {"contract", "outputs", "results", "stage"}


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("producer", ["aws_cdk", "constructs", "jsii"]),
        ("result_watcher", ["aws_cdk", "constructs", "jsii"]),
        ("results", ["aws_cdk", "constructs", "jsii", "boto3", "botocore"]),
    ],
)
def test_a_client_is_imported_under_its_installed_name_without_the_cdk(
    module: str, absent: list[str]
) -> None:
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({absent!r})); import connect_message_sender.{module}"
    )

    subprocess.run([sys.executable, "-I", "-c", program], check=True)


MAX_METADATA = REQUEST_SCHEMA["properties"]["Metadata"]["maxProperties"]
BROKEN = [
    {"connection_token": ""},
    {"connection_token": above("ConnectionToken")},
    {"connection_token": "two words"},
    {"connection_token": 7},
    {"connection_token": "x" * 1001},
    {"content": ""},
    {"content": TOO_LONG},
    {"content": "é" * MAX_BYTES, "content_type": "application/json"},
    {"content": "half of a pair \ud800"},
    {"split_at": 255},
    {"split_at": 16_385},
    {"split_at": "256"},
    {"split_at": 256, "content": "half of a pair \ud800"},
    {"split_at": MAX_CHARACTERS["text/plain"] + 1},
    {"split_at": 256, "content": "{}", "content_type": "application/json"},
    {"split_at": 256, "content": "é" * MAX_SPLIT_BYTES},
    {"content": "{", "content_type": "application/json"},
    {"content": "NaN", "content_type": "application/json"},
    {"content_type": "text/html"},
    {"client_token": above("ClientToken")},
    {"contact_id": "no contact"},
    {"task_token": ""},
    {"metadata": {"order": 4711}},
    {"metadata": {"": "empty key"}},
    {"metadata": dict.fromkeys(map(str, range(MAX_METADATA + 1)), "x")},
    {"metadata": dict.fromkeys(map(str, range(10)), "x" * 250)},
    {"connection_token": None},
    {"connection_token": None, "contact_id": None},
    {"content_type": None},
    {"content": None},
]


@pytest.mark.parametrize("fields", BROKEN)
def test_an_invalid_request_is_refused_in_the_words_of_the_function_and_not_sent(
    producer: Producer, aws: FakeAws, fields: dict[str, Any]
) -> None:
    invalid = request(**fields)
    parsed = parse_request(json.dumps(invalid.document()), client_token=None)

    with pytest.raises(InvalidRequestError) as raised:
        producer.send(invalid, through=EventSource.QUEUE)

    assert isinstance(parsed.request, function_errors.InvalidRequestError)
    assert str(raised.value) == parsed.request.reason
    assert raised.value.__context__ is None
    assert aws.calls == []


@pytest.mark.parametrize(
    "fields",
    [
        {"content": LONGEST},
        {"content": LONGEST * 9, "split_at": MAX_CHARACTERS["text/plain"]},
        {"content": "short", "split_at": 256, "content_type": "text/markdown"},
        {"content": "1" * MAX_CHARACTERS["application/json"], "content_type": "application/json"},
        {"content": "{}", "content_type": "application/vnd.amazonaws.connect.message.interactive.response"},
        {"expires_at": datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)},
        {"metadata": {"order": "4711"}},
        {"contact_id": None},
        {"connection_token": "sealed:".ljust(2048, "A")},
    ],
)
def test_a_valid_request_is_valid_to_the_function_too(fields: dict[str, Any]) -> None:
    valid = request(**fields)

    check_request(valid, through=EventSource.DIRECT)

    parsed = parse_request(json.dumps(valid.document()), client_token=None)
    assert not isinstance(parsed.request, Exception)


@pytest.mark.parametrize(
    ("fields", "source", "reason"),
    [
        ({"contact_id": None}, EventSource.QUEUE, "ContactId is required by queue"),
        ({"contact_id": None}, EventSource.API, "ContactId is required by api"),
        ({"task_token": "t"}, EventSource.API_SYNC, "TaskToken is not for api-sync"),
        ({"task_token": "t"}, EventSource.WORKFLOW, "TaskToken is not for workflow"),
        ({"expires_at": NO_OFFSET}, EventSource.EVENT, "ExpiresAt must be a time with an offset"),
        (
            {"expires_at": "2026-01-31T12:00:00Z"},
            EventSource.EVENT,
            "ExpiresAt must be a time with an offset",
        ),
        (
            {"expires_at": NO_OFFSET.date()},
            EventSource.EVENT,
            "ExpiresAt must be a time with an offset",
        ),
        ({"metadata": ["order"]}, EventSource.QUEUE, "Metadata must be an object"),
        ({"metadata": [("order", "4711")]}, EventSource.QUEUE, "Metadata must be an object"),
        ({"metadata": "order"}, EventSource.QUEUE, "Metadata must be an object"),
    ],
)
def test_rules_of_an_event_source_are_checked(
    fields: dict[str, Any], source: EventSource, reason: str
) -> None:
    with pytest.raises(InvalidRequestError, match=reason):
        check_request(request(**fields), through=source)


def test_the_content_limits_can_be_those_of_the_service() -> None:
    long = request(content=TOO_LONG)

    check_request(long, through=EventSource.QUEUE, content_limits="service")


def test_a_request_has_a_client_token_of_its_own_unless_it_names_one() -> None:
    tokens = {MessageRequest(connection_token=TOKEN, content=TEXT).client_token for _ in range(2)}

    assert len(tokens) == 2


def test_a_request_with_metadata_has_a_hash() -> None:
    one, same, other = (request(metadata={"order": order}) for order in ("4711", "4711", "4712"))

    assert len({one, same, other}) == 2


@pytest.mark.parametrize("limits", ["none", "", None])
def test_unknown_content_limits_are_refused(aws: FakeAws, limits: ContentLimits) -> None:
    with pytest.raises(ValueError, match=r"^content_limits is .*; accepted: specification, service$"):
        Producer(OUTPUTS, session=cast("boto3.Session", aws), content_limits=limits)


@pytest.mark.parametrize(
    "url", ["not a url", "api.example.com/v1", "ftp://api.example.com/", "https://", "https://[::1", "/v1/"]
)
def test_an_address_of_the_api_that_is_no_url_is_refused(aws: FakeAws, url: str) -> None:
    for outputs, given in ((OUTPUTS, url), (Addresses(api_url=url), None)):
        with pytest.raises(ValueError, match=r"^The address of the API is '.*'; accepted: a URL such as "):
            Producer(outputs, session=cast("boto3.Session", aws), api_url=given)


ERRORS = [
    InvalidRequestError("Content must be a string"),
    NotOfferedError("The sender does not offer event"),
    NotAcceptedError("POST /messages", "InvalidRequest", status=400, reason="Content must not be empty"),
    NotAttemptedError("Not sent"),
    NotSentError("Expired", reason="Too late", source_id="i-1", client_token="c-1", status=422),
    NotSentError("Sandbox.Timedout", reason="of Lambda"),
    StillRunningError("arn:execution", 30),
    OutputsError("Chat", "There is no stack Chat."),
]


def pickled(error: Exception) -> Exception:
    passed: Exception = pickle.loads(pickle.dumps(error))  # noqa: S301  # of this process
    return passed


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("transfer", [pickled, copy.copy, copy.deepcopy])
def test_an_error_can_be_passed_on_by_a_pool_of_processes(
    error: Exception, transfer: Callable[[Exception], Exception]
) -> None:
    passed = transfer(error)

    assert (type(passed), str(passed), vars(passed)) == (type(error), str(error), vars(error))
    assert {type(each) for each in ERRORS} == {*ProducerError.__subclasses__(), OutputsError}


def test_no_repr_shows_token_or_text(producer: Producer) -> None:
    shown = repr(request(task_token="the-task-token")) + repr(producer)

    assert TOKEN not in shown
    assert TEXT not in shown
    assert "the-task-token" not in shown


# Event sources that accept


def test_a_message_on_the_queue_is_in_the_group_of_its_contact(producer: Producer, aws: FakeAws) -> None:
    answers = [producer.send(request(), through=EventSource.QUEUE) for _ in range(2)]

    assert answers == [Answer(source_id="m-1")] * 2
    (operation, first), (_, second) = aws.calls
    assert operation == "send_message"
    assert first["QueueUrl"] == OUTPUTS.message_queue_url
    assert first["MessageGroupId"] == "c-1"
    assert json.loads(first["MessageBody"]) == request().document()
    assert first["MessageDeduplicationId"] != second["MessageDeduplicationId"]


def test_an_event_has_the_request_as_its_detail(producer: Producer, aws: FakeAws) -> None:
    answer = producer.send(request(contact_id=None), through=EventSource.EVENT)

    assert answer == Answer(source_id="e-1")
    [(operation, parameters)] = aws.calls
    [entry] = parameters["Entries"]
    assert operation == "put_events"
    assert (entry["EventBusName"], entry["DetailType"]) == ("bus", "SendMessage Requested")
    assert entry["Source"] != RESULT_SOURCE
    assert json.loads(entry["Detail"]) == request(contact_id=None).document()


def test_an_event_that_the_bus_does_not_take_is_an_error(producer: Producer, aws: FakeAws) -> None:
    aws.answers["put_events"] = {"Entries": [{"ErrorCode": "InternalFailure", "ErrorMessage": TOKEN}]}

    with pytest.raises(NotAcceptedError, match=r"^PutEvents: InternalFailure$"):
        producer.send(request(), through=EventSource.EVENT)


def test_the_api_accepts_for_the_queue(aws: FakeAws, clock: FakeClock, server: FakeServer) -> None:
    server.status, server.body = 202, b'{"MessageId": "m-1", "ContactId": "c-1"}'
    producer = make_producer(aws, clock, url=f"{server.url}/v1/")

    answer = producer.send(request(), through=EventSource.API)

    assert answer == Answer(source_id="m-1")
    [posted] = server.requests
    assert (posted.method, posted.path) == ("POST", "/v1/messages")
    assert posted.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
    assert "/eu-central-1/execute-api/aws4_request" in posted.headers["authorization"]
    assert json.loads(posted.body) == request().document()


# Event sources that wait


def test_a_direct_invocation_answers_the_result(producer: Producer, aws: FakeAws) -> None:
    aws.answers["invoke"] = invoked(DETAIL)

    answer = producer.send(request(), through=EventSource.DIRECT)

    assert answer.source_id == "i-1"
    assert answer.result is not None
    assert (answer.result.outcome, answer.result.message_id) == ("SENT", "m-1")
    assert answer.result.detail == DETAIL
    [(_, parameters)] = aws.calls
    assert parameters["FunctionName"] == OUTPUTS.function_alias_arn
    assert json.loads(parameters["Payload"]) == request().document()


@pytest.mark.parametrize(
    ("error_type", "code", "reason"),
    [
        ("ExpiredError", "Expired", "ExpiresAt is past"),
        ("Sandbox.Timedout", "Sandbox.Timedout", None),
    ],
)
def test_a_direct_invocation_that_fails_names_its_code(
    producer: Producer, aws: FakeAws, error_type: str, code: str, reason: str | None
) -> None:
    error = {"errorType": error_type, "errorMessage": "ExpiresAt is past", "requestId": "i-1"}
    aws.answers["invoke"] = invoked(error, FunctionError="Unhandled")

    with pytest.raises(NotSentError) as raised:
        producer.send(request(), through=EventSource.DIRECT)

    assert (raised.value.code, raised.value.reason, raised.value.source_id) == (code, reason, "i-1")
    assert isinstance(raised.value.code, ErrorCode) == (reason is not None)


def test_the_synchronous_api_answers_the_result(aws: FakeAws, clock: FakeClock, server: FakeServer) -> None:
    server.body = json.dumps(DETAIL).encode()

    answer = make_producer(aws, clock, url=server.url).send(request(), through=EventSource.API_SYNC)

    assert answer.result is not None
    assert answer.result.detail == DETAIL
    assert server.requests[0].path == "/messages/sync"


def test_an_error_of_the_function_by_the_api_has_code_reason_and_client_token(
    aws: FakeAws, clock: FakeClock, server: FakeServer
) -> None:
    server.status = 422
    server.body = b'{"Code": "Expired", "Reason": "ExpiresAt is past", "ClientToken": "t-1"}'

    with pytest.raises(NotSentError, match=r"^Expired: ExpiresAt is past$") as raised:
        make_producer(aws, clock, url=server.url).send(request(), through=EventSource.API_SYNC)

    assert (raised.value.status, raised.value.client_token) == (422, "t-1")


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (
            403,
            b'{"Code": "NotAuthorized", "Reason": "Not signed", "ClientToken": null}',
            "POST /messages: NotAuthorized: Not signed",
        ),
        (503, b"<html>", "POST /messages: HTTP 503"),
        (202, b"{}", "POST /messages: HTTP 202"),
        (200, b"{}", "POST /messages: NotAResult"),
        (500, b"{}", "POST /messages: HTTP 500"),
    ],
)
def test_what_the_api_refuses_by_itself_is_not_accepted(
    aws: FakeAws, clock: FakeClock, server: FakeServer, status: int, body: bytes, text: str
) -> None:
    server.status, server.body = status, body

    with pytest.raises(NotAcceptedError) as raised:
        make_producer(aws, clock, url=server.url).send(request(), through=EventSource.API)

    assert (str(raised.value), raised.value.status) == (text, status)


def test_an_api_that_does_not_answer_may_have_accepted(
    aws: FakeAws, clock: FakeClock, server: FakeServer
) -> None:
    server.cut = True

    with pytest.raises(NotAcceptedError, match=r"^POST /messages: ProtocolError$") as raised:
        make_producer(aws, clock, url=server.url).send(request(), through=EventSource.API)

    assert raised.value.status is None


def test_an_answer_of_another_function_is_not_a_result(producer: Producer, aws: FakeAws) -> None:
    aws.answers["invoke"] = invoked({"greeting": TOKEN})

    with pytest.raises(NotAcceptedError, match=r"^Invoke: NotAResult$"):
        producer.send(request(), through=EventSource.DIRECT)


# Executions


def test_an_execution_is_started_and_waited_for(producer: Producer, aws: FakeAws, clock: FakeClock) -> None:
    ended = {"status": "SUCCEEDED", "output": json.dumps(DETAIL)}
    aws.answers["describe_execution"] = [{"status": "RUNNING"}, {"status": "RUNNING"}, ended]

    started = producer.send(request(), through=EventSource.WORKFLOW)
    answer = producer.wait_for_execution(started.source_id, timeout=60)

    assert started == Answer(source_id="arn:execution")
    assert json.loads(aws.calls[0][1]["input"]) == request().document()
    assert answer.result is not None
    assert answer.result.outcome == "SENT"
    assert len(clock.slept) == 2


@pytest.mark.parametrize(
    ("execution", "code", "reason"),
    [
        ({"status": "FAILED", "error": "ExpiredError", "cause": "It is past"}, "Expired", "It is past"),
        (
            {"status": "FAILED", "error": "ExpiredError", "cause": '{"errorMessage": "It is past"}'},
            "Expired",
            "It is past",
        ),
        ({"status": "FAILED", "error": "States.Timeout"}, "States.Timeout", None),
        ({"status": "FAILED", "error": "States.Runtime", "cause": f"about {TOKEN}"}, "States.Runtime", None),
        ({"status": "ABORTED"}, "ABORTED", None),
    ],
)
def test_an_execution_that_fails_names_its_code(
    producer: Producer, aws: FakeAws, execution: dict[str, str], code: str, reason: str | None
) -> None:
    aws.answers["describe_execution"] = execution

    with pytest.raises(NotSentError) as raised:
        producer.wait_for_execution("arn:execution", timeout=60)

    assert (raised.value.code, raised.value.reason) == (code, reason)
    assert raised.value.source_id == "arn:execution"


def test_an_execution_that_takes_too_long_can_be_waited_for_again(
    producer: Producer, aws: FakeAws, clock: FakeClock
) -> None:
    aws.answers["describe_execution"] = {"status": "RUNNING"}

    with pytest.raises(StillRunningError, match="within 2 seconds") as raised:
        producer.wait_for_execution("arn:execution", timeout=2)

    assert raised.value.execution_arn == "arn:execution"
    assert sum(clock.slept) == 2


# Sealed tokens


def test_a_sealed_token_without_a_contact_is_refused_in_the_words_of_the_function() -> None:
    invalid = request(connection_token="sealed:QUJD", contact_id=None)
    parsed = parse_request(json.dumps(invalid.document()), client_token=None)

    with pytest.raises(InvalidRequestError) as raised:
        check_request(invalid, through=EventSource.DIRECT)

    assert isinstance(parsed.request, function_errors.InvalidRequestError)
    assert str(raised.value) == parsed.request.reason


def test_a_token_is_sealed_for_one_contact(producer: Producer, aws: FakeAws) -> None:
    sealed = producer.seal(TOKEN, "c-1")

    assert sealed == "sealed:/wAgY2lwaGVydGV4dA=="
    assert aws.calls == [
        (
            "encrypt",
            {
                "KeyId": TOKEN_KEY_ARN,
                "Plaintext": TOKEN.encode(),
                "EncryptionContext": {"ContactId": "c-1"},
            },
        )
    ]


def test_the_function_can_read_what_the_producer_has_sealed(producer: Producer, aws: FakeAws) -> None:
    kms, clock = Kms(), FakeClock()
    aws.answers["encrypt"] = {"CiphertextBlob": b64decode(kms.seal(TOKEN, contact_id="c-1")[7:])}
    key = TokenKey(kms=AwsClient(kms, clock=clock, random=lambda: 0.0), arn=TOKEN_KEY_ARN, clock=clock)

    sealed = producer.seal(TOKEN, "c-1")
    check_request(request(connection_token=sealed), through=EventSource.QUEUE)

    assert key.unseal(Secret(sealed), contact_id="c-1", until=math.inf).reveal() == TOKEN


@pytest.mark.parametrize(
    ("token", "contact_id", "reason"),
    [
        ("", "c-1", "ConnectionToken must not be empty"),
        ("x" * 1001, "c-1", "ConnectionToken is longer than 1000 characters"),
        ("two words", "c-1", "ConnectionToken must be visible ASCII characters only"),
        ("sealed:QUJD", "c-1", "ConnectionToken is sealed already"),
        (TOKEN, "", "ContactId must not be empty"),
        (TOKEN, "no contact", "ContactId must be letters, digits and hyphens only"),
        (None, "c-1", "ConnectionToken is required"),
        (TOKEN.encode(), "c-1", "ConnectionToken must be a string"),
    ],
)
def test_a_token_or_contact_that_is_not_valid_is_not_sealed(
    producer: Producer, aws: FakeAws, token: str, contact_id: str, reason: str
) -> None:
    with pytest.raises(InvalidRequestError) as raised:
        producer.seal(token, contact_id)

    assert str(raised.value) == reason
    assert aws.calls == []


def test_a_stack_without_a_key_seals_nothing(aws: FakeAws, clock: FakeClock) -> None:
    producer = make_producer(aws, clock, replace(OUTPUTS, token_key_arn=""))

    with pytest.raises(NotOfferedError, match="The stack has no key for sealed tokens"):
        producer.seal(TOKEN, "c-1")


def test_a_token_that_kms_does_not_encrypt_is_not_quoted(producer: Producer, aws: FakeAws) -> None:
    aws.answers["encrypt"] = client_error("DisabledException", 400)

    with pytest.raises(NotAcceptedError) as raised:
        producer.seal(TOKEN, "c-1")

    assert (str(raised.value), raised.value.status) == ("Encrypt: DisabledException", 400)
    assert raised.value.__context__ is None
    assert TOKEN not in "".join(traceback.format_exception(raised.value))


# Errors


@pytest.mark.parametrize(
    ("error", "text", "status"),
    [
        (client_error("AccessDenied", 403), "SendMessage: AccessDenied", 403),
        (ReadTimeoutError(endpoint_url=f"https://sqs/{TOKEN}"), "SendMessage: ReadTimeoutError", None),
    ],
)
def test_a_call_that_fails_is_named_and_quotes_nothing(
    producer: Producer, aws: FakeAws, error: Exception, text: str, status: int | None
) -> None:
    aws.answers["send_message"] = error

    with pytest.raises(NotAcceptedError) as raised:
        producer.send(request(), through=EventSource.QUEUE)

    assert (str(raised.value), raised.value.status) == (text, status)
    assert raised.value.__context__ is None
    assert TOKEN not in "".join(traceback.format_exception(raised.value))


def test_an_event_source_that_the_stack_lacks_is_not_offered(aws: FakeAws, clock: FakeClock) -> None:
    few = replace(OUTPUTS, api_url="", state_machine_arn="")
    producer = make_producer(aws, clock, few)

    assert producer.offered == (EventSource.QUEUE, EventSource.EVENT, EventSource.DIRECT)
    with pytest.raises(NotOfferedError, match=r"^The sender does not offer workflow"):
        producer.send(request(), through=EventSource.WORKFLOW)


def test_a_producer_with_one_address_offers_one_event_source(aws: FakeAws, clock: FakeClock) -> None:
    producer = make_producer(aws, clock, Addresses(message_queue_url="https://sqs/messages.fifo"))

    assert producer.offered == (EventSource.QUEUE,)
    assert producer.send(request(), through=EventSource.QUEUE) == Answer(source_id="m-1")
    with pytest.raises(NotOfferedError, match="event, or its address was not given"):
        producer.send_all([request()], through=EventSource.EVENT)
    assert [operation for operation, _ in aws.calls] == ["send_message"]


# Finding the sender


def test_a_sender_is_found_by_its_stack(aws: FakeAws) -> None:
    outputs = [{"OutputKey": name, "OutputValue": f"the {name}"} for name in PARAMETERS]
    aws.answers["describe_stacks"] = {"Stacks": [{"Outputs": outputs}]}

    producer = Producer.of_stack("my-stack", session=cast("boto3.Session", aws))
    producer.send(request(), through=EventSource.QUEUE)

    (_, found), (_, sent) = aws.calls
    assert found == {"StackName": "my-stack"}
    assert sent["QueueUrl"] == "the MessageQueueUrl"


def test_a_sender_is_found_by_its_name_in_all_pages_of_parameters(aws: FakeAws) -> None:
    parameters = [{"Name": f"{PATH}/{name}", "Value": f"the {name}"} for name in PARAMETERS]
    aws.pages = [{"Parameters": parameters[:5]}, {"Parameters": parameters[5:]}]

    producer = Producer.of_sender("MyApp-1a2b", session=cast("boto3.Session", aws))
    producer.send(request(), through=EventSource.QUEUE)

    (operation, found), (_, sent) = aws.calls
    assert (operation, found) == ("get_parameters_by_path", {"Path": PATH})
    assert sent["QueueUrl"] == "the MessageQueueUrl"
    assert set(producer.offered) == {EventSource.QUEUE, EventSource.EVENT, EventSource.DIRECT}


def test_a_sender_without_parameters_is_named_with_its_region(aws: FakeAws) -> None:
    aws.pages = [{"Parameters": []}]

    with pytest.raises(OutputsError, match=r"^There is no sender MyApp-1a2b in eu-central-1: .* under /conn"):
        Producer.of_sender("MyApp-1a2b", session=cast("boto3.Session", aws))


def test_a_parameter_that_is_missing_is_named(aws: FakeAws) -> None:
    aws.pages = [{"Parameters": [{"Name": f"{PATH}/MessageQueueUrl", "Value": "x"}]}]

    with pytest.raises(OutputsError, match="MyApp-1a2b has no output EventBusName"):
        Producer.of_sender("MyApp-1a2b", session=cast("boto3.Session", aws))


# Batches


def chat(contact: str, *messages: str) -> list[MessageRequest]:
    return [
        request(contact_id=contact, client_token=f"{contact}{each}", content=f"{TEXT} {each}")
        for each in messages
    ]


def accepted(source_id: str) -> Answer:
    return Answer(source_id=source_id)


class FakeBatches(FakeAws):
    """SQS and EventBridge, which accept all messages but those with some ClientTokens.

    Attributes:
        batches: The ClientTokens in each call.
        failing: The calls, counted from 0, that fail as a whole.
    """

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []
        self.entries: list[dict[str, str]] = []
        self.refused: set[str] = set()
        self.failing: set[int] = set()

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:
        assert QueueUrl == OUTPUTS.message_queue_url
        answer: dict[str, Any] = {}
        for entry, refused in zip(Entries, self._take(Entries, "MessageBody"), strict=True):
            if refused:
                error = {"Id": entry["Id"], "Code": "InternalError", "Message": TOKEN, "SenderFault": False}
                answer.setdefault("Failed", []).append(error)
            else:
                message_id = f"id of {json.loads(entry['MessageBody'])['ClientToken']}"
                answer.setdefault("Successful", []).insert(0, {"Id": entry["Id"], "MessageId": message_id})
        return answer

    def put_events(self, *, Entries: list[dict[str, str]]) -> dict[str, Any]:
        refused = self._take(Entries, "Detail")
        return {
            "Entries": [
                {"ErrorCode": "InternalFailure", "ErrorMessage": TOKEN} if each else {"EventId": f"e-{place}"}
                for place, each in enumerate(refused)
            ]
        }

    def _take(self, entries: list[dict[str, str]], text: str) -> list[bool]:
        tokens = [json.loads(entry[text])["ClientToken"] for entry in entries]
        self.batches.append(tokens)
        self.entries += entries
        assert 1 <= len(entries) <= 10
        assert sum(len(entry[text]) for entry in entries) <= 1024 * 1024
        if len(self.batches) - 1 in self.failing:
            raise client_error("AccessDenied", 403)
        return [token in self.refused for token in tokens]


@pytest.fixture
def batches() -> FakeBatches:
    return FakeBatches()


def test_a_batch_has_one_message_of_each_chat_at_a_time(batches: FakeBatches, clock: FakeClock) -> None:
    requests = [*chat("a", "1", "2", "3"), *chat("b", "1"), *chat("c", "1", "2")]

    answers = make_producer(batches, clock).send_all(requests, through=EventSource.QUEUE)

    assert answers == [accepted(f"id of {each.client_token}") for each in requests]
    assert batches.batches == [["a1", "b1", "c1"], ["a2", "c2"], ["a3"]]
    assert [entry["MessageGroupId"] for entry in batches.entries] == [*"abcaca"]
    assert len({entry["MessageDeduplicationId"] for entry in batches.entries}) == 6


def test_a_batch_has_at_most_ten_messages(batches: FakeBatches, clock: FakeClock) -> None:
    requests = [each for number in range(23) for each in chat(f"chat-{number}-", "1")]

    answers = make_producer(batches, clock).send_all(iter(requests), through=EventSource.QUEUE)

    assert [len(batch) for batch in batches.batches] == [10, 10, 3]
    assert answers == [accepted(f"id of {each.client_token}") for each in requests]


@pytest.mark.parametrize("source", [EventSource.QUEUE, EventSource.EVENT])
def test_a_batch_stays_below_the_bytes_of_one_call(batches: FakeBatches, source: BatchSource) -> None:
    # Each character is six bytes of JSON
    metadata = dict.fromkeys("abcdefg", "\x01" * 250)
    big = [
        request(contact_id=f"c-{number}", content="\x01" * MAX_BYTES, metadata=metadata)
        for number in range(20)
    ]
    producer = Producer(OUTPUTS, session=cast("boto3.Session", batches), content_limits="service")

    answers = producer.send_all(big, through=source)

    assert all(isinstance(answer, Answer) for answer in answers)
    most = {EventSource.QUEUE: 1024 * 1024, EventSource.EVENT: 256 * 1024}[source]
    assert len(json.dumps(big[0].document())) * 10 > most, "ten of them must not fit"
    assert max(map(len, batches.batches)) == most // len(json.dumps(big[0].document()))


def test_a_message_that_sqs_refuses_stops_its_chat_and_no_other(
    batches: FakeBatches, clock: FakeClock
) -> None:
    requests = [*chat("a", "1", "2", "3"), *chat("b", "1", "2")]
    batches.refused = {"a2"}

    a1, a2, a3, b1, b2 = make_producer(batches, clock).send_all(requests, through=EventSource.QUEUE)

    assert (a1, b1, b2) == (accepted("id of a1"), accepted("id of b1"), accepted("id of b2"))
    assert isinstance(a2, NotAcceptedError)
    assert (str(a2), a2.status) == ("SendMessageBatch: InternalError", 200)
    assert isinstance(a3, NotAttemptedError)
    assert batches.batches == [["a1", "b1"], ["a2", "b2"]]


def test_a_call_that_fails_ends_the_batch(batches: FakeBatches, clock: FakeClock) -> None:
    requests = [*chat("a", "1", "2"), *(each for number in range(20) for each in chat(f"b{number}-", "1"))]
    batches.failing = {1}

    answers = make_producer(batches, clock).send_all(requests, through=EventSource.QUEUE)

    kinds = dict(zip((each.client_token for each in requests), map(type, answers), strict=True))
    assert [kinds[token] for token in batches.batches[0]] == [Answer] * 10
    assert [kinds[token] for token in batches.batches[1]] == [NotAcceptedError] * 10
    assert len(batches.batches) == 2
    assert kinds["a2"] is NotAttemptedError
    assert sum(kind is NotAttemptedError for kind in kinds.values()) == 2


@pytest.mark.parametrize("source", [EventSource.QUEUE, EventSource.EVENT])
@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"content": ""}, "Content must not be empty"),
        ({"content": None}, "Content is required"),
        ({"expires_at": "tomorrow"}, "ExpiresAt must be a time with an offset"),
        ({"metadata": [TEXT]}, "Metadata must be an object"),
    ],
)
def test_an_invalid_request_is_reported_in_its_place_and_stops_no_other(
    batches: FakeBatches, clock: FakeClock, source: BatchSource, fields: dict[str, Any], reason: str
) -> None:
    requests = [*chat("a", "1"), *chat("a", "2"), *chat("a", "3")]
    requests[1] = replace(requests[1], **fields)

    first, invalid, last = make_producer(batches, clock).send_all(requests, through=source)

    assert isinstance(first, Answer)
    assert isinstance(invalid, InvalidRequestError)
    assert str(invalid) == reason
    assert isinstance(last, Answer)
    assert [token for batch in batches.batches for token in batch] == ["a1", "a3"]


def test_events_of_a_batch_are_answered_one_by_one(batches: FakeBatches, clock: FakeClock) -> None:
    batches.refused = {"a1"}

    answers = make_producer(batches, clock).send_all(chat("a", "1", "2", "3"), through=EventSource.EVENT)

    assert [type(answer) for answer in answers] == [NotAcceptedError, Answer, Answer]
    assert answers[1:] == [accepted("e-1"), accepted("e-2")]
    assert batches.batches == [["a1", "a2", "a3"]]
    assert {(entry["EventBusName"], entry["DetailType"]) for entry in batches.entries} == {
        ("bus", "SendMessage Requested")
    }


def test_an_event_source_can_be_its_name(batches: FakeBatches, clock: FakeClock) -> None:
    requests = chat("a", "1", "2")

    answers = make_producer(batches, clock).send_all(requests, through=cast("BatchSource", "queue"))

    assert answers == [accepted("id of a1"), accepted("id of a2")]
    assert batches.batches == [["a1"], ["a2"]]


def test_no_message_is_no_call(batches: FakeBatches, clock: FakeClock) -> None:
    assert make_producer(batches, clock).send_all([], through=EventSource.QUEUE) == []
    assert batches.batches == []


def test_a_message_that_sqs_does_not_answer_for_may_have_been_accepted(
    producer: Producer, aws: FakeAws
) -> None:
    aws.answers["send_message_batch"] = {}

    [answer] = producer.send_all([request()], through=EventSource.QUEUE)

    assert isinstance(answer, NotAcceptedError)
    assert (answer.code, answer.status) == ("NoAnswer", None)


def test_event_sources_that_take_one_message_are_not_for_batches(producer: Producer) -> None:
    with pytest.raises(ValueError, match="through is direct, which takes one message"):
        producer.send_all([request()], through=cast("BatchSource", EventSource.DIRECT))


def test_no_answer_of_a_batch_shows_token_or_text(batches: FakeBatches, clock: FakeClock) -> None:
    requests = [*chat("a", "1", "2"), request(content="", contact_id="b"), *chat("c", "1")]
    batches.refused = {"a1"}
    batches.failing = {1}
    producer = make_producer(batches, clock)
    kinds = set()

    for _ in range(2):
        for answer in producer.send_all(requests, through=EventSource.QUEUE):
            kinds.add(type(answer))
            shown = f"{answer!r} {answer}"
            if isinstance(answer, ProducerError):
                shown += "".join(traceback.format_exception(answer))
                assert answer.__traceback__ is None  # its frames hold the request
                assert answer.__context__ is None
            assert TOKEN not in shown
            assert TEXT not in shown

    assert kinds == {Answer, NotAcceptedError, NotAttemptedError, InvalidRequestError}


def test_the_answers_have_types(producer: Producer, aws: FakeAws) -> None:
    aws.answers["send_message_batch"] = {"Successful": [{"Id": "0", "MessageId": "m-1"}]}

    answer = producer.send(request(), through=EventSource.QUEUE)
    [of_batch] = producer.send_all([request()], through=EventSource.QUEUE)

    assert_type(answer.result, MessageResult | None)
    assert_type(of_batch, Answer | ProducerError)
    assert answer == of_batch


def test_threads_share_a_producer(batches: FakeBatches, clock: FakeClock) -> None:
    producer = make_producer(batches, clock)

    def send(number: int) -> list[Answer | ProducerError]:
        return producer.send_all(chat(f"{number}-", "1", "2"), through=EventSource.QUEUE)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(40)))

    assert answers == [[accepted(f"id of {each}-1"), accepted(f"id of {each}-2")] for each in range(40)]


def test_any_text_can_be_sent_to_see_what_the_stack_rejects(producer: Producer, aws: FakeAws) -> None:
    producer.send_text("not JSON", through=EventSource.QUEUE, message_group="nobody")

    [(_, parameters)] = aws.calls
    assert (parameters["MessageBody"], parameters["MessageGroupId"]) == ("not JSON", "nobody")
