"""The examples as they are, and the library under its installed name, against the deployed stack."""

from __future__ import annotations

import importlib
import sys
import uuid
from typing import TYPE_CHECKING

import pytest
from connect_message_sender.outputs import OutputsError
from connect_message_sender.producer import Answer, EventSource, MessageRequest, NotSentError, Producer
from connect_message_sender.results import ErrorCode, Outcome

from sandbox.emulator import SESSION
from tests.support.result_events import result_event

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from connect_message_sender.producer import BatchSource

    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation, Conversations

pytestmark = pytest.mark.e2e

TIMED_OUT = {
    "Code": "DeadlineExceeded",
    "Reason": "No time was left",
    "HttpStatus": None,
    "RequestId": None,
    "MaybeDelivered": True,
}


@pytest.fixture
def load(stack: LocalStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., ModuleType]:
    """Import an example in an environment in which AWS is the emulator."""
    for name, value in stack.emulator.environ(home=tmp_path).items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)

    def load(name: str, **environ: str) -> ModuleType:
        for variable, value in environ.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.delitem(sys.modules, f"examples.{name}", raising=False)
        return importlib.import_module(f"examples.{name}")

    return load


def message(chat: Conversation, text: str) -> MessageRequest:
    return MessageRequest(
        connection_token=chat.chat.connection_token,
        contact_id=chat.chat.contact_id,
        content=text,
        client_token=str(uuid.uuid4()),
    )


def outcome_of(chat: Conversation, client_token: str) -> str:
    return chat.stack.results.wait_for(lambda result: result.client_token == client_token).outcome


# The examples


def test_a_message_is_sent_and_a_repeat_is_the_same_message(
    load: Callable[..., ModuleType], stack: LocalStack, alice: Conversation
) -> None:
    example = load("send", MESSAGE_QUEUE_URL=stack.outputs.message_queue_url)
    token, contact_id = alice.chat.connection_token, alice.chat.contact_id

    sent = [example.send(contact_id, token, "sms-1", "Hello") for _ in range(2)]

    assert [alice.result_of(each).outcome for each in sent] == ["SENT", "SENT"]
    assert alice.texts == ["Hello"]


def test_many_messages_are_sent_in_the_order_of_each_chat(
    load: Callable[..., ModuleType],
    stack: LocalStack,
    conversations: Conversations,
    caplog: pytest.LogCaptureFixture,
) -> None:
    example = load("send", MESSAGE_QUEUE_URL=stack.outputs.message_queue_url)
    chats = [conversations.open() for _ in range(2)]
    requests = [message(chat, str(number)) for number in range(8) for chat in chats]

    again = example.send_all([*requests, message(chats[0], "")])

    assert again == []
    assert [record.getMessage().partition(" is ")[2] for record in caplog.records] == [
        "not valid: Content must not be empty"
    ]
    assert {outcome_of(chats[0], each.client_token) for each in requests} == {"SENT"}
    assert [chat.texts for chat in chats] == [[str(number) for number in range(8)]] * 2


def test_a_picked_option_is_sent(
    load: Callable[..., ModuleType], stack: LocalStack, alice: Conversation
) -> None:
    example = load("picked", EVENT_BUS_NAME=stack.outputs.event_bus_name)
    shown = str(uuid.uuid4())

    example.customer_picked(
        alice.chat.contact_id, alice.chat.connection_token, shown, {"templateType": "ListPicker"}
    )

    assert outcome_of(alice, f"{shown}-picked") == "SENT"
    assert alice.texts == ['{"templateType": "ListPicker"}']


def test_a_bot_answers_in_order_and_learns_that_the_chat_has_ended(
    load: Callable[..., ModuleType], stack: LocalStack, conversations: Conversations
) -> None:
    example = load("bot", FUNCTION_ALIAS_ARN=stack.outputs.function_alias_arn)
    alice, ended = conversations.open(), conversations.open(ended=True)

    example.answer(alice.chat.connection_token, alice.chat.contact_id, "m-1", ["Hello", "How are you?"])
    with pytest.raises(NotSentError) as raised:
        example.answer(ended.chat.connection_token, ended.chat.contact_id, "m-2", ["Hello"])

    assert alice.texts == ["Hello", "How are you?"]
    if stack.has_error_types:
        assert raised.value.code is ErrorCode.ACCESS_DENIED


def test_a_test_waits_for_its_result(
    load: Callable[..., ModuleType], stack: LocalStack, alice: Conversation
) -> None:
    request = message(alice, "Is this thing on?")

    result = load("watch").send_and_wait(stack.outputs.stack_name, request)

    assert result.outcome is Outcome.SENT
    assert result.message_id == alice.messages[0].id


def test_outcomes_are_stored_and_passed_on_once(
    load: Callable[..., ModuleType], stack: LocalStack, conversations: Conversations
) -> None:
    names = {"Outcomes": f"outcomes-{uuid.uuid4()}", "Support": f"support-{uuid.uuid4()}.fifo"}
    dynamodb = stack.emulator.client("dynamodb")
    dynamodb.create_table(
        TableName=names["Outcomes"],
        KeySchema=[{"AttributeName": "client_token", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "client_token", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    support = stack.sqs.create_queue(QueueName=names["Support"], Attributes={"FifoQueue": "true"})["QueueUrl"]
    example = load("outcomes", OUTCOMES_TABLE=names["Outcomes"], SUPPORT_QUEUE_URL=support)
    alice, ended = conversations.open(), conversations.open(ended=True)
    sent, rejected = alice.result_of(alice.event("Hello")), ended.result_of(ended.event("Hello"))

    for result in (sent, rejected) * 2:  # EventBridge delivers at least once
        example.lambda_handler(result_event(dict(result.detail)), None)
    # As after a crash of the function: a result that contradicts SENT
    late = {**sent.detail, "Outcome": "FAILED", "Message": None, "Error": TIMED_OUT}
    example.lambda_handler(result_event(late), None)

    items = dynamodb.scan(TableName=names["Outcomes"])["Items"]
    assert {item["client_token"]["S"]: item["outcome"]["S"] for item in items} == {
        sent.client_token: "SENT",
        rejected.client_token: "REJECTED",
    }
    answer = stack.sqs.receive_message(QueueUrl=support, MaxNumberOfMessages=10)
    assert sorted(each["Body"].rpartition(":")[0].split(": ")[1] for each in answer["Messages"]) == [
        "AccessDenied",
        "DeadlineExceeded",
    ]


# Finding the stack, and batches of events


@pytest.mark.parametrize("source", [EventSource.QUEUE, EventSource.EVENT])
@pytest.mark.parametrize("find", [Producer.of_stack, Producer.of_sender])
def test_a_producer_finds_the_stack_and_sends_a_batch(
    find: Callable[..., Producer], source: BatchSource, stack: LocalStack, alice: Conversation
) -> None:
    # The app gives its sender the name of its stack
    producer = find(stack.outputs.stack_name, session=SESSION, endpoint_url=stack.emulator.url)

    answers = producer.send_all([message(alice, f"{number}") for number in range(11)], through=source)

    assert producer.offered == tuple(EventSource)
    assert all(isinstance(answer, Answer) for answer in answers)
    results = [alice.result_of(answer.source_id) for answer in answers if isinstance(answer, Answer)]
    assert {(result.outcome, result.event_source) for result in results} == {
        ("SENT", next(iter(source.reported_as)))
    }
    assert sorted(alice.texts, key=str) == sorted(str(number) for number in range(11))


@pytest.mark.parametrize("find", [Producer.of_stack, Producer.of_sender])
def test_a_stack_that_does_not_exist_is_named_with_the_region(
    find: Callable[..., Producer], stack: LocalStack
) -> None:
    with pytest.raises(OutputsError, match=f"nobody in {SESSION.region_name}"):
        find("nobody", session=SESSION, endpoint_url=stack.emulator.url)
