"""The HTTP API of the deployed stack: one route to the queue, one through the function."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from sandbox.api_client import QUEUE_PATH, SYNCHRONOUS_PATH
from tests.support.schemas import RESULT_SCHEMA

if TYPE_CHECKING:
    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation, Conversations, RejectedCopies

pytestmark = pytest.mark.e2e

HOSTILE = [
    "a&b=c;d",
    "1 + 1 = 2, 100 % sure, %26 %0A %",
    "&MessageGroupId=mallory&MessageBody=stolen",
    "Action=PurgeQueue&Action=DeleteQueue",
    "two\nlines\r\nand a\ttab",
    "\"double\" 'single' back\\slash / slash",
    "$input.body ${context.requestId} $util.urlEncode('x') #set($a = 1) ## *#",
    "\U0001f600 ☕ é ü \u200f\u202eright to left\u202c \u2028",
    " spaces around ",
    "<script>alert(1)</script>",
]


def test_what_means_something_to_urls_forms_or_templates_arrives_as_it_is(
    alice: Conversation, stack: LocalStack
) -> None:
    answers = [
        stack.api.post(QUEUE_PATH, json.dumps(alice.request(content), ensure_ascii=ensure_ascii))
        for content in HOSTILE
        for ensure_ascii in (True, False)
    ]

    assert {answer.status for answer in answers} == {202}
    for answer in answers:
        assert alice.result_of(answer.payload["MessageId"]).outcome == "SENT"
    assert alice.texts == [content for content in HOSTILE for _ in range(2)]


def test_the_queue_gets_the_body_that_was_sent(
    alice: Conversation, stack: LocalStack, rejected: RejectedCopies
) -> None:
    request = alice.request("{\u00e9", ContentType="application/json", ClientToken="c-1")
    body = f" {json.dumps(request, indent=3, separators=(' ,', ' : '))}\n"

    answer = stack.api.post(QUEUE_PATH, body)

    assert alice.result_of(answer.payload["MessageId"]).code == "InvalidRequest"
    assert rejected.copy_of(answer.payload["MessageId"])["Body"] == body


def test_it_is_accepted_under_the_queues_message_id_for_its_contact(alice: Conversation) -> None:
    answer = alice.post("Where is my order?")

    assert answer.status == 202
    assert answer.payload.keys() == {"MessageId", "ContactId"}
    assert answer.payload["ContactId"] == alice.chat.contact_id
    event = alice.result_of(answer.payload["MessageId"])
    assert (event.outcome, event.event_source) == ("SENT", "sqs")


def test_equal_posts_are_two_messages(alice: Conversation) -> None:
    ids = [alice.post("ok").payload["MessageId"] for _ in range(2)]

    assert len({alice.result_of(each).message_id for each in ids}) == 2
    assert alice.texts == ["ok", "ok"]


def test_its_messages_are_in_order_with_those_that_are_put_on_the_queue(alice: Conversation) -> None:
    ids = [
        alice.queue(str(number)) if number % 2 else alice.post(str(number)).payload["MessageId"]
        for number in range(12)
    ]

    for each in ids:
        alice.result_of(each)
    assert alice.texts == [str(number) for number in range(12)]


@pytest.mark.parametrize("path", [QUEUE_PATH, SYNCHRONOUS_PATH])
@pytest.mark.parametrize(
    "fields",
    [
        {"ContactId": None, "ClientToken": None},
        {"ContactId": "a&MessageGroupId=mallory"},
        {"ContentType": "text/html"},
        {"Content": ""},
        {"Content": "x" * 16_385},
        {"Unknown": "field"},
    ],
)
def test_what_the_model_does_not_allow_is_refused_at_once(
    alice: Conversation, stack: LocalStack, path: str, fields: dict[str, Any]
) -> None:
    request = {"ClientToken": "c-1", **alice.request("Hello"), **fields}
    body = {name: value for name, value in request.items() if value is not None}

    answer = stack.api.post(path, json.dumps(body))

    assert answer.status == 400
    assert answer.payload.keys() == {"Code", "Reason", "ClientToken"}
    assert (answer.payload["Code"], answer.payload["ClientToken"]) == ("InvalidRequest", None)
    assert alice.texts == []


@pytest.mark.parametrize("path", [QUEUE_PATH, SYNCHRONOUS_PATH])
def test_who_does_not_sign_is_not_let_in(alice: Conversation, stack: LocalStack, path: str) -> None:
    answer = stack.api.post(path, json.dumps(alice.request("Hello", ClientToken="c-1")), signed=False)

    assert (answer.status, answer.payload["Code"]) == (403, "NotAuthorized")


def test_another_content_type_is_refused(alice: Conversation, stack: LocalStack) -> None:
    answer = stack.api.post(QUEUE_PATH, json.dumps(alice.request("Hello")), content_type="text/plain")

    assert (answer.status, answer.payload["Code"]) == (415, "InvalidRequest")


def test_who_waits_is_answered_the_published_result(alice: Conversation) -> None:
    answer = alice.post_and_wait("Friday, please", ClientToken="appointment-1")

    jsonschema.validate(answer.payload, RESULT_SCHEMA)
    assert (answer.status, answer.payload["Outcome"]) == (200, "SENT")
    assert alice.result_of(answer.payload["SourceId"]).detail == answer.payload
    assert [message.id for message in alice.messages] == [answer.payload["Message"]["Id"]]


@pytest.mark.parametrize(
    ("ended", "content", "fields", "status", "code"),
    [
        (False, "x" * 1025, {}, 400, "InvalidRequest"),
        (False, "**Friday**", {"ContentType": "text/markdown"}, 400, "ServiceValidation"),
        (False, "Friday", {"ExpiresAt": "2026-01-31T12:00:00Z"}, 422, "Expired"),
        (True, "Friday", {}, 422, "AccessDenied"),
    ],
)
def test_who_waits_is_answered_why_a_message_cannot_be_sent(
    conversations: Conversations, ended: bool, content: str, fields: dict[str, Any], status: int, code: str
) -> None:
    chat = conversations.open(ended=ended, content_types=["text/plain"])

    answer = chat.post_and_wait(content, ClientToken="a-1", **fields)

    assert answer.status == status
    assert answer.payload.keys() == {"Code", "Reason", "ClientToken"}
    assert (answer.payload["Code"], answer.payload["ClientToken"]) == (code, "a-1")
    assert chat.texts == []
