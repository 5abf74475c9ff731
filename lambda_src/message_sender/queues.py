"""The queues that the function writes to: copies, retries of events, unpublished results."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from message_sender.aws.client import failed_in_part
from message_sender.errors import AwsCallError
from message_sender.result import Origin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from message_sender.aws.client import AwsClient
    from message_sender.request import ParsedRequest
    from message_sender.result import EventSource, MessageResult

_ENQUEUED_SOURCES: Final[Mapping[str, EventSource]] = {"eventbridge": "eventbridge", "sqs": "sqs"}
_SOURCE_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""A UUID, as SQS and EventBridge assign it. Other text is forged, and may be a secret."""
_CLOCK_TOLERANCE: Final = timedelta(minutes=1)
_REDRIVEN: Final = "Redriven"
_MAX_BYTES: Final = 1_048_576
"""Of a message with its attributes. Source: SQS developer guide, "Message quotas"."""

# Characters that SQS refuses in a body or an attribute. Source: SQS API reference, "SendMessage".
# Compiled when first used: that takes 3 ms, and few messages are ever copied.
_REFUSED_BY_SQS: Final = r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"


class Queues:
    """The queues that the function writes to.

    In every method, `until` is the moment of the monotonic clock by which the call must be over.
    """

    def __init__(
        self,
        *,
        sqs: AwsClient,
        message_queue_url: str,
        dead_letter_queue_url: str,
        rejected_queue_url: str,
        unpublished_results_queue_url: str,
    ) -> None:
        self._sqs = sqs
        self._message_queue_url = message_queue_url
        self._dead_letter_queue_url = dead_letter_queue_url
        self._rejected_queue_url = rejected_queue_url
        self._unpublished_results_queue_url = unpublished_results_queue_url

    def copy_to_rejected(
        self, request: ParsedRequest, result: MessageResult, *, message_group: str | None, until: float
    ) -> None:
        """Copy a rejected message to the rejected queue, its ClientToken written in.

        A body that leaves no room for the attributes is cut, and the attribute `Truncated` says so.

        Args:
            message_group: Of the message in its queue, None without one.

        Raises:
            AwsCallError: The copy was not made.
        """
        self._send(self._rejected_queue_url, _copy(request, result, message_group), until=until)

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
        """Copy a failed message to the dead-letter queue, its ClientToken written in.

        Args:
            message_group: Of the message in its queue, kept for a redrive.
            message_id: Of the message in its queue. SQS drops a second copy within 5 minutes.
            queued_at: When SQS accepted the dead letter that this copies. Unlike `AcceptedAt`, this attribute
                never comes from a producer, so a redrive can rely on it for the age.

        Raises:
            AwsCallError: The copy was not made.
        """
        copy = _copy(request, result, message_group, queued_at) | _fifo(message_group, message_id)
        self._send(self._dead_letter_queue_url, copy, until=until)

    def enqueue_for_retry(
        self,
        request: ParsedRequest,
        *,
        origin: Origin,
        message_group: str,
        deduplication_id: str,
        until: float,
        redriven: bool = False,
    ) -> None:
        """Put a message of an event or a dead letter into the messages queue, for ordered retries.

        The ClientToken is written in, so that it stays the same message. Attributes keep its origin.

        Args:
            message_group: The contact, or another id that keeps the order of the chat.
            deduplication_id: SQS drops a second message with this id within 5 minutes.
            redriven: Whether its age starts again.

        Raises:
            AwsCallError: The message is not in the queue.
        """
        attributes = origin_attributes(origin) | ({_REDRIVEN: "true"} if redriven else {})
        message = {
            "MessageBody": request.text_with_client_token(),
            "MessageAttributes": _sqs_attributes(attributes),
        }
        self._send(self._message_queue_url, message | _fifo(message_group, deduplication_id), until=until)

    def delay_redelivery(self, receipt_handles: Sequence[str], *, seconds: int, until: float) -> None:
        """Set the visibility timeout of received messages, at most ten, in the messages queue.

        A failure is harmless: SQS redelivers them when their present timeout ends.

        Raises:
            AwsCallError: The call failed, as a whole or in part.
        """
        operation = "ChangeMessageVisibilityBatch"
        entries = [
            {"Id": str(index), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
            for index, handle in enumerate(receipt_handles)
        ]
        parameters = {"QueueUrl": self._message_queue_url, "Entries": entries}
        if self._sqs.call(operation, parameters, until=until).get("Failed"):
            raise failed_in_part(operation)

    def keep_unpublished(
        self, entries: Sequence[Mapping[str, Any]], *, until: float
    ) -> list[AwsCallError | None]:
        """Keep at most ten results that EventBridge did not accept. Return for each why it is not kept.

        Args:
            entries: Of a `SendMessageBatch` call. `Id` is the index.

        Returns:
            One item per entry, in order. None: it is kept.
        """
        parameters = {"QueueUrl": self._unpublished_results_queue_url, "Entries": entries}
        try:
            successful = self._sqs.call("SendMessageBatch", parameters, until=until).get("Successful")
        except AwsCallError as error:
            return [error] * len(entries)
        items = successful if isinstance(successful, list) else []
        kept = [item.get("Id") for item in items if isinstance(item, dict)]
        lost = failed_in_part("SendMessageBatch")
        return [None if entry["Id"] in kept else lost for entry in entries]

    def _send(self, queue_url: str, message: Mapping[str, Any], *, until: float) -> None:
        answer = self._sqs.call("SendMessage", {"QueueUrl": queue_url, **message}, until=until)
        if not answer.get("MessageId"):  # the only proof that the message is in the queue
            raise AwsCallError("SendMessage", name="UnreadableResponse", http_status=HTTPStatus.OK)


def origin_attributes(origin: Origin) -> dict[str, str]:
    """Return the attributes that keep the origin of a message in another queue."""
    return {
        "EventSource": origin.event_source,
        "SourceId": origin.source_id,
        "AcceptedAt": origin.accepted_at.astimezone(UTC).isoformat(),
        "MaybeDelivered": str(origin.maybe_delivered).lower(),
    }


def read_origin(attributes: Mapping[str, str], *, queued_at: datetime, receive_count: int) -> Origin | None:
    """Return the origin that attributes describe: the reverse of `origin_attributes`. Else None.

    A producer may write such attributes too. They count only if all are present and valid. The function uses
    them for reports only, and `ops redrive --keep-maybe-delivered` uses `MaybeDelivered`.

    Args:
        queued_at: When the queue accepted the message, which is after its origin was accepted.
    """
    source_id = attributes.get("SourceId", "")
    event_source = _ENQUEUED_SOURCES.get(attributes.get("EventSource", ""))
    try:
        time = datetime.fromisoformat(attributes.get("AcceptedAt", ""))
        accepted_at = time.astimezone(UTC)
    except (OverflowError, ValueError):
        return None
    is_earlier = time.tzinfo is not None and accepted_at <= queued_at + _CLOCK_TOLERANCE
    if event_source is None or not _SOURCE_ID.fullmatch(source_id) or not is_earlier:
        return None
    return Origin(
        event_source=event_source,
        source_id=source_id,
        accepted_at=min(accepted_at, queued_at),
        receive_count=receive_count,
        maybe_delivered=attributes.get("MaybeDelivered") != "false",
    )


def is_redriven(attributes: Mapping[str, str]) -> bool:
    """Return whether a redrive put a message into the queue.

    A producer can claim it too: then the age of its message counts from the queue, as without attributes.
    """
    return attributes.get(_REDRIVEN) == "true"


def string_attributes(attributes: object) -> dict[str, str]:
    """Return the text values of the `messageAttributes` of a record."""
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
    """Return body and attributes of a copy, within the size limit of SQS.

    A body that leaves no room for its attributes is cut. A message that cannot be copied would block its
    chat. No valid request is that large.
    """
    values = {
        "Code": result.code,
        "ClientToken": result.correlation.client_token,
        "MessageGroupId": message_group,
        "PartsDelivered": str(result.parts_delivered or ""),
        "QueuedAt": queued_at and queued_at.astimezone(UTC).isoformat(),
        **origin_attributes(replace(result.origin, maybe_delivered=result.maybe_delivered)),
    }
    attributes = {name: _fit_for_sqs(value) for name, value in values.items() if value}
    body = _fit_for_sqs(request.text_with_client_token())
    if len(body.encode()) > _MAX_BYTES - _size(attributes):
        attributes["Truncated"] = "true"
        body = body.encode()[: _MAX_BYTES - _size(attributes)].decode(errors="ignore")
    return {"MessageBody": body, "MessageAttributes": _sqs_attributes(attributes)}


def _size(attributes: Mapping[str, str]) -> int:
    return sum(len(name) + len("String") + len(value.encode()) for name, value in attributes.items())


def _fifo(message_group: str, deduplication_id: str) -> dict[str, str]:
    return {"MessageGroupId": message_group, "MessageDeduplicationId": deduplication_id}


def _sqs_attributes(values: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}


def _fit_for_sqs(text: str) -> str:
    """Escape the characters that SQS refuses, so that every message can be copied."""
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
