"""The handler with events of the event bus."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from message_sender.errors import (
    AwsCallError,
    DeadlineExceededError,
    ResultNotPublishedError,
    ThrottledError,
)
from message_sender.request import derive_client_token
from sandbox.participant_service.faults import AcceptedThenCut, Status
from tests.support.lambda_events import (
    TEXT,
    FakeLambdaContext,
    attribute_values,
    bus_event,
    received,
    record,
)
from tests.support.limits import TOO_LONG
from tests.support.logs import log_lines

if TYPE_CHECKING:
    from tests.functional.conftest import Function


EVENT_ID = "6a7e8feb-b491-4cf7-a9f1-bf3703467718"
ORIGIN = {"EventSource": "eventbridge", "SourceId": EVENT_ID, "AcceptedAt": "2026-01-31T12:00:00+00:00"}


def test_the_message_of_an_event_reaches_its_chat(function: Function) -> None:
    chat = function.start_chat()
    event = bus_event(chat.request())

    function(event)

    assert chat.texts == [TEXT]
    [result] = function.aws.results
    assert result["EventSource"] == "eventbridge"
    assert result["SourceId"] == event["id"]
    assert result["AcceptedAt"] == "2026-01-31T12:00:00.000Z"
    assert result["ClientToken"] == derive_client_token("eventbridge", event["id"])


def test_a_repeated_event_is_one_message(function: Function) -> None:
    chat = function.start_chat()
    event = bus_event(chat.request())

    function(event)
    function(event)

    assert chat.texts == [TEXT]


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, False),
        (8, False),
        (10, True),
        (15, True),
        (61, True),
        (150, True),
        (-5, True),
        (-300, True),
        (-10_800, True),
    ],
)
def test_an_event_may_be_delivered_if_lambda_may_repeat_it(
    function: Function, age: float, expected: bool
) -> None:
    """Lambda repeats a failed invocation after a minute at the earliest, and does not report it.

    An event from the future may be a repeat too: its producer sets the time.
    """
    time = datetime.now(UTC) - timedelta(seconds=age)
    event = bus_event(function.start_chat().request(ConnectionToken="refused")) | {"time": time.isoformat()}

    function(event)

    [result] = function.aws.results
    assert result["Error"]["MaybeDelivered"] is expected


def test_an_enqueued_message_of_a_repeated_event_may_be_delivered(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Status(status=429), times=3)
    time = datetime.now(UTC) - timedelta(seconds=90)

    function(bus_event(chat.request()) | {"time": time.isoformat()})

    [message] = function.aws.messages
    assert message["MessageAttributes"]["MaybeDelivered"]["StringValue"] == "true"


@pytest.mark.parametrize(
    "ahead", [timedelta(seconds=1), timedelta(seconds=300), timedelta(hours=3), timedelta(days=365_000)]
)
def test_an_event_from_the_future_counts_as_accepted_now_and_keeps_its_origin(
    function: Function, ahead: timedelta
) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Status(status=503), times=3)
    before = datetime.now(UTC)

    event = bus_event(chat.request()) | {"time": (before + ahead).isoformat()}
    function(event)
    function.batch(received(function.aws.messages[0]))

    [result] = function.aws.results
    assert (result["EventSource"], result["SourceId"]) == ("eventbridge", event["id"])
    assert result["AcceptedAt"] <= result["CompletedAt"]
    assert datetime.fromisoformat(result["AcceptedAt"]) >= before - timedelta(milliseconds=1)


@pytest.mark.parametrize("time", ["1970-01-01T00:00:00Z", "0001-01-02T00:00:00+14:00"])
def test_an_event_from_long_ago_keeps_its_origin(function: Function, time: str) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Status(status=503), times=3)

    event = bus_event(chat.request()) | {"time": time}
    function(event)
    function.batch(received(function.aws.messages[0]))

    [result] = function.aws.results
    assert (result["EventSource"], result["SourceId"]) == ("eventbridge", event["id"])
    assert datetime.fromisoformat(result["AcceptedAt"]) == datetime.fromisoformat(time)


def test_an_event_that_is_nested_too_deeply_is_rejected_at_every_depth(function: Function) -> None:
    """Python 3.11 can read an object that is nested some 990 levels deep, but not write it."""
    detail: dict[str, Any] = {}
    for depth in range(1, 1010):
        detail = {"a": detail}
        if depth in {65, *range(930, 1010)}:
            function(bus_event(detail))

    reasons = [result["Error"]["Reason"] for result in function.aws.results]
    assert reasons == ["The request is nested more than 64 levels deep"] * 81


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"Content": TOO_LONG}, "InvalidRequest"), ({"ConnectionToken": "unknown"}, "AccessDenied")],
)
def test_a_rejected_message_is_copied_and_published(
    function: Function, fields: dict[str, Any], code: str
) -> None:
    chat = function.start_chat()
    accepted_at = datetime.now(UTC)
    event = bus_event(chat.request(**fields)) | {"time": accepted_at.isoformat()}

    function(event)

    [copy] = function.aws.messages
    client_token = derive_client_token("eventbridge", event["id"])
    assert json.loads(copy["MessageBody"]) == event["detail"] | {"ClientToken": client_token}
    assert attribute_values(copy) == {
        "Code": code,
        "ClientToken": client_token,
        "EventSource": "eventbridge",
        "SourceId": event["id"],
        "AcceptedAt": accepted_at.isoformat(),
        "MaybeDelivered": "false",
    }
    [result] = function.aws.results
    assert result["Error"]["Code"] == code


def test_a_deferred_message_is_enqueued_for_retry_and_keeps_its_identity(function: Function) -> None:
    chat = function.start_chat()
    event = bus_event(chat.request(ContactId=chat.contact_id, Metadata={"order": "4711"}))
    function.participant.faults.add(Status(status=429, retry_after_ms=1), times=3)

    function(event)
    [message] = function.aws.messages
    published_before = list(function.aws.events)
    failed = function.batch(received(message))

    assert published_before == []
    assert failed == []
    assert message["QueueUrl"].endswith("/messages.fifo")
    assert message["MessageGroupId"] == chat.contact_id
    assert re.fullmatch(r"[0-9a-f]{64}", message["MessageDeduplicationId"])
    [result] = function.aws.results
    assert result["Outcome"] == "SENT"
    assert result["EventSource"] == "eventbridge"
    assert result["SourceId"] == event["id"]
    assert result["AcceptedAt"] == "2026-01-31T12:00:00.000Z"
    assert result["ClientToken"] == derive_client_token("eventbridge", event["id"])


def test_an_event_with_the_id_of_another_does_not_replace_it_in_the_queue(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Status(status=503), times=None)
    event, forged = bus_event(chat.request()), bus_event(chat.request(Content="forged"))

    for each in (event, forged, event):
        function(each)

    first, other, again = (message["MessageDeduplicationId"] for message in function.aws.messages)
    assert event["id"] == forged["id"]
    assert first == again != other


def test_a_message_that_was_accepted_before_it_was_enqueued_is_in_the_chat_once(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(AcceptedThenCut(), times=3)

    function(bus_event(chat.request()))
    function.batch(received(function.aws.messages[0]))

    assert chat.texts == [TEXT]


def test_the_group_of_a_message_without_a_contact_is_a_hash_of_the_token(function: Function) -> None:
    chat, other = function.start_chat(), function.start_chat()
    function.participant.faults.add(Status(status=503), times=None)

    for number, each in enumerate((chat, chat, other)):
        function(bus_event(each.request(), event_id=f"e-{number}"))

    first, second, third = (message["MessageGroupId"] for message in function.aws.messages)
    assert first == second != third
    assert chat.connection_token not in first
    assert re.fullmatch(r"[0-9a-f]{64}", first)


def test_a_message_that_cannot_be_enqueued_raises_its_error(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Status(status=429, retry_after_ms=1), times=None)
    function.aws.failures["SendMessage"] = [400]

    with pytest.raises(ThrottledError):
        function(bus_event(chat.request()))

    assert function.aws.events == []


@pytest.mark.parametrize(
    "attributes",
    [
        {"EventSource": "eventbridge"},
        {"EventSource": "eventbridge", "SourceId": "", "AcceptedAt": "2026-01-31T12:00:00+00:00"},
        {"EventSource": "eventbridge", "SourceId": EVENT_ID, "AcceptedAt": "noon"},
        {"EventSource": "eventbridge", "SourceId": EVENT_ID, "AcceptedAt": "2026-01-31T12:00:00"},
        {"EventSource": "mine", "SourceId": EVENT_ID, "AcceptedAt": "2026-01-31T12:00:00+00:00"},
        {"SourceId": EVENT_ID},
        {"EventSource": "eventbridge", "AcceptedAt": "2026-01-31T12:00:00+00:00"},
        ORIGIN | {"SourceId": "My-PIN-is-4711"},
        ORIGIN | {"SourceId": f"{EVENT_ID} "},
        ORIGIN | {"SourceId": "two words"},
        ORIGIN | {"AcceptedAt": "9999-12-31T23:59:59-14:00"},
        ORIGIN | {"AcceptedAt": "0001-01-01T00:00:00+14:00"},
        ORIGIN | {"AcceptedAt": "9999-01-01T00:00:00+00:00"},
    ],
)
def test_forged_attributes_are_ignored_and_affect_no_other_chat(
    function: Function, attributes: dict[str, str]
) -> None:
    chat, other = function.start_chat(), function.start_chat()
    message = record(chat.request(), group="mine", attributes=attributes)

    failed = function.batch(message, record(other.request(), group="other"))

    assert failed == []
    origins = {(result["EventSource"], result["SourceId"]) for result in function.aws.results}
    assert ("sqs", message["messageId"]) in origins
    assert other.texts == [TEXT]


def test_malformed_attributes_are_ignored(function: Function) -> None:
    chat = function.start_chat()
    message = record(chat.request())
    message["messageAttributes"] = {"EventSource": "text", "SourceId": {"stringValue": 7}, "AcceptedAt": None}

    assert function.batch(message) == []


def test_a_message_that_may_be_delivered_when_it_is_enqueued_reports_it(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(AcceptedThenCut(), times=3)
    function(bus_event(chat.request()))
    function.participant.service.end_chat(chat.contact_id)

    function.batch(received(function.aws.messages[0]))

    [result] = function.aws.results
    assert result["Error"]["Code"] == "AccessDenied"
    assert result["Error"]["MaybeDelivered"] is True


def test_the_retry_window_of_an_enqueued_message_starts_in_the_queue(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Status(status=503), times=None)
    function(bus_event(chat.request()) | {"time": "2020-01-01T00:00:00Z"})
    message = received(function.aws.messages[0])

    failed = function.batch(message)

    assert failed == [message["messageId"]]


def test_an_enqueued_message_counts_for_the_queue(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.batch(record("junk", attributes=ORIGIN))

    emitted = [line for line in log_lines(capsys) if "_aws" in line]
    assert {line["EventSource"] for line in emitted if "Code" not in line} == {"sqs"}


def test_a_failed_copy_raises_before_a_result_is_published(function: Function) -> None:
    function.aws.failures["SendMessage"] = [400]

    with pytest.raises(AwsCallError):
        function(bus_event({}))

    assert function.aws.events == []


def test_a_result_that_is_neither_published_nor_kept_raises(function: Function) -> None:
    chat = function.start_chat()
    function.aws.failures = {"PutEvents": [500] * 3, "SendMessageBatch": [500] * 3}

    with pytest.raises(ResultNotPublishedError):
        function(bus_event(chat.request()))


def test_a_message_without_time_for_an_attempt_is_enqueued(function: Function) -> None:
    chat = function.start_chat()

    function(bus_event(chat.request()), FakeLambdaContext(seconds_left=8))

    assert chat.texts == []
    assert len(function.aws.messages) == 1


def test_an_event_without_time_for_any_call_raises(function: Function) -> None:
    chat = function.start_chat()

    with pytest.raises(DeadlineExceededError):
        function(bus_event(chat.request()), FakeLambdaContext(seconds_left=3))

    assert chat.texts == []
    assert function.aws.messages == []
