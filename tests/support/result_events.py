"""Results as the function publishes them."""

from __future__ import annotations

from typing import Any

from infra.results import MessageResult, parse_result


def result_detail(outcome: str = "SENT", *, code: str | None = None, **fields: object) -> dict[str, Any]:
    """Return the detail of a result, changed by `fields`. It is Expired unless `code` says another error."""
    message = {"Id": "m-1", "AbsoluteTime": "2026-01-31T12:00:00.180Z", "ProcessingStatus": None}
    error = {
        "Code": code or "Expired",
        "Reason": "ExpiresAt is past",
        "HttpStatus": None,
        "RequestId": None,
        "MaybeDelivered": False,
    }
    return {
        "Version": "1",
        "Outcome": outcome,
        "ClientToken": "t-1",
        "ContactId": "c-1",
        "ContentType": "text/plain",
        "EventSource": "sqs",
        "SourceId": "s-1",
        "AcceptedAt": "2026-01-31T12:00:00.000Z",
        "CompletedAt": "2026-01-31T12:00:00.200Z",
        "ReceiveCount": 1,
        "Attempts": 1,
        "Message": message if outcome == "SENT" else None,
        "Error": None if outcome == "SENT" else error,
        "Metadata": {},
        **fields,
    }


def result_event(detail: dict[str, Any], **fields: object) -> dict[str, Any]:
    """Return the event that EventBridge passes to a target, changed by `fields`."""
    return {
        "version": "0",
        "id": "e-1",
        "source": "connect-message-sender",
        "detail-type": f"Message {detail['Outcome'].title()}",
        "detail": detail,
        **fields,
    }


def published_result(outcome: str = "SENT", *, code: str | None = None, **fields: object) -> MessageResult:
    return parse_result(result_detail(outcome, code=code, **fields))
