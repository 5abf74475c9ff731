"""The handler with SQS events: outcomes, order, partial batch responses, effects."""

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
from tests.support.lambda_events import (
    QUEUE_ARN,
    TEXT,
    TOKEN,
    FakeLambdaContext,
    attribute_values,
    received,
    record,
    request,
)
from tests.support.limits import TOO_LONG
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


def test_a_redelivered_message_is_in_the_chat_once(function: Function) -> None:
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


def test_two_requests_with_one_client_token_are_one_message(function: Function) -> None:
    chat = function.start_chat()

    function.batch(record(chat.request(ClientToken="same")), record(chat.request(ClientToken="same")))

    assert chat.texts == [TEXT]


def test_each_chat_keeps_its_order(function: Function) -> None:
    chats = [function.start_chat() for _ in range(5)]
    batch = [
        record(chat.request(Content=f"{number}"), group=chat.contact_id)
        for number in range(2)
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
        ({"Content": TOO_LONG}, "InvalidRequest"),
        ({"ConnectionToken": "unknown"}, "AccessDenied"),
        ({"ExpiresAt": "2020-01-01T00:00:00Z"}, "Expired"),
    ],
)
def test_a_rejected_message_is_copied_and_its_chat_continues(
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
    assert attribute_values(copy) == {
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


def test_a_body_that_is_not_json_is_copied_unchanged(function: Function) -> None:
    bad = record("not JSON at all")

    failed = function.batch(bad)

    assert failed == []
    assert outcomes(function) == {bad["messageId"]: "InvalidRequest"}
    assert function.aws.messages[0]["MessageBody"] == "not JSON at all"


def test_a_rejected_message_that_cannot_be_copied_fails_with_the_later_ones(function: Function) -> None:
    chat = function.start_chat()
    bad = record(chat.request(Content=""))
    later = record(chat.request())
    function.aws.failures["SendMessage"] = [400]

    failed = function.batch(bad, later)

    assert failed == [bad["messageId"], later["messageId"]]
    assert chat.texts == []
    assert function.aws.events == []


@pytest.mark.parametrize(
    "fault",
    [Status(status=429), Status(status=500), Status(status=503), ResetBeforeAcceptance()],
    ids=["throttled", "failed", "unavailable", "reset"],
)
def test_a_message_that_cannot_be_sent_now_fails_with_the_later_ones_of_its_chat(
    function: Function, fault: Fault
) -> None:
    failing, free = function.start_chat(), function.start_chat()
    batch = [
        record(failing.request(Content="1"), group="failing"),
        record(free.request(Content="2"), group="free"),
        record(failing.request(Content="3"), group="failing"),
    ]
    function.participant.faults.add(fault, contact_id=failing.contact_id, times=None)

    failed = function.batch(*batch)

    assert sorted(failed) == sorted([batch[0]["messageId"], batch[2]["messageId"]])
    assert failing.texts == []
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
    assert function.participant.api.client_tokens["hanging"] == 1


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
    ids=lambda fault: type(fault).__name__,
)
def test_a_transient_fault_is_retried_within_the_invocation(function: Function, fault: Fault) -> None:
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


def test_a_result_that_the_bus_never_accepts_is_kept_in_the_queue(function: Function) -> None:
    chat = function.start_chat()
    function.aws.failures["PutEvents"] = [500, 500, 500]

    failed = function.batch(record(chat.request()))

    assert failed == []
    [kept] = function.aws.messages
    assert kept["QueueUrl"].endswith("/unpublished")
    assert json.loads(json.loads(kept["MessageBody"])["Detail"])["Outcome"] == "SENT"


def test_a_record_fails_if_its_result_is_neither_published_nor_kept(function: Function) -> None:
    chat = function.start_chat()
    function.aws.failures = {"PutEvents": [500] * 3, "SendMessageBatch": [500] * 3}
    message = record(chat.request())

    failed = function.batch(message)
    failed_again = function.batch(message)

    assert failed == [message["messageId"]]
    assert failed_again == []
    assert chat.texts == [TEXT]


def test_no_message_is_sent_without_time(function: Function) -> None:
    chat = function.start_chat()
    message = record(chat.request())

    failed = function.batch(message, context=FakeLambdaContext(seconds_left=3))

    assert failed == [message["messageId"]]
    assert chat.texts == []
    assert function.aws.calls == []


def test_records_without_a_group_keep_the_order_of_their_contact(function: Function) -> None:
    chat = function.start_chat()
    batch = [
        record(chat.request(Content=f"{number}", ContactId=chat.contact_id), group=None)
        for number in range(10)
    ]
    function.participant.faults.add(Latency(latency=0.05))  # for the first message

    function.batch(*batch)

    assert chat.texts == [f"{number}" for number in range(10)]


def test_every_result_matches_the_schema(function: Function) -> None:
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
    output = captured.out + captured.err + json.dumps(function.aws.events)
    assert "AccessDenied" in output
    for secret in (TEXT, chat.connection_token, TOKEN, task_token):
        assert secret not in output


DOWN = Status(status=503)


def test_each_chat_is_redelivered_after_the_backoff_of_its_first_message(function: Function) -> None:
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


def test_receives_with_a_pending_predecessor_do_not_lengthen_the_backoff(function: Function) -> None:
    chat = function.start_chat()
    head = record(chat.request(Content="1"), receive_count=9)
    later = record(chat.request(Content="2"), receive_count=9)
    function.participant.faults.add(
        DOWN, client_token=derive_client_token(QUEUE_ARN, later["messageId"]), times=None
    )

    failed = function.batch(head, later)

    assert failed == [later["messageId"]]
    assert function.aws.delays[0][later["receiptHandle"]] <= 2


def test_a_message_without_time_for_an_attempt_is_redelivered_soon(function: Function) -> None:
    chat = function.start_chat()
    message = record(chat.request(), receive_count=9)

    function.batch(message, context=FakeLambdaContext(seconds_left=13.3))

    assert chat.texts == []
    assert function.aws.delays[0][message["receiptHandle"]] <= 2


def test_a_retry_after_of_the_service_delays_the_redelivery(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(Status(status=429, retry_after=30), times=None)
    message = record(chat.request())

    function.batch(message)

    assert function.aws.delays == [{message["receiptHandle"]: 30}]


def test_a_finished_record_keeps_its_visibility_timeout(function: Function) -> None:
    chat = function.start_chat()

    function.batch(record(chat.request()), record("junk"))

    assert function.aws.delays == []


def test_the_response_is_the_same_if_the_visibility_cannot_be_changed(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(DOWN, times=None)
    function.aws.failures["ChangeMessageVisibilityBatch"] = [400]
    message = record(chat.request())

    assert function.batch(message) == [message["messageId"]]


def test_a_message_older_than_the_retry_window_fails_and_its_chat_continues(function: Function) -> None:
    chat = function.start_chat()
    old = record(chat.request(Content="1"), group="chat-7", age=601, receive_count=12)
    young = record(chat.request(Content="2"), group="chat-7", age=10)
    function.participant.faults.add(DOWN, times=3)

    failed = function.batch(old, young)

    assert failed == []
    assert chat.texts == ["2"]
    [dead_letter] = function.aws.messages
    client_token = derive_client_token(QUEUE_ARN, old["messageId"])
    assert dead_letter["QueueUrl"].endswith("/dead-letter.fifo")
    assert dead_letter["MessageGroupId"] == "chat-7"
    assert dead_letter["MessageDeduplicationId"] == old["messageId"]
    assert json.loads(dead_letter["MessageBody"])["ClientToken"] == client_token
    assert dead_letter["MessageAttributes"]["Code"]["StringValue"] == "ServiceUnavailable"
    assert dead_letter["MessageAttributes"]["MaybeDelivered"]["StringValue"] == "true"
    failure, sent = function.aws.results
    assert failure["Outcome"] == "FAILED"
    assert failure["Error"]["Code"] == "ServiceUnavailable"
    assert failure["Error"]["MaybeDelivered"]
    assert sent["Outcome"] == "SENT"
    assert function.aws.delays == []


def test_an_old_message_without_an_attempt_does_not_fail(function: Function) -> None:
    chat = function.start_chat()
    old = record(chat.request(), age=3600)

    failed = function.batch(old, context=FakeLambdaContext(seconds_left=7))

    assert failed == [old["messageId"]]
    assert function.aws.messages == []


def test_an_old_message_that_can_be_sent_is_sent(function: Function) -> None:
    chat = function.start_chat()

    function.batch(record(chat.request(), age=3600))

    assert chat.texts == [TEXT]


def test_a_redriven_dead_letter_keeps_its_origin(function: Function) -> None:
    chat = function.start_chat()
    old = record(chat.request(), age=601, receive_count=12)
    function.participant.faults.add(AcceptedThenCut(), times=3)
    function.batch(old)
    [dead_letter] = function.aws.messages
    function.participant.service.end_chat(chat.contact_id)

    function.batch(received(dead_letter))

    failure, rejected = function.aws.results
    assert rejected["Outcome"] == "REJECTED"
    kept = ("ClientToken", "EventSource", "SourceId", "AcceptedAt")
    assert [rejected[name] for name in kept] == [failure[name] for name in kept]
    assert rejected["SourceId"] == old["messageId"]
    assert rejected["Error"]["MaybeDelivered"]


def test_a_failed_message_that_cannot_be_copied_is_redelivered(function: Function) -> None:
    chat = function.start_chat()
    function.participant.faults.add(DOWN, times=None)
    function.aws.failures["SendMessage"] = [400]
    old = record(chat.request(), age=601)

    failed = function.batch(old)

    assert failed == [old["messageId"]]
    assert function.aws.events == []
