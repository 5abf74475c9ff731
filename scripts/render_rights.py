"""Write the roles and policies of a pipeline, as a CloudFormation template.

usage: PYTHONPATH=lambda_src python -m scripts.render_rights
`make docs` runs it. A test fails while the template is out of date.
"""

from __future__ import annotations

import json
import tempfile
from typing import TYPE_CHECKING, Any, Final

from scripts.render_contract import ROOT
from scripts.rights import (
    ARNS,
    PIPELINE_PATH,
    PREFIX,
    PREFLIGHT,
    SMOKE_TEST,
    Rights,
    Statement,
    UnknownRightError,
    bootstrap_roles,
    resolved,
    substituted,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROLES: Final = ROOT / "examples" / "pipeline" / "roles.template.json"

LONGEST_POLICY: Final = 6144
"""The characters of a managed policy, without whitespace.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

_LONGEST: Final = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "ap-southeast-2",
    "Qualifier": "q" * 10,
}


def length(statements: Iterable[Statement]) -> int:
    """Return the characters of a policy, with the longest names, as IAM counts them."""
    document = json.dumps(_policy(statements), separators=(",", ":"))
    # {"Fn::Sub":"..."} becomes "..."
    return len(resolved(document, _LONGEST).replace('{"Fn::Sub":', "").replace('"}', '"'))


def split(statements: Iterable[Statement]) -> list[list[Statement]]:
    """Return the statements in as few policies as their order allows.

    Raises:
        UnknownRightError: One statement alone is too long.
    """
    policies: list[list[Statement]] = [[]]
    for statement in statements:
        if length([statement]) > LONGEST_POLICY:
            raise UnknownRightError(f"too long for one policy: {statement.actions}")
        if length([*policies[-1], statement]) > LONGEST_POLICY:
            policies.append([])
        policies[-1].append(statement)
    return policies


def _policy(statements: Iterable[Statement]) -> dict[str, Any]:
    documents = [statement.document() for statement in statements]
    return {"Version": "2012-10-17", "Statement": documents}


def roles(templates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a CloudFormation template with the roles of a pipeline and the policies of CloudFormation.

    Raises:
        UnknownRightError: A template needs a right that cannot be derived.
    """
    rights = Rights(templates)
    cloudformation = {
        f"CloudFormationPolicy{number}": _managed_policy(f"CloudFormation for {PREFIX}*, part {number}", part)
        for number, part in enumerate(split(rights.of_cloudformation()), start=1)
    }
    review = {
        f"ReviewPolicy{number}": _managed_policy(f"Review of {PREFIX}*, part {number}", part)
        for number, part in enumerate(
            split([bootstrap_roles("lookup"), *rights.of_drift_detection(), *PREFLIGHT]), start=1
        )
    }
    deployment = {
        "DeployPolicy": _managed_policy(
            f"Deployment and smoke test of {PREFIX}*",
            [bootstrap_roles("deploy", "file-publishing", "lookup"), *SMOKE_TEST],
        )
    }
    arns = [{"Ref": name} for name in cloudformation]
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": "Roles of the pipeline of connect-message-sender. Written by `make docs`",
        "Parameters": _PARAMETERS,
        "Conditions": {
            "MakesProvider": {"Fn::Equals": [{"Ref": "MakeProvider"}, "true"]},
            "HasBoundary": {"Fn::Not": [{"Fn::Equals": [{"Ref": "PermissionsBoundary"}, ""]}]},
        },
        "Resources": {
            "Provider": {
                "Type": "AWS::IAM::OIDCProvider",
                "Condition": "MakesProvider",
                # Other pipelines of the account may use it, too
                "DeletionPolicy": "Retain",
                "UpdateReplacePolicy": "Retain",
                "Properties": {"Url": f"https://{_GITHUB}", "ClientIdList": ["sts.amazonaws.com"]},
            },
            "ReviewRole": _role("repo:${Repository}:ref:refs/heads/${Branch}", review),
            "DeployRole": _role("repo:${Repository}:environment:${Environment}", deployment),
            **review,
            **deployment,
            **cloudformation,
            "BoundaryPolicy": _boundary_policy(),
        },
        "Outputs": {
            "ReviewRoleArn": {"Value": {"Fn::GetAtt": ["ReviewRole", "Arn"]}},
            "DeployRoleArn": {"Value": {"Fn::GetAtt": ["DeployRole", "Arn"]}},
            "CloudFormationPolicyArns": {
                "Description": "For cdk bootstrap --cloudformation-execution-policies",
                "Value": {
                    "Fn::If": [
                        "HasBoundary",
                        {"Fn::Join": [",", [*arns, {"Ref": "BoundaryPolicy"}]]},
                        {"Fn::Join": [",", arns]},
                    ]
                },
            },
        },
    }


_GITHUB: Final = "token.actions.githubusercontent.com"
_PARAMETERS: Final = {
    "Repository": {
        "Type": "String",
        # https://github.blog/changelog/2026-04-23-immutable-subject-claims-for-github-actions-oidc-tokens/
        "Description": "OWNER@OWNER_ID/NAME@ID, or OWNER/NAME if the repository is older than 2026-07-15",
        "AllowedPattern": "[A-Za-z0-9_.-]+(@[0-9]+)?/[A-Za-z0-9_.-]+(@[0-9]+)?",
    },
    "Branch": {"Type": "String", "Default": "main", "AllowedPattern": "[A-Za-z0-9_./-]+"},
    "Environment": {
        "Type": "String",
        "Description": "The protected environment of GitHub",
        "Default": "prod",
        "AllowedPattern": "[A-Za-z0-9_.-]+",
    },
    "MakeProvider": {
        "Type": "String",
        "Description": "false if the account has the OIDC provider of GitHub already",
        "Default": "true",
        "AllowedValues": ["true", "false"],
    },
    "PermissionsBoundary": {
        "Type": "String",
        "Description": "ARN of the permissions boundary that each role of the stack must have, if any",
        "Default": "",
    },
    "Qualifier": {
        "Type": "String",
        "Description": "The qualifier of cdk bootstrap",
        "Default": "hnb659fds",
        "AllowedPattern": "[A-Za-z0-9_-]{1,10}",
    },
}


def _managed_policy(description: str, statements: Iterable[Statement]) -> dict[str, Any]:
    return {
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {
            "Path": PIPELINE_PATH,
            "Description": description,
            "PolicyDocument": _policy(statements),
        },
    }


def _role(subject: str, policies: Iterable[str]) -> dict[str, Any]:
    # https://docs.github.com/en/actions/reference/security/oidc
    provider = f"arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:oidc-provider/{_GITHUB}"
    trust = {
        "Effect": "Allow",
        "Principal": {"Federated": {"Fn::If": ["MakesProvider", {"Ref": "Provider"}, {"Fn::Sub": provider}]}},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {f"{_GITHUB}:aud": "sts.amazonaws.com", f"{_GITHUB}:sub": {"Fn::Sub": subject}}
        },
    }
    return {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "Path": PIPELINE_PATH,
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
            "ManagedPolicyArns": [{"Ref": policy} for policy in policies],
        },
    }


_BOUNDED: Final = (
    *("iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"),
)


def _boundary_policy() -> dict[str, Any]:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
    role = substituted(ARNS["iam", "role"][0])
    other = {"StringNotEquals": {"iam:PermissionsBoundary": {"Ref": "PermissionsBoundary"}}}
    deny = [
        {"Effect": "Deny", "Action": [*_BOUNDED], "Resource": role, "Condition": other},
        {"Effect": "Deny", "Action": "iam:DeleteRolePermissionsBoundary", "Resource": role},
    ]
    return {
        "Type": "AWS::IAM::ManagedPolicy",
        "Condition": "HasBoundary",
        "Properties": {
            "Path": PIPELINE_PATH,
            "Description": f"No role of {PREFIX}* without its permissions boundary",
            "PolicyDocument": {"Version": "2012-10-17", "Statement": deny},
        },
    }


def rendered(templates: Sequence[Mapping[str, Any]]) -> str:
    """Return the file with the roles."""
    return f"{json.dumps(roles(templates), indent=1)}\n"


def _synthesize() -> list[dict[str, Any]]:
    """Return the templates of the stages, and of one with a value for each option that adds something."""
    # The CDK takes seconds to start, and the tests of these rights have templates of their own
    import aws_cdk as cdk  # noqa: PLC0415

    import app  # noqa: PLC0415
    from tests.infra.template import EVERYTHING  # noqa: PLC0415

    context = json.loads((ROOT / "cdk.json").read_text())["context"] | {"aws:cdk:bundling-stacks": []}
    stages = context["stages"]
    # A stage that keeps its data needs them
    filled_in = {
        "account": "123456789012",
        "region": "eu-central-1",
        "alarm_topic_arn": "arn:aws:sns:eu-central-1:123456789012:a",
    }
    variants = {"dev": stages["dev"], "prod": stages["prod"] | filled_in, "all": stages["prod"] | EVERYTHING}
    variants["all"] |= {
        "account": None,
        "region": None,
        "retain_data": False,
        "manage_api_gateway_account": True,
    }
    templates = []
    for stage, options in variants.items():
        with tempfile.TemporaryDirectory() as folder:
            application = cdk.App(
                context=context | {"stage": stage, "stages": {stage: options}}, outdir=folder
            )
            stack = app.build(application)
            templates.append(application.synth().get_stack_by_name(stack.stack_name).template)
    return templates


if __name__ == "__main__":
    ROLES.write_text(rendered(_synthesize()), encoding="utf-8")
