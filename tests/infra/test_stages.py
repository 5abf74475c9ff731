import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aws_cdk as cdk
from aws_cdk.assertions import Template

import app
from tests.infra.template import (
    ACCESS_LOG,
    DEAD_LETTER,
    EVENTS_DEAD_LETTER,
    KEY,
    LOGS,
    MESSAGES,
    REJECTED,
    UNPUBLISHED_RESULTS,
    WORKFLOW_LOGS,
)

# The kinds of resources that hold data. Add a kind here when the stack begins to use it.
STATEFUL = {"AWS::KMS::Key", "AWS::Logs::LogGroup", "AWS::SQS::Queue"}
QUEUES = {MESSAGES, DEAD_LETTER, REJECTED, UNPUBLISHED_RESULTS, EVENTS_DEAD_LETTER}


def stateful(template: Template) -> dict[str, Mapping[str, Any]]:
    resources = template.to_json()["Resources"]
    return {name: resource for name, resource in resources.items() if resource["Type"] in STATEFUL}


def test_logical_ids_of_resources_that_hold_data_do_not_change(template: Template) -> None:
    # Another id is another resource: empty, and the one with the data gone or left behind
    assert stateful(template).keys() == {KEY, *QUEUES, LOGS, ACCESS_LOG, WORKFLOW_LOGS}


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


def test_unusable_configuration_ends_in_one_line(tmp_path: Path) -> None:
    context = '{"stage": "staging", "stages": {"dev": {}}}'

    synth = subprocess.run(  # noqa: S603  # the application itself
        [sys.executable, app.__file__],
        env=os.environ | {"CDK_CONTEXT_JSON": context, "CDK_OUTDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert synth.returncode == 1
    assert "cdk.json: unknown stage 'staging'; accepted: dev" in synth.stderr.splitlines()
    assert "Traceback" not in synth.stderr
