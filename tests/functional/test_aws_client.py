"""The AWS client over HTTP, compared with botocore."""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError
from urllib3.exceptions import HTTPError

from message_sender.aws.client import JsonApi
from message_sender.aws.credentials import Credentials
from message_sender.aws.endpoints import is_safe_url
from message_sender.errors import AwsCallError
from tests.support.botocore_signature import botocore_authorization
from tests.support.http_server import running_server

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.http_server import FakeServer, Request

Service: TypeAlias = Literal["events", "kms", "sqs", "stepfunctions"]
CREDENTIALS = Credentials("AKIDEXAMPLE", "secret-key", "session-token")
EVENTS = {"target": "AWSEvents", "signing_name": "events", "content_type": "application/x-amz-json-1.1"}
KMS = {"target": "TrentService", "signing_name": "kms", "content_type": "application/x-amz-json-1.1"}
STEP_FUNCTIONS = {
    "target": "AWSStepFunctions",
    "signing_name": "states",
    "content_type": "application/x-amz-json-1.0",
}
SQS = {"target": "AmazonSQS", "signing_name": "sqs", "content_type": "application/x-amz-json-1.0"}


def api(server: FakeServer, *, target: str, signing_name: str, content_type: str, path: str = "") -> JsonApi:
    return JsonApi(
        pools=urllib3.PoolManager(retries=False),
        endpoint=f"{server.url}{path}",
        region="eu-central-1",
        signing_name=signing_name,
        target=target,
        content_type=content_type,
        credentials=lambda: CREDENTIALS,
    )


def call_with_boto3(server: FakeServer, service: Service, method: str, parameters: dict[str, Any]) -> None:
    client = boto3.client(
        service,
        endpoint_url=server.url,
        region_name="eu-central-1",
        aws_access_key_id=CREDENTIALS.access_key,
        aws_secret_access_key=CREDENTIALS.secret_key,
        aws_session_token=CREDENTIALS.token,
        config=Config(retries={"total_max_attempts": 1}),
    )
    getattr(client, method)(**parameters)


def signature(request: Request) -> str:
    """Return the `Authorization` header that botocore makes for a request that arrived."""
    _, _, region, service, _ = request.headers["authorization"].split(",")[0].split("/")
    signed = request.headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    return botocore_authorization(
        {name: request.headers[name] for name in signed},
        request.body,
        url=f"http://{request.headers['host']}{request.path}",
        region=region,
        service=service,
        credentials=CREDENTIALS,
        now=datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%S%z").astimezone(UTC),
    )


ENTRY = {"EventBusName": "bus", "Source": "s", "DetailType": "t", "Detail": '{"a": "ü😀"}'}
MESSAGE = {
    "QueueUrl": "http://127.0.0.1/0/q",
    "MessageBody": "b",
    "MessageAttributes": {"Code": {"DataType": "String", "StringValue": "x"}},
}
TASK_SUCCESS = {"taskToken": "AQC/+=", "output": '{"Outcome": "SENT", "Metadata": {"a": "ü"}}'}
CIPHERTEXT = b"\x01\x02\xff sealed"
DECRYPT = {"KeyId": "arn:aws:kms:eu-central-1:000000000000:key/1", "EncryptionContext": {"ContactId": "c-1"}}
TASK_FAILURE = {"taskToken": "AQC/+=", "error": "AccessDeniedError", "cause": "The token was refused"}


@pytest.mark.parametrize(
    ("service", "operation", "method", "parameters", "settings"),
    [
        ("events", "PutEvents", "put_events", {"Entries": [ENTRY]}, EVENTS),
        ("sqs", "SendMessage", "send_message", MESSAGE, SQS),
        (
            "sqs",
            "SendMessageBatch",
            "send_message_batch",
            {"QueueUrl": "q", "Entries": [{"Id": "0", "MessageBody": "b"}]},
            SQS,
        ),
        ("stepfunctions", "SendTaskSuccess", "send_task_success", TASK_SUCCESS, STEP_FUNCTIONS),
        ("stepfunctions", "SendTaskFailure", "send_task_failure", TASK_FAILURE, STEP_FUNCTIONS),
    ],
    ids=["PutEvents", "SendMessage", "SendMessageBatch", "SendTaskSuccess", "SendTaskFailure"],
)
def test_a_call_equals_the_call_of_botocore(
    server: FakeServer,
    service: Service,
    operation: str,
    method: str,
    parameters: dict[str, Any],
    settings: dict[str, str],
) -> None:
    server.body = b'{"MessageId": "m", "MD5OfMessageBody": "92eb5ffee6ae2fec3ad71c777531578f"}'

    api(server, **settings).call(operation, parameters)
    call_with_boto3(server, service, method, parameters)

    ours, theirs = server.requests
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    assert json.loads(ours.body) == json.loads(theirs.body)
    for header in ("host", "content-type", "x-amz-target", "x-amz-security-token"):
        assert ours.headers[header] == theirs.headers[header]
    assert ours.headers["authorization"] == signature(ours)
    assert theirs.headers["authorization"] == signature(theirs)


def test_a_call_with_bytes_equals_the_call_of_botocore(server: FakeServer) -> None:
    server.body = b'{"Plaintext": "QUJD"}'
    ciphertext = base64.b64encode(CIPHERTEXT).decode()

    api(server, **KMS).call("Decrypt", DECRYPT | {"CiphertextBlob": ciphertext})
    call_with_boto3(server, "kms", "decrypt", DECRYPT | {"CiphertextBlob": CIPHERTEXT})

    ours, theirs = server.requests
    assert json.loads(ours.body) == json.loads(theirs.body)
    assert (ours.path, ours.headers["x-amz-target"], ours.headers["content-type"]) == (
        theirs.path,
        theirs.headers["x-amz-target"],
        theirs.headers["content-type"],
    )
    assert ours.headers["authorization"] == signature(ours)


def test_the_signature_covers_the_path_of_the_endpoint(server: FakeServer) -> None:
    path = "/v1.2/..a/~(b),c;d=e:f@g!$&'*+"
    assert is_safe_url(f"{server.url}{path}")

    api(server, **SQS, path=path).call("SendMessage", {})

    [request] = server.requests
    assert request.path == f"{path}/"
    assert request.headers["authorization"] == signature(request)


@pytest.mark.parametrize(
    ("status", "headers", "body", "name"),
    [
        (400, {}, {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "m"}, "QueueDoesNotExist"),
        (400, {}, {"__type": "AccessDeniedException:http://x/"}, "AccessDeniedException"),
        (500, {}, {"__type": "InternalFailure"}, "InternalFailure"),
    ],
)
def test_an_error_has_the_name_that_botocore_reads(
    server: FakeServer, status: int, headers: dict[str, str], body: dict[str, str], name: str
) -> None:
    server.status, server.headers, server.body = status, headers, json.dumps(body).encode()

    with pytest.raises(AwsCallError) as ours:
        api(server, **EVENTS).call("PutEvents", {"Entries": []})
    with pytest.raises(ClientError) as theirs:
        call_with_boto3(server, "events", "put_events", {"Entries": [ENTRY]})

    assert ours.value.name == theirs.value.response["Error"]["Code"] == name
    assert ours.value.http_status == status


@pytest.mark.parametrize("name", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_an_error_of_a_task_has_the_name_that_botocore_reads(server: FakeServer, name: str) -> None:
    server.status = 400
    server.body = json.dumps(
        {"__type": f"com.amazonaws.swf.service.v2.model#{name}", "message": "m"}
    ).encode()

    with pytest.raises(AwsCallError) as ours:
        api(server, **STEP_FUNCTIONS).call("SendTaskSuccess", TASK_SUCCESS)
    with pytest.raises(ClientError) as theirs:
        call_with_boto3(server, "stepfunctions", "send_task_success", TASK_SUCCESS)

    assert ours.value.name == theirs.value.response["Error"]["Code"] == name


def test_a_call_is_one_request_and_follows_no_redirect(server: FakeServer) -> None:
    server.status, server.headers = 307, {"Location": server.url}

    with pytest.raises(AwsCallError) as raised:
        api(server, **SQS).call("SendMessage", {})

    assert raised.value.http_status == 307
    assert len(server.requests) == 1


def test_a_call_over_a_broken_connection_is_not_retried(server: FakeServer) -> None:
    server.cut = True

    with pytest.raises(AwsCallError) as raised:
        api(server, **SQS).call("SendMessage", {})

    assert raised.value.http_status is None
    assert len(server.requests) == 1


def test_a_deeply_nested_answer_is_an_error(server: FakeServer) -> None:
    server.body = b"[" * 100_000

    with pytest.raises(AwsCallError, match="UnreadableResponse"):
        api(server, **SQS).call("SendMessage", {})


def test_the_name_of_an_error_is_read_from_a_header(server: FakeServer) -> None:
    server.status, server.headers = 403, {"x-amzn-errortype": "AccessDeniedException:http://x/"}

    with pytest.raises(AwsCallError) as raised:
        api(server, **EVENTS).call("PutEvents", {})

    assert raised.value.name == "AccessDeniedException"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]"])
def test_an_unreadable_answer_is_a_retryable_error(server: FakeServer, body: bytes) -> None:
    server.status, server.body = 502, body

    with pytest.raises(AwsCallError) as raised:
        api(server, **SQS).call("SendMessage", {})

    assert raised.value.name == "UnreadableResponse"
    assert raised.value.retryable


def test_an_error_does_not_contain_the_parameters(server: FakeServer) -> None:
    server.status, server.body = 400, b'{"__type": "X", "message": "the-secret is wrong"}'

    with pytest.raises(AwsCallError) as raised:
        api(server, **SQS).call("SendMessage", {"MessageBody": "the-secret"})

    assert "the-secret" not in repr(raised.value)


def test_a_refused_connection_is_a_retryable_error() -> None:
    with running_server() as server:
        closed = api(server, **SQS)

    with pytest.raises(AwsCallError) as raised:
        closed.call("SendMessage", {})

    assert raised.value.http_status is None
    assert raised.value.retryable


@pytest.mark.parametrize("name", ["hunter2", "two words", "Geheim-1", "x" * 81, "Access\nDenied", "ä"])
def test_a_malformed_error_name_is_replaced(server: FakeServer, name: str) -> None:
    server.status, server.body = 400, json.dumps({"__type": f"com.amazonaws#{name}"}).encode()

    with pytest.raises(AwsCallError) as raised:
        api(server, **EVENTS).call("PutEvents", {})

    assert raised.value.name == "UnknownError"
    assert str(raised.value) == "PutEvents failed: UnknownError (400)"


@pytest.mark.parametrize("name", ["AccessDeniedException", "AWS.SimpleQueueService.NonExistentQueue"])
@pytest.mark.parametrize("key", ["__type", "code", "Code"])
def test_an_error_has_the_name_from_the_body(server: FakeServer, key: str, name: str) -> None:
    server.status, server.body = 400, json.dumps({key: name}).encode()

    with pytest.raises(AwsCallError) as raised:
        api(server, **SQS).call("SendMessage", {})

    assert raised.value.name == name


def test_a_compressed_answer_is_not_decoded(server: FakeServer) -> None:
    server.headers, server.body = (
        {"Content-Encoding": "gzip"},
        gzip.compress(b'{"a": "' + b"0" * 1_000_000 + b'"}'),
    )

    with pytest.raises(AwsCallError, match="UnreadableResponse"):
        api(server, **EVENTS).call("PutEvents", {})


def test_an_answer_that_is_too_large_is_not_read(server: FakeServer) -> None:
    server.body = json.dumps({"a": "x" * 1_000_000}).encode()

    with pytest.raises(AwsCallError, match="UnreadableResponse"):
        api(server, **EVENTS).call("PutEvents", {})


def test_an_answer_that_arrives_too_slowly_is_cut_off(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("message_sender.aws.client.MAX_CALL_SECONDS", 0.1)
    server.body, server.trickle = b'{"FailedEntryCount": 0}', 0.04

    with pytest.raises(AwsCallError, match="UnreadableResponse"):
        api(server, **EVENTS).call("PutEvents", {})


def test_an_informational_answer_is_an_error_and_its_connection_is_closed(server: FakeServer) -> None:
    client = api(server, **EVENTS)
    server.body = b'{"FailedEntryCount": 0}'
    server.preamble = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"

    with pytest.raises(AwsCallError, match="InformationalAnswer") as raised:
        client.call("PutEvents", {})
    server.preamble, server.body = b"", b'{"FailedEntryCount": 1}'

    assert raised.value.retryable
    assert client.call("PutEvents", {}) == {"FailedEntryCount": 1}
    assert server.connections == 2


class FakePools:
    """Records the headers of a request and does not send it."""

    def __init__(self) -> None:
        self.headers: Mapping[str, str] = {}

    def connection_from_url(self, _: str) -> FakePools:
        return self

    def urlopen(self, *_: object, headers: Mapping[str, str], **__: object) -> NoReturn:
        self.headers = headers
        raise HTTPError("set by the test")


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("https://sqs.example", "sqs.example"),
        ("https://sqs.example:443/path", "sqs.example"),
        ("https://sqs.example:8443", "sqs.example:8443"),
        ("http://localhost:80", "localhost"),
        ("https://[2001:db8::1]:443", "[2001:db8::1]"),
        ("http://[::1]:4566", "[::1]:4566"),
    ],
)
def test_the_host_header_equals_botocores(endpoint: str, host: str) -> None:
    pools: Any = FakePools()
    client = JsonApi(
        pools=pools, endpoint=endpoint, region="eu-central-1", credentials=lambda: CREDENTIALS, **SQS
    )

    with pytest.raises(AwsCallError):
        client.call("SendMessage", {})

    assert pools.headers["Host"] == host
