"""Detection of the event source."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.timing import BATCH_SIZE
from message_sender.errors import UnsupportedEventError
from message_sender.event_sources import detect
from message_sender.schema import SCHEMA
from tests.support.lambda_events import api_request, bus_event, record, request


def test_an_event_with_sqs_records_is_an_sqs_event() -> None:
    assert detect({"Records": [record(request()), record("junk")]}) == "sqs"


def test_an_event_with_one_record_of_another_source_is_refused() -> None:
    with pytest.raises(UnsupportedEventError):
        detect({"Records": [record(request()), {"eventSource": "aws:kinesis"}]})


def test_more_records_than_a_batch_can_have_are_refused() -> None:
    assert detect({"Records": [record(request())] * BATCH_SIZE}) == "sqs"
    with pytest.raises(UnsupportedEventError):
        detect({"Records": [record(request())] * (BATCH_SIZE + 1)})


@pytest.mark.parametrize("field", ["ConnectionToken", "Content", "ContentType", "ClientToken", "Metadata"])
def test_an_object_with_a_field_of_the_request_is_a_direct_invocation(field: str) -> None:
    assert detect({field: None}) == "direct"


@pytest.mark.parametrize(
    "missing", ["messageId", "receiptHandle", "body", "attributes", "eventSource", "eventSourceARN"]
)
def test_a_record_without_a_field_that_sqs_always_sets_is_refused(missing: str) -> None:
    broken = {name: value for name, value in record(request()).items() if name != missing}

    with pytest.raises(UnsupportedEventError):
        detect({"Records": [broken]})


@pytest.mark.parametrize("message_id", ["", "\ud800", "é", 7])
def test_a_record_with_a_malformed_id_is_refused(message_id: object) -> None:
    with pytest.raises(UnsupportedEventError):
        detect({"Records": [record(request()) | {"messageId": message_id}]})


@pytest.mark.parametrize("group", ["", None, ["chat-1"]])
def test_a_record_with_a_malformed_group_is_refused(group: object) -> None:
    broken = record(request())
    broken["attributes"]["MessageGroupId"] = group

    with pytest.raises(UnsupportedEventError):
        detect({"Records": [broken]})


@pytest.mark.parametrize("attribute", ["SentTimestamp", "ApproximateReceiveCount"])
@pytest.mark.parametrize("value", ["", "x", "-1", None, 7, "9" * 14, "٣"])
def test_a_record_with_a_malformed_number_is_refused(attribute: str, value: object) -> None:
    broken = record(request())
    broken["attributes"][attribute] = value

    with pytest.raises(UnsupportedEventError):
        detect({"Records": [broken]})


def test_a_record_with_a_receive_count_of_zero_is_refused() -> None:
    with pytest.raises(UnsupportedEventError):
        detect({"Records": [record(request(), receive_count=0)]})


@pytest.mark.parametrize(
    "event",
    [
        {"Records": [{"EventSource": "aws:sns", "Sns": {}}]},
        {
            "source": "aws.s3",
            "detail-type": "Object Created",
            "detail": {},
            "id": "e",
            "time": "2026-01-31T12:00:00Z",
        },
        {"version": "2.0", "routeKey": "POST /", "body": "{}", "requestContext": {"http": {}}},
    ],
    ids=["sns", "another detail-type", "an HTTP API"],
)
def test_the_error_of_an_unknown_event_lists_the_accepted_events(event: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedEventError) as raised:
        detect(event)

    for accepted in (
        "an SQS event (at most 10 Records with eventSource aws:sqs)",
        "an EventBridge event (detail-type SendMessage Requested)",
        "an API Gateway REST API request (httpMethod and requestContext)",
        "a direct invocation (a JSON object with ConnectionToken, ContentType, Content)",
    ):
        assert accepted in str(raised.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", None),
        ("id", ""),
        ("id", "\ud800"),
        ("time", "noon"),
        ("time", "2026-01-31"),
        ("time", "0001-01-01T00:00:00+14:00"),
        ("detail", "x"),
    ],
)
def test_an_event_without_a_field_that_eventbridge_always_sets_is_refused(field: str, value: object) -> None:
    with pytest.raises(UnsupportedEventError):
        detect(bus_event(request()) | {field: value})


@pytest.mark.parametrize(("field", "value"), [("body", {}), ("requestContext", None), ("requestContext", {}),
                                             ("requestContext", {"extendedRequestId": ""})])  # fmt: skip
def test_a_request_without_a_field_that_api_gateway_always_sets_is_refused(field: str, value: object) -> None:
    with pytest.raises(UnsupportedEventError):
        detect(api_request(request()) | {field: value})


def test_an_event_of_the_bus_is_an_eventbridge_event() -> None:
    assert detect(bus_event(request())) == "eventbridge"
    assert detect(bus_event({})) == "eventbridge"


def test_a_proxy_event_of_a_rest_api_is_an_api_request() -> None:
    assert detect(api_request(request())) == "api_gateway"
    assert detect(api_request(None)) == "api_gateway"


SOURCES: dict[str, dict[str, Any]] = {
    "sqs": {"Records": [record(request())]},
    "eventbridge": bus_event(request()),
    "api_gateway": api_request(request()),
    "direct": request(ClientToken="t-1"),
}


@pytest.mark.parametrize(("first", "second"), list(permutations(SOURCES, 2)))
def test_an_event_with_the_marks_of_two_sources_is_refused(first: str, second: str) -> None:
    with pytest.raises(UnsupportedEventError):
        detect(SOURCES[first] | SOURCES[second])


@pytest.mark.parametrize("source", sorted(SOURCES.keys() - {"direct"}))
@pytest.mark.parametrize("field", sorted(SCHEMA["properties"]))
def test_an_event_with_a_field_of_a_request_is_refused(source: str, field: str) -> None:
    with pytest.raises(UnsupportedEventError):
        detect(SOURCES[source] | {field: None})


@pytest.mark.parametrize("source", sorted(SOURCES.keys() - {"sqs"}))
@pytest.mark.parametrize("records", [None, [], [record(request())]])
def test_an_event_of_another_source_with_sqs_records_is_refused(source: str, records: object) -> None:
    with pytest.raises(UnsupportedEventError):
        detect(SOURCES[source] | {"Records": records})


def test_an_sqs_event_with_another_field_is_refused() -> None:
    with pytest.raises(UnsupportedEventError):
        detect(SOURCES["sqs"] | {"Comment": "from the state machine"})


@pytest.mark.parametrize("value", ["two words", "a\nb", "a\x7fb", "é", "x" * 2049])
def test_an_id_with_other_than_visible_ascii_characters_is_refused(value: str) -> None:
    for event in (
        {"Records": [record(request()) | {"messageId": value}]},
        bus_event(request()) | {"id": value},
        api_request(request()) | {"requestContext": {"extendedRequestId": value}},
    ):
        with pytest.raises(UnsupportedEventError):
            detect(event)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["Records", "eventSource"]) | st.text(), inner)
    ),
    max_leaves=6,
)


@given(JSON)
def test_any_event_is_detected_or_refused(event: object) -> None:
    try:
        source = detect(event)
    except UnsupportedEventError:
        return
    assert source in {"sqs", "eventbridge", "direct", "api_gateway"}
