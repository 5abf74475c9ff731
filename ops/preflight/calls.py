"""The calls of AWS: each only reads, and has its permission here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ops.preflight.findings import NotCheckedError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import boto3

PERMISSIONS: Final = {
    ("apigateway", "GetAccount"): "apigateway:GET",
    ("cloudformation", "DescribeStacks"): "cloudformation:DescribeStacks",
    ("cloudwatch", "DescribeAlarms"): "cloudwatch:DescribeAlarms",
    ("cloudwatch", "GetDashboard"): "cloudwatch:GetDashboard",
    ("ec2", "DescribeSecurityGroups"): "ec2:DescribeSecurityGroups",
    ("ec2", "DescribeSubnets"): "ec2:DescribeSubnets",
    ("iam", "GetRole"): "iam:GetRole",
    ("iam", "SimulatePrincipalPolicy"): "iam:SimulatePrincipalPolicy",
    ("kms", "DescribeKey"): "kms:DescribeKey",
    ("kms", "GetKeyPolicy"): "kms:GetKeyPolicy",
    ("kms", "ListAliases"): "kms:ListAliases",
    ("lambda", "GetAccountSettings"): "lambda:GetAccountSettings",
    ("lambda", "GetFunctionConcurrency"): "lambda:GetFunctionConcurrency",
    ("logs", "DescribeResourcePolicies"): "logs:DescribeResourcePolicies",
    ("service-quotas", "ListAWSDefaultServiceQuotas"): "servicequotas:ListAWSDefaultServiceQuotas",
    ("service-quotas", "ListServiceQuotas"): "servicequotas:ListServiceQuotas",
    ("sns", "GetTopicAttributes"): "sns:GetTopicAttributes",
    ("sqs", "GetQueueUrl"): "sqs:GetQueueUrl",
    ("ssm", "GetParameter"): "ssm:GetParameter",
    ("stepfunctions", "DescribeStateMachine"): "states:DescribeStateMachine",
    ("sts", "GetCallerIdentity"): "sts:GetCallerIdentity",
    ("wafv2", "GetWebACL"): "wafv2:GetWebACL",
}
"""All operations, and the permission of each.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

_DENIED: Final = frozenset(
    {
        *("AccessDenied", "AccessDeniedException", "AuthorizationError", "AuthorizationErrorException"),
        *("NotAuthorized", "UnauthorizedException", "UnauthorizedOperation"),
    }
)
"""Codes of a missing permission: each service has its own."""

_QUICK: Final = Config(
    retries={"mode": "standard", "total_max_attempts": 3}, connect_timeout=5, read_timeout=30
)


def read_only_policy() -> dict[str, Any]:
    """Return the IAM policy of a caller for whom every check can be done."""
    # IAM allows GetCallerIdentity to everyone
    actions = sorted({*PERMISSIONS.values()} - {"sts:GetCallerIdentity"})
    return {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "Preflight", "Effect": "Allow", "Action": actions, "Resource": "*"}],
    }


class Calls:
    """Reads each thing once, however many checks need it."""

    def __init__(self, session: boto3.Session, *, region: str) -> None:
        self._session = session
        self._region = region
        self._clients: dict[tuple[str, str], Any] = {}
        self._answers: dict[str, dict[str, Any] | None] = {}

    def read(
        self, service: str, operation: str, parameters: Mapping[str, Any] | None = None, *, region: str = ""
    ) -> Any:  # noqa: ANN401  # the shape is the operation's
        """Call an operation, and return its response with the items of all pages.

        Args:
            region: Not the stack's.

        Raises:
            NotCheckedError: The call failed.
        """
        return self.find(service, operation, parameters, region=region) or {}

    def find(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any] | None = None,
        *,
        absent: Collection[str] = (),
        region: str = "",
    ) -> Any:  # noqa: ANN401  # the shape is the operation's
        """Call an operation as `read` does, and return None for one of these errors.

        Args:
            absent: Codes of errors, such as `ParameterNotFound`.

        Raises:
            NotCheckedError: The call failed with another error.
        """
        question = repr((service, operation, region, parameters))
        if question not in self._answers:
            self._answers[question] = self._call(
                service, operation, region or self._region, absent, parameters or {}
            )
        return self._answers[question]

    def _call(
        self,
        service: str,
        operation: str,
        region: str,
        absent: Collection[str],
        parameters: Mapping[str, Any],
    ) -> dict[str, Any] | None:
        permission, method = PERMISSIONS[service, operation], xform_name(operation)
        try:
            client = self._client(service, region)
            if client.can_paginate(method):
                pages: dict[str, Any] = (
                    client.get_paginator(method).paginate(**parameters).build_full_result()
                )
                return pages
            answer: dict[str, Any] = getattr(client, method)(**parameters)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in absent:
                return None
            if code in _DENIED:
                raise NotCheckedError(f"needs {permission}") from None
            raise NotCheckedError(f"{operation}: {code}") from None
        except BotoCoreError as error:
            # Its text can hold an address, but no secret: the calls have none
            raise NotCheckedError(f"{operation}: {error}") from None
        return answer

    def _client(self, service: str, region: str) -> Any:  # noqa: ANN401  # a client of any service
        if (service, region) not in self._clients:
            self._clients[service, region] = self._session.client(  # type: ignore[call-overload]  # one overload per service
                service, region_name=region, config=_QUICK
            )
        return self._clients[service, region]
