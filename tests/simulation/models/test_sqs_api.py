"""The API of SQS: complete, partial and failed calls."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from tests.simulation.fault_profiles import NO_FAULTS, Fault, FaultInjector, FaultProfile
from tests.simulation.models.aws import Sqs
from tests.simulation.models.clock import VirtualTime
from tests.simulation.models.network import Request
from tests.simulation.models.sqs import Queue

MESSAGE = {"MessageBody": "a", "MessageGroupId": "g", "MessageDeduplicationId": "d"}
ENTRIES = [
    {"Id": "0", **MESSAGE},
    {"Id": "1", **MESSAGE, "MessageBody": "\x00", "MessageDeduplicationId": "e"},
]
RECEIVE = {"MaxNumberOfMessages": 10, "VisibilityTimeout": 900}


class Api:
    """The API in front of one FIFO queue."""

    def __init__(self, profile: FaultProfile = NO_FAULTS) -> None:
        self.time = VirtualTime()
        self.injector = FaultInjector(time=self.time, random=Random(1), profile=profile)
        self.queue = Queue("messages.fifo", time=self.time, random=Random(2))
        self._sqs = Sqs({self.queue.name: self.queue}, self.injector)

    def call(self, operation: str, **parameters: object) -> tuple[int, dict[str, Any]]:
        body = json.dumps({"QueueUrl": "https://sqs/000000000000/messages.fifo", **parameters}).encode()
        answer = self._sqs(Request("POST", "/", {"x-amz-target": f"AmazonSQS.{operation}"}, body))
        return answer.status, json.loads(answer.body)


# SendMessage and SendMessageBatch


def test_a_message_is_sent_with_its_attributes() -> None:
    api = Api()

    status, answer = api.call(
        "SendMessage", **MESSAGE, MessageAttributes={"Code": {"DataType": "String", "StringValue": "x"}}
    )

    [message] = api.queue.messages
    assert (status, answer["MessageId"]) == (200, message.message_id)
    assert message.attributes == {"Code": "x"}


def test_an_invalid_message_is_a_client_error() -> None:
    status, answer = Api().call("SendMessage", **MESSAGE | {"MessageBody": "\x00"})

    assert (status, answer["__type"]) == (400, "com.amazonaws.sqs#InvalidMessageContents")


def test_each_entry_of_a_batch_succeeds_or_fails_on_its_own() -> None:
    status, answer = Api().call("SendMessageBatch", Entries=ENTRIES)

    assert status == 200
    assert [entry["Id"] for entry in answer["Successful"]] == ["0"]
    assert [entry["Id"] for entry in answer["Failed"]] == ["1"]


def test_a_failed_send_has_no_effect() -> None:
    api = Api({Fault.QUEUE_FAILS: 1.0})

    api.call("SendMessage", **MESSAGE)

    assert api.injector.counts == {Fault.QUEUE_FAILS: 1}
    assert api.queue.messages == []


def test_a_send_without_a_response_was_accepted() -> None:
    api = Api({Fault.QUEUE_TIMES_OUT: 1.0})

    api.call("SendMessage", **MESSAGE)

    assert api.injector.counts == {Fault.QUEUE_TIMES_OUT: 1}
    assert len(api.queue.messages) == 1


# ChangeMessageVisibilityBatch


def test_each_visibility_change_succeeds_or_fails_on_its_own() -> None:
    api = Api()
    api.call("SendMessage", **MESSAGE)
    [message] = api.queue.receive()
    entries = [
        {"Id": "0", "ReceiptHandle": message.receipt, "VisibilityTimeout": 7},
        {"Id": "1", "ReceiptHandle": "unknown", "VisibilityTimeout": 7},
    ]

    _, answer = api.call("ChangeMessageVisibilityBatch", Entries=entries)

    assert [entry["Id"] for entry in answer["Failed"]] == ["1"]
    assert api.queue.messages[0].visible_at == 7


def test_a_failed_visibility_change_has_no_effect() -> None:
    api = Api({Fault.VISIBILITY_FAILS: 1.0})
    api.call("SendMessage", **MESSAGE)
    [message] = api.queue.receive()
    entry = {"Id": "0", "ReceiptHandle": message.receipt, "VisibilityTimeout": 7}

    api.call("ChangeMessageVisibilityBatch", Entries=[entry])

    assert api.queue.messages[0].visible_at == 30


# ReceiveMessage and DeleteMessage


def test_a_message_is_received_with_its_attributes_and_deleted() -> None:
    api = Api()
    sent = {**MESSAGE, "MessageAttributes": {"Code": {"DataType": "String", "StringValue": "x"}}}
    _, accepted = api.call("SendMessage", **sent)

    _, answer = api.call("ReceiveMessage", **RECEIVE)
    [message] = answer["Messages"]
    hidden_until = api.queue.messages[0].visible_at
    status, _ = api.call("DeleteMessage", ReceiptHandle=message["ReceiptHandle"])

    assert (message["MessageId"], message["Body"]) == (accepted["MessageId"], "a")
    assert message["Attributes"] == {
        "SentTimestamp": str(int(api.time.epoch() * 1000)),
        "ApproximateReceiveCount": "1",
        "MessageGroupId": "g",
        "MessageDeduplicationId": "d",
    }
    assert message["MessageAttributes"] == sent["MessageAttributes"]
    assert hidden_until == 900
    assert (status, api.queue.messages) == (200, [])


def test_an_empty_queue_returns_no_messages() -> None:
    assert Api().call("ReceiveMessage", **RECEIVE) == (200, {})


def test_a_message_that_sqs_moved_names_its_source_queue() -> None:
    api = Api()
    other = Queue("other.fifo", time=api.time, random=Random(3))
    other.send("a", group="g", deduplication_id="d")
    [dead_letter] = other.messages

    api.queue.take_over(dead_letter, other.name)
    _, answer = api.call("ReceiveMessage", **RECEIVE)

    assert answer["Messages"][0]["Attributes"]["DeadLetterQueueSourceArn"] == other.arn


@pytest.mark.parametrize(
    ("fault", "hidden_until"),
    [(Fault.DEAD_LETTER_CALL_FAILS, 0.0), (Fault.DEAD_LETTER_CALL_TIMES_OUT, 900.0)],
)
def test_a_failed_receive_hides_nothing_and_one_without_a_response_does(
    fault: Fault, hidden_until: float
) -> None:
    api = Api({fault: 1.0})
    api.queue.send("a", group="g", deduplication_id="d")

    api.call("ReceiveMessage", **RECEIVE)

    assert api.queue.messages[0].visible_at == hidden_until


def test_an_operation_without_a_model_is_rejected() -> None:
    assert Api().call("DeleteQueue")[0] == 400
