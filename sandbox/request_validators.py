"""Adds the request validators of the template to the deployed API.

The emulator's CloudFormation ignores them, but its API Gateway supports them through the API calls of AWS.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_cloudformation import CloudFormationClient

    from sandbox.emulator import Emulator


def wire_request_validators(emulator: Emulator, *, stack_name: str) -> None:
    """Create the stack's request validators, and give each method the one that the template names."""
    cloudformation: CloudFormationClient = emulator.client("cloudformation")
    api_gateway = emulator.client("apigateway")
    deployed = cloudformation.describe_stack_resources(StackName=stack_name)["StackResources"]
    ids = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in deployed}
    body: Any = cloudformation.get_template(StackName=stack_name)["TemplateBody"]
    template = json.loads(body) if isinstance(body, str) else body  # boto3 parses a template in JSON

    for logical_id, properties in _of_type("RequestValidator", template):
        created = api_gateway.create_request_validator(
            restApiId=ids[properties["RestApiId"]["Ref"]],
            name=logical_id,
            validateRequestBody=properties.get("ValidateRequestBody", False),
            validateRequestParameters=properties.get("ValidateRequestParameters", False),
        )
        ids[logical_id] = created["id"]

    for _, properties in _of_type("Method", template):
        if validator := properties.get("RequestValidatorId"):
            patch = {"op": "replace", "path": "/requestValidatorId", "value": ids[validator["Ref"]]}
            api_gateway.update_method(
                restApiId=ids[properties["RestApiId"]["Ref"]],
                resourceId=ids[properties["ResourceId"]["Ref"]],
                httpMethod=properties["HttpMethod"],
                patchOperations=[patch],
            )


def _of_type(name: str, template: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    resources: Mapping[str, Any] = template["Resources"]
    return [
        (logical_id, resource["Properties"])
        for logical_id, resource in resources.items()
        if resource["Type"] == f"AWS::ApiGateway::{name}"
    ]
