"""Messages and results that go into a queue: copies of rejected messages, unpublished results."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from message_sender.aws_api import LONGEST_CALL
from message_sender.errors import AwsCallError
from message_sender.request import with_client_token
from message_sender.retry import MAX_ATTEMPTS, full_jitter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from message_sender.aws_api import AwsApi
    from message_sender.clock import Clock
    from message_sender.outcome import MessageResult

_BASE_DELAY: Final = 0.1
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
        self._call(
            "SendMessage",
            {
                "QueueUrl": self._rejected_queue_url,
                "MessageBody": with_client_token(body, client_token) if client_token else body,
                "MessageAttributes": {
                    name: {"DataType": "String", "StringValue": _attribute_value(value)}
                    for name, value in attributes.items()
                    if value
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
        attempt = 1
        while True:
            if self._clock.monotonic() + LONGEST_CALL > until:
                raise AwsCallError(operation, name="DeadlineExceeded", http_status=None)
            try:
                return self._sqs.call(operation, parameters)
            except AwsCallError as error:
                if not error.retryable or attempt == MAX_ATTEMPTS:
                    raise
            self._clock.sleep(full_jitter(attempt, base=_BASE_DELAY, random=self._random))
            attempt += 1


def _attribute_value(value: str) -> str:
    """Escape what SQS would refuse, so that no message is unfit to be copied."""
    return _REFUSED_BY_SQS.sub(lambda match: f"\\u{ord(match[0]):04x}", value)
