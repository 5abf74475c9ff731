"""The example of an SNS topic, deployed. The emulator runs neither pipes to a queue nor universal targets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aws_cdk as cdk
import pytest
from aws_cdk import aws_iam as iam
from connect_message_sender import MessageSender

from examples.sources import sns_topic
from infra.addresses import OUTPUTS
from infra.outputs import read_outputs
from infra.result_watcher import ResultWatcher
from sandbox.lambda_runtime import run_in_awslambdaric
from scripts.template import write_stack
from tests.e2e.conftest import ROOT
from tests.e2e.deployment import deploy

if TYPE_CHECKING:
    from pathlib import Path

    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversations

pytestmark = pytest.mark.e2e


def build(application: cdk.App) -> cdk.Stack:
    stack = cdk.Stack(application, "Topic")
    sender = MessageSender(stack, "Sender")
    backend = iam.Role(stack, "Backend", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    topic = sns_topic.send_from_topic(stack, sender, backend)
    for output, value in {**sender.outputs, "TopicArn": topic.topic_arn}.items():
        cdk.CfnOutput(stack, output, value=value, description=OUTPUTS.get(output))
    return stack


def test_message_that_is_published_to_the_topic_reaches_its_chat(
    stack: LocalStack, conversations: Conversations, tmp_path: Path
) -> None:
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    deploy(stack.emulator, write_stack(build, context, tmp_path), tmp_path)
    cloudformation = stack.emulator.client("cloudformation")
    [deployed] = cloudformation.describe_stacks(StackName="Topic")["Stacks"]
    [topic] = [each["OutputValue"] for each in deployed["Outputs"] if each["OutputKey"] == "TopicArn"]
    outputs = read_outputs(cloudformation, "Topic")
    run_in_awslambdaric(stack.emulator, outputs, python=ROOT / ".sandbox" / "venv-runtime" / "bin" / "python")
    alice = conversations.open()
    sns = stack.emulator.client("sns")

    with ResultWatcher(
        sqs=stack.sqs,
        events=stack.emulator.client("events"),
        event_bus_name=outputs.event_bus_name,
        name="topic-results",
    ) as results:
        for token, channel in (("a", "chat"), ("b", "sms"), ("c", "chat")):
            sns.publish(
                TopicArn=topic,
                Message=json.dumps(alice.request(f"Message {token}", ClientToken=token)),
                MessageGroupId=alice.chat.contact_id,
                MessageDeduplicationId=token,
                MessageAttributes={"channel": {"DataType": "String", "StringValue": channel}},
            )
        first = results.wait_for(lambda result: result.client_token == "a")
        last = results.wait_for(lambda result: result.client_token == "c")

    assert (first.outcome, last.outcome) == ("SENT", "SENT")
    # In order, and without the one that the filter leaves out
    assert alice.texts == ["Message a", "Message c"]
