"""A run through a queue of letters."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from message_sender.errors import AwsCallError
from message_sender.publisher import Publisher
from message_sender.queues import Queues, origin_of
from message_sender.request import derive_client_token
from message_sender.task_callback import TaskCallback
from ops.aws import BotoApi
from ops.dead_letters import DeadLetterQueue, UnreadableDeadLetter
from ops.queue_reader import QueueReader
from ops.redrive import Done, RedriveRun
from ops.redrive_policy import Rules
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
    put_failed_invocation,
    put_moved,
    put_undelivered_event,
)
from tests.support.fakes import START, FakeClock
from tests.support.lambda_events import QUEUE_ARN, TEXT, TOKEN, request
from tests.support.schemas import RESULT_SCHEMA
from tests.support.sqs_client import FakeAwsClient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ops.redrive import Handled, Totals
    from tests.support.sqs_client import StoredMessage


class SignalledClient(FakeAwsClient):
    """Its process is told to stop when SQS has given messages, and before their answer is read."""

    def receive_message(self, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401  # as boto3 has them
        answer = super().receive_message(**parameters)
        os.kill(os.getpid(), signal.SIGTERM)
        return answer


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
        settle: bool = False,
        discard: bool = False,
        dry_run: bool = False,
    ) -> Totals:
        api = BotoApi(self.client)
        queues = Queues(
            sqs=api,
            message_queue_url=MESSAGES,
            dead_letter_queue_url=DEAD_LETTER,
            rejected_queue_url=REJECTED,
            unpublished_results_queue_url=UNPUBLISHED,
            clock=self.clock,
            random=lambda: 1.0,
        )
        self.handled = []
        run = RedriveRun(
            queue=queue,
            reader=QueueReader(api, URLS[queue], clock=self.clock, random=lambda: 1.0),
            queues=queues,
            publisher=Publisher(
                events=api, event_bus_name="bus", queues=queues, clock=self.clock, random=lambda: 1.0
            ),
            tasks=TaskCallback(step_functions=api, clock=self.clock, random=lambda: 1.0),
            messages_queue_arn=QUEUE_ARN,
            rules=Rules(
                codes=codes,
                codes_required=queue is DeadLetterQueue.REJECTED,
                max_age=max_age,
                settle=settle,
                discard=discard,
            ),
            dry_run=dry_run,
            clock=self.clock,
            tell=self.handled.append,
        )
        return run.run()

    @property
    def done(self) -> list[Done]:
        return [handled.done for handled in self.handled]

    @property
    def reasons(self) -> list[str]:
        return [handled.reason for handled in self.handled]

    @property
    def put_back(self) -> list[StoredMessage]:
        return self.client.queues.get(MESSAGES, [])

    def letters(self, queue_url: str = DEAD_LETTER) -> list[StoredMessage]:
        """Return what lies in a queue, all of which must be there to be received."""
        letters = self.client.queues.get(queue_url, [])
        assert self.client.visible(queue_url) == letters
        return letters

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
    """Return the origin that the function will read of a message of its queue."""
    attributes = {
        name: {"stringValue": value, "dataType": "String"} for name, value in message.attributes.items()
    }
    found = origin_of(attributes, queued_at=START + timedelta(days=1), receive_count=1)
    assert found is not None
    accepted_at = found.accepted_at.isoformat().replace("+00:00", "Z")
    return found.event_source, found.source_id, accepted_at, found.maybe_delivered


# What is put back


def test_a_copy_goes_back_as_the_same_message(operator: Operator) -> None:
    letter = put_copy(operator.client, group="chat-7", ClientToken="own")

    totals = operator.redrive()

    [message] = operator.put_back
    assert json.loads(message.body) == json.loads(letter.body) == request(ClientToken="own")
    assert message.system["MessageGroupId"] == "chat-7"
    assert origin(message) == ("sqs", SOURCE_ID, "2026-01-31T11:40:00Z", False)
    assert operator.letters() == []
    assert totals.count == {Done.REDRIVEN: 1}
    assert totals.is_complete


def test_the_copy_of_an_event_goes_back_with_the_origin_of_the_event(operator: Operator) -> None:
    put_copy(
        operator.client,
        source_id=EVENT_ID,
        more={"EventSource": "eventbridge", "MaybeDelivered": "true"},
    )

    operator.redrive()

    [message] = operator.put_back
    assert origin(message) == ("eventbridge", EVENT_ID, "2026-01-31T11:40:00Z", True)


def test_a_copy_whose_body_had_no_room_for_its_client_token_gets_it(operator: Operator) -> None:
    put_copy(operator.client, body=json.dumps(request()), ClientToken="of-the-attribute")

    operator.redrive()

    [message] = operator.put_back
    assert json.loads(message.body)["ClientToken"] == "of-the-attribute"


def test_what_sqs_moved_goes_back_under_the_client_token_that_the_function_would_give_it(
    operator: Operator,
) -> None:
    letter = put_moved(operator.client, group="chat-7")

    operator.redrive()

    [message] = operator.put_back
    client_token = derive_client_token(QUEUE_ARN, letter.message_id)
    assert json.loads(message.body) == request(ClientToken=client_token)
    assert message.system["MessageGroupId"] == "chat-7"
    assert origin(message) == ("sqs", letter.message_id, "2026-01-31T11:40:00Z", True)
    assert operator.letters() == []
    assert operator.results == []


def test_what_sqs_moved_of_an_event_keeps_the_events_origin(operator: Operator) -> None:
    attributes = {
        "EventSource": "eventbridge",
        "SourceId": EVENT_ID,
        "AcceptedAt": "2026-01-31T11:30:00+00:00",
        "MaybeDelivered": "false",
    }
    put_moved(operator.client, attributes=attributes, ClientToken="of-the-event")

    operator.redrive()

    [message] = operator.put_back
    assert origin(message) == ("eventbridge", EVENT_ID, "2026-01-31T11:30:00Z", True)
    assert json.loads(message.body)["ClientToken"] == "of-the-event"


def test_a_producers_own_code_does_not_make_a_copy_of_what_sqs_moved(operator: Operator) -> None:
    letter = put_moved(operator.client, attributes={"Code": "Throttled", "ClientToken": "forged"})

    operator.redrive(codes={"MovedBySQS"})

    [message] = operator.put_back
    assert json.loads(message.body)["ClientToken"] == derive_client_token(QUEUE_ARN, letter.message_id)


@pytest.mark.parametrize("was_invoked", [False, True])
def test_an_event_goes_to_the_messages_queue_as_the_function_hands_it_over(
    operator: Operator, was_invoked: bool
) -> None:
    letter = event(START - timedelta(minutes=20), ContactId="contact-1")
    if was_invoked:
        put_failed_invocation(operator.client, letter)
    else:
        put_undelivered_event(operator.client, letter)

    operator.redrive(DeadLetterQueue.EVENTS)

    [message] = operator.put_back
    client_token = derive_client_token("eventbridge", EVENT_ID)
    assert json.loads(message.body) == letter["detail"] | {"ClientToken": client_token}
    assert message.system["MessageGroupId"] == "contact-1"
    assert origin(message) == ("eventbridge", EVENT_ID, "2026-01-31T11:40:00Z", was_invoked)
    assert operator.letters(EVENTS) == []


def test_an_event_that_lies_there_in_both_forms_is_one_message(operator: Operator) -> None:
    letter = event(START)
    put_undelivered_event(operator.client, letter)
    put_failed_invocation(operator.client, letter)

    operator.redrive(DeadLetterQueue.EVENTS)
    operator.redrive(DeadLetterQueue.EVENTS)

    assert len(operator.put_back) == 1
    assert operator.letters(EVENTS) == []


def test_a_rejected_message_goes_back_if_its_code_is_named(operator: Operator) -> None:
    put_copy(operator.client, queue_url=REJECTED, code="ServiceValidation", ContactId="contact-1", group="")
    put_copy(operator.client, queue_url=REJECTED, code="AccessDenied", ClientToken="other")

    operator.redrive(DeadLetterQueue.REJECTED, codes={"ServiceValidation"})

    [message] = operator.put_back
    assert message.system["MessageGroupId"] == "contact-1"
    assert [letter.attributes["Code"] for letter in operator.letters(REJECTED)] == ["AccessDenied"]


def test_letters_of_a_group_go_back_in_their_order(operator: Operator) -> None:
    for number in range(35):
        put_copy(
            operator.client, group=f"chat-{number % 2}", ClientToken=f"c-{number}", source_id=f"s-{number}"
        )

    operator.redrive()

    for chat in range(2):
        numbers = [
            int(json.loads(message.body)["ClientToken"].removeprefix("c-"))
            for message in operator.put_back
            if message.system["MessageGroupId"] == f"chat-{chat}"
        ]
        assert len(numbers) in {17, 18}
        assert all(first < second for first, second in pairwise(numbers))


def test_thousands_of_letters_go_back(operator: Operator) -> None:
    for number in range(3000):
        put_copy(operator.client, group=f"chat-{number % 100}", ClientToken=f"c-{number}")

    totals = operator.redrive()

    assert len(operator.put_back) == 3000
    assert totals.is_complete


# What stays


@pytest.mark.parametrize("dry_run", [False, True])
def test_each_letter_is_looked_at_once_and_what_stays_can_be_received_at_once(
    operator: Operator, dry_run: bool
) -> None:
    for number in range(25):
        put_copy(operator.client, queue_url=REJECTED, ClientToken=f"c-{number}")

    totals = operator.redrive(DeadLetterQueue.REJECTED, dry_run=dry_run)

    assert totals.count == {Done.LEFT: 25}
    assert len(operator.letters(REJECTED)) == 25
    assert operator.put_back == []


def test_a_signal_while_letters_are_received_lets_go_of_them() -> None:
    operator = Operator()
    operator.client = SignalledClient(clock=operator.clock)
    letter = put_copy(operator.client, queue_url=REJECTED, ClientToken="c-1")

    with stopped_by_signals(), pytest.raises(SystemExit):
        operator.redrive(DeadLetterQueue.REJECTED)

    assert operator.handled == []
    assert operator.letters(REJECTED) == [letter]


def test_a_dry_run_changes_nothing(operator: Operator) -> None:
    put_copy(operator.client, group="chat-1")
    put_moved(operator.client, "no JSON", group="chat-2")
    before = [letter.body for letter in operator.letters()]

    totals = operator.redrive(settle=True, dry_run=True)

    assert totals.count == {Done.REDRIVEN: 1, Done.SETTLED: 1}
    assert [letter.body for letter in operator.letters()] == before
    assert operator.client.queues.keys() == {DEAD_LETTER}
    assert operator.client.events == []


def test_a_letter_that_comes_back_at_once_is_not_put_back_again(operator: Operator) -> None:
    letter = put_copy(operator.client, queue_url=REJECTED, code="AccessDenied", ClientToken="c-1")

    def reject_again(operation: str, parameters: Mapping[str, Any]) -> None:
        if operation == "SendMessage" and parameters["QueueUrl"] == MESSAGES:
            operator.client.put(REJECTED, letter.body, attributes=letter.attributes)

    operator.client.before = reject_again

    operator.redrive(DeadLetterQueue.REJECTED, codes={"AccessDenied"})

    assert operator.done == [Done.REDRIVEN, Done.LEFT]
    assert len(operator.letters(REJECTED)) == 1
    assert operator.reasons[1] == "the same message has come before in this run"


@pytest.mark.parametrize(
    "body",
    ["no JSON", "[]", '{"detail-type": "SendMessage Requested"}', "[" * 100_000, "1" * 5000, "\ud800"],
)
def test_a_letter_that_cannot_be_read_stays_and_stops_no_other(operator: Operator, body: str) -> None:
    operator.client.put(EVENTS, body)
    put_undelivered_event(operator.client, event(START))

    totals = operator.redrive(DeadLetterQueue.EVENTS, settle=True)

    assert operator.done == [Done.LEFT, Done.REDRIVEN]
    assert isinstance(operator.handled[0].letter, UnreadableDeadLetter)
    assert len(operator.letters(EVENTS)) == 1
    assert totals.is_complete


def test_an_asynchronous_invocation_without_an_event_is_left_to_who_made_it(operator: Operator) -> None:
    put_failed_invocation(operator.client, request(ClientToken="c-1"))

    operator.redrive(DeadLetterQueue.EVENTS)

    assert operator.reasons == ["it is no event of the bus: who invoked the function has to do it again"]


def test_a_run_ends_after_ten_minutes_and_says_so(operator: Operator) -> None:
    for number in range(30):
        put_copy(operator.client, group=f"chat-{number}", ClientToken=f"c-{number}")

    def take_long(operation: str, _parameters: Mapping[str, Any]) -> None:
        if operation == "SendMessage":
            operator.clock.elapsed += 50

    operator.client.before = take_long

    totals = operator.redrive()

    assert not totals.is_complete
    assert len(operator.put_back) + len(operator.letters()) == 30
    assert 0 < len(operator.letters()) < 30


# What goes wrong


def test_a_letter_that_cannot_be_put_back_stays_with_the_later_ones_of_its_group(operator: Operator) -> None:
    for number in range(3):
        put_copy(operator.client, group="chat-1", ClientToken=f"c-{number}")
    put_copy(operator.client, group="chat-2", ClientToken="other")
    operator.client.failures["SendMessage"] = [("InvalidParameterValue", 400)]

    totals = operator.redrive()

    assert totals.count == {Done.ERROR: 3, Done.REDRIVEN: 1}
    assert operator.reasons[0] == "SendMessage failed: InvalidParameterValue (400)"
    assert [json.loads(message.body)["ClientToken"] for message in operator.put_back] == ["other"]
    assert len(operator.letters()) == 3


def test_a_passing_failure_is_overcome(operator: Operator) -> None:
    put_copy(operator.client)
    for operation in ("ReceiveMessage", "SendMessage", "DeleteMessage"):
        operator.client.failures[operation] = [("ServiceUnavailable", 503)] * 2

    totals = operator.redrive()

    assert totals.count == {Done.REDRIVEN: 1}


def test_a_queue_that_cannot_be_read_is_an_error(operator: Operator) -> None:
    operator.client.failures["ReceiveMessage"] = [("AccessDenied", 403)]

    with pytest.raises(AwsCallError, match="AccessDenied"):
        operator.redrive()


def test_letters_that_cannot_be_let_go_come_back_by_themselves(operator: Operator) -> None:
    put_copy(operator.client, queue_url=REJECTED)
    operator.client.failures["ChangeMessageVisibilityBatch"] = [("AccessDenied", 403)]

    operator.redrive(DeadLetterQueue.REJECTED)

    assert operator.client.visible(REJECTED) == []
    operator.clock.elapsed += 900
    assert len(operator.client.visible(REJECTED)) == 1


def test_nothing_that_goes_wrong_shows_what_a_letter_says(
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


class CutOffError(BaseException):
    """What a signal raises."""


def check_no_loss_and_no_double(operator: Operator, tokens: set[str]) -> None:
    sent = [json.loads(message.body)["ClientToken"] for message in operator.put_back]
    assert set(sent) == tokens
    assert len(sent) == len(tokens)
    assert operator.letters() == []


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    groups=st.lists(st.integers(0, 3), min_size=1, max_size=25),
    cuts=st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=4),
)
def test_a_run_that_is_cut_off_anywhere_is_repeated_without_loss_double_or_disorder(
    groups: list[int], cuts: list[tuple[int, bool]]
) -> None:
    operator = Operator()
    for number, group in enumerate(groups):
        if number % 3:
            put_copy(operator.client, group=f"chat-{group}", ClientToken=f"c-{number:02d}")
        else:
            put_moved(operator.client, group=f"chat-{group}", ClientToken=f"c-{number:02d}")

    for calls_left, answer_is_lost in cuts:
        cut_after(operator.client, calls_left, answer_is_lost=answer_is_lost)
        try:
            operator.redrive()
        except (CutOffError, AwsCallError):
            operator.clock.elapsed += 1
        operator.client.before = lambda _operation, _parameters: None
        operator.client.lost_answers = {}
        for message in operator.client.queues[DEAD_LETTER]:
            message.hidden_until = 0  # as after the visibility timeout, before the de-duplication ends
    operator.redrive()

    check_no_loss_and_no_double(operator, {f"c-{number:02d}" for number in range(len(groups))})
    for group in set(groups):
        order = [
            json.loads(message.body)["ClientToken"]
            for message in operator.put_back
            if message.system["MessageGroupId"] == f"chat-{group}"
        ]
        assert order == sorted(order)


def cut_after(client: FakeAwsClient, calls: int, *, answer_is_lost: bool) -> None:
    """End the run after some calls; the last of them may have been carried out, though it seems not to be."""
    left = calls

    def cut(operation: str, _parameters: Mapping[str, Any]) -> None:
        nonlocal left
        if left == 0:
            if not answer_is_lost:
                raise CutOffError
            client.lost_answers = {operation: 3}
        left -= 1

    client.before = cut


# Outcomes that are due


def test_what_sqs_moved_long_ago_is_left_until_its_outcome_is_asked_for(operator: Operator) -> None:
    put_moved(operator.client, age=timedelta(hours=25))

    totals = operator.redrive()

    assert totals.count == {Done.LEFT: 1}
    assert totals.due == 1
    assert operator.results == []
    assert len(operator.letters()) == 1


def test_an_old_letter_gets_its_outcome_and_is_one_of_those_that_have_it(operator: Operator) -> None:
    letter = put_moved(operator.client, age=timedelta(hours=25), group="chat-7", ContactId="contact-1")
    letter.receive_count = 30

    totals = operator.redrive(settle=True)

    assert totals.count == {Done.SETTLED: 1}
    [result] = operator.results
    client_token = derive_client_token(QUEUE_ARN, letter.message_id)
    assert result["Outcome"] == "FAILED"
    assert result["Error"]["Code"] == "DeadlineExceeded"
    assert result["Error"]["MaybeDelivered"]
    assert (result["ClientToken"], result["ContactId"]) == (client_token, "contact-1")
    assert (result["EventSource"], result["SourceId"]) == ("sqs", letter.message_id)
    assert (result["AcceptedAt"], result["ReceiveCount"]) == ("2026-01-30T11:00:00.000Z", 31)
    [copy] = operator.letters()
    assert json.loads(copy.body) == request(ClientToken=client_token, ContactId="contact-1")
    assert copy.attributes["Code"] == "DeadlineExceeded"
    assert copy.system["MessageGroupId"] == "chat-7"
    assert operator.client.events[0]["DetailType"] == "Message Failed"

    operator.redrive(settle=True)

    assert len(operator.results) == 1
    assert operator.reasons == ["it is older than MAX_AGE"]


@pytest.mark.parametrize(
    ("body", "code", "maybe_delivered"),
    [
        ("no JSON", "InvalidRequest", False),
        (json.dumps(request(Content="")), "InvalidRequest", False),
        (json.dumps(request(ExpiresAt="2026-01-31T11:59:00Z")), "Expired", True),
    ],
)
def test_what_can_never_be_sent_is_rejected_and_lies_with_the_rejected(
    operator: Operator, body: str, code: str, maybe_delivered: bool
) -> None:
    letter = put_moved(operator.client, body)

    operator.redrive(settle=True)

    [result] = operator.results
    assert (result["Outcome"], result["Error"]["Code"]) == ("REJECTED", code)
    assert result["Error"]["MaybeDelivered"] is maybe_delivered
    assert result["ClientToken"] == derive_client_token(QUEUE_ARN, letter.message_id)
    [copy] = operator.letters(REJECTED)
    assert copy.attributes["Code"] == code
    assert operator.letters() == []


@pytest.mark.parametrize("was_invoked", [False, True])
def test_an_old_event_gets_its_outcome_and_can_still_be_tried_again(
    operator: Operator, was_invoked: bool
) -> None:
    put = put_failed_invocation if was_invoked else put_undelivered_event
    put(operator.client, event(START - timedelta(hours=25)), age=timedelta(hours=25))

    operator.redrive(DeadLetterQueue.EVENTS, settle=True)
    operator.redrive()
    assert operator.reasons == ["it is older than MAX_AGE"]
    operator.redrive(max_age=timedelta(days=2))

    [result] = operator.results
    assert (result["Outcome"], result["Error"]["Code"]) == ("FAILED", "DeadlineExceeded")
    assert result["Error"]["MaybeDelivered"] is was_invoked
    assert (result["EventSource"], result["SourceId"]) == ("eventbridge", EVENT_ID)
    assert result["ReceiveCount"] == (3 if was_invoked else 1)
    assert operator.letters(EVENTS) == []
    [message] = operator.put_back
    assert origin(message) == ("eventbridge", EVENT_ID, "2026-01-30T11:00:00Z", was_invoked)
    assert json.loads(message.body)["ClientToken"] == result["ClientToken"]


def test_a_letter_that_has_its_outcome_gets_no_other(operator: Operator) -> None:
    put_copy(operator.client, accepted=timedelta(hours=25))
    put_copy(operator.client, body="no JSON", group="chat-2", ClientToken="c-2")

    operator.redrive(settle=True)

    assert operator.done == [Done.LEFT, Done.LEFT]
    assert operator.results == []


def test_an_outcome_that_the_bus_does_not_take_is_kept(operator: Operator) -> None:
    put_moved(operator.client, age=timedelta(hours=25))
    operator.client.failures["PutEvents"] = [("InternalFailure", 500)] * 3

    totals = operator.redrive(settle=True)

    assert totals.count == {Done.SETTLED: 1}
    [kept] = operator.letters(UNPUBLISHED)
    assert json.loads(json.loads(kept.body)["Detail"])["Outcome"] == "FAILED"


def test_an_outcome_that_is_safe_nowhere_leaves_the_letter_where_it_is(operator: Operator) -> None:
    letter = put_moved(operator.client, age=timedelta(hours=25))
    operator.client.failures["PutEvents"] = [("InternalFailure", 500)] * 3
    operator.client.failures["SendMessageBatch"] = [("InternalFailure", 500)] * 3

    totals = operator.redrive(settle=True)

    assert totals.count == {Done.ERROR: 1}
    assert letter in operator.letters()

    operator.redrive(settle=True)

    assert letter not in operator.letters()
    assert len(operator.results) == 1
    assert len(operator.letters()) == 1


@pytest.mark.parametrize(
    ("fields", "error"),
    [({}, "DeadlineExceededError"), ({"ExpiresAt": "2026-01-31T11:59:00Z"}, "ExpiredError")],
)
def test_the_task_of_a_letter_that_gets_its_outcome_is_answered(
    operator: Operator, fields: dict[str, Any], error: str
) -> None:
    put_moved(operator.client, age=timedelta(hours=25), TaskToken="task-1", **fields)
    published_before: list[int] = []
    operator.client.before = lambda operation, _: (
        published_before.append(len(operator.client.events)) if operation == "SendTaskFailure" else None
    )

    totals = operator.redrive(settle=True)

    [answer] = operator.client.task_failures
    assert (answer["taskToken"], answer["error"]) == ("task-1", error)
    assert answer["cause"] == operator.results[0]["Error"]["Reason"]
    assert published_before == [1]
    assert totals.count == {Done.SETTLED: 1}


def test_a_task_is_not_answered_while_its_letter_is_tried_again_or_left(operator: Operator) -> None:
    put_moved(operator.client, TaskToken="task-1")
    put_moved(operator.client, age=timedelta(hours=25), group="chat-2", TaskToken="task-2")

    operator.redrive(settle=True, dry_run=True)
    operator.redrive()

    assert operator.client.task_failures == []


@pytest.mark.parametrize("name", ["TaskDoesNotExist", "TaskTimedOut"])
def test_a_task_that_no_longer_exists_is_no_error(operator: Operator, name: str) -> None:
    put_moved(operator.client, age=timedelta(hours=25), TaskToken="task-1")
    operator.client.failures["SendTaskFailure"] = [(name, 400)]

    totals = operator.redrive(settle=True)

    assert totals.count == {Done.SETTLED: 1}
    assert operator.reasons == ["DeadlineExceeded: It was not sent in time and is not tried again"]


def test_a_task_that_cannot_be_answered_is_told_of_and_its_letter_has_its_outcome(
    operator: Operator,
) -> None:
    letter = put_moved(operator.client, age=timedelta(hours=25), TaskToken="task-1")
    operator.client.failures["SendTaskFailure"] = [("AccessDeniedException", 400)]

    totals = operator.redrive(settle=True)

    assert totals.count == {Done.SETTLED: 1}
    assert operator.reasons[0].endswith(
        "the task that waits for it is not answered: SendTaskFailure failed: AccessDeniedException (400)"
    )
    assert letter not in operator.letters()
    assert len(operator.results) == 1


# What is discarded


def test_only_what_has_its_outcome_is_discarded(operator: Operator) -> None:
    put_copy(operator.client, accepted=timedelta(hours=25), ClientToken="old")
    moved = put_moved(operator.client, age=timedelta(hours=25), group="chat-2")
    unreadable = put_moved(operator.client, "no JSON", group="chat-3")

    totals = operator.redrive(discard=True)

    assert totals.count == {Done.DISCARDED: 1, Done.LEFT: 2}
    assert totals.due == 2
    assert operator.letters() == [moved, unreadable]
    assert operator.results == []
    assert operator.put_back == []


def test_a_dry_run_discards_nothing_and_shows_what_it_would(operator: Operator) -> None:
    letter = put_copy(operator.client, accepted=timedelta(hours=25))

    totals = operator.redrive(discard=True, dry_run=True)

    assert totals.count == {Done.DISCARDED: 1}
    assert operator.letters() == [letter]


def test_what_sqs_moves_while_letters_are_discarded_is_not_lost(operator: Operator) -> None:
    put_copy(operator.client, accepted=timedelta(hours=25))
    moved: list[StoredMessage] = []

    def move_one_more(operation: str, _parameters: Mapping[str, Any]) -> None:
        if operation == "DeleteMessage" and not moved:
            moved.append(put_moved(operator.client, age=timedelta(hours=25), ClientToken="late"))

    operator.client.before = move_one_more

    operator.redrive(max_age=timedelta(), discard=True)

    assert operator.letters() == moved


def test_a_letter_is_discarded_only_after_it_was_settled_in_an_earlier_run(operator: Operator) -> None:
    put_moved(operator.client, age=timedelta(hours=25))

    operator.redrive(settle=True, discard=True)

    assert operator.done == [Done.SETTLED]
    assert len(operator.letters()) == 1

    operator.redrive(settle=True, discard=True)

    assert operator.done == [Done.DISCARDED]
    assert operator.letters() == []
    assert len(operator.results) == 1


def test_rejected_letters_are_discarded_by_age_without_a_code(operator: Operator) -> None:
    put_copy(operator.client, queue_url=REJECTED, accepted=timedelta(hours=25))
    young = put_copy(operator.client, queue_url=REJECTED, ClientToken="young")

    totals = operator.redrive(DeadLetterQueue.REJECTED, discard=True)

    assert totals.count == {Done.DISCARDED: 1, Done.LEFT: 1}
    assert operator.letters(REJECTED) == [young]


@pytest.mark.parametrize("queue", list(DeadLetterQueue))
def test_what_cannot_be_read_is_not_discarded(operator: Operator, queue: DeadLetterQueue) -> None:
    group = {"MessageGroupId": "chat-1"} if URLS[queue].endswith(".fifo") else {}
    unreadable = operator.client.put(
        URLS[queue], "[", attributes={"Code": "Throttled"}, age=timedelta(days=3), **group
    )

    operator.redrive(queue, max_age=timedelta(), discard=True)

    assert isinstance(operator.handled[0].letter, UnreadableDeadLetter)
    assert operator.letters(URLS[queue]) == [unreadable]


@pytest.mark.parametrize("was_invoked", [False, True])
def test_no_dead_event_is_discarded(operator: Operator, was_invoked: bool) -> None:
    put = put_failed_invocation if was_invoked else put_undelivered_event
    letter = put(operator.client, event(START), age=timedelta(hours=25))

    totals = operator.redrive(DeadLetterQueue.EVENTS, max_age=timedelta(), discard=True)

    assert totals.count == {Done.LEFT: 1}
    assert operator.letters(EVENTS) == [letter]


def test_a_letter_that_cannot_be_discarded_is_told_and_stays(operator: Operator) -> None:
    letter = put_copy(operator.client, accepted=timedelta(hours=25))
    operator.client.failures["DeleteMessage"] = [("AccessDenied", 403)]

    totals = operator.redrive(discard=True)

    assert totals.count == {Done.ERROR: 1}
    assert operator.letters() == [letter]


def test_letters_behind_ten_that_are_settled_are_seen(operator: Operator) -> None:
    for number in range(12):
        put_moved(operator.client, age=timedelta(hours=25), ClientToken=f"old-{number}")
    put_copy(operator.client, ClientToken="young")

    totals = operator.redrive(settle=True)

    assert totals.count == {Done.SETTLED: 12, Done.REDRIVEN: 1}
    assert len(operator.letters()) == 12


def test_letters_behind_some_that_stay_are_seen(operator: Operator) -> None:
    for number in range(35):
        put_copy(
            operator.client, code="Other" if number % 4 == 0 else "Throttled", ClientToken=f"c-{number:02d}"
        )

    totals = operator.redrive(codes={"Throttled"})

    assert totals.count == {Done.LEFT: 9, Done.REDRIVEN: 26}
    assert len(operator.letters()) == 9


def test_letters_behind_ten_that_stay_are_not_seen(operator: Operator) -> None:
    for number in range(12):
        put_copy(operator.client, ClientToken=f"c-{number}")

    totals = operator.redrive(codes={"Other"})

    assert totals.count == {Done.LEFT: 10}
    assert len(operator.letters()) == 12


@pytest.mark.parametrize("settle", [False, True])
def test_a_letter_under_the_client_token_of_another_group_changes_nothing_for_that_group(
    operator: Operator, settle: bool
) -> None:
    expired: dict[str, Any] = {"ExpiresAt": "2026-01-01T00:00:00Z"} if settle else {}
    put_moved(operator.client, group="other", ClientToken="order-1", **expired)
    put_copy(operator.client, group="mine", ClientToken="order-1", Content="first")
    put_copy(operator.client, group="mine", ClientToken="order-2", Content="second")

    operator.redrive(settle=settle)

    contents = [
        json.loads(message.body)["Content"]
        for message in operator.put_back
        if message.system["MessageGroupId"] == "mine"
    ]
    assert contents == ["first", "second"]
