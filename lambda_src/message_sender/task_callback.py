"""Completion of Step Functions tasks that wait for the outcome of a message."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from message_sender.errors import TASK_IS_OVER, AwsCallError
from message_sender.result import Sent

if TYPE_CHECKING:
    from message_sender.aws.client import AwsClient
    from message_sender.request import Secret
    from message_sender.result import MessageResult

_MAX_ATTEMPTS: Final = 2
_MAX_CAUSE: Final = 32_768
"""Source: Step Functions API reference, "SendTaskFailure". Bytes here, however the service counts."""


class TaskCallback:
    """Completes the task that waits for a message."""

    def __init__(self, *, step_functions: AwsClient) -> None:
        self._step_functions = step_functions

    def complete(self, task_token: Secret, result: MessageResult, *, until: float) -> None:
        """Let the task succeed with the result as its output, or fail as a direct invocation would.

        A failure has the name of the error's class and its reason. If the task no longer exists, nothing is
        wrong.

        Args:
            until: The moment of the monotonic clock by which this must be over.

        Raises:
            AwsCallError: The task is not complete, after one retry if the error is retryable.
        """
        operation, parameters = _completion(result)
        parameters = {"taskToken": task_token.reveal(), **parameters}
        try:
            self._step_functions.call(operation, parameters, until=until, max_attempts=_MAX_ATTEMPTS)
        except AwsCallError as error:
            if error.name not in TASK_IS_OVER:
                raise


def _completion(result: MessageResult) -> tuple[str, dict[str, Any]]:
    """Return operation and parameters.

    The output has a few kilobytes of the 262,144 bytes allowed, and the name far fewer than 256 characters.
    """
    if isinstance(result.outcome, Sent):
        return "SendTaskSuccess", {"output": json.dumps(result.detail())}
    error = result.outcome.error
    cause = error.reason.encode(errors="replace")[:_MAX_CAUSE].decode(errors="ignore")
    return "SendTaskFailure", {"error": type(error).__name__, "cause": cause}
