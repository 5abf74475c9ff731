"""The queues that the function writes to: copies, retries, origins."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from message_sender.errors import AwsCallError, InvalidRequestError, ThrottledError
from message_sender.queues import is_redriven, origin_attributes, read_origin, string_attributes
from message_sender.request import MAX_TEXT, Correlation, parse_request
from message_sender.result import Failed, Origin, Rejected
from tests.support.fakes import START, FakeAwsApi, FakeClock, accepting_queue, make_queues, result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from message_sender.result import EventSource

DOWN = AwsCallError("SendMessage", name="InternalFailure", http_status=500)
WRONG = AwsCallError("SendMessage", name="InvalidParameterValue", http_status=400)
REJECTED = Rejected(InvalidRequestError("Content is required"))


def copy(
    api: FakeAwsApi,
    *,
    seconds: float = 60.0,
    client_token: str = "t-1",
    message_group: str | None = "g-1",
    body: str = "junk",
) -> None:
    clock = FakeClock()
    queues = make_queues(api, clock)
    result = result_of(REJECTED, correlation=Correlation(client_token=client_token))
    request = parse_request(body, client_token=client_token)
    queues.copy_to_rejected(request, result, message_group=message_group, until=clock.monotonic() + seconds)


def text_attributes(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return the attributes of a message, which all have the data type of text."""
    attributes = parameters["MessageAttributes"]
    assert attributes == {
        name: {"DataType": "String", "StringValue": value["StringValue"]}
        for name, value in attributes.items()
    }
    return {name: value["StringValue"] for name, value in attributes.items()}


def test_a_rejected_message_is_copied_with_its_code_its_ids_and_its_origin() -> None:
    api = FakeAwsApi(accepting_queue)

    copy(api, body='{"Content": "Hello"}')

    [(operation, sent)] = api.calls
    assert operation == "SendMessage"
    assert set(sent) == {"QueueUrl", "MessageBody", "MessageAttributes"}
    assert sent["QueueUrl"] == "rejected"
    assert sent["MessageBody"] == '{"Content": "Hello", "ClientToken": "t-1"}'
    assert text_attributes(sent) == {
        "Code": "InvalidRequest",
        "ClientToken": "t-1",
        "MessageGroupId": "g-1",
        "EventSource": "sqs",
        "SourceId": "s-1",
        "AcceptedAt": "2026-01-31T12:00:00+00:00",
        "MaybeDelivered": "false",
    }


def test_a_dead_letter_has_a_group_a_deduplication_id_and_the_facts_of_its_failure() -> None:
    api, clock = FakeAwsApi(accepting_queue), FakeClock()
    outcome = Failed(ThrottledError("slow down"), maybe_delivered=True, parts_delivered=2)
    request = parse_request("{}", client_token="t-1")
    in_tokyo = START.astimezone(timezone(timedelta(hours=9)))

    make_queues(api, clock).copy_to_dead_letters(
        request,
        result_of(outcome, origin=EVENT_ORIGIN),
        message_group="c-1",
        message_id="m-1",
        queued_at=in_tokyo,
        until=clock.monotonic() + 60,
    )

    [(operation, sent)] = api.calls
    assert operation == "SendMessage"
    assert (sent["QueueUrl"], sent["MessageBody"]) == ("dead-letters", '{"ClientToken": "t-1"}')
    assert (sent["MessageGroupId"], sent["MessageDeduplicationId"]) == ("c-1", "m-1")
    assert text_attributes(sent) == {
        "Code": "Throttled",
        "ClientToken": "t-1",
        "MessageGroupId": "c-1",
        "PartsDelivered": "2",
        "QueuedAt": "2026-01-31T12:00:00+00:00",
        "EventSource": "eventbridge",
        "SourceId": EVENT_ORIGIN.source_id,
        "AcceptedAt": "2026-01-31T12:00:00+00:00",
        "MaybeDelivered": "true",
    }


@pytest.fixture
def _machine_in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_machine_in_tokyo")
def test_the_times_of_a_copy_are_in_utc_on_any_machine() -> None:
    api, clock = FakeAwsApi(accepting_queue), FakeClock()

    make_queues(api, clock).copy_to_dead_letters(
        parse_request("{}", client_token="t-1"),
        result_of(Failed(ThrottledError("slow down")), origin=EVENT_ORIGIN),
        message_group="c-1",
        message_id="m-1",
        queued_at=START,
        until=clock.monotonic() + 60,
    )

    attributes = text_attributes(api.calls[0][1])
    assert attributes["QueuedAt"] == attributes["AcceptedAt"] == "2026-01-31T12:00:00+00:00"


@pytest.mark.parametrize(
    ("redriven", "more"), [({}, {}), ({"redriven": False}, {}), ({"redriven": True}, {"Redriven": "true"})]
)
def test_a_message_that_is_enqueued_for_retry_keeps_its_origin(
    redriven: dict[str, bool], more: dict[str, str]
) -> None:
    api, clock = FakeAwsApi(accepting_queue), FakeClock()

    make_queues(api, clock).enqueue_for_retry(
        parse_request("{}", client_token="t-1"),
        origin=EVENT_ORIGIN,
        message_group="c-1",
        deduplication_id="d-1",
        until=clock.monotonic() + 60,
        **redriven,
    )

    [(operation, sent)] = api.calls
    assert operation == "SendMessage"
    assert (sent["QueueUrl"], sent["MessageBody"]) == ("messages", '{"ClientToken": "t-1"}')
    assert (sent["MessageGroupId"], sent["MessageDeduplicationId"]) == ("c-1", "d-1")
    assert text_attributes(sent) == {
        "EventSource": "eventbridge",
        "SourceId": EVENT_ORIGIN.source_id,
        "AcceptedAt": "2026-01-31T12:00:00+00:00",
        "MaybeDelivered": "false",
        **more,
    }


def test_a_copy_is_retried_after_a_transient_failure() -> None:
    api = FakeAwsApi(accepting_queue, [DOWN, DOWN])

    copy(api)

    assert len(api.calls) == 3


@pytest.mark.parametrize(("failure", "calls"), [(DOWN, 3), (WRONG, 1)])
def test_a_copy_that_cannot_be_made_raises_an_error(failure: AwsCallError, calls: int) -> None:
    api = FakeAwsApi(accepting_queue, [failure] * 3)

    with pytest.raises(AwsCallError):
        copy(api)

    assert len(api.calls) == calls


def test_a_copy_without_time_for_the_call_is_not_started() -> None:
    api = FakeAwsApi(accepting_queue)

    with pytest.raises(AwsCallError, match=r"^SendMessage failed: DeadlineExceeded"):
        copy(api, seconds=2.9)

    assert api.calls == []


def test_a_copy_without_a_group_has_no_group_attribute() -> None:
    api = FakeAwsApi(accepting_queue)

    copy(api, message_group=None)

    assert "MessageGroupId" not in api.calls[0][1]["MessageAttributes"]


def test_characters_that_sqs_refuses_in_an_attribute_are_escaped() -> None:
    api = FakeAwsApi(accepting_queue)

    copy(api, client_token="a\x00b\ufffec\td😀")

    assert api.calls[0][1]["MessageAttributes"]["ClientToken"]["StringValue"] == r"a\u0000b\ufffec" + "\td😀"


def test_characters_that_sqs_refuses_in_a_body_are_escaped() -> None:
    api = FakeAwsApi(accepting_queue)

    copy(api, body="not JSON \ud800\x0b")

    assert api.calls[0][1]["MessageBody"] == r"not JSON \ud800\u000b"


def size(parameters: Mapping[str, Any]) -> int:
    """Count the bytes of a message as SQS does: body, and names, types and values of attributes."""
    return len(parameters["MessageBody"].encode()) + sum(
        len(name) + len(value["DataType"]) + len(value["StringValue"].encode())
        for name, value in parameters["MessageAttributes"].items()
    )


@pytest.mark.parametrize("bytes_left", [0, 50, 100, 200, 300, 5000])
def test_a_body_of_any_size_can_be_copied(bytes_left: int) -> None:
    api = FakeAwsApi(accepting_queue)
    filler = "ü" * ((1_048_576 - bytes_left - 20) // 2)
    body = json.dumps({"Content": filler}, ensure_ascii=False)

    copy(api, body=body)

    [(_, sent)] = api.calls
    assert size(sent) <= 1_048_576
    if bytes_left == 0:
        assert body.startswith(sent["MessageBody"])
        assert sent["MessageAttributes"]["Truncated"]["StringValue"] == "true"
    else:
        assert ("Truncated" in sent["MessageAttributes"]) is not (sent["MessageBody"] == body)


@pytest.mark.parametrize("bytes_too_many", [0, 1])
def test_a_body_is_cut_only_if_it_leaves_no_room_for_the_attributes(bytes_too_many: int) -> None:
    api = FakeAwsApi(accepting_queue)
    copy(api, body="x")
    body = "x" * (1_048_576 - size(api.calls[0][1]) + 1 + bytes_too_many)

    copy(api, body=body)

    sent = api.calls[1][1]
    assert size(sent) == 1_048_576
    assert (
        ("Truncated" in sent["MessageAttributes"]) is (sent["MessageBody"] != body) is (bytes_too_many == 1)
    )


def test_a_body_that_is_cut_inside_a_character_ends_before_it() -> None:
    api = FakeAwsApi(accepting_queue)

    copy(api, body="x" + "ü" * 524_288)
    copy(api, body="ü" * 524_288)

    for _, sent in api.calls:
        assert size(sent) in {1_048_575, 1_048_576}
        assert sent["MessageBody"].lstrip("x") == "ü" * (len(sent["MessageBody"].lstrip("x")))


def test_the_largest_valid_request_is_copied_whole_with_its_client_token() -> None:
    api = FakeAwsApi(accepting_queue)
    body = json.dumps({"Content": "\0" * ((MAX_TEXT - 20) // len(r"\u0000"))})

    copy(api, body=body, client_token="😀" * 500)

    [(_, sent)] = api.calls
    assert len(body) > 460_000
    assert size(sent) <= 1_048_576
    assert json.loads(sent["MessageBody"])["ClientToken"] == "😀" * 500
    assert "Truncated" not in sent["MessageAttributes"]


@pytest.mark.parametrize(
    "answer", [{}, {"MessageId": ""}, {"MessageId": None}, {"__type": "InternalFailure"}]
)
@pytest.mark.parametrize("call", ["enqueue_for_retry", "copy_to_rejected", "copy_to_dead_letters"])
def test_a_send_without_a_message_id_in_the_answer_is_an_error(answer: dict[str, Any], call: str) -> None:
    clock = FakeClock()
    queues = make_queues(FakeAwsApi(lambda _: answer), clock)
    request = parse_request("{}", client_token="t-1")
    result = result_of(REJECTED, correlation=request.correlation, origin=EVENT_ORIGIN)
    until = clock.monotonic() + 60
    send: dict[str, Callable[[], None]] = {
        "enqueue_for_retry": lambda: queues.enqueue_for_retry(
            request, origin=EVENT_ORIGIN, message_group="g", deduplication_id="d", until=until
        ),
        "copy_to_rejected": lambda: queues.copy_to_rejected(request, result, message_group="g", until=until),
        "copy_to_dead_letters": lambda: queues.copy_to_dead_letters(
            request, result, message_group="g", message_id="m", until=until
        ),
    }

    with pytest.raises(AwsCallError, match=r"^SendMessage failed: UnreadableResponse \(200\)$"):
        send[call]()


@pytest.mark.parametrize("successful", [None, [{}], 5, "0", [None, "0"], {"Id": "0"}, [{"Id": ["0"]}]])
def test_a_result_is_kept_only_if_the_answer_confirms_it(successful: object) -> None:
    api = FakeAwsApi(lambda _: {"Successful": successful})
    clock = FakeClock()

    lost = make_queues(api, clock).keep_unpublished(
        [{"Id": "0", "MessageBody": "{}"}], until=clock.monotonic() + 60
    )

    assert [str(error) for error in lost] == ["SendMessageBatch failed: FailedInPart (200)"]


def test_results_are_kept_in_one_call_and_each_is_confirmed_by_its_id() -> None:
    api, clock = FakeAwsApi(lambda _: {"Successful": [{"Id": "7"}], "Failed": [{"Id": "3"}]}), FakeClock()
    entries = [{"Id": "3", "MessageBody": "a"}, {"Id": "7", "MessageBody": "b"}]

    lost = make_queues(api, clock).keep_unpublished(entries, until=clock.monotonic() + 60)

    assert [error is None for error in lost] == [False, True]
    assert api.calls == [("SendMessageBatch", {"QueueUrl": "unpublished", "Entries": entries})]


def test_no_result_is_kept_if_the_queue_is_down() -> None:
    api, clock = FakeAwsApi(accepting_queue, [DOWN] * 3), FakeClock()
    entries = [{"Id": "0", "MessageBody": "a"}, {"Id": "1", "MessageBody": "b"}]

    lost = make_queues(api, clock).keep_unpublished(entries, until=clock.monotonic() + 60)

    assert lost == [DOWN, DOWN]


def test_each_retry_waits_twice_as_long_as_the_one_before() -> None:
    clock = FakeClock()

    api = FakeAwsApi(accepting_queue, [DOWN, DOWN])

    api.client(clock).call("SendMessage", {}, until=clock.monotonic() + 60)

    assert len(api.calls) == 3
    assert clock.slept == [0.1, 0.2]


@pytest.mark.parametrize("failed", [[{"Id": "0", "Code": "ReceiptHandleIsInvalid"}], []])
def test_a_partly_failed_change_of_visibility_is_an_error(failed: list[dict[str, str]]) -> None:
    api = FakeAwsApi(lambda _: {"Successful": [], "Failed": failed})
    clock = FakeClock()
    queues = make_queues(api, clock)

    def delay() -> None:
        queues.delay_redelivery(["handle"], seconds=2, until=clock.monotonic() + 60)

    if failed:
        with pytest.raises(AwsCallError, match=r"^ChangeMessageVisibilityBatch failed: FailedInPart"):
            delay()
    else:
        delay()


def test_the_visibility_timeout_of_several_messages_is_set_in_one_call() -> None:
    api, clock = FakeAwsApi(accepting_queue), FakeClock()

    make_queues(api, clock).delay_redelivery(["first", "second"], seconds=7, until=clock.monotonic() + 60)

    [(operation, parameters)] = api.calls
    assert operation == "ChangeMessageVisibilityBatch"
    assert parameters == {
        "QueueUrl": "messages",
        "Entries": [
            {"Id": "0", "ReceiptHandle": "first", "VisibilityTimeout": 7},
            {"Id": "1", "ReceiptHandle": "second", "VisibilityTimeout": 7},
        ],
    }


EVENT_ORIGIN = Origin(
    event_source="eventbridge", source_id="6a7e8feb-b491-4cf7-a9f1-bf3703467718", accepted_at=START
)


def test_an_origin_survives_writing_and_reading() -> None:
    found = read_origin(origin_attributes(EVENT_ORIGIN), queued_at=START, receive_count=1)

    assert found == EVENT_ORIGIN


@pytest.mark.parametrize("maybe_delivered", [True, False])
@pytest.mark.parametrize("event_source", ["sqs", "eventbridge"])
def test_an_origin_keeps_its_source_and_the_receive_count_of_its_queue(
    event_source: EventSource, maybe_delivered: bool
) -> None:
    in_tokyo = (START - timedelta(hours=1)).astimezone(timezone(timedelta(hours=9)))
    origin = replace(
        EVENT_ORIGIN, event_source=event_source, accepted_at=in_tokyo, maybe_delivered=maybe_delivered
    )

    found = read_origin(origin_attributes(origin), queued_at=START, receive_count=3)

    assert found == replace(origin, receive_count=3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EventSource", None),
        ("EventSource", "direct"),
        ("EventSource", ""),
        ("SourceId", None),
        ("SourceId", ""),
        ("SourceId", "my-secret"),
        ("SourceId", "6a7e8feb-b491-4cf7-a9f1-bf37034677180"),
        ("SourceId", "6A7E8FEB-B491-4CF7-A9F1-BF3703467718"),
        ("AcceptedAt", None),
    ],
)
def test_an_origin_with_a_missing_or_forged_attribute_is_ignored(name: str, value: str | None) -> None:
    attributes = origin_attributes(EVENT_ORIGIN)
    del attributes[name]
    attributes |= {} if value is None else {name: value}

    assert read_origin(attributes, queued_at=START, receive_count=1) is None


@pytest.mark.parametrize(
    "accepted_at",
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-31T12:00:00", "noon", ""],
)
def test_an_origin_without_a_valid_time_is_ignored(accepted_at: str) -> None:
    attributes = origin_attributes(EVENT_ORIGIN) | {"AcceptedAt": accepted_at}

    assert read_origin(attributes, queued_at=START, receive_count=1) is None


@pytest.mark.parametrize(("minutes", "is_accepted"), [(0.9, True), (1.0, True), (1.1, False)])
def test_an_origin_that_is_later_than_its_message_is_ignored(minutes: float, is_accepted: bool) -> None:
    queued_at = START - timedelta(minutes=minutes)

    found = read_origin(origin_attributes(EVENT_ORIGIN), queued_at=queued_at, receive_count=1)

    assert (found is not None) is is_accepted
    assert found is None or found.accepted_at == queued_at


def test_a_message_without_the_attribute_may_be_delivered() -> None:
    attributes = origin_attributes(EVENT_ORIGIN)
    del attributes["MaybeDelivered"]

    found = read_origin(attributes, queued_at=START, receive_count=1)

    assert found is not None
    assert found.maybe_delivered


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"Redriven": "true"}, True),
        ({"Redriven": "false"}, False),
        ({"Redriven": "True"}, False),
        ({}, False),
    ],
)
def test_a_redrive_is_an_attribute_of_a_message(attributes: dict[str, str], expected: bool) -> None:
    assert is_redriven(attributes) is expected


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"A": {"stringValue": "a", "dataType": "String"}}, {"A": "a"}),
        ({"A": {"binaryValue": "YQ==", "dataType": "Binary"}, "B": {"stringValue": "b"}}, {"B": "b"}),
        ({"A": "a", "B": {"stringValue": 1}}, {}),
        ({}, {}),
        (None, {}),
        ([{"stringValue": "a"}], {}),
    ],
)
def test_only_text_is_read_from_the_attributes_of_a_record(
    attributes: object, expected: dict[str, str]
) -> None:
    assert string_attributes(attributes) == expected
