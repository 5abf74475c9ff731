"""The handler on SQS events: outcomes, order, partial batch responses, effects."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from jsonschema import Draft7Validator

from message_sender.application import create_handler
from message_sender.request import derive_client_token
from message_sender.retry import READ_TIMEOUT
from sandbox.participant_service.faults import (
    AcceptedThenCut,
    BadBody,
    BodyCutShort,
    Latency,
    Processing,
    ResetBeforeAcceptance,
    Status,
)
from sandbox.participant_service.transcript import ProcessingStatus
from tests.functional.conftest import function_environ
from tests.support.lambda_events import QUEUE_ARN, TEXT, TOKEN, FakeLambdaContext, record, request
from tests.support.schemas import RESULT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.participant_service.faults import Fault
    from tests.functional.conftest import Function


def outcomes(function: Function) -> dict[str, str]:
    """Return code or outcome of each published result, by source id."""
    return {
        result["SourceId"]: result["Error"]["Code"] if result["Error"] else result["Outcome"]
        for result in function.aws.results
    }


def test_a_message_reaches_its_chat_and_its_result_is_published(function: Function) -> None:
    chat = function.start_chat()
    message = record(chat.request(ContactId=chat.contact_id, Metadata={"order": "4711"}))
    message["attributes"]["SentTimestamp"] = "1769860800000"

    failed = function.batch(message)

    assert failed == []
    assert chat.texts == [TEXT]
    [event] = function.aws.events
    assert event["Source"] == "connect-message-sender"
    assert event["DetailType"] == "Message Sent"
    assert event["EventBusName"] == "results-bus"
    [result] = function.aws.results
    [item] = function.participant.service.messages(chat.contact_id)
    assert result["Message"]["Id"] == item.id
    assert result["ClientToken"] == derive_client_token(QUEUE_ARN, message["messageId"])
    assert result["AcceptedAt"] == "2026-01-31T12:00:00.000Z"
    assert result["Metadata"] == {"order": "4711"}
    assert result["Attempts"] == 1


def test_a_redelivered_message_appears_once(function: Function) -> None:
    chat = function.start_chat()
    message = record(chat.request())

    function.batch(message)
    function.batch(message)

    assert chat.texts == [TEXT]
    first, second = function.aws.results
    assert first["Message"] == second["Message"]


def test_two_equal_texts_are_two_messages(function: Function) -> None:
    chat = function.start_chat()

    function.batch(record(chat.request(Content="ok")), record(chat.request(Content="ok")))

    assert chat.texts == ["ok", "ok"]


def test_two_requests_under_one_client_token_are_one_message(function: Function) -> None:
    chat = function.start_chat()

    function.batch(record(chat.request(ClientToken="same")), record(chat.request(ClientToken="same")))

    assert chat.texts == [TEXT]


def test_each_chat_keeps_its_order(function: Function) -> None:
    chats = [function.start_chat() for _ in range(5)]
    batch = [
        record(chat.request(Content=f"{place}"), group=chat.contact_id)
        for place in range(2)
        for chat in chats
    ]

    failed = function.batch(*batch)

    assert failed == []
    assert [chat.texts for chat in chats] == [["0", "1"]] * 5


def accepted_at(message: dict[str, Any]) -> str:
    return datetime.fromtimestamp(int(message["attributes"]["SentTimestamp"]) / 1000, UTC).isoformat()


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"Content": "x" * 1025}, "InvalidRequest"),
        ({"ConnectionToken": "unknown"}, "AccessDenied"),
        ({"ExpiresAt": "2020-01-01T00:00:00Z"}, "Expired"),
    ],
)
def test_a_rejected_message_is_copied_and_its_chat_goes_on(
    function: Function, fields: dict[str, Any], code: str
) -> None:
    chat = function.start_chat()
    bad = record(chat.request(**fields), group="chat-7")
    good = record(chat.request(Content="next"), group="chat-7")

    failed = function.batch(bad, good)

    assert failed == []
    assert chat.texts == ["next"]
    assert outcomes(function) == {bad["messageId"]: code, good["messageId"]: "SENT"}
    [copy] = function.aws.messages
    client_token = derive_client_token(QUEUE_ARN, bad["messageId"])
    assert copy["QueueUrl"].endswith("/rejected")
    assert json.loads(copy["MessageBody"]) == json.loads(bad["body"]) | {"ClientToken": client_token}
    assert {name: value["StringValue"] for name, value in copy["MessageAttributes"].items()} == {
        "Code": code,
        "ClientToken": client_token,
        "MessageGroupId": "chat-7",
        "EventSource": "sqs",
        "SourceId": bad["messageId"],
        "AcceptedAt": accepted_at(bad),
        "MaybeDelivered": "false",
    }


def test_a_copy_has_the_client_token_of_the_producer(function: Function) -> None:
    chat = function.start_chat()

    function.batch(record(chat.request(Content="", ClientToken="own")))

    [copy] = function.aws.messages
    assert copy["MessageAttributes"]["ClientToken"]["StringValue"] == "own"
    assert json.loads(copy["MessageBody"])["ClientToken"] == "own"


def test_a_body_that_is_not_json_is_copied_as_it_is(function: Function) -> None:
    bad = record("no JSON at all")

    failed = function.batch(bad)

    assert failed == []
    assert outcomes(function) == {bad["messageId"]: "InvalidRequest"}
    assert function.aws.messages[0]["MessageBody"] == "no JSON at all"


def test_a_rejected_message_that_cannot_be_copied_comes_back_with_its_followers(function: Function) -> None:
    chat = function.start_chat()
    bad = record(chat.request(Content=""))
    follower = record(chat.request())
    function.aws.failures["SendMessage"] = [400]

    failed = function.batch(bad, follower)

    assert failed == [bad["messageId"], follower["messageId"]]
    assert chat.texts == []
    assert function.aws.events == []


@pytest.mark.parametrize(
    "fault",
    [Status(status=429), Status(status=500), Status(status=503), ResetBeforeAcceptance()],
    ids=["throttled", "failed", "unavailable", "reset"],
)
def test_a_message_that_cannot_be_sent_now_comes_back_with_its_followers_and_no_others(
    function: Function, fault: Fault
) -> None:
    held, free = function.start_chat(), function.start_chat()
    batch = [
        record(held.request(Content="1"), group="held"),
        record(free.request(Content="2"), group="free"),
        record(held.request(Content="3"), group="held"),
    ]
    function.participant.faults.add(fault, contact_id=held.contact_id, times=None)

    failed = function.batch(*batch)

    assert sorted(failed) == sorted([batch[0]["messageId"], batch[2]["messageId"]])
    assert held.texts == []
    assert free.texts == ["2"]
    [delays] = function.aws.delays
    assert delays.keys() == {batch[0]["receiptHandle"], batch[2]["receiptHandle"]}
    assert len(set(delays.values())) == 1
    assert 1 <= min(delays.values()) <= 2
    assert outcomes(function) == {batch[1]["messageId"]: "SENT"}


def impatient_handler(function: Function) -> Callable[[dict[str, Any], Any], dict[str, Any]]:
    """Return a handler that waits one second for an answer, and skips the rest of the read timeout."""

    class ImpatientPool(urllib3.HTTPConnectionPool):
        def urlopen(self, *args: Any, **kwargs: Any) -> urllib3.BaseHTTPResponse:  # noqa: ANN401  # forwarded
            try:
                return super().urlopen(*args, **kwargs | {"timeout": 1.0})
            except urllib3.exceptions.ReadTimeoutError:
                function.clock.sleep(READ_TIMEOUT - 1.0)
                raise

    pools = urllib3.PoolManager(maxsize=10, retries=False)
    pools.pool_classes_by_scheme = {"http": ImpatientPool}
    environ = function_environ(function.participant.url, function.aws.url)
    return create_handler(environ, clock=function.clock, pools=pools)


def test_a_chat_that_does_not_answer_gets_one_attempt_and_is_redelivered(function: Function) -> None:
    """A second attempt would keep the other chats of the batch waiting again."""
    impatient = replace(function, handler=impatient_handler(function))
    hanging, free = impatient.start_chat(), function.start_chat()
    batch = [
        record(hanging.request(ClientToken="hanging"), group="hanging"),
        record(free.request(), group="free"),
    ]
    function.participant.faults.add(Latency(latency=60.0), contact_id=hanging.contact_id, times=None)

    failed = impatient.batch(*batch)

    assert failed == [batch[0]["messageId"]]
    assert outcomes(function) == {batch[1]["messageId"]: "SENT"}
    assert function.participant.api.request_counts().by_client_token["hanging"] == 1


@pytest.mark.parametrize(
    "fault",
    [
        Status(status=429),
        Status(status=500),
        ResetBeforeAcceptance(),
        AcceptedThenCut(),
        BodyCutShort(),
        BadBody(),
    ],
    ids=lambda fault: fault.kind,
)
def test_a_passing_fault_is_overcome_within_the_invocation(function: Function, fault: Fault) -> None:
    chat = function.start_chat()
    function.participant.faults.add(fault, times=1)

    failed = function.batch(record(chat.request(Content="1")), record(chat.request(Content="2")))

    assert failed == []
    assert chat.texts == ["1", "2"]
    assert [result["Attempts"] for result in function.aws.results] == [2, 1]


def test_a_message_that_the_service_does_not_deliver_is_rejected(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Processing(status=ProcessingStatus.REJECTED))
    message = record(chat.request())

    failed = function.batch(message)

    assert failed == []
    assert outcomes(function) == {message["messageId"]: "ProcessingRejected"}


def test_a_result_that_the_bus_refuses_is_published_again_without_a_second_send(function: Function) -> None:
    chat = function.start_chat()
    function.aws.failures["PutEvents"] = [500, {0}]

    failed = function.batch(record(chat.request(Content="1")), record(chat.request(Content="2")))

    assert failed == []
    assert len(function.aws.events) == 2
    assert function.aws.calls.count("PutEvents") == 3
    assert chat.texts == ["1", "2"]


def test_a_result_that_the_bus_never_takes_is_kept_in_the_queue(function: Function) -> None:
    chat = function.start_chat()
    function.aws.failures["PutEvents"] = [500, 500, 500]

    failed = function.batch(record(chat.request()))

    assert failed == []
    [kept] = function.aws.messages
    assert kept["QueueUrl"].endswith("/unpublished")
    assert json.loads(json.loads(kept["MessageBody"])["Detail"])["Outcome"] == "SENT"


def test_a_record_whose_result_is_safe_nowhere_comes_back(function: Function) -> None:
    chat = function.start_chat()
    function.aws.failures = {"PutEvents": [500] * 3, "SendMessageBatch": [500] * 3}
    message = record(chat.request())

    failed = function.batch(message)
    failed_again = function.batch(message)

    assert failed == [message["messageId"]]
    assert failed_again == []
    assert chat.texts == [TEXT]


def test_nothing_is_sent_when_no_time_is_left(function: Function) -> None:
    chat = function.start_chat()
    message = record(chat.request())

    failed = function.batch(message, context=FakeLambdaContext(seconds_left=3))

    assert failed == [message["messageId"]]
    assert chat.texts == []
    assert function.aws.calls == []


def test_records_without_a_group_keep_the_order_of_their_contact(function: Function) -> None:
    chat = function.start_chat()
    batch = [
        record(chat.request(Content=f"{place}", ContactId=chat.contact_id), group=None) for place in range(10)
    ]
    function.participant.faults.add(Latency(latency=0.05))  # to the first

    function.batch(*batch)

    assert chat.texts == [f"{place}" for place in range(10)]


def test_every_result_keeps_the_schema(function: Function) -> None:
    chat = function.start_chat()
    ended = function.start_chat()
    function.participant.service.end_chat(ended.contact_id)
    batch = [
        record(chat.request()),
        record("{", receive_count=3),
        record({}),
        record(chat.request(ContentType="x", ContactId="c1", Metadata={"a": "b"})),
        record(ended.request(), group="ended", receive_count=2),
    ]

    failed = function.batch(*batch)

    assert failed == []
    assert len(function.aws.results) == 5
    for result in function.aws.results:
        Draft7Validator(RESULT_SCHEMA).validate(result)


def test_no_secret_reaches_a_log_or_a_result(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    chat = function.start_chat()
    task_token = "AQCEAAAAKgAAAAMAAAAAAAAAAd-task-token"
    batch = [
        record(chat.request(TaskToken=task_token)),
        record(chat.request(TaskToken=task_token, Unknown=TEXT)),
        record(request(TaskToken=task_token), group="denied"),
        record(chat.request(TaskToken=task_token, Content="throttled"), group="throttled"),
    ]
    function.participant.faults.add(
        Status(status=429), client_token=derive_client_token(QUEUE_ARN, batch[3]["messageId"]), times=None
    )

    function.batch(*batch)

    captured = capsys.readouterr()
    seen = captured.out + captured.err + json.dumps(function.aws.events)
    assert "AccessDenied" in seen
    for secret in (TEXT, chat.connection_token, TOKEN, task_token):
        assert secret not in seen


DOWN = Status(status=503)


def test_each_chat_comes_back_after_the_backoff_of_its_first_message(function: Function) -> None:
    new, old = function.start_chat(), function.start_chat()
    batch = [
        record(new.request(), group="new", receive_count=1),
        record(old.request(), group="old", receive_count=5),
        record(new.request(), group="new", receive_count=9),
    ]
    function.participant.faults.add(DOWN, times=None)

    function.batch(*batch)

    delays = {handle: seconds for call in function.aws.delays for handle, seconds in call.items()}
    assert delays[batch[0]["receiptHandle"]] == delays[batch[2]["receiptHandle"]] <= 2
    assert 16 <= delays[batch[1]["receiptHandle"]] <= 32


def test_receives_in_which_a_message_was_held_back_do_not_lengthen_its_backoff(function: Function) -> None:
    chat = function.start_chat()
    head = record(chat.request(Content="1"), receive_count=9)
    follower = record(chat.request(Content="2"), receive_count=9)
    function.participant.faults.add(
        DOWN, client_token=derive_client_token(QUEUE_ARN, follower["messageId"]), times=None
    )

    failed = function.batch(head, follower)

    assert failed == [follower["messageId"]]
    assert function.aws.delays[0][follower["receiptHandle"]] <= 2


def test_a_message_for_which_no_time_was_left_comes_back_soon(function: Function) -> None:
    chat = function.start_chat()
    message = record(chat.request(), receive_count=9)

    function.batch(message, context=FakeLambdaContext(seconds_left=8))

    assert function.aws.delays[0][message["receiptHandle"]] <= 2


def test_what_the_service_asks_to_wait_is_waited_for_in_the_queue(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Status(status=429, retry_after=30), times=None)
    message = record(chat.request())

    function.batch(message)

    assert function.aws.delays == [{message["receiptHandle"]: 30}]


def test_a_record_that_is_done_keeps_its_visibility(function: Function) -> None:
    chat = function.start_chat()

    function.batch(record(chat.request()), record("junk"))

    assert function.aws.delays == []


def test_a_change_of_visibility_that_fails_does_no_harm(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(DOWN, times=None)
    function.aws.failures["ChangeMessageVisibilityBatch"] = [400]
    message = record(chat.request())

    assert function.batch(message) == [message["messageId"]]


def test_a_message_older_than_the_retry_window_is_given_up_and_its_chat_goes_on(function: Function) -> None:
    chat = function.start_chat()
    old = record(chat.request(Content="1"), group="chat-7", age=601, receive_count=12)
    young = record(chat.request(Content="2"), group="chat-7", age=10)
    function.participant.faults.add(DOWN, times=3)

    failed = function.batch(old, young)

    assert failed == []
    assert chat.texts == ["2"]
    [letter] = function.aws.messages
    client_token = derive_client_token(QUEUE_ARN, old["messageId"])
    assert letter["QueueUrl"].endswith("/dead-letter.fifo")
    assert letter["MessageGroupId"] == "chat-7"
    assert letter["MessageDeduplicationId"] == old["messageId"]
    assert json.loads(letter["MessageBody"])["ClientToken"] == client_token
    assert letter["MessageAttributes"]["Code"]["StringValue"] == "ServiceUnavailable"
    assert letter["MessageAttributes"]["MaybeDelivered"]["StringValue"] == "true"
    given_up, sent = function.aws.results
    assert given_up["Outcome"] == "FAILED"
    assert given_up["Error"]["Code"] == "ServiceUnavailable"
    assert given_up["Error"]["MaybeDelivered"]
    assert sent["Outcome"] == "SENT"
    assert function.aws.delays == []


def test_an_old_message_that_was_not_tried_is_not_given_up(function: Function) -> None:
    chat = function.start_chat()
    old = record(chat.request(), age=3600)

    failed = function.batch(old, context=FakeLambdaContext(seconds_left=7))

    assert failed == [old["messageId"]]
    assert function.aws.messages == []


def test_an_old_message_that_can_be_sent_is_sent(function: Function) -> None:
    chat = function.start_chat()

    function.batch(record(chat.request(), age=3600))

    assert chat.texts == [TEXT]


def test_a_letter_that_is_put_back_keeps_its_origin(function: Function) -> None:
    chat = function.start_chat()
    old = record(chat.request(), age=601, receive_count=12)
    function.participant.faults.add(AcceptedThenCut(), times=3)
    function.batch(old)
    [letter] = function.aws.messages
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    function.participant.service.end_chat(chat.contact_id)

    function.batch(record(letter["MessageBody"], attributes=attributes))

    given_up, rejected = function.aws.results
    assert rejected["Outcome"] == "REJECTED"
    same = ("ClientToken", "EventSource", "SourceId", "AcceptedAt")
    assert [rejected[name] for name in same] == [given_up[name] for name in same]
    assert rejected["SourceId"] == old["messageId"]
    assert rejected["Error"]["MaybeDelivered"]


def test_a_letter_that_cannot_be_copied_comes_back(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(DOWN, times=None)
    function.aws.failures["SendMessage"] = [400]
    old = record(chat.request(), age=601)

    failed = function.batch(old)

    assert failed == [old["messageId"]]
    assert function.aws.events == []
