"""The result event."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from jsonschema import Draft7Validator

from message_sender.errors import (
    AccessDeniedError,
    InvalidRequestError,
    RejectedError,
    RetryableError,
    ThrottledError,
)
from message_sender.request import Correlation
from message_sender.result import Failed, MessageResult, Origin, Outcome, Rejected, Sent
from tests.support.schemas import RESULT_SCHEMA

SENT = Sent(message_id="m-1", absolute_time="2026-01-31T12:00:00.500Z", processing_status="PROCESSING")


def result(outcome: Outcome, *, receive_count: int = 1) -> MessageResult:
    return MessageResult(
        outcome=outcome,
        origin=Origin(
            event_source="sqs",
            source_id="s-1",
            accepted_at=datetime(2026, 1, 31, 13, 0, 0, 4567, tzinfo=timezone(timedelta(hours=1))),
            receive_count=receive_count,
        ),
        correlation=Correlation(
            client_token="t-1", contact_id="c-1", content_type="text/plain", metadata={"order": "4711"}
        ),
        completed_at=datetime(2026, 1, 31, 12, 0, 1, tzinfo=UTC),
        attempts=2,
    )


def test_the_result_of_a_sent_message_has_every_field() -> None:
    sent = result(SENT)

    assert sent.detail_type == "Message Sent"
    assert sent.detail() == {
        "Version": "1",
        "Outcome": "SENT",
        "ClientToken": "t-1",
        "ContactId": "c-1",
        "ContentType": "text/plain",
        "EventSource": "sqs",
        "SourceId": "s-1",
        "AcceptedAt": "2026-01-31T12:00:00.004Z",
        "CompletedAt": "2026-01-31T12:00:01.000Z",
        "ReceiveCount": 1,
        "Attempts": 2,
        "Message": {
            "Id": "m-1",
            "AbsoluteTime": "2026-01-31T12:00:00.500Z",
            "ProcessingStatus": "PROCESSING",
        },
        "Error": None,
        "Metadata": {"order": "4711"},
    }


def test_the_result_of_a_rejected_message_has_an_error() -> None:
    rejected = result(Rejected(AccessDeniedError("refused", http_status=403, request_id="r-1")))

    assert rejected.detail_type == "Message Rejected"
    assert rejected.detail()["Message"] is None
    assert rejected.detail()["Error"] == {
        "Code": "AccessDenied",
        "Reason": "refused",
        "HttpStatus": 403,
        "RequestId": "r-1",
        "MaybeDelivered": False,
    }


def test_the_result_of_a_failed_message_has_an_error() -> None:
    failed = result(Failed(ThrottledError("slow down", http_status=429)))

    assert failed.detail_type == "Message Failed"
    assert failed.detail()["Outcome"] == "FAILED"
    assert failed.detail()["Error"]["Code"] == "Throttled"


@pytest.mark.parametrize(
    ("outcome", "receive_count", "expected"),
    [
        (Rejected(AccessDeniedError("refused")), 1, False),
        (Rejected(AccessDeniedError("refused")), 2, True),
        (Rejected(AccessDeniedError("refused"), maybe_delivered=True), 1, True),
        (Rejected(InvalidRequestError("Content is required")), 2, False),
    ],
)
def test_a_redelivered_message_may_be_delivered_unless_it_is_invalid(
    outcome: Outcome, receive_count: int, expected: bool
) -> None:
    assert result(outcome, receive_count=receive_count).detail()["Error"]["MaybeDelivered"] is expected


PARTS = tuple(
    Sent(message_id=f"m-{number}", absolute_time="2026-01-31T12:00:00.000Z", processing_status=None)
    for number in (1, 2)
)


def test_the_result_of_a_message_in_parts_names_each() -> None:
    message = result(replace(PARTS[1], parts=PARTS)).detail()["Message"]

    assert message["Id"] == "m-2"
    assert message["Parts"] == [
        {"Id": "m-1", "AbsoluteTime": "2026-01-31T12:00:00.000Z"},
        {"Id": "m-2", "AbsoluteTime": "2026-01-31T12:00:00.000Z"},
    ]
    assert "Parts" not in result(SENT).detail()["Message"]


@pytest.mark.parametrize("parts_delivered", [0, 9])
def test_the_result_of_a_message_that_ended_after_some_parts_counts_them(parts_delivered: int) -> None:
    failed = result(Failed(ThrottledError("slow down"), parts_delivered=parts_delivered))

    assert failed.detail()["Error"]["PartsDelivered"] == parts_delivered
    assert failed.parts_delivered == parts_delivered
    assert "PartsDelivered" not in result(Failed(ThrottledError("slow down"))).detail()["Error"]


OUTCOMES: list[Outcome] = [
    replace(SENT, parts=PARTS),
    Rejected(AccessDeniedError("reason"), maybe_delivered=True, parts_delivered=9),
    SENT,
    *(Rejected(error("reason")) for error in RejectedError.__subclasses__()),
    *(Failed(error("reason")) for error in RetryableError.__subclasses__()),
]


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: repr(outcome)[:40])
def test_every_result_matches_the_schema(outcome: Outcome) -> None:
    Draft7Validator(RESULT_SCHEMA).validate(result(outcome).detail())
