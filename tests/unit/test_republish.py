"""A run through the queue of results that EventBridge did not accept."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from message_sender.aws.client import AwsClient
from message_sender.errors import InvalidRequestError, ThrottledError
from message_sender.publisher import Publisher
from message_sender.queues import Queues
from message_sender.request import Correlation
from message_sender.result import Failed, MessageResult, Origin, Rejected, Sent
from ops.aws import BotoApi
from ops.queue_reader import QueueReader
from ops.redrive import Done
from ops.report import Report
from ops.republish import RepublishRun
from tests.support.dead_letters import UNPUBLISHED
from tests.support.fakes import FakeClock
from tests.support.lambda_events import TEXT
from tests.support.sqs_client import FakeAwsClient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from message_sender.result import Outcome
    from message_sender.result_reader import KeptResult
    from ops.redrive import Totals

Change: TypeAlias = Callable[[dict[str, Any], dict[str, Any]], object]


BUS_ARN = "arn:aws:events:eu-central-1:000000000000:event-bus/the-bus"


@dataclass
class Operator:
    """Publishes the results that a function could not publish."""

    clock: FakeClock = field(default_factory=FakeClock)
    reported: list[tuple[str | None, str | None]] = field(default_factory=list)
    report: Report = field(default_factory=lambda: Report(io.StringIO()))

    def __post_init__(self) -> None:
        self.client = FakeAwsClient(clock=self.clock)

    def keep(
        self,
        count: int,
        *,
        metadata: Mapping[str, str] | None = None,
        outcome: Outcome | None = None,
        event_bus_name: str = "the-bus",
    ) -> None:
        """Keep results as the function does while the bus is down."""
        api = AwsClient(BotoApi(self.client), clock=self.clock, random=lambda: 0.0)
        queues = Queues(
            sqs=api,
            message_queue_url="messages",
            dead_letter_queue_url="dead",
            rejected_queue_url="rejected",
            unpublished_results_queue_url=UNPUBLISHED,
        )
        publisher = Publisher(events=api, event_bus_name=event_bus_name, queues=queues)
        results = [
            MessageResult(
                outcome=outcome or Rejected(InvalidRequestError("Content is required")),
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

    def republish(self, *, dry_run: bool = False) -> Totals:
        api = AwsClient(BotoApi(self.client), clock=self.clock, random=lambda: 0.0)
        self.reported = []

        def on_result(result: KeptResult | None, error: str | None) -> None:
            self.report.result(result, error)
            self.reported.append((result.client_token if result else None, error))

        return RepublishRun(
            reader=QueueReader(api, UNPUBLISHED, clock=self.clock),
            events=api,
            event_bus_name="the-bus",
            event_bus_arn=BUS_ARN,
            dry_run=dry_run,
            clock=self.clock,
            on_result=on_result,
        ).run()

    def keep_changed(self, change: Change) -> None:
        """Keep a message that only looks like a result: its entry or its detail was changed."""
        self.keep(1)
        [message] = self.client.queues[UNPUBLISHED]
        entry = json.loads(message.body)
        detail = json.loads(entry["Detail"])
        change(entry, detail)
        if entry.get("Detail"):
            entry["Detail"] = json.dumps(detail)
        message.body = json.dumps(entry)

    @property
    def kept(self) -> int:
        assert self.client.visible(UNPUBLISHED) == self.client.queues[UNPUBLISHED]
        return len(self.client.queues[UNPUBLISHED])


@pytest.fixture
def operator() -> Operator:
    return Operator()


def test_every_result_is_published_unchanged(operator: Operator) -> None:
    operator.keep(25)

    totals = operator.republish()

    assert (totals.count[Done.PUBLISHED], totals.count[Done.ERROR], totals.is_complete) == (25, 0, True)
    assert operator.kept == 0
    assert operator.client.calls.count("PutEvents") == 3
    assert {json.loads(entry["Detail"])["ClientToken"] for entry in operator.client.events} == {
        f"c-{number}" for number in range(25)
    }
    assert {
        (entry["EventBusName"], entry["Source"], entry["DetailType"]) for entry in operator.client.events
    } == {("the-bus", "connect-message-sender", "Message Rejected")}


def test_dry_run_publishes_nothing(operator: Operator) -> None:
    operator.keep(12)

    totals = operator.republish(dry_run=True)

    assert totals.count[Done.PUBLISHED] == 12
    assert operator.kept == 12
    assert operator.client.events == []


def test_refused_result_is_retried(operator: Operator) -> None:
    operator.keep(3)
    operator.client.refused_events = [{1}]

    operator.republish()

    assert [json.loads(entry["Detail"])["ClientToken"] for entry in operator.client.events] == [
        "c-0",
        "c-2",
        "c-1",
    ]
    assert operator.kept == 0


def test_only_results_that_eventbridge_accepted_are_deleted(operator: Operator) -> None:
    operator.keep(3)
    operator.client.refused_events = [{1}, {0}, {0}]

    totals = operator.republish()

    assert (totals.count[Done.PUBLISHED], totals.count[Done.ERROR]) == (2, 1)
    assert operator.reported[1] == ("c-1", "EventBridge did not accept it")
    assert operator.kept == 1


def test_run_ends_when_eventbridge_accepts_nothing(operator: Operator) -> None:
    operator.keep(30)
    operator.client.failures["PutEvents"] = [("InternalFailure", 500)] * 100

    totals = operator.republish()

    assert not totals.is_complete
    assert operator.client.calls.count("PutEvents") == 3
    assert operator.kept == 30


def entry_with(**fields: object) -> str:
    entry = {
        "EventBusName": "the-bus",
        "Source": "connect-message-sender",
        "DetailType": "Message Sent",
        "Detail": "{}",
    }
    return json.dumps(entry | fields)


@pytest.mark.parametrize(
    "body",
    [
        "no JSON",
        "[]",
        "7",
        "null",
        '"Detail"',
        "{}",
        '{"EventBusName": 1}',
        "[" * 100_000,
        "[" * 1_000_000,
        "1" * 5000,
        entry_with(),
        entry_with(Detail="no JSON"),
        entry_with(Detail={}),
        entry_with(Detail=None),
        entry_with(Detail="[]"),
        entry_with(Detail="[" * 100_000),
    ],
)
def test_message_that_is_not_a_result_stays_and_stops_no_other(operator: Operator, body: str) -> None:
    operator.client.put(UNPUBLISHED, body)
    operator.keep(1)

    totals = operator.republish()

    assert operator.reported == [(None, "not a result"), ("c-0", None)]
    assert (totals.count[Done.PUBLISHED], totals.count[Done.ERROR], operator.kept) == (1, 1, 1)


def in_entry(**fields: object) -> Change:
    return lambda entry, _: entry.update(fields)


def in_detail(**fields: object) -> Change:
    return lambda _, detail: detail.update(fields)


SENT_DETAIL = {"Id": "i-1", "AbsoluteTime": None, "ProcessingStatus": None}


@pytest.mark.parametrize(
    "change",
    [
        in_entry(EventBusName="default"),
        in_entry(EventBusName=BUS_ARN.replace("000000000000", "111111111111")),
        in_entry(EventBusName=BUS_ARN.replace("eu-central-1", "us-east-1")),
        in_entry(EventBusName=f"{BUS_ARN}/the-bus"),
        in_entry(EventBusName=["the-bus"]),
        in_entry(Source="my.payments"),
        in_entry(Source="Connect-Message-Sender"),
        in_entry(DetailType="SendMessage Requested"),
        in_entry(DetailType="Message Sent"),
        in_entry(DetailType="Message Failed"),
        in_entry(DetailType=["Message Rejected"]),
        in_entry(Resources=["arn:of-something"]),
        in_entry(Detail=None),
        in_detail(Outcome="SENT"),
        in_detail(Outcome="FAILED"),
        in_detail(Error=None),
        in_detail(Message=SENT_DETAIL),
        in_detail(Version="2"),
        in_detail(SourceId=7),
        in_detail(AcceptedAt="yesterday"),
        in_detail(ClientToken="x" * 501),
        in_detail(Attempts=-1),
        in_detail(more=float("nan")),
        lambda _, detail: detail.pop("Metadata"),
        lambda entry, _: entry.pop("Source"),
    ],
)
def test_message_that_only_looks_like_a_result_of_this_stack_is_not_published(
    operator: Operator, change: Change
) -> None:
    operator.keep_changed(change)

    totals = operator.republish()

    assert operator.reported == [(None, "not a result")]
    assert (totals.count[Done.PUBLISHED], totals.count[Done.ERROR], operator.kept) == (0, 1, 1)
    assert operator.client.events == []


SENT = Sent(message_id="i-1", absolute_time=None, processing_status="PROCESSING")
FAILED = Failed(ThrottledError("Too many requests", http_status=429))


@pytest.mark.parametrize("event_bus_name", ["the-bus", BUS_ARN])
@pytest.mark.parametrize(("outcome", "detail_type"), [(SENT, "Message Sent"), (FAILED, "Message Failed")])
def test_each_outcome_is_published_whichever_form_names_the_bus(
    operator: Operator, outcome: Outcome, detail_type: str, event_bus_name: str
) -> None:
    operator.keep(1, outcome=outcome, event_bus_name=event_bus_name)

    operator.republish()

    [entry] = operator.client.events
    assert (entry["EventBusName"], entry["DetailType"]) == ("the-bus", detail_type)


def test_consumers_read_the_fields_that_were_checked(operator: Operator) -> None:
    operator.keep(1)
    [message] = operator.client.queues[UNPUBLISHED]
    entry = json.loads(message.body)
    entry["Detail"] = entry["Detail"].replace("{", '{"Outcome": "SENT", ', 1)
    message.body = json.dumps(entry)

    operator.republish()

    [entry] = operator.client.events
    assert entry["Detail"].count('"Outcome"') == 1
    assert json.loads(entry["Detail"])["Outcome"] == "REJECTED"


def test_content_of_a_message_that_is_not_a_result_is_not_shown(operator: Operator) -> None:
    operator.client.put(UNPUBLISHED, entry_with(Detail=json.dumps({"ClientToken": TEXT, "SourceId": TEXT})))
    stream = io.StringIO()
    operator.report = Report(stream)

    operator.republish()

    assert "not a result" in stream.getvalue()
    assert TEXT not in stream.getvalue()


def test_no_call_is_larger_than_eventbridge_accepts(operator: Operator) -> None:
    operator.keep(10, metadata={"filler": "ü" * 5_000})
    sizes: list[int] = []

    def measure(operation: str, parameters: Mapping[str, list[dict[str, str]]]) -> None:
        if operation == "PutEvents":
            sizes.append(sum(len(entry["Detail"].encode()) for entry in parameters["Entries"]))

    operator.client.before = measure

    totals = operator.republish()

    assert totals.count[Done.PUBLISHED] == 10
    assert len(sizes) == 2
    assert all(size <= 262_144 for size in sizes)


def test_result_too_large_for_the_function_to_have_written_is_not_published(
    operator: Operator,
) -> None:
    operator.keep(1, metadata={"filler": "x" * 140_000})
    operator.keep(1, metadata={"filler": "\x01" * 2_048})

    totals = operator.republish()

    assert (totals.count[Done.PUBLISHED], totals.count[Done.ERROR]) == (1, 1)


def test_result_that_is_published_and_cannot_be_deleted_is_reported(operator: Operator) -> None:
    operator.keep(1)
    operator.client.failures["DeleteMessage"] = [("AccessDenied", 403)]

    totals = operator.republish()

    assert (totals.count[Done.PUBLISHED], totals.count[Done.ERROR], operator.kept) == (0, 1, 1)
    assert operator.reported == [
        ("c-0", "published, but still in the queue: DeleteMessage failed: AccessDenied (403)")
    ]
