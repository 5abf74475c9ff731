"""A local endpoint for the JSON APIs of the AWS services: records calls, and fails on demand."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from message_sender.errors import AwsCallError
from tests.support.http_server import running_server
from tests.support.kms import Kms
from tests.support.outcome_items import OutcomeItems

if TYPE_CHECKING:
    from collections.abc import Iterator

from tests.support.http_server import Request


@dataclass
class AwsEndpoint:
    """The calls that arrived, and the failures that the test sets.

    Attributes:
        events: Entries that PutEvents accepted, in order.
        messages: Parameters of the SQS messages that were accepted.
        calls: The operation of each call.
        delays: For each change of visibility, the seconds by receipt handle.
        kms: Seals connection tokens, and decrypts them for the function.
        completed_tasks: For each completed task, the operation and its parameters.
        table: The one table of DynamoDB.
        failures: For an operation, the answers to its next calls: a status, the name of an error, or the
            indexes of the entries to refuse.
    """

    url: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    failures: dict[str, list[int | str | set[int]]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    delays: list[dict[str, int]] = field(default_factory=list)
    kms: Kms = field(default_factory=Kms)
    completed_tasks: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    table: OutcomeItems = field(default_factory=OutcomeItems)

    @property
    def results(self) -> list[dict[str, Any]]:
        """The details of the result events, parsed."""
        return [json.loads(event["Detail"]) for event in self.events]

    def respond(self, request: Request) -> tuple[int, bytes]:
        """Return status and body of the answer to a call."""
        operation = request.headers["x-amz-target"].rpartition(".")[2]
        status, answer = self._answer(operation, json.loads(request.body))
        return status, json.dumps(answer).encode()

    def _answer(self, operation: str, parameters: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.calls.append(operation)
        failure = self.failures[operation].pop(0) if self.failures.get(operation) else set()
        if isinstance(failure, int):
            return failure, {"__type": "com.amazonaws#InternalFailure", "message": "set by the test"}
        if isinstance(failure, str):
            return 400, {"__type": f"com.amazonaws#{failure}", "message": "set by the test"}
        entries = parameters.get("Entries", [])
        answer: dict[str, Any] = {}
        match operation:
            case "SendTaskSuccess" | "SendTaskFailure":
                self.completed_tasks.append((operation, parameters))
            case "PutEvents":
                answer = self._put_events(entries, refused=failure)
            case "SendMessage":
                self.messages.append(parameters)
                answer = {"MessageId": f"m-{len(self.messages)}"}
            case "SendMessageBatch":
                self.messages += [{"QueueUrl": parameters["QueueUrl"], **entry} for entry in entries]
                answer = {"Successful": [{"Id": entry["Id"]} for entry in entries]}
            case "ChangeMessageVisibilityBatch":
                self.delays.append({entry["ReceiptHandle"]: entry["VisibilityTimeout"] for entry in entries})
                answer = {"Successful": [{"Id": entry["Id"]} for entry in entries]}
            case "Decrypt":
                return self._decrypt(parameters)
            case "PutItem" | "GetItem":
                return self.table.call(operation, parameters)
            case _:
                return 400, {"__type": "UnknownOperationException"}
        return 200, answer

    def _decrypt(self, parameters: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        try:
            return 200, self.kms.call("Decrypt", parameters)
        except AwsCallError as error:
            return 400, {"__type": error.name}

    def _put_events(self, entries: list[dict[str, Any]], *, refused: set[int]) -> dict[str, Any]:
        answers: list[dict[str, str]] = []
        for index, entry in enumerate(entries):
            if index in refused:
                answers.append({"ErrorCode": "ThrottlingException", "ErrorMessage": "set by the test"})
            else:
                self.events.append(entry)
                answers.append({"EventId": f"e-{len(self.events)}"})
        return {"FailedEntryCount": len(refused), "Entries": answers}


@contextmanager
def running_aws_endpoint() -> Iterator[AwsEndpoint]:
    """Serve on a free loopback port until the block ends."""
    with running_server() as server:
        endpoint = AwsEndpoint(url=server.url)
        server.respond = endpoint.respond
        yield endpoint
