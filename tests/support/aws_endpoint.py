"""A local endpoint for the JSON APIs of EventBridge, SQS and Step Functions: records, and fails on demand."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class AwsEndpoint:
    """What arrived, and what shall go wrong.

    Attributes:
        events: Entries that PutEvents took, in order.
        messages: Parameters of SQS messages that were taken.
        delays: For each change of visibility, the seconds by receipt handle.
        answered_tasks: For each answer to a task, its operation and parameters.
        failures: For an operation, the answers of its next calls: a status, the name of an error, or entries
            to refuse.
    """

    url: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    failures: dict[str, list[int | str | set[int]]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    delays: list[dict[str, int]] = field(default_factory=list)
    answered_tasks: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def results(self) -> list[dict[str, Any]]:
        """The details of the result events, parsed."""
        return [json.loads(event["Detail"]) for event in self.events]

    def answer(  # noqa: PLR0911  # a table: one answer for each operation
        self, operation: str, parameters: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        self.calls.append(operation)
        failure = self.failures[operation].pop(0) if self.failures.get(operation) else set()
        if isinstance(failure, int):
            return failure, {"__type": "com.amazonaws#InternalFailure", "message": "told to fail"}
        if isinstance(failure, str):
            return 400, {"__type": f"com.amazonaws#{failure}", "message": "told to fail"}
        if operation in {"SendTaskSuccess", "SendTaskFailure"}:
            self.answered_tasks.append((operation, parameters))
            return 200, {}
        if operation == "PutEvents":
            return 200, self._put_events(parameters["Entries"], failure)
        if operation == "SendMessage":
            self.messages.append(parameters)
            return 200, {"MessageId": f"m-{len(self.messages)}"}
        if operation == "SendMessageBatch":
            for entry in parameters["Entries"]:
                self.messages.append({"QueueUrl": parameters["QueueUrl"], **entry})
            return 200, {"Successful": [{"Id": entry["Id"]} for entry in parameters["Entries"]]}
        if operation == "ChangeMessageVisibilityBatch":
            self.delays.append(
                {entry["ReceiptHandle"]: entry["VisibilityTimeout"] for entry in parameters["Entries"]}
            )
            return 200, {"Successful": [{"Id": entry["Id"]} for entry in parameters["Entries"]]}
        return 400, {"__type": "UnknownOperationException"}

    def _put_events(self, entries: list[dict[str, Any]], refused: set[int]) -> dict[str, Any]:
        answers: list[dict[str, str]] = []
        for place, entry in enumerate(entries):
            if place in refused:
                answers.append({"ErrorCode": "ThrottlingException", "ErrorMessage": "told to refuse"})
            else:
                self.events.append(entry)
                answers.append({"EventId": f"e-{len(self.events)}"})
        return {"FailedEntryCount": len(refused), "Entries": answers}


@contextmanager
def running_aws_endpoint() -> Iterator[AwsEndpoint]:
    """Serve on a free loopback port until the block is left."""
    endpoint = AwsEndpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_POST(self) -> None:
            parameters = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            status, answer = endpoint.answer(operation, parameters)
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    endpoint.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield endpoint
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
