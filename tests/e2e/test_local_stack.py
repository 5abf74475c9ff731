"""What holds of the local stack as a whole."""

from __future__ import annotations

import json
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

from sandbox.api_client import QUEUE_PATH
from sandbox.lambda_runtime import CUSTOM_RUNTIME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversations
    from tests.e2e.listeners import ListenerWatch

pytestmark = pytest.mark.e2e


def log_lines(stack: LocalStack, folder: Path) -> Iterator[str]:
    """Return all that any part has said: the function to CloudWatch Logs, the others to their outputs."""
    logs = stack.emulator.client("logs")
    for group in logs.describe_log_groups()["logGroups"]:
        name = group["logGroupName"]
        for stream in logs.describe_log_streams(logGroupName=name)["logStreams"]:
            events = logs.get_log_events(logGroupName=name, logStreamName=stream["logStreamName"])
            yield from (event["message"] for event in events["events"])
    for log in folder.glob("*.log"):
        yield from log.read_text(encoding="utf-8").splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="awslambdaric is for Linux")
def test_the_function_runs_in_awslambdaric(stack: LocalStack) -> None:
    configuration = stack.lambda_.get_function_configuration(FunctionName=stack.outputs.function_alias_arn)

    assert configuration["Runtime"] == CUSTOM_RUNTIME
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
        alice.queue(f"{secret} {'x' * 1025}"),
        ended.queue(secret),
        stack.send_to_queue(f"not JSON: {secret}", group="nobody", deduplication_id=secret),
        alice.event(secret),
        ended.event(secret),
        alice.post(secret).payload["MessageId"],
        ended.post(secret).payload["MessageId"],
    ]
    for chat in (alice, ended):
        chat.invoke(secret, ClientToken=str(uuid.uuid4()))
        chat.post_and_wait(secret, ClientToken=str(uuid.uuid4()))
        chat.post_and_wait(secret, Unknown=chat.chat.connection_token)
        chat.execute(secret)
        chat.execute(secret, ContactId=...)
    alice.invoke(secret)
    stack.invoke({"Records": [secret]})
    stack.api.post(QUEUE_PATH, f"not JSON: {secret}")
    for source_id in sources:
        alice.result_of(source_id)

    results = [json.dumps(event.detail) for event in stack.results.received]
    said = [*log_lines(stack, folder), *results]
    assert any(sources[0] in line for line in said), "the logs are not there to be looked at"
    for hidden in (secret, task_token, alice.chat.connection_token, ended.chat.connection_token):
        assert [line for line in said if hidden in line] == []
