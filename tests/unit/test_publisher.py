"""Publishing: ten a call, partial failures, the queue for what the bus never takes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_sender.errors import AwsCallError
from message_sender.publisher import Publisher
from message_sender.queues import Queues
from message_sender.request import Correlation
from message_sender.result import MessageResult, Origin, Sent
from tests.support.fakes import FakeAwsApi, FakeClock, accepting_bus, accepting_queue

DOWN = AwsCallError("PutEvents", name="InternalFailure", http_status=500)
DENIED = AwsCallError("PutEvents", name="AccessDeniedException", http_status=400)
TAKEN = {"EventId": "e"}
REFUSED = {"ErrorCode": "ThrottlingException"}


def results(number: int) -> list[MessageResult]:
    moment = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
    return [
        MessageResult(
            outcome=Sent(message_id=f"m-{index}", absolute_time=None, processing_status=None),
            origin=Origin(event_source="sqs", source_id=f"s-{index}", accepted_at=moment),
            correlation=Correlation(client_token=f"t-{index}"),
            completed_at=moment,
            attempts=1,
        )
        for index in range(number)
    ]


class Setup:
    def __init__(self, *, bus: list[Any] | None = None, queue: list[Any] | None = None) -> None:
        self.clock = FakeClock()
        self.bus = FakeAwsApi(accepting_bus, bus or [])
        self.queue = FakeAwsApi(accepting_queue, queue or [])
        queues = Queues(
            sqs=self.queue.client(self.clock),
            message_queue_url="messages",
            dead_letter_queue_url="dead-letters",
            rejected_queue_url="rejected",
            unpublished_results_queue_url="unpublished",
        )
        self._publisher = Publisher(events=self.bus.client(self.clock), event_bus_name="bus", queues=queues)

    def publish(self, number: int, *, seconds: float = 60.0) -> list[bool]:
        return self._publisher.publish(results(number), until=self.clock.monotonic() + seconds)

    @property
    def offered(self) -> list[list[str]]:
        """The ClientTokens of each PutEvents call."""
        return [
            [json.loads(entry["Detail"])["ClientToken"] for entry in parameters["Entries"]]
            for _, parameters in self.bus.calls
        ]


@pytest.mark.parametrize(
    ("number", "calls"), [(0, []), (1, [1]), (10, [10]), (11, [10, 1]), (25, [10, 10, 5])]
)
def test_ten_results_go_into_a_call(number: int, calls: list[int]) -> None:
    setup = Setup()

    safe = setup.publish(number)

    assert safe == [True] * number
    assert [len(entries) for entries in setup.offered] == calls


def test_only_what_was_refused_is_offered_again() -> None:
    setup = Setup(bus=[{"FailedEntryCount": 1, "Entries": [TAKEN, REFUSED, TAKEN]}])

    safe = setup.publish(3)

    assert safe == [True] * 3
    assert setup.offered == [["t-0", "t-1", "t-2"], ["t-1"]]


def test_between_two_tries_it_waits() -> None:
    setup = Setup(bus=[DOWN, DOWN])

    setup.publish(1)

    assert setup.clock.slept == [0.1, 0.2]


def test_time_is_left_for_the_queue() -> None:
    setup = Setup(bus=[DOWN] * 3)

    safe = setup.publish(3, seconds=6.05)  # one call to the bus, one to the queue

    assert len(setup.bus.calls) == 1
    assert len(setup.queue.calls) == 1
    assert safe == [True] * 3


@pytest.mark.parametrize("answer", [{"Entries": None}, {"Entries": [None]}, {"Entries": {}}, {}])
def test_an_answer_of_no_sense_takes_nothing(answer: dict[str, Any]) -> None:
    setup = Setup(bus=[answer])

    assert setup.publish(1) == [True]
    assert len(setup.bus.calls) == 2


def test_after_three_tries_the_queue_keeps_what_is_left() -> None:
    refused = {"FailedEntryCount": 1, "Entries": [REFUSED]}
    setup = Setup(bus=[{"FailedEntryCount": 1, "Entries": [TAKEN, REFUSED]}, DOWN, refused])

    safe = setup.publish(2)

    assert safe == [True, True]
    assert len(setup.bus.calls) == 3
    [(operation, parameters)] = setup.queue.calls
    assert operation == "SendMessageBatch"
    assert parameters["QueueUrl"] == "unpublished"
    [entry] = parameters["Entries"]
    assert json.loads(json.loads(entry["MessageBody"])["Detail"])["ClientToken"] == "t-1"


def test_a_denied_call_is_not_repeated() -> None:
    setup = Setup(bus=[DENIED])

    safe = setup.publish(1)

    assert safe == [True]
    assert len(setup.bus.calls) == 1
    assert len(setup.queue.calls) == 1


def test_what_neither_bus_nor_queue_takes_is_not_safe() -> None:
    setup = Setup(bus=[DOWN] * 3, queue=[{"Successful": [{"Id": "0"}], "Failed": [{"Id": "1"}]}])

    assert setup.publish(2) == [True, False]


def test_nothing_is_safe_when_both_are_down() -> None:
    setup = Setup(bus=[DOWN] * 3, queue=[DOWN] * 3)

    assert setup.publish(2) == [False, False]


def test_without_time_nothing_is_started_and_nothing_is_called_safe() -> None:
    setup = Setup()

    assert setup.publish(1, seconds=2.9) == [False]
    assert setup.bus.calls == []
    assert setup.queue.calls == []


ANSWER = (
    st.just(DOWN)
    | st.just(DENIED)
    | st.lists(st.sampled_from([TAKEN, REFUSED]), max_size=12).map(lambda entries: {"Entries": entries})
)


@given(st.integers(0, 25), st.lists(ANSWER, max_size=6), st.lists(st.just(DOWN), max_size=6))
def test_a_result_is_called_safe_only_where_somebody_took_it(
    number: int, bus: list[Any], queue: list[Any]
) -> None:
    setup = Setup(bus=list(bus), queue=list(queue))
    taken: set[str] = set()

    safe = setup.publish(number)

    answers = [*bus, *[None] * len(setup.bus.calls)]
    for (_, parameters), answer in zip(setup.bus.calls, answers, strict=False):
        if isinstance(answer, AwsCallError):
            continue
        entries = answer["Entries"] if answer else [TAKEN] * len(parameters["Entries"])
        taken |= {
            json.loads(entry["Detail"])["ClientToken"]
            for entry, said in zip(parameters["Entries"], entries, strict=False)
            if said == TAKEN
        }
    for (_, parameters), answer in zip(
        setup.queue.calls, [*queue, *[None] * len(setup.queue.calls)], strict=False
    ):
        if answer is None:
            taken |= {
                json.loads(json.loads(entry["MessageBody"])["Detail"])["ClientToken"]
                for entry in parameters["Entries"]
            }
    assert [f"t-{index}" in taken for index in range(number)] == safe
