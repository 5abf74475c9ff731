"""Answers to Step Functions tasks that wait for the outcome of a message."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from message_sender.aws.client import tries
from message_sender.errors import AwsCallError
from message_sender.result import Sent

if TYPE_CHECKING:
    from collections.abc import Callable

    from message_sender.aws.client import AwsApi
    from message_sender.clock import Clock
    from message_sender.request import Secret
    from message_sender.result import MessageResult

_TRIES: Final = 2
_LONGEST_CAUSE: Final = 32_768
"""Source: Step Functions API reference, "SendTaskFailure". In bytes here, however the service counts."""

# The task has timed out, was stopped, or has its answer: nobody waits for this one.
_NOBODY_WAITS: Final = frozenset({"TaskDoesNotExist", "TaskTimedOut"})


class TaskCallback:
    """Tells a task what became of its message.

    Args:
        step_functions: The Step Functions API.
        random: Returns a number from 0 to 1, for jitter.
    """

    def __init__(self, *, step_functions: AwsApi, clock: Clock, random: Callable[[], float]) -> None:
        self._step_functions = step_functions
        self._clock = clock
        self._random = random

    def answer(self, task_token: Secret, result: MessageResult, *, until: float) -> None:
        """Let the task succeed with the result as its output, or fail as a direct invocation would.

        A failure has the name of the error's class and its reason. A task that no longer exists needs no
        answer.

        Args:
            until: The moment of the monotonic clock at which this must be over.

        Raises:
            AwsCallError: The task was not answered, after one retry if that could help.
        """
        operation, parameters = _answer(result)
        failure = AwsCallError(operation, name="DeadlineExceeded", http_status=None)
        for _ in tries(clock=self._clock, random=self._random, until=until, most=_TRIES):
            try:
                self._step_functions.call(operation, {"taskToken": task_token.reveal(), **parameters})
            except AwsCallError as error:
                if error.name in _NOBODY_WAITS:
                    return
                failure = error
                if not error.retryable:
                    break
            else:
                return
        raise failure


def _answer(result: MessageResult) -> tuple[str, dict[str, Any]]:
    """Return operation and parameters.

    The output has a few kilobytes, of 262,144 bytes that are allowed, and the name stays far below its 256
    characters.
    """
    if isinstance(result.outcome, Sent):
        return "SendTaskSuccess", {"output": json.dumps(result.detail())}
    error = result.outcome.error
    cause = error.reason.encode(errors="replace")[:_LONGEST_CAUSE].decode(errors="ignore")
    return "SendTaskFailure", {"error": type(error).__name__, "cause": cause}
