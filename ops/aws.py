"""Open a session of AWS, and call AWS through boto3 as the function's own code does."""

from __future__ import annotations

from random import SystemRandom
from typing import TYPE_CHECKING, Any, Final, Literal

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from message_sender.aws.client import AwsClient
from message_sender.clock import SystemClock
from message_sender.errors import AwsCallError

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_RETRIES: Final = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
"""For boto3's clients: their caller retries."""

CALL_TIMEOUT: Final = 30.0
"""Seconds for a call and its retries."""


class CannotRunError(Exception):
    """The command cannot run. The text says why, and holds no token and no message."""


def open_session() -> boto3.Session:
    """Return a session that has credentials and a Region.

    Raises:
        CannotRunError: One of them is missing. The text has the command that sets it.
    """
    session = boto3.Session()
    if session.get_credentials() is None:
        raise CannotRunError(
            "There are no AWS credentials. Name a profile, or make one first with: aws configure\n"
            "    export AWS_PROFILE=<profile>"
        )
    if not session.region_name:
        # boto3 does not read AWS_REGION
        raise CannotRunError(
            "There is no AWS Region. Name the stack's:\n    export AWS_DEFAULT_REGION=<region>"
        )
    return session


def aws_client(
    session: boto3.Session,
    service: Literal["events", "sqs", "stepfunctions"],
    *,
    endpoint_url: str | None = None,
) -> AwsClient:
    """Return a client of boto3 with the retries of the function's AWS client.

    Args:
        endpoint_url: Of an emulator.
    """
    api = BotoApi(session.client(service, endpoint_url=endpoint_url, config=_NO_RETRIES))
    return AwsClient(api, clock=SystemClock(), random=SystemRandom().random)


def queue_attribute(sqs: AwsClient, queue_url: str, name: str) -> str:
    """Read an attribute of a queue.

    Raises:
        AwsCallError: It cannot be read.
    """
    parameters = {"QueueUrl": queue_url, "AttributeNames": [name]}
    until = SystemClock().monotonic() + CALL_TIMEOUT
    return str(sqs.call("GetQueueAttributes", parameters, until=until)["Attributes"][name])


class BotoApi:
    """An `AwsApi` over a client of boto3."""

    def __init__(self, client: object) -> None:
        self._client = client

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Call an operation once and return its response.

        Raises:
            AwsCallError: The call failed. It omits the service's own text, which may quote a message.
        """
        try:
            response: dict[str, Any] = getattr(self._client, xform_name(operation))(**parameters)
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            raise AwsCallError(operation, name=error.response["Error"]["Code"], http_status=status) from None
        except BotoCoreError as error:
            raise AwsCallError(operation, name=type(error).__name__, http_status=None) from None
        return response
