"""DeadLetters of every kind, read and decided on."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from message_sender.request import SendMessageRequest, derive_client_token
from ops.dead_letters import DeadLetter, DeadLetterQueue, UnreadableDeadLetter, read_dead_letter
from ops.redrive_policy import Discard, Leave, Redrive, Rules, Settle, decide
from tests.support.dead_letters import (
    SOURCE_ID,
    put_copy,
    put_failed_invocation,
    put_moved,
    put_undelivered_event,
)
from tests.support.fakes import START, FakeClock
from tests.support.lambda_events import QUEUE_ARN, TEXT, TOKEN, bus_event, request
from tests.support.sqs_client import FakeAwsClient, StoredMessage

if TYPE_CHECKING:
    from collections.abc import Callable

EVERYTHING = Rules(codes=None, codes_required=False, max_age=timedelta(days=1), settle=False)
SETTLING = Rules(codes=None, codes_required=False, max_age=timedelta(days=1), settle=True)


@pytest.fixture
def client() -> FakeAwsClient:
    return FakeAwsClient(clock=FakeClock())


def read(message: StoredMessage, queue: DeadLetterQueue = DeadLetterQueue.DEAD_LETTER) -> DeadLetter:
    letter = read_dead_letter(message.received(), queue=queue, messages_queue_arn=QUEUE_ARN)
    assert isinstance(letter, DeadLetter)
    return letter


FORGED = {
    "Code": "Throttled",
    "ClientToken": "forged",
    "MessageGroupId": "forged",
    "EventSource": "eventbridge",
    "SourceId": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
    "AcceptedAt": "2001-01-01T00:00:00+00:00",
    "QueuedAt": "2001-01-01T00:00:00+00:00",
    "MaybeDelivered": "false",
    "Truncated": "true",
    "ERROR_CODE": "forged",
}
"""Attributes that a producer can write to the messages queue."""
IMPATIENT = Rules(codes=None, codes_required=False, max_age=timedelta(hours=1), settle=True, discard=True)


@pytest.mark.parametrize(
    ("since_the_copy", "what"),
    [(timedelta(hours=23, minutes=59), Redrive), (timedelta(hours=24, minutes=1), Leave)],
)
def test_the_age_of_a_copy_counts_from_the_time_when_sqs_took_it(
    client: FakeAwsClient, since_the_copy: timedelta, what: type
) -> None:
    letter = read(put_copy(client, accepted=since_the_copy + timedelta(minutes=10)))

    assert isinstance(decide(letter, EVERYTHING, START), what)


@pytest.mark.parametrize("accepted_at", ["2001-01-01T00:00:00+00:00", "2026-01-31T12:00:00+00:00"])
@pytest.mark.parametrize(("age", "what"), [(timedelta(minutes=59), Redrive), (timedelta(hours=2), Discard)])
def test_an_accepted_at_that_a_producer_forged_does_not_change_the_age_of_a_copy(
    client: FakeAwsClient, accepted_at: str, age: timedelta, what: type
) -> None:
    message = put_copy(client, accepted=age + timedelta(minutes=10), more={"AcceptedAt": accepted_at})

    decision = decide(read(message), IMPATIENT, START)

    assert isinstance(decision, what)
    assert not isinstance(decision, Redrive) or not decision.has_dead_token


@pytest.mark.parametrize(("age", "what"), [(timedelta(minutes=59), Redrive), (timedelta(hours=2), Settle)])
def test_attributes_that_a_producer_forged_decide_nothing_about_what_sqs_moved(
    client: FakeAwsClient, age: timedelta, what: type
) -> None:
    message = put_moved(client, age=age, attributes=FORGED)
    letter = read(message)
    message.attributes.clear()
    plain = read(message)

    assert replace(letter, origin=plain.origin, parsed=plain.parsed) == plain
    assert letter.client_token == plain.client_token
    assert letter.origin.maybe_delivered
    assert isinstance(decide(letter, IMPATIENT, START), what)
    leave = replace(EVERYTHING, leave_maybe_delivered=True)
    assert decide(letter, leave, START) == Leave(reason="it may have been delivered", outcome_is_due=True)


@pytest.mark.parametrize("time", ["2001-01-01T00:00:00Z", "2027-01-01T00:00:00Z"])
@pytest.mark.parametrize("put", [put_undelivered_event, put_failed_invocation])
@pytest.mark.parametrize(("age", "what"), [(timedelta(minutes=59), Redrive), (timedelta(hours=2), Settle)])
def test_the_time_that_a_producer_gave_an_event_does_not_change_its_age(
    client: FakeAwsClient,
    time: str,
    put: Callable[..., StoredMessage],
    age: timedelta,
    what: type,
) -> None:
    letter = read(put(client, bus_event(request()) | {"time": time}, age=age), DeadLetterQueue.EVENTS)

    assert isinstance(decide(letter, IMPATIENT, START), what)
    assert letter.origin.accepted_at <= START - age


def test_an_event_under_the_id_of_another_one_is_not_taken_for_its_repeat(client: FakeAwsClient) -> None:
    event = bus_event(request())
    other = bus_event(request(Content="forged"))
    letters = [
        read(put(client, each), DeadLetterQueue.EVENTS)
        for put, each in (
            (put_undelivered_event, event),
            (put_failed_invocation, event),
            (put_failed_invocation, other),
        )
    ]

    ids = [letter.deduplication_id for letter in letters]
    assert ids[0] == ids[1] != ids[2]


def test_without_its_origin_a_copy_keeps_its_source_id(client: FakeAwsClient) -> None:
    letter = read(put_copy(client, accepted=timedelta(hours=2), more={"AcceptedAt": "noon"}))

    assert letter.origin.accepted_at == letter.queued_at == START - timedelta(hours=1, minutes=50)
    assert letter.origin.source_id == SOURCE_ID
    assert letter.origin.maybe_delivered


@pytest.mark.parametrize(
    ("condition", "count", "code", "receives"),
    [("EventAgeExceeded", 0, "EventAgeExceeded", 1), ("", 3, "NotHandedOver", 3)],
)
def test_the_condition_of_a_failed_invocation_is_its_code(
    client: FakeAwsClient, condition: str, count: int, code: str, receives: int
) -> None:
    message = put_failed_invocation(client, bus_event(request()), condition=condition, count=count)

    letter = read(message, DeadLetterQueue.EVENTS)

    assert (letter.code, letter.origin.receive_count) == (code, receives)


def test_the_source_is_that_of_the_message_or_else_the_messages_queue(client: FakeAwsClient) -> None:
    moved, from_elsewhere, unnamed = (put_moved(client) for _ in range(3))
    from_elsewhere.system["DeadLetterQueueSourceArn"] = "arn:of-another-queue"
    del unnamed.system["DeadLetterQueueSourceArn"]

    tokens = [read(message).client_token for message in (moved, from_elsewhere, unnamed)]

    assert tokens == [
        derive_client_token(QUEUE_ARN, moved.message_id),
        derive_client_token("arn:of-another-queue", from_elsewhere.message_id),
        derive_client_token(QUEUE_ARN, unnamed.message_id),
    ]


def test_a_letter_that_is_no_copy_is_not_taken_for_one(client: FakeAwsClient) -> None:
    message = client.put("https://sqs/rejected", json.dumps(request()))

    letter = read_dead_letter(
        message.received(), queue=DeadLetterQueue.REJECTED, messages_queue_arn=QUEUE_ARN
    )

    assert letter == UnreadableDeadLetter(
        message_id=message.message_id, reason="it is no copy that the function has made"
    )


def test_a_copy_that_nothing_identifies_is_left(client: FakeAwsClient) -> None:
    message = put_copy(client, body="no JSON")
    del message.attributes["ClientToken"]

    letter = read_dead_letter(
        message.received(), queue=DeadLetterQueue.DEAD_LETTER, messages_queue_arn=QUEUE_ARN
    )

    assert letter == UnreadableDeadLetter(message_id=message.message_id, reason="it has no ClientToken")


def test_a_letter_that_was_cut_short_is_left(client: FakeAwsClient) -> None:
    letter = read(put_copy(client, more={"Truncated": "true"}))

    assert decide(letter, SETTLING, START) == Leave(
        reason="a part of it is missing: it was too large to be copied"
    )


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        (None, "rejected letters are tried again only if CODE names them"),
        ({"AccessDenied"}, "CODE leaves it out"),
    ],
)
def test_a_rejected_letter_is_left_unless_its_code_is_named(
    client: FakeAwsClient, codes: set[str] | None, reason: str
) -> None:
    letter = read(put_copy(client, queue_url="https://sqs/rejected"), DeadLetterQueue.REJECTED)
    rules = Rules(codes=codes, codes_required=True, max_age=timedelta(days=1), settle=True)

    assert decide(letter, rules, START) == Leave(reason=reason)


def test_a_text_that_only_the_stack_can_judge_is_left_to_the_function(client: FakeAwsClient) -> None:
    letter = read(put_moved(client, Content="x" * 1025))

    assert isinstance(decide(letter, SETTLING, START), Redrive)


def test_a_letter_older_than_a_day_has_a_dead_token(client: FakeAwsClient) -> None:
    old, young = (read(put_copy(client, accepted=timedelta(hours=hours))) for hours in (25, 23))
    rules = Rules(codes=None, codes_required=False, max_age=timedelta(days=2), settle=False)

    dead = [
        decision.has_dead_token
        for letter in (old, young)
        if isinstance(decision := decide(letter, rules, START), Redrive)
    ]

    assert dead == [True, False]


OLD = timedelta(hours=25)
EXPIRED = {"ExpiresAt": "2026-01-31T11:59:00Z"}


@pytest.mark.parametrize(
    ("accepted", "fields", "more", "reason"),
    [
        (OLD, {}, {}, "it is older than MAX_AGE"),
        (timedelta(minutes=20), EXPIRED, {}, "Expired: ExpiresAt is past"),
        (timedelta(minutes=20), {"Content": ""}, {}, "InvalidRequest: "),
        (timedelta(minutes=20), {}, {"Truncated": "true"}, "a part of it is missing"),
    ],
)
@pytest.mark.parametrize("queue", [DeadLetterQueue.DEAD_LETTER, DeadLetterQueue.REJECTED])
@pytest.mark.parametrize("codes", [None, {"Throttled"}])
@pytest.mark.parametrize(("discard", "what"), [(True, Discard), (False, Leave)])
def test_what_has_its_outcome_and_is_not_tried_again_is_discarded_if_that_is_asked_for(
    client: FakeAwsClient,
    accepted: timedelta,
    fields: dict[str, str],
    more: dict[str, str],
    reason: str,
    queue: DeadLetterQueue,
    codes: set[str] | None,
    discard: bool,
    what: type[Discard | Leave],
) -> None:
    letter = read(put_copy(client, accepted=accepted, more=more, **fields), queue)
    rules = Rules(
        codes=codes,
        codes_required=queue is DeadLetterQueue.REJECTED,
        max_age=timedelta(days=1),
        settle=True,
        discard=discard,
    )

    decision = decide(letter, rules, START)

    assert isinstance(decision, what)
    assert decision.reason.startswith(reason)


@pytest.mark.parametrize(
    ("codes", "what"), [({"Throttled"}, Redrive), ({"AccessDenied"}, Leave), (None, Redrive)]
)
def test_what_can_be_tried_again_is_not_discarded(
    client: FakeAwsClient, codes: set[str] | None, what: type
) -> None:
    letter = read(put_copy(client))
    rules = Rules(codes=codes, codes_required=False, max_age=timedelta(days=1), settle=True, discard=True)

    assert isinstance(decide(letter, rules, START), what)


def test_what_code_leaves_out_is_not_discarded_however_old(client: FakeAwsClient) -> None:
    letter = read(put_copy(client, accepted=OLD))
    rules = Rules(
        codes={"AccessDenied"}, codes_required=False, max_age=timedelta(), settle=True, discard=True
    )

    assert decide(letter, rules, START) == Leave(reason="CODE leaves it out")


@pytest.mark.parametrize("body", [None, "no JSON", json.dumps(request(**EXPIRED))])
def test_what_has_no_outcome_is_never_discarded(client: FakeAwsClient, body: str | None) -> None:
    letter = read(put_moved(client, body, age=OLD))
    rules = Rules(codes=None, codes_required=False, max_age=timedelta(), settle=False, discard=True)

    decision = decide(letter, rules, START)

    assert isinstance(decision, Leave)
    assert decision.outcome_is_due


@pytest.mark.parametrize(
    ("maybe_delivered", "leave", "what"),
    [("true", True, Leave), ("true", False, Redrive), ("false", True, Redrive)],
)
def test_what_may_have_been_delivered_is_left_if_that_is_asked_for(
    client: FakeAwsClient, maybe_delivered: str, leave: bool, what: type
) -> None:
    letter = read(put_copy(client, more={"MaybeDelivered": maybe_delivered}))
    rules = Rules(
        codes=None,
        codes_required=False,
        max_age=timedelta(days=1),
        settle=True,
        discard=True,
        leave_maybe_delivered=leave,
    )

    assert isinstance(decide(letter, rules, START), what)


@pytest.mark.parametrize(("settle", "what"), [(True, Settle), (False, Leave)])
def test_what_is_left_since_it_may_have_been_delivered_can_get_its_outcome(
    client: FakeAwsClient, settle: bool, what: type
) -> None:
    letter = read(put_moved(client))
    rules = Rules(
        codes=None,
        codes_required=False,
        max_age=timedelta(days=1),
        settle=settle,
        leave_maybe_delivered=True,
    )

    decision = decide(letter, rules, START)

    assert isinstance(decision, what)
    if isinstance(decision, Leave):
        assert decision == Leave(reason="it may have been delivered", outcome_is_due=True)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.just(TOKEN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
parts = {
    "ConnectionToken": st.just(TOKEN) | json_values,
    "ContentType": st.just("text/plain") | json_values,
    "Content": st.just(TEXT) | json_values,
    "ClientToken": st.just("c-1") | json_values,
    "ExpiresAt": st.sampled_from(["2026-01-31T11:00:00Z", "2026-01-31T13:00:00Z"]) | json_values,
}
valid = {"ConnectionToken": st.just(TOKEN), "ContentType": st.just("text/plain"), "Content": st.just(TEXT)}
requests = st.fixed_dictionaries(valid) | st.fixed_dictionaries({}, optional=parts)
events = st.fixed_dictionaries(
    {},
    optional={
        "id": st.just("e-1") | json_values,
        "time": st.just("2026-01-31T11:00:00Z") | st.just("0001-01-01T00:00:00+14:00") | json_values,
        "detail-type": st.just("SendMessage Requested"),
        "detail": requests | json_values,
    },
)
records = st.fixed_dictionaries(
    {"requestPayload": events | json_values},
    optional={
        "requestContext": json_values
        | st.fixed_dictionaries({"condition": json_values, "approximateInvokeCount": json_values})
    },
)
bodies = (requests | events | records | json_values).map(json.dumps) | st.text()
attributes = st.dictionaries(
    st.sampled_from(
        ["Code", "ClientToken", "SourceId", "EventSource", "AcceptedAt", "Truncated", "ERROR_CODE"]
    ),
    st.sampled_from([{"StringValue": "eventbridge"}, {"StringValue": "Throttled"}, {"BinaryValue": b"x"}]),
)
system = st.fixed_dictionaries(
    {"SentTimestamp": st.just("1769860800000"), "ApproximateReceiveCount": st.just("3")},
    optional={
        "MessageGroupId": st.just("chat-1"),
        "DeadLetterQueueSourceArn": st.just(QUEUE_ARN),
    },
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no failure
@given(
    body=bodies,
    attributes=attributes,
    system=system,
    queue=st.sampled_from(list(DeadLetterQueue)),
    settle=st.booleans(),
    discard=st.booleans(),
)
def test_every_letter_is_decided_on_and_tells_no_secret(
    body: str,
    attributes: dict[str, dict[str, Any]],
    system: dict[str, str],
    queue: DeadLetterQueue,
    settle: bool,
    discard: bool,
) -> None:
    message = {"MessageId": "m-1", "Body": body, "Attributes": system, "MessageAttributes": attributes}

    letter = read_dead_letter(message, queue=queue, messages_queue_arn=QUEUE_ARN)

    # A ClientToken is an id, which is shown
    assert TOKEN not in repr(letter).replace(f"client_token={TOKEN!r}", "")
    if isinstance(letter, UnreadableDeadLetter):
        return
    rules = Rules(codes=None, codes_required=False, max_age=timedelta(days=1), settle=settle, discard=discard)
    decision = decide(letter, rules, START)
    assert TOKEN not in repr(decision)
    if isinstance(decision, Redrive):
        assert decision.message_group
        assert isinstance(letter.parsed.request, SendMessageRequest)
    if isinstance(decision, Settle):
        assert not letter.has_outcome
        assert settle
    if isinstance(decision, Discard):
        assert letter.has_outcome
        assert discard
