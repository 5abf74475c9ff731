"""The queues that the function writes to: copies, retries, origins."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from message_sender.errors import AwsCallError, InvalidRequestError
from message_sender.queues import origin_attributes, read_origin
from message_sender.request import MAX_TEXT, Correlation, parse_request
from message_sender.result import Origin, Rejected
from tests.support.fakes import START, FakeAwsApi, FakeClock, accepting_queue, make_queues, result_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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

    with pytest.raises(AwsCallError, match="DeadlineExceeded"):
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

    with pytest.raises(AwsCallError, match="UnreadableResponse"):
        send[call]()


@pytest.mark.parametrize("successful", [None, [{}], 5, "0", [None, "0"], {"Id": "0"}, [{"Id": ["0"]}]])
def test_a_result_is_kept_only_if_the_answer_confirms_it(successful: object) -> None:
    api = FakeAwsApi(lambda _: {"Successful": successful})
    clock = FakeClock()

    kept = make_queues(api, clock).keep_unpublished(
        [{"Id": "0", "MessageBody": "{}"}], until=clock.monotonic() + 60
    )

    assert kept == [False]


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
        with pytest.raises(AwsCallError, match="FailedInPart"):
            delay()
    else:
        delay()


EVENT_ORIGIN = Origin(
    event_source="eventbridge", source_id="6a7e8feb-b491-4cf7-a9f1-bf3703467718", accepted_at=START
)


def test_an_origin_survives_writing_and_reading() -> None:
    found = read_origin(origin_attributes(EVENT_ORIGIN), queued_at=START, receive_count=1)

    assert found == EVENT_ORIGIN


@pytest.mark.parametrize(
    "accepted_at",
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-01-31T12:00:00", "noon", ""],
)
def test_an_origin_without_a_valid_time_is_ignored(accepted_at: str) -> None:
    attributes = origin_attributes(EVENT_ORIGIN) | {"AcceptedAt": accepted_at}

    assert read_origin(attributes, queued_at=START, receive_count=1) is None


@pytest.mark.parametrize(("minutes", "is_accepted"), [(0.9, True), (1.1, False)])
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
