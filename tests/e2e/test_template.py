"""The template of `make template`, deployed by the AWS CLI as its how-to says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from infra.outputs import read_outputs
from infra.producer import EventSource, Producer
from infra.result_watcher import ResultWatcher
from sandbox.emulator import SESSION
from sandbox.lambda_runtime import run_in_awslambdaric
from scripts.template import write
from tests.e2e.conftest import ROOT
from tests.e2e.deployment import deploy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.outputs import StackOutputs
    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation

pytestmark = pytest.mark.e2e

# Beside the stack that the CDK CLI has deployed, under other names
STAGE = "template"


@pytest.fixture(scope="module")
def deployed(stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> StackOutputs:
    folder = tmp_path_factory.mktemp("template")
    context: dict[str, Any] = json.loads((ROOT / "cdk.json").read_text())["context"]
    # The role of API Gateway belongs to the account: it stays that of the other stack.
    stage = context["stages"]["dev"] | {"manage_api_gateway_account": False}
    written = write(context | {"stage": STAGE, "stages": {STAGE: stage}}, folder)

    deploy(stack.emulator, written, folder)

    return read_outputs(stack.emulator.client("cloudformation"), written.stack_name)


@pytest.fixture
def results(stack: LocalStack, deployed: StackOutputs) -> Iterator[ResultWatcher]:
    with ResultWatcher(
        sqs=stack.sqs,
        events=stack.emulator.client("events"),
        event_bus_name=deployed.event_bus_name,
        name="template-results",
    ) as results:
        yield results


def test_message_through_the_deployed_template_reaches_its_chat(
    stack: LocalStack, deployed: StackOutputs, results: ResultWatcher, alice: Conversation
) -> None:
    run_in_awslambdaric(
        stack.emulator, deployed, python=ROOT / ".sandbox" / "venv-runtime" / "bin" / "python"
    )
    producer = Producer(deployed, session=SESSION, endpoint_url=stack.emulator.url)
    text = json.dumps(alice.request("By template"))

    sent = producer.send_text(text, through=EventSource.QUEUE, message_group=alice.chat.contact_id)

    result = results.wait_for(lambda result: result.source_id == sent.source_id)
    assert result.outcome == "SENT"
    assert alice.texts == ["By template"]


def test_stack_has_the_tags_of_its_stage(stack: LocalStack, deployed: StackOutputs) -> None:
    cloudformation = stack.emulator.client("cloudformation")

    [described] = cloudformation.describe_stacks(StackName=deployed.stack_name)["Stacks"]

    assert {tag["Key"]: tag["Value"] for tag in described["Tags"]} == {
        "project": "connect-message-sender",
        "stage": STAGE,
    }
