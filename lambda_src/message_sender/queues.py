"""Messages and results that go into a queue: copies, hand-overs, unpublished results; and visibility."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from message_sender.aws.client import tries
from message_sender.errors import AwsCallError
from message_sender.result import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from message_sender.aws.client import AwsApi
    from message_sender.clock import Clock
    from message_sender.request import ParsedRequest
    from message_sender.result import EventSource, MessageResult

_KEPT_SOURCES: Final[Mapping[str, EventSource]] = {"eventbridge": "eventbridge", "sqs": "sqs"}
_SOURCE_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""A UUID, as SQS and EventBridge give. A producer can forge the attribute: another text could be a secret."""
_CLOCK_TOLERANCE: Final = timedelta(minutes=1)
_MAX_BYTES: Final = 1_048_576
"""Of a message with its attributes. Source: SQS developer guide, "Message quotas"."""

# What SQS refuses in a body or an attribute. Source: SQS API reference, "SendMessage".
# Compiled when first used: that takes 3 ms, and few messages are ever copied.
_REFUSED_BY_SQS: Final = r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"


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
        message_queue_url: str,
        dead_letter_queue_url: str,
        rejected_queue_url: str,
        unpublished_results_queue_url: str,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._sqs = sqs
        self._message_queue_url = message_queue_url
        self._dead_letter_queue_url = dead_letter_queue_url
        self._rejected_queue_url = rejected_queue_url
        self._unpublished_results_queue_url = unpublished_results_queue_url
        self._clock = clock
        self._random = random

    def copy_to_rejected(
        self, request: ParsedRequest, result: MessageResult, *, message_group: str | None, until: float
    ) -> None:
        """Copy a message that cannot be sent to the rejected queue, its ClientToken written in.

        A body so large that its attributes would not fit is cut short, and the attribute `Truncated` says so.

        Args:
            result: What became of it.
            message_group: Of the message in its queue, None where it came from none.
            until: The moment of the monotonic clock at which this must be over.

        Raises:
            AwsCallError: The copy was not made.
        """
        copy = _copy(request, result, message_group)
        self._send({"QueueUrl": self._rejected_queue_url, **copy}, until=until)

    def copy_to_dead_letters(
        self,
        request: ParsedRequest,
        result: MessageResult,
        *,
        message_group: str,
        message_id: str,
        until: float,
        queued_at: datetime | None = None,
    ) -> None:
        """Copy a message that could not be sent in time to the dead-letter queue, its ClientToken written in.

        Args:
            message_group: Of the message in its queue, kept for a redrive.
            message_id: Of the message in its queue: SQS drops a second copy within 5 minutes.
            queued_at: When SQS accepted a dead letter of which this is the copy. Unlike `AcceptedAt`, this
                attribute never comes from a producer, so a redrive can take the age from it.

        Raises:
            AwsCallError: The copy was not made.
        """
        copy = _copy(request, result, message_group, queued_at)
        fifo = {"MessageGroupId": message_group, "MessageDeduplicationId": message_id}
        self._send({"QueueUrl": self._dead_letter_queue_url, **copy, **fifo}, until=until)

    def enqueue_for_retry(
        self,
        request: ParsedRequest,
        *,
        origin: Origin,
        message_group: str,
        deduplication_id: str,
        until: float,
    ) -> None:
        """Put a message into the messages queue, where it is tried again in order.

        Used for the message of an event, and by a redrive.

        Its ClientToken is written in, so that it stays the same message, and its origin goes with it.

        Args:
            message_group: The contact, or whatever else keeps the order of the chat.
            deduplication_id: SQS drops a second one within 5 minutes.

        Raises:
            AwsCallError: The message is not in the queue.
        """
        self._send(
            {
                "QueueUrl": self._message_queue_url,
                "MessageBody": request.text_with_client_token(),
                "MessageAttributes": _attributes(origin_attributes(origin)),
                "MessageGroupId": message_group,
                "MessageDeduplicationId": deduplication_id,
            },
            until=until,
        )

    def delay(self, receipt_handles: Sequence[str], *, seconds: int, until: float) -> None:
        """Let messages of the messages queue that we hold, at most ten, come back after some seconds.

        Harmless if it fails: they come back when their visibility timeout ends.

        Raises:
            AwsCallError: The call failed, as a whole or in part.
        """
        answer = self._call(
            "ChangeMessageVisibilityBatch",
            {
                "QueueUrl": self._message_queue_url,
                "Entries": [
                    {"Id": str(index), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
                    for index, handle in enumerate(receipt_handles)
                ],
            },
            until=until,
        )
        if answer.get("Failed"):
            raise AwsCallError("ChangeMessageVisibilityBatch", name="FailedInPart", http_status=200)

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
        successful = answer.get("Successful")
        kept = [
            entry.get("Id")
            for entry in (successful if isinstance(successful, list) else [])
            if isinstance(entry, dict)
        ]
        return [entry["Id"] in kept for entry in entries]

    def _send(self, parameters: Mapping[str, Any], *, until: float) -> None:
        answer = self._call("SendMessage", parameters, until=until)
        if not answer.get("MessageId"):  # without it, nothing says that the message is in the queue
            raise AwsCallError("SendMessage", name="UnreadableResponse", http_status=200)

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


def origin_attributes(origin: Origin) -> dict[str, str]:
    """Return the attributes by which a message keeps its origin in another queue. See `origin_of`."""
    return {
        "EventSource": origin.event_source,
        "SourceId": origin.source_id,
        "AcceptedAt": origin.accepted_at.astimezone(UTC).isoformat(),
        "MaybeDelivered": str(origin.maybe_delivered).lower(),
    }


def origin_of(attributes: object, *, queued_at: datetime, receive_count: int) -> Origin | None:
    """Read the origin of a message that was handed over or redriven, from an SQS event's `messageAttributes`.

    None for any other message. See `read_origin`.

    Args:
        queued_at: When the queue accepted the message.
    """
    return read_origin(_string_values(attributes), queued_at=queued_at, receive_count=receive_count)


def read_origin(values: Mapping[str, str], *, queued_at: datetime, receive_count: int) -> Origin | None:
    """Read the origin of a message from what its attributes say. The reverse of `origin_attributes`.

    None unless they are those of an origin. A producer may write such attributes too, so they are believed
    only if they are all there and right, and only for what is told of the message: they decide nothing.

    Args:
        queued_at: When the queue accepted the message: what it comes from was accepted before.
    """
    source_id = values.get("SourceId", "")
    try:
        time = datetime.fromisoformat(values.get("AcceptedAt", ""))
        accepted_at = time.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
    is_earlier = time.tzinfo is not None and accepted_at <= queued_at + _CLOCK_TOLERANCE
    event_source = _KEPT_SOURCES.get(values.get("EventSource", ""))
    if event_source is None or not _SOURCE_ID.fullmatch(source_id) or not is_earlier:
        return None
    return Origin(
        event_source=event_source,
        source_id=source_id,
        accepted_at=min(accepted_at, queued_at),
        receive_count=receive_count,
        maybe_delivered=values.get("MaybeDelivered") != "false",
    )


def _string_values(attributes: object) -> dict[str, str]:
    if not isinstance(attributes, dict):
        return {}
    values = {name: value.get("stringValue") for name, value in attributes.items() if isinstance(value, dict)}
    return {name: value for name, value in values.items() if isinstance(value, str)}


def _copy(
    request: ParsedRequest,
    result: MessageResult,
    message_group: str | None,
    queued_at: datetime | None = None,
) -> dict[str, Any]:
    attributes = {
        "Code": result.code,
        "ClientToken": result.correlation.client_token,
        "MessageGroupId": message_group,
        "QueuedAt": queued_at and queued_at.astimezone(UTC).isoformat(),
        **origin_attributes(replace(result.origin, maybe_delivered=result.maybe_delivered)),
    }
    copy, fitting = _fitting(
        request, {name: _fit_for_sqs(value) for name, value in attributes.items() if value}
    )
    return {"MessageBody": copy, "MessageAttributes": _attributes(fitting)}


def _attributes(values: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}


def _fitting(request: ParsedRequest, attributes: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Return the body with the ClientToken written in, and the attributes, not larger than SQS takes.

    A body that leaves no room for its attributes is cut short: a message that cannot be copied would stop its
    chat. No valid request is that large.
    """
    room = _MAX_BYTES - sum(
        len(name) + len("String") + len(value.encode()) for name, value in attributes.items()
    )
    body = _fit_for_sqs(request.text_with_client_token())
    if len(body.encode()) <= room:
        return body, attributes
    room -= len("Truncated") + len("String") + len("true")
    return body.encode()[:room].decode(errors="ignore"), attributes | {"Truncated": "true"}


def _fit_for_sqs(text: str) -> str:
    """Escape what SQS would refuse, so that no message is unfit to be copied."""
    if re.search(_REFUSED_BY_SQS, text) is None:
        return text
    return text[:_MAX_BYTES].translate(_Escapes())


class _Escapes(dict[int, str]):
    """A table for `str.translate`, filled with the code points that occur."""

    def __missing__(self, code_point: int) -> str:
        character = chr(code_point)
        is_refused = re.match(_REFUSED_BY_SQS, character)
        self[code_point] = json.dumps(character)[1:-1] if is_refused else character
        return self[code_point]
