"""The producer: what it checks, what it sends to each event source, and what it makes of each answer."""

from __future__ import annotations

import ast
import io
import json
import sys
import traceback
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ReadTimeoutError

from infra.contract import (
    REQUEST_DETAIL_TYPE,
    REQUEST_SCHEMA,
    RESULT_DETAIL_TYPES,
    RESULT_SCHEMA,
    RESULT_SOURCE,
)
from infra.outputs import StackOutputs
from infra.producer import (
    Answer,
    EventSource,
    InvalidRequestError,
    MessageRequest,
    NotAcceptedError,
    NotOfferedError,
    NotSentError,
    Producer,
    StillRunningError,
    check_request,
)
from message_sender import errors as function_errors
from message_sender.event_sources import eventbridge
from message_sender.request import parse_request
from message_sender.result import RESULT_SOURCE as RESULT_SOURCE_OF_THE_FUNCTION
from message_sender.result import EventSource as SourceOfTheFunction
from tests.support.fakes import FakeClock
from tests.support.http_server import FakeServer, running_server
from tests.support.limits import LONGEST, MAX_BYTES, MAX_CHARACTERS, MAX_SPLIT_BYTES, TOO_LONG, above

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import boto3

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
)
DETAIL: Mapping[str, Any] = {
    "Outcome": "SENT",
    "EventSource": "direct",
    "SourceId": "i-1",
    "ClientToken": "t-1",
    "ContactId": "c-1",
    "CompletedAt": "2026-01-31T12:00:00.000Z",
    "Message": {"Id": "m-1"},
    "Error": None,
}

NO_OFFSET = datetime(2026, 1, 31, tzinfo=UTC).replace(tzinfo=None)


class FakeAws:
    """A boto3 session whose clients record each call and give one answer to all."""

    region_name = "eu-central-1"

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {
            "send_message": {"MessageId": "m-1"},
            "put_events": {"Entries": [{"EventId": "e-1"}]},
            "start_execution": {"executionArn": "arn:execution"},
        }

    def client(self, service: str, **_: object) -> FakeAws:
        assert service
        return self

    def get_credentials(self) -> Credentials:
        return Credentials("AKIDEXAMPLE", "secret")

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


def make_producer(aws: FakeAws, clock: FakeClock, outputs: StackOutputs = OUTPUTS, url: str = "") -> Producer:
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

    assert reported == set(RESULT_SCHEMA["properties"]["EventSource"]["enum"])
    assert reported == set(get_args(SourceOfTheFunction))


def test_the_names_on_the_bus_are_those_of_the_function() -> None:
    assert eventbridge.REQUEST_DETAIL_TYPE == REQUEST_DETAIL_TYPE
    assert RESULT_SOURCE_OF_THE_FUNCTION == RESULT_SOURCE
    outcomes = RESULT_SCHEMA["properties"]["Outcome"]["enum"]
    assert list(RESULT_DETAIL_TYPES) == [f"Message {outcome.title()}" for outcome in outcomes]


@pytest.mark.parametrize("module", ["contract", "outputs", "producer", "result_watcher"])
def test_the_modules_of_the_library_need_only_each_other_and_published_packages(module: str) -> None:
    tree = ast.parse(INFRA.joinpath(f"{module}.py").read_text())
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}

    packages = {name.partition(".")[0] for name in imported} - sys.stdlib_module_names
    ours = {name for name in imported if name.startswith("infra")}

    assert {name for name in packages if not name.startswith("types_boto3_")} <= {
        *("infra", "boto3", "botocore", "fastjsonschema", "urllib3"),
    }
    assert ours <= {"infra.contract", "infra.outputs"}


MAX_METADATA = REQUEST_SCHEMA["properties"]["Metadata"]["maxProperties"]
BROKEN = [
    {"connection_token": ""},
    {"connection_token": above("ConnectionToken")},
    {"connection_token": "two words"},
    {"connection_token": 7},
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
    with pytest.raises(NotOfferedError, match="The stack stack does not offer workflow"):
        producer.send(request(), through=EventSource.WORKFLOW)


def test_any_text_can_be_sent_to_see_what_the_stack_rejects(producer: Producer, aws: FakeAws) -> None:
    producer.send_text("not JSON", through=EventSource.QUEUE, message_group="nobody")

    [(_, parameters)] = aws.calls
    assert (parameters["MessageBody"], parameters["MessageGroupId"]) == ("not JSON", "nobody")
