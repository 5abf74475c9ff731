"""A run through the queue of results that EventBridge did not take."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from message_sender.errors import InvalidRequestError
from message_sender.outcome import MessageResult, Origin, Rejected
from message_sender.publisher import Publisher
from message_sender.queues import Queues
from message_sender.request import Correlation
from operations.aws import BotoApi
from operations.inbox import Inbox
from operations.republish import RepublishRun
from tests.support.dead_letters import UNPUBLISHED
from tests.support.fakes import FakeClock
from tests.support.sqs_client import FakeAwsClient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operations.republish import KeptResult, Republished


@dataclass
class Operator:
    """Publishes what a function could not publish."""

    clock: FakeClock = field(default_factory=FakeClock)
    told: list[tuple[str | None, str | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client = FakeAwsClient(clock=self.clock)

    def keep(self, count: int, *, metadata: Mapping[str, str] | None = None) -> None:
        """Have the function keep results, as it does while the bus is down."""
        api = BotoApi(self.client)
        queues = Queues(
            sqs=api,
            message_queue_url="messages",
            dead_letter_queue_url="dead",
            rejected_queue_url="rejected",
            unpublished_results_queue_url=UNPUBLISHED,
            clock=self.clock,
            random=lambda: 0.0,
        )
        publisher = Publisher(
            events=api, event_bus_name="the-bus", queues=queues, clock=self.clock, random=lambda: 0.0
        )
        results = [
            MessageResult(
                outcome=Rejected(InvalidRequestError("Content is required")),
                origin=Origin(event_source="sqs", source_id=f"s-{number}", accepted_at=self.clock.now()),
                correlation=Correlation(client_token=f"c-{number}", metadata=metadata or {}),
                completed_at=self.clock.now(),
                attempts=0,
            )
            for number in range(count)
        ]
        self.client.failures["PutEvents"] = [("AccessDenied", 403)] * count
        publisher.publish(results, until=self.clock.monotonic() + 60)
        self.client.failures.clear()
        self.client.calls.clear()

    def republish(self, *, dry_run: bool = False) -> Republished:
        api = BotoApi(self.client)
        self.told = []

        def tell(result: KeptResult | None, problem: str | None) -> None:
            self.told.append((result.client_token if result else None, problem))

        return RepublishRun(
            inbox=Inbox(api, UNPUBLISHED, clock=self.clock, random=lambda: 0.0),
            events=api,
            dry_run=dry_run,
            clock=self.clock,
            random=lambda: 0.0,
            tell=tell,
        ).run()

    @property
    def kept(self) -> int:
        assert self.client.visible(UNPUBLISHED) == self.client.queues[UNPUBLISHED]
        return len(self.client.queues[UNPUBLISHED])


@pytest.fixture
def operator() -> Operator:
    return Operator()


def test_every_result_is_published_as_it_would_have_been(operator: Operator) -> None:
    operator.keep(25)

    totals = operator.republish()

    assert (totals.published, totals.errors, totals.is_complete) == (25, 0, True)
    assert operator.kept == 0
    assert operator.client.calls.count("PutEvents") == 3
    assert {json.loads(entry["Detail"])["ClientToken"] for entry in operator.client.events} == {
        f"c-{number}" for number in range(25)
    }
    assert {
        (entry["EventBusName"], entry["Source"], entry["DetailType"]) for entry in operator.client.events
    } == {("the-bus", "connect-message-sender", "Message Rejected")}


def test_a_dry_run_publishes_nothing(operator: Operator) -> None:
    operator.keep(12)

    totals = operator.republish(dry_run=True)

    assert totals.published == 12
    assert operator.kept == 12
    assert operator.client.events == []


def test_what_is_refused_once_is_offered_again(operator: Operator) -> None:
    operator.keep(3)
    operator.client.refused_events = [{1}]

    operator.republish()

    assert [json.loads(entry["Detail"])["ClientToken"] for entry in operator.client.events] == [
        "c-0",
        "c-2",
        "c-1",
    ]
    assert operator.kept == 0


def test_only_what_eventbridge_took_is_deleted(operator: Operator) -> None:
    operator.keep(3)
    operator.client.refused_events = [{1}, {0}, {0}]

    totals = operator.republish()

    assert (totals.published, totals.errors) == (2, 1)
    assert operator.told[1] == ("c-1", "EventBridge does not take it")
    assert operator.kept == 1


def test_a_run_ends_when_eventbridge_takes_nothing(operator: Operator) -> None:
    operator.keep(30)
    operator.client.failures["PutEvents"] = [("InternalFailure", 500)] * 100

    totals = operator.republish()

    assert not totals.is_complete
    assert operator.client.calls.count("PutEvents") == 3
    assert operator.kept == 30


@pytest.mark.parametrize("body", ["no JSON", "[]", "7", "{}", '{"EventBusName": 1}', "[" * 100_000])
def test_what_is_no_result_stays_and_stops_no_other(operator: Operator, body: str) -> None:
    operator.client.put(UNPUBLISHED, body)
    operator.keep(1)

    totals = operator.republish()

    assert operator.told == [(None, "it is no result"), ("c-0", None)]
    assert (totals.published, totals.errors, operator.kept) == (1, 1, 1)


def test_a_call_is_not_larger_than_eventbridge_takes(operator: Operator) -> None:
    operator.keep(10, metadata={"filler": "ü" * 5_000})
    sizes: list[int] = []

    def measure(operation: str, parameters: Mapping[str, list[dict[str, str]]]) -> None:
        if operation == "PutEvents":
            sizes.append(sum(len(entry["Detail"].encode()) for entry in parameters["Entries"]))

    operator.client.before = measure

    totals = operator.republish()

    assert totals.published == 10
    assert len(sizes) == 2
    assert all(size <= 262_144 for size in sizes)


def test_a_single_result_that_is_too_large_is_offered_all_the_same(operator: Operator) -> None:
    operator.keep(2, metadata={"filler": "x" * 300_000})

    assert operator.republish().published == 2


def test_a_result_that_is_published_and_cannot_be_deleted_is_told(operator: Operator) -> None:
    operator.keep(1)
    operator.client.failures["DeleteMessage"] = [("AccessDenied", 403)]

    totals = operator.republish()

    assert (totals.published, totals.errors, operator.kept) == (0, 1, 1)
    assert operator.told == [
        ("c-0", "it is published, and still here: DeleteMessage failed: AccessDenied (403)")
    ]
