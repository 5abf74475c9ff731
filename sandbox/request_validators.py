"""Makes the API refuse what its models do not allow, as it does on AWS.

The emulator's CloudFormation neither creates a request validator nor gives it to a method. Its API Gateway
can do both, so what the deployed template says of them is done once more, by calls that AWS has too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.emulator import Emulator

_VALIDATOR = "AWS::ApiGateway::RequestValidator"
_METHOD = "AWS::ApiGateway::Method"


def wire_request_validators(emulator: Emulator, *, stack_name: str) -> None:
    """Create the stack's request validators, and give each method the one that the template names."""
    cloudformation, api_gateway = emulator.client("cloudformation"), emulator.client("apigateway")
    deployed = cloudformation.describe_stack_resources(StackName=stack_name)["StackResources"]
    ids = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in deployed}
    resources = _template(cloudformation, stack_name)["Resources"]

    for logical_id, properties in _of_type(_VALIDATOR, resources):
        created = api_gateway.create_request_validator(
            restApiId=ids[properties["RestApiId"]["Ref"]],
            name=logical_id,
            validateRequestBody=properties.get("ValidateRequestBody", False),
            validateRequestParameters=properties.get("ValidateRequestParameters", False),
        )
        ids[logical_id] = created["id"]

    for _, properties in _of_type(_METHOD, resources):
        if validator := properties.get("RequestValidatorId"):
            patch = {"op": "replace", "path": "/requestValidatorId", "value": ids[validator["Ref"]]}
            api_gateway.update_method(
                restApiId=ids[properties["RestApiId"]["Ref"]],
                resourceId=ids[properties["ResourceId"]["Ref"]],
                httpMethod=properties["HttpMethod"],
                patchOperations=[patch],
            )


def _template(cloudformation: Any, stack_name: str) -> Mapping[str, Any]:  # noqa: ANN401  # a boto3 client
    body = cloudformation.get_template(StackName=stack_name)["TemplateBody"]
    template: Mapping[str, Any] = json.loads(body) if isinstance(body, str) else body  # boto3 parses JSON
    return template


def _of_type(type_: str, resources: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(name, each["Properties"]) for name, each in resources.items() if each["Type"] == type_]
