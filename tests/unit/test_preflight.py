"""The checks before a deployment, against recorded answers of AWS."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError

from ops.aws import CannotRunError
from ops.preflight.calls import PERMISSIONS, read_only_policy
from ops.preflight.report import mark
from ops.preflight.run import preflight
from ops.preflight.target import CDK_JSON, read_stages
from tests.support.recorded_account import ACCOUNT, CALLER, REGION, RecordedAccount, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from ops.preflight.findings import Check, Finding

STACK = "ConnectMessageSender-prod"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/0b1c2d3e-1111-2222-3333-444455556666"
ACL = f"arn:aws:wafv2:{REGION}:{ACCOUNT}:regional/webacl/chat/0b1c2d3e-1111-2222-3333-444455556666"
DEFAULT_TOPIC_POLICY = {
    "Version": "2008-10-17",
    "Id": "__default_policy_ID",
    "Statement": [
        {
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": ["SNS:GetTopicAttributes", "SNS:Subscribe", "SNS:Publish"],
            "Resource": TOPIC,
            "Condition": {"StringEquals": {"AWS:SourceOwner": ACCOUNT}},
        }
    ],
}
CDK_ROLES = f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds"
VPC = {"vpc_subnet_ids": ["subnet-0123abcd"], "vpc_security_group_ids": ["sg-0123abcd"]}
EVERYTHING = {
    "account": ACCOUNT,
    "region": REGION,
    "rollout": "canary",
    "reserved_concurrency": 30,
    "maximum_concurrency": 10,
    "manage_api_gateway_account": False,
    "alarm_topic_arn": TOPIC,
    "api_web_acl_arn": ACL,
    **VPC,
}
"""Options of a stage for which every check applies."""


def described(status: str = "UPDATE_COMPLETE", **more: object) -> dict[str, Any]:
    """Return what DescribeStacks answers."""
    return {
        "Stacks": [
            {
                "StackName": STACK,
                "StackStatus": status,
                "CreationTime": "2026-01-31T12:00:00Z",
                "Outputs": [{"OutputKey": "FunctionName", "OutputValue": "sender"}],
                **more,
            }
        ]
    }


def topic(policy: Mapping[str, Any] = DEFAULT_TOPIC_POLICY, **more: str) -> dict[str, Any]:
    attributes = {"TopicArn": TOPIC, "Policy": json.dumps(policy), "SubscriptionsConfirmed": "1"}
    return {"Attributes": attributes | more}


def key(manager: str = "CUSTOMER", state: str = "Enabled") -> dict[str, Any]:
    return {
        "KeyMetadata": {"KeyId": KEY.partition("/")[2], "Arn": KEY, "KeyManager": manager, "KeyState": state}
    }


def statement(
    actions: list[str] | str, resource: str, effect: str = "Allow", **condition: dict[str, str]
) -> dict[str, Any]:
    """Return a statement for CloudWatch."""
    return {
        "Effect": effect,
        "Principal": {"Service": "cloudwatch.amazonaws.com"},
        "Action": actions,
        "Resource": resource,
        **({"Condition": condition} if condition else {}),
    }


def key_policy(*statements: dict[str, Any]) -> dict[str, Any]:
    root = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    return {"Policy": json.dumps({"Version": "2012-10-17", "Statement": [root, *statements]})}


def log_policies(*documents: str, name: str = "policy") -> dict[str, Any]:
    return {
        "resourcePolicies": [
            {"policyName": f"{name}{number or ''}", "policyDocument": document}
            for number, document in enumerate(documents)
        ]
    }


def quotas(**values: float) -> dict[str, Any]:
    return {"Quotas": [{"QuotaName": name, "Value": value} for name, value in values.items()]}


SEND_QUOTA = "Rate of SendMessage API requests"


class Preflight:
    """Runs the checks for a stage of an account in which nothing would fail."""

    def __init__(self, folder: Path, *, stage: str = "prod") -> None:
        self._folder = folder
        self._stage = stage
        self.environ = {"AWS_DEFAULT_REGION": REGION}
        self.account = RecordedAccount(
            {
                ("apigateway", "GetAccount"): {"cloudwatchRoleArn": f"arn:aws:iam::{ACCOUNT}:role/logs"},
                ("cloudformation", "DescribeStacks"): Refusal("ValidationError"),
                ("cloudwatch", "DescribeAlarms"): {},
                ("cloudwatch", "GetDashboard"): Refusal("ResourceNotFound", 404),
                ("ec2", "DescribeSecurityGroups"): {
                    "SecurityGroups": [{"GroupId": "sg-0123abcd", "VpcId": "vpc-1"}]
                },
                ("ec2", "DescribeSubnets"): {"Subnets": [{"SubnetId": "subnet-0123abcd", "VpcId": "vpc-1"}]},
                ("iam", "GetRole"): {
                    "Role": {
                        "Path": "/ci/",
                        "RoleName": "deployer",
                        "RoleId": "AROA" + 12 * "X",
                        "Arn": f"arn:aws:iam::{ACCOUNT}:role/ci/deployer",
                        "CreateDate": "2026-01-31T12:00:00Z",
                    }
                },
                ("iam", "SimulatePrincipalPolicy"): self.simulated("allowed", "allowed"),
                ("kms", "DescribeKey"): key(),
                ("kms", "GetKeyPolicy"): key_policy(statement(["kms:Decrypt", "kms:GenerateDataKey*"], "*")),
                ("kms", "ListAliases"): {"Aliases": [{"AliasName": "alias/aws/sqs"}], "Truncated": False},
                ("lambda", "GetAccountSettings"): self.concurrency(1000, 900),
                ("lambda", "GetFunctionConcurrency"): {},
                ("logs", "DescribeResourcePolicies"): log_policies("{}"),
                ("service-quotas", "ListAWSDefaultServiceQuotas"): quotas(),
                ("service-quotas", "ListServiceQuotas"): quotas(**{SEND_QUOTA: 10}),
                ("sns", "GetTopicAttributes"): topic(),
                ("sqs", "GetQueueUrl"): Refusal("AWS.SimpleQueueService.NonExistentQueue"),
                ("ssm", "GetParameter"): {"Parameter": {"Value": "28"}},
                ("stepfunctions", "DescribeStateMachine"): Refusal("StateMachineDoesNotExist"),
                ("sts", "GetCallerIdentity"): {"Account": ACCOUNT, "Arn": CALLER, "UserId": "AROA:alice"},
                ("wafv2", "GetWebACL"): {},
            }
        )

    @staticmethod
    def concurrency(limit: int, unreserved: int) -> dict[str, Any]:
        return {"AccountLimit": {"ConcurrentExecutions": limit, "UnreservedConcurrentExecutions": unreserved}}

    @staticmethod
    def simulated(*decisions: str) -> dict[str, Any]:
        """Return what IAM answers for the CDK's roles: one result for the action, with one for each role."""
        roles = ("deploy", "file-publishing")
        return {
            "EvaluationResults": [
                {
                    "EvalActionName": "sts:AssumeRole",
                    "EvalResourceName": "arn:${Partition}:iam::${Account}:role/${RoleNameWithPath}",
                    "EvalDecision": max(decisions),  # "allowed" comes before the others
                    "ResourceSpecificResults": [
                        {
                            "EvalResourceName": f"{CDK_ROLES}-{role}-role-{ACCOUNT}-{REGION}",
                            "EvalResourceDecision": decision,
                        }
                        for role, decision in zip(roles, decisions, strict=True)
                    ],
                }
            ],
            "IsTruncated": False,
        }

    def answers(
        self,
        service: str,
        operation: str,
        answer: dict[str, Any] | Refusal | Callable[[Mapping[str, Any]], dict[str, Any]],
    ) -> None:
        assert (service, operation) in self.account.answers
        self.account.answers[service, operation] = answer

    def run(
        self,
        options: Mapping[str, object] | None = None,
        *,
        known_quota: int | None = None,
        deployer: str | None = None,
        context: Mapping[str, object] | None = None,
        **others: Mapping[str, object],
    ) -> dict[str, Check]:
        """Return the checks by name.

        Args:
            options: Of the stage, beside those of stage dev in the real `cdk.json`.
            others: Options of other stages.
        """
        dev = json.loads(CDK_JSON.read_text())["context"]["stages"]["dev"]
        stages = {self._stage: dev | EVERYTHING | (options or {})}
        stages |= {name: dev | options for name, options in others.items()}
        path = self._folder / "cdk.json"
        path.write_text(json.dumps({"context": {"stages": stages, **(context or {})}}))
        _, checks = preflight(
            read_stages(self._stage, path),
            self.account,  # type: ignore[arg-type]  # it has what the checks use of a session
            self.environ,
            known_quota=known_quota,
            deployer=deployer,
        )
        return {check.name: check for check in checks}

    def finding(self, name: str, options: Mapping[str, object] | None = None, **more: Any) -> Finding:  # noqa: ANN401  # arguments of run
        """Return the only finding of all checks."""
        checks = self.run(options, **more)
        assert {check.name for check in checks.values() if check.findings} == {name}
        (finding,) = checks[name].findings
        return finding


@pytest.fixture
def account(tmp_path: Path) -> Preflight:
    return Preflight(tmp_path)


def test_nothing_is_found_in_an_account_that_is_ready(account: Preflight) -> None:
    checks = account.run()

    assert {name: mark(check) for name, check in checks.items()} == dict.fromkeys(
        [
            *("options", "credentials", "Region", "stack", "CDK bootstrap", "deployment rights", "names"),
            *("API Gateway's role", "concurrency", "log policies", "SendMessage quota", "alarm topic"),
            *("roll-out alarms", "VPC", "web ACL"),
        ],
        "ok",
    )
    assert checks["stack"].summary == f"{STACK} does not exist yet"


def test_alarm_that_would_stop_the_roll_out_is_found(account: Preflight) -> None:
    def answer(parameters: Mapping[str, Any]) -> dict[str, Any]:
        if parameters.get("StateValue") != "ALARM":
            return {}
        assert f"{STACK}-DeadLetters" not in parameters["AlarmNames"]
        return {"MetricAlarms": [{"AlarmName": f"{STACK}-UnhandledErrors"}]}

    account.answers("cloudformation", "DescribeStacks", described())
    account.answers("cloudwatch", "DescribeAlarms", answer)

    finding = account.finding("roll-out alarms")

    assert f"while {STACK}-UnhandledErrors is on" in finding.problem
    assert finding.fix[-1] == 'cdk.json: context.stages.prod.rollout: "none"'


def test_options_that_name_nothing_need_no_check(account: Preflight) -> None:
    nothing: dict[str, object] = {"api_web_acl_arn": None, "vpc_subnet_ids": [], "vpc_security_group_ids": []}

    checks = account.run({**nothing, "alarm_topic_arn": "none", "rollout": "none"})

    assert [name for name, check in checks.items() if mark(check) == "-"] == [
        *("roll-out alarms", "alarm topic", "VPC", "web ACL")
    ]
    assert not {"GetWebACL", "DescribeSubnets", "GetTopicAttributes"} & {*account.account.operations}


def test_every_call_only_reads_and_is_in_the_policy(account: Preflight) -> None:
    account.answers("sns", "GetTopicAttributes", topic(KmsMasterKeyId=KEY))
    account.answers("service-quotas", "ListServiceQuotas", quotas())
    account.run()
    account.answers("cloudformation", "DescribeStacks", described())
    account.run()

    called = {(service, operation) for service, operation, _, _ in account.account.calls}
    assert called == {*PERMISSIONS}
    verbs = {re.findall("[A-Z][a-z]+", operation)[0] for _, operation in called}
    assert verbs == {"Get", "List", "Describe", "Simulate"}
    (allowed,) = read_only_policy()["Statement"]
    assert {*allowed["Action"], "sts:GetCallerIdentity"} == {*PERMISSIONS.values()}


@pytest.mark.parametrize(("service", "operation"), [each for each in PERMISSIONS if each[0] != "sts"])
def test_missing_permission_is_named_and_stops_no_other_check(
    account: Preflight, service: str, operation: str
) -> None:
    account.answers("sns", "GetTopicAttributes", topic(KmsMasterKeyId=KEY))
    account.answers("service-quotas", "ListServiceQuotas", quotas())
    if operation == "GetFunctionConcurrency":
        account.answers("cloudformation", "DescribeStacks", described())
    account.answers(service, operation, Refusal("AccessDeniedException", 403))

    checks = account.run()

    reasons = {reason for check in checks.values() for reason in check.not_checked}
    assert reasons == {f"needs {PERMISSIONS[service, operation]}"}
    assert len(checks) == 15
    assert sum(mark(check) == "ok" for check in checks.values()) >= 9
    assert not any(check.findings for check in checks.values())


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("ec2", "DescribeSubnets", "UnauthorizedOperation"),
        ("iam", "GetRole", "AccessDenied"),
        ("sns", "GetTopicAttributes", "AuthorizationError"),
        ("ssm", "GetParameter", "AccessDeniedException"),
    ],
)
def test_each_service_has_its_own_code_of_a_missing_permission(
    account: Preflight, service: str, operation: str, code: str
) -> None:
    account.answers(service, operation, Refusal(code, 403))

    reasons = [reason for check in account.run().values() for reason in check.not_checked]

    assert reasons == [f"needs {PERMISSIONS[service, operation]}"]


def test_part_of_a_check_that_is_denied_stops_no_other_part(account: Preflight) -> None:
    account.answers("sqs", "GetQueueUrl", Refusal("AccessDenied", 403))
    account.answers("stepfunctions", "DescribeStateMachine", Refusal("ThrottlingException"))
    account.answers("kms", "ListAliases", {"Aliases": [{"AliasName": f"alias/{STACK}"}]})

    check = account.run()["names"]

    assert check.not_checked == ["needs sqs:GetQueueUrl", "DescribeStateMachine: ThrottlingException"]
    assert [finding.problem for finding in check.findings] == [f"The key alias alias/{STACK} exists."]
    assert mark(check) == "fix"


def test_service_that_cannot_be_reached_stops_no_other_check(account: Preflight) -> None:
    def fail(_: Mapping[str, Any]) -> Refusal:
        raise EndpointConnectionError(endpoint_url="https://wafv2.example.com")

    account.account.answers["wafv2", "GetWebACL"] = fail

    checks = account.run()

    reason = 'GetWebACL: Could not connect to the endpoint URL: "https://wafv2.example.com"'
    assert checks["web ACL"].not_checked == [reason]
    assert sum(mark(check) == "ok" for check in checks.values()) == 14


def test_answer_of_another_form_stops_no_other_check(account: Preflight) -> None:
    account.answers("sns", "GetTopicAttributes", {"Attributes": {"Policy": "no JSON"}})
    account.answers("lambda", "GetAccountSettings", {})

    checks = account.run()

    for name, error in {"alarm topic": "JSONDecodeError", "concurrency": "KeyError"}.items():
        assert checks[name].not_checked == [f"an answer that is not as documented: {error}"]
    assert checks["web ACL"].not_checked == []


# Options, credentials and Region


@pytest.mark.parametrize("topic_arn", ["none", TOPIC])
def test_stage_that_retains_data_can_be_complete(account: Preflight, topic_arn: str) -> None:
    checks = account.run({"retain_data": True, "alarm_topic_arn": topic_arn})

    assert mark(checks["options"]) == "ok"


def test_options_that_synthesis_would_refuse_are_found(account: Preflight) -> None:
    nothing = dict.fromkeys(["account", "region", "alarm_topic_arn"])

    finding = account.finding("options", {**nothing, "retain_data": True})

    assert "it needs account, region, alarm_topic_arn." in finding.problem
    assert [line.partition(": ")[2].partition(":")[0] for line in finding.fix] == [
        f"context.stages.prod.{name}" for name in nothing
    ]
    assert mark(account.run(nothing)["options"]) == "ok"


def test_credentials_of_another_account_are_the_only_finding(account: Preflight) -> None:
    finding = account.finding("credentials", {"account": "444455556666"})

    assert f"for account {ACCOUNT}, and the stage is for account 444455556666" in finding.problem
    assert finding.fix[0] == "export AWS_PROFILE=<a profile of account 444455556666>"
    assert finding.fix[2] == f'cdk.json: context.stages.prod.account: "{ACCOUNT}"'
    assert account.account.operations == ["GetCallerIdentity"]


def test_other_account_is_not_checked(account: Preflight) -> None:
    checks = account.run({"account": "444455556666"})

    assert checks["stack"].not_checked == ["the credentials are for another account"]
    assert [mark(check) for check in checks.values()] == ["ok", "fix", "ok", *"?" * 12]


def test_refused_credentials_check_nothing(account: Preflight) -> None:
    account.answers("sts", "GetCallerIdentity", Refusal("ExpiredToken", 403))

    with pytest.raises(CannotRunError, match=f"checked in {REGION}. GetCallerIdentity: ExpiredToken"):
        account.run()


def test_stage_is_checked_in_its_own_region_wherever_the_shell_is(account: Preflight) -> None:
    account.environ = {"AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}

    finding = account.finding("Region")

    assert {region for _, _, region, _ in account.account.calls} == {REGION}
    assert "AWS_REGION says us-east-1 and AWS_DEFAULT_REGION says us-east-1" in finding.problem
    assert finding.fix == (f"export AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION}",)


def test_stage_without_a_region_is_checked_where_the_cdk_would_deploy(account: Preflight) -> None:
    account.environ = {"AWS_REGION": REGION, "AWS_DEFAULT_REGION": "us-east-1"}

    finding = account.finding("Region", {"region": None})

    assert {region for _, _, region, _ in account.account.calls} == {REGION}
    assert finding.problem.startswith(f"The stage is deployed to {REGION}, but AWS_DEFAULT_REGION says us-")


@pytest.mark.parametrize("environ", [{}, {"AWS_REGION": REGION}])
def test_region_of_the_profile_counts_unless_the_environment_names_one(
    account: Preflight, environ: dict[str, str]
) -> None:
    account.environ = environ

    assert mark(account.run({"region": None})["Region"]) == "ok"

    account.account.region_name = "us-east-1"
    assert mark(account.run()["Region"]) == "fix"


# The stack


@pytest.mark.parametrize("status", ["CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"])
def test_stack_at_rest_can_be_deployed(account: Preflight, status: str) -> None:
    account.answers("cloudformation", "DescribeStacks", described(status))

    checks = account.run()

    assert (mark(checks["stack"]), checks["stack"].summary) == ("ok", f"{STACK}: {status}")
    assert mark(checks["names"]) == "-"


@pytest.mark.parametrize(
    ("status", "command"),
    [
        ("CREATE_IN_PROGRESS", "wait stack-create-complete"),
        ("ROLLBACK_IN_PROGRESS", "wait stack-create-complete"),
        ("UPDATE_IN_PROGRESS", "wait stack-update-complete"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "wait stack-update-complete"),
        ("UPDATE_ROLLBACK_IN_PROGRESS", "wait stack-rollback-complete"),
        ("DELETE_IN_PROGRESS", "wait stack-delete-complete"),
        ("IMPORT_IN_PROGRESS", "wait stack-import-complete"),
        ("ROLLBACK_COMPLETE", "delete-stack"),
        ("ROLLBACK_FAILED", "delete-stack"),
        ("DELETE_FAILED", "delete-stack"),
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback"),
        ("UPDATE_FAILED", "rollback-stack"),
        ("CREATE_FAILED", "rollback-stack"),
    ],
)
def test_stack_that_cannot_be_deployed_is_found(account: Preflight, status: str, command: str) -> None:
    account.answers("cloudformation", "DescribeStacks", described(status))

    finding = account.finding("stack")

    assert finding.fix[0] == f"aws cloudformation {command} --stack-name {STACK}"


def test_protected_stack_of_a_failed_first_deployment_is_unprotected_first(account: Preflight) -> None:
    # The CDK CLI protects a stack before it creates the resources, and cannot delete it then
    answer = described("ROLLBACK_COMPLETE", EnableTerminationProtection=True)
    account.answers("cloudformation", "DescribeStacks", answer)

    fix = account.finding("stack").fix

    assert "--no-enable-termination-protection" in fix[0]
    assert "delete-stack" in fix[1]


def test_stack_with_nothing_but_a_change_set_does_not_exist_yet(account: Preflight) -> None:
    account.answers("cloudformation", "DescribeStacks", described("REVIEW_IN_PROGRESS"))

    checks = account.run()

    assert checks["stack"].summary.endswith("does not exist yet")
    assert mark(checks["names"]) == "ok"


# The CDK's bootstrap stack and its roles


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Refusal("ParameterNotFound"), "not bootstrapped in eu-central-1"),
        ({"Parameter": {"Value": "5"}}, "version 5. The CDK needs 6"),
        ({"Parameter": {"Value": "x"}}, "version x. The CDK needs 6"),
    ],
)
def test_old_or_missing_bootstrap_stack_is_found(
    account: Preflight, answer: dict[str, Any] | Refusal, problem: str
) -> None:
    account.answers("ssm", "GetParameter", answer)

    finding = account.finding("CDK bootstrap")

    assert problem in finding.problem
    assert finding.fix == (
        "make node_modules/.installed",
        f'PATH="$PWD/.venv/bin:$PATH" node_modules/.bin/cdk bootstrap aws://{ACCOUNT}/{REGION}',
    )


def test_qualifier_of_cdk_json_is_used(account: Preflight) -> None:
    account.run(context={"@aws-cdk/core:bootstrapQualifier": "chat"})

    parameters = {operation: parameters for _, operation, _, parameters in account.account.calls}
    assert parameters["GetParameter"] == {"Name": "/cdk-bootstrap/chat/version"}
    assert parameters["SimulatePrincipalPolicy"] == {
        "PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:role/ci/deployer",
        "ActionNames": ["sts:AssumeRole"],
        "ResourceArns": [
            f"arn:aws:iam::{ACCOUNT}:role/cdk-chat-deploy-role-{ACCOUNT}-{REGION}",
            f"arn:aws:iam::{ACCOUNT}:role/cdk-chat-file-publishing-role-{ACCOUNT}-{REGION}",
        ],
    }


@pytest.mark.parametrize("decision", ["implicitDeny", "explicitDeny"])
def test_caller_that_may_not_assume_a_role_is_found(account: Preflight, decision: str) -> None:
    account.answers("iam", "SimulatePrincipalPolicy", account.simulated(decision, "allowed"))

    finding = account.finding("deployment rights")

    assert f"cdk-hnb659fds-deploy-role-{ACCOUNT}-{REGION}" in finding.problem
    assert "file-publishing" not in finding.problem
    words = shlex.split(finding.fix[0])
    assert words[:5] == ["aws", "iam", "put-role-policy", "--role-name", "deployer"]
    (allowed,) = json.loads(words[-1])["Statement"]
    assert allowed["Resource"] == f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-*-{ACCOUNT}-{REGION}"


def test_deployer_of_a_pipeline_is_asked_for_instead_of_the_caller(account: Preflight) -> None:
    deployer = f"arn:aws:iam::{ACCOUNT}:role/pipeline/deploy"
    account.answers("sts", "GetCallerIdentity", {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:root"})
    account.answers("iam", "SimulatePrincipalPolicy", account.simulated("implicitDeny", "allowed"))

    finding = account.finding("deployment rights", deployer=deployer)

    asked = {operation: parameters for _, operation, _, parameters in account.account.calls}
    assert asked["SimulatePrincipalPolicy"]["PolicySourceArn"] == deployer
    assert "GetRole" not in asked
    assert finding.fix[0].startswith("aws iam put-role-policy --role-name deploy ")


def test_result_for_each_role_is_read_too(account: Preflight) -> None:
    # Recorded: https://github.com/aws-containers/amazon-ecs-exec-checker/issues/70
    [result] = account.simulated("allowed", "implicitDeny")["EvaluationResults"]
    results = [
        {
            "EvalActionName": "sts:AssumeRole",
            "EvalResourceName": each["EvalResourceName"],
            "EvalDecision": each["EvalResourceDecision"],
        }
        for each in result["ResourceSpecificResults"]
    ]
    account.answers("iam", "SimulatePrincipalPolicy", {"EvaluationResults": results, "IsTruncated": False})

    problem = account.finding("deployment rights").problem

    assert "file-publishing" in problem
    assert "deploy-role" not in problem


@pytest.mark.parametrize(
    ("caller", "fix"),
    [
        (f"arn:aws:iam::{ACCOUNT}:user/team/bob", "aws iam put-user-policy --user-name bob "),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_Admin_1/alice", "IAM Identity Center, inline"),
    ],
)
def test_users_and_roles_of_identity_center_get_their_own_fix(
    account: Preflight, caller: str, fix: str
) -> None:
    account.answers("sts", "GetCallerIdentity", {"Account": ACCOUNT, "Arn": caller})
    role = account.account.answers["iam", "GetRole"]
    assert isinstance(role, dict)
    role["Role"]["Arn"] = f"arn:aws:iam::{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_1"
    account.answers("iam", "SimulatePrincipalPolicy", account.simulated("implicitDeny", "implicitDeny"))

    assert account.finding("deployment rights").fix[0].startswith(fix)


@pytest.mark.parametrize(
    ("caller", "expected"),
    [(f"arn:aws:iam::{ACCOUNT}:root", "ok"), (f"arn:aws:sts::{ACCOUNT}:federated-user/x", "?")],
)
def test_callers_without_policies_of_their_own(account: Preflight, caller: str, expected: str) -> None:
    account.answers("sts", "GetCallerIdentity", {"Account": ACCOUNT, "Arn": caller})

    assert mark(account.run()["deployment rights"]) == expected
    assert "SimulatePrincipalPolicy" not in account.account.operations


# Names


def alarms(*names: str, composite: tuple[str, ...] = ()) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return what answers as DescribeAlarms: with composite alarms only if the call asks for them."""

    def answer(parameters: Mapping[str, Any]) -> dict[str, Any]:
        if "StateValue" in parameters:
            return {}
        asked = parameters.get("AlarmTypes", ["MetricAlarm"])
        found = {"MetricAlarm": names, "CompositeAlarm": composite}
        return {f"{kind}s": [{"AlarmName": name} for name in found[kind]] for kind in asked if found[kind]}

    return answer


@pytest.mark.parametrize(
    ("service", "operation", "answer", "fix"),
    [
        (
            "sqs",
            "GetQueueUrl",
            {"QueueUrl": "https://sqs/q"},
            "aws sqs delete-queue --queue-url https://sqs/q",
        ),
        ("cloudwatch", "GetDashboard", {}, f"aws cloudwatch delete-dashboards --dashboard-names {STACK}"),
        (
            "cloudwatch",
            "DescribeAlarms",
            alarms(f"{STACK}-DeadLetters", f"{STACK}-2-DeadLetters", f"{STACK}-SlowBurn-60m"),
            f"aws cloudwatch delete-alarms --alarm-names {STACK}-DeadLetters {STACK}-SlowBurn-60m",
        ),
        (
            "kms",
            "ListAliases",
            {"Aliases": [{"AliasName": f"alias/{STACK}"}, {"AliasName": f"alias/{STACK}-2"}]},
            f"aws kms delete-alias --alias-name alias/{STACK}",
        ),
    ],
)
def test_name_that_a_retained_resource_has_is_found(
    account: Preflight,
    service: str,
    operation: str,
    answer: dict[str, Any] | Callable[[Mapping[str, Any]], dict[str, Any]],
    fix: str,
) -> None:
    if operation == "GetDashboard":
        answer = {"DashboardArn": "a", "DashboardBody": "{}", "DashboardName": STACK}
    account.answers(service, operation, answer)

    assert account.finding("names").fix == (fix,)

    account.answers("cloudformation", "DescribeStacks", described())
    assert mark(account.run()["names"]) == "-"


def test_composite_alarms_are_found_and_each_is_deleted_alone(account: Preflight) -> None:
    # CloudWatch deletes no two of them at once
    composite = (f"{STACK}-ErrorBudgetFastBurn", f"{STACK}-ErrorBudgetSlowBurn")
    account.answers("cloudwatch", "DescribeAlarms", alarms(f"{STACK}-DeadLetters", composite=composite))

    finding = account.finding("names")

    assert finding.problem == "Alarms of this name exist: 3."
    assert [line.partition("--alarm-names ")[2] for line in finding.fix] == [
        *composite,
        f"{STACK}-DeadLetters",
    ]


@pytest.mark.parametrize(
    ("status", "command"), [("ACTIVE", "delete-state-machine"), ("DELETING", "list-executions")]
)
def test_state_machine_of_the_same_name_is_found(account: Preflight, status: str, command: str) -> None:
    arn = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{STACK}-send"
    answer = {
        "stateMachineArn": arn,
        "name": f"{STACK}-send",
        "status": status,
        "definition": "{}",
        "roleArn": "arn:aws:iam::1:role/r",
        "type": "STANDARD",
        "creationDate": "2026-01-31T12:00:00Z",
    }
    account.answers("stepfunctions", "DescribeStateMachine", answer)

    assert account.finding("names").fix[0].startswith(f"aws stepfunctions {command} ")
    # Without the definition, for which the key would be needed
    parameters = [parameters for _, name, _, parameters in account.account.calls if "StateMachine" in name]
    assert parameters == [{"stateMachineArn": arn, "includedData": "METADATA_ONLY"}]


# API Gateway's role


def test_stage_that_needs_a_role_for_its_access_log_is_found(account: Preflight) -> None:
    account.answers("apigateway", "GetAccount", {})

    finding = account.finding("API Gateway's role")

    assert "CloudWatch Logs role ARN must be set in account settings" in finding.problem
    assert [line.split()[2] for line in finding.fix[:3]] == [
        "create-role", "attach-role-policy", "update-account",
    ]  # fmt: skip
    assert finding.fix[-1] == "cdk.json: context.stages.prod.manage_api_gateway_account: true"


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        (None, "ok"),
        (f"{STACK}-MessageApiCloudWatchRole4-x1y2", "ok"),
        ("ConnectMessageSender-dev-MessageApiCloudWatchRole4-x1y2", "fix"),
        ("api-gateway-logs", "fix"),
    ],
)
def test_role_of_others_that_would_be_replaced_is_found(
    account: Preflight, role: str | None, expected: str
) -> None:
    answer = {} if role is None else {"cloudwatchRoleArn": f"arn:aws:iam::{ACCOUNT}:role/{role}"}
    account.answers("apigateway", "GetAccount", answer)

    check = account.run({"manage_api_gateway_account": True})["API Gateway's role"]

    assert mark(check) == expected
    if check.findings:
        fix = ("cdk.json: context.stages.prod.manage_api_gateway_account: false",)
        assert check.findings[0].fix == fix


def test_role_of_a_stage_with_a_long_name_is_its_own(tmp_path: Path) -> None:
    # CloudFormation shortens the name of the stack
    preflight = Preflight(tmp_path, stage="staging")
    role = f"arn:aws:iam::{ACCOUNT}:role/ConnectMessageSender-stag-MessageApiCloudWatchRole4-x1y2"
    preflight.answers("apigateway", "GetAccount", {"cloudwatchRoleArn": role})

    assert mark(preflight.run({"manage_api_gateway_account": True})["API Gateway's role"]) == "ok"


# Concurrency


@pytest.mark.parametrize(
    ("unreserved", "own", "expected"),
    [(130, 0, "ok"), (129, 0, "fix"), (100, 30, "ok"), (100, 29, "fix"), (90, 5, "fix")],
)
def test_reservation_leaves_100_for_other_functions(
    account: Preflight, unreserved: int, own: int, expected: str
) -> None:
    account.answers("lambda", "GetAccountSettings", account.concurrency(1000, unreserved))
    account.answers("cloudformation", "DescribeStacks", described())
    account.answers("lambda", "GetFunctionConcurrency", {"ReservedConcurrentExecutions": own} if own else {})

    check = account.run()["concurrency"]

    assert mark(check) == expected
    if check.findings:
        assert f"so {max(0, unreserved + own - 100)} can be reserved" in check.findings[0].problem
        assert check.findings[0].fix[-1] == "cdk.json: context.stages.prod.reserved_concurrency: null"


def test_new_account_with_a_limit_of_10_cannot_reserve(account: Preflight) -> None:
    account.answers("lambda", "GetAccountSettings", account.concurrency(10, 10))

    finding = account.finding("concurrency")

    assert "so 0 can be reserved. The limit of the account is 10" in finding.problem
    assert "--quota-code L-B99A9384 --desired-value 1000" in finding.fix[0]


@pytest.mark.parametrize(("maximum", "expected"), [(9, "ok"), (10, "fix")])
def test_batches_must_not_use_up_the_limit_of_a_new_account(
    account: Preflight, maximum: int, expected: str
) -> None:
    account.answers("lambda", "GetAccountSettings", account.concurrency(10, 10))

    check = account.run({"reserved_concurrency": None, "maximum_concurrency": maximum})["concurrency"]

    assert mark(check) == expected
    if check.findings:
        assert check.findings[0].fix[-1] == "cdk.json: context.stages.prod.maximum_concurrency: 5"


# Log resource policies

VENDED = json.dumps(
    {
        "Statement": [
            {
                "Principal": {"Service": "delivery.logs.amazonaws.com"},
                "Resource": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/vendedlogs/*:log-stream:*",
            }
        ]
    }
)
DELIVERY = "AWSLogDeliveryWrite20150319"


@pytest.mark.parametrize(
    ("policies", "expected", "fix"),
    [
        (log_policies(*"x" * 9), "ok", []),
        (log_policies(*"x" * 10), "fix", ["delete-resource-policy"]),
        (log_policies(*"x" * 9, VENDED), "ok", []),
        (log_policies("x" * 4700, name=DELIVERY), "ok", []),
        (log_policies("x" * 4721, name=DELIVERY), "fix", ["put-resource-policy"]),
        (
            log_policies("x" * 5100, *"x" * 9, name=DELIVERY),
            "fix",
            ["delete-resource-policy", "put-resource-policy"],
        ),
        (log_policies(VENDED + " " * 4800, *"x" * 9, name=DELIVERY), "ok", []),
        (log_policies("x" * 5100), "ok", []),
    ],
)  # fmt: skip
def test_log_policies_need_room_for_the_state_machine(
    account: Preflight, policies: dict[str, Any], expected: str, fix: list[str]
) -> None:
    account.answers("logs", "DescribeResourcePolicies", policies)

    check = account.run()["log policies"]

    assert mark(check) == expected
    commands = [line for finding in check.findings for line in finding.fix]
    assert [command.split()[2] for command in commands] == fix
    for command in commands:
        if "put-resource-policy" in command:
            assert "log-group:/aws/vendedlogs/*" in shlex.split(command)[-1]
            assert len(shlex.split(command)[-1]) < 5120


# The quota of SendMessage


@pytest.mark.parametrize(
    ("applied", "defaults", "quota"),
    [
        ({SEND_QUOTA: 50}, {}, "50 a second (in Service Quotas)"),
        ({}, {SEND_QUOTA: 12}, "12 a second (in Service Quotas)"),
        ({"Rate of StartChatContact API requests": 5}, {}, "10 a second (the default: Service Quotas does"),
        # The AI agents of Connect have another SendMessage
        (
            {"Rate of agent assist SendMessage API requests": 1},
            {},
            "10 a second (the default: Service Quotas",
        ),
    ],
)
def test_quota_is_looked_up(
    account: Preflight, applied: dict[str, float], defaults: dict[str, float], quota: str
) -> None:
    account.answers("service-quotas", "ListServiceQuotas", quotas(**applied))
    account.answers("service-quotas", "ListAWSDefaultServiceQuotas", quotas(**defaults))

    check = account.run({"connect_region": "eu-west-2"})["SendMessage quota"]

    assert (mark(check), check.summary.startswith(quota)) == ("ok", True)
    regions = {region for service, _, region, _ in account.account.calls if service == "service-quotas"}
    assert regions == {"eu-west-2"}


def test_service_without_quotas_has_the_default(account: Preflight) -> None:
    for operation in ("ListServiceQuotas", "ListAWSDefaultServiceQuotas"):
        account.answers("service-quotas", operation, Refusal("NoSuchResourceException"))

    assert "Service Quotas does not list yours" in account.run()["SendMessage quota"].summary


@pytest.mark.parametrize(
    ("other", "used"),
    [
        ({"account": None}, 20),
        ({"account": ACCOUNT, "region": REGION}, 20),
        ({"account": ACCOUNT, "region": "us-east-1"}, 10),
        ({"account": ACCOUNT, "region": "us-east-1", "connect_region": REGION}, 20),
        ({"account": ACCOUNT, "region": REGION, "connect_region": "us-east-1"}, 10),
        ({"account": "444455556666", "region": REGION}, 10),
        # These cannot be deployed
        ({"account": ACCOUNT, "region": REGION, "retain_data": True}, 10),
        ({"account": "x"}, 10),
    ],
)
def test_stages_of_one_account_and_connect_region_share_the_quota(
    account: Preflight, other: dict[str, object], used: int
) -> None:
    check = account.run({"send_quota_per_second": 10}, other=other)["SendMessage quota"]

    assert check.summary.endswith(f"used: {used}")
    assert mark(check) == ("ok" if used == 10 else "fix")


def test_quota_that_the_stages_exceed_is_found(account: Preflight) -> None:
    dev, bad = {"account": None, "send_quota_per_second": 2}, {"log_level": "TRACE"}

    finding = account.finding("SendMessage quota", {"send_quota_per_second": 10}, dev=dev, bad=bad)

    assert "prod 10, dev 2. Not counted, since it cannot be deployed as it is: bad." in finding.problem
    assert finding.fix[0] == "cdk.json: context.stages.prod.send_quota_per_second: 8"
    assert finding.fix[-1] == ".venv/bin/python -m ops preflight --stage prod --send-quota 12"


def test_quota_that_the_caller_knows_is_not_looked_up(account: Preflight) -> None:
    check = account.run({"send_quota_per_second": 40}, known_quota=40)["SendMessage quota"]

    assert (mark(check), check.summary) == ("ok", "40 a second (as you say), used: 40")
    assert "ListServiceQuotas" not in account.account.operations


# The alarm topic


@pytest.mark.parametrize(
    "policy",
    [
        DEFAULT_TOPIC_POLICY,
        {"Statement": statement("SNS:Publish", TOPIC)},
        {"Statement": [statement("sns:*", "*", StringEquals={"aws:SourceAccount": ACCOUNT})]},
        {
            "Statement": [
                statement(
                    ["sns:Publish"],
                    TOPIC,
                    ArnLike={"aws:SourceArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:*"},
                ),
                {
                    **statement("sns:Publish", TOPIC, "Deny", Bool={"aws:SecureTransport": "false"}),
                    "Principal": "*",
                },
            ]
        },
    ],
)
def test_topic_to_which_cloudwatch_may_publish_is_fine(account: Preflight, policy: dict[str, Any]) -> None:
    account.answers("sns", "GetTopicAttributes", topic(policy))

    assert mark(account.run()["alarm topic"]) == "ok"


@pytest.mark.parametrize(
    "policy",
    [
        {"Statement": []},
        {"Statement": [statement("sns:Subscribe", TOPIC)]},
        {"Statement": [statement("sns:Publish", f"{TOPIC}-2")]},
        {"Statement": [statement("sns:Publish", TOPIC, StringEquals={"aws:SourceAccount": "444455556666"})]},
        {"Statement": [statement("sns:Publish", TOPIC) | {"Principal": {"Service": "s3.amazonaws.com"}}]},
        {"Statement": [statement("sns:Publish", TOPIC), statement("sns:*", "*", "Deny")]},
        # The CDK's own, with nothing but enforce_ssl
        {
            "Statement": [
                {
                    **statement("sns:Publish", TOPIC, "Deny", Bool={"aws:SecureTransport": "false"}),
                    "Principal": "*",
                }
            ]
        },
    ],
)
def test_topic_to_which_cloudwatch_may_not_publish_is_found(
    account: Preflight, policy: dict[str, Any]
) -> None:
    account.answers("sns", "GetTopicAttributes", topic(policy))

    finding = account.finding("alarm topic")

    words = shlex.split(finding.fix[0])
    assert words[:5] == ["aws", "sns", "set-topic-attributes", "--topic-arn", TOPIC]
    changed = json.loads(words[-1])
    assert changed["Statement"][:-1] == policy["Statement"]
    # With the fix nothing is found, unless another statement denies it
    if not any(each["Effect"] == "Deny" and "Bool" not in str(each) for each in policy["Statement"]):
        account.answers("sns", "GetTopicAttributes", topic(changed))
        assert mark(account.run()["alarm topic"]) == "ok"


@pytest.mark.parametrize(
    "policy",
    [
        {"Statement": [statement("sns:Publish", TOPIC, StringEquals={"aws:PrincipalOrgID": "o-1"})]},
        {"Statement": [statement("sns:Publish", TOPIC, NumericLessThan={"aws:SourceAccount": "1"})]},
        {
            "Statement": [
                statement("sns:Publish", TOPIC),
                {"Effect": "Deny", "NotPrincipal": {"AWS": "*"}, "Action": "*", "Resource": "*"},
            ]
        },
    ],
)
def test_policy_with_an_unknown_condition_is_left_to_the_reader(
    account: Preflight, policy: dict[str, Any]
) -> None:
    account.answers("sns", "GetTopicAttributes", topic(policy))

    check = account.run()["alarm topic"]

    assert mark(check) == "?"
    assert check.not_checked == ["the topic's policy: read whether it lets cloudwatch.amazonaws.com publish"]


def test_missing_topic_is_found(account: Preflight) -> None:
    account.answers("sns", "GetTopicAttributes", Refusal("NotFound", 404))

    assert account.finding("alarm topic").fix == (f"aws sns create-topic --name alarms --region {REGION}",)


def test_topic_of_another_region_is_found_and_read_there(account: Preflight) -> None:
    elsewhere = TOPIC.replace(REGION, "us-east-1")
    policy = {"Statement": [statement("sns:Publish", elsewhere)]}
    account.answers("sns", "GetTopicAttributes", topic(policy))

    finding = account.finding("alarm topic", {"alarm_topic_arn": elsewhere})

    assert "The topic is in us-east-1" in finding.problem
    assert finding.fix[-1] == f'cdk.json: context.stages.prod.alarm_topic_arn: "{TOPIC}"'
    assert {region for service, _, region, _ in account.account.calls if service == "sns"} == {"us-east-1"}


def test_topic_that_nobody_receives_is_found(account: Preflight) -> None:
    account.answers("sns", "GetTopicAttributes", topic(SubscriptionsConfirmed="0"))

    assert account.finding("alarm topic").fix[0].startswith(f"aws sns subscribe --topic-arn {TOPIC} ")


@pytest.mark.parametrize(
    ("named", "asked"),
    [
        (KEY, KEY),
        (KEY.partition("/")[2], KEY),
        ("alias/alarms", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/alarms"),
    ],
)
def test_key_of_the_topic_is_read_by_any_of_its_names(account: Preflight, named: str, asked: str) -> None:
    account.answers("sns", "GetTopicAttributes", topic(KmsMasterKeyId=named))

    assert mark(account.run()["alarm topic"]) == "ok"
    parameters = {operation: parameters for _, operation, _, parameters in account.account.calls}
    assert parameters["DescribeKey"] == {"KeyId": asked}
    assert parameters["GetKeyPolicy"] == {"KeyId": KEY, "PolicyName": "default"}


@pytest.mark.parametrize(
    ("described_key", "policy", "problem", "fix"),
    [
        (key("AWS"), None, "AWS managed key", "aws sns set-topic-attributes"),
        (Refusal("NotFoundException"), None, "There is no key", "aws sns set-topic-attributes"),
        (key(state="PendingDeletion"), None, "PendingDeletion", "aws kms cancel-key-deletion"),
        (key(state="Disabled"), None, "Disabled", "aws kms enable-key"),
        (key(), key_policy(), "does not let cloudwatch.amazonaws.com use it", "aws kms put-key-policy"),
        (
            key(),
            key_policy(statement("kms:Decrypt", "*")),
            "does not let cloudwatch.amazonaws.com use it",
            "aws kms put-key-policy",
        ),
    ],
)
def test_key_that_cloudwatch_cannot_use_is_found(
    account: Preflight,
    described_key: dict[str, Any] | Refusal,
    policy: dict[str, Any] | None,
    problem: str,
    fix: str,
) -> None:
    account.answers("sns", "GetTopicAttributes", topic(KmsMasterKeyId=KEY))
    account.answers("kms", "DescribeKey", described_key)
    if policy:
        account.answers("kms", "GetKeyPolicy", policy)

    finding = account.finding("alarm topic")

    assert problem in finding.problem
    assert finding.fix[0].startswith(fix)
    if policy:
        account.answers("kms", "GetKeyPolicy", {"Policy": shlex.split(finding.fix[0])[-1]})
        assert mark(account.run()["alarm topic"]) == "ok"


def test_key_policy_with_an_unknown_condition_is_left_to_the_reader(account: Preflight) -> None:
    account.answers("sns", "GetTopicAttributes", topic(KmsMasterKeyId=KEY))
    use = statement(["kms:*"], "*", StringEquals={"kms:ViaService": "sns.eu-central-1.amazonaws.com"})
    account.answers("kms", "GetKeyPolicy", key_policy(use))

    assert account.run()["alarm topic"].not_checked == [
        "the policy of the topic's key: read whether it lets cloudwatch.amazonaws.com use it"
    ]


# VPC and web ACL


def test_subnets_and_groups_that_do_not_exist_are_found(account: Preflight) -> None:
    account.answers("ec2", "DescribeSubnets", {"Subnets": []})
    account.answers("ec2", "DescribeSecurityGroups", {"SecurityGroups": []})

    check = account.run({**VPC, "vpc_subnet_ids": ["subnet-0123abcd", "subnet-ffffffff"]})["VPC"]

    problems = [finding.problem for finding in check.findings]
    assert problems == [
        f"Not in this account and {REGION}: subnet-0123abcd, subnet-ffffffff.",
        f"Not in this account and {REGION}: sg-0123abcd.",
    ]
    assert [finding.fix[0].split()[2] for finding in check.findings] == [
        "describe-subnets", "describe-security-groups",
    ]  # fmt: skip


def test_subnet_that_exists_stays_in_the_edit(account: Preflight) -> None:
    finding = account.finding("VPC", {**VPC, "vpc_subnet_ids": ["subnet-0123abcd", "subnet-ffffffff"]})

    assert finding.problem == f"Not in this account and {REGION}: subnet-ffffffff."
    assert finding.fix[-1] == 'cdk.json: context.stages.prod.vpc_subnet_ids: ["subnet-0123abcd"]'


def test_security_group_of_another_vpc_is_found(account: Preflight) -> None:
    groups = {"SecurityGroups": [{"GroupId": "sg-0123abcd", "VpcId": "vpc-2"}]}
    account.answers("ec2", "DescribeSecurityGroups", groups)

    assert account.finding("VPC").problem.endswith("of several VPCs: vpc-1, vpc-2.")


@pytest.mark.parametrize(
    ("arn", "problem"),
    [
        (ACL, "There is no web ACL"),
        (ACL.replace(REGION, "us-east-1"), "in us-east-1"),
        (ACL.replace(ACCOUNT, "444455556666"), "of account 444455556666"),
    ],
)
def test_web_acl_that_cannot_be_used_is_found(account: Preflight, arn: str, problem: str) -> None:
    account.answers("wafv2", "GetWebACL", Refusal("WAFNonexistentItemException"))

    finding = account.finding("web ACL", {"api_web_acl_arn": arn})

    assert problem in finding.problem
    assert finding.fix[0] == f"aws wafv2 list-web-acls --scope REGIONAL --region {REGION}"


# cdk.json


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (None, "cdk.json: No such file"),
        ("no JSON", "cdk.json: Expecting value"),
        ("{}", "cdk.json: 'context'"),
        ('{"context": {"stages": {"dev": {}}}}', "cdk.json: unknown stage 'prod'; accepted: dev"),
        ('{"context": {"stages": {"prod": {"tags": []}}}}', "cdk.json: stages.prod.tags is []; accepted: "),
    ],
)
def test_options_that_cannot_be_deployed_check_nothing(tmp_path: Path, text: str | None, error: str) -> None:
    path = tmp_path / "cdk.json"
    if text is not None:
        path.write_text(text)

    with pytest.raises(CannotRunError) as raised:
        read_stages("prod", path)

    assert error in str(raised.value)
