"""What preflight knows of the stack without the CDK is what the stack has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ops.preflight import checks
from ops.preflight.calls import Calls
from ops.preflight.target import DEFAULT_QUALIFIER, Stages, Target
from tests.infra.conftest import synthesize_into
from tests.support.recorded_account import ACCOUNT, CALLER, REGION, RecordedAccount, Refusal
from tests.support.stage_options import stage_options

if TYPE_CHECKING:
    from pathlib import Path

    from tests.infra.template import Synthesize, Template

STACK = "ConnectMessageSender-dev"

# A second resource of the same name is no problem, or the first never outlives its stack
UNCHECKED = {
    *("AWS::ApiGateway::RestApi", "AWS::Events::EventBus", "AWS::Logs::QueryDefinition"),
    "AWS::SSM::Parameter",
}

NAMES = {
    "AWS::SQS::Queue": "QueueName",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::CompositeAlarm": "AlarmName",
    "AWS::KMS::Alias": "AliasName",
}


@pytest.fixture(scope="session")
def template(synthesize: Synthesize) -> Template:
    return synthesize("dev")


def physical_names(template: Template) -> dict[str, set[str]]:
    """Return the names of resources with the stack's name in them, by the type of the resource."""
    found: dict[str, set[str]] = {}
    for resource in template.resources.values():
        for name, value in resource.get("Properties", {}).items():
            if (
                name.endswith("Name")
                and isinstance(value, str)
                and STACK.replace("-", "") in value.replace("-", "")
            ):
                found.setdefault(resource["Type"], set()).add(value)
    return found


def test_every_name_that_can_be_taken_is_checked(template: Template) -> None:
    found = physical_names(template)
    taken = RecordedAccount(
        {
            ("cloudformation", "DescribeStacks"): Refusal("ValidationError"),
            ("sqs", "GetQueueUrl"): Refusal("AWS.SimpleQueueService.NonExistentQueue"),
            ("stepfunctions", "DescribeStateMachine"): Refusal("StateMachineDoesNotExist"),
            ("cloudwatch", "GetDashboard"): Refusal("ResourceNotFound"),
            ("cloudwatch", "DescribeAlarms"): {},
            ("kms", "ListAliases"): {"Aliases": []},
        }
    )
    stages = Stages(
        stage="dev", options=stage_options(), others={}, undeployable=(), qualifier=DEFAULT_QUALIFIER
    )
    target = Target(stages=stages, account=ACCOUNT, caller_arn=CALLER, region=REGION)

    checks.names(target, Calls(taken, region=REGION))  # type: ignore[arg-type]  # it has what Calls uses

    asked = {operation: parameters for _, operation, _, parameters in taken.calls}
    assert found.keys() <= NAMES.keys() | UNCHECKED
    assert found["AWS::SQS::Queue"] == {asked["GetQueueUrl"]["QueueName"]}
    machine = asked["DescribeStateMachine"]["stateMachineArn"]
    assert found["AWS::StepFunctions::StateMachine"] == {machine.rpartition(":")[2]}
    assert found["AWS::CloudWatch::Dashboard"] == {asked["GetDashboard"]["DashboardName"]}
    assert found["AWS::KMS::Alias"] == {f"alias/{STACK}"}
    prefix = asked["DescribeAlarms"]["AlarmNamePrefix"]
    assert {*asked["DescribeAlarms"]["AlarmTypes"]} == {"MetricAlarm", "CompositeAlarm"}
    alarms = found["AWS::CloudWatch::Alarm"] | found["AWS::CloudWatch::CompositeAlarm"]
    assert len(alarms) > 10
    assert [name for name in alarms if not checks.ALARM.fullmatch(name.removeprefix(prefix))] == []


def test_bootstrap_version_is_the_one_that_the_stack_needs(tmp_path: Path, context: dict[str, Any]) -> None:
    synthesize_into(tmp_path, context | {"stage": "dev"})

    manifest = json.loads((tmp_path / "manifest.json").read_text())
    properties = manifest["artifacts"][STACK]["properties"]
    assert properties["requiresBootstrapStackVersion"] == checks.BOOTSTRAP_VERSION
    parameter = f"/cdk-bootstrap/{DEFAULT_QUALIFIER}/version"
    assert properties["bootstrapStackVersionSsmParameter"] == parameter
    roles = [properties["assumeRoleArn"], manifest["artifacts"][f"{STACK}.assets"]["properties"]["file"]]
    assert f":role/cdk-{DEFAULT_QUALIFIER}-deploy-role-" in roles[0]
    assets = json.loads((tmp_path / roles[1]).read_text())["files"].values()
    published_by = {place["assumeRoleArn"] for file in assets for place in file["destinations"].values()}
    assert all(f":role/cdk-{DEFAULT_QUALIFIER}-file-publishing-role-" in arn for arn in published_by)
