"""The APIs of SQS, EventBridge and Step Functions as their callers see them: whole, in part, and failing."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.participant_service.api import Ending, ParticipantApi
from tests.simulation.fault_profiles import CALM, Rates, Strike, Weather
from tests.simulation.models.aws import NO_ANSWER_SECONDS, Bus, ParticipantHost, Sqs, StepFunctions
from tests.simulation.models.clock import VirtualTime
from tests.simulation.models.network import Request
from tests.simulation.models.sqs import Queue

if TYPE_CHECKING:
    from tests.simulation.models.aws import WaitingTask


class World:
    """A FIFO queue, a bus and Step Functions, in some weather."""

    def __init__(self, rates: Rates = CALM) -> None:
        self.time = VirtualTime()
        self.weather = Weather(time=self.time, random=Random(1), rates=rates)
        self.queue = Queue("messages.fifo", time=self.time, random=Random(2))
        self.sqs = Sqs({self.queue.name: self.queue}, self.weather)
        self.bus = Bus(self.time, self.weather)
        self.step_functions = StepFunctions(self.time, self.weather, "task-")
        self.timeouts: list[float] = []

    def start_task(self, *, timeout: float = 60.0) -> WaitingTask:
        return self.step_functions.start_task(
            timeout=timeout, on_timeout=lambda: self.timeouts.append(self.time.monotonic())
        )

    def answer(self, token: str, *, operation: str = "SendTaskSuccess") -> tuple[int, str | None]:
        """Answer a task. Return status and the name of the error."""
        body = json.dumps({"taskToken": token, "output": "{}"}).encode()
        answer = self.step_functions(
            Request("POST", "/", {"x-amz-target": f"AWSStepFunctions.{operation}"}, body)
        )
        return answer.status, json.loads(answer.body).get("__type", "").rpartition("#")[2] or None

    def call(self, operation: str, **parameters: Any) -> tuple[int, dict[str, Any]]:  # noqa: ANN401  # JSON
        if operation != "PutEvents":
            parameters["QueueUrl"] = "https://sqs/000000000000/messages.fifo"
        service = self.bus if operation == "PutEvents" else self.sqs
        answer = service(
            Request("POST", "/", {"x-amz-target": f"Service.{operation}"}, json.dumps(parameters).encode())
        )
        return answer.status, json.loads(answer.body)


MESSAGE = {"MessageBody": "a", "MessageGroupId": "g", "MessageDeduplicationId": "d"}
ENTRIES = [
    {"Id": "0", **MESSAGE},
    {"Id": "1", **MESSAGE, "MessageBody": "\x00", "MessageDeduplicationId": "e"},
]


def test_a_message_is_sent_with_its_attributes() -> None:
    world = World()

    status, answer = world.call(
        "SendMessage", **MESSAGE, MessageAttributes={"Code": {"DataType": "String", "StringValue": "x"}}
    )

    [message] = world.queue.messages
    assert (status, answer["MessageId"]) == (200, message.message_id)
    assert message.attributes == {"Code": "x"}


def test_a_message_that_sqs_refuses_is_a_client_error() -> None:
    status, answer = World().call("SendMessage", **MESSAGE | {"MessageBody": "\x00"})

    assert (status, answer["__type"]) == (400, "com.amazonaws.sqs#InvalidMessageContents")


def test_each_entry_of_a_batch_succeeds_or_fails_by_itself() -> None:
    world = World()

    status, answer = world.call("SendMessageBatch", Entries=ENTRIES)

    assert status == 200
    assert [entry["Id"] for entry in answer["Successful"]] == ["0"]
    assert [entry["Id"] for entry in answer["Failed"]] == ["1"]


def test_visibility_changes_in_part() -> None:
    world = World()
    world.call("SendMessage", **MESSAGE)
    [message] = world.queue.receive()
    entries = [
        {"Id": "0", "ReceiptHandle": message.receipt, "VisibilityTimeout": 7},
        {"Id": "1", "ReceiptHandle": "unknown", "VisibilityTimeout": 7},
    ]

    _, answer = world.call("ChangeMessageVisibilityBatch", Entries=entries)

    assert [entry["Id"] for entry in answer["Failed"]] == ["1"]
    assert world.queue.messages[0].visible_at == 7


def entry(number: int) -> dict[str, str]:
    return {"Detail": json.dumps({"number": number})}


def test_a_bus_keeps_what_it_takes() -> None:
    world = World()

    status, answer = world.call("PutEvents", Entries=[entry(1), entry(2)])

    assert (status, answer["FailedEntryCount"]) == (200, 0)
    assert [detail["number"] for _, detail in world.bus.results] == [1, 2]


def test_a_bus_that_fails_in_part_says_which_entries() -> None:
    world = World({Strike.BUS_FAILS_IN_PART: 1.0})

    _, answer = world.call("PutEvents", Entries=[entry(number) for number in range(10)])

    taken = [number for number, told in enumerate(answer["Entries"]) if "EventId" in told]
    assert [detail["number"] for _, detail in world.bus.results] == taken
    assert 0 < answer["FailedEntryCount"] == 10 - len(taken)


@pytest.mark.parametrize("strike", [Strike.BUS_FAILS, Strike.QUEUE_FAILS, Strike.VISIBILITY_FAILS])
def test_what_fails_has_no_effect(strike: Strike) -> None:
    world = World({strike: 1.0})
    operation = {
        Strike.BUS_FAILS: ("PutEvents", {"Entries": [entry(1)]}),
        Strike.QUEUE_FAILS: ("SendMessage", MESSAGE),
        Strike.VISIBILITY_FAILS: ("ChangeMessageVisibilityBatch", {"Entries": []}),
    }[strike]

    status, _ = world.call(operation[0], **operation[1])  # type: ignore[arg-type]  # parameters by name

    assert status != 200 or world.weather.counts[strike] == 1
    assert world.bus.results == []
    assert world.queue.messages == []


@pytest.mark.parametrize("strike", [Strike.BUS_TIMES_OUT, Strike.QUEUE_TIMES_OUT])
def test_what_times_out_was_accepted(strike: Strike) -> None:
    world = World({strike: 1.0})

    world.call("PutEvents", Entries=[entry(1)])
    world.call("SendMessage", **MESSAGE)

    assert len(world.bus.results) == len(world.queue.messages) == 1
    assert world.weather.counts[strike] == 1


def test_an_operation_that_is_not_here_is_refused() -> None:
    world = World()

    assert world.call("DeleteQueue")[0] == 400
    assert world.answer(world.start_task().token, operation="SendTaskHeartbeat")[0] == 400


def test_a_message_is_received_with_all_that_sqs_tells_of_it_and_deleted() -> None:
    world = World()
    letter = {**MESSAGE, "MessageAttributes": {"Code": {"DataType": "String", "StringValue": "x"}}}
    _, sent = world.call("SendMessage", **letter)

    _, answer = world.call("ReceiveMessage", MaxNumberOfMessages=10, VisibilityTimeout=900)
    [message] = answer["Messages"]
    hidden_until = world.queue.messages[0].visible_at
    status, _ = world.call("DeleteMessage", ReceiptHandle=message["ReceiptHandle"])

    assert (message["MessageId"], message["Body"]) == (sent["MessageId"], "a")
    assert message["Attributes"] == {
        "SentTimestamp": str(int(world.time.epoch() * 1000)),
        "ApproximateReceiveCount": "1",
        "MessageGroupId": "g",
        "MessageDeduplicationId": "d",
    }
    assert message["MessageAttributes"] == letter["MessageAttributes"]
    assert hidden_until == 900
    assert (status, world.queue.messages) == (200, [])


def test_a_letter_that_sqs_moved_names_its_source_and_an_empty_queue_has_no_messages() -> None:
    world = World()
    other = Queue("other.fifo", time=world.time, random=Random(3))
    other.send("a", group="g", deduplication_id="d")
    [letter] = other.messages
    receive = {"MaxNumberOfMessages": 10, "VisibilityTimeout": 900}

    empty = world.call("ReceiveMessage", **receive)
    world.queue.take_over(letter, other.name)
    _, answer = world.call("ReceiveMessage", **receive)

    assert empty == (200, {})
    assert answer["Messages"][0]["Attributes"]["DeadLetterQueueSourceArn"] == other.arn


@pytest.mark.parametrize("strike", [Strike.LETTERS_FAIL, Strike.LETTERS_TIME_OUT])
def test_a_receive_that_fails_hides_nothing_and_one_without_an_answer_does(strike: Strike) -> None:
    world = World({strike: 1.0})
    world.queue.send("a", group="g", deduplication_id="d")

    world.call("ReceiveMessage", MaxNumberOfMessages=10, VisibilityTimeout=900)

    assert (world.queue.messages[0].visible_at == 900) is (strike is Strike.LETTERS_TIME_OUT)


def test_a_task_takes_one_answer() -> None:
    world = World()
    task = world.start_task()

    world.time.run(until=7)
    answers = [world.answer(task.token), world.answer(task.token, operation="SendTaskFailure")]
    world.time.run()

    assert answers == [(200, None), (400, "TaskDoesNotExist")]
    assert task.answer == ("SendTaskSuccess", {"output": "{}"})
    assert task.timed_out_at is None
    assert world.timeouts == []


def test_a_task_that_has_timed_out_takes_none() -> None:
    world = World()
    task = world.start_task(timeout=60)

    world.time.run()

    assert world.answer(task.token) == (400, "TaskTimedOut")
    assert (task.answer, task.timed_out_at, world.timeouts) == (None, 60, [60])
    assert world.weather.counts == {Strike.TASK_TIMED_OUT: 1}


def test_a_task_that_was_stopped_takes_none_and_does_not_time_out() -> None:
    world = World()
    task = world.start_task()

    world.step_functions.stop(task)
    world.time.run()

    assert world.answer(task.token) == (400, "TaskDoesNotExist")
    assert world.timeouts == []


def test_a_task_token_of_no_task_is_invalid() -> None:
    assert World().answer("unknown") == (400, "InvalidToken")


def test_an_answer_that_fails_is_none_and_is_counted() -> None:
    world = World({Strike.TASK_ANSWER_FAILS: 1.0})
    task = world.start_task()

    world.answer(task.token)

    assert (task.answer, task.calls_lost) == (None, 1)


def test_an_answer_that_times_out_was_taken() -> None:
    world = World({Strike.TASK_ANSWER_TIMES_OUT: 1.0})
    task = world.start_task()
    body = json.dumps({"taskToken": task.token, "output": "{}"}).encode()

    answer = world.step_functions(
        Request("POST", "/", {"x-amz-target": "AWSStepFunctions.SendTaskSuccess"}, body)
    )

    assert answer.latency >= NO_ANSWER_SECONDS
    assert task.answer is not None


def test_the_participant_service_counts_what_is_over_its_quota() -> None:
    time = VirtualTime()
    weather = Weather(time=time, random=Random(1), rates=CALM)
    api = ParticipantApi(clock=time.epoch)
    chat = api.service.start_chat()
    token = api.service.create_connection(chat.participant_token).connection_token
    api.throttle.set(1, burst=1)
    body = json.dumps({"ContentType": "text/plain", "Content": "hello"}).encode()
    host = ParticipantHost(api, weather)

    answers = [host(Request("POST", "/participant/message", {"x-amz-bearer": token}, body)) for _ in "12"]

    assert [answer.status for answer in answers] == [200, 429]
    assert weather.counts[Strike.QUOTA] == 1
    assert answers[0].ending is Ending.KEPT_OPEN
