"""Publishing: ten results per call, partial failures, the queue for unpublished results."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from message_sender.errors import AwsCallError
from message_sender.publisher import Publisher
from message_sender.request import Correlation
from tests.support.fakes import (
    FakeAwsApi,
    FakeClock,
    accepting_bus,
    accepting_queue,
    make_queues,
    result_of,
)

DOWN = AwsCallError("PutEvents", name="InternalFailure", http_status=500)
SQS_DOWN = AwsCallError("SendMessageBatch", name="ServiceUnavailable", http_status=503)
DENIED = AwsCallError("PutEvents", name="AccessDeniedException", http_status=400)
ACCEPTED = {"EventId": "e"}
TOO_LATE = "DeadlineExceeded (no response)"
REFUSED = {"ErrorCode": "ThrottlingException"}


class Setup:
    def __init__(self, *, bus: list[Any] | None = None, queue: list[Any] | None = None) -> None:
        self.clock = FakeClock()
        self.bus = FakeAwsApi(accepting_bus, bus or [])
        self.queue = FakeAwsApi(accepting_queue, queue or [])
        self.publisher = Publisher(
            events=self.bus.client(self.clock),
            event_bus_name="bus",
            queues=make_queues(self.queue, self.clock),
        )

    def publish(self, number: int, *, seconds: float = 60.0) -> list[str | None]:
        """Return for each result why it is not safe, or None."""
        results = [result_of(correlation=Correlation(client_token=f"t-{index}")) for index in range(number)]
        errors = self.publisher.publish(results, until=self.clock.monotonic() + seconds)
        return [None if error is None else str(error) for error in errors]

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
def test_each_call_publishes_up_to_ten_results(number: int, calls: list[int]) -> None:
    setup = Setup()

    unsafe = setup.publish(number)

    assert unsafe == [None] * number
    assert [len(entries) for entries in setup.offered] == calls


def test_an_entry_has_the_bus_the_source_and_the_type_of_the_result() -> None:
    setup = Setup()

    setup.publish(1)

    [(operation, parameters)] = setup.bus.calls
    [entry] = parameters["Entries"]
    assert operation == "PutEvents"
    assert entry == {
        "EventBusName": "bus",
        "Source": "connect-message-sender",
        "DetailType": "Message Sent",
        "Detail": entry["Detail"],
    }


def test_only_refused_results_are_published_again() -> None:
    setup = Setup(bus=[{"FailedEntryCount": 1, "Entries": [ACCEPTED, REFUSED, ACCEPTED]}])

    unsafe = setup.publish(3)

    assert unsafe == [None] * 3
    assert setup.offered == [["t-0", "t-1", "t-2"], ["t-1"]]


def test_each_retry_waits_longer() -> None:
    setup = Setup(bus=[DOWN, DOWN])

    setup.publish(1)

    assert setup.clock.slept == [0.1, 0.2]


def test_retries_leave_time_for_the_queue() -> None:
    setup = Setup(bus=[DOWN] * 3)

    unsafe = setup.publish(3, seconds=6.05)  # one call to the bus, one to the queue

    assert len(setup.bus.calls) == 1
    assert len(setup.queue.calls) == 1
    assert unsafe == [None] * 3


@pytest.mark.parametrize("answer", [{"Entries": None}, {"Entries": [None]}, {"Entries": {}}, {}])
def test_a_malformed_answer_accepts_no_result(answer: dict[str, Any]) -> None:
    setup = Setup(bus=[answer])

    assert setup.publish(1) == [None]
    assert len(setup.bus.calls) == 2


def test_the_queue_keeps_the_results_that_three_attempts_did_not_publish() -> None:
    refused = {"FailedEntryCount": 1, "Entries": [REFUSED]}
    setup = Setup(bus=[{"FailedEntryCount": 1, "Entries": [ACCEPTED, REFUSED]}, DOWN, refused])

    unsafe = setup.publish(2)

    assert unsafe == [None, None]
    assert len(setup.bus.calls) == 3
    [(operation, parameters)] = setup.queue.calls
    assert operation == "SendMessageBatch"
    assert parameters["QueueUrl"] == "unpublished"
    [entry] = parameters["Entries"]
    assert json.loads(json.loads(entry["MessageBody"])["Detail"])["ClientToken"] == "t-1"


def test_a_denied_call_is_not_retried() -> None:
    setup = Setup(bus=[DENIED])

    unsafe = setup.publish(1)

    assert unsafe == [None]
    assert len(setup.bus.calls) == 1
    assert len(setup.queue.calls) == 1


def test_a_result_that_bus_and_queue_refuse_is_not_safe() -> None:
    setup = Setup(bus=[DOWN] * 3, queue=[{"Successful": [{"Id": "0"}], "Failed": [{"Id": "1"}]}])

    assert setup.publish(2) == [
        None,
        "PutEvents failed: InternalFailure (500); SendMessageBatch failed: FailedInPart (200)",
    ]


def test_no_result_is_safe_if_bus_and_queue_are_down() -> None:
    setup = Setup(bus=[DOWN] * 3, queue=[SQS_DOWN] * 3)

    assert (
        setup.publish(2)
        == ["PutEvents failed: InternalFailure (500); SendMessageBatch failed: ServiceUnavailable (503)"] * 2
    )


def test_without_time_no_call_is_made_and_no_result_is_safe() -> None:
    setup = Setup()

    assert setup.publish(1, seconds=2.9) == [
        f"PutEvents failed: {TOO_LATE}; SendMessageBatch failed: {TOO_LATE}"
    ]
    assert setup.bus.calls == []
    assert setup.queue.calls == []


ANSWER = (
    st.just(DOWN)
    | st.just(DENIED)
    | st.lists(st.sampled_from([ACCEPTED, REFUSED]), max_size=12).map(lambda entries: {"Entries": entries})
)


@given(st.integers(0, 25), st.lists(ANSWER, max_size=6), st.lists(st.just(DOWN), max_size=6))
def test_a_result_is_safe_exactly_if_the_bus_or_the_queue_accepted_it(
    number: int, bus: list[Any], queue: list[Any]
) -> None:
    setup = Setup(bus=list(bus), queue=list(queue))
    accepted: set[str] = set()

    unsafe = setup.publish(number)

    answers = [*bus, *[None] * len(setup.bus.calls)]
    for (_, parameters), answer in zip(setup.bus.calls, answers, strict=False):
        if isinstance(answer, AwsCallError):
            continue
        entries = answer["Entries"] if answer else [ACCEPTED] * len(parameters["Entries"])
        accepted |= {
            json.loads(entry["Detail"])["ClientToken"]
            for entry, item in zip(parameters["Entries"], entries, strict=False)
            if item == ACCEPTED
        }
    for (_, parameters), answer in zip(
        setup.queue.calls, [*queue, *[None] * len(setup.queue.calls)], strict=False
    ):
        if answer is None:
            accepted |= {
                json.loads(json.loads(entry["MessageBody"])["Detail"])["ClientToken"]
                for entry in parameters["Entries"]
            }
    assert [f"t-{index}" in accepted for index in range(number)] == [reason is None for reason in unsafe]
