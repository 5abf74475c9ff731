"""A batch of the queue: its batch item failures, for any batch and any outcome of its messages."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from uuid import UUID

import pytest
from aws_lambda_powertools import Metrics
from hypothesis import given
from hypothesis import strategies as st

from message_sender.deadlines import Deadlines
from message_sender.delivery import Delivery, MessageSender
from message_sender.errors import (
    AccessDeniedError,
    AwsCallError,
    ConnectionFailedError,
    DeadlineExceededError,
    InternalError,
    ServiceUnavailableError,
    ThrottledError,
)
from message_sender.event_sources.sqs import Record, SqsSource, process_batch
from message_sender.observability import Telemetry
from message_sender.publisher import Publisher
from message_sender.queues import origin_attributes
from message_sender.rate_limiter import RateLimiter
from message_sender.request import ParsedRequest, parse_request
from message_sender.result import Origin, Sent
from message_sender.retry import READ_TIMEOUT
from message_sender.task_callback import TaskCallback
from message_sender.worker_pool import ThreadPool
from tests.support.fakes import (
    SENT,
    START,
    FakeAwsApi,
    FakeClock,
    accepting_bus,
    accepting_queue,
    make_queues,
)
from tests.support.lambda_events import QUEUE_ARN, FakeLambdaContext, attribute_values, record, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from message_sender.request import ContentLimits, SendMessageRequest
    from message_sender.result import EventSource

Fate: TypeAlias = Literal["sent", "refused", "invalid", "down", "throttled", "slow", "defect", "copy fails"]
DONE: set[Fate] = {"sent", "refused", "invalid"}
FATES: list[Fate] = ["sent", "sent", "sent", "refused", "invalid", "down", "defect", "copy fails"]


@dataclass
class FatefulParticipant:
    """Gives each message the fate that its text names."""

    clock: FakeClock
    transcript: list[str] = field(default_factory=list)
    attempted: list[str] = field(default_factory=list)
    latency: float = 0.0
    """Seconds that each call takes."""

    def send_message(self, message: SendMessageRequest, *, timeout: float) -> Sent:
        is_cut_off = timeout < self.latency < READ_TIMEOUT
        self.clock.elapsed += timeout if is_cut_off else self.latency
        if is_cut_off:
            raise ConnectionFailedError("no answer in time", maybe_delivered=True)
        name, _, fate = message.content.reveal().partition(" ")
        self.attempted.append(name)
        if fate in {"refused", "copy fails"}:
            raise AccessDeniedError("refused")
        if fate == "down":
            raise ServiceUnavailableError("down")
        if fate == "throttled":
            raise ThrottledError("slow down", retry_after=20.0)
        if fate == "slow":
            self.clock.elapsed += min(4.0, timeout)
            raise ServiceUnavailableError("slow")
        if fate == "defect":
            raise KeyError(message.connection_token.reveal())
        self.transcript.append(name)
        return Sent(message_id=name, absolute_time=None, processing_status=None)


def refusing_queue(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Answer as a queue that refuses copies of the messages with this fate."""
    if "copy fails" in parameters.get("MessageBody", ""):
        raise AwsCallError("SendMessage", name="AccessDenied", http_status=403)
    return accepting_queue(parameters)


class Log:
    """Keeps the lines that the function logs."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def info(self, message: str, **keys: object) -> None:
        self.lines.append({"message": message} | keys)

    warning = error = info


class TimedPool:
    """Runs calls in threads, and keeps the time that they get."""

    def __init__(self) -> None:
        self.timeouts: list[float] = []
        self._pool = ThreadPool()

    def __call__(self, calls: Sequence[Callable[[], None]], *, timeout: float) -> list[BaseException | None]:
        self.timeouts.append(timeout)
        return self._pool(calls, timeout=timeout)


class Batch:
    """The SQS source, and fakes of the services that it calls."""

    def __init__(
        self,
        *,
        bus: FakeAwsApi | None = None,
        rate_limiter: RateLimiter | None = None,
        maximum_age: timedelta | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.log = Log()
        self.workers = TimedPool()
        self.rate_limiter = rate_limiter
        self.maximum_age = maximum_age
        self.participant = FatefulParticipant(self.clock)
        self.bus = bus or FakeAwsApi(accepting_bus)
        self.queue = FakeAwsApi(refusing_queue)
        self.step_functions = FakeAwsApi(lambda _: {})

    @contextmanager
    def source(self) -> Iterator[SqsSource]:
        clock = self.clock
        common: dict[str, Any] = {"clock": clock, "random": lambda: 0.0}
        queues = make_queues(self.queue, clock)
        logger: Any = self.log
        metrics = Metrics(namespace="test", service="test")
        yield SqsSource(
            content_limits="specification",
            sender=MessageSender(
                participant=self.participant,
                rate_limiter=self.rate_limiter,
                maximum_age=self.maximum_age,
                **common,
            ),
            queues=queues,
            publisher=Publisher(events=self.bus.client(clock), event_bus_name="bus", queues=queues),
            tasks=TaskCallback(step_functions=self.step_functions.client(clock)),
            telemetry=Telemetry(logger=logger, metrics=metrics, tracer=None),
            retry_window=timedelta(minutes=10),
            workers=self.workers,
            **common,
        )
        metrics.clear_metrics()

    def handle(self, records: list[dict[str, Any]]) -> set[str]:
        with self.source() as source:
            answer = source.handle({"Records": records}, FakeLambdaContext())
        return {item["itemIdentifier"] for item in answer["batchItemFailures"]}

    @property
    def results(self) -> list[dict[str, Any]]:
        """The details of the result events."""
        entries = [entry for _, parameters in self.bus.calls for entry in parameters["Entries"]]
        return [json.loads(entry["Detail"]) for entry in entries]

    @property
    def published(self) -> set[str]:
        return {result["SourceId"] for result in self.results}

    @property
    def copies(self) -> list[Mapping[str, Any]]:
        return [parameters for operation, parameters in self.queue.calls if operation == "SendMessage"]

    @property
    def visibility_timeouts(self) -> list[int]:
        return [
            entry["VisibilityTimeout"]
            for operation, parameters in self.queue.calls
            if operation == "ChangeMessageVisibilityBatch"
            for entry in parameters["Entries"]
        ]

    @property
    def completed(self) -> list[str]:
        """The tokens of the completed tasks, sorted."""
        return sorted(parameters["taskToken"] for _, parameters in self.step_functions.calls)


def batch_of(plan: list[tuple[str, Fate]]) -> list[dict[str, Any]]:
    return [
        record(
            request(
                Content=f"{number} {fate}",
                TaskToken=f"{number}",
                **({"Unknown": 1} if fate == "invalid" else {}),
            ),
            group=group,
            message_id=f"{number}",
        )
        for number, (group, fate) in enumerate(plan)
    ]


def long_text(*, parts: int) -> dict[str, Any]:
    return request(SplitAt=256, Content=" ".join(["x" * 250] * parts))


def aged(raw: dict[str, Any], age: timedelta) -> dict[str, Any]:
    """Return a record that the queue accepted this long before `START`."""
    sent = str(round((START - age).timestamp() * 1000))
    return raw | {"attributes": raw["attributes"] | {"SentTimestamp": sent}}


def by_group(plan: list[tuple[str, Fate]]) -> dict[str, list[tuple[str, Fate]]]:
    groups: dict[str, list[tuple[str, Fate]]] = defaultdict(list)
    for number, (group, fate) in enumerate(plan):
        groups[group].append((f"{number}", fate))
    return groups


@given(st.lists(st.tuples(st.sampled_from("ABCD"), st.sampled_from(FATES)), min_size=1, max_size=10))
def test_in_each_chat_the_first_unfinished_record_and_all_later_ones_fail(
    plan: list[tuple[str, Fate]],
) -> None:
    batch = Batch()

    failed = batch.handle(batch_of(plan))

    done: set[str] = set()
    for group, messages in by_group(plan).items():
        finished = [number for number, fate in takewhile(lambda message: message[1] in DONE, messages)]
        done.update(finished)
        sent = [number for number, fate in messages if fate == "sent" and number in finished]
        assert [number for number in batch.participant.transcript if plan[int(number)][0] == group] == sent
        later = [number for number, _ in messages[len(finished) + 1 :]]
        assert not set(later) & set(batch.participant.attempted)
    assert failed == {f"{number}" for number in range(len(plan))} - done
    assert batch.published == done
    assert batch.completed == sorted(done)


@given(
    st.lists(st.tuples(st.sampled_from("ABCD"), st.sampled_from(FATES)), min_size=1, max_size=10),
    st.sets(st.integers(0, 9).map(str)),
)
def test_the_task_of_a_failed_record_is_not_completed(
    plan: list[tuple[str, Fate]], unpublished: set[str]
) -> None:
    def bus(parameters: Mapping[str, Any]) -> dict[str, Any]:
        source_ids = [json.loads(entry["Detail"])["SourceId"] for entry in parameters["Entries"]]
        return {"Entries": [{} if source_id in unpublished else {"EventId": "e"} for source_id in source_ids]}

    def queue(parameters: Mapping[str, Any]) -> dict[str, Any]:
        keeps_nothing = parameters["QueueUrl"] == "unpublished"
        return {"Successful": []} if keeps_nothing else refusing_queue(parameters)

    batch = Batch(bus=FakeAwsApi(bus))
    batch.queue = FakeAwsApi(queue)

    failed = batch.handle(batch_of(plan))

    assert batch.completed == sorted({f"{number}" for number in range(len(plan))} - failed)


@given(st.lists(st.tuples(st.sampled_from("ABCD"), st.sampled_from(FATES)), min_size=1, max_size=10))
def test_all_failed_records_of_a_chat_get_one_visibility_timeout(
    plan: list[tuple[str, Fate]],
) -> None:
    batch = Batch()
    records = batch_of(plan)
    group_of = {item["receiptHandle"]: item["attributes"]["MessageGroupId"] for item in records}

    failed = batch.handle(records)

    delays = [
        {entry["ReceiptHandle"]: entry["VisibilityTimeout"] for entry in parameters["Entries"]}
        for operation, parameters in batch.queue.calls
        if operation == "ChangeMessageVisibilityBatch"
    ]
    delayed = [handle for delay in delays for handle in delay]
    assert sorted(delayed) == sorted(item["receiptHandle"] for item in records if item["messageId"] in failed)
    for delay in delays:
        assert len({group_of[handle] for handle in delay}) == 1
        assert len(set(delay.values())) == 1
        assert 1 <= next(iter(delay.values())) <= 60


@pytest.mark.parametrize("fate", ["down", "defect", "copy fails"])
def test_a_batch_in_which_every_record_fails_has_a_response(fate: Fate) -> None:
    batch = Batch()

    failed = batch.handle(batch_of([("A", fate), ("A", "sent"), ("B", fate)]))

    assert failed == {"0", "1", "2"}


def test_the_response_names_all_records_after_a_defect_in_publishing() -> None:
    class BrokenBus(FakeAwsApi):
        def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
            raise ZeroDivisionError(operation, parameters)

    batch = Batch(bus=BrokenBus(accepting_bus))

    failed = batch.handle(batch_of([("A", "down"), ("B", "sent"), ("C", "refused")]))

    assert failed == {"0", "1", "2"}
    assert batch.participant.transcript == ["1"]


def test_a_task_is_not_completed_without_time_for_the_call() -> None:
    def slow_bus(parameters: Mapping[str, Any]) -> dict[str, Any]:
        batch.clock.elapsed += 24.6  # of 27.5 seconds
        return accepting_bus(parameters)

    batch = Batch(bus=FakeAwsApi(slow_bus))

    failed = batch.handle(batch_of([("A", "sent")]))

    assert failed == set()
    assert batch.completed == []


def test_tasks_are_completed_concurrently() -> None:
    barrier = threading.Barrier(3, timeout=5)

    def answer(_: Mapping[str, Any]) -> dict[str, Any]:
        barrier.wait()
        return {}

    batch = Batch()
    batch.step_functions = FakeAwsApi(answer)

    failed = batch.handle(batch_of([("A", "sent"), ("A", "sent"), ("B", "refused")]))

    assert failed == set()
    assert batch.completed == ["0", "1", "2"]
    assert not barrier.broken


def test_retries_of_a_chat_end_five_seconds_after_the_start_of_its_first_failed_attempt() -> None:
    batch = Batch()

    batch.handle(batch_of([("A", "slow")]))

    # Attempts start at 0 and 4 seconds and end at 4 and 8. The time for retries ends at 5, before a third.
    assert batch.participant.attempted == ["0", "0"]
    assert batch.clock.elapsed == pytest.approx(8.0)


def test_the_messages_of_a_chat_share_its_time_for_retries() -> None:
    class OnceSlow(FatefulParticipant):
        def send_message(self, message: SendMessageRequest, *, timeout: float) -> Sent:
            name, _, fate = message.content.reveal().partition(" ")
            if fate == "slow" and self.attempted.count(name) > 0:
                self.attempted.append(name)
                self.transcript.append(name)
                return Sent(message_id=name, absolute_time=None, processing_status=None)
            return super().send_message(message, timeout=timeout)

    def failures(*fates: Fate) -> set[str]:
        batch = Batch()
        batch.participant = OnceSlow(batch.clock)
        return batch.handle(batch_of([("A", fate) for fate in fates]))

    # The first failed attempt starts at 0 seconds, so the time ends at 5: a failure at 4 is retried, one at 8
    # is not.
    assert failures("slow", "sent") == set()
    assert failures("slow", "slow", "sent") == {"1", "2"}


def test_a_defect_of_the_parser_fails_its_record_and_the_later_ones_of_the_chat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def parse(body: str, *, client_token: str, content_limits: ContentLimits) -> ParsedRequest:
        if "defect" in body:
            raise KeyError(body)
        return parse_request(body, client_token=client_token, content_limits=content_limits)

    monkeypatch.setattr("message_sender.event_sources.sqs.parse_request", parse)
    batch = Batch()

    failed = batch.handle(batch_of([("A", "sent"), ("A", "defect"), ("A", "sent"), ("B", "sent")]))

    assert failed == {"1", "2"}
    assert sorted(batch.participant.transcript) == ["0", "3"]
    [line] = [line for line in batch.log.lines if line["message"] == "Unhandled error"]
    assert (line["error_type"], line["correlation_id"]) == ("KeyError", "1")


def read_record(raw: dict[str, Any]) -> Record:
    """Return a record as a batch reads it, before its chat is handled."""
    with Batch().source() as source:
        return source.read(raw)


def test_a_record_has_the_ids_and_times_of_its_message() -> None:
    raw = record(request(), group="g-1", message_id="m-1", receive_count=3)
    raw["attributes"]["SentTimestamp"] = "1769860800250"

    found = read_record(raw)

    queued_at = START + timedelta(milliseconds=250)
    assert (found.message_id, found.receipt_handle) == ("m-1", raw["receiptHandle"])
    assert (found.message_group, found.chat) == ("g-1", "g-1")
    assert (found.queued_at, found.age_from) == (queued_at, queued_at)
    assert found.origin == Origin(event_source="sqs", source_id="m-1", accepted_at=queued_at, receive_count=3)
    assert found.error is None


@pytest.mark.parametrize("redriven", [False, True])
def test_a_record_of_an_event_has_the_origin_and_the_age_of_the_event(redriven: bool) -> None:
    accepted_at = START - timedelta(minutes=9)
    origin = Origin(event_source="eventbridge", source_id=f"{UUID(int=1)}", accepted_at=accepted_at)
    attributes = origin_attributes(origin) | ({"Redriven": "true"} if redriven else {})

    found = read_record(record(request(), receive_count=2, attributes=attributes))

    assert found.origin == replace(origin, receive_count=2, maybe_delivered=True)
    assert found.age_from == (found.queued_at if redriven else accepted_at)


@pytest.mark.parametrize("source", ["eventbridge", "sqs"])
@pytest.mark.parametrize("seconds", [0.0, 9.9, 10.0, 3600.0])
def test_an_enqueued_message_may_be_delivered_by_a_repeat_of_its_event(
    source: EventSource, seconds: float
) -> None:
    """EventBridge can deliver an event twice. SQS drops the message of the second delivery as a repeat."""
    accepted_at = START - timedelta(seconds=seconds)
    attributes = origin_attributes(
        Origin(event_source=source, source_id=f"{UUID(int=1)}", accepted_at=accepted_at)
    )

    found = read_record(record(request(), attributes=attributes))

    assert found.origin.event_source == source
    assert found.origin.maybe_delivered is (source == "eventbridge")


def test_the_client_token_of_a_record_depends_on_its_message_and_its_queue() -> None:
    def client_token(message_id: str, queue: str = QUEUE_ARN) -> str | None:
        found = read_record(record(request(), message_id=message_id) | {"eventSourceARN": queue})
        assert found.parsed is not None
        return found.parsed.correlation.client_token

    assert client_token("m-1") == client_token("m-1")
    assert client_token("m-1") != client_token("m-2")
    assert client_token("m-1") != client_token("m-1", f"{QUEUE_ARN}-2")


@pytest.mark.parametrize(
    ("group", "contact_id", "chat"), [("g-1", "c-1", "g-1"), (None, "c-1", "c-1"), (None, ..., "m-1")]
)
def test_the_chat_of_a_record_is_its_group_else_its_contact_else_itself(
    group: str | None, contact_id: object, chat: str
) -> None:
    found = read_record(record(request(ContactId=contact_id), group=group, message_id="m-1"))

    assert (found.message_group, found.chat) == (group, chat)


def test_a_stuck_chat_delays_no_other_chat_and_no_later_batch() -> None:
    release = threading.Event()

    def handle_chat(chat: Sequence[Record], handled: list[Record]) -> None:
        for item in chat:
            if item.message_id.startswith("stuck"):
                release.wait(10)
            handled.append(item)

    def process(*records: dict[str, Any]) -> list[str]:
        answer = process_batch(
            map(read_record, records),
            handle_chat,
            finish=finished.extend,
            timeout=0.2,
            workers=ThreadPool(),
        )
        return [str(item["itemIdentifier"]) for item in answer["batchItemFailures"]]

    finished: list[Record] = []
    stuck = [record("stuck", group=f"stuck-{number}", message_id=f"stuck-{number}") for number in range(10)]
    after_stuck = record("after", group="stuck-0", message_id="after")
    free = [record("1", group="free", message_id="1"), record("2", group="free", message_id="2")]
    try:
        failed = process(free[0], *stuck, after_stuck, free[1])
        later = process(*[record("3", group=f"{number}", message_id=f"{number}") for number in range(10)])
    finally:
        release.set()

    assert sorted(failed) == sorted([*(item["messageId"] for item in stuck), "after"])
    assert later == []
    assert {type(item.error) for item in finished if item.error} == {DeadlineExceededError}


def test_an_overdue_chat_does_not_change_the_response() -> None:
    release, ended = threading.Event(), threading.Event()

    def handle_chat(chat: Sequence[Record], handled: list[Record]) -> None:
        chat[0].delivery, chat[0].outcome = delivery, SENT  # and its copy takes long
        release.wait(10)
        chat[0].error = InternalError("late")
        handled.extend(chat)
        ended.set()

    def finish(handled: Sequence[Record]) -> None:
        release.set()
        assert ended.wait(10)
        finished.extend(handled)

    delivery = Delivery(parsed=parse_request("{}", client_token="t"), outcome=SENT, completed_at=START)
    finished: list[Record] = []
    process_batch([read_record(record("1"))], handle_chat, finish=finish, timeout=0.05, workers=ThreadPool())

    [found] = finished
    assert type(found.error) is DeadlineExceededError
    assert (found.delivery, found.outcome) == (None, None)


def test_copies_leave_time_for_publishing() -> None:
    class SlowQueue(FakeAwsApi):
        def call(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
            batch.clock.elapsed += 2.9
            return super().call(operation, parameters)

    batch = Batch()
    batch.queue = SlowQueue(accepting_queue)
    plan: list[tuple[str, Fate]] = [("A", "invalid")] * 9

    failed = batch.handle(batch_of(plan))

    copied = [operation for operation, _ in batch.queue.calls].count("SendMessage")
    assert 0 < copied < 9
    assert failed == {f"{number}" for number in range(copied, 9)}
    assert len(batch.published) == copied
    assert batch.clock.elapsed < 28


def test_each_phase_of_a_batch_has_the_time_until_its_deadline() -> None:
    batch = Batch()

    batch.handle(batch_of([("A", "sent"), ("B", "down")]))

    # Of 28 seconds. Chats may make copies until the 9.2 seconds for publishing and tasks begin
    assert batch.workers.timeouts == pytest.approx([18.3, 27.5, 27.5])


@pytest.mark.parametrize("phase", ["send", "copy"])
def test_a_phase_that_ends_at_its_last_moment_leaves_the_time_for_the_next_calls(phase: str) -> None:
    batch = Batch()
    deadlines = Deadlines.of_invocation(FakeLambdaContext(), batch.clock)
    batch.participant.latency = getattr(deadlines, phase) + 0.05 - batch.clock.monotonic()

    failed = batch.handle(batch_of([("A", "refused" if phase == "send" else "sent")]))

    assert failed == set()
    assert len(batch.copies) == (phase == "send")
    assert batch.published == {"0"}


@pytest.mark.parametrize(
    "latency",
    [
        pytest.param(3.0, id="no time for its third part"),
        pytest.param(3.5, id="too little time for its second part"),
    ],
)
def test_a_long_text_behind_others_that_took_its_time_is_sent_by_the_next_invocation(latency: float) -> None:
    batch = Batch()
    batch.participant.latency = latency
    first, second = (
        aged(record(long_text(parts=3), group="A", message_id=f"{number}"), timedelta(minutes=11))
        for number in range(2)
    )

    assert batch.handle([first, second]) == {"1"}
    assert batch.published == {"0"}
    assert batch.copies == []
    assert batch.visibility_timeouts == [1]

    assert batch.handle([second]) == set()
    assert [result["Outcome"] for result in batch.results] == ["SENT", "SENT"]


def test_behind_others_a_message_fails_after_the_retry_window_if_it_had_its_time() -> None:
    batch = Batch()
    failing = aged(batch_of([("A", "sent"), ("A", "down")])[1], timedelta(minutes=11))

    assert batch.handle([*batch_of([("A", "sent")]), failing]) == set()
    assert [result["Outcome"] for result in batch.results] == ["SENT", "FAILED"]


@pytest.mark.parametrize(("receive_count", "outcomes"), [(2, []), (3, ["FAILED"])])
def test_after_a_pause_a_throttled_message_fails_at_its_third_receive(
    receive_count: int, outcomes: list[str]
) -> None:
    batch = Batch()
    [raw] = batch_of([("A", "throttled")])
    raw["attributes"]["ApproximateReceiveCount"] = str(receive_count)

    batch.handle([aged(raw, timedelta(hours=1))])

    assert [result["Outcome"] for result in batch.results] == outcomes


def test_a_long_text_that_takes_longer_than_an_invocation_fails_after_the_retry_window() -> None:
    batch = Batch()
    batch.participant.latency = 3.0
    raw = record(long_text(parts=6), receive_count=3)

    assert batch.handle([raw]) == {raw["messageId"]}
    assert batch.visibility_timeouts == [4]
    assert batch.handle([aged(raw, timedelta(minutes=11))]) == set()

    [result] = batch.results
    assert (result["Outcome"], result["Error"]["Code"]) == ("FAILED", "DeadlineExceeded")
    assert result["Error"]["PartsDelivered"] == 5


def test_a_message_in_more_parts_than_its_batch_has_slots_for_is_sent_all_the_same() -> None:
    rate_limiter = RateLimiter(fair_share=0.2, random=lambda: 0.0)
    batch = Batch(rate_limiter=rate_limiter)
    rate_limiter.on_throttled(batch.clock.monotonic(), sent_at=batch.clock.monotonic())

    failed = batch.handle([record(long_text(parts=5))])  # a slot every 5 of 14 seconds

    assert failed == set()
    assert len(batch.participant.transcript) == 5


@pytest.mark.parametrize(
    ("fate", "line"),
    [
        ("sent", {"message": "Message ended", "outcome": "SENT", "attempts": 1}),
        ("refused", {"message": "Message ended", "outcome": "REJECTED", "code": "AccessDenied"}),
        ("down", {"message": "Message deferred", "code": "ServiceUnavailable", "attempts": 3}),
        ("defect", {"message": "Unhandled error", "error_type": "KeyError"}),
        (
            "copy fails",
            {
                "message": "Copy not made",
                "failure": "SendMessage failed: AccessDenied (403)",
                "code": "AccessDenied",
                "attempts": 1,
            },
        ),
    ],
)
def test_each_record_of_a_chat_up_to_the_first_failed_one_is_one_log_line(
    fate: Fate, line: dict[str, object]
) -> None:
    batch = Batch()

    batch.handle(batch_of([("A", "sent"), ("A", fate)]))

    first, second = batch.log.lines
    assert (first["message"], first["correlation_id"]) == ("Message ended", "0")
    assert second["correlation_id"] == "1"
    assert second | line == second


def test_a_record_after_a_failed_one_of_its_chat_is_not_logged() -> None:
    batch = Batch()

    batch.handle(batch_of([("A", "down"), ("A", "sent")]))

    assert [line["correlation_id"] for line in batch.log.lines] == ["0"]


@pytest.mark.parametrize("seconds_left", [5.0, 12.8])  # 12.8 are for copies, publishing and tasks
def test_a_record_without_time_for_its_attempt_is_logged_as_deferred(seconds_left: float) -> None:
    batch = Batch()

    with batch.source() as source:
        source.handle({"Records": batch_of([("A", "sent")])}, FakeLambdaContext(seconds_left=seconds_left))

    [line] = batch.log.lines
    assert "attempts" not in line
    assert (line["message"], line["code"], line["correlation_id"]) == (
        "Message deferred",
        "DeadlineExceeded",
        "0",
    )
    assert line["reason"] == "The time of this invocation is used up"


def test_a_result_that_is_not_safe_and_calls_that_fail_are_logged() -> None:
    batch = Batch(bus=FakeAwsApi(lambda _: {}))
    batch.queue = FakeAwsApi(lambda _: {"Failed": [{"Id": "0"}]})

    failed = batch.handle(batch_of([("A", "sent")]))

    assert failed == {"0"}
    messages = [(line["message"], line.get("correlation_id")) for line in batch.log.lines]
    assert messages == [
        ("Message ended", "0"),
        ("Result not published", "0"),
        ("Visibility not changed", None),
    ]
    assert [line["failure"] for line in batch.log.lines[1:]] == [
        "PutEvents failed: FailedInPart (200); SendMessageBatch failed: FailedInPart (200)",
        "ChangeMessageVisibilityBatch failed: FailedInPart (200)",
    ]


def test_a_task_that_is_not_completed_is_logged_and_its_record_is_finished() -> None:
    batch = Batch()
    denied = AwsCallError("SendTaskSuccess", name="AccessDenied", http_status=400)
    batch.step_functions = FakeAwsApi(lambda _: {}, [denied])

    failed = batch.handle(batch_of([("A", "sent"), ("B", "down")]))

    assert failed == {"1"}
    [line] = [line for line in batch.log.lines if line["message"] == "Task not answered"]
    assert line["correlation_id"] == "0"
    assert line["failure"] == "SendTaskSuccess failed: AccessDenied (400)"


@pytest.mark.parametrize(("seconds", "outcomes"), [(600, []), (600.001, ["FAILED"])])
def test_a_message_that_is_not_sent_after_the_retry_window_fails(seconds: float, outcomes: list[str]) -> None:
    batch = Batch()

    failed = batch.handle([aged(raw, timedelta(seconds=seconds)) for raw in batch_of([("A", "down")])])

    assert [result["Outcome"] for result in batch.results] == outcomes
    assert failed == (set() if outcomes else {"0"})


def test_the_result_of_a_failed_message_has_the_error_and_the_parts_of_its_last_attempt() -> None:
    class DownAfterOnePart(FatefulParticipant):
        def send_message(self, message: SendMessageRequest, *, timeout: float) -> Sent:
            if self.transcript:
                raise ServiceUnavailableError("down", maybe_delivered=True, http_status=503)
            return super().send_message(message, timeout=timeout)

    batch = Batch()
    batch.participant = DownAfterOnePart(batch.clock)
    body = request(SplitAt=256, Content=" ".join(["x" * 250] * 3))

    batch.handle([aged(record(body), timedelta(minutes=11))])

    [result] = batch.results
    assert result["Error"] == {
        "Code": "ServiceUnavailable",
        "Reason": "down",
        "HttpStatus": 503,
        "RequestId": None,
        "MaybeDelivered": True,
        "PartsDelivered": 1,
    }


@pytest.mark.parametrize(
    ("group", "chat"), [pytest.param("g-1", "g-1", id="FIFO"), pytest.param(None, "c-1", id="standard")]
)
def test_a_failed_message_is_copied_to_the_dead_letter_queue_in_the_group_of_its_chat(
    group: str | None, chat: str
) -> None:
    batch = Batch()
    raw = record(request(Content="0 down", ContactId="c-1"), group=group, message_id="m-1")

    batch.handle([aged(raw, timedelta(minutes=11))])

    [copy] = batch.copies
    assert (copy["QueueUrl"], copy["MessageGroupId"], copy["MessageDeduplicationId"]) == (
        "dead-letters",
        chat,
        "m-1",
    )
    assert json.loads(copy["MessageBody"])["Content"] == "0 down"
    attributes = attribute_values(copy)
    assert (attributes["Code"], attributes["SourceId"]) == ("ServiceUnavailable", "m-1")


@pytest.mark.parametrize("group", ["g-1", None])
def test_a_copy_of_a_rejected_message_has_its_message_group(group: str | None) -> None:
    batch = Batch()

    batch.handle([record(request(Content="0 refused"), group=group)])

    [copy] = batch.copies
    assert copy["QueueUrl"] == "rejected"
    assert attribute_values(copy).get("MessageGroupId") == group


def test_a_message_of_the_queue_expires_at_the_maximum_age() -> None:
    batch = Batch(maximum_age=timedelta(minutes=5))
    records = batch_of([("A", "sent"), ("B", "sent")])

    batch.handle([aged(records[0], timedelta(minutes=6)), aged(records[1], timedelta(minutes=4))])

    assert batch.participant.transcript == ["1"]
    assert {result["Outcome"] for result in batch.results} == {"SENT", "REJECTED"}


@pytest.mark.parametrize(
    ("fates", "seconds_left", "visibility_timeouts"),
    [
        pytest.param(["down"], 28.0, [4], id="the third receive with an attempt"),
        pytest.param(["copy fails"], 28.0, [4], id="whatever failed"),
        pytest.param(["down", "sent"], 28.0, [4, 4], id="also for the later records of the chat"),
        pytest.param(["sent", "down"], 28.0, [1], id="receives behind another message do not count"),
        pytest.param(["defect"], 28.0, [4], id="also a defect"),
        pytest.param(["sent"], 13.3, [1], id="no time for an attempt"),
        pytest.param(["sent"], 5.0, [4], id="not handled at all, as after an attempt that does not end"),
    ],
)
def test_the_backoff_grows_with_the_receives_of_the_first_message_of_a_chat(
    fates: list[Fate], seconds_left: float, visibility_timeouts: list[int]
) -> None:
    batch = Batch()
    records = batch_of([("A", fate) for fate in fates])
    for raw in records:
        raw["attributes"]["ApproximateReceiveCount"] = "3"

    with batch.source() as source:
        source.handle({"Records": records}, FakeLambdaContext(seconds_left=seconds_left))

    assert batch.visibility_timeouts == visibility_timeouts


def test_the_backoff_grows_while_no_copy_of_an_invalid_request_can_be_made() -> None:
    batch = Batch()
    raw = record(request(Content="0 copy fails", Unknown=1), receive_count=3)

    assert batch.handle([raw]) == {raw["messageId"]}
    assert batch.participant.attempted == []
    assert batch.visibility_timeouts == [4]


def test_the_backoff_respects_the_retry_after_of_the_service() -> None:
    batch = Batch()

    batch.handle(batch_of([("A", "throttled")]))

    assert batch.visibility_timeouts == [20]
