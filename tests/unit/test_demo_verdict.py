"""How the demo judges a run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from infra.producer import Answer, EventSource, NotAcceptedError, NotSentError, ProducerError
from sandbox.demo.message_file import TASK, Chat, Expectation, Message
from sandbox.demo.run import ChatRecord, Run, Sending
from sandbox.demo.verdict import judge
from sandbox.local_stack import QueueDepths
from sandbox.participant_service.transcript import TranscriptItem
from tests.support.result_events import published_result

if TYPE_CHECKING:
    from infra.results import MessageResult

SENT = Expectation("SENT")
TOO_LONG = Expectation("REJECTED", "InvalidRequest")
EMPTY = QueueDepths(messages=0, dead_letter=0, rejected=0, events_dead_letter=0)


def holding(**depths: int) -> QueueDepths:
    return replace(EMPTY, **depths)


ACCEPTED = Answer(source_id="m-1")


def message(
    number: int,
    *,
    through: str = EventSource.QUEUE,
    expected: Expectation = SENT,
    content: str = "Hello",
    client_token: str | None = None,
) -> Message:
    request = {"ContentType": "text/plain", "Content": content}
    if client_token is not None:
        request["ClientToken"] = client_token
    return Message(number=number, chat="alice", through=through, request=request, expected=expected)


def result(outcome: Expectation, *, message_id: str | None = None) -> MessageResult:
    result = published_result(outcome.outcome, code=outcome.code, ClientToken="sms-1")
    return replace(result, message_id=message_id)


def answered(message_id: str) -> Answer:
    return Answer(source_id="m-1", result=result(SENT, message_id=message_id))


def sending_of(line: Message, answer: Answer | ProducerError, result: MessageResult | None) -> Sending:
    return Sending(message=line, answer=answer, result=result, looked_up=result)


def sent(line: Message, message_id: str, *, answer: Answer | ProducerError = ACCEPTED) -> Sending:
    return sending_of(line, answer, result(SENT, message_id=message_id))


def rejected(line: Message, *, answer: Answer | ProducerError = ACCEPTED) -> Sending:
    return sending_of(line, answer, result(TOO_LONG))


def not_sent(code: str, *, reason: str | None = None, client_token: str | None = None) -> NotSentError:
    return NotSentError(code, reason=reason, client_token=client_token)


REFUSED = NotAcceptedError("POST /messages", "InvalidRequest", status=400, reason="The body is not valid")


def shown(message_id: str, content: str = "Hello") -> TranscriptItem:
    return TranscriptItem(
        id=message_id,
        type="MESSAGE",
        absolute_time="2026-11-23T00:00:00.000Z",
        content_type="text/plain",
        participant_id="",
        participant_role="CUSTOMER",
        display_name="Customer",
        content=content,
    )


def problems(
    *sendings: Sending,
    transcript: tuple[TranscriptItem, ...],
    queues: QueueDepths = EMPTY,
    has_error_types: bool = True,
) -> list[str]:
    record = ChatRecord(chat=Chat(name="alice"), contact_id="c-1", connections=1, transcript=transcript)
    run = Run(sendings=sendings, chats=[record], queues=queues, has_error_types=has_error_types)
    return [problem for check in judge(run) for problem in check.problems]


def test_a_run_as_expected_has_no_problem() -> None:
    found = problems(
        sent(message(1), "a"),
        rejected(message(2, expected=TOO_LONG)),
        sent(message(3, client_token="sms-1"), "b"),
        sent(message(4, client_token="sms-1"), "b"),
        transcript=(shown("a"), shown("b")),
        queues=holding(rejected=1),
    )

    assert found == []


@pytest.mark.parametrize(
    ("sending", "problem"),
    [
        (rejected(message(7)), "line 7: expected SENT, got REJECTED InvalidRequest (ExpiresAt is past)"),
        (
            sending_of(message(7, expected=TOO_LONG), ACCEPTED, None),
            "line 7: expected REJECTED InvalidRequest, got no result, answered nothing yet",
        ),
        (
            sending_of(message(7), not_sent("TypeError"), None),
            "line 7: expected SENT, got no result, answered TypeError",
        ),
        (
            sending_of(message(7, through=EventSource.API), REFUSED, None),
            "line 7: expected SENT, got REFUSED InvalidRequest",
        ),
        (
            sending_of(message(7, through=EventSource.API_SYNC), not_sent("Throttled"), None),
            "line 7: expected SENT, got no result, answered Throttled",
        ),
        (
            rejected(message(7, expected=Expectation("REJECTED", "Expired"))),
            "line 7: expected REJECTED Expired, got REJECTED InvalidRequest (ExpiresAt is past)",
        ),
    ],
)
def test_another_outcome_is_a_problem(sending: Sending, problem: str) -> None:
    assert problem in problems(sending, transcript=())


@pytest.mark.parametrize(
    ("first", "answer"),
    [(EventSource.QUEUE, ACCEPTED), (EventSource.API, ACCEPTED), (TASK, answered("a"))],
)
def test_messages_of_the_queue_out_of_order_are_a_problem(first: str, answer: Answer) -> None:
    found = problems(
        sent(message(1, through=first), "a", answer=answer),
        sent(message(2), "b"),
        transcript=(shown("b"), shown("a")),
    )

    assert found == ["chat alice: not in the order of the file"]


@pytest.mark.parametrize(
    ("through", "answer"),
    [
        (EventSource.DIRECT, answered("a")),
        (EventSource.EVENT, ACCEPTED),
        (EventSource.API_SYNC, answered("a")),
    ],
)
def test_messages_by_other_event_sources_have_no_order(through: EventSource, answer: Answer) -> None:
    found = problems(
        sent(message(1, through=through), "a", answer=answer),
        sent(message(2), "b"),
        transcript=(shown("b"), shown("a")),
    )

    assert found == []


def test_a_message_that_was_also_sent_as_an_event_has_no_order() -> None:
    found = problems(
        sent(message(1), "a"),
        sent(message(2, client_token="sms-1"), "b"),
        sent(message(3, client_token="sms-1", through=EventSource.EVENT), "b"),
        transcript=(shown("b"), shown("a")),
    )

    assert found == []


def test_an_api_request_for_another_contact_is_in_another_group() -> None:
    elsewhere = message(1, through=EventSource.API)
    elsewhere = replace(elsewhere, request={**elsewhere.request, "ContactId": "c-2"})

    found = problems(sent(elsewhere, "a"), sent(message(2), "b"), transcript=(shown("b"), shown("a")))

    assert found == []


def test_a_message_that_appears_twice_is_a_problem() -> None:
    found = problems(sent(message(1), "a"), transcript=(shown("a"), shown("a")))

    assert found == ["chat alice: a appears 2 times"]


def test_one_client_token_sent_as_two_messages_is_a_problem() -> None:
    found = problems(
        sent(message(1, client_token="sms-1"), "a"),
        sent(message(2, client_token="sms-1"), "b"),
        transcript=(shown("a"), shown("b")),
    )

    assert found == ["chat alice: sms-1 was sent as 2 messages"]


def test_two_messages_that_became_one_are_a_problem() -> None:
    found = problems(sent(message(1), "a"), sent(message(2), "a"), transcript=(shown("a"),))

    assert found == ["lines 1 and 2: two messages became one"]


def test_a_sent_message_that_is_not_shown_is_a_problem() -> None:
    assert problems(sent(message(1), "a"), transcript=()) == ["line 1: sent, but not in chat alice"]


def test_a_changed_text_is_a_problem() -> None:
    found = problems(sent(message(1), "a"), transcript=(shown("a", "Good bye"),))

    assert found == ["line 1: not the same text in chat alice"]


def sent_in_parts(line: Message, *message_ids: str) -> Sending:
    detail = {"Outcome": "SENT", "Message": {"Parts": [{"Id": message_id} for message_id in message_ids]}}
    return sending_of(line, ACCEPTED, replace(result(SENT, message_id=message_ids[-1]), detail=detail))


@pytest.mark.parametrize(
    ("transcript", "found"),
    [
        ((("a", "One."), ("b", "Two."), ("c", "next")), []),
        ((("b", "Two."), ("a", "One."), ("c", "next")), ["not one after another"]),
        ((("a", "One."), ("c", "next"), ("b", "Two.")), ["not one after another"]),
        ((("a", "One."), ("b", "Tw."), ("c", "next")), ["not the same text"]),
        ((("a", "One."), ("c", "next")), ["sent, but not in chat"]),
        ((("a", "One."), ("b", "Two."), ("c", "next"), ("d", "x")), ["not from a line"]),
    ],
)
def test_the_parts_of_a_long_text_appear_one_after_another(
    transcript: tuple[tuple[str, str], ...], found: list[str]
) -> None:
    long = sent_in_parts(message(1, content="One.\n\nTwo."), "a", "b")
    other = sent(message(2, content="next"), "c")

    seen = problems(long, other, transcript=tuple(shown(*item) for item in transcript))

    assert [words for words in found if not any(words in problem for problem in seen)] == []
    assert bool(seen) is bool(found)


def test_a_message_from_no_line_is_a_problem() -> None:
    assert problems(transcript=(shown("z"),)) == ["chat alice: z is not from a line of the file"]


@pytest.mark.parametrize(
    ("queues", "problem"),
    [
        (holding(messages=1), "messages queue: has 1 messages, not 0"),
        (holding(dead_letter=1), "dead-letter queue: has 1 messages, not 0"),
        (holding(rejected=1), "rejected queue: has 1 messages, not 0"),
        (holding(events_dead_letter=1), "events-dead-letter queue: has 1 messages, not 0"),
    ],
)
def test_an_unexpected_message_in_a_queue_is_a_problem(queues: QueueDepths, problem: str) -> None:
    assert problems(transcript=(), queues=queues) == [problem]


@pytest.mark.parametrize(
    ("through", "answer"),
    [
        (EventSource.QUEUE, ACCEPTED),
        (EventSource.API, ACCEPTED),
        (EventSource.EVENT, ACCEPTED),
        (TASK, not_sent("InvalidRequest")),
    ],
)
def test_a_message_that_was_rejected_by_queue_or_bus_has_a_copy(
    through: str, answer: Answer | ProducerError
) -> None:
    line = message(1, through=through, expected=TOO_LONG)

    assert problems(rejected(line, answer=answer), transcript=(), queues=holding(rejected=1)) == []


@pytest.mark.parametrize("through", [EventSource.DIRECT, EventSource.WORKFLOW])
@pytest.mark.parametrize(
    ("answer", "has_error_types", "agrees"),
    [
        (not_sent("InvalidRequest"), True, True),
        (not_sent("Expired"), True, False),
        (not_sent("Runtime.Handler"), True, False),
        (not_sent("Runtime.Handler"), False, True),
        (answered("a"), False, False),
    ],
)
def test_an_error_has_the_code_of_the_result(
    through: EventSource, answer: Answer | ProducerError, has_error_types: bool, agrees: bool
) -> None:
    line = message(1, through=through, expected=TOO_LONG)

    found = problems(rejected(line, answer=answer), transcript=(), has_error_types=has_error_types)

    assert (found == []) is agrees


def test_an_answer_that_is_not_the_published_result_is_a_problem() -> None:
    other = replace(result(SENT, message_id="a"), detail={"Outcome": "SENT", "Version": "2"})
    sending = sent(message(1, through=EventSource.DIRECT), "a", answer=Answer(source_id="m-1", result=other))

    found = problems(sending, transcript=(shown("a"),))

    assert found == ["line 1: answered SENT, published SENT"]


@pytest.mark.parametrize(
    ("error", "agrees"),
    [
        ({}, True),
        ({"code": "Expired"}, False),
        ({"reason": "Another"}, False),
        ({"client_token": "sms-2"}, False),
    ],
)
def test_an_error_of_the_api_has_the_fields_of_the_result(error: dict[str, Any], agrees: bool) -> None:
    fields = {"reason": "ExpiresAt is past", "client_token": "sms-1", **error}
    answer = not_sent(fields.pop("code", "InvalidRequest"), **fields)
    line = message(1, through=EventSource.API_SYNC, expected=TOO_LONG)

    found = problems(rejected(line, answer=answer), transcript=())

    assert (found == []) is agrees


@pytest.mark.parametrize("through", [EventSource.DIRECT, EventSource.WORKFLOW, TASK, EventSource.API_SYNC])
def test_a_caller_who_waited_without_an_outcome_is_a_problem(through: str) -> None:
    found = problems(sent(message(1, through=through), "a"), transcript=(shown("a"),))

    assert found == ["line 1: answered nothing yet, published SENT"]


def test_a_refusal_of_the_api_can_be_expected() -> None:
    line = message(1, through=EventSource.API, expected=Expectation("REFUSED", "InvalidRequest"))

    assert problems(sending_of(line, REFUSED, None), transcript=()) == []


@pytest.mark.parametrize(
    ("looked_up", "found"), [(None, "nothing"), (result(TOO_LONG), "REJECTED"), (result(SENT), "SENT")]
)
def test_an_outcome_that_is_not_looked_up_as_published_is_a_problem(
    looked_up: MessageResult | None, found: str
) -> None:
    sending = replace(sent(message(1), "a"), looked_up=looked_up)

    assert problems(sending, transcript=(shown("a"),)) == [f"line 1: published SENT, looked up {found}"]
