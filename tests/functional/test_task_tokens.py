"""Tasks of Step Functions that wait for the outcome of a message, through the handler."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from message_sender.errors import ResultNotPublishedError
from message_sender.request import derive_client_token
from sandbox.participant_service.faults import AcceptedThenCut, Status
from tests.functional.test_eventbridge_route import as_record
from tests.functional.test_observability import lines, metrics
from tests.support.lambda_events import QUEUE_ARN, TEXT, FakeLambdaContext, bus_event, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.functional.conftest import Function

TASK_TOKEN = "AQCEAAAAKgAAAAMAAAAAAAAAAd-task-token"
OTHER_TASK_TOKEN = "AQCEAAAAKgAAAAMAAAAAAAAAAe-task-token"

Send: TypeAlias = "Callable[[Function, dict[str, Any]], object]"


def by_queue(function: Function, request: dict[str, Any]) -> object:
    return function.batch(record(request, age=3600))  # so old that it is given up if it cannot be sent


def by_event(function: Function, request: dict[str, Any]) -> object:
    return function(bus_event(request))


@pytest.mark.parametrize("send", [by_queue, by_event])
def test_the_task_of_a_message_succeeds_with_its_result(function: Function, send: Send) -> None:
    chat = function.start_chat()

    send(function, chat.request(TaskToken=TASK_TOKEN, Metadata={"order": "ü😀"}))

    [(operation, parameters)] = function.aws.answered_tasks
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
def test_the_task_of_a_rejected_message_fails_under_the_name_of_its_error(
    function: Function, send: Send, fields: dict[str, Any], error: str
) -> None:
    chat = function.start_chat()

    send(function, chat.request(TaskToken=TASK_TOKEN, **fields))

    [result] = function.aws.results
    assert function.aws.answered_tasks == [
        (
            "SendTaskFailure",
            {"taskToken": TASK_TOKEN, "error": error, "cause": result["Error"]["Reason"]},
        )
    ]
    assert function.aws.calls == ["SendMessage", "PutEvents", "SendTaskFailure"]


def test_the_task_of_a_message_that_is_given_up_fails_under_the_name_of_the_last_error(
    function: Function,
) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Status(status=429, retry_after_ms=1), times=None)

    failed = function.batch(record(chat.request(TaskToken=TASK_TOKEN), age=601))

    assert failed == []
    [(operation, parameters)] = function.aws.answered_tasks
    assert (operation, parameters["error"]) == ("SendTaskFailure", "ThrottledError")
    assert function.aws.calls == ["SendMessage", "PutEvents", "SendTaskFailure"]


def test_the_task_of_a_message_that_comes_back_waits_on(function: Function) -> None:
    chat = function.start_chat()
    message = record(chat.request(TaskToken=TASK_TOKEN))
    function.participant.faults.add(AcceptedThenCut(), times=3)

    first = function.batch(message)
    answered_first = list(function.aws.answered_tasks)
    second = function.batch(message)

    assert (first, answered_first) == ([message["messageId"]], [])
    assert second == []
    assert [operation for operation, _ in function.aws.answered_tasks] == ["SendTaskSuccess"]
    assert chat.texts == [TEXT]


def test_a_message_that_is_handed_over_keeps_its_task_which_is_answered_once(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Status(status=429, retry_after_ms=1), times=3)

    function(bus_event(chat.request(TaskToken=TASK_TOKEN)))
    answered_first = list(function.aws.answered_tasks)
    [message] = function.aws.messages
    function.batch(as_record(message))

    assert answered_first == []
    [(operation, parameters)] = function.aws.answered_tasks
    assert (operation, parameters["taskToken"]) == ("SendTaskSuccess", TASK_TOKEN)
    assert json.loads(parameters["output"])["EventSource"] == "eventbridge"


def test_a_task_is_not_answered_while_the_result_is_safe_nowhere(function: Function) -> None:
    chat = function.start_chat()
    message = record(chat.request(TaskToken=TASK_TOKEN))
    function.aws.failures = {"PutEvents": [500] * 3, "SendMessageBatch": [500] * 3}

    first = function.batch(message)
    answered_first = list(function.aws.answered_tasks)
    second = function.batch(message)

    assert (first, answered_first) == ([message["messageId"]], [])
    assert second == []
    assert len(function.aws.answered_tasks) == 1


def test_the_task_of_an_event_is_not_answered_while_the_result_is_safe_nowhere(function: Function) -> None:
    chat = function.start_chat()
    function.aws.failures = {"PutEvents": [500] * 3, "SendMessageBatch": [500] * 3}

    with pytest.raises(ResultNotPublishedError):
        function(bus_event(chat.request(TaskToken=TASK_TOKEN)))

    assert function.aws.answered_tasks == []


def test_a_result_that_is_kept_in_the_queue_is_safe_and_its_task_answered(function: Function) -> None:
    chat = function.start_chat()
    function.aws.failures["PutEvents"] = [500] * 3

    function.batch(record(chat.request(TaskToken=TASK_TOKEN)))

    assert len(function.aws.answered_tasks) == 1


@pytest.mark.parametrize("send", [by_queue, by_event])
@pytest.mark.parametrize("name", ["TaskTimedOut", "TaskDoesNotExist"])
def test_a_task_that_no_longer_exists_is_no_error(
    function: Function, send: Send, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = function.start_chat()
    function.aws.failures["SendTaskSuccess"] = [name]

    answer = send(function, chat.request(TaskToken=TASK_TOKEN))

    told = lines(capsys)
    assert answer in ([], {})
    assert function.aws.calls.count("SendTaskSuccess") == 1
    assert not [key for key in metrics(told) if key[0] == "TaskCallbackFailures"]
    assert not [line for line in told if line.get("level") in {"WARNING", "ERROR"}]


@pytest.mark.parametrize(
    ("send", "source"), [(by_queue, "sqs"), (by_event, "eventbridge")], ids=["queue", "event"]
)
@pytest.mark.parametrize(
    ("failures", "calls"), [([500, 503], 2), (["InvalidToken"], 1)], ids=["down", "invalid token"]
)
def test_a_task_that_cannot_be_answered_is_counted_and_its_message_is_done(
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
    told = [json.loads(line) for line in captured.splitlines()]
    assert answer in ([], {})
    assert chat.texts == [TEXT]
    assert function.aws.calls.count("SendTaskSuccess") == calls
    assert metrics(told)["TaskCallbackFailures", f"EventSource={source}"] == [1.0]
    [line] = [line for line in told if line.get("message") == "Task not answered"]
    assert line["level"] == "ERROR"
    assert line["correlation_id"] == function.aws.results[0]["SourceId"]
    assert TASK_TOKEN not in captured


def test_an_answer_that_fails_once_is_given_again(function: Function) -> None:
    chat = function.start_chat()
    function.aws.failures["SendTaskSuccess"] = [500]

    function.batch(record(chat.request(TaskToken=TASK_TOKEN)))

    assert len(function.aws.answered_tasks) == 1


def test_a_task_that_cannot_be_answered_does_not_keep_others_waiting(function: Function) -> None:
    chat, other = function.start_chat(), function.start_chat()
    function.aws.failures["SendTaskSuccess"] = ["InvalidToken"]

    failed = function.batch(
        record(chat.request(TaskToken=TASK_TOKEN), group="1"),
        record(other.request(TaskToken=OTHER_TASK_TOKEN), group="2"),
    )

    assert failed == []
    assert function.aws.calls.count("SendTaskSuccess") == 2
    assert len(function.aws.answered_tasks) == 1


def test_a_task_whose_request_repeats_another_field_is_answered(function: Function) -> None:
    function.batch(record(f'{{"Content": "a", "Content": "b", "TaskToken": "{TASK_TOKEN}"}}'))

    [(operation, parameters)] = function.aws.answered_tasks
    assert operation == "SendTaskFailure"
    assert parameters == {
        "taskToken": TASK_TOKEN,
        "error": "InvalidRequestError",
        "cause": "Content is given more than once",
    }


def test_of_two_task_tokens_in_one_request_none_is_answered(function: Function) -> None:
    body = f'{{"TaskToken": "{TASK_TOKEN}", "TaskToken": "{OTHER_TASK_TOKEN}"}}'

    failed = function.batch(record(body))

    assert failed == []
    assert function.aws.answered_tasks == []


def test_where_a_caller_waits_no_task_is_answered(function: Function) -> None:
    chat = function.start_chat()

    with pytest.raises(Exception, match="TaskToken is not used here"):
        function(chat.request(ClientToken="t-1", TaskToken=TASK_TOKEN))

    assert function.aws.answered_tasks == []


def test_without_time_the_task_of_a_record_that_comes_back_waits_on(function: Function) -> None:
    chat = function.start_chat()

    failed = function.batch(
        record(chat.request(TaskToken=TASK_TOKEN)), context=FakeLambdaContext(seconds_left=8)
    )

    assert len(failed) == 1
    assert function.aws.answered_tasks == []


def test_a_task_token_reaches_step_functions_and_the_copy_and_nothing_else(
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
