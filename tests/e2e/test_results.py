"""The function `Results`: results that the bus did not accept at first, and outcomes by id."""

from __future__ import annotations

import json
import socket
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import urllib3

from infra.producer import EventSource
from sandbox.participant_service.faults import Status
from tests.e2e.test_workflow import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sandbox.local_stack import LocalStack
    from tests.e2e.conftest import Conversation, Conversations

pytestmark = pytest.mark.e2e

ATTEMPTS_PER_INVOCATION = 3


def move_alias(stack: LocalStack, variables: Mapping[str, str]) -> None:
    """Let the alias run the function with these environment variables."""
    name = stack.outputs.function_name
    stack.lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
    version = stack.lambda_.publish_version(FunctionName=name)["Version"]
    stack.lambda_.update_alias(FunctionName=name, Name="live", FunctionVersion=version)


@contextmanager
def bus_is_down(stack: LocalStack) -> Iterator[None]:
    """Let nobody answer the sender function's PutEvents. The function `Results` reaches the bus."""
    configuration = stack.lambda_.get_function_configuration(FunctionName=stack.outputs.function_name)
    variables = configuration["Environment"]["Variables"]
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        endpoint = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        move_alias(stack, {**variables, "AWS_ENDPOINT_URL_EVENTBRIDGE": endpoint})
        try:
            yield
        finally:
            move_alias(stack, variables)


def waiting_results(stack: LocalStack) -> int:
    answer = stack.sqs.get_queue_attributes(
        QueueUrl=stack.outputs.unpublished_results_queue_url,
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )
    return sum(map(int, answer["Attributes"].values()))


def test_results_of_an_outage_of_the_bus_are_published_afterwards(
    conversations: Conversations, stack: LocalStack
) -> None:
    alice, ended = conversations.open(), conversations.open(ended=True)

    with bus_is_down(stack):
        answered = alice.sent(EventSource.DIRECT, "now", ClientToken=str(uuid.uuid4()))
        sent, rejected = alice.queue("later"), ended.queue("never")
        results = {each: alice.result_of(each) for each in (sent, rejected, answered["SourceId"])}

    assert alice.texts == ["now", "later"]
    assert [results[each].outcome for each in (sent, rejected)] == ["SENT", "REJECTED"]
    assert results[answered["SourceId"]].detail == answered
    wait_until(lambda: waiting_results(stack) == 0)


def test_message_that_is_not_a_result_stays_in_the_queue(alice: Conversation, stack: LocalStack) -> None:
    source_id = str(uuid.uuid4())
    known = alice.result_of(alice.queue("Hello"))
    entry = {
        "EventBusName": stack.outputs.event_bus_name,
        "Source": "my.payments",
        "DetailType": "Message Sent",
        "Detail": json.dumps({**known.detail, "SourceId": source_id}),
    }
    queue_url = stack.outputs.unpublished_results_queue_url

    def put(changed: Mapping[str, str]) -> None:
        stack.sqs.send_message(QueueUrl=queue_url, MessageBody=json.dumps({**entry, **changed}))

    put({})
    put({"Source": "connect-message-sender", "Detail": json.dumps({**known.detail, "SourceId": "s-2"})})
    alice.result_of("s-2")

    assert source_id not in {result.source_id for result in stack.results.received}
    assert waiting_results(stack) == 1
    stack.sqs.purge_queue(QueueUrl=queue_url)


@pytest.mark.parametrize("source", [EventSource.QUEUE, EventSource.EVENT, EventSource.DIRECT])
def test_outcome_is_found_by_client_token_and_source_id(
    source: EventSource, conversations: Conversations, stack: LocalStack
) -> None:
    alice, client_token = conversations.open(), f"größe + 42 {uuid.uuid4()}"
    answer = alice.send(source, "Hello", ClientToken=client_token)
    result = answer.result or alice.result_of(answer.source_id)

    wait_until(lambda: stack.look_up(result.source_id) is not None)

    assert stack.look_up(result.source_id) == result
    assert stack.look_up(client_token) == result


def test_location_of_a_posted_message_answers_its_outcome(alice: Conversation, stack: LocalStack) -> None:
    stack.participant.add_fault(
        Status(status=503), contact_id=alice.chat.contact_id, times=ATTEMPTS_PER_INVOCATION
    )

    accepted = stack.call_api(
        "POST",
        "/messages",
        headers={"Content-Type": "application/json"},
        body=json.dumps(alice.request("Hello")),
    )
    message_id, location = accepted.json()["MessageId"], accepted.headers["Location"]
    early = stack.call_api("GET", f"/messages/{message_id}")
    result = alice.result_of(message_id)
    wait_until(lambda: stack.look_up(message_id) is not None)

    stage = urlsplit(stack.outputs.api_url).path.rstrip("/")
    assert location == f"{stage}/messages/{message_id}"
    assert (early.status, early.json()["Code"]) == (404, "OutcomeNotKnown")
    found = stack.call_api("GET", location.removeprefix(stage))
    assert (found.status, found.json()) == (200, result.detail)


def test_look_up_without_a_signature_is_refused(alice: Conversation, stack: LocalStack) -> None:
    message_id = alice.queue("Hello")

    answer = urllib3.request("GET", f"{stack.api_url}/messages/{message_id}", retries=False)

    assert (answer.status, answer.json()["Code"]) == (403, "NotAuthorized")
