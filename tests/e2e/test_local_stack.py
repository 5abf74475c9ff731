"""The local stack as a whole."""

from __future__ import annotations

import json
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

from infra.producer import EventSource, NotAcceptedError, NotSentError
from sandbox.lambda_runtime import CUSTOM_RUNTIME
from tests.support.limits import TOO_LONG

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversations
    from tests.e2e.listeners import ListenerWatch

pytestmark = pytest.mark.e2e


def log_lines(stack: LocalStack, folder: Path) -> Iterator[str]:
    """Return the lines of every log: the function's in CloudWatch Logs, and the output of the other parts."""
    logs = stack.emulator.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        name = group["logGroupName"]
        for stream in logs.describe_log_streams(logGroupName=name)["logStreams"]:
            events = logs.get_log_events(logGroupName=name, logStreamName=stream["logStreamName"])
            yield from (event["message"] for event in events["events"])
    for log in folder.glob("*.log"):
        yield from log.read_text(encoding="utf-8").splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="awslambdaric is for Linux")
def test_the_functions_run_in_awslambdaric(stack: LocalStack) -> None:
    sender = stack.lambda_.get_function_configuration(FunctionName=stack.outputs.function_alias_arn)
    names = [each["FunctionName"] for each in stack.lambda_.list_functions()["Functions"]]
    [results] = [name for name in names if name.startswith(f"{stack.outputs.stack_name}-Results")]

    assert sender["Runtime"] == CUSTOM_RUNTIME
    assert stack.lambda_.get_function_configuration(FunctionName=results)["Runtime"] == CUSTOM_RUNTIME
    assert stack.has_error_types


def test_nothing_listens_beyond_loopback(conversations: Conversations, listeners: ListenerWatch) -> None:
    alice = conversations.open()
    alice.result_of(alice.queue("Hello"))

    assert listeners.seen
    assert listeners.beyond_loopback == set()


def test_no_token_and_no_message_text_is_in_any_log_or_result(
    conversations: Conversations, stack: LocalStack, folder: Path
) -> None:
    secret = f"secret-{uuid.uuid4()}"
    alice, ended = conversations.open(), conversations.open(ended=True)

    task_token = f"task-{uuid.uuid4()}"

    sources = [
        alice.queue(secret),
        alice.queue("The task does not exist", TaskToken=task_token),
        alice.queue("The task token is wrong", TaskToken=task_token * 100),
        alice.queue(secret, ContentType="application/json"),
        alice.queue(f"{secret} {TOO_LONG}"),
        ended.queue(secret),
        stack.producer.send_text(
            f"not JSON: {secret}", through=EventSource.QUEUE, message_group="nobody"
        ).source_id,
        alice.event(secret),
        ended.event(secret),
        alice.post(secret),
        ended.post(secret),
    ]
    errors = []
    for chat in (alice, ended):
        for source, fields in (
            (EventSource.DIRECT, {"ClientToken": str(uuid.uuid4())}),
            (EventSource.DIRECT, {}),
            (EventSource.API_SYNC, {"ClientToken": str(uuid.uuid4())}),
            (EventSource.API_SYNC, {"Unknown": chat.chat.connection_token}),
            (EventSource.WORKFLOW, {}),
            (EventSource.WORKFLOW, {"ContactId": ...}),
        ):
            try:
                started = chat.send(source, secret, **fields)
                if source is EventSource.WORKFLOW:
                    stack.producer.wait_for_execution(started.source_id, timeout=60)
            except (NotSentError, NotAcceptedError) as error:
                errors.append(f"{error!r} {error}")
    for source in (EventSource.DIRECT, EventSource.API):
        with pytest.raises((NotSentError, NotAcceptedError)) as raised:
            stack.producer.send_text(json.dumps({"Records": [secret]}), through=source)
        errors.append(str(raised.value))
    for source_id in sources:
        alice.result_of(source_id)

    results = [json.dumps(event.detail) for event in stack.results.received]
    said = [*log_lines(stack, folder), *results, *errors]
    assert any(sources[0] in line for line in said), "the logs cannot be read"
    for hidden in (secret, task_token, alice.chat.connection_token, ended.chat.connection_token):
        assert [line for line in said if hidden in line] == []
