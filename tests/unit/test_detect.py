"""Which event source an event comes from."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_sender.errors import UnsupportedEventError
from message_sender.event_sources import detect
from message_sender.request import SCHEMA
from tests.support.lambda_events import api_request, bus_event, record, request


def test_records_of_a_queue_are_an_sqs_event() -> None:
    assert detect({"Records": [record(request()), record("junk")]}) == "sqs"


def test_one_strange_record_makes_the_event_none_of_sqs() -> None:
    with pytest.raises(UnsupportedEventError):
        detect({"Records": [record(request()), {"eventSource": "aws:kinesis"}]})


@pytest.mark.parametrize("field", ["ConnectionToken", "Content", "ContentType", "ClientToken", "Metadata"])
def test_an_object_with_a_field_of_the_request_is_a_direct_invocation(field: str) -> None:
    assert detect({field: None}) == "direct"


@pytest.mark.parametrize(
    "missing", ["messageId", "receiptHandle", "body", "attributes", "eventSource", "eventSourceARN"]
)
def test_a_record_without_what_sqs_always_gives_is_no_sqs_event(missing: str) -> None:
    broken = {name: value for name, value in record(request()).items() if name != missing}

    with pytest.raises(UnsupportedEventError):
        detect({"Records": [broken]})


@pytest.mark.parametrize("message_id", ["", "\ud800", "é", 7])
def test_a_record_whose_id_is_none_is_no_sqs_event(message_id: object) -> None:
    with pytest.raises(UnsupportedEventError):
        detect({"Records": [record(request()) | {"messageId": message_id}]})


@pytest.mark.parametrize("group", ["", None, ["chat-1"]])
def test_a_record_whose_group_is_none_is_no_sqs_event(group: object) -> None:
    broken = record(request())
    broken["attributes"]["MessageGroupId"] = group

    with pytest.raises(UnsupportedEventError):
        detect({"Records": [broken]})


@pytest.mark.parametrize("attribute", ["SentTimestamp", "ApproximateReceiveCount"])
@pytest.mark.parametrize("value", ["", "x", "-1", None, 7, "9" * 14, "٣"])
def test_a_record_whose_numbers_are_none_is_no_sqs_event(attribute: str, value: object) -> None:
    broken = record(request())
    broken["attributes"][attribute] = value

    with pytest.raises(UnsupportedEventError):
        detect({"Records": [broken]})


def test_a_record_that_was_never_received_is_no_sqs_event() -> None:
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
def test_other_events_are_refused_with_a_list_of_what_is_accepted(event: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedEventError) as raised:
        detect(event)

    for accepted in (
        "an SQS event (Records with eventSource aws:sqs)",
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
def test_an_event_without_what_eventbridge_always_gives_is_refused(field: str, value: object) -> None:
    with pytest.raises(UnsupportedEventError):
        detect(bus_event(request()) | {field: value})


@pytest.mark.parametrize(("field", "value"), [("body", {}), ("requestContext", None), ("requestContext", {}),
                                             ("requestContext", {"extendedRequestId": ""})])  # fmt: skip
def test_a_request_without_what_api_gateway_always_gives_is_refused(field: str, value: object) -> None:
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
def test_an_event_of_two_sources_is_refused(first: str, second: str) -> None:
    with pytest.raises(UnsupportedEventError):
        detect(SOURCES[first] | SOURCES[second])


@pytest.mark.parametrize("source", sorted(SOURCES.keys() - {"direct"}))
@pytest.mark.parametrize("field", sorted(SCHEMA["properties"]))
def test_an_event_with_a_field_of_a_request_is_refused(source: str, field: str) -> None:
    with pytest.raises(UnsupportedEventError):
        detect(SOURCES[source] | {field: None})


@pytest.mark.parametrize("source", sorted(SOURCES.keys() - {"sqs"}))
@pytest.mark.parametrize("records", [None, [], [record(request())]])
def test_an_event_with_records_of_a_queue_is_of_no_other_source(source: str, records: object) -> None:
    with pytest.raises(UnsupportedEventError):
        detect(SOURCES[source] | {"Records": records})


def test_an_sqs_event_has_records_and_nothing_else() -> None:
    with pytest.raises(UnsupportedEventError):
        detect(SOURCES["sqs"] | {"Comment": "from the state machine"})


@pytest.mark.parametrize("value", ["two words", "a\nb", "a\x7fb", "é", "x" * 2049])
def test_an_id_is_visible_ascii(value: str) -> None:
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
