"""A new version of the function takes over step by step, and a bad one is taken back."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.infra.template import ALIAS, FUNCTION, Synthesize, Template, properties, ref

APPLICATION, GROUP = "RolloutApplication23995D4D", "RolloutDeploymentsE0DF6B45"
STEPS = {
    "linear": "CodeDeployDefault.LambdaLinear10PercentEvery1Minute",
    "canary": "CodeDeployDefault.LambdaCanary10Percent5Minutes",
}


def rolled_out(template: Template) -> set[str]:
    """Return the types of CodeDeploy's resources."""
    types = {resource["Type"] for resource in template.resources.values()}
    return {kind for kind in types if kind.startswith("AWS::CodeDeploy::")}


def versions(template: Template) -> list[str]:
    return sorted(template.of_type("AWS::Lambda::Version"))


@pytest.fixture(params=STEPS)
def option(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


@pytest.fixture
def stepwise(synthesize: Synthesize, option: str) -> Template:
    return synthesize("dev", rollout=option)


@pytest.fixture
def group(stepwise: Template) -> Mapping[str, Any]:
    return properties(stepwise, GROUP)


def test_dev_moves_at_once_and_prod_with_a_canary(dev: Template, prod: Template) -> None:
    assert rolled_out(dev) == set()
    assert "UpdatePolicy" not in dev.resources[ALIAS]
    assert properties(prod, GROUP)["DeploymentConfigName"] == STEPS["canary"]


def test_codedeploy_moves_the_alias_in_the_steps_of_the_option(
    stepwise: Template, group: Mapping[str, Any], option: str
) -> None:
    # https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-configurations.html
    assert group["DeploymentConfigName"] == STEPS[option]
    assert group["ApplicationName"] == ref(APPLICATION)
    assert properties(stepwise, APPLICATION)["ComputePlatform"] == "Lambda"
    assert stepwise.resources[ALIAS]["UpdatePolicy"] == {
        "CodeDeployLambdaAliasUpdate": {
            "ApplicationName": ref(APPLICATION),
            "DeploymentGroupName": ref(GROUP),
        }
    }


def test_failed_or_stopped_deployment_and_an_alarm_take_the_alias_back(group: Mapping[str, Any]) -> None:
    rollback = group["AutoRollbackConfiguration"]

    assert rollback["Enabled"] is True
    assert set(rollback["Events"]) == {
        "DEPLOYMENT_FAILURE",
        "DEPLOYMENT_STOP_ON_ALARM",
        "DEPLOYMENT_STOP_ON_REQUEST",
    }


def test_alarms_of_a_deployment_show_a_bad_version(stepwise: Template, group: Mapping[str, Any]) -> None:
    watched = group["AlarmConfiguration"]

    names = [properties(stepwise, alarm["Name"]["Ref"])["AlarmName"] for alarm in watched["Alarms"]]

    assert watched["Enabled"] is True
    # By default, a deployment stops if CodeDeploy cannot read the alarms
    assert not watched.get("IgnorePollAlarmFailure")
    assert names == [
        "ConnectMessageSender-dev-UnhandledErrors",
        "ConnectMessageSender-dev-TimeoutsAndCrashes",
        "ConnectMessageSender-dev-ResultPublishFailures",
    ]


def test_alarms_of_a_deployment_go_off_within_its_first_step_and_end_by_themselves(
    stepwise: Template, group: Mapping[str, Any]
) -> None:
    # An alarm that stays on would stop the deployment of the fix
    for alarm in group["AlarmConfiguration"]["Alarms"]:
        declared = properties(stepwise, alarm["Name"]["Ref"])
        assert (declared["Period"], declared["DatapointsToAlarm"]) == (60, 1)
        assert declared["Namespace"] != "AWS/SQS"
        assert declared["TreatMissingData"] == "notBreaching"


def test_rollout_changes_neither_function_nor_version(dev: Template, stepwise: Template, option: str) -> None:
    # Otherwise the option would itself be a new version, or a new function
    assert stepwise.resources[FUNCTION] == dev.resources[FUNCTION], option
    assert versions(stepwise) == versions(dev)
    assert properties(stepwise, ALIAS) == properties(dev, ALIAS)


def test_deployment_group_needs_neither_alias_nor_function(stepwise: Template) -> None:
    # The alias waits for the group. CloudFormation refuses a circle.
    needed: set[str] = set()
    waiting = [GROUP]
    while waiting:
        name = waiting.pop()
        if name not in needed and name in stepwise.resources:
            needed.add(name)
            waiting += references(stepwise.resources[name])

    assert {GROUP, APPLICATION} <= needed
    assert ALIAS not in needed


def references(value: object) -> list[str]:
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            return [name]
        case dict():
            return [name for part in value.values() for name in references(part)]
        case list():
            return [name for part in value for name in references(part)]
    return []
