"""The small AWS client, compared with botocore's on the server."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError
from urllib3.exceptions import HTTPError

from message_sender.aws.client import JsonApi
from message_sender.aws.credentials import Credentials, EnvironmentCredentials
from message_sender.aws.endpoints import is_safe_url
from message_sender.errors import AwsCallError
from tests.support.http_server import running_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.support.http_server import FakeServer, Request

CREDENTIALS = Credentials("AKIDEXAMPLE", "secret-key", "session-token")
EVENTS = {"target": "AWSEvents", "signing_name": "events", "content_type": "application/x-amz-json-1.1"}
STEP_FUNCTIONS = {
    "target": "AWSStepFunctions",
    "signing_name": "states",
    "content_type": "application/x-amz-json-1.0",
}
SQS = {"target": "AmazonSQS", "signing_name": "sqs", "content_type": "application/x-amz-json-1.0"}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with running_server() as running:
        yield running


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


def boto_client(server: FakeServer, service: str) -> Any:  # noqa: ANN401  # boto3 makes its clients at run time
    return boto3.client(
        service,
        endpoint_url=server.url,
        region_name="eu-central-1",
        aws_access_key_id=CREDENTIALS.access_key,
        aws_secret_access_key=CREDENTIALS.secret_key,
        aws_session_token=CREDENTIALS.token,
        config=Config(retries={"total_max_attempts": 1}),
    )


def signature(request: Request) -> str:
    """Sign a request as it arrived, with botocore, and return the header that this gives."""
    from botocore.auth import SigV4Auth  # noqa: PLC0415  # the judge, kept away from what is judged
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415

    region_and_service = request.headers["authorization"].split("/")[2:4]
    signed = request.headers["authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    again = AWSRequest(
        request.method,
        f"http://{request.headers['host']}{request.path}",
        data=request.body,
        headers={name: request.headers[name] for name in signed if name != "host"},
    )
    auth = SigV4Auth(CREDENTIALS, region_and_service[1], region_and_service[0])
    again.context["timestamp"] = request.headers["x-amz-date"]
    to_sign = auth.string_to_sign(again, auth.canonical_request(again))
    return str(auth.signature(to_sign, again))


ENTRY = {"EventBusName": "bus", "Source": "s", "DetailType": "t", "Detail": '{"a": "ü😀"}'}
MESSAGE = {
    "QueueUrl": "http://127.0.0.1/0/q",
    "MessageBody": "b",
    "MessageAttributes": {"Code": {"DataType": "String", "StringValue": "x"}},
}
TASK_SUCCESS = {"taskToken": "AQC/+=", "output": '{"Outcome": "SENT", "Metadata": {"a": "ü"}}'}
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
def test_a_call_is_the_one_that_botocore_makes(
    server: FakeServer,
    service: str,
    operation: str,
    method: str,
    parameters: dict[str, Any],
    settings: dict[str, str],
) -> None:
    server.body = b'{"MessageId": "m", "MD5OfMessageBody": "92eb5ffee6ae2fec3ad71c777531578f"}'

    api(server, **settings).call(operation, parameters)
    getattr(boto_client(server, service), method)(**parameters)

    ours, theirs = server.requests
    assert (ours.method, ours.path) == (theirs.method, theirs.path)
    assert json.loads(ours.body) == json.loads(theirs.body)
    for header in ("host", "content-type", "x-amz-target", "x-amz-security-token"):
        assert ours.headers[header] == theirs.headers[header]
    assert ours.headers["authorization"].endswith(f"Signature={signature(ours)}")
    assert theirs.headers["authorization"].endswith(f"Signature={signature(theirs)}")


def test_the_path_of_an_endpoint_is_signed_as_it_is_sent(server: FakeServer) -> None:
    path = "/v1.2/..a/~(b),c;d=e:f@g!$&'*+"
    assert is_safe_url(f"{server.url}{path}")

    api(server, **SQS, path=path).call("SendMessage", {})

    [request] = server.requests
    assert request.path == f"{path}/"
    assert request.headers["authorization"].endswith(f"Signature={signature(request)}")


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
        boto_client(server, "events").put_events(Entries=[ENTRY])

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
        boto_client(server, "stepfunctions").send_task_success(**TASK_SUCCESS)

    assert ours.value.name == theirs.value.response["Error"]["Code"] == name


def test_a_call_is_made_once_and_no_redirect_is_followed(server: FakeServer) -> None:
    server.status, server.headers = 307, {"Location": server.url}

    with pytest.raises(AwsCallError) as raised:
        api(server, **SQS).call("SendMessage", {})

    assert raised.value.http_status == 307
    assert len(server.requests) == 1


def test_a_connection_that_breaks_is_not_tried_again_here(server: FakeServer) -> None:
    server.cut = True

    with pytest.raises(AwsCallError) as raised:
        api(server, **SQS).call("SendMessage", {})

    assert raised.value.http_status is None
    assert len(server.requests) == 1


def test_a_deeply_nested_answer_is_an_error(server: FakeServer) -> None:
    server.body = b"[" * 100_000

    with pytest.raises(AwsCallError, match="UnreadableResponse"):
        api(server, **SQS).call("SendMessage", {})


def test_the_name_of_an_error_may_stand_in_a_header(server: FakeServer) -> None:
    server.status, server.headers = 403, {"x-amzn-errortype": "AccessDeniedException:http://x/"}

    with pytest.raises(AwsCallError) as raised:
        api(server, **EVENTS).call("PutEvents", {})

    assert raised.value.name == "AccessDeniedException"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]"])
def test_an_answer_that_cannot_be_read_is_an_error(server: FakeServer, body: bytes) -> None:
    server.status, server.body = 502, body

    with pytest.raises(AwsCallError) as raised:
        api(server, **SQS).call("SendMessage", {})

    assert raised.value.name == "UnreadableResponse"
    assert raised.value.retryable


def test_an_error_holds_nothing_of_the_parameters(server: FakeServer) -> None:
    server.status, server.body = 400, b'{"__type": "X", "message": "the-secret is wrong"}'

    with pytest.raises(AwsCallError) as raised:
        api(server, **SQS).call("SendMessage", {"MessageBody": "the-secret"})

    assert "the-secret" not in repr(raised.value)


def test_no_connection_is_an_error_that_may_pass() -> None:
    with running_server() as server:
        closed = api(server, **SQS)

    with pytest.raises(AwsCallError) as raised:
        closed.call("SendMessage", {})

    assert raised.value.http_status is None
    assert raised.value.retryable


class TestCredentials:
    """Where the function's credentials come from."""

    POOLS = urllib3.PoolManager(retries=False)

    def credentials(self, **environ: str) -> EnvironmentCredentials:
        return EnvironmentCredentials(environ=environ, pools=self.POOLS)

    def container(self, server: FakeServer, *, lifetime: timedelta) -> None:
        expiration = (datetime.now(UTC) + lifetime).isoformat().replace("+00:00", "Z")
        server.body = json.dumps(
            {"AccessKeyId": "a", "SecretAccessKey": "b", "Token": "c", "Expiration": expiration}
        ).encode()

    def test_the_environment_comes_first(self) -> None:
        found = self.credentials(AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b", AWS_SESSION_TOKEN="c")()

        assert found == ("a", "b", "c")

    def test_then_the_container_endpoint_which_is_asked_once(self, server: FakeServer) -> None:
        self.container(server, lifetime=timedelta(hours=1))
        credentials = self.credentials(
            AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{server.url}/creds", AWS_CONTAINER_AUTHORIZATION_TOKEN="auth"
        )

        found = [credentials(), credentials()]

        assert found == [("a", "b", "c")] * 2
        [request] = server.requests
        assert request.path == "/creds"
        assert request.headers["authorization"] == "auth"

    def test_credentials_that_expire_within_five_minutes_are_fetched_anew(self, server: FakeServer) -> None:
        self.container(server, lifetime=timedelta(minutes=4))
        credentials = self.credentials(AWS_CONTAINER_CREDENTIALS_FULL_URI=server.url)

        credentials()
        credentials()

        assert len(server.requests) == 2

    def test_credentials_that_are_still_valid_survive_a_failed_refresh(self, server: FakeServer) -> None:
        self.container(server, lifetime=timedelta(minutes=4))
        credentials = self.credentials(AWS_CONTAINER_CREDENTIALS_FULL_URI=server.url)
        credentials()
        server.status = 500

        assert credentials() == ("a", "b", "c")

    def test_credentials_that_have_expired_do_not_survive_a_failed_refresh(self, server: FakeServer) -> None:
        self.container(server, lifetime=timedelta(seconds=-1))
        credentials = self.credentials(AWS_CONTAINER_CREDENTIALS_FULL_URI=server.url)
        credentials()
        server.status = 500

        with pytest.raises(AwsCallError, match="GetCredentials"):
            credentials()

    def test_the_authorization_may_lie_in_a_file(self, server: FakeServer, tmp_path: Path) -> None:
        self.container(server, lifetime=timedelta(hours=1))
        file = tmp_path / "token"
        file.write_text("from-file")

        self.credentials(
            AWS_CONTAINER_CREDENTIALS_FULL_URI=server.url, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=str(file)
        )()

        assert server.requests[0].headers["authorization"] == "from-file"

    @pytest.mark.parametrize("body", [b"", b"[]", b'{"AccessKeyId": "a"}'])
    def test_without_credentials_the_call_fails(self, server: FakeServer, body: bytes) -> None:
        server.body = body

        with pytest.raises(AwsCallError, match="GetCredentials"):
            self.credentials(AWS_CONTAINER_CREDENTIALS_FULL_URI=server.url)()
        with pytest.raises(AwsCallError, match="GetCredentials"):
            self.credentials()()

    def test_credentials_do_not_show_themselves(self) -> None:
        assert "secret-key" not in f"{CREDENTIALS!r} {CREDENTIALS}"


@pytest.mark.parametrize("name", ["hunter2", "two words", "Geheim-1", "x" * 81, "Access\nDenied", "ä"])
def test_a_name_that_no_error_of_aws_has_is_not_passed_on(server: FakeServer, name: str) -> None:
    server.status, server.body = 400, json.dumps({"__type": f"com.amazonaws#{name}"}).encode()

    with pytest.raises(AwsCallError) as raised:
        api(server, **EVENTS).call("PutEvents", {})

    assert raised.value.name == "UnknownError"
    assert str(raised.value) == "PutEvents failed: UnknownError (400)"


@pytest.mark.parametrize("name", ["AccessDeniedException", "AWS.SimpleQueueService.NonExistentQueue"])
@pytest.mark.parametrize("key", ["__type", "code", "Code"])
def test_an_error_of_aws_is_named(server: FakeServer, key: str, name: str) -> None:
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


def test_an_answer_that_does_not_end_in_time_is_cut_off(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("message_sender.aws.client.MAX_CALL_SECONDS", 0.1)
    server.body, server.trickle = b'{"FailedEntryCount": 0}', 0.04

    with pytest.raises(AwsCallError, match="UnreadableResponse"):
        api(server, **EVENTS).call("PutEvents", {})


def test_an_informational_answer_is_not_the_answer_of_any_call(server: FakeServer) -> None:
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
    """Keeps the headers of a request that it does not make."""

    def __init__(self) -> None:
        self.headers: Mapping[str, str] = {}

    def request(self, *_: object, headers: Mapping[str, str], **__: object) -> NoReturn:
        self.headers = headers
        raise HTTPError("told to fail")


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
def test_the_host_is_the_one_that_botocore_signs(endpoint: str, host: str) -> None:
    pools: Any = FakePools()
    settings = {"target": "AmazonSQS", "signing_name": "sqs", "content_type": "application/x-amz-json-1.0"}
    client = JsonApi(
        pools=pools, endpoint=endpoint, region="eu-central-1", credentials=lambda: CREDENTIALS, **settings
    )

    with pytest.raises(AwsCallError):
        client.call("SendMessage", {})

    assert pools.headers["Host"] == host
