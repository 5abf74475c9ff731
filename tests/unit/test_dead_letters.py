"""Every kind of dead letter is read, and its redrive is decided."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from message_sender.request import SendMessageRequest, derive_client_token
from message_sender.result import Failed
from ops.dead_letters import DeadLetter, DeadLetterQueue, UnreadableError, read_dead_letter
from ops.redrive import Decision, Done, RedriveFilter, decide
from tests.support.dead_letters import (
    SOURCE_ID,
    put_copy,
    put_dead_event,
    put_failed_invocation,
    put_moved,
)
from tests.support.fakes import START, FakeClock
from tests.support.lambda_events import QUEUE_ARN, TEXT, TOKEN, bus_event, request
from tests.support.limits import TOO_LONG
from tests.support.sqs_client import FakeAwsClient, StoredMessage

if TYPE_CHECKING:
    from collections.abc import Callable

EVERYTHING = RedriveFilter()
FINALIZING = RedriveFilter(finalize=True)


@pytest.fixture
def client() -> FakeAwsClient:
    return FakeAwsClient(clock=FakeClock())


def read(message: StoredMessage, queue: DeadLetterQueue = DeadLetterQueue.DEAD_LETTER) -> DeadLetter:
    return read_dead_letter(message.received(), queue=queue, messages_queue_arn=QUEUE_ARN)


def kept_without_a_result(decision: Decision) -> bool:
    """Return whether a message that may have been delivered is kept, and finalizing would report it."""
    assert decision.reason == "it may have been delivered"
    return decision.done is Done.KEPT and isinstance(decision.outcome, Failed)


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
"""Attributes that a producer can set on a message."""
STRICT = RedriveFilter(max_age=timedelta(hours=1), finalize=True, delete=True)


@pytest.mark.parametrize(
    ("since_the_copy", "expected"),
    [(timedelta(hours=23, minutes=59), Done.REDRIVEN), (timedelta(hours=24, minutes=1), Done.KEPT)],
)
def test_age_of_a_copy_counts_from_when_sqs_accepted_it(
    client: FakeAwsClient, since_the_copy: timedelta, expected: Done
) -> None:
    dead_letter = read(put_copy(client, accepted=since_the_copy + timedelta(minutes=10)))

    assert decide(dead_letter, EVERYTHING, START).done is expected


@pytest.mark.parametrize("accepted_at", ["2001-01-01T00:00:00+00:00", "2026-01-31T12:00:00+00:00"])
@pytest.mark.parametrize(
    ("age", "expected"), [(timedelta(minutes=59), Done.REDRIVEN), (timedelta(hours=2), Done.DELETED)]
)
def test_forged_accepted_at_does_not_change_the_age_of_a_copy(
    client: FakeAwsClient, accepted_at: str, age: timedelta, expected: Done
) -> None:
    message = put_copy(client, accepted=age + timedelta(minutes=10), more={"AcceptedAt": accepted_at})

    decision = decide(read(message), STRICT, START)

    assert decision.done is expected
    assert decision.reason != "its connection token has expired"


@pytest.mark.parametrize(
    ("age", "expected"), [(timedelta(minutes=59), Done.REDRIVEN), (timedelta(hours=2), Done.FINALIZED)]
)
def test_forged_attributes_decide_nothing_about_a_message_that_sqs_moved(
    client: FakeAwsClient, age: timedelta, expected: Done
) -> None:
    message = put_moved(client, age=age, attributes=FORGED)
    dead_letter = read(message)
    message.attributes.clear()
    plain = read(message)

    assert replace(dead_letter, origin=plain.origin, parsed=plain.parsed) == plain
    assert dead_letter.client_token == plain.client_token
    assert dead_letter.origin.maybe_delivered
    assert decide(dead_letter, STRICT, START).done is expected
    keep = replace(EVERYTHING, keep_maybe_delivered=True)
    assert kept_without_a_result(decide(dead_letter, keep, START))


@pytest.mark.parametrize("time", ["2001-01-01T00:00:00Z", "2027-01-01T00:00:00Z"])
@pytest.mark.parametrize("put", [put_dead_event, put_failed_invocation])
@pytest.mark.parametrize(
    ("age", "expected"), [(timedelta(minutes=59), Done.REDRIVEN), (timedelta(hours=2), Done.FINALIZED)]
)
def test_forged_time_of_an_event_does_not_change_its_age(
    client: FakeAwsClient,
    time: str,
    put: Callable[..., StoredMessage],
    age: timedelta,
    expected: Done,
) -> None:
    dead_letter = read(put(client, bus_event(request()) | {"time": time}, age=age), DeadLetterQueue.EVENTS)

    assert decide(dead_letter, STRICT, START).done is expected
    assert dead_letter.origin.accepted_at <= START - age


def test_event_with_the_id_of_another_one_is_not_its_repeat(client: FakeAwsClient) -> None:
    event = bus_event(request())
    other = bus_event(request(Content="forged"))
    dead_letters = [
        read(put(client, each), DeadLetterQueue.EVENTS)
        for put, each in (
            (put_dead_event, event),
            (put_failed_invocation, event),
            (put_failed_invocation, other),
        )
    ]

    ids = [dead_letter.deduplication_id for dead_letter in dead_letters]
    assert ids[0] == ids[1] != ids[2]


def test_copy_without_its_origin_keeps_its_source_id(client: FakeAwsClient) -> None:
    dead_letter = read(put_copy(client, accepted=timedelta(hours=2), more={"AcceptedAt": "noon"}))

    assert dead_letter.origin.accepted_at == dead_letter.queued_at == START - timedelta(hours=1, minutes=50)
    assert dead_letter.origin.source_id == SOURCE_ID
    assert dead_letter.origin.maybe_delivered


@pytest.mark.parametrize(
    ("condition", "count", "code", "receives"),
    [("EventAgeExceeded", 0, "EventAgeExceeded", 1), ("", 3, "NoErrorCode", 3)],
)
def test_condition_of_a_failed_invocation_is_its_code(
    client: FakeAwsClient, condition: str, count: int, code: str, receives: int
) -> None:
    message = put_failed_invocation(client, bus_event(request()), condition=condition, count=count)

    dead_letter = read(message, DeadLetterQueue.EVENTS)

    assert (dead_letter.code, dead_letter.origin.receive_count) == (code, receives)


def test_client_token_is_derived_from_the_source_queue_or_else_the_messages_queue(
    client: FakeAwsClient,
) -> None:
    moved, from_elsewhere, unnamed = (put_moved(client) for _ in range(3))
    from_elsewhere.system["DeadLetterQueueSourceArn"] = "arn:of-another-queue"
    del unnamed.system["DeadLetterQueueSourceArn"]

    tokens = [read(message).client_token for message in (moved, from_elsewhere, unnamed)]

    assert tokens == [
        derive_client_token(QUEUE_ARN, moved.message_id),
        derive_client_token("arn:of-another-queue", from_elsewhere.message_id),
        derive_client_token(QUEUE_ARN, unnamed.message_id),
    ]


def test_message_that_the_function_did_not_copy_is_unreadable(client: FakeAwsClient) -> None:
    message = client.put("https://sqs/rejected", json.dumps(request()))

    with pytest.raises(UnreadableError, match=r"^not a copy that the function made$"):
        read(message, DeadLetterQueue.REJECTED)


def test_copy_without_a_client_token_is_unreadable(client: FakeAwsClient) -> None:
    message = put_copy(client, body="no JSON")
    del message.attributes["ClientToken"]

    with pytest.raises(UnreadableError, match=r"^has no ClientToken$"):
        read(message)


def test_truncated_copy_is_kept(client: FakeAwsClient) -> None:
    dead_letter = read(put_copy(client, more={"Truncated": "true"}))

    assert decide(dead_letter, FINALIZING, START) == Decision(
        Done.KEPT, "part of the message is missing: it was too large to copy"
    )


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        (None, "rejected messages are redriven only by a code that you choose (--code)"),
        ({"AccessDenied"}, "--code does not name its code"),
    ],
)
def test_rejected_message_is_kept_unless_its_code_is_named(
    client: FakeAwsClient, codes: set[str] | None, reason: str
) -> None:
    dead_letter = read(put_copy(client, queue_url="https://sqs/rejected"), DeadLetterQueue.REJECTED)
    redrive_filter = RedriveFilter(codes=codes, codes_required=True, finalize=True)

    assert decide(dead_letter, redrive_filter, START) == Decision(Done.KEPT, reason)


def test_text_that_only_the_stack_limits_is_redriven(client: FakeAwsClient) -> None:
    dead_letter = read(put_moved(client, Content=TOO_LONG))

    assert decide(dead_letter, FINALIZING, START).done is Done.REDRIVEN


def test_connection_token_of_a_dead_letter_older_than_a_day_has_expired(client: FakeAwsClient) -> None:
    old, young = (read(put_copy(client, accepted=timedelta(hours=hours))) for hours in (25, 23))
    redrive_filter = RedriveFilter(max_age=timedelta(days=2))

    decisions = [decide(dead_letter, redrive_filter, START) for dead_letter in (old, young)]

    assert decisions == [
        Decision(Done.REDRIVEN, "its connection token has expired"),
        Decision(Done.REDRIVEN, ""),
    ]


OLD = timedelta(hours=25)
EXPIRED = {"ExpiresAt": "2026-01-31T11:59:00Z"}


@pytest.mark.parametrize(
    ("accepted", "fields", "more", "reason"),
    [
        (OLD, {}, {}, "older than --max-age"),
        (timedelta(minutes=20), EXPIRED, {}, "Expired: ExpiresAt is past"),
        (timedelta(minutes=20), {"Content": ""}, {}, "InvalidRequest: "),
        (timedelta(minutes=20), {}, {"Truncated": "true"}, "part of the message is missing"),
    ],
)
@pytest.mark.parametrize("queue", [DeadLetterQueue.DEAD_LETTER, DeadLetterQueue.REJECTED])
@pytest.mark.parametrize("codes", [None, {"Throttled"}])
@pytest.mark.parametrize(("delete", "expected"), [(True, Done.DELETED), (False, Done.KEPT)])
def test_dead_letter_that_has_its_result_and_is_not_redriven_is_deleted_on_request(
    client: FakeAwsClient,
    accepted: timedelta,
    fields: dict[str, str],
    more: dict[str, str],
    reason: str,
    queue: DeadLetterQueue,
    codes: set[str] | None,
    delete: bool,
    expected: Done,
) -> None:
    dead_letter = read(put_copy(client, accepted=accepted, more=more, **fields), queue)
    redrive_filter = RedriveFilter(
        codes=codes,
        codes_required=queue is DeadLetterQueue.REJECTED,
        finalize=True,
        delete=delete,
    )

    decision = decide(dead_letter, redrive_filter, START)

    assert decision.done is expected
    assert decision.reason.startswith(reason)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [({"Throttled"}, Done.REDRIVEN), ({"AccessDenied"}, Done.KEPT), (None, Done.REDRIVEN)],
)
def test_dead_letter_that_can_be_redriven_is_not_deleted(
    client: FakeAwsClient, codes: set[str] | None, expected: Done
) -> None:
    dead_letter = read(put_copy(client))
    redrive_filter = RedriveFilter(codes=codes, codes_required=False, finalize=True, delete=True)

    assert decide(dead_letter, redrive_filter, START).done is expected


def test_dead_letter_with_another_code_is_not_deleted_however_old(client: FakeAwsClient) -> None:
    dead_letter = read(put_copy(client, accepted=OLD))
    redrive_filter = RedriveFilter(
        codes={"AccessDenied"}, codes_required=False, max_age=timedelta(), finalize=True, delete=True
    )

    assert decide(dead_letter, redrive_filter, START) == Decision(Done.KEPT, "--code does not name its code")


@pytest.mark.parametrize("body", [None, "no JSON", json.dumps(request(**EXPIRED))])
def test_dead_letter_without_a_result_is_never_deleted(client: FakeAwsClient, body: str | None) -> None:
    dead_letter = read(put_moved(client, body, age=OLD))
    redrive_filter = RedriveFilter(max_age=timedelta(), delete=True)

    decision = decide(dead_letter, redrive_filter, START)

    assert decision.done is Done.KEPT
    assert decision.outcome


@pytest.mark.parametrize(
    ("maybe_delivered", "keep", "expected"),
    [("true", True, Done.KEPT), ("true", False, Done.REDRIVEN), ("false", True, Done.REDRIVEN)],
)
def test_maybe_delivered_message_is_kept_on_request(
    client: FakeAwsClient, maybe_delivered: str, keep: bool, expected: Done
) -> None:
    dead_letter = read(put_copy(client, more={"MaybeDelivered": maybe_delivered}))
    redrive_filter = RedriveFilter(
        finalize=True,
        delete=True,
        keep_maybe_delivered=keep,
    )

    assert decide(dead_letter, redrive_filter, START).done is expected


@pytest.mark.parametrize(("finalize", "expected"), [(True, Done.FINALIZED), (False, Done.KEPT)])
def test_maybe_delivered_message_that_is_kept_can_be_finalized(
    client: FakeAwsClient, finalize: bool, expected: Done
) -> None:
    dead_letter = read(put_moved(client))
    redrive_filter = RedriveFilter(
        finalize=finalize,
        keep_maybe_delivered=True,
    )

    decision = decide(dead_letter, redrive_filter, START)

    assert decision.done is expected
    assert finalize or kept_without_a_result(decision)


@pytest.mark.parametrize(
    ("more", "resend", "expected"),
    [
        ({}, False, Done.REDRIVEN),
        ({"PartsDelivered": "2"}, False, Done.KEPT),
        ({"PartsDelivered": "2"}, True, Done.REDRIVEN),
    ],
)
def test_long_text_whose_first_parts_are_in_the_chat_is_kept_unless_asked_for(
    client: FakeAwsClient, more: dict[str, str], resend: bool, expected: Done
) -> None:
    dead_letter = read(put_copy(client, more={"MaybeDelivered": "true", **more}))

    decision = decide(dead_letter, replace(EVERYTHING, resend_parts=resend), START)

    assert decision.done is expected
    assert ("--resend-parts" in decision.reason) is (expected is Done.KEPT)


def test_moved_message_has_no_parts_delivered_whatever_its_producer_wrote(client: FakeAwsClient) -> None:
    forged = {"PartsDelivered": "9", "Code": "Throttled"}

    assert read(put_moved(client, attributes=forged)).parts_delivered == 0
    assert read(put_copy(client, more=forged)).parts_delivered == 9


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


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is not a failure
@given(
    body=bodies,
    attributes=attributes,
    system=system,
    queue=st.sampled_from(list(DeadLetterQueue)),
    finalize=st.booleans(),
    delete=st.booleans(),
)
def test_every_dead_letter_gets_a_decision_that_shows_no_secret(
    body: str,
    attributes: dict[str, dict[str, Any]],
    system: dict[str, str],
    queue: DeadLetterQueue,
    finalize: bool,
    delete: bool,
) -> None:
    message: Any = {"MessageId": "m-1", "Body": body, "Attributes": system, "MessageAttributes": attributes}

    found: DeadLetter | UnreadableError
    try:
        found = read_dead_letter(message, queue=queue, messages_queue_arn=QUEUE_ARN)
    except UnreadableError as error:
        found = error

    # A ClientToken is an id, and ids are shown
    assert TOKEN not in repr(found).replace(f"client_token={TOKEN!r}", "")
    if isinstance(found, UnreadableError):
        return
    redrive_filter = RedriveFilter(finalize=finalize, delete=delete)
    decision = decide(found, redrive_filter, START)
    assert TOKEN not in repr(decision)
    if decision.done is Done.REDRIVEN:
        assert found.chat
        assert isinstance(found.parsed.request, SendMessageRequest)
    if decision.done is Done.FINALIZED:
        assert not found.has_outcome
        assert finalize
    if decision.done is Done.DELETED:
        assert found.has_outcome
        assert delete
