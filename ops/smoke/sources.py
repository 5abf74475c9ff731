"""The stack's event sources, as producers use them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Mapping

# A call is made once: what is retried is the message, and by the stack
_ONCE = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=35)
_API_TIMEOUT = 35.0
_EXECUTION_TIMEOUT = 60.0
_POLL_SECONDS = 0.5
_HTTP_OK = 200
_HTTP_ACCEPTED = 202

EVENT_SOURCE = "connect-message-sender.smoke"
"""The `source` of the events that the test puts on the bus: any but the stack's own."""


class Source(StrEnum):
    QUEUE = "queue"
    EVENT = "event"
    DIRECT = "direct"
    WORKFLOW = "workflow"
    API = "api"
    API_SYNC = "api-sync"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the producer is told at once.

    Args:
        outcome: where it waits for that.
        problem: why the message was not taken, or not sent.
    """

    outcome: str | None = None
    problem: str | None = None

    @classmethod
    def of_result(cls, result: Mapping[str, Any]) -> Self:
        return cls(outcome=str(result.get("Outcome")))


class Producer:
    """Sends message requests, each by one of the event sources."""

    def __init__(self, session: Any, outputs: Mapping[str, str], *, api_url: str | None) -> None:  # noqa: ANN401  # boto3 has no types
        self._session = session
        self._outputs = outputs
        self._api_url = (api_url or outputs.get("ApiUrl", "")).rstrip("/")
        self._by_source = {
            Source.QUEUE: self._queue,
            Source.EVENT: self._event,
            Source.DIRECT: self._direct,
            Source.WORKFLOW: self._workflow,
            Source.API: self._api,
            Source.API_SYNC: self._api_sync,
        }

    def send(self, source: Source, request: Mapping[str, Any]) -> Answer:
        """Send a request; what goes wrong is an answer, too."""
        try:
            return self._by_source[source](request)
        except ClientError as error:
            # Not the message: it may quote the request
            return Answer(problem=f"{error.operation_name}: {error.response['Error']['Code']}")
        except (BotoCoreError, urllib3.exceptions.HTTPError) as error:
            return Answer(problem=type(error).__name__)

    def _queue(self, request: Mapping[str, Any]) -> Answer:
        self._client("sqs").send_message(
            QueueUrl=self._outputs["MessageQueueUrl"],
            MessageGroupId=request["ContactId"],
            MessageDeduplicationId=request["ClientToken"],
            MessageBody=json.dumps(request),
        )
        return Answer()

    def _event(self, request: Mapping[str, Any]) -> Answer:
        entry = {
            "EventBusName": self._outputs["EventBusName"],
            "Source": EVENT_SOURCE,
            "DetailType": "SendMessage Requested",
            "Detail": json.dumps(request),
        }
        (answer,) = self._client("events").put_events(Entries=[entry])["Entries"]
        return Answer(problem=answer.get("ErrorCode"))

    def _direct(self, request: Mapping[str, Any]) -> Answer:
        answer = self._client("lambda").invoke(
            FunctionName=self._outputs["FunctionAliasArn"], Payload=json.dumps(request)
        )
        payload = json.load(answer["Payload"])
        if "FunctionError" in answer:
            return Answer(problem=f"{payload.get('errorType')}: {payload.get('errorMessage')}")
        return Answer.of_result(payload)

    def _workflow(self, request: Mapping[str, Any]) -> Answer:
        states = self._client("stepfunctions")
        arn = states.start_execution(
            stateMachineArn=self._outputs["StateMachineArn"], input=json.dumps(request)
        )["executionArn"]
        deadline = time.monotonic() + _EXECUTION_TIMEOUT
        try:
            execution = states.describe_execution(executionArn=arn)
            while execution["status"] == "RUNNING" and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS)
                execution = states.describe_execution(executionArn=arn)
        except ClientError:
            return Answer()  # a producer may start an execution, and need not be permitted to look at it
        if execution["status"] == "SUCCEEDED":
            return Answer.of_result(json.loads(execution["output"]))
        return Answer(problem=f"the execution is {execution['status']} {execution.get('error', '')}".rstrip())

    def _api(self, request: Mapping[str, Any]) -> Answer:
        status, document = self._post("/messages", request)
        return Answer() if status == _HTTP_ACCEPTED else _http_problem(status, document)

    def _api_sync(self, request: Mapping[str, Any]) -> Answer:
        status, document = self._post("/messages/sync", request)
        return Answer.of_result(document) if status == _HTTP_OK else _http_problem(status, document)

    def _post(self, path: str, request: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
        """Post a request, signed with Signature Version 4."""
        signed = AWSRequest(
            method="POST",
            url=self._api_url + path,
            data=json.dumps(request),
            headers={"Content-Type": "application/json"},
        )
        SigV4Auth(self._session.get_credentials(), "execute-api", self._session.region_name).add_auth(signed)
        response = urllib3.request(
            "POST",
            signed.url,
            body=signed.data,
            headers=dict(signed.headers.items()),
            retries=False,
            timeout=_API_TIMEOUT,
        )
        try:
            document = response.json()
        except ValueError:
            document = None
        return response.status, document if isinstance(document, dict) else {}

    def _client(self, service: str) -> Any:  # noqa: ANN401  # boto3 makes its clients at run time
        return self._session.client(service, config=_ONCE)


def _http_problem(status: int, document: Mapping[str, Any]) -> Answer:
    """Tell an error of the API, whose every answer has `Code` and `Reason`."""
    return Answer(
        problem=f"HTTP {status} {document.get('Code', '')}: {document.get('Reason', '')}".rstrip(" :")
    )
