"""`make redrive` and `make republish` on the deployed stack.

Where the emulator differs from AWS, in what matters here:

- A message that SQS moves keeps its de-duplication id; on AWS its message id takes that place. That SQS does
  not drop a letter's settled copy as a repeat of it is therefore a matter of the unit tests.
- Deleting with an expired receipt handle is accepted; SQS refuses it on a FIFO queue.
- EventBridge and Lambda put nothing into the events dead-letter queue: these tests put there what AWS
  documents.
- Permissions are not enforced.
- A FIFO queue gives nothing of a group while messages of it are held, as on AWS.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from infra.producer import EventSource
from message_sender.clock import SystemClock
from message_sender.errors import AwsCallError, ConnectionFailedError
from message_sender.publisher import Publisher
from message_sender.queues import Queues
from message_sender.request import Correlation, derive_client_token, parse_request
from message_sender.result import Failed, MessageResult, Origin
from ops.aws import BotoApi
from sandbox.participant_service.faults import Status
from tests.support.coverage import measured_environ
from tests.support.fakes import FakeAwsApi
from tests.support.lambda_events import bus_event
from tests.support.schemas import RESULT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.contract import MessageResult as PublishedResult
    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation, RejectedCopies

ROOT = Path(__file__).parents[2]
MOST_RECEIVES = 100

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Operator:
    """Runs the commands, and puts letters where they lie on AWS."""

    stack: LocalStack
    environ: dict[str, str] = field(repr=False)
    outputs: dict[str, str] = field(repr=False)

    def make(self, target: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", target, *(f"{name}={value}" for name, value in variables.items())],
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def queues(self) -> Queues:
        return Queues(
            sqs=BotoApi(self.stack.sqs),
            message_queue_url=self.outputs["MessageQueueUrl"],
            dead_letter_queue_url=self.outputs["DeadLetterQueueUrl"],
            rejected_queue_url=self.outputs["RejectedQueueUrl"],
            unpublished_results_queue_url=self.outputs["UnpublishedResultsQueueUrl"],
            clock=SystemClock(),
            random=lambda: 0.0,
        )

    def give_up(self, request: dict[str, Any], *, message_id: str) -> MessageResult:
        """Copy a message as the function does that gives it up."""
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
        (mapping,) = lambda_.list_event_source_mappings()["EventSourceMappings"]
        lambda_.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        try:
            yield
        finally:
            lambda_.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)

    def put_dead_event(self, body: object, **attributes: str) -> None:
        self.stack.sqs.send_message(
            QueueUrl=self.outputs["EventsDeadLetterQueueUrl"],
            MessageBody=json.dumps(body),
            MessageAttributes={
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
            },
        )

    def results_of(self, client_token: str) -> list[PublishedResult]:
        """Return what has been published of a message, after a moment for what is still to come."""
        for _ in range(2):
            self.stack.results.receive()
        return [result for result in self.stack.results.received if result.client_token == client_token]


@pytest.fixture
def operator(stack: LocalStack, tmp_path: Path) -> Operator:
    # Without STAGE the stack is that of dev, as with every other command
    (description,) = stack.emulator.client("cloudformation").describe_stacks(
        StackName="ConnectMessageSender-dev"
    )["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in description["Outputs"]}
    environ = {**measured_environ(), **stack.emulator.environ(home=tmp_path)}
    return Operator(stack, environ, outputs)


def rows(output: str) -> list[list[str]]:
    """Return the words of each line that tells of a letter or a result."""
    return [
        line.split()
        for line in output.splitlines()
        if re.match(r"(redrive|settle|discard|leave|error|publish) ", line)
    ]


def now_event(alice: Conversation, content: str) -> dict[str, Any]:
    event = bus_event(alice.request(content), event_id=str(uuid.uuid4()))
    return event | {"time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def test_a_letter_is_shown_once_though_an_earlier_try_was_accepted(
    operator: Operator, alice: Conversation
) -> None:
    request = alice.request("I am here", ClientToken=str(uuid.uuid4()))
    operator.stack.producer.send_text(json.dumps(request), through=EventSource.DIRECT)
    message_id = str(uuid.uuid4())
    operator.give_up(request, message_id=message_id)

    shown = operator.make("redrive")
    done = operator.make("redrive", DRY_RUN="no")

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
    assert "1 would be put back" in shown.stdout
    assert "1 put back" in done.stdout
    result = operator.stack.results.wait_for(
        lambda event: event.client_token == request["ClientToken"] and event.event_source == "sqs", timeout=20
    )
    assert (result.outcome, result.source_id) == ("SENT", message_id)
    assert alice.texts == ["I am here"]
    assert operator.stack.queue_depths().dead_letter == 0


def test_what_sqs_moved_is_sent_under_the_client_token_that_the_function_would_have_given_it(
    operator: Operator, alice: Conversation
) -> None:
    message_id = operator.have_sqs_move(json.dumps(alice.request("At last")), group=alice.chat.contact_id)
    assert operator.stack.queue_depths().dead_letter == 1

    done = operator.make("redrive", CODE="MovedBySQS", DRY_RUN="no")

    assert (done.returncode, done.stderr) == (0, "")
    result = alice.result_of(message_id)
    queue_arn = operator.stack.sqs.get_queue_attributes(
        QueueUrl=operator.outputs["MessageQueueUrl"], AttributeNames=["QueueArn"]
    )["Attributes"]["QueueArn"]
    assert result.client_token == derive_client_token(queue_arn, message_id)
    assert result.outcome == "SENT"
    assert alice.texts == ["At last"]
    assert operator.stack.queue_depths().dead_letter == 0


def test_what_sqs_moved_and_is_not_tried_again_gets_its_outcome_once(
    operator: Operator, alice: Conversation
) -> None:
    client_token = str(uuid.uuid4())
    message_id = operator.have_sqs_move(
        json.dumps(alice.request("Too late", ClientToken=client_token)), group=alice.chat.contact_id
    )

    left = operator.make("redrive", MAX_AGE="0m", DRY_RUN="no")
    settled = operator.make("redrive", MAX_AGE="0m", SETTLE="yes", DRY_RUN="no")
    again = operator.make("redrive", MAX_AGE="0m", SETTLE="yes", DRY_RUN="no")

    assert [rows(output.stdout)[0][0] for output in (left, settled, again)] == ["leave", "settle", "leave"]
    assert "SETTLE=yes publishes it" in left.stdout
    [result] = operator.results_of(client_token)
    jsonschema.validate(result.detail, RESULT_SCHEMA)
    assert (result.outcome, result.code, result.source_id) == ("FAILED", "DeadlineExceeded", message_id)
    assert result.detail["Error"]["MaybeDelivered"]
    assert alice.texts == []

    operator.make("redrive", DRY_RUN="no")

    assert operator.stack.results.wait_for(
        lambda event: event.client_token == client_token and event.outcome == "SENT", timeout=20
    )
    assert alice.texts == ["Too late"]


def test_a_queue_is_emptied_without_the_loss_of_what_has_no_outcome(
    operator: Operator, alice: Conversation
) -> None:
    operator.give_up(alice.request("Given up", ClientToken=str(uuid.uuid4())), message_id=str(uuid.uuid4()))
    client_token = str(uuid.uuid4())
    operator.have_sqs_move(
        json.dumps(alice.request("Moved", ClientToken=client_token)), group=str(uuid.uuid4())
    )

    shown = operator.make("redrive", MAX_AGE="0m", DISCARD="yes")
    discarded = operator.make("redrive", MAX_AGE="0m", DISCARD="yes", DRY_RUN="no")

    for output in (shown, discarded):
        assert sorted(row[0] for row in rows(output.stdout)) == ["discard", "leave"]
    assert operator.stack.queue_depths().dead_letter == 1

    operator.make("redrive", MAX_AGE="0m", SETTLE="yes", DRY_RUN="no")
    operator.make("redrive", MAX_AGE="0m", DISCARD="yes", DRY_RUN="no")

    assert [result.outcome for result in operator.results_of(client_token)] == ["FAILED"]
    assert operator.stack.queue_depths().dead_letter == 0
    assert "No letters" in operator.make("redrive").stdout


def test_what_sqs_moved_and_cannot_be_read_is_rejected(
    operator: Operator, alice: Conversation, rejected: RejectedCopies
) -> None:
    message_id = operator.have_sqs_move("no JSON", group=str(uuid.uuid4()))

    operator.make("redrive", SETTLE="yes", DRY_RUN="no")

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

    done = operator.make("redrive", QUEUE="events", DRY_RUN="no")

    assert (done.returncode, done.stderr) == (0, "")
    assert {row[2] for row in rows(done.stdout)} == {"NO_PERMISSIONS", "RetriesExhausted"}
    for event in (deferred, failed):
        result = alice.result_of(event["id"])
        assert (result.outcome, result.event_source) == ("SENT", "eventbridge")
        assert result.client_token == derive_client_token("eventbridge", event["id"])
    assert sorted(map(str, alice.texts)) == ["one", "two"]
    assert operator.stack.queue_depths().events_dead_letter == 0


def test_a_rejected_message_is_sent_when_its_reason_is_gone(
    operator: Operator, alice: Conversation, stack: LocalStack
) -> None:
    # A service that refuses at first, as it does until a content type is enabled
    client_token = str(uuid.uuid4())
    stack.participant.add_fault(Status(status=400), client_token=client_token, times=1)
    message_id = alice.queue("Again, please", ClientToken=client_token)
    assert alice.result_of(message_id).code == "ServiceValidation"

    refused = operator.make("redrive", QUEUE="rejected", DRY_RUN="no")
    operator.make("redrive", QUEUE="rejected", CODE="ServiceValidation", DRY_RUN="no")

    assert refused.returncode == 2
    assert "CODE=" in refused.stderr
    sent = stack.results.wait_for(
        lambda event: event.client_token == client_token and event.outcome == "SENT", timeout=20
    )
    assert sent.source_id == message_id
    assert alice.texts == ["Again, please"]


def test_results_that_were_kept_reach_the_bus(operator: Operator) -> None:
    down = AwsCallError("PutEvents", name="AccessDenied", http_status=403)
    publisher = Publisher(
        events=FakeAwsApi(lambda _: {}, [down] * 2),
        event_bus_name=operator.outputs["EventBusName"],
        queues=operator.queues(),
        clock=SystemClock(),
        random=lambda: 0.0,
    )
    result = MessageResult(
        outcome=Failed(ConnectionFailedError("No answer")),
        origin=Origin(event_source="sqs", source_id=str(uuid.uuid4()), accepted_at=datetime.now(UTC)),
        correlation=Correlation(client_token="c-1"),
        completed_at=datetime.now(UTC),
        attempts=3,
    )
    other = replace(result, origin=replace(result.origin, source_id=str(uuid.uuid4())))
    assert publisher.publish([result, other], until=SystemClock().monotonic() + 30) == [True, True]

    shown = operator.make("republish")
    done = operator.make("republish", DRY_RUN="no")
    again = operator.make("republish", DRY_RUN="no")

    assert [len(rows(output.stdout)) for output in (shown, done, again)] == [2, 2, 0]
    assert {output.returncode for output in (shown, done, again)} == {0}
    assert "2 would be published, 0 errors" in shown.stdout
    assert "No results" in again.stdout
    published = {each.source_id: each.detail for each in operator.results_of("c-1")}
    for each in (result, other):
        assert published[each.origin.source_id] == each.detail()


def test_a_signal_lets_go_of_the_letters(operator: Operator, alice: Conversation) -> None:
    alice.result_of(alice.queue("", ClientToken=str(uuid.uuid4())))
    command = [sys.executable, "-m", "ops", "redrive"]
    environ = operator.environ | {"PYTHONPATH": "lambda_src", "QUEUE": "rejected"}

    with subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("leave"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)  # it waits for more letters
        out, _ = process.communicate(timeout=30)

    assert process.returncode == 128 + signal.SIGINT
    assert out.endswith("Stopped. What was done is done; the same command does the rest.\n")
    assert rows(operator.make("redrive", QUEUE="rejected").stdout)


@pytest.mark.parametrize(
    ("target", "variables", "complaint"),
    [
        ("redrive", {"STAGE": "staging"}, "There is no stack ConnectMessageSender-staging"),
        ("redrive", {"QUEUE": "messages"}, "QUEUE=dead-letter|events|rejected"),
        ("republish", {"DRY_RUN": "maybe"}, "DRY_RUN is 'maybe'"),
    ],
)
def test_what_is_wrong_is_told(
    operator: Operator, target: str, variables: dict[str, str], complaint: str
) -> None:
    done = operator.make(target, **variables)

    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
