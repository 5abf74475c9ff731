"""boto3's clients, as the function's own code calls an AWS API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from message_sender.aws.client import tries
from message_sender.errors import AwsCallError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from message_sender.aws.client import AwsApi
    from message_sender.clock import Clock

CALLED_ONCE: Final = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
"""For boto3's clients: what is tried again is decided by who calls them."""

PATIENCE: Final = 30.0
"""Seconds for a call and its repeats."""


class BotoApi:
    """An `AwsApi` over a client of boto3, or over anything that has its methods."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401  # boto3 has no types
        self._client = client

    def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Call an operation once and return what it answers.

        Raises:
            AwsCallError: The call failed. Its text is without the service's words, which may quote a message.
        """
        try:
            answer: dict[str, Any] = getattr(self._client, xform_name(operation))(**parameters)
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            raise AwsCallError(operation, name=error.response["Error"]["Code"], http_status=status) from None
        except BotoCoreError as error:
            raise AwsCallError(operation, name=type(error).__name__, http_status=None) from None
        return answer


def call_patiently(
    api: AwsApi,
    operation: str,
    parameters: Mapping[str, Any],
    *,
    clock: Clock,
    random: Callable[[], float],
) -> dict[str, Any]:
    """Call an operation, up to three times.

    Raises:
        AwsCallError: The last try failed, or one that no repeat can mend.
    """
    failure = AwsCallError(operation, name="DeadlineExceeded", http_status=None)
    for _ in tries(clock=clock, random=random, until=clock.monotonic() + PATIENCE):
        try:
            return api.call(operation, parameters)
        except AwsCallError as error:
            failure = error
            if not error.retryable:
                break
    raise failure
