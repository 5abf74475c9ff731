"""The REST API of the deployed stack: one route to the queue, one through the function."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
import urllib3

from infra.api_models import GATEWAY_ERRORS
from infra.producer import EventSource, NotAcceptedError
from tests.support.limits import LONGEST, MAX_SPLIT_BYTES, TOO_LONG
from tests.support.schemas import RESULT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping

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


PATHS = pytest.mark.parametrize("path", ["/messages", "/messages/sync"])


def test_texts_with_a_meaning_to_urls_forms_or_templates_arrive_unchanged(
    alice: Conversation, stack: LocalStack
) -> None:
    answers = [
        stack.producer.send_text(
            json.dumps(alice.request(content), ensure_ascii=ensure_ascii), through=EventSource.API
        )
        for content in HOSTILE
        for ensure_ascii in (True, False)
    ]

    for answer in answers:
        assert alice.result_of(answer.source_id).outcome == "SENT"
    assert alice.texts == [content for content in HOSTILE for _ in range(2)]


def test_the_queue_gets_the_posted_body_unchanged(
    alice: Conversation, stack: LocalStack, rejected: RejectedCopies
) -> None:
    request = alice.request("{\u00e9", ContentType="application/json", ClientToken="c-1")
    body = f" {json.dumps(request, indent=3, separators=(' ,', ' : '))}\n"

    message_id = stack.producer.send_text(body, through=EventSource.API).source_id

    assert alice.result_of(message_id).code == "InvalidRequest"
    assert rejected.copy_of(message_id)["Body"] == body


def test_a_message_is_accepted_under_the_message_id_of_the_queue_for_its_contact(
    alice: Conversation, stack: LocalStack
) -> None:
    answer = post(stack, "/messages", alice.request("Where is my order?"))

    assert answer.status == 202
    assert answer.json().keys() == {"MessageId"}
    result = alice.result_of(answer.json()["MessageId"])
    assert (result.outcome, result.event_source) == ("SENT", "sqs")


def test_equal_posts_are_two_messages(alice: Conversation) -> None:
    ids = [alice.post("ok") for _ in range(2)]

    assert len({alice.result_of(each).message_id for each in ids}) == 2
    assert alice.texts == ["ok", "ok"]


def test_posted_and_queued_messages_keep_one_order(alice: Conversation) -> None:
    ids = [alice.queue(str(number)) if number % 2 else alice.post(str(number)) for number in range(12)]

    for each in ids:
        alice.result_of(each)
    assert alice.texts == [str(number) for number in range(12)]


@pytest.mark.parametrize(
    "charset", ["", "; charset=utf-8", ";charset=utf-8", "; charset=UTF-8", ";charset=UTF-8"]
)
def test_both_routes_accept_json_with_a_charset(alice: Conversation, stack: LocalStack, charset: str) -> None:
    request = alice.request("Caf\u00e9", ClientToken=f"c-{charset}")

    answers = [
        post(stack, path, request, content_type=f"application/json{charset}")
        for path in ("/messages", "/messages/sync")
    ]

    assert [answer.status for answer in answers] == [202, 200]
    assert alice.result_of(answers[0].json()["MessageId"]).outcome == "SENT"
    assert alice.texts == ["Caf\u00e9"]


WRONG_FIELDS = [
    ({"ContactId": "a&MessageGroupId=mallory"}, "ContactId must be letters, digits and hyphens only"),
    ({"ContentType": "text/html"}, "ContentType must be one of"),
    ({"Content": ""}, "Content must not be empty"),
    (
        {"Content": "x" * (MAX_SPLIT_BYTES + 1)},
        f"Content is longer than {len(LONGEST)} characters for text/plain",
    ),
    ({"Unknown": "field"}, "The request has an unknown field"),
]


@pytest.mark.parametrize("fields", [{"ContactId": ...}, *(fields for fields, _ in WRONG_FIELDS)])
def test_a_body_that_the_model_does_not_allow_is_refused_at_once_with_the_rules(
    alice: Conversation, stack: LocalStack, fields: dict[str, Any]
) -> None:
    answer = post(stack, "/messages", alice.request("Hello", **fields))

    assert answer.status == 400
    assert answer.json() == json.loads(GATEWAY_ERRORS["BAD_REQUEST_BODY"].body)
    assert alice.texts == []


@pytest.mark.parametrize(
    ("fields", "reason"), [({"ClientToken": ...}, "ClientToken is required"), *WRONG_FIELDS]
)
def test_the_synchronous_route_names_field_and_rule_of_a_wrong_body(
    alice: Conversation, stack: LocalStack, fields: dict[str, Any], reason: str
) -> None:
    request = alice.request("Hello", **{"ClientToken": "c-1", **fields})

    answer = post(stack, "/messages/sync", request)

    assert answer.status == 400
    assert answer.json()["Code"] == "InvalidRequest"
    assert answer.json()["Reason"].startswith(reason)
    assert answer.json()["ClientToken"] == request.get("ClientToken")
    assert alice.texts == []


def test_the_producer_names_the_code_of_a_refusal(alice: Conversation) -> None:
    with pytest.raises(NotAcceptedError) as raised:
        alice.post("")

    assert (raised.value.code, raised.value.status) == ("InvalidRequest", 400)


@PATHS
def test_an_unsigned_request_is_refused(alice: Conversation, stack: LocalStack, path: str) -> None:
    answer = post(stack, path, alice.request("Hello", ClientToken="c-1"), signed=False)

    assert (answer.status, answer.json()["Code"]) == (403, "NotAuthorized")


def test_another_content_type_is_refused(alice: Conversation, stack: LocalStack) -> None:
    answer = post(stack, "/messages", alice.request("Hello"), content_type="text/plain")

    assert (answer.status, answer.json()["Code"]) == (415, "InvalidRequest")


def test_a_synchronous_call_answers_the_published_result(alice: Conversation) -> None:
    detail = alice.sent(EventSource.API_SYNC, "Friday, please", ClientToken="appointment-1")

    jsonschema.validate(detail, RESULT_SCHEMA)
    assert detail["Outcome"] == "SENT"
    assert alice.result_of(detail["SourceId"]).detail == detail
    assert [message.id for message in alice.messages] == [detail["Message"]["Id"]]


@pytest.mark.parametrize(
    ("ended", "content", "fields", "status", "code"),
    [
        (False, TOO_LONG, {}, 400, "InvalidRequest"),
        (False, "**Friday**", {"ContentType": "text/markdown"}, 400, "ServiceValidation"),
        (False, "Friday", {"ExpiresAt": "2026-01-31T12:00:00Z"}, 422, "Expired"),
        (True, "Friday", {}, 422, "AccessDenied"),
    ],
)
def test_a_synchronous_call_answers_why_a_message_cannot_be_sent(
    conversations: Conversations, ended: bool, content: str, fields: dict[str, Any], status: int, code: str
) -> None:
    chat = conversations.open(ended=ended, content_types=["text/plain"])

    error = chat.refused(EventSource.API_SYNC, content, ClientToken="a-1", **fields)

    assert (error.status, error.code, error.client_token) == (status, code, "a-1")
    assert error.reason
    assert chat.texts == []


def post(
    stack: LocalStack,
    path: str,
    request: Mapping[str, Any],
    *,
    content_type: str = "application/json",
    signed: bool = True,
) -> urllib3.BaseHTTPResponse:
    """Post as no producer does, and return the whole answer."""
    body, headers = json.dumps(request), {"Content-Type": content_type}
    if signed:
        return stack.call_api("POST", path, headers=headers, body=body)
    return urllib3.request("POST", stack.api_url + path, body=body, headers=headers, retries=False)
