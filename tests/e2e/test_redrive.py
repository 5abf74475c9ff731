"""`python -m ops redrive` on the deployed stack.

The emulator differs from AWS in these points:

- A message that SQS moves keeps its de-duplication id. On AWS, its message id takes that place. Only the unit
  tests can thus show that SQS does not drop a finalized copy as a repeat of its dead letter.
- Deleting with an expired receipt handle is accepted; SQS refuses it on a FIFO queue.
- EventBridge and Lambda put nothing into the events dead-letter queue. These tests do, as AWS documents it.
- Permissions are not enforced.
- A FIFO queue returns nothing of a group that has messages in flight, as on AWS.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from infra.producer import EventSource
from message_sender.aws.client import AwsClient
from message_sender.clock import SystemClock
from message_sender.errors import ConnectionFailedError
from message_sender.queues import Queues
from message_sender.request import Correlation, derive_client_token, parse_request
from message_sender.result import Failed, MessageResult, Origin
from ops.aws import BotoApi
from sandbox.participant_service.faults import Status
from tests.support.coverage import measured_environ
from tests.support.lambda_events import bus_event
from tests.support.schemas import RESULT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.results import MessageResult as PublishedResult
    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation, RejectedCopies

ROOT = Path(__file__).parents[2]
MOST_RECEIVES = 100

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Operator:
    """Runs the commands, and puts dead letters into their queues."""

    stack: LocalStack
    environ: dict[str, str] = field(repr=False)
    outputs: dict[str, str] = field(repr=False)

    def run(self, *arguments: str, entered: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ops", *arguments],
            input=entered,
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def seal(self, connection_token: str, contact_id: str) -> str:
        """Seal a token with the command, as an operator who pastes it."""
        sealed = self.run("seal", "--contact-id", contact_id, entered=f"{connection_token}\n")
        assert (sealed.returncode, sealed.stderr) == (0, "")
        assert connection_token not in sealed.stdout
        return sealed.stdout.removesuffix("\n")

    def queues(self) -> Queues:
        return Queues(
            sqs=AwsClient(BotoApi(self.stack.sqs), clock=SystemClock(), random=lambda: 0.0),
            message_queue_url=self.outputs["MessageQueueUrl"],
            dead_letter_queue_url=self.outputs["DeadLetterQueueUrl"],
            rejected_queue_url=self.outputs["RejectedQueueUrl"],
            unpublished_results_queue_url=self.outputs["UnpublishedResultsQueueUrl"],
        )

    def copy_to_dead_letters(self, request: dict[str, Any], *, message_id: str) -> MessageResult:
        """Copy a message as the function does when retries are exhausted."""
        result = MessageResult(
            outcome=Failed(ConnectionFailedError("No answer", maybe_delivered=True), maybe_delivered=True),
            origin=Origin(
                event_source="sqs",
                source_id=message_id,
                accepted_at=datetime.now(UTC) - timedelta(minutes=11),
                receive_count=15,
            ),
            correlation=Correlation(client_token=request["ClientToken"]),
            completed_at=datetime.now(UTC),
            attempts=3,
        )
        self.queues().copy_to_dead_letters(
            parse_request(json.dumps(request), client_token=None),
            result,
            message_group=request["ContactId"],
            message_id=message_id,
            until=SystemClock().monotonic() + 30,
        )
        return result

    def have_sqs_move(self, body: str, *, group: str) -> str:
        """Put a message into the queue and receive it too often. Return its message id."""
        sqs, url = self.stack.sqs, self.outputs["MessageQueueUrl"]
        with self.function_does_not_receive():
            message_id = self.stack.producer.send_text(
                body, through=EventSource.QUEUE, message_group=group
            ).source_id
            for _ in range(MOST_RECEIVES):
                if not sqs.receive_message(QueueUrl=url, VisibilityTimeout=0).get("Messages"):
                    return message_id
        raise AssertionError("SQS has not moved it")

    @contextmanager
    def function_does_not_receive(self) -> Iterator[None]:
        lambda_ = self.stack.lambda_
        name = self.stack.outputs.message_queue_url.rpartition("/")[2]
        (mapping,) = (
            each
            for each in lambda_.list_event_source_mappings()["EventSourceMappings"]
            if each["EventSourceArn"].rpartition(":")[2] == name
        )
        lambda_.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        try:
            yield
        finally:
            lambda_.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)

    def wait_for_messages(self, count: int) -> None:
        """Wait until so many messages are visible in the messages queue."""
        deadline = time.monotonic() + 20
        while self.stack.queue_depths().messages < count:
            assert time.monotonic() < deadline, f"fewer than {count} messages"
            time.sleep(0.1)

    def put_dead_event(self, body: object, **attributes: str) -> None:
        self.stack.sqs.send_message(
            QueueUrl=self.outputs["EventsDeadLetterQueueUrl"],
            MessageBody=json.dumps(body),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        )

    def results_of(self, client_token: str) -> list[PublishedResult]:
        """Return the published results of a message, after a moment for late ones."""
        for _ in range(2):
            self.stack.results.receive()
        return [result for result in self.stack.results.received if result.client_token == client_token]


@pytest.fixture
def operator(stack: LocalStack, tmp_path: Path) -> Operator:
    # The default stage is dev, as for every other command
    (description,) = stack.emulator.client("cloudformation").describe_stacks(
        StackName="ConnectMessageSender-dev"
    )["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in description["Outputs"]}
    environ = {**measured_environ(), **stack.emulator.environ(home=tmp_path)}
    return Operator(stack, environ, outputs)


def rows(output: str) -> list[list[str]]:
    """Return the words of each line for a dead letter or a result."""
    return [
        line.split()
        for line in output.splitlines()
        if re.match(r"(redrive|finalize|delete|keep|error|publish) ", line)
    ]


def now_event(alice: Conversation, content: str) -> dict[str, Any]:
    event = bus_event(alice.request(content), event_id=str(uuid.uuid4()))
    return event | {"time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def test_dead_letter_is_shown_once_although_an_earlier_attempt_was_accepted(
    operator: Operator, alice: Conversation
) -> None:
    request = alice.request("I am here", ClientToken=str(uuid.uuid4()))
    operator.stack.producer.send_text(json.dumps(request), through=EventSource.DIRECT)
    message_id = str(uuid.uuid4())
    operator.copy_to_dead_letters(request, message_id=message_id)

    shown = operator.run("redrive")
    done = operator.run("redrive", "--apply")

    for output in (shown, done):
        assert (output.returncode, output.stderr) == (0, "")
        [row] = rows(output.stdout)
        assert row == [
            "redrive", "0m", "ConnectionFailed", "maybe",
            message_id, request["ClientToken"], alice.chat.contact_id,
        ]  # fmt: skip
        assert alice.chat.connection_token not in output.stdout
        assert "I am here" not in output.stdout
        assert operator.outputs["MessageQueueUrl"] in output.stdout
    assert "1 to redrive" in shown.stdout
    assert "1 redriven" in done.stdout
    result = operator.stack.results.wait_for(
        lambda event: event.client_token == request["ClientToken"] and event.event_source == "sqs", timeout=20
    )
    assert (result.outcome, result.source_id) == ("SENT", message_id)
    assert alice.texts == ["I am here"]
    assert operator.stack.queue_depths().dead_letter == 0


def test_message_that_sqs_moved_is_sent_with_the_client_token_that_the_function_derives(
    operator: Operator, alice: Conversation
) -> None:
    message_id = operator.have_sqs_move(json.dumps(alice.request("At last")), group=alice.chat.contact_id)
    assert operator.stack.queue_depths().dead_letter == 1

    done = operator.run("redrive", "--code", "MovedBySQS", "--apply")

    assert (done.returncode, done.stderr) == (0, "")
    result = alice.result_of(message_id)
    queue_arn = operator.stack.sqs.get_queue_attributes(
        QueueUrl=operator.outputs["MessageQueueUrl"], AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    assert result.client_token == derive_client_token(queue_arn, message_id)
    assert result.outcome == "SENT"
    assert alice.texts == ["At last"]
    assert operator.stack.queue_depths().dead_letter == 0


def test_message_that_sqs_moved_is_finalized_once(operator: Operator, alice: Conversation) -> None:
    client_token = str(uuid.uuid4())
    message_id = operator.have_sqs_move(
        json.dumps(alice.request("Too late", ClientToken=client_token)), group=alice.chat.contact_id
    )

    kept = operator.run("redrive", "--max-age", "0m", "--apply")
    finalized = operator.run("redrive", "--max-age", "0m", "--finalize", "--apply")
    again = operator.run("redrive", "--max-age", "0m", "--finalize", "--apply")

    assert [rows(output.stdout)[0][0] for output in (kept, finalized, again)] == ["keep", "finalize", "keep"]
    assert "--finalize publishes it" in kept.stdout
    [result] = operator.results_of(client_token)
    jsonschema.validate(result.detail, RESULT_SCHEMA)
    assert (result.outcome, result.code, result.source_id) == ("FAILED", "DeadlineExceeded", message_id)
    assert result.detail["Error"]["MaybeDelivered"]
    assert alice.texts == []

    operator.run("redrive", "--apply")

    assert operator.stack.results.wait_for(
        lambda event: event.client_token == client_token and event.outcome == "SENT", timeout=20
    )
    assert alice.texts == ["Too late"]


def test_queue_is_emptied_without_losing_messages_that_have_no_result(
    operator: Operator, alice: Conversation
) -> None:
    operator.copy_to_dead_letters(
        alice.request("Retries exhausted", ClientToken=str(uuid.uuid4())), message_id=str(uuid.uuid4())
    )
    client_token = str(uuid.uuid4())
    operator.have_sqs_move(
        json.dumps(alice.request("Moved", ClientToken=client_token)), group=str(uuid.uuid4())
    )

    shown = operator.run("redrive", "--max-age", "0m", "--delete")
    deleted = operator.run("redrive", "--max-age", "0m", "--delete", "--apply")

    for output in (shown, deleted):
        assert sorted(row[0] for row in rows(output.stdout)) == ["delete", "keep"]
    assert operator.stack.queue_depths().dead_letter == 1

    operator.run("redrive", "--max-age", "0m", "--finalize", "--apply")
    operator.run("redrive", "--max-age", "0m", "--delete", "--apply")

    assert [result.outcome for result in operator.results_of(client_token)] == ["FAILED"]
    assert operator.stack.queue_depths().dead_letter == 0
    assert "SQS returned no messages." in operator.run("redrive").stdout


def test_invalid_message_that_sqs_moved_is_rejected(
    operator: Operator, alice: Conversation, rejected: RejectedCopies
) -> None:
    message_id = operator.have_sqs_move("no JSON", group=str(uuid.uuid4()))

    operator.run("redrive", "--finalize", "--apply")

    result = alice.result_of(message_id)
    assert (result.outcome, result.code) == ("REJECTED", "InvalidRequest")
    assert rejected.copy_of(message_id)["Body"] == "no JSON"
    assert operator.stack.queue_depths().dead_letter == 0


def test_both_forms_of_a_dead_event_are_sent_as_their_event(operator: Operator, alice: Conversation) -> None:
    deferred, failed = now_event(alice, "one"), now_event(alice, "two")
    operator.put_dead_event(deferred, ERROR_CODE="NO_PERMISSIONS", RULE_ARN="arn:of-the-rule")
    operator.put_dead_event(
        {
            "version": "1.0",
            "requestContext": {"condition": "RetriesExhausted", "approximateInvokeCount": 3},
            "requestPayload": failed,
            "responseContext": {"statusCode": 200, "functionError": "Unhandled"},
        }
    )

    done = operator.run("redrive", "events", "--apply")

    assert (done.returncode, done.stderr) == (0, "")
    assert {row[2] for row in rows(done.stdout)} == {"NO_PERMISSIONS", "RetriesExhausted"}
    for event in (deferred, failed):
        result = alice.result_of(event["id"])
        assert (result.outcome, result.event_source) == ("SENT", "eventbridge")
        assert result.client_token == derive_client_token("eventbridge", event["id"])
    assert sorted(map(str, alice.texts)) == ["one", "two"]
    assert operator.stack.queue_depths().events_dead_letter == 0


def test_rejected_message_is_sent_after_its_cause_is_fixed(
    operator: Operator, alice: Conversation, stack: LocalStack
) -> None:
    # The service refuses at first, as before a content type is enabled
    client_token = str(uuid.uuid4())
    stack.participant.add_fault(Status(status=400), client_token=client_token, times=1)
    message_id = alice.queue("Again, please", ClientToken=client_token)
    assert alice.result_of(message_id).code == "ServiceValidation"

    refused = operator.run("redrive", "rejected", "--apply")
    operator.run("redrive", "rejected", "--code", "ServiceValidation", "--apply")

    assert refused.returncode == 2
    assert "with --code" in refused.stderr
    sent = stack.results.wait_for(
        lambda event: event.client_token == client_token and event.outcome == "SENT", timeout=20
    )
    assert sent.source_id == message_id
    assert alice.texts == ["Again, please"]


def test_dead_letters_keep_their_sealed_token_until_they_are_sent(
    operator: Operator, alice: Conversation
) -> None:
    stack, chat = operator.stack, alice.chat
    sealed = operator.seal(chat.connection_token, chat.contact_id)
    request = alice.request("At last", ConnectionToken=sealed, ClientToken=str(uuid.uuid4()))
    moved = operator.have_sqs_move(json.dumps(request), group=chat.contact_id)
    event = now_event(alice, "from the bus") | {"detail": {**request, "ClientToken": str(uuid.uuid4())}}
    operator.put_dead_event(event, ERROR_CODE="NO_PERMISSIONS", RULE_ARN="arn:of-the-rule")

    waiting = [
        stack.sqs.receive_message(QueueUrl=operator.outputs[output], VisibilityTimeout=0)["Messages"]
        for output in ("DeadLetterQueueUrl", "EventsDeadLetterQueueUrl")
    ]
    shown = [operator.run("redrive", queue, "--apply") for queue in ("dead-letter", "events")]

    for [message] in waiting:
        assert sealed in message["Body"]
        assert chat.connection_token not in message["Body"]
    for run in shown:
        assert (run.returncode, run.stderr) == (0, "")
        assert sealed not in run.stdout
    assert [alice.result_of(each).outcome for each in (moved, event["id"])] == ["SENT", "SENT"]


def test_no_message_that_waits_has_a_sealed_token_in_clear(operator: Operator, alice: Conversation) -> None:
    sealed = operator.seal(alice.chat.connection_token, alice.chat.contact_id)
    sources = (EventSource.QUEUE, EventSource.API, EventSource.WORKFLOW)

    with operator.function_does_not_receive():
        answers = [alice.send(source, source, ConnectionToken=sealed) for source in sources]
        # Received only when all are there: each receive counts, and SQS moves a message after too many
        operator.wait_for_messages(len(sources))
        received = operator.stack.sqs.receive_message(
            QueueUrl=operator.outputs["MessageQueueUrl"], MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        waiting = {each["MessageId"]: each["Body"] for each in received.get("Messages", [])}

    assert len(waiting) == len(sources)
    for body in waiting.values():
        assert sealed in body
        assert alice.chat.connection_token not in body
    for answer in answers[:2]:
        assert alice.result_of(answer.source_id).outcome == "SENT"
    sent = operator.stack.producer.wait_for_execution(answers[2].source_id, timeout=60).result
    assert sent is not None
    assert alice.texts == [*sources]


def test_sender_is_found_by_its_parameters(operator: Operator) -> None:
    # The app gives its sender the name of its stack
    name = operator.stack.outputs.stack_name

    found, unknown = (operator.run("redrive", "--sender", sender) for sender in (name, "nobody"))

    assert (found.returncode, found.stderr) == (0, "")
    assert operator.outputs["MessageQueueUrl"] in found.stdout
    assert unknown.returncode == 2
    assert "nobody" in unknown.stderr


def test_signal_releases_the_messages(operator: Operator, alice: Conversation) -> None:
    alice.result_of(alice.queue("", ClientToken=str(uuid.uuid4())))
    command = [sys.executable, "-m", "ops", "redrive", "rejected"]

    with subprocess.Popen(
        command, cwd=ROOT, env=operator.environ, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("keep"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)  # it waits for more messages
        out, _ = process.communicate(timeout=30)

    assert process.returncode == 128 + signal.SIGINT
    assert out.endswith("Stopped. You can run the same command again.\n")
    assert rows(operator.run("redrive", "rejected").stdout)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["redrive", "--stage", "staging"], "There is no stack ConnectMessageSender-staging"),
        (["redrive", "messages"], "invalid choice: 'messages'"),
        (["redrive", "--apply=maybe"], "argument --apply"),
    ],
)
def test_wrong_argument_is_reported(operator: Operator, arguments: list[str], error: str) -> None:
    done = operator.run(*arguments)

    assert done.returncode == 2
    assert error in done.stderr
    assert "Traceback" not in done.stderr
