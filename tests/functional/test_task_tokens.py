"""The handler with messages whose tasks wait in Step Functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from message_sender.errors import ResultNotPublishedError
from message_sender.request import derive_client_token
from sandbox.participant_service.faults import AcceptedThenCut, Status
from tests.support.lambda_events import QUEUE_ARN, TEXT, FakeLambdaContext, bus_event, received, record
from tests.support.logs import log_lines, metrics

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functional.conftest import Function

TASK_TOKEN = "AQCEAAAAKgAAAAMAAAAAAAAAAd-task-token"
OTHER_TASK_TOKEN = "AQCEAAAAKgAAAAMAAAAAAAAAAe-task-token"

Send: TypeAlias = "Callable[[Function, dict[str, Any]], object]"


def by_queue(function: Function, request: dict[str, Any]) -> object:
    return function.batch(record(request, age=3600))  # so old that a deferred message fails


def by_event(function: Function, request: dict[str, Any]) -> object:
    return function(bus_event(request))


@pytest.mark.parametrize("send", [by_queue, by_event])
def test_the_task_of_a_message_succeeds_with_its_result(function: Function, send: Send) -> None:
    chat = function.start_chat()

    send(function, chat.request(TaskToken=TASK_TOKEN, Metadata={"order": "ü😀"}))

    [(operation, parameters)] = function.aws.completed_tasks
    assert operation == "SendTaskSuccess"
    assert parameters["taskToken"] == TASK_TOKEN
    assert json.loads(parameters["output"]) == function.aws.results[0]
    assert function.aws.calls == ["PutEvents", "SendTaskSuccess"]


@pytest.mark.parametrize("send", [by_queue, by_event])
@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"ConnectionToken": "unknown"}, "AccessDeniedError"),
        ({"ExpiresAt": "2020-01-01T00:00:00Z"}, "ExpiredError"),
        ({"Content": "", "Unknown": 7}, "InvalidRequestError"),
    ],
)
def test_the_task_of_a_rejected_message_fails_with_the_name_of_its_error(
    function: Function, send: Send, fields: dict[str, Any], error: str
) -> None:
    chat = function.start_chat()

    send(function, chat.request(TaskToken=TASK_TOKEN, **fields))

    [result] = function.aws.results
    assert function.aws.completed_tasks == [
        (
            "SendTaskFailure",
            {"taskToken": TASK_TOKEN, "error": error, "cause": result["Error"]["Reason"]},
        )
    ]
    assert function.aws.calls == ["SendMessage", "PutEvents", "SendTaskFailure"]


def test_the_task_of_a_failed_message_fails_with_the_name_of_its_last_error(
    function: Function,
) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Status(status=429, retry_after_ms=1), times=None)

    failed = function.batch(record(chat.request(TaskToken=TASK_TOKEN), age=601, receive_count=3))

    assert failed == []
    [(operation, parameters)] = function.aws.completed_tasks
    assert (operation, parameters["error"]) == ("SendTaskFailure", "ThrottledError")
    assert function.aws.calls == ["SendMessage", "PutEvents", "SendTaskFailure"]


def test_the_task_of_a_redelivered_message_waits_for_its_outcome(function: Function) -> None:
    chat = function.start_chat()
    message = record(chat.request(TaskToken=TASK_TOKEN))
    function.participant.faults.add(AcceptedThenCut(), times=3)

    first = function.batch(message)
    completed_first = list(function.aws.completed_tasks)
    second = function.batch(message)

    assert (first, completed_first) == ([message["messageId"]], [])
    assert second == []
    assert [operation for operation, _ in function.aws.completed_tasks] == ["SendTaskSuccess"]
    assert chat.texts == [TEXT]


def test_an_enqueued_message_keeps_its_task_which_is_completed_once(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Status(status=429, retry_after_ms=1), times=3)

    function(bus_event(chat.request(TaskToken=TASK_TOKEN)))
    completed_first = list(function.aws.completed_tasks)
    [message] = function.aws.messages
    function.batch(received(message))

    assert completed_first == []
    [(operation, parameters)] = function.aws.completed_tasks
    assert (operation, parameters["taskToken"]) == ("SendTaskSuccess", TASK_TOKEN)
    assert json.loads(parameters["output"])["EventSource"] == "eventbridge"


def test_a_task_waits_until_the_result_is_published_or_kept(function: Function) -> None:
    chat = function.start_chat()
    message = record(chat.request(TaskToken=TASK_TOKEN))
    function.aws.failures = {"PutEvents": [500] * 3, "SendMessageBatch": [500] * 3}

    first = function.batch(message)
    completed_first = list(function.aws.completed_tasks)
    second = function.batch(message)

    assert (first, completed_first) == ([message["messageId"]], [])
    assert second == []
    assert len(function.aws.completed_tasks) == 1


def test_the_task_of_an_event_waits_until_the_result_is_published_or_kept(function: Function) -> None:
    chat = function.start_chat()
    function.aws.failures = {"PutEvents": [500] * 3, "SendMessageBatch": [500] * 3}

    with pytest.raises(ResultNotPublishedError):
        function(bus_event(chat.request(TaskToken=TASK_TOKEN)))

    assert function.aws.completed_tasks == []


def test_the_task_of_a_message_with_a_kept_result_is_completed(function: Function) -> None:
    chat = function.start_chat()
    function.aws.failures["PutEvents"] = [500] * 3

    function.batch(record(chat.request(TaskToken=TASK_TOKEN)))

    assert len(function.aws.completed_tasks) == 1


@pytest.mark.parametrize("send", [by_queue, by_event])
@pytest.mark.parametrize("name", ["TaskTimedOut", "TaskDoesNotExist"])
def test_a_task_that_no_longer_exists_is_not_an_error(
    function: Function, send: Send, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = function.start_chat()
    function.aws.failures["SendTaskSuccess"] = [name]

    answer = send(function, chat.request(TaskToken=TASK_TOKEN))

    lines = log_lines(capsys)
    assert answer in ([], {})
    assert function.aws.calls.count("SendTaskSuccess") == 1
    assert not [key for key in metrics(lines) if key[0] == "TaskCallbackFailures"]
    assert not [line for line in lines if line.get("level") in {"WARNING", "ERROR"}]


@pytest.mark.parametrize(
    ("send", "source"), [(by_queue, "sqs"), (by_event, "eventbridge")], ids=["queue", "event"]
)
@pytest.mark.parametrize(
    ("failures", "calls"), [([500, 503], 2), (["InvalidToken"], 1)], ids=["down", "invalid token"]
)
def test_a_task_that_cannot_be_completed_is_counted_and_its_message_is_finished(
    function: Function,
    send: Send,
    source: str,
    failures: list[int | str | set[int]],
    calls: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    chat = function.start_chat()
    function.aws.failures["SendTaskSuccess"] = list(failures)

    answer = send(function, chat.request(TaskToken=TASK_TOKEN))

    captured = capsys.readouterr().out
    lines = [json.loads(line) for line in captured.splitlines()]
    assert answer in ([], {})
    assert chat.texts == [TEXT]
    assert function.aws.calls.count("SendTaskSuccess") == calls
    assert metrics(lines)["TaskCallbackFailures", f"EventSource={source}"] == [1.0]
    [line] = [line for line in lines if line.get("message") == "Task not answered"]
    assert line["level"] == "ERROR"
    assert line["correlation_id"] == function.aws.results[0]["SourceId"]
    assert TASK_TOKEN not in captured


def test_a_task_is_completed_after_one_failed_call(function: Function) -> None:
    chat = function.start_chat()
    function.aws.failures["SendTaskSuccess"] = [500]

    function.batch(record(chat.request(TaskToken=TASK_TOKEN)))

    assert len(function.aws.completed_tasks) == 1


def test_a_task_that_cannot_be_completed_does_not_delay_others(function: Function) -> None:
    chat, other = function.start_chat(), function.start_chat()
    function.aws.failures["SendTaskSuccess"] = ["InvalidToken"]

    failed = function.batch(
        record(chat.request(TaskToken=TASK_TOKEN), group="1"),
        record(other.request(TaskToken=OTHER_TASK_TOKEN), group="2"),
    )

    assert failed == []
    assert function.aws.calls.count("SendTaskSuccess") == 2
    assert len(function.aws.completed_tasks) == 1


def test_the_task_of_a_request_with_a_repeated_field_is_completed(function: Function) -> None:
    function.batch(record(f'{{"Content": "a", "Content": "b", "TaskToken": "{TASK_TOKEN}"}}'))

    [(operation, parameters)] = function.aws.completed_tasks
    assert operation == "SendTaskFailure"
    assert parameters == {
        "taskToken": TASK_TOKEN,
        "error": "InvalidRequestError",
        "cause": "Content is given more than once",
    }


def test_a_request_with_two_task_tokens_completes_no_task(function: Function) -> None:
    body = f'{{"TaskToken": "{TASK_TOKEN}", "TaskToken": "{OTHER_TASK_TOKEN}"}}'

    failed = function.batch(record(body))

    assert failed == []
    assert function.aws.completed_tasks == []


def test_a_synchronous_call_completes_no_task(function: Function) -> None:
    chat = function.start_chat()

    with pytest.raises(Exception, match="TaskToken is not used here"):
        function(chat.request(ClientToken="t-1", TaskToken=TASK_TOKEN))

    assert function.aws.completed_tasks == []


def test_the_task_of_a_record_without_time_for_an_attempt_waits(function: Function) -> None:
    chat = function.start_chat()

    failed = function.batch(
        record(chat.request(TaskToken=TASK_TOKEN)), context=FakeLambdaContext(seconds_left=8)
    )

    assert len(failed) == 1
    assert function.aws.completed_tasks == []


def test_a_task_token_is_only_in_the_call_and_in_the_copy(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = function.start_chat()
    refused = record(chat.request(TaskToken=TASK_TOKEN, Content=""))
    function.aws.failures["SendTaskSuccess"] = [500, 500]

    function.batch(refused, record(chat.request(TaskToken=TASK_TOKEN)))

    captured = capsys.readouterr()
    [copy] = function.aws.messages
    assert json.loads(copy["MessageBody"])["TaskToken"] == TASK_TOKEN
    assert TASK_TOKEN not in json.dumps(copy["MessageAttributes"])
    assert TASK_TOKEN not in captured.out + captured.err + json.dumps(function.aws.events)
    assert "Task not answered" in captured.out
    assert function.aws.results[0]["ClientToken"] == derive_client_token(QUEUE_ARN, refused["messageId"])
