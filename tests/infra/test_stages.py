import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk.assertions import Template

import app
from infra.options import InvalidOptionsError
from tests.infra.template import (
    ACCESS_LOG,
    ALIAS,
    API,
    BUS,
    DEAD_LETTER,
    EVENTS_DEAD_LETTER,
    KEY,
    LOGS,
    MESSAGES,
    PRODUCER_POLICY,
    REJECTED,
    STATE_MACHINE,
    UNPUBLISHED_RESULTS,
    WORKFLOW_LOGS,
    Configure,
)

BAD_STAGES = [
    *("a" * 46, "a" * 54, "a" * 55, "feature/abc", "feature_abc", "a.b", "a b", "-a", "a\n", "ä", "٣", "a'b"),
    *("$(touch x)", "a;b", "a:b", "a\\b", "*", "🙂", "a\u200b"),
]

# The kinds of resources that hold data. Add a kind here when the stack begins to use it.
STATEFUL = {"AWS::KMS::Key", "AWS::Logs::LogGroup", "AWS::SQS::Queue"}
QUEUES = {MESSAGES, DEAD_LETTER, REJECTED, UNPUBLISHED_RESULTS, EVENTS_DEAD_LETTER}


def stateful(template: Template) -> dict[str, Mapping[str, Any]]:
    resources = template.to_json()["Resources"]
    return {name: resource for name, resource in resources.items() if resource["Type"] in STATEFUL}


def test_logical_ids_of_resources_that_hold_data_do_not_change(template: Template) -> None:
    # Another id is another resource: empty, and the one with the data gone or left behind
    assert stateful(template).keys() == {KEY, *QUEUES, LOGS, ACCESS_LOG, WORKFLOW_LOGS}


def test_logical_ids_of_what_others_refer_to_do_not_change(template: Template) -> None:
    # Another id is another bus, API or state machine, with another name or address
    resources = template.to_json()["Resources"]

    types = {name: resources[name]["Type"] for name in (BUS, API, ALIAS, STATE_MACHINE, PRODUCER_POLICY)}

    assert types == {
        BUS: "AWS::Events::EventBus",
        API: "AWS::ApiGateway::RestApi",
        ALIAS: "AWS::Lambda::Alias",
        STATE_MACHINE: "AWS::StepFunctions::StateMachine",
        PRODUCER_POLICY: "AWS::IAM::ManagedPolicy",
    }


@pytest.mark.parametrize(("stage", "protected"), [("dev", False), ("prod", True)])
def test_stack_that_keeps_its_data_is_protected_from_deletion(
    configure: Configure, stage: str, protected: bool
) -> None:
    stack = app.build(cdk.App(context=configure(stage)))

    assert stack.termination_protection is protected


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_everything_is_tagged_with_project_and_stage(configure: Configure, stage: str) -> None:
    application = cdk.App(context=configure(stage))
    stack = app.build(application)

    deployed = application.synth().get_stack_by_name(stack.stack_name)

    # Of the stack: CloudFormation hands them on to all that can have tags
    assert deployed.tags == {"project": "connect-message-sender", "stage": stage}


def test_dev_leaves_nothing_behind(dev: Template) -> None:
    policies = {(data["DeletionPolicy"], data["UpdateReplacePolicy"]) for data in stateful(dev).values()}

    assert policies == {("Delete", "Delete")}


def test_prod_keeps_its_data_except_that_of_a_failed_creation(prod: Template) -> None:
    policies = {(data["DeletionPolicy"], data["UpdateReplacePolicy"]) for data in stateful(prod).values()}

    assert policies == {("RetainExceptOnCreate", "Retain")}


def test_stack_tells_what_its_users_and_operators_need(template: Template) -> None:
    assert template.find_outputs("*").keys() == {
        "MessageQueueUrl",
        "DeadLetterQueueUrl",
        "RejectedQueueUrl",
        "UnpublishedResultsQueueUrl",
        "EventsDeadLetterQueueUrl",
        "EventBusName",
        "FunctionName",
        "FunctionAliasArn",
        "ApiUrl",
        "StateMachineArn",
        "DataKeyArn",
        "ProducerPolicyArn",
    }


def test_stage_is_dev_unless_named(context: dict[str, Any]) -> None:
    stack = app.build(cdk.App(context=context | {"aws:cdk:bundling-stacks": []}))

    assert stack.stack_name == "ConnectMessageSender-dev"


def test_every_stage_is_a_stack_of_its_own(context: dict[str, Any]) -> None:
    stack = app.build(cdk.App(context=context | {"aws:cdk:bundling-stacks": [], "stage": "prod"}))

    assert stack.stack_name == "ConnectMessageSender-prod"


# The most characters of each physical name, as the service's own API reference says
NAMES = {
    ("AWS::SQS::Queue", "QueueName"): 80,
    ("AWS::StepFunctions::StateMachine", "StateMachineName"): 80,
    ("AWS::CloudWatch::Alarm", "AlarmName"): 255,
    ("AWS::CloudWatch::Dashboard", "DashboardName"): 255,
    ("AWS::ApiGateway::RestApi", "Name"): 1024,
}
LONGEST = "a" * 45
STAGE_RULE = (
    "the name of a stage has 1 to 45 letters, digits and hyphens, does not begin with a hyphen, and is a "
    "part of a queue's name of at most 80 characters"
)


@pytest.mark.parametrize("stage", [LONGEST, "7", "Feature-ABC-1"])
def test_stage_with_an_accepted_name_has_no_longer_physical_name_than_aws_accepts(
    context: dict[str, Any], stage: str
) -> None:
    stages = {stage: context["stages"]["prod"]}
    application = cdk.App(context=context | {"aws:cdk:bundling-stacks": [], "stage": stage, "stages": stages})
    stack = app.build(application)

    resources = Template.from_stack(stack).to_json()["Resources"].values()

    assert stack.stack_name == f"ConnectMessageSender-{stage}"
    assert len(stack.stack_name) <= 128
    lengths = {
        kind: max(len(one["Properties"].get(kind[1], "")) for one in resources if one["Type"] == kind[0])
        for kind in NAMES
    }
    assert {kind: length for kind, length in lengths.items() if not 0 < length <= NAMES[kind]} == {}
    if stage == LONGEST:
        assert lengths["AWS::SQS::Queue", "QueueName"] == 80


@pytest.mark.parametrize("stage", BAD_STAGES)
def test_stage_with_another_name_is_refused(context: dict[str, Any], stage: str) -> None:
    stages = {stage: context["stages"]["dev"]}

    with pytest.raises(InvalidOptionsError) as refusal:
        app.build(cdk.App(context=context | {"stage": stage, "stages": stages}))

    assert str(refusal.value) == f"stages has {stage!r}; {STAGE_RULE}"


def test_unusable_configuration_ends_in_one_line(tmp_path: Path) -> None:
    context = '{"stage": "staging", "stages": {"dev": {}}}'

    synth = subprocess.run(
        [sys.executable, app.__file__],
        env=os.environ | {"CDK_CONTEXT_JSON": context, "CDK_OUTDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert synth.returncode == 1
    assert "cdk.json: unknown stage 'staging'; accepted: dev" in synth.stderr.splitlines()
    assert "Traceback" not in synth.stderr
