"""Which event source an event comes from."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_sender.errors import UnsupportedEventError
from message_sender.event_sources import detect
from tests.support.lambda_events import record, request


def test_records_of_a_queue_are_an_sqs_event() -> None:
    assert detect({"Records": [record(request()), record("junk")]}) == "sqs"


@pytest.mark.parametrize("field", ["ConnectionToken", "Content", "ContentType", "ClientToken", "Metadata"])
def test_an_object_with_a_field_of_the_request_is_a_direct_invocation(field: str) -> None:
    assert detect({field: None}) == "direct"


@pytest.mark.parametrize("missing", ["messageId", "body", "attributes", "eventSource", "eventSourceARN"])
def test_a_record_without_what_sqs_always_gives_is_no_sqs_event(missing: str) -> None:
    broken = {name: value for name, value in record(request()).items() if name != missing}

    with pytest.raises(UnsupportedEventError):
        detect({"Records": [broken]})


@pytest.mark.parametrize("attribute", ["SentTimestamp", "ApproximateReceiveCount"])
@pytest.mark.parametrize("value", ["", "x", "-1", None, 7, "9" * 14])
def test_a_record_whose_numbers_are_none_is_no_sqs_event(attribute: str, value: object) -> None:
    broken = record(request())
    broken["attributes"][attribute] = value

    with pytest.raises(UnsupportedEventError):
        detect({"Records": [broken]})


@pytest.mark.parametrize(
    "event",
    [
        {"Records": [{"EventSource": "aws:sns", "Sns": {}}]},
        {"source": "aws.s3", "detail-type": "Object Created", "detail": {}},
        {"httpMethod": "POST", "body": "{}", "requestContext": {}},
    ],
    ids=["sns", "eventbridge", "api gateway"],
)
def test_other_events_are_refused_with_a_list_of_what_is_accepted(event: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedEventError) as raised:
        detect(event)

    assert "an SQS event (Records with eventSource aws:sqs)" in str(raised.value)
    assert "a direct invocation (a JSON object with ConnectionToken, ContentType, Content)" in str(
        raised.value
    )


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
    assert source in {"sqs", "direct"}
