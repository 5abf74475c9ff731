"""The same messages without this project: the boto3 loop of the benchmarks behind a queue of its own.

It has its own participant service, so that neither side uses the quota of the other. Queue and function are
as AWS recommends them: a FIFO queue with the visibility timeout of ours, and a dead-letter queue after five
receives (https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.timing import BATCH_SIZE, FUNCTION_TIMEOUT_SECONDS
from sandbox.emulator import ACCOUNT
from sandbox.lambda_runtime import CUSTOM_RUNTIME, bootstrap, with_files
from sandbox.local_stack import RUNTIME_PYTHON, start_participant_service

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_lambda import LambdaClient

    from sandbox.local_stack import LocalStack
    from sandbox.participant_service.control import ParticipantControl

NAME = "plain-loop"
VARIANTS: Mapping[str, str] = {
    "log": "logs an error and goes on",
    "fail": "fails the batch",
    "report": "reports failed records",
    "no-token": "fails the batch, no ClientToken",
}
_HANDLER = Path(__file__).with_name("plain_loop_handler.py")
_LOOP = Path(__file__).parents[2] / "benchmarks/baselines/boto3_loop.py"
_MAX_RECEIVES = 5
_NO_ZIP = b"PK\x05\x06" + bytes(18)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainLoop:
    """A deployed loop."""

    stack: LocalStack = field(repr=False)
    participant: ParticipantControl
    queue_url: str
    dead_letter_queue_url: str

    def use(self, variant: str) -> None:
        """Switch to a variant, a key of `VARIANTS`, and start it."""
        lambda_ = self.stack.lambda_
        lambda_.update_function_configuration(FunctionName=NAME, Environment=_environment(self, variant))
        lambda_.invoke(FunctionName=NAME, Payload=b'{"Records": []}')

    def send(self, request: Mapping[str, Any]) -> None:
        """Send a request through the queue of the loop."""
        self.stack.sqs.send_message(
            QueueUrl=self.queue_url,
            MessageGroupId=request["ContactId"],
            MessageDeduplicationId=request["ClientToken"],
            MessageBody=json.dumps(request),
        )

    def purge(self) -> None:
        """Delete what an earlier scenario left behind."""
        for url in (self.queue_url, self.dead_letter_queue_url):
            self.stack.sqs.purge_queue(QueueUrl=url)


def deploy_plain_loop(stack: LocalStack, *, folder: Path, visibility_timeout: int) -> PlainLoop:
    """Deploy the loop beside the stack."""
    sqs, lambda_ = stack.sqs, stack.lambda_
    participant = start_participant_service(stack.children, folder / f"{NAME}-participant-service.log")
    stack.emulator.client("events").create_event_bus(Name=NAME)
    dead = sqs.create_queue(QueueName=f"{NAME}-dead-letter.fifo", Attributes={"FifoQueue": "true"})[
        "QueueUrl"
    ]
    redrive_policy = {"deadLetterTargetArn": _arn(stack, dead), "maxReceiveCount": _MAX_RECEIVES}
    messages = sqs.create_queue(
        QueueName=f"{NAME}.fifo",
        Attributes={
            "FifoQueue": "true",
            "VisibilityTimeout": str(visibility_timeout),
            "RedrivePolicy": json.dumps(redrive_policy),
        },
    )["QueueUrl"]
    loop = PlainLoop(stack=stack, participant=participant, queue_url=messages, dead_letter_queue_url=dead)
    _create_function(lambda_, loop)
    lambda_.create_event_source_mapping(
        EventSourceArn=_arn(stack, messages),
        FunctionName=NAME,
        BatchSize=BATCH_SIZE,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    return loop


def _create_function(lambda_: LambdaClient, loop: PlainLoop) -> None:
    handler = f"{_HANDLER.stem}.lambda_handler"
    script = bootstrap({"Runtime": "python3.13"}, RUNTIME_PYTHON)
    files = {
        _LOOP.name: _LOOP.read_bytes(),
        _HANDLER.name: _HANDLER.read_bytes(),
        "bootstrap": script.encode(),
    }
    lambda_.create_function(
        FunctionName=NAME,
        Runtime=CUSTOM_RUNTIME,
        Role=f"arn:aws:iam::{ACCOUNT}:role/{NAME}",
        Handler=handler,
        Code={"ZipFile": with_files(_NO_ZIP, files)},
        Timeout=FUNCTION_TIMEOUT_SECONDS,
        Environment=_environment(loop, "log"),
    )


def _environment(loop: PlainLoop, variant: str) -> Any:  # noqa: ANN401  # a type of the stubs only
    return {
        "Variables": {
            "AWS_ENDPOINT_URL_CONNECTPARTICIPANT": loop.participant.url,
            "EVENT_BUS_NAME": NAME,
            "VARIANT": variant,
        }
    }


def _arn(stack: LocalStack, queue_url: str) -> str:
    answer = stack.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])
    return answer["Attributes"]["QueueArn"]
