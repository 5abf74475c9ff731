"""Log lines, metrics and traces of the function."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.participant_service.faults import Latency, Status
from tests.functional.conftest import function_environ, function_on_fake_service
from tests.support.coverage import measured_environ
from tests.support.fakes import FakeClock
from tests.support.lambda_events import FakeLambdaContext, record, request
from tests.support.logs import log_lines, metrics

if TYPE_CHECKING:
    from tests.functional.conftest import Function

LAMBDA_SRC = Path(__file__).parents[2] / "lambda_src"


def test_each_outcome_is_one_log_line(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    chat = function.start_chat()
    sent, rejected = record(chat.request(ContactId=chat.contact_id)), record("junk")

    function.batch(sent, rejected)

    ended = [line for line in log_lines(capsys) if line.get("message") == "Message ended"]
    assert [(line["correlation_id"], line["outcome"], line["level"]) for line in ended] == [
        (sent["messageId"], "SENT", "INFO"),
        (rejected["messageId"], "REJECTED", "WARNING"),
    ]
    assert ended[0]["contact_id"] == chat.contact_id
    assert ended[0]["function_request_id"] == FakeLambdaContext.aws_request_id
    assert ended[1]["code"] == "InvalidRequest"
    assert ended[1]["reason"] == "The request is not valid JSON"


def test_the_log_line_of_a_message_lists_its_attempts(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.participant.faults.add(Status(status=503))
    function.participant.faults.add(Latency(latency=0.05))

    function.batch(record(function.start_chat().request()))

    [line] = [line for line in log_lines(capsys) if line.get("message") == "Message ended"]
    first, second = line["each_attempt"]
    assert line["attempts"] == len(line["each_attempt"])
    assert (first["code"], first["http_status"], first["wait_ms"]) == ("ServiceUnavailable", 503, 0)
    assert (second["code"], second["http_status"]) == (None, None)
    assert second["ms"] >= 50
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["at"])


@pytest.mark.parametrize(
    "character",
    ["\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u2029", "\u202e", "\u2066", "\ufeff", "\U000e0041"],
)
def test_control_characters_of_an_id_are_escaped_in_a_log_line(
    function: Function, capsys: pytest.CaptureFixture[str], character: str
) -> None:
    client_token = f"a{character}b"
    function.batch(record(function.start_chat().request(ClientToken=client_token)))

    [line] = [line for line in capsys.readouterr().out.split("\n") if "Message ended" in line]

    assert character not in line
    assert json.loads(line)["client_token"] == client_token


def test_printable_characters_of_an_id_stay_readable_in_a_log_line(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    client_token = "Bestellung-Größe\xa0L-👩\u200d👧-\u200f"
    function.batch(record(function.start_chat().request(ClientToken=client_token)))

    assert f'"client_token":"{client_token}"' in capsys.readouterr().out


@pytest.mark.parametrize("status", [200, 400, 429])
def test_half_a_surrogate_pair_in_an_answer_prevents_no_log_line_and_no_result(
    capfd: pytest.CaptureFixture[str], status: int
) -> None:
    with function_on_fake_service(clock=FakeClock()) as function:
        function.service.status, function.service.headers = status, {"x-amzn-requestid": "\xed\xa0\xbd"}
        function.service.body = json.dumps({"Id": "\ud83d", "Message": "\ud83d", "__type": "\ud83d"}).encode()

        function({"Records": [record(request())]})

        captured = capfd.readouterr()
        assert captured.err == ""
        assert len([line for line in captured.out.splitlines() if '"message":"Message' in line]) == 1
        assert "\ud83d" not in json.dumps(function.aws.events, ensure_ascii=False)


def test_a_malformed_answer_is_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with function_on_fake_service() as function:
        function.service.body = json.dumps({"Id": "not an id"}).encode()

        function({"Records": [record(request())]})

        [result] = function.aws.results
        assert (result["Outcome"], result["Message"]["Id"]) == ("SENT", None)
        assert metrics(log_lines(capsys))["MalformedAnswers",] == [1.0]


def test_a_batch_counts_outcomes_retries_attempts_and_latencies(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    chat, busy = function.start_chat(), function.start_chat()
    function.participant.faults.add(Status(status=429), contact_id=busy.contact_id, times=None)

    function.batch(
        record(chat.request()),
        record("junk"),
        record(busy.request(), group="busy"),
        record(busy.request(), group="busy"),
    )

    found = metrics(log_lines(capsys))
    assert found["MessagesSent", "EventSource=sqs"] == [1.0]
    assert found["MessagesRejected", "EventSource=sqs"] == [1.0]
    assert found["MessagesRejected", "Code=InvalidRequest"] == [1.0]
    assert found["MessagesRetried", "EventSource=sqs"] == [1.0]
    assert found["SendMessageThrottles", "EventSource=sqs"] == [3.0]
    assert found["SendAttempts", "EventSource=sqs"] == [1.0, 3.0]
    assert ("ResultPublishFailures", "EventSource=sqs") not in found
    assert len(found["SendLatency", "EventSource=sqs"]) == 2
    assert len(found["EndToEndLatency", "EventSource=sqs"]) == 2


def test_failed_message_has_taken_longer_than_the_retry_window(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    # The service level objective counts it as late for this reason
    function.participant.faults.add(Status(status=429), times=None)
    retry_window = 10 * 60  # the default
    requests = [function.start_chat().request() for _ in range(2)]

    function.batch(
        record(requests[0], group="old", age=retry_window + 1, receive_count=3),
        record(requests[1], group="young", age=retry_window - 60),
    )

    [ended] = [line for line in log_lines(capsys) if line.get("message") == "Message ended"]
    assert ended["outcome"] == "FAILED"
    assert ended["latency_ms"] > retry_window * 1000


def test_time_to_the_outcome_is_never_negative(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    # As if the clock of SQS were ahead. CloudWatch has no percentiles of negative values
    function.batch(record(function.start_chat().request(), age=-60))

    lines = log_lines(capsys)

    assert metrics(lines)["EndToEndLatency", "EventSource=sqs"] == [0.0]
    assert [line["latency_ms"] for line in lines if line.get("message") == "Message ended"] == [0]


def test_each_metric_is_also_counted_without_the_event_source(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = function.start_chat()

    function(chat.request(ClientToken="t-1"))

    found = metrics(log_lines(capsys))
    by_source = {
        name: value for (name, *dimensions), value in found.items() if dimensions == ["EventSource=direct"]
    }
    in_all = {name: value for (name, *dimensions), value in found.items() if not dimensions}
    assert by_source["MessagesSent"] == [1.0]
    assert in_all == by_source


def test_a_result_that_is_neither_published_nor_kept_is_counted_and_logged_with_both_reasons(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = function.start_chat()
    function.aws.failures = {"PutEvents": [500] * 3, "SendMessageBatch": [500] * 3}

    function.batch(record(chat.request()))

    lines = log_lines(capsys)
    assert metrics(lines)["ResultPublishFailures", "EventSource=sqs"] == [1.0]
    [line] = [line for line in lines if line.get("message") == "Result not published"]
    assert re.fullmatch(
        r"PutEvents failed: \w+ \(500\); SendMessageBatch failed: \w+ \(500\)", line["failure"]
    )


def test_a_defect_is_logged_with_its_place_and_without_its_text(
    function: Function, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    chat = function.start_chat()
    token = chat.connection_token

    def broken(*_: object, **__: object) -> None:
        raise KeyError(token)

    monkeypatch.setattr("message_sender.delivery.delay_before_retry", broken)
    function.participant.faults.add(Status(status=500))
    message = record(chat.request())

    failed = function.batch(message)

    output = capsys.readouterr().out
    assert failed == [message["messageId"]]
    assert '"error_type":"KeyError"' in output
    assert f'"correlation_id":"{message["messageId"]}"' in output
    assert "delivery.py" in output
    assert '"UnhandledErrors":[1.0]' in output
    assert token not in output


TRACED = """
import json, os, sys
from aws_xray_sdk.core import xray_recorder

class Emitter:
    sent = []
    def send_entity(self, entity):
        self.sent.append(entity.serialize())
    def set_daemon_address(self, address):
        pass

xray_recorder.configure(emitter=Emitter())
from message_sender.handler import lambda_handler
sys.path.insert(0, os.environ["ROOT"])
from tests.support.lambda_events import FakeLambdaContext

lambda_handler(json.loads(sys.stdin.read()), FakeLambdaContext())
print("TRACES" + "\\n".join(Emitter.sent))
"""


def run(function: Function, program: str, event: dict[str, Any], **environ: str) -> str:
    """Run a program in a new interpreter, set up as Lambda does."""
    environ = function_environ(function.participant.url, function.aws.url, **environ) | {
        "PYTHONPATH": str(LAMBDA_SRC),
        "ROOT": str(LAMBDA_SRC.parent),
        "LAMBDA_TASK_ROOT": str(LAMBDA_SRC),
        **measured_environ(),
    }
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(event),
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_trace_has_a_subsegment_for_each_send_without_message_and_answer(function: Function) -> None:
    chats = [function.start_chat() for _ in range(3)]
    event = {"Records": [record(chat.request(), group=chat.contact_id) for chat in chats]}
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"

    output = run(function, TRACED, event, TRACING="subsegments", _X_AMZN_TRACE_ID=trace)

    traces = output.split("TRACES")[1]
    subsegments = [json.loads(line) for line in traces.splitlines()]
    [handler] = [item for item in subsegments if item["name"] == "## lambda_handler"]
    sends = [item for item in subsegments if item["name"] == "SendMessage"]
    assert [item["parent_id"] for item in sends] == [handler["id"]] * 3
    for chat in chats:
        assert chat.texts
        assert chat.texts[0] not in traces
        assert chat.connection_token not in traces


def test_a_trace_contains_no_answer_and_no_text_of_an_error(function: Function) -> None:
    chat = function.start_chat()
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"

    sent = run(
        function,
        TRACED,
        chat.request(ClientToken="t-1"),
        TRACING="subsegments",
        _X_AMZN_TRACE_ID=trace,
    ).split("TRACES")[1]
    refused = run(
        function,
        TRACED,
        {"Records": [record(chat.request(ConnectionToken="unknown"))]},
        TRACING="subsegments",
        _X_AMZN_TRACE_ID=trace,
    ).split("TRACES")[1]

    assert "metadata" not in sent
    assert '"Error": "AccessDeniedError"' in refused
    assert "The connection token was refused" not in refused
    assert "unknown" not in refused


WITHOUT_THE_SDK = """
import json, os, sys

class NotInThePackage:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"aws_xray_sdk", "wrapt"}:
            raise SystemExit(f"{name} is imported")

sys.meta_path.insert(0, NotInThePackage())
from message_sender.handler import lambda_handler
sys.path.insert(0, os.environ["ROOT"])
from tests.support.lambda_events import FakeLambdaContext

print("ANSWER" + json.dumps(lambda_handler(json.loads(sys.stdin.read()), FakeLambdaContext())))
"""


@pytest.mark.parametrize("environ", [{}, {"TRACING": "off"}, {"TRACING": "active"}])
def test_a_function_without_subsegments_needs_no_tracer(function: Function, environ: dict[str, str]) -> None:
    chats = [function.start_chat() for _ in range(2)]  # two, so that threads send
    event = {"Records": [record(chat.request(), group=chat.contact_id) for chat in chats]}
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"

    output = run(function, WITHOUT_THE_SDK, event, _X_AMZN_TRACE_ID=trace, **environ)

    assert json.loads(output.split("ANSWER")[1]) == {"batchItemFailures": []}
    assert [len(chat.texts) for chat in chats] == [1, 1]
    # X-Ray finds the log lines of a trace by this key
    assert '"xray_trace_id":"1-5759e988-bd862e3fe1be46a994272793"' in output


IMPORTED = """
import sys
from message_sender import ENTRY_POINT
heavy = {"boto3", "botocore.auth", "botocore.client", "aws_xray_sdk", "pydantic", "jsonschema", "asyncio"}
heavy |= {"importlib.metadata"}
of_the_other_function = {"message_sender.OTHER"}
print(sorted((heavy | of_the_other_function) & set(sys.modules)), ENTRY_POINT.lambda_handler is not None)
"""


@pytest.mark.parametrize(
    ("entry_point", "other"), [("handler", "result_reader"), ("results", "participant_client")]
)
def test_the_entry_point_imports_nothing_that_it_does_not_use(
    function: Function, entry_point: str, other: str
) -> None:
    program = IMPORTED.replace("ENTRY_POINT", entry_point).replace("OTHER", other)

    assert run(function, program, {}).strip() == "[] True"


VERSION = """
from message_sender import handler
from urllib3 import http2
print(http2.version("urllib3"), end=" ")
from importlib import metadata
print(metadata.version("urllib3"), metadata.__spec__ is not None)
"""


def test_what_a_cold_start_does_not_import_works_later(function: Function) -> None:
    installed = version("urllib3")

    assert run(function, VERSION, {}).strip() == f"{installed} {installed} True"


FROZEN = """
import gc
from message_sender import handler
print(gc.isenabled(), gc.get_freeze_count() > 10_000)
"""


def test_the_garbage_collector_is_on_and_skips_imported_objects(function: Function) -> None:
    assert run(function, FROZEN, {}).strip() == "True True"


PROCESSORS = """
import os
os.sched_setaffinity = FAILING or os.sched_setaffinity
before = os.sched_getaffinity(0)
from message_sender import handler
from message_sender.worker_pool import ThreadPool
seen = []
ThreadPool()([lambda: seen.append(os.sched_getaffinity(0))] * 3, timeout=10)
print(len(seen), *sorted({len(each & before) for each in seen}))
"""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system keeps no process on a processor")
def test_all_threads_stay_on_one_processor(function: Function) -> None:
    assert run(function, PROCESSORS.replace("FAILING", "None"), {}).strip() == "3 1"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system keeps no process on a processor")
def test_the_function_starts_where_it_cannot_choose_a_processor(function: Function) -> None:
    processors = len(os.sched_getaffinity(0))

    assert (
        run(function, PROCESSORS.replace("FAILING", "(lambda *_: os.close(-1))"), {}).strip()
        == f"3 {processors}"
    )
