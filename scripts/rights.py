"""Derive the rights that a deployment needs from the templates of the stack.

Sources:
    The permissions of each resource's handlers come from CloudFormation's resource schemas:
    https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
    The resources that each action can be limited to come from the Service Authorization Reference:
    https://docs.aws.amazon.com/service-authorization/latest/reference/
    cfn-lint ships both.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cfnlint.schema import (  # type: ignore[import-untyped]  # published without types
    PROVIDER_SCHEMA_MANAGER,
    ResourceNotFoundError,
)

from infra.stage import PARAMETERS, stack_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

PROJECT_TAG: Final = ("project", "connect-message-sender")
"""The tag that the stack gives to every resource."""

PREFIX: Final = stack_name("x").removesuffix("x")
"""The beginning of the name of every stack, so of most physical names.

CloudFormation shortens the name of a stack in names that it generates, to 25 characters in one of at most 64.
The rights do not depend on the end of the name, so they are the same for all stages.
"""

PIPELINE_PATH: Final = "/connect-message-sender-pipeline/"
"""The path of the roles and policies of the pipeline. No right of CloudFormation covers it."""

BUS: Final = PREFIX.removesuffix("-")
"""The beginning of the name of a bus: the CDK generates it without hyphens."""

_HERE: Final = "${AWS::Region}:${AWS::AccountId}"
_API: Final = "apigateway:${AWS::Region}::/restapis"
_APIS: Final = (
    *(
        "deployment",
        "deployments",
        "gatewayresponse",
        "gatewayresponses",
        "integration",
        "integrationresponse",
    ),
    *("method", "methodresponse", "model", "models", "requestvalidator", "requestvalidators", "resource"),
    *("resources", "restapi", "stage", "stages"),
)

ARNS: Final[Mapping[tuple[str, str], Sequence[str]]] = {
    ("apigateway", "account"): ["apigateway:${AWS::Region}::/account"],
    ("apigateway", "restapis"): [_API],
    ("apigateway", "tags"): ["apigateway:${AWS::Region}::/tags/*"],
    **{("apigateway", part): [f"{_API}/*"] for part in _APIS},
    ("cloudwatch", "alarm"): [f"cloudwatch:{_HERE}:alarm:{PREFIX}*"],
    ("cloudwatch", "dashboard"): [f"cloudwatch::${{AWS::AccountId}}:dashboard/{PREFIX}*"],
    ("codedeploy", "application"): [f"codedeploy:{_HERE}:application:{PREFIX}*"],
    ("codedeploy", "deploymentconfig"): [f"codedeploy:{_HERE}:deploymentconfig:*"],
    ("codedeploy", "deploymentgroup"): [f"codedeploy:{_HERE}:deploymentgroup:{PREFIX}*"],
    ("dynamodb", "table"): [f"dynamodb:{_HERE}:table/{PREFIX}*"],
    ("events", "event-bus"): [f"events:{_HERE}:event-bus/{BUS}*"],
    ("events", "rule-on-custom-event-bus"): [f"events:{_HERE}:rule/{BUS}*"],
    ("events", "rule-on-default-event-bus"): [f"events:{_HERE}:rule/{BUS}*"],
    ("iam", "policy"): [f"iam::${{AWS::AccountId}}:policy/{PREFIX}*"],
    ("iam", "role"): [f"iam::${{AWS::AccountId}}:role/{PREFIX}*"],
    ("kms", "alias"): [f"kms:{_HERE}:alias/{PREFIX}*"],
    ("kms", "key"): [f"kms:{_HERE}:key/*"],
    ("lambda", "eventsourcemapping"): [f"lambda:{_HERE}:event-source-mapping:*"],
    ("lambda", "function"): [f"lambda:{_HERE}:function:{PREFIX}*"],
    ("lambda", "function alias"): [f"lambda:{_HERE}:function:{PREFIX}*"],
    ("lambda", "function version"): [f"lambda:{_HERE}:function:{PREFIX}*"],
    ("logs", "log-group"): [
        f"logs:{_HERE}:log-group:{PREFIX}*",
        f"logs:{_HERE}:log-group:/aws/vendedlogs/states/{PREFIX}*",
    ],
    ("s3", "object"): ["s3:::cdk-${Qualifier}-assets-${AWS::AccountId}-${AWS::Region}/*"],
    ("sqs", "queue"): [f"sqs:{_HERE}:{PREFIX}*"],
    ("ssm", "parameter"): [f"ssm:{_HERE}:parameter{PARAMETERS}/{PREFIX}*"],
    ("states", "statemachine"): [f"states:{_HERE}:stateMachine:{PREFIX}*"],
    ("wafv2", "apigateway"): [f"{_API}/*/stages/*"],
    ("wafv2", "webacl"): [f"wafv2:{_HERE}:regional/webacl/*"],
}
"""ARNs without partition, by service and by the kind of resource in the Service Authorization Reference.

Keys, APIs and event source mappings have random ids. Conditions limit the dangerous actions on keys and all
actions on mappings.
"""

NAMES: Final[Mapping[str, tuple[str, tuple[str, str], str]]] = {
    "AWS::CloudWatch::Alarm": ("AlarmName", ("cloudwatch", "alarm"), "alarm:"),
    "AWS::CloudWatch::CompositeAlarm": ("AlarmName", ("cloudwatch", "alarm"), "alarm:"),
    "AWS::CloudWatch::Dashboard": ("DashboardName", ("cloudwatch", "dashboard"), "dashboard/"),
    "AWS::CodeDeploy::Application": ("ApplicationName", ("codedeploy", "application"), "application:"),
    "AWS::DynamoDB::Table": ("TableName", ("dynamodb", "table"), "table/"),
    "AWS::Events::EventBus": ("Name", ("events", "event-bus"), "event-bus/"),
    "AWS::Events::Rule": ("Name", ("events", "rule-on-default-event-bus"), "rule/"),
    "AWS::IAM::ManagedPolicy": ("ManagedPolicyName", ("iam", "policy"), "policy/"),
    "AWS::IAM::Role": ("RoleName", ("iam", "role"), "role/"),
    "AWS::KMS::Alias": ("AliasName", ("kms", "alias"), ""),
    "AWS::Lambda::Function": ("FunctionName", ("lambda", "function"), "function:"),
    "AWS::Logs::LogGroup": ("LogGroupName", ("logs", "log-group"), "log-group:"),
    "AWS::SQS::Queue": ("QueueName", ("sqs", "queue"), ""),
    "AWS::SSM::Parameter": ("Name", ("ssm", "parameter"), "parameter"),
    "AWS::StepFunctions::StateMachine": ("StateMachineName", ("states", "statemachine"), "stateMachine:"),
}
"""By type: the property with the physical name, its ARNs, and what an ARN has before the name."""

NOT_USED: Final = {
    *("amplify", "apprunner", "appsync", "bedrock-agentcore", "cognito-idp", "elasticloadbalancing"),
    *("firehose",),
}
"""Services that the stack does not use. Schemas name them for web ACLs and for other classes of logs."""

ONLY_WITH: Final = {
    ("AWS::ApiGateway::RestApi", "s3"): "BodyS3Location",
    ("AWS::DynamoDB::Table", "iam"): "ContributorInsightsSpecification",
    ("AWS::DynamoDB::Table", "kinesis"): "KinesisStreamSpecification",
    ("AWS::DynamoDB::Table", "logs"): "ImportSourceSpecification",
    ("AWS::DynamoDB::Table", "s3"): "ImportSourceSpecification",
    ("AWS::Events::EventBus", "kms"): "KmsKeyIdentifier",
    ("AWS::Lambda::EventSourceMapping", "kms"): "KmsKeyArn",
    ("AWS::Lambda::Function", "ec2"): "VpcConfig",
    ("AWS::Lambda::Function", "elasticfilesystem"): "FileSystemConfigs",
    ("AWS::Lambda::Function", "kms"): "KmsKeyArn",
    ("AWS::Lambda::Function", "s3files"): "FileSystemConfigs",
    ("AWS::StepFunctions::StateMachine", "kms"): "EncryptionConfiguration",
    ("AWS::StepFunctions::StateMachine", "s3"): "DefinitionS3Location",
}
"""By type and service: the property without which no handler calls the service."""

NOT_NEEDED: Final = {
    # No action of IAM
    *("kms:ReEncrypt", "lambda:AssociateRuntimeAlias", "s3:REST.PUT.OBJECT"),
    # For users, groups, servers, layers, signed code and rule groups, which the stack does not have
    *("iam:AttachGroupPolicy", "iam:AttachUserPolicy", "iam:DeleteGroupPolicy", "iam:DeleteUserPolicy"),
    *("iam:DetachGroupPolicy", "iam:DetachUserPolicy", "iam:GetGroupPolicy", "iam:GetUserPolicy"),
    *("iam:PutGroupPolicy", "iam:PutUserPolicy", "codedeploy:RegisterOnPremisesInstance"),
    *("lambda:GetCodeSigningConfig", "lambda:GetLayerVersion", "lambda:PassCapacityProvider"),
    *("wafv2:GetPermissionPolicy", "wafv2:PutPermissionPolicy"),
    # For tables with replicas or imported items, which the stack does not have
    *("dynamodb:AssociateTableReplica", "dynamodb:CreateTableReplica", "dynamodb:DescribeImport"),
    *("dynamodb:ImportTable", "dynamodb:BatchWriteItem", "dynamodb:DeleteItem", "dynamodb:GetItem"),
    *("dynamodb:PutItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:UpdateItem"),
    # For web ACLs of other services
    *("ec2:AssociateVerifiedAccessInstanceWebAcl", "ec2:DisassociateVerifiedAccessInstanceWebAcl"),
    *("ec2:DescribeVerifiedAccessInstanceWebAclAssociations", "ec2:GetVerifiedAccessInstanceWebAcl"),
}

_LOG_DELIVERY: Final = (
    *("logs:CreateLogDelivery", "logs:GetLogDelivery", "logs:UpdateLogDelivery", "logs:DeleteLogDelivery"),
    *("logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:DescribeResourcePolicies"),
    "logs:DescribeLogGroups",
)
ADDED: Final[Mapping[str, Sequence[str]]] = {
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/AWS-logs-infrastructure-CWL.html
    "AWS::ApiGateway::Stage": _LOG_DELIVERY,
    "AWS::StepFunctions::StateMachine": _LOG_DELIVERY,
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/using-service-linked-roles.html
    "AWS::ApiGateway::RestApi": ("iam:CreateServiceLinkedRole",),
}
"""Actions that documentation names and that the schema of the type lacks."""

ON_ALL: Final = {"cloudwatch:DescribeAlarms", "cloudwatch:PutCompositeAlarm"}
"""Actions that need the resource `*` for composite alarms, says the API reference of each."""

_READS: Final = ("Describe", "GET", "Get", "List")
_DANGEROUS_FOR_KEYS: Final = {
    *("kms:DisableKey", "kms:DisableKeyRotation", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"),
    *("kms:RevokeGrant", "kms:UntagResource", "kms:UpdateKeyDescription"),
}


class UnknownRightError(Exception):
    """A template needs a right that this script cannot derive. The message says what to add where."""


class Statement(NamedTuple):
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: str = "{}"

    def document(self) -> dict[str, Any]:
        """Return the statement as it is in a CloudFormation template."""
        resources = [substituted(resource) for resource in self.resources]
        document = {
            "Effect": "Allow",
            "Action": self.actions[0] if len(self.actions) == 1 else [*self.actions],
            "Resource": resources[0] if len(resources) == 1 else resources,
        }
        condition = json.loads(self.condition)
        return document | ({"Condition": condition} if condition else {})


@dataclass(frozen=True, slots=True)
class Rights:
    """What a set of templates needs.

    Attributes:
        templates: Of several stages. A right that one of them needs is in the result.
    """

    templates: Sequence[Mapping[str, Any]]

    def of_cloudformation(self) -> list[Statement]:
        """Return what CloudFormation needs to create, read, update and delete all resources.

        Raises:
            UnknownRightError: A right cannot be derived.
        """
        self._check_names()
        needed = {
            (kind, action)
            for kind in self.types()
            for action in {*handler_actions(kind), *ADDED.get(kind, ())}
            if self._is_used(kind, action)
        }
        # The Lambda handler reads the deployment package; CloudFormation reads the version of the bootstrap
        # stack, a parameter of the template, with the same role
        parameters = tuple(self._parameters())
        return [*self._statements(needed), Statement(("ssm:GetParameters",), parameters)]

    def of_drift_detection(self) -> list[Statement]:
        """Return what the caller of a drift detection needs: to read each resource.

        Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html
        """
        needed = {
            (kind, action)
            for kind in self.types()
            for action in handler_actions(kind, "read")
            # Read handlers may write, too: those of web ACLs do
            if self._is_used(kind, action) and action.partition(":")[2].startswith(_READS)
        }
        return [
            *self._statements(needed),
            # Lambda and Step Functions decrypt what they return in the name of their caller
            Statement(("kms:Decrypt",), tuple(ARNS["kms", "key"]), _through("lambda", "states")),
            Statement(
                (
                    *("cloudformation:DescribeStackResourceDrifts", "cloudformation:DescribeStacks"),
                    *("cloudformation:DetectStackDrift", "cloudformation:DetectStackResourceDrift"),
                ),
                (f"cloudformation:{_HERE}:stack/{PREFIX}*",),
            ),
            Statement(
                (
                    "cloudformation:BatchDescribeTypeConfigurations",
                    "cloudformation:DescribeStackDriftDetectionStatus",
                ),
                ("*",),
            ),
        ]

    def types(self) -> list[str]:
        return sorted({resource["Type"] for resource in self._resources()})

    def services_with_roles(self) -> list[str]:
        """Return the services that a role of a template trusts."""
        return sorted(
            {
                service
                for role in self._resources("AWS::IAM::Role")
                for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
                for service in _listed(statement["Principal"].get("Service", []))
            }
        )

    def managed_policies(self) -> list[str]:
        """Return the ARNs of policies of AWS that a role of a template has."""
        return sorted(
            {
                arn.replace("arn:aws:", "arn:*:")
                for role in self._resources("AWS::IAM::Role")
                for arn in map(text, role["Properties"].get("ManagedPolicyArns", []))
                if ":iam::aws:" in arn
            }
        )

    def _resources(self, kind: str | None = None) -> Iterator[Mapping[str, Any]]:
        for template in self.templates:
            for resource in template["Resources"].values():
                if kind in {None, resource["Type"]}:
                    yield resource

    def _parameters(self) -> list[str]:
        # /cdk-bootstrap/hnb659fds/version
        names = {
            parameter["Default"]
            for template in self.templates
            for parameter in template.get("Parameters", {}).values()
            if parameter["Type"].startswith("AWS::SSM::Parameter::")
        }
        return [f"ssm:{_HERE}:parameter{_with_qualifier(name)}" for name in sorted(names)]

    def _is_used(self, kind: str, action: str) -> bool:
        service = action.partition(":")[0]
        if service in NOT_USED or action in NOT_NEEDED:
            return False
        needed = ONLY_WITH.get((kind, service))
        return needed is None or any(needed in each.get("Properties", {}) for each in self._resources(kind))

    def _check_names(self) -> None:
        for kind, (name_property, resource, before) in NAMES.items():
            for declared in self._resources(kind):
                name = declared.get("Properties", {}).get(name_property)
                if name is None:
                    continue
                accepted = [_tail(arn) for arn in ARNS[resource]]
                if not any(fnmatchcase(before + text(name), each) for each in accepted):
                    raise UnknownRightError(
                        f"{kind} is called {text(name)!r}, outside {' and '.join(accepted)}: "
                        f"change the name, or ARNS[{resource}] in {__name__}"
                    )

    def _statements(self, needed: Iterable[tuple[str, str]]) -> list[Statement]:
        scopes: dict[str, set[str]] = defaultdict(set)
        for kind, action in sorted(needed):
            scopes[action].update(resources(kind, action))
        grouped: dict[tuple[tuple[str, ...], str], set[str]] = defaultdict(set)
        for action, scope in scopes.items():
            grouped[tuple(sorted(scope)), self._condition(action)].add(action)
        statements = [
            Statement(tuple(sorted(actions)), scope, condition)
            for (scope, condition), actions in grouped.items()
        ]
        return sorted(statements)

    def _condition(self, action: str) -> str:
        condition: dict[str, Any] = {}
        match action:
            case "iam:PassRole":
                condition = {"StringEquals": {"iam:PassedToService": self.services_with_roles()}}
            case "iam:CreateServiceLinkedRole":
                condition = {"StringEquals": {"iam:AWSServiceName": "ops.apigateway.amazonaws.com"}}
            case "iam:AttachRolePolicy" | "iam:DetachRolePolicy":
                # https://docs.aws.amazon.com/IAM/latest/UserGuide/access_controlling.html
                own = [f"arn:*:iam::*:policy/{PREFIX}*"]
                condition = {"ArnLike": {"iam:PolicyARN": [*own, *self.managed_policies()]}}
            case (
                "lambda:CreateEventSourceMapping"
                | "lambda:DeleteEventSourceMapping"
                | "lambda:UpdateEventSourceMapping"
            ):
                condition = {"ArnLike": {"lambda:FunctionArn": f"arn:*:lambda:*:*:function:{PREFIX}*"}}
            case _ if action in _DANGEROUS_FOR_KEYS:
                # https://docs.aws.amazon.com/kms/latest/developerguide/tag-authorization.html
                tag, value = PROJECT_TAG
                condition = {"StringEquals": {f"aws:ResourceTag/{tag}": value}}
        return json.dumps(condition)


def text(value: Any) -> str:  # noqa: ANN401  # any part of a template
    """Return a text of a template, with `aws` for the partition and `*` for any other reference."""
    match value:
        case str():
            return value
        case {"Ref": "AWS::Partition"}:
            return "aws"
        case {"Fn::Join": [str(separator), [*parts]]}:
            return separator.join(map(text, parts))
    return "*"


@cache
def handler_actions(kind: str, handler: str | None = None) -> frozenset[str]:
    """Return the actions that the handlers of a type call, or one of its handlers.

    Raises:
        UnknownRightError: There is no schema of the type, or it names no handler.
    """
    try:
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    except ResourceNotFoundError:
        schema = {}
    handlers = schema.get("handlers", {})
    if not handlers and kind not in ADDED:
        raise UnknownRightError(
            f"{kind} has no permissions in the schemas: add its actions to ADDED in {__name__}, with a source"
        )
    found = {
        action
        for name, stated in handlers.items()
        if handler in {None, name}
        for action in stated.get("permissions", [])
    }
    if handler is None:
        found.update((schema.get("tagging") or {}).get("permissions", []))
    return frozenset(found)


@cache
def known_actions() -> dict[str, list[str]]:
    """Return all actions of IAM, in lower case, with the kinds of resources that each can be limited to."""
    data = files("cfnlint.data.AdditionalSpecs").joinpath("Policies.json").read_text(encoding="utf-8")
    return {
        f"{service}:{action}": [kind.lower() for kind in description.get("Resources", [])]
        for service, stated in json.loads(data).items()
        for action, description in stated["Actions"].items()
    }


def limits(action: str) -> list[str]:
    """Return the kinds of resources that an action can be limited to. For most lists there is none."""
    return known_actions()[action.lower()]


def resources(kind: str, action: str) -> set[str]:
    """Return the ARNs, without partition, that an action for resources of a type needs, or `*`.

    Raises:
        UnknownRightError: IAM does not know the action, or `ARNS` none of its resources.
    """
    service = action.partition(":")[0]
    if action.lower() not in known_actions():
        raise UnknownRightError(
            f"{kind} needs {action}, which IAM does not know: see NOT_NEEDED in {__name__}"
        )
    if action == "iam:CreateServiceLinkedRole":
        return {"iam::${AWS::AccountId}:role/aws-service-role/ops.apigateway.amazonaws.com/*"}
    kinds = limits(action)
    if not kinds or action in ON_ALL:
        return {"*"}
    if service == "apigateway":
        account = kind == "AWS::ApiGateway::Account"
        kinds = [each for each in kinds if (each == "account") == account]
    arns = {arn for each in kinds for arn in ARNS.get((service, each), ())}
    if not arns:
        raise UnknownRightError(
            f"{kind} needs {action} on {' or '.join(kinds)} of {service}: "
            f"add the stack's ARNs to ARNS, or the action to NOT_NEEDED, in {__name__}"
        )
    return arns


def _tail(arn: str) -> str:
    """Return what follows the account in an ARN without partition."""
    return resolved(arn, {"AWS::Region": "", "AWS::AccountId": ""}).split(":", 3)[3]


def resolved(arn: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        arn = arn.replace(f"${{{name}}}", value)
    return arn


def _listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _with_qualifier(name: str) -> str:
    return name.replace("hnb659fds", "${Qualifier}")


def substituted(resource: str) -> Any:  # noqa: ANN401  # a text or a function of CloudFormation
    return "*" if resource == "*" else {"Fn::Sub": f"arn:${{AWS::Partition}}:{resource}"}


def _through(*services: str) -> str:
    hosts = [{"Fn::Sub": f"{service}.${{AWS::Region}}.amazonaws.com"} for service in services]
    return json.dumps({"StringEquals": {"kms:ViaService": hosts}})


def bootstrap_roles(*names: str) -> Statement:
    # https://docs.aws.amazon.com/cdk/v2/guide/bootstrapping-env.html
    role = "iam::${{AWS::AccountId}}:role/cdk-${{Qualifier}}-{}-role-${{AWS::AccountId}}-${{AWS::Region}}"
    return Statement(("sts:AssumeRole",), tuple(role.format(name) for name in names))


PREFLIGHT: Final = (
    Statement(
        (
            *("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "lambda:GetAccountSettings"),
            *("servicequotas:ListAWSDefaultServiceQuotas", "servicequotas:ListServiceQuotas"),
        ),
        ("*",),
    ),
    Statement(("iam:SimulatePrincipalPolicy",), (f"iam::${{AWS::AccountId}}:role{PIPELINE_PATH}*",)),
    Statement(("lambda:GetFunctionConcurrency",), tuple(ARNS["lambda", "function"])),
    # The topic can be of another account or Region
    Statement(("sns:GetTopicAttributes",), ("sns:*:*:*",)),
    Statement(("sqs:GetQueueUrl",), tuple(ARNS["sqs", "queue"])),
    Statement(("ssm:GetParameter",), (f"ssm:{_HERE}:parameter/cdk-bootstrap/${{Qualifier}}/version",)),
)
"""What `python -m ops preflight --deployer` needs beside the rights of a drift detection."""

_SMOKE: Final = f"{PREFIX}*-smoke-*"
SMOKE_TEST: Final = (
    Statement(("cloudformation:DescribeStacks",), (f"cloudformation:{_HERE}:stack/{PREFIX}*",)),
    Statement(
        ("connect:StartChatContact", "connect:StopContact"), ("connect:*:${AWS::AccountId}:instance/*",)
    ),
    Statement(("events:PutEvents",), (f"events:{_HERE}:event-bus/{BUS}*",)),
    Statement(
        ("events:DeleteRule", "events:PutRule", "events:PutTargets", "events:RemoveTargets"),
        (f"events:{_HERE}:rule/{BUS}*/{_SMOKE}",),
    ),
    Statement(("execute-api:Invoke",), (f"execute-api:{_HERE}:*/*/POST/messages*",)),
    Statement(("kms:Decrypt", "kms:GenerateDataKey"), tuple(ARNS["kms", "key"]), _through("sqs", "states")),
    Statement(("lambda:InvokeFunction",), tuple(ARNS["lambda", "function"])),
    Statement(
        (
            *("sqs:CreateQueue", "sqs:DeleteMessage", "sqs:DeleteQueue", "sqs:GetQueueAttributes"),
            *("sqs:GetQueueUrl", "sqs:ReceiveMessage", "sqs:SetQueueAttributes"),
        ),
        (f"sqs:{_HERE}:{_SMOKE}",),
    ),
    Statement(("sqs:SendMessage",), tuple(ARNS["sqs", "queue"])),
    Statement(("ssm:GetParametersByPath",), tuple(ARNS["ssm", "parameter"])),
    Statement(("states:DescribeExecution",), (f"states:{_HERE}:execution:{PREFIX}*",)),
    Statement(("states:StartExecution",), tuple(ARNS["states", "statemachine"])),
)
"""What `python -m ops smoke` needs: see docs/how-to/run-the-smoke-test.md."""
