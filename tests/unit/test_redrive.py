"""A run through a dead-letter queue."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from message_sender.aws.client import AwsClient
from message_sender.errors import AwsCallError
from message_sender.publisher import Publisher
from message_sender.queues import Queues, is_redriven, read_origin
from message_sender.request import derive_client_token
from message_sender.task_callback import TaskCallback
from ops.aws import BotoApi
from ops.dead_letters import DeadLetterQueue
from ops.queue_reader import QueueReader
from ops.redrive import Done, RedriveFilter, RedriveRun, Totals
from ops.stack.signals import stopped_by_signals
from tests.support.dead_letters import (
    DEAD_LETTER,
    EVENT_ID,
    EVENTS,
    MESSAGES,
    REJECTED,
    SOURCE_ID,
    UNPUBLISHED,
    event,
    put_copy,
    put_dead_event,
    put_failed_invocation,
    put_moved,
)
from tests.support.fakes import START, FakeClock
from tests.support.lambda_events import QUEUE_ARN, TEXT, TOKEN, request
from tests.support.schemas import RESULT_SCHEMA
from tests.support.sqs_client import FakeAwsClient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops.redrive import Handled
    from tests.support.sqs_client import StoredMessage


class SignalledClient(FakeAwsClient):
    """Sends a signal to its process after SQS has returned messages, and before the response is read."""

    def _receive_message(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        answer = super()._receive_message(parameters)
        os.kill(os.getpid(), signal.SIGTERM)
        return answer


SEALED: dict[str, Any] = {"ConnectionToken": "sealed:QUJDREVG", "ContactId": "contact-1"}
URLS = {
    DeadLetterQueue.DEAD_LETTER: DEAD_LETTER,
    DeadLetterQueue.EVENTS: EVENTS,
    DeadLetterQueue.REJECTED: REJECTED,
}


@dataclass
class Operator:
    """Runs redrives against queues in memory."""

    clock: FakeClock = field(default_factory=FakeClock)
    handled: list[Handled] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client = FakeAwsClient(clock=self.clock)

    def redrive(
        self,
        queue: DeadLetterQueue = DeadLetterQueue.DEAD_LETTER,
        *,
        codes: set[str] | None = None,
        max_age: timedelta = timedelta(days=1),
        finalize: bool = False,
        delete: bool = False,
        dry_run: bool = False,
    ) -> Totals:
        api = AwsClient(BotoApi(self.client), clock=self.clock, random=lambda: 1.0)
        queues = Queues(
            sqs=api,
            message_queue_url=MESSAGES,
            dead_letter_queue_url=DEAD_LETTER,
            rejected_queue_url=REJECTED,
            unpublished_results_queue_url=UNPUBLISHED,
        )
        self.handled = []
        run = RedriveRun(
            queue=queue,
            reader=QueueReader(api, URLS[queue], clock=self.clock),
            queues=queues,
            publisher=Publisher(events=api, event_bus_name="bus", queues=queues),
            tasks=TaskCallback(step_functions=api),
            messages_queue_arn=QUEUE_ARN,
            redrive_filter=RedriveFilter(
                codes=codes,
                codes_required=queue is DeadLetterQueue.REJECTED,
                max_age=max_age,
                finalize=finalize,
                delete=delete,
            ),
            dry_run=dry_run,
            clock=self.clock,
            on_handled=self.handled.append,
        )
        return run.run()

    @property
    def done(self) -> list[Done]:
        return [handled.done for handled in self.handled]

    @property
    def reasons(self) -> list[str]:
        return [handled.reason for handled in self.handled]

    @property
    def redriven(self) -> list[StoredMessage]:
        return self.client.queues.get(MESSAGES, [])

    def dead_letters(self, queue_url: str = DEAD_LETTER) -> list[StoredMessage]:
        """Return the messages of a queue, and check that all of them are visible."""
        stored = self.client.queues.get(queue_url, [])
        assert self.client.visible(queue_url) == stored
        return stored

    @property
    def results(self) -> list[dict[str, Any]]:
        results = [json.loads(entry["Detail"]) for entry in self.client.events]
        for result in results:
            Draft7Validator(RESULT_SCHEMA).validate(result)
        return results


@pytest.fixture
def operator() -> Operator:
    return Operator()


def origin(message: StoredMessage) -> tuple[str, str, str, bool]:
    """Return the origin that the function will read from a message of its queue."""
    found = read_origin(message.attributes, queued_at=START + timedelta(days=1), receive_count=1)
    assert found is not None
    accepted_at = found.accepted_at.isoformat().replace("+00:00", "Z")
    return found.event_source, found.source_id, accepted_at, found.maybe_delivered


# Redrive


def test_copy_is_redriven_as_the_same_message(operator: Operator) -> None:
    dead_letter = put_copy(operator.client, group="chat-7", ClientToken="own")

    totals = operator.redrive()

    [message] = operator.redriven
    assert json.loads(message.body) == json.loads(dead_letter.body) == request(ClientToken="own")
    assert message.system["MessageGroupId"] == "chat-7"
    assert origin(message) == ("sqs", SOURCE_ID, "2026-01-31T11:40:00Z", False)
    assert operator.dead_letters() == []
    assert totals.count == {Done.REDRIVEN: 1}
    assert totals.is_complete


@pytest.mark.parametrize(
    ("queue", "code"),
    [(DeadLetterQueue.DEAD_LETTER, "KeyUnavailable"), (DeadLetterQueue.REJECTED, "TokenUnreadable")],
)
def test_copy_with_a_sealed_token_is_redriven_sealed(
    operator: Operator, queue: DeadLetterQueue, code: str
) -> None:
    dead_letter = put_copy(operator.client, queue_url=URLS[queue], code=code, **SEALED)

    totals = operator.redrive(queue, codes={code})

    [message] = operator.redriven
    assert message.body == dead_letter.body
    assert json.loads(message.body)["ConnectionToken"] == SEALED["ConnectionToken"]
    assert totals.count == {Done.REDRIVEN: 1}


def test_moved_message_and_dead_event_with_a_sealed_token_are_redriven_sealed(operator: Operator) -> None:
    put_moved(operator.client, **SEALED)
    put_dead_event(operator.client, event(START, **SEALED))

    operator.redrive()
    operator.redrive(DeadLetterQueue.EVENTS)

    tokens = [json.loads(message.body)["ConnectionToken"] for message in operator.redriven]
    assert tokens == [SEALED["ConnectionToken"]] * 2


def test_dead_letter_with_a_sealed_token_is_finalized(operator: Operator) -> None:
    put_moved(operator.client, **SEALED)

    operator.redrive(max_age=timedelta(0), finalize=True)

    [result] = operator.results
    assert (result["Outcome"], result["ContactId"]) == ("FAILED", "contact-1")
    assert SEALED["ConnectionToken"] not in json.dumps(result)


def test_copy_of_an_event_is_redriven_with_the_origin_of_the_event(operator: Operator) -> None:
    put_copy(
        operator.client,
        source_id=EVENT_ID,
        more={"EventSource": "eventbridge", "MaybeDelivered": "true"},
    )

    operator.redrive()

    [message] = operator.redriven
    assert origin(message) == ("eventbridge", EVENT_ID, "2026-01-31T11:40:00Z", True)


def test_copy_gets_the_client_token_that_its_body_had_no_room_for(operator: Operator) -> None:
    put_copy(operator.client, body=json.dumps(request()), ClientToken="of-the-attribute")

    operator.redrive()

    [message] = operator.redriven
    assert json.loads(message.body)["ClientToken"] == "of-the-attribute"


def test_message_that_sqs_moved_is_redriven_with_the_client_token_that_the_function_derives(
    operator: Operator,
) -> None:
    dead_letter = put_moved(operator.client, group="chat-7")

    operator.redrive()

    [message] = operator.redriven
    client_token = derive_client_token(QUEUE_ARN, dead_letter.message_id)
    assert json.loads(message.body) == request(ClientToken=client_token)
    assert message.system["MessageGroupId"] == "chat-7"
    assert origin(message) == ("sqs", dead_letter.message_id, "2026-01-31T11:40:00Z", True)
    assert operator.dead_letters() == []
    assert operator.results == []


def test_event_that_sqs_moved_keeps_its_origin(operator: Operator) -> None:
    attributes = {
        "EventSource": "eventbridge",
        "SourceId": EVENT_ID,
        "AcceptedAt": "2026-01-31T11:30:00+00:00",
        "MaybeDelivered": "false",
    }
    put_moved(operator.client, attributes=attributes, ClientToken="of-the-event")

    operator.redrive()

    [message] = operator.redriven
    assert origin(message) == ("eventbridge", EVENT_ID, "2026-01-31T11:30:00Z", True)
    assert json.loads(message.body)["ClientToken"] == "of-the-event"
    assert is_redriven(message.attributes)  # so its age starts again


def test_message_that_sqs_moved_is_not_a_copy_because_a_producer_set_a_code(operator: Operator) -> None:
    dead_letter = put_moved(operator.client, attributes={"Code": "Throttled", "ClientToken": "forged"})

    operator.redrive(codes={"MovedBySQS"})

    [message] = operator.redriven
    assert json.loads(message.body)["ClientToken"] == derive_client_token(QUEUE_ARN, dead_letter.message_id)


@pytest.mark.parametrize("was_invoked", [False, True])
def test_event_is_redriven_as_the_function_enqueues_it_for_retry(
    operator: Operator, was_invoked: bool
) -> None:
    dead_event = event(START - timedelta(minutes=20), ContactId="contact-1")
    if was_invoked:
        put_failed_invocation(operator.client, dead_event)
    else:
        put_dead_event(operator.client, dead_event)

    operator.redrive(DeadLetterQueue.EVENTS)

    [message] = operator.redriven
    client_token = derive_client_token("eventbridge", EVENT_ID)
    assert json.loads(message.body) == dead_event["detail"] | {"ClientToken": client_token}
    assert message.system["MessageGroupId"] == "contact-1"
    assert origin(message) == ("eventbridge", EVENT_ID, "2026-01-31T11:40:00Z", was_invoked)
    assert operator.dead_letters(EVENTS) == []


def test_event_in_both_forms_is_one_message(operator: Operator) -> None:
    dead_event = event(START)
    put_dead_event(operator.client, dead_event)
    put_failed_invocation(operator.client, dead_event)

    operator.redrive(DeadLetterQueue.EVENTS)
    operator.redrive(DeadLetterQueue.EVENTS)

    assert len(operator.redriven) == 1
    assert operator.dead_letters(EVENTS) == []


def test_rejected_message_is_redriven_if_its_code_is_named(operator: Operator) -> None:
    put_copy(operator.client, queue_url=REJECTED, code="ServiceValidation", ContactId="contact-1", group="")
    put_copy(operator.client, queue_url=REJECTED, code="AccessDenied", ClientToken="other")

    operator.redrive(DeadLetterQueue.REJECTED, codes={"ServiceValidation"})

    [message] = operator.redriven
    assert message.system["MessageGroupId"] == "contact-1"
    assert [copy.attributes["Code"] for copy in operator.dead_letters(REJECTED)] == ["AccessDenied"]


def test_dead_letters_of_a_group_are_redriven_in_order(operator: Operator) -> None:
    for number in range(35):
        put_copy(
            operator.client, group=f"chat-{number % 2}", ClientToken=f"c-{number}", source_id=f"s-{number}"
        )

    operator.redrive()

    for chat in range(2):
        numbers = [
            int(json.loads(message.body)["ClientToken"].removeprefix("c-"))
            for message in operator.redriven
            if message.system["MessageGroupId"] == f"chat-{chat}"
        ]
        assert len(numbers) in {17, 18}
        assert all(first < second for first, second in pairwise(numbers))


def test_thousands_of_dead_letters_are_redriven(operator: Operator) -> None:
    for number in range(3000):
        put_copy(operator.client, group=f"chat-{number % 100}", ClientToken=f"c-{number}")

    totals = operator.redrive()

    assert len(operator.redriven) == 3000
    assert totals.is_complete


# Keep


@pytest.mark.parametrize("dry_run", [False, True])
def test_each_dead_letter_is_handled_once_and_is_visible_at_once_if_it_stays(
    operator: Operator, dry_run: bool
) -> None:
    for number in range(25):
        put_copy(operator.client, queue_url=REJECTED, ClientToken=f"c-{number}")

    totals = operator.redrive(DeadLetterQueue.REJECTED, dry_run=dry_run)

    assert totals.count == {Done.KEPT: 25}
    assert len(operator.dead_letters(REJECTED)) == 25
    assert operator.redriven == []


def test_signal_during_a_receive_releases_the_messages() -> None:
    operator = Operator()
    operator.client = SignalledClient(clock=operator.clock)
    dead_letter = put_copy(operator.client, queue_url=REJECTED, ClientToken="c-1")

    with stopped_by_signals(), pytest.raises(SystemExit):
        operator.redrive(DeadLetterQueue.REJECTED)

    assert operator.handled == []
    assert operator.dead_letters(REJECTED) == [dead_letter]


def test_dry_run_changes_nothing(operator: Operator) -> None:
    put_copy(operator.client, group="chat-1")
    put_moved(operator.client, "no JSON", group="chat-2")
    before = [dead_letter.body for dead_letter in operator.dead_letters()]

    totals = operator.redrive(finalize=True, dry_run=True)

    assert totals.count == {Done.REDRIVEN: 1, Done.FINALIZED: 1}
    assert [dead_letter.body for dead_letter in operator.dead_letters()] == before
    assert operator.client.queues.keys() == {DEAD_LETTER}
    assert operator.client.events == []


def test_dead_letter_that_returns_at_once_is_not_redriven_again(operator: Operator) -> None:
    dead_letter = put_copy(operator.client, queue_url=REJECTED, code="AccessDenied", ClientToken="c-1")

    def reject_again(operation: str, parameters: Mapping[str, Any]) -> None:
        if operation == "SendMessage" and parameters["QueueUrl"] == MESSAGES:
            operator.client.put(REJECTED, dead_letter.body, attributes=dead_letter.attributes)

    operator.client.before = reject_again

    operator.redrive(DeadLetterQueue.REJECTED, codes={"AccessDenied"})

    assert operator.done == [Done.REDRIVEN, Done.KEPT]
    assert len(operator.dead_letters(REJECTED)) == 1
    assert operator.reasons[1] == "this run has handled the same message before"


@pytest.mark.parametrize(
    "body",
    ["no JSON", "[]", '{"detail-type": "SendMessage Requested"}', "[" * 100_000, "1" * 5000, "\ud800"],
)
def test_unreadable_dead_letter_is_kept_and_stops_no_other(operator: Operator, body: str) -> None:
    operator.client.put(EVENTS, body)
    put_dead_event(operator.client, event(START))

    totals = operator.redrive(DeadLetterQueue.EVENTS, finalize=True)

    assert operator.done == [Done.KEPT, Done.REDRIVEN]
    assert operator.handled[0].dead_letter is None
    assert len(operator.dead_letters(EVENTS)) == 1
    assert totals.is_complete


def test_asynchronous_invocation_without_an_event_is_kept_for_its_caller(operator: Operator) -> None:
    put_failed_invocation(operator.client, request(ClientToken="c-1"))

    operator.redrive(DeadLetterQueue.EVENTS)

    assert operator.reasons == ["not an event from the bus: its caller must invoke the function again"]


def test_run_ends_after_ten_minutes_and_reports_it(operator: Operator) -> None:
    for number in range(30):
        put_copy(operator.client, group=f"chat-{number}", ClientToken=f"c-{number}")

    def be_slow(operation: str, _parameters: Mapping[str, Any]) -> None:
        if operation == "SendMessage":
            operator.clock.elapsed += 50

    operator.client.before = be_slow

    totals = operator.redrive()

    assert not totals.is_complete
    assert len(operator.redriven) + len(operator.dead_letters()) == 30
    assert 0 < len(operator.dead_letters()) < 30


# Errors


def test_failed_redrive_keeps_the_later_dead_letters_of_its_group(operator: Operator) -> None:
    for number in range(3):
        put_copy(operator.client, group="chat-1", ClientToken=f"c-{number}")
    put_copy(operator.client, group="chat-2", ClientToken="other")
    operator.client.failures["SendMessage"] = [("InvalidParameterValue", 400)]

    totals = operator.redrive()

    assert totals.count == {Done.ERROR: 3, Done.REDRIVEN: 1}
    assert operator.reasons[0] == "SendMessage failed: InvalidParameterValue (400)"
    assert [json.loads(message.body)["ClientToken"] for message in operator.redriven] == ["other"]
    assert len(operator.dead_letters()) == 3


def test_transient_failure_is_retried(operator: Operator) -> None:
    put_copy(operator.client)
    for operation in ("ReceiveMessage", "SendMessage", "DeleteMessage"):
        operator.client.failures[operation] = [("ServiceUnavailable", 503)] * 2

    totals = operator.redrive()

    assert totals.count == {Done.REDRIVEN: 1}


def test_queue_that_cannot_be_read_is_an_error(operator: Operator) -> None:
    operator.client.failures["ReceiveMessage"] = [("AccessDenied", 403)]

    with pytest.raises(AwsCallError, match="AccessDenied"):
        operator.redrive()


def test_unreachable_service_is_an_error(operator: Operator) -> None:
    def fail(_operation: str, _parameters: Mapping[str, Any]) -> None:
        raise EndpointConnectionError(endpoint_url="https://sqs")

    operator.client.before = fail

    with pytest.raises(AwsCallError, match="EndpointConnectionError"):
        operator.redrive()
    assert operator.client.calls == ["ReceiveMessage"] * 3


@pytest.mark.parametrize(
    ("count", "is_complete", "all_done"),
    [
        ({Done.REDRIVEN: 1, Done.KEPT: 1}, True, True),
        ({Done.REDRIVEN: 1, Done.ERROR: 1}, True, False),
        ({Done.REDRIVEN: 1}, False, False),
    ],
)
def test_run_has_done_all_if_it_saw_every_message_without_an_error(
    count: dict[Done, int], is_complete: bool, all_done: bool
) -> None:
    assert Totals(count=Counter(count), is_complete=is_complete).all_done is all_done


def test_failed_release_ends_with_the_visibility_timeout(operator: Operator) -> None:
    put_copy(operator.client, queue_url=REJECTED)
    operator.client.failures["ChangeMessageVisibilityBatch"] = [("AccessDenied", 403)]

    operator.redrive(DeadLetterQueue.REJECTED)

    assert operator.client.visible(REJECTED) == []
    operator.clock.elapsed += 900
    assert len(operator.client.visible(REJECTED)) == 1


def test_no_error_shows_the_content_of_a_dead_letter(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_copy(operator.client)

    def defect(*_: object, **__: object) -> None:
        raise ValueError(TEXT + TOKEN)

    monkeypatch.setattr(Queues, "enqueue_for_retry", defect)

    operator.redrive()

    assert operator.reasons == ["unexpected ValueError"]
    assert TOKEN not in repr(operator.handled)
    assert TEXT not in repr(operator.handled)


class InterruptedRunError(BaseException):
    """Stands for the exit by a signal."""


def check_each_was_redriven_once(operator: Operator, tokens: set[str]) -> None:
    sent = [json.loads(message.body)["ClientToken"] for message in operator.redriven]
    assert set(sent) == tokens
    assert len(sent) == len(tokens)
    assert operator.dead_letters() == []


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    groups=st.lists(st.integers(0, 3), min_size=1, max_size=25),
    interruptions=st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=4),
)
def test_run_that_is_interrupted_anywhere_can_be_repeated_without_loss_duplicates_or_disorder(
    groups: list[int], interruptions: list[tuple[int, bool]]
) -> None:
    operator = Operator()
    for number, group in enumerate(groups):
        if number % 3:
            put_copy(operator.client, group=f"chat-{group}", ClientToken=f"c-{number:02d}")
        else:
            put_moved(operator.client, group=f"chat-{group}", ClientToken=f"c-{number:02d}")

    for calls_left, answer_is_lost in interruptions:
        interrupt_after(operator.client, calls_left, answer_is_lost=answer_is_lost)
        try:
            operator.redrive()
        except (InterruptedRunError, AwsCallError):
            operator.clock.elapsed += 1
        operator.client.before = lambda _operation, _parameters: None
        operator.client.lost_answers = {}
        for message in operator.client.queues[DEAD_LETTER]:
            message.hidden_until = 0  # as after the visibility timeout, before the de-duplication ends
    operator.redrive()

    check_each_was_redriven_once(operator, {f"c-{number:02d}" for number in range(len(groups))})
    for group in set(groups):
        order = [
            json.loads(message.body)["ClientToken"]
            for message in operator.redriven
            if message.system["MessageGroupId"] == f"chat-{group}"
        ]
        assert order == sorted(order)


def interrupt_after(client: FakeAwsClient, calls: int, *, answer_is_lost: bool) -> None:
    """Interrupt the run after some calls. With a lost answer, the last call succeeds but seems to fail."""
    left = calls

    def interrupt(operation: str, _parameters: Mapping[str, Any]) -> None:
        nonlocal left
        if left == 0:
            if not answer_is_lost:
                raise InterruptedRunError
            client.lost_answers = {operation: 3}
        left -= 1

    client.before = interrupt


# Finalize


def test_old_message_that_sqs_moved_is_kept_unless_finalized(operator: Operator) -> None:
    put_moved(operator.client, age=timedelta(hours=25))

    totals = operator.redrive()

    assert totals.count == {Done.KEPT: 1}
    assert totals.need_results == 1
    assert operator.results == []
    assert len(operator.dead_letters()) == 1


def test_old_dead_letter_is_finalized_once(operator: Operator) -> None:
    dead_letter = put_moved(operator.client, age=timedelta(hours=25), group="chat-7", ContactId="contact-1")
    dead_letter.receive_count = 30

    totals = operator.redrive(finalize=True)

    assert totals.count == {Done.FINALIZED: 1}
    [result] = operator.results
    client_token = derive_client_token(QUEUE_ARN, dead_letter.message_id)
    assert result["Outcome"] == "FAILED"
    assert result["Error"]["Code"] == "DeadlineExceeded"
    assert result["Error"]["MaybeDelivered"]
    assert (result["ClientToken"], result["ContactId"]) == (client_token, "contact-1")
    assert (result["EventSource"], result["SourceId"]) == ("sqs", dead_letter.message_id)
    assert (result["AcceptedAt"], result["ReceiveCount"]) == ("2026-01-30T11:00:00.000Z", 31)
    [copy] = operator.dead_letters()
    assert json.loads(copy.body) == request(ClientToken=client_token, ContactId="contact-1")
    assert copy.attributes["Code"] == "DeadlineExceeded"
    assert copy.system["MessageGroupId"] == "chat-7"
    assert operator.client.events[0]["DetailType"] == "Message Failed"

    operator.redrive(finalize=True)

    assert len(operator.results) == 1
    assert operator.reasons == ["older than --max-age"]


@pytest.mark.parametrize(
    ("body", "code", "maybe_delivered"),
    [
        ("no JSON", "InvalidRequest", False),
        (json.dumps(request(Content="")), "InvalidRequest", False),
        (json.dumps(request(ExpiresAt="2026-01-31T11:59:00Z")), "Expired", True),
    ],
)
def test_message_that_can_never_be_sent_is_rejected_and_copied_to_the_rejected_queue(
    operator: Operator, body: str, code: str, maybe_delivered: bool
) -> None:
    dead_letter = put_moved(operator.client, body)

    operator.redrive(finalize=True)

    [result] = operator.results
    assert (result["Outcome"], result["Error"]["Code"]) == ("REJECTED", code)
    assert result["Error"]["MaybeDelivered"] is maybe_delivered
    assert result["ClientToken"] == derive_client_token(QUEUE_ARN, dead_letter.message_id)
    [copy] = operator.dead_letters(REJECTED)
    assert copy.attributes["Code"] == code
    assert operator.dead_letters() == []


@pytest.mark.parametrize("was_invoked", [False, True])
def test_old_event_is_finalized_and_can_still_be_redriven(operator: Operator, was_invoked: bool) -> None:
    put = put_failed_invocation if was_invoked else put_dead_event
    put(operator.client, event(START - timedelta(hours=25)), age=timedelta(hours=25))

    operator.redrive(DeadLetterQueue.EVENTS, finalize=True)
    operator.redrive()
    assert operator.reasons == ["older than --max-age"]
    operator.redrive(max_age=timedelta(days=2))

    [result] = operator.results
    assert (result["Outcome"], result["Error"]["Code"]) == ("FAILED", "DeadlineExceeded")
    assert result["Error"]["MaybeDelivered"] is was_invoked
    assert (result["EventSource"], result["SourceId"]) == ("eventbridge", EVENT_ID)
    assert result["ReceiveCount"] == (3 if was_invoked else 1)
    assert operator.dead_letters(EVENTS) == []
    [message] = operator.redriven
    assert origin(message) == ("eventbridge", EVENT_ID, "2026-01-30T11:00:00Z", was_invoked)
    assert json.loads(message.body)["ClientToken"] == result["ClientToken"]


def test_dead_letter_that_has_its_result_gets_no_other(operator: Operator) -> None:
    put_copy(operator.client, accepted=timedelta(hours=25))
    put_copy(operator.client, body="no JSON", group="chat-2", ClientToken="c-2")

    operator.redrive(finalize=True)

    assert operator.done == [Done.KEPT, Done.KEPT]
    assert operator.results == []


def test_result_that_the_bus_does_not_accept_is_kept(operator: Operator) -> None:
    put_moved(operator.client, age=timedelta(hours=25))
    operator.client.failures["PutEvents"] = [("InternalFailure", 500)] * 3

    totals = operator.redrive(finalize=True)

    assert totals.count == {Done.FINALIZED: 1}
    [kept] = operator.dead_letters(UNPUBLISHED)
    assert json.loads(json.loads(kept.body)["Detail"])["Outcome"] == "FAILED"


def test_dead_letter_stays_if_its_result_is_neither_published_nor_kept(operator: Operator) -> None:
    dead_letter = put_moved(operator.client, age=timedelta(hours=25))
    operator.client.failures["PutEvents"] = [("InternalFailure", 500)] * 3
    operator.client.failures["SendMessageBatch"] = [("InternalFailure", 500)] * 3

    totals = operator.redrive(finalize=True)

    assert totals.count == {Done.ERROR: 1}
    assert dead_letter in operator.dead_letters()

    operator.redrive(finalize=True)

    assert dead_letter not in operator.dead_letters()
    assert len(operator.results) == 1
    assert len(operator.dead_letters()) == 1


@pytest.mark.parametrize(
    ("fields", "error"),
    [({}, "DeadlineExceededError"), ({"ExpiresAt": "2026-01-31T11:59:00Z"}, "ExpiredError")],
)
def test_finalizing_completes_the_task(operator: Operator, fields: dict[str, Any], error: str) -> None:
    put_moved(operator.client, age=timedelta(hours=25), TaskToken="task-1", **fields)
    published_before: list[int] = []
    operator.client.before = lambda operation, _: (
        published_before.append(len(operator.client.events)) if operation == "SendTaskFailure" else None
    )

    totals = operator.redrive(finalize=True)

    [answer] = operator.client.task_failures
    assert (answer["taskToken"], answer["error"]) == ("task-1", error)
    assert answer["cause"] == operator.results[0]["Error"]["Reason"]
    assert published_before == [1]
    assert totals.count == {Done.FINALIZED: 1}


def test_task_keeps_waiting_while_its_dead_letter_is_redriven_or_kept(operator: Operator) -> None:
    put_moved(operator.client, TaskToken="task-1")
    put_moved(operator.client, age=timedelta(hours=25), group="chat-2", TaskToken="task-2")

    operator.redrive(finalize=True, dry_run=True)
    operator.redrive()

    assert operator.client.task_failures == []


@pytest.mark.parametrize("name", ["TaskDoesNotExist", "TaskTimedOut"])
def test_task_that_no_longer_exists_is_no_error(operator: Operator, name: str) -> None:
    put_moved(operator.client, age=timedelta(hours=25), TaskToken="task-1")
    operator.client.failures["SendTaskFailure"] = [(name, 400)]

    totals = operator.redrive(finalize=True)

    assert totals.count == {Done.FINALIZED: 1}
    assert operator.reasons == ["DeadlineExceeded: The message was not sent in time and will not be retried"]


def test_task_that_cannot_be_completed_is_reported_and_its_dead_letter_is_finalized(
    operator: Operator,
) -> None:
    dead_letter = put_moved(operator.client, age=timedelta(hours=25), TaskToken="task-1")
    operator.client.failures["SendTaskFailure"] = [("AccessDeniedException", 400)]

    totals = operator.redrive(finalize=True)

    assert totals.count == {Done.FINALIZED: 1}
    assert operator.reasons[0].endswith(
        "its task is still waiting: SendTaskFailure failed: AccessDeniedException (400)"
    )
    assert dead_letter not in operator.dead_letters()
    assert len(operator.results) == 1


# Delete


def test_only_dead_letters_with_a_result_are_deleted(operator: Operator) -> None:
    put_copy(operator.client, accepted=timedelta(hours=25), ClientToken="old")
    moved = put_moved(operator.client, age=timedelta(hours=25), group="chat-2")
    unreadable = put_moved(operator.client, "no JSON", group="chat-3")

    totals = operator.redrive(delete=True)

    assert totals.count == {Done.DELETED: 1, Done.KEPT: 2}
    assert totals.need_results == 2
    assert operator.dead_letters() == [moved, unreadable]
    assert operator.results == []
    assert operator.redriven == []


def test_dry_run_deletes_nothing_and_shows_what_it_would_delete(operator: Operator) -> None:
    dead_letter = put_copy(operator.client, accepted=timedelta(hours=25))

    totals = operator.redrive(delete=True, dry_run=True)

    assert totals.count == {Done.DELETED: 1}
    assert operator.dead_letters() == [dead_letter]


def test_message_that_sqs_moves_during_a_deletion_is_not_lost(operator: Operator) -> None:
    put_copy(operator.client, accepted=timedelta(hours=25))
    moved: list[StoredMessage] = []

    def move_another(operation: str, _parameters: Mapping[str, Any]) -> None:
        if operation == "DeleteMessage" and not moved:
            moved.append(put_moved(operator.client, age=timedelta(hours=25), ClientToken="late"))

    operator.client.before = move_another

    operator.redrive(max_age=timedelta(), delete=True)

    assert operator.dead_letters() == moved


def test_dead_letter_is_deleted_only_if_an_earlier_run_finalized_it(operator: Operator) -> None:
    put_moved(operator.client, age=timedelta(hours=25))

    operator.redrive(finalize=True, delete=True)

    assert operator.done == [Done.FINALIZED]
    assert len(operator.dead_letters()) == 1

    operator.redrive(finalize=True, delete=True)

    assert operator.done == [Done.DELETED]
    assert operator.dead_letters() == []
    assert len(operator.results) == 1


def test_rejected_messages_are_deleted_by_age_without_a_code(operator: Operator) -> None:
    put_copy(operator.client, queue_url=REJECTED, accepted=timedelta(hours=25))
    young = put_copy(operator.client, queue_url=REJECTED, ClientToken="young")

    totals = operator.redrive(DeadLetterQueue.REJECTED, delete=True)

    assert totals.count == {Done.DELETED: 1, Done.KEPT: 1}
    assert operator.dead_letters(REJECTED) == [young]


@pytest.mark.parametrize("queue", list(DeadLetterQueue))
def test_unreadable_dead_letter_is_not_deleted(operator: Operator, queue: DeadLetterQueue) -> None:
    group = {"MessageGroupId": "chat-1"} if URLS[queue].endswith(".fifo") else {}
    unreadable = operator.client.put(
        URLS[queue], "[", attributes={"Code": "Throttled"}, age=timedelta(days=3), **group
    )

    operator.redrive(queue, max_age=timedelta(), delete=True)

    assert operator.handled[0].dead_letter is None
    assert operator.dead_letters(URLS[queue]) == [unreadable]


@pytest.mark.parametrize("was_invoked", [False, True])
def test_no_dead_event_is_deleted(operator: Operator, was_invoked: bool) -> None:
    put = put_failed_invocation if was_invoked else put_dead_event
    dead_letter = put(operator.client, event(START), age=timedelta(hours=25))

    totals = operator.redrive(DeadLetterQueue.EVENTS, max_age=timedelta(), delete=True)

    assert totals.count == {Done.KEPT: 1}
    assert operator.dead_letters(EVENTS) == [dead_letter]


def test_failed_deletion_is_an_error_and_the_dead_letter_stays(operator: Operator) -> None:
    dead_letter = put_copy(operator.client, accepted=timedelta(hours=25))
    operator.client.failures["DeleteMessage"] = [("AccessDenied", 403)]

    totals = operator.redrive(delete=True)

    assert totals.count == {Done.ERROR: 1}
    assert operator.dead_letters() == [dead_letter]


def test_dead_letters_behind_ten_finalized_ones_are_seen(operator: Operator) -> None:
    for number in range(12):
        put_moved(operator.client, age=timedelta(hours=25), ClientToken=f"old-{number}")
    put_copy(operator.client, ClientToken="young")

    totals = operator.redrive(finalize=True)

    assert totals.count == {Done.FINALIZED: 12, Done.REDRIVEN: 1}
    assert len(operator.dead_letters()) == 12


def test_dead_letters_behind_some_that_stay_are_seen(operator: Operator) -> None:
    for number in range(35):
        put_copy(
            operator.client, code="Other" if number % 4 == 0 else "Throttled", ClientToken=f"c-{number:02d}"
        )

    totals = operator.redrive(codes={"Throttled"})

    assert totals.count == {Done.KEPT: 9, Done.REDRIVEN: 26}
    assert len(operator.dead_letters()) == 9


def test_dead_letters_behind_ten_that_stay_are_not_seen(operator: Operator) -> None:
    for number in range(12):
        put_copy(operator.client, ClientToken=f"c-{number}")

    totals = operator.redrive(codes={"Other"})

    assert totals.count == {Done.KEPT: 10}
    assert len(operator.dead_letters()) == 12


@pytest.mark.parametrize("finalize", [False, True])
def test_dead_letter_with_the_client_token_of_another_group_does_not_affect_that_group(
    operator: Operator, finalize: bool
) -> None:
    expired: dict[str, Any] = {"ExpiresAt": "2026-01-01T00:00:00Z"} if finalize else {}
    put_moved(operator.client, group="other", ClientToken="order-1", **expired)
    put_copy(operator.client, group="mine", ClientToken="order-1", Content="first")
    put_copy(operator.client, group="mine", ClientToken="order-2", Content="second")

    operator.redrive(finalize=finalize)

    contents = [
        json.loads(message.body)["Content"]
        for message in operator.redriven
        if message.system["MessageGroupId"] == "mine"
    ]
    assert contents == ["first", "second"]
