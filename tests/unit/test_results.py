"""How consumers read results: whatever a rule's target gets, and nothing else."""

from __future__ import annotations

import json
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, assert_type

import pytest

from infra.contract import RESULT_SCHEMA
from infra.results import ErrorCode, MessageResult, NotAResultError, Outcome, ReportedSource, parse_result
from message_sender import errors
from message_sender.request import Correlation
from message_sender.result import Failed, Origin, Rejected, Sent
from message_sender.result import MessageResult as ResultOfTheFunction
from tests.support.result_events import result_detail, result_event

if TYPE_CHECKING:
    from collections.abc import Mapping

SECRET = "the-connection-token"
ERROR_FIELDS = RESULT_SCHEMA["properties"]["Error"]["oneOf"][1]["properties"]


# The contract


def test_the_enums_have_the_values_of_the_schema() -> None:
    assert [*Outcome] == RESULT_SCHEMA["properties"]["Outcome"]["enum"]
    assert [*ErrorCode] == ERROR_FIELDS["Code"]["enum"]
    assert [*ReportedSource] == RESULT_SCHEMA["properties"]["EventSource"]["enum"]


@pytest.mark.parametrize("code", ErrorCode)
def test_a_code_is_retryable_if_its_error_in_the_function_is(code: ErrorCode) -> None:
    error: type[errors.DeliveryError] = getattr(errors, f"{code}Error")

    assert code.is_retryable == issubclass(error, errors.RetryableError)


@pytest.mark.parametrize(
    "outcome",
    [
        Sent(message_id="m-1", absolute_time="2026-01-31T12:00:00.180Z", processing_status="PROCESSING"),
        Sent(message_id=None, absolute_time=None, processing_status=None, is_malformed=True),
        Rejected(errors.ExpiredError("ExpiresAt is past"), maybe_delivered=True),
        Failed(errors.ThrottledError("It is busy")),
    ],
)
def test_a_result_of_the_function_is_read(outcome: Sent | Rejected | Failed) -> None:
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)
    published = ResultOfTheFunction(
        outcome=outcome,
        origin=Origin(event_source="sqs", source_id="s-1", accepted_at=now),
        correlation=Correlation(client_token="t-1", metadata={"order": "4711"}),
        completed_at=now,
        attempts=2,
    )

    result = parse_result(json.dumps(published.detail()))

    assert result.detail == published.detail()
    assert (result.outcome, result.attempts) == (published.detail()["Outcome"], 2)


# Reading


def test_every_field_of_a_sent_message_has_its_type() -> None:
    result = parse_result(result_event(result_detail(Metadata={"order": "4711"})))

    assert_type(result.outcome, Outcome)
    assert_type(result.code, ErrorCode | str | None)
    assert_type(result.event_source, ReportedSource | str)
    assert_type(result.metadata, "Mapping[str, str]")
    assert_type(result.accepted_at, datetime)
    assert result == MessageResult(
        outcome=Outcome.SENT,
        event_source=ReportedSource.SQS,
        source_id="s-1",
        client_token="t-1",
        contact_id="c-1",
        content_type="text/plain",
        accepted_at=datetime(2026, 1, 31, 12, tzinfo=UTC),
        completed_at=datetime(2026, 1, 31, 12, 0, 0, 200_000, tzinfo=UTC),
        receive_count=1,
        attempts=1,
        code=None,
        reason=None,
        http_status=None,
        request_id=None,
        maybe_delivered=False,
        message_id="m-1",
        message_time=datetime(2026, 1, 31, 12, 0, 0, 180_000, tzinfo=UTC),
        processing_status=None,
        metadata={"order": "4711"},
        detail=result_detail(Metadata={"order": "4711"}),
    )
    assert isinstance(result.outcome, Outcome)
    assert hash(result) == hash(parse_result(result_detail(Metadata={"order": "4711"})))


def test_an_error_has_its_code_and_its_facts() -> None:
    error = {
        "Code": "AccessDenied",
        "Reason": "The connection token was refused",
        "HttpStatus": 403,
        "RequestId": "8b0c",
        "MaybeDelivered": True,
    }

    result = parse_result(result_detail("REJECTED", Error=error))

    assert result.code is ErrorCode.ACCESS_DENIED
    assert (result.reason, result.http_status) == ("The connection token was refused", 403)
    assert (result.request_id, result.maybe_delivered) == ("8b0c", True)
    assert (result.message_id, result.message_time, result.processing_status) == (None, None, None)


@pytest.mark.parametrize(
    "value",
    [
        result_event(result_detail()),
        result_detail(),
        json.dumps(result_event(result_detail())),
        json.dumps(result_detail()).encode(),
    ],
    ids=["event", "detail", "text of an event", "bytes of a detail"],
)
def test_a_result_is_read_in_each_form(value: Mapping[str, Any] | str | bytes) -> None:
    assert parse_result(value).client_token == "t-1"


def test_values_of_a_later_version_of_the_sender_are_strings() -> None:
    detail = result_detail("FAILED", code="KeyOfTomorrow", EventSource="kinesis", Tomorrow={"x": 1})

    result = parse_result(result_event(detail))

    assert (result.code, result.event_source) == ("KeyOfTomorrow", "kinesis")
    assert not isinstance(result.code, ErrorCode)
    assert result.detail["Tomorrow"] == {"x": 1}


def test_a_leap_second_of_the_service_is_no_time() -> None:
    message = {"Id": "m-1", "AbsoluteTime": "2026-06-30T23:59:60.000Z", "ProcessingStatus": None}

    result = parse_result(result_detail(Message=message))

    assert (result.message_id, result.message_time) == ("m-1", None)


def test_a_repeat_has_the_same_key_and_another_outcome_has_another() -> None:
    failed = parse_result(result_event(result_detail("FAILED", code="Throttled"), id="e-1"))
    repeat = parse_result(result_event(result_detail("FAILED", code="Throttled"), id="e-2"))
    later = parse_result(result_event(result_detail("SENT")))
    other = parse_result(result_event(result_detail("FAILED", SourceId="s-2")))

    assert failed.deduplication_key == repeat.deduplication_key
    assert len({each.deduplication_key for each in (failed, later, other)}) == 3


# Other events


def without(name: str) -> dict[str, Any]:
    return {field: value for field, value in result_detail().items() if field != name}


@pytest.mark.parametrize("name", RESULT_SCHEMA["required"])
def test_a_field_that_is_missing_is_named(name: str) -> None:
    with pytest.raises(NotAResultError, match=f"^{name} "):
        parse_result(result_event(result_detail()) | {"detail": without(name)})


REQUEST = {"ConnectionToken": SECRET, "Content": SECRET}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (result_event(result_detail(), source=SECRET), "The source of the event is not connect-message"),
        ({"source": "my.backend", "detail-type": "SendMessage Requested", "detail": REQUEST}, "The source"),
        (
            {"source": "connect-message-sender", "detail-type": SECRET, "detail": REQUEST},
            "The detail-type of the event is not one of a result",
        ),
        (result_event(result_detail()) | {"detail": SECRET}, "detail is missing, or has another type"),
        (REQUEST, "Version is missing, or has another type"),
        ({"errorType": "ExpiredError", "errorMessage": SECRET}, "Version is missing"),
        ({"Records": [{"body": SECRET}]}, "Version is missing"),
        (f"not JSON {SECRET}", "The text is not valid JSON"),
        (SECRET.encode("utf-16"), "The text is not valid JSON"),
        ("[" * 100_000, "The text is not valid JSON"),
        (json.dumps([SECRET]), "The value is not a JSON object"),
        (result_detail(Version="2"), "Version is not 1"),
        (result_detail() | {"Outcome": SECRET}, "Outcome is unknown"),
        (result_detail(Message=None), "Message is missing, or has another type"),
        (result_detail("FAILED", Error=None), "Error is missing, or has another type"),
        (result_detail(CompletedAt=SECRET), "CompletedAt is not a time with an offset"),
        (result_detail(AcceptedAt="2026-01-31T12:00:00"), "AcceptedAt is not a time with an offset"),
        (result_detail(Attempts=SECRET), "Attempts is missing, or has another type"),
    ],
)
def test_anything_else_is_refused_and_not_quoted(value: Any, problem: str) -> None:  # noqa: ANN401  # that is the point
    with pytest.raises(NotAResultError, match=problem) as raised:
        parse_result(value)

    assert SECRET not in "".join(traceback.format_exception(raised.value))
    assert raised.value.__context__ is None
