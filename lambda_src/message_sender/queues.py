"""Messages and results that go into a queue: copies of rejected messages, unpublished results."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from message_sender.aws_api import tries
from message_sender.errors import AwsCallError
from message_sender.request import with_client_token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from message_sender.aws_api import AwsApi
    from message_sender.clock import Clock
    from message_sender.outcome import MessageResult

_MAX_BYTES: Final = 1_048_576
"""Of a message with its attributes. Source: SQS developer guide, "Message quotas"."""

# What SQS refuses in a body or an attribute. Source: SQS API reference, "SendMessage".
_REFUSED_BY_SQS: Final = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Queues:
    """The queues that the function writes to.

    Args:
        sqs: The SQS API.
        random: Returns a number from 0 to 1, for jitter.
    """

    def __init__(
        self,
        *,
        sqs: AwsApi,
        rejected_queue_url: str,
        unpublished_results_queue_url: str,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._sqs = sqs
        self._rejected_queue_url = rejected_queue_url
        self._unpublished_results_queue_url = unpublished_results_queue_url
        self._clock = clock
        self._random = random

    def copy_to_rejected(
        self, body: str, result: MessageResult, *, message_group: str | None, until: float
    ) -> None:
        """Copy a message that cannot be sent to the rejected queue, its ClientToken written in.

        A body so large that its attributes would not fit is cut short, and the attribute `Truncated` says so.

        Args:
            body: The request as it came.
            result: What became of it.
            message_group: Of the message in its queue, None where it came from none.
            until: The moment of the monotonic clock at which this must be over.

        Raises:
            AwsCallError: The copy was not made.
        """
        client_token = result.correlation.client_token
        attributes = {
            "Code": result.code,
            "ClientToken": client_token,
            "SourceId": result.origin.source_id,
            "MessageGroupId": message_group,
        }
        copy, fitting = _fitting(
            body, client_token, {name: _attribute_value(value) for name, value in attributes.items() if value}
        )
        self._call(
            "SendMessage",
            {
                "QueueUrl": self._rejected_queue_url,
                "MessageBody": copy,
                "MessageAttributes": {
                    name: {"DataType": "String", "StringValue": value} for name, value in fitting.items()
                },
            },
            until=until,
        )

    def keep_unpublished(self, entries: Sequence[Mapping[str, Any]], *, until: float) -> list[bool]:
        """Keep results that EventBridge did not take, at most ten. Return for each whether it is kept.

        Args:
            entries: What a `SendMessageBatch` wants: `Id` counts from 0.
            until: The moment of the monotonic clock at which this must be over.
        """
        try:
            answer = self._call(
                "SendMessageBatch",
                {"QueueUrl": self._unpublished_results_queue_url, "Entries": entries},
                until=until,
            )
        except AwsCallError:
            return [False] * len(entries)
        kept = {entry["Id"] for entry in answer.get("Successful", [])}
        return [entry["Id"] in kept for entry in entries]

    def _call(self, operation: str, parameters: Mapping[str, Any], *, until: float) -> dict[str, Any]:
        failure = AwsCallError(operation, name="DeadlineExceeded", http_status=None)
        for _ in tries(clock=self._clock, random=self._random, until=until):
            try:
                return self._sqs.call(operation, parameters)
            except AwsCallError as error:
                failure = error
                if not error.retryable:
                    break
        raise failure


def _fitting(body: str, client_token: str | None, attributes: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Return the body with the ClientToken written in, and the attributes, not larger than SQS takes.

    A body that leaves no room for its attributes is copied without the ClientToken in it, and cut short if
    that is still too large: a message that cannot be copied would stop its chat.
    """
    room = _MAX_BYTES - sum(
        len(name) + len("String") + len(value.encode()) for name, value in attributes.items()
    )
    if client_token is not None and len((copy := with_client_token(body, client_token)).encode()) <= room:
        return copy, attributes
    if len(body.encode()) <= room:
        return body, attributes
    room -= len("Truncated") + len("String") + len("true")
    return body.encode()[:room].decode(errors="ignore"), attributes | {"Truncated": "true"}


def _attribute_value(value: str) -> str:
    """Escape what SQS would refuse, so that no message is unfit to be copied."""
    return _REFUSED_BY_SQS.sub(lambda match: f"\\u{ord(match[0]):04x}", value)
