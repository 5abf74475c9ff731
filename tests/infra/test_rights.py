"""The rights in `examples/pipeline/roles.template.json` are those that the templates need."""

from __future__ import annotations

import json
import subprocess
import sys
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest

from ops.preflight.calls import PERMISSIONS
from scripts import rights
from scripts.render_contract import ROOT
from scripts.render_rights import LONGEST_POLICY, ROLES, length, rendered, roles, split
from scripts.rights import PREFIX, PROJECT_TAG, Rights, Statement, UnknownRightError, handler_actions
from tests.infra.template import EVERYTHING, PRODUCER_POLICY, Synthesize, Template, properties

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BODY = json.loads(ROLES.read_text(encoding="utf-8"))
TEMPLATE_LIMIT = 51_200  # bytes: of a template that is not in a bucket


@pytest.fixture(scope="module")
def templates(dev: Template, prod: Template, synthesize: Synthesize) -> list[Mapping[str, Any]]:
    return [dev.body, prod.body, synthesize("prod", **EVERYTHING, manage_api_gateway_account=True).body]


def statements(name: str, body: Mapping[str, Any] = BODY) -> Iterator[dict[str, Any]]:
    """Yield the statements of the policies whose logical id begins with a name."""
    for logical_id, resource in body["Resources"].items():
        if logical_id.startswith(name) and resource["Type"] == "AWS::IAM::ManagedPolicy":
            yield from resource["Properties"]["PolicyDocument"]["Statement"]


def listed(value: Any) -> list[Any]:  # noqa: ANN401  # the JSON of a policy
    return value if isinstance(value, list) else [value]


def actions(name: str) -> set[str]:
    return {action for statement in statements(name) for action in listed(statement["Action"])}


def resources_of(name: str, action: str) -> list[str]:
    return [
        "*" if resource == "*" else resource["Fn::Sub"]
        for statement in statements(name)
        if action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    ]


def test_roles_are_up_to_date(templates: list[Mapping[str, Any]]) -> None:
    assert rendered(templates) == ROLES.read_text(encoding="utf-8"), "run `make docs`"


def test_cloudformation_can_create_read_update_and_delete_every_type(
    templates: list[Mapping[str, Any]],
) -> None:
    needed = Rights(templates).types()
    granted = actions("CloudFormationPolicy")

    for kind in needed:
        for handler in ("create", "read", "update", "delete"):
            called = handler_actions(kind, handler)
            # An entity of IAM, say a user, that the stack does not have
            assert not called or called & granted, (kind, handler)


def test_stage_without_options_needs_no_other_right(synthesize: Synthesize) -> None:
    template = synthesize("test").body

    needed = {
        action
        for statement in statements("CloudFormationPolicy", roles([template]))
        for action in listed(statement["Action"])
    }

    assert needed
    assert needed <= actions("CloudFormationPolicy")


@pytest.mark.parametrize(
    "action",
    [
        *("apigateway:DELETE", "apigateway:PATCH", "cloudwatch:PutMetricAlarm", "events:PutRule"),
        *("iam:PutRolePolicy", "kms:CreateKey", "kms:ScheduleKeyDeletion", "lambda:UpdateFunctionCode"),
        *("logs:CreateLogDelivery", "logs:PutDataProtectionPolicy", "s3:GetObject", "sqs:SetQueueAttributes"),
        *("ssm:GetParameters", "states:UpdateStateMachine", "wafv2:AssociateWebACL"),
    ],
)
def test_cloudformation_has_the_action(action: str) -> None:
    assert action in actions("CloudFormationPolicy")


def test_no_action_has_a_wildcard() -> None:
    assert {action for action in actions("") if "*" in action or "?" in action} == set()


def test_every_action_is_one_that_iam_knows() -> None:
    known = rights.known_actions()

    assert {action for action in actions("") if action.lower() not in known} == set()


def test_only_actions_that_iam_cannot_limit_are_for_all_resources() -> None:
    unlimited = {
        action
        for statement in statements("")
        for action in listed(statement["Action"])
        if "*" in listed(statement["Resource"]) and rights.limits(action)
    }

    assert unlimited <= rights.ON_ALL


@pytest.mark.parametrize("name", ["CloudFormationPolicy", "ReviewPolicy", "DeployPolicy"])
def test_policies_are_within_the_quota_of_iam(name: str) -> None:
    for logical_id, resource in BODY["Resources"].items():
        if logical_id.startswith(name):
            document = json.dumps(resource["Properties"]["PolicyDocument"], separators=(",", ":"))
            for reference, longest in {
                "AWS::AccountId": 12 * "1",
                "AWS::Partition": "aws",
                "AWS::Region": "ap-southeast-2",
                "Qualifier": 10 * "q",
            }.items():
                document = document.replace(f"${{{reference}}}", longest)

            # {"Fn::Sub":"..."} becomes "..."
            assert len(document) - 12 * document.count('"Fn::Sub"') <= LONGEST_POLICY


def test_a_role_has_at_most_ten_policies() -> None:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    names = [name for name in BODY["Resources"] if name.startswith("CloudFormationPolicy")]

    assert len([*names, "BoundaryPolicy"]) <= 10


def test_policies_are_split_before_they_are_too_long() -> None:
    long = [Statement((f"sqs:{name * 3000}",), ("*",)) for name in "abc"]

    parts = split(long)

    assert [len(part) for part in parts] == [2, 1]
    assert all(length(part) <= LONGEST_POLICY for part in parts)
    with pytest.raises(UnknownRightError, match="too long for one policy"):
        split([Statement(("sqs:" + "a" * LONGEST_POLICY,), ("*",))])


def test_template_of_the_roles_can_be_deployed_without_a_bucket() -> None:
    assert ROLES.stat().st_size <= TEMPLATE_LIMIT


def test_cfn_lint_finds_nothing_in_the_roles() -> None:
    linted = subprocess.run(
        [sys.executable, "-c", "from cfnlint.runner import main; main()", str(ROLES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (linted.returncode, linted.stdout) == (0, "")


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("sqs:DeleteQueue", ":sqs:${AWS::Region}:${AWS::AccountId}:ConnectMessageSender-*"),
        ("lambda:DeleteFunction", ":function:ConnectMessageSender-*"),
        ("iam:PutRolePolicy", ":role/ConnectMessageSender-*"),
        ("iam:CreatePolicyVersion", ":policy/ConnectMessageSender-*"),
        ("states:DeleteStateMachine", ":stateMachine:ConnectMessageSender-*"),
        ("cloudwatch:DeleteAlarms", ":alarm:ConnectMessageSender-*"),
        ("events:DeleteEventBus", ":event-bus/ConnectMessageSender*"),
        ("ssm:PutParameter", ":parameter/connect-message-sender/ConnectMessageSender-*"),
    ],
)
def test_cloudformation_changes_only_what_has_the_name_of_a_stack(action: str, resource: str) -> None:
    assert all(granted.endswith(resource) for granted in resources_of("CloudFormationPolicy", action))


def test_log_groups_of_the_stack_are_the_only_ones_that_can_be_deleted() -> None:
    for granted in resources_of("CloudFormationPolicy", "logs:DeleteLogGroup"):
        assert granted.endswith(f"{PREFIX}*")


def test_roles_are_passed_only_to_the_services_that_the_stack_trusts(
    templates: list[Mapping[str, Any]],
) -> None:
    [statement] = [each for each in statements("CloudFormationPolicy") if "iam:PassRole" in each["Action"]]

    services = statement["Condition"]["StringEquals"]["iam:PassedToService"]

    assert services == Rights(templates).services_with_roles()
    assert {"lambda.amazonaws.com", "apigateway.amazonaws.com", "states.amazonaws.com"} <= {*services}


def test_only_keys_of_the_project_can_be_deleted_or_change_their_policy(dev: Template) -> None:
    tag, value = PROJECT_TAG
    dangerous = [
        each for each in statements("CloudFormationPolicy") if "kms:ScheduleKeyDeletion" in each["Action"]
    ]

    assert dev.stack["properties"]["tags"][tag] == value
    assert [each["Condition"] for each in dangerous] == [{"StringEquals": {f"aws:ResourceTag/{tag}": value}}]
    assert "kms:PutKeyPolicy" in dangerous[0]["Action"]


def test_only_managed_policies_of_the_templates_can_be_attached(templates: list[Mapping[str, Any]]) -> None:
    [statement] = [
        each for each in statements("CloudFormationPolicy") if "iam:AttachRolePolicy" in each["Action"]
    ]
    attachable = statement["Condition"]["ArnLike"]["iam:PolicyARN"]

    used = {
        rights.text(arn)
        for template in templates
        for resource in template["Resources"].values()
        for arn in resource.get("Properties", {}).get("ManagedPolicyArns", [])
    }

    assert used
    assert {arn for arn in used if not any(fnmatchcase(arn, pattern) for pattern in attachable)} == set()
    assert not any(fnmatchcase("arn:aws:iam::aws:policy/AdministratorAccess", each) for each in attachable)


def test_no_right_changes_the_roles_and_policies_of_the_pipeline() -> None:
    for kind in ("role", "policy"):
        arn = f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:{kind}/connect-message-sender-pipeline/any"
        for statement in statements("CloudFormationPolicy"):
            for resource in listed(statement["Resource"]):
                if resource != "*" and ":iam:" in resource["Fn::Sub"]:
                    assert not fnmatchcase(arn, resource["Fn::Sub"])
    own = [each for each in BODY["Resources"].values() if each["Type"] != "AWS::IAM::OIDCProvider"]
    assert {each["Properties"]["Path"] for each in own} == {"/connect-message-sender-pipeline/"}


def test_with_a_boundary_no_role_can_be_without_it() -> None:
    boundary = BODY["Resources"]["BoundaryPolicy"]
    unless, removal = boundary["Properties"]["PolicyDocument"]["Statement"]

    assert boundary["Condition"] == "HasBoundary"
    assert {unless["Effect"], removal["Effect"]} == {"Deny"}
    assert unless["Condition"] == {
        "StringNotEquals": {"iam:PermissionsBoundary": {"Ref": "PermissionsBoundary"}}
    }
    assert {"iam:CreateRole", "iam:PutRolePolicy"} <= {*unless["Action"]}
    assert removal["Action"] == "iam:DeleteRolePermissionsBoundary"


def test_review_only_reads() -> None:
    verbs = ("Describe", "Detect", "GET", "Get", "List", "Simulate", "BatchDescribe", "AssumeRole", "Decrypt")

    assert {each for each in actions("ReviewPolicy") if not each.partition(":")[2].startswith(verbs)} == set()
    [assumed] = resources_of("ReviewPolicy", "sts:AssumeRole")
    assert ":role/cdk-${Qualifier}-lookup-role-" in assumed


def test_review_can_detect_drift_of_every_type_that_has_a_read_handler(
    templates: list[Mapping[str, Any]],
) -> None:
    for kind in Rights(templates).types():
        assert not handler_actions(kind, "read") or handler_actions(kind, "read") & actions("ReviewPolicy"), (
            kind
        )
    assert "cloudformation:DetectStackDrift" in actions("ReviewPolicy")


def test_review_can_check_everything_that_preflight_checks() -> None:
    # GetRole is for a caller that deploys itself
    needed = {*PERMISSIONS.values()} - {"sts:GetCallerIdentity", "iam:GetRole"}

    assert needed - actions("ReviewPolicy") == set()
    deployer = BODY["Resources"]["DeployRole"]["Properties"]["Path"]
    [simulated] = resources_of("ReviewPolicy", "iam:SimulatePrincipalPolicy")
    assert simulated.endswith(f":role{deployer}*")


def test_status_of_a_drift_detection_belongs_to_no_stack() -> None:
    assert resources_of("ReviewPolicy", "cloudformation:DescribeStackDriftDetectionStatus") == ["*"]


def test_deployment_assumes_the_roles_of_the_bootstrap_and_no_more(dev: Template) -> None:
    assumed = resources_of("DeployPolicy", "sts:AssumeRole")
    stack = dev.stack["properties"]
    named = {stack["assumeRoleArn"], stack["lookupRole"]["arn"]}

    assert {arn.replace("${Qualifier}", "hnb659fds") for arn in assumed} >= named
    assert len(assumed) == 3
    assert not any("cfn-exec" in arn for arn in assumed)


def test_smoke_test_has_the_permissions_of_a_producer(prod: Template) -> None:
    granted = properties(prod, PRODUCER_POLICY)["PolicyDocument"]["Statement"]
    producer = {action for statement in granted for action in listed(statement["Action"])}

    assert producer <= actions("DeployPolicy")


@pytest.mark.parametrize(
    ("role", "subject"),
    [
        ("ReviewRole", "repo:${Repository}:ref:refs/heads/${Branch}"),
        ("DeployRole", "repo:${Repository}:environment:${Environment}"),
    ],
)
def test_a_role_trusts_one_branch_or_one_environment_of_one_repository(role: str, subject: str) -> None:
    [trust] = BODY["Resources"][role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]

    assert trust["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": {"Fn::Sub": subject},
        }
    }


def test_a_type_that_has_no_schema_is_named(dev: Template) -> None:
    with pytest.raises(
        UnknownRightError, match=r"^AWS::New::Thing has no permissions .*add its actions to ADDED"
    ):
        roles([with_resource(dev, {"Type": "AWS::New::Thing", "Properties": {}})])


def test_a_type_of_another_service_is_named_with_its_action(dev: Template) -> None:
    with pytest.raises(
        UnknownRightError, match=r"^AWS::SNS::Topic needs sns:\w+ on .*: add the stack's ARNs"
    ):
        roles([with_resource(dev, {"Type": "AWS::SNS::Topic", "Properties": {}})])


def test_a_name_outside_the_rights_is_named(dev: Template) -> None:
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "other"}}

    with pytest.raises(
        UnknownRightError, match=r"^AWS::SQS::Queue is called 'other', outside ConnectMessageS"
    ):
        roles([with_resource(dev, queue)])


def test_a_new_type_gets_its_rights(dev: Template) -> None:
    group = {"Type": "AWS::CodeDeploy::DeploymentGroup", "Properties": {}}
    body = roles([with_resource(dev, group)])

    granted = {
        action
        for statement in statements("CloudFormationPolicy", body)
        for action in listed(statement["Action"])
    }

    assert {"codedeploy:CreateDeploymentGroup", "codedeploy:UpdateDeploymentGroup"} <= granted


def with_resource(template: Template, resource: Mapping[str, Any]) -> dict[str, Any]:
    return {**template.body, "Resources": {**template.resources, "Added": resource}}
