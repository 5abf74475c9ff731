"""The handler with texts in several parts, by every event source."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from message_sender.errors import AccessDeniedError, ThrottledError
from sandbox.participant_service.faults import AcceptedThenCut, Latency, Status
from tests.support.lambda_events import api_request, attribute_values, bus_event, received, record
from tests.support.logs import log_lines

if TYPE_CHECKING:
    from tests.functional.conftest import Chat, Function

PARAGRAPHS = [f"{number}: " + "word " * 40 + "end." for number in range(1, 5)]
LONG: dict[str, Any] = {"SplitAt": 256, "Content": "\n\n".join(PARAGRAPHS), "ContentType": "text/markdown"}


def long_request(chat: Chat, **fields: object) -> dict[str, Any]:
    return chat.request(**{"ContactId": chat.contact_id, **LONG, **fields})


def ids(chat: Chat) -> list[str]:
    return [item.id for item in chat.service.service.messages(chat.contact_id)]


def test_the_parts_appear_in_order_and_the_result_names_each(function: Function) -> None:
    chat = function.start_chat()
    before, after = record(chat.request(Content="before")), record(chat.request(Content="after"))

    failed = function.batch(before, record(long_request(chat)), after)

    assert failed == []
    assert chat.texts == ["before", *PARAGRAPHS, "after"]
    message = function.aws.results[1]["Message"]
    assert [part["Id"] for part in message["Parts"]] == ids(chat)[1:5]
    assert all(part["AbsoluteTime"] for part in message["Parts"])
    assert message["Id"] == ids(chat)[4]
    assert [result["Attempts"] for result in function.aws.results] == [1, 4, 1]


def test_a_redelivered_message_shows_no_part_twice(function: Function) -> None:
    chat = function.start_chat()
    message = record(long_request(chat))
    function.participant.faults.add(AcceptedThenCut(), times=1)

    function.batch(message)
    function.batch(message)

    assert chat.texts == PARAGRAPHS
    first, second = (result["Message"] for result in function.aws.results)
    assert first == second


@pytest.mark.parametrize("delivered", [1, 3])
def test_a_message_that_fails_between_two_parts_is_finished_by_the_next_receive(
    function: Function, delivered: int
) -> None:
    chat = function.start_chat()
    message, later = record(long_request(chat)), record(chat.request(Content="later"))
    accept(function, delivered)

    failed = function.batch(message, later)
    assert chat.texts == PARAGRAPHS[:delivered]
    function.participant.faults.clear()
    again = function.batch(message, later)

    assert failed == [message["messageId"], later["messageId"]]
    assert again == []
    assert chat.texts == [*PARAGRAPHS, "later"]


def accept(function: Function, calls: int, status: int = 429) -> None:
    """Let the service accept so many calls, and fail all others."""
    function.participant.faults.add(Latency(), times=calls)
    function.participant.faults.add(Status(status=status), times=None)


def test_a_rejection_after_some_parts_says_so_in_result_and_copy(function: Function) -> None:
    chat = function.start_chat()
    accept(function, 2, status=403)

    failed = function.batch(record(long_request(chat), group="chat-7"))

    assert failed == []
    assert chat.texts == PARAGRAPHS[:2]
    [result] = function.aws.results
    assert (result["Outcome"], result["Error"]["Code"]) == ("REJECTED", "AccessDenied")
    assert (result["Error"]["PartsDelivered"], result["Error"]["MaybeDelivered"]) == (2, True)
    [copy] = function.aws.messages
    assert copy["QueueUrl"].endswith("/rejected")
    assert attribute_values(copy)["PartsDelivered"] == "2"
    assert attribute_values(copy)["MaybeDelivered"] == "true"
    assert len(copy["MessageAttributes"]) <= 10
    assert json.loads(copy["MessageBody"])["Content"] == LONG["Content"]


def test_a_failure_after_some_parts_says_so_in_result_and_dead_letter(function: Function) -> None:
    chat = function.start_chat()
    accept(function, 3, status=503)

    function.batch(record(long_request(chat), age=700, receive_count=9))

    [result] = function.aws.results
    assert result["Outcome"] == "FAILED"
    assert result["Error"]["PartsDelivered"] == 3
    [dead_letter] = function.aws.messages
    assert attribute_values(dead_letter)["PartsDelivered"] == "3"


def test_a_rejection_before_the_first_part_counts_none(function: Function) -> None:
    chat = function.start_chat()

    function.batch(record(long_request(chat, ExpiresAt="2026-01-01T00:00:00Z")))

    [result] = function.aws.results
    assert result["Error"]["PartsDelivered"] == 0
    assert result["Error"]["MaybeDelivered"] is False
    [copy] = function.aws.messages
    assert "PartsDelivered" not in copy["MessageAttributes"]


def test_a_long_text_that_arrives_as_an_event_is_enqueued_and_sent_from_the_queue(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = function.start_chat()

    function(bus_event(long_request(chat)) | {"time": datetime.now(UTC).isoformat()})
    assert chat.texts == []
    [enqueued] = function.aws.messages
    failed = function.batch(received(enqueued))

    assert enqueued["QueueUrl"].endswith("/messages.fifo")
    assert enqueued["MessageGroupId"] == chat.contact_id
    assert attribute_values(enqueued)["MaybeDelivered"] == "false"
    assert failed == []
    assert chat.texts == PARAGRAPHS
    [result] = function.aws.results
    assert result["EventSource"] == "eventbridge"
    [line] = [line for line in log_lines(capsys) if line.get("message", "").startswith("Message enqueued")]
    assert (line["message"], line["level"], line.get("code")) == ("Message enqueued", "INFO", None)


def test_a_text_with_split_at_that_fits_is_sent_by_the_event_itself(function: Function) -> None:
    chat = function.start_chat()

    function(bus_event(long_request(chat, Content="short")))

    assert chat.texts == ["short"]
    assert function.aws.messages == []
    [result] = function.aws.results
    assert [part["Id"] for part in result["Message"]["Parts"]] == ids(chat)


def test_a_caller_gets_the_result_of_all_parts(function: Function) -> None:
    chat = function.start_chat()

    answer = function(long_request(chat, ClientToken="t-1"))
    again = json.loads(function(api_request(long_request(chat, ClientToken="t-1")))["body"])

    assert chat.texts == PARAGRAPHS
    assert answer["Message"] == again["Message"]
    assert len(answer["Message"]["Parts"]) == 4


def test_a_caller_repeats_a_call_that_ended_between_two_parts(function: Function) -> None:
    chat = function.start_chat()
    accept(function, 2)

    with pytest.raises(ThrottledError):
        function(long_request(chat, ClientToken="t-1"))
    function.participant.faults.clear()
    function(long_request(chat, ClientToken="t-1"))

    assert chat.texts == PARAGRAPHS


def test_the_result_of_a_callers_rejected_message_counts_the_parts(function: Function) -> None:
    chat = function.start_chat()
    accept(function, 1, status=403)

    with pytest.raises(AccessDeniedError):
        function(long_request(chat, ClientToken="t-1"))

    [result] = function.aws.results
    assert result["Error"]["PartsDelivered"] == 1


def test_no_part_of_a_text_reaches_a_log_or_a_result(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = function.start_chat()
    accept(function, 2, status=403)

    function.batch(record(long_request(chat)))
    function.batch(record(long_request(chat, Content="word " * 9000)))

    written = capsys.readouterr().out + json.dumps(function.aws.results)
    assert "AccessDenied" in written
    assert "needs more than 10 parts of 256 characters" in written
    assert "word " not in written
    assert chat.connection_token not in written
