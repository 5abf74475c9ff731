"""The AWS emulator, MiniStack, on loopback, clients for it, and the request validators that it leaves out."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import urllib3
from botocore.config import Config

from sandbox.processes import NotStartedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from types_boto3_cloudformation import CloudFormationClient

    from sandbox.processes import ChildProcesses

ACCOUNT = "000000000000"
REGION = "us-east-1"
SECRET_ACCESS_KEY = "local"  # noqa: S105  # the emulator accepts any
SESSION = boto3.Session(
    aws_access_key_id=ACCOUNT, aws_secret_access_key=SECRET_ACCESS_KEY, region_name=REGION
)

_LAUNCHER = Path(__file__).with_name("emulator_gaps.py")
_START_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Emulator:
    url: str

    def environ(self, *, home: Path) -> dict[str, str]:
        """Return an environment in which an AWS tool uses the emulator, and only the emulator.

        It has only PATH from this process's environment, which may hold credentials, a profile or a proxy.

        Args:
            home: the tool's home folder, also for temporary files. Created if it does not exist.
        """
        temporary = home / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(home),
            "TMPDIR": str(temporary),
            "AWS_ACCESS_KEY_ID": ACCOUNT,  # the emulator reads the account from here
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_S3": self.url,
        }

    def client(self, service: str) -> Any:  # noqa: ANN401  # callers annotate the type
        return SESSION.client(  # type: ignore[call-overload]  # one overload per service
            service,
            endpoint_url=self.url,
            # One attempt: a repeated Invoke would be another message
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=60),
        )


def start_emulator(
    children: ChildProcesses,
    *,
    python: Path,
    folder: Path,
    port: int | None = None,
    function_environ: Mapping[str, str],
) -> Emulator:
    """Start an empty emulator. It keeps its state in memory.

    Args:
        python: of the virtual environment with MiniStack.
        port: None takes a free one.
        function_environ: is in every function's environment, since MiniStack passes its own environment on.

    Raises:
        NotStartedError: the port cannot be used.
        ProcessError: the emulator does not start.
    """
    port = _free_port(port or 0)
    emulator = Emulator(f"http://127.0.0.1:{port}")
    child = children.start(
        # Isolated: the emulator imports neither this folder's modules nor those of PYTHONPATH
        [str(python), "-I", str(_LAUNCHER)],
        output=folder / "emulator.log",
        folder=folder,
        environ={
            **emulator.environ(home=folder / "emulator"),
            **function_environ,
            "GATEWAY_PORT": str(port),
            "MINISTACK_REGION": REGION,
            # By default it listens on every interface, and for more protocols than HTTP
            "BIND_HOST": "127.0.0.1",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            # With a Docker daemon, it would remove the containers of earlier runs
            "DOCKER_HOST": f"unix://{folder / 'no-docker.sock'}",
        },
    )
    child.wait_until(lambda: _is_ready(emulator), timeout=_START_TIMEOUT)
    return emulator


def wire_request_validators(emulator: Emulator, *, stack_name: str) -> None:
    """Create the stack's request validators, and give each method the one that the template names.

    The emulator's CloudFormation ignores them, but its API Gateway has the API calls of AWS for them.
    """
    cloudformation: CloudFormationClient = emulator.client("cloudformation")
    api_gateway = emulator.client("apigateway")
    deployed = cloudformation.describe_stack_resources(StackName=stack_name)["StackResources"]
    ids = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in deployed}
    template = cloudformation.get_template(StackName=stack_name)["TemplateBody"]  # parsed by boto3

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


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        # Also free: the port of a connection that is still closing
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except (OSError, OverflowError) as error:
            raise NotStartedError(
                f"The emulator cannot use port {wanted} on 127.0.0.1: {error}.\n"
                "Name another with EMULATOR_PORT=..., or leave it out to use a free one."
            ) from None
        return int(probe.getsockname()[1])


def _is_ready(emulator: Emulator) -> bool:
    try:
        response = urllib3.request("GET", f"{emulator.url}/_ministack/ready", retries=False, timeout=2.0)
    except urllib3.exceptions.HTTPError:
        return False
    return response.status == HTTPStatus.OK


def _of_type(name: str, template: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    resources: Mapping[str, Any] = template["Resources"]
    return [
        (logical_id, resource["Properties"])
        for logical_id, resource in resources.items()
        if resource["Type"] == f"AWS::ApiGateway::{name}"
    ]
