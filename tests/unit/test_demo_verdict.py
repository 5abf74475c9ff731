"""What the demo accepts as a run that went well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from message_sender.event_sources.api_gateway import STATUS
from sandbox.api_client import HttpAnswer
from sandbox.demo.message_file import Chat, Expectation, Message, Route
from sandbox.demo.run import ChatRecord, Run, Sending
from sandbox.demo.verdict import HTTP_STATUS, judge
from sandbox.local_stack import Answer, QueueDepths
from sandbox.participant_service.transcript import ItemType, ParticipantRole, TranscriptItem
from sandbox.results import ResultEvent

SENT = Expectation("SENT")
TOO_LONG = Expectation("REJECTED", "InvalidRequest")
EMPTY = QueueDepths(messages=0, dead_letter=0, rejected=0, events_dead_letter=0)


def holding(**depths: int) -> QueueDepths:
    return replace(EMPTY, **depths)


ACCEPTED = HttpAnswer(status=202, payload={"MessageId": "m-1", "ContactId": "c-1"})
ANSWERED = Answer(payload={"Outcome": "SENT"}, error_type=None)


def message(
    number: int,
    *,
    route: Route = Route.QUEUE,
    expected: Expectation = SENT,
    content: str = "Hello",
    client_token: str | None = None,
) -> Message:
    request = {"ContentType": "text/plain", "Content": content}
    if client_token is not None:
        request["ClientToken"] = client_token
    return Message(number=number, chat="alice", route=route, request=request, expected=expected)


def result(outcome: Expectation, *, message_id: str | None = None) -> ResultEvent:
    return ResultEvent(
        detail_type="",
        outcome=outcome.outcome,
        event_source="sqs",
        source_id="",
        client_token="sms-1",
        contact_id="c-1",
        code=outcome.code,
        reason=None if outcome.code is None else "It breaks a rule",
        message_id=message_id,
        completed_at="2026-11-23T00:00:00.000Z",
        detail={"Outcome": outcome.outcome},
    )


def sent(line: Message, message_id: str, *, answer: Answer | HttpAnswer | None = None) -> Sending:
    return Sending(message=line, result=result(SENT, message_id=message_id), answer=answer)


def rejected(line: Message, *, answer: Answer | HttpAnswer | None = None) -> Sending:
    return Sending(message=line, result=result(TOO_LONG), answer=answer)


def shown(message_id: str, content: str = "Hello") -> TranscriptItem:
    return TranscriptItem(
        id=message_id,
        type=ItemType.MESSAGE,
        absolute_time="2026-11-23T00:00:00.000Z",
        content_type="text/plain",
        participant_id="",
        participant_role=ParticipantRole.CUSTOMER,
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
        (rejected(message(7)), "line 7: REJECTED InvalidRequest (It breaks a rule), where SENT was expected"),
        (
            Sending(message=message(7, expected=TOO_LONG), result=None, answer=None),
            "line 7: no result, where REJECTED InvalidRequest was expected",
        ),
        (
            Sending(message=message(7), result=None, answer=Answer(payload={}, error_type="TypeError")),
            "line 7: no result but TypeError, where SENT was expected",
        ),
        (
            Sending(
                message=message(7, route=Route.API),
                result=None,
                answer=HttpAnswer(status=400, payload={"Code": "InvalidRequest", "ClientToken": None}),
            ),
            "line 7: REFUSED InvalidRequest, where SENT was expected",
        ),
        (
            Sending(
                message=message(7, route=Route.API_SYNC),
                result=None,
                answer=HttpAnswer(status=429, payload={"Code": "Throttled", "ClientToken": "sms-1"}),
            ),
            "line 7: no result but 429 Throttled, where SENT was expected",
        ),
        (
            rejected(message(7, expected=Expectation("REJECTED", "Expired"))),
            "line 7: REJECTED InvalidRequest (It breaks a rule), where REJECTED Expired was expected",
        ),
    ],
)
def test_another_outcome_is_a_problem(sending: Sending, problem: str) -> None:
    assert problem in problems(sending, transcript=())


@pytest.mark.parametrize(
    ("first", "answer"),
    [(Route.QUEUE, None), (Route.API, ACCEPTED), (Route.TASK, ANSWERED)],
)
def test_the_queues_messages_out_of_order_are_a_problem(
    first: Route, answer: Answer | HttpAnswer | None
) -> None:
    found = problems(
        sent(message(1, route=first), "a", answer=answer),
        sent(message(2), "b"),
        transcript=(shown("b"), shown("a")),
    )

    assert found == ["chat alice: not in the order of the file"]


@pytest.mark.parametrize(
    ("route", "answer"),
    [
        (Route.DIRECT, Answer(payload={"Outcome": "SENT"}, error_type=None)),
        (Route.EVENT, None),
        (Route.API_SYNC, HttpAnswer(status=200, payload={"Outcome": "SENT"})),
    ],
)
def test_messages_that_do_not_come_by_the_queue_have_no_order(
    route: Route, answer: Answer | HttpAnswer | None
) -> None:
    found = problems(
        sent(message(1, route=route), "a", answer=answer),
        sent(message(2), "b"),
        transcript=(shown("b"), shown("a")),
    )

    assert found == []


def test_a_message_that_came_in_another_way_as_well_has_no_order() -> None:
    found = problems(
        sent(message(1), "a"),
        sent(message(2, client_token="sms-1"), "b"),
        sent(message(3, client_token="sms-1", route=Route.EVENT), "b"),
        transcript=(shown("b"), shown("a")),
    )

    assert found == []


def test_an_api_request_for_another_contact_is_in_another_group() -> None:
    elsewhere = message(1, route=Route.API)
    elsewhere = replace(elsewhere, request={**elsewhere.request, "ContactId": "c-2"})

    found = problems(
        sent(elsewhere, "a", answer=ACCEPTED), sent(message(2), "b"), transcript=(shown("b"), shown("a"))
    )

    assert found == []


def test_a_message_that_is_there_twice_is_a_problem() -> None:
    found = problems(sent(message(1), "a"), transcript=(shown("a"), shown("a")))

    assert found == ["chat alice: a is there 2 times"]


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


def test_another_text_than_the_one_sent_is_a_problem() -> None:
    found = problems(sent(message(1), "a"), transcript=(shown("a", "Good bye"),))

    assert found == ["line 1: not the same text in chat alice"]


def test_a_message_out_of_nowhere_is_a_problem() -> None:
    assert problems(transcript=(shown("z"),)) == ["chat alice: z comes from no line of the file"]


@pytest.mark.parametrize(
    ("queues", "problem"),
    [
        (holding(messages=1), "message queue: holds 1, not 0"),
        (holding(dead_letter=1), "dead-letter queue: holds 1, not 0"),
        (holding(rejected=1), "rejected queue: holds 1, not 0"),
        (holding(events_dead_letter=1), "events dead-letter queue: holds 1, not 0"),
    ],
)
def test_a_queue_that_holds_what_it_should_not_is_a_problem(queues: QueueDepths, problem: str) -> None:
    assert problems(transcript=(), queues=queues) == [problem]


@pytest.mark.parametrize(
    ("route", "answer"),
    [
        (Route.QUEUE, None),
        (Route.API, ACCEPTED),
        (Route.EVENT, None),
        (Route.TASK, Answer(payload={}, error_type="InvalidRequestError")),
    ],
)
def test_a_message_that_was_rejected_by_way_of_queue_or_bus_has_a_copy(
    route: Route, answer: Answer | HttpAnswer | None
) -> None:
    line = message(1, route=route, expected=TOO_LONG)

    assert problems(rejected(line, answer=answer), transcript=(), queues=holding(rejected=1)) == []


@pytest.mark.parametrize("route", [Route.DIRECT, Route.WORKFLOW])
@pytest.mark.parametrize(
    ("answer", "has_error_types", "agrees"),
    [
        ({"error_type": "InvalidRequestError"}, True, True),
        ({"error_type": "ExpiredError"}, True, False),
        ({"error_type": "Runtime.HandlerError"}, True, False),
        ({"error_type": "Runtime.HandlerError"}, False, True),
        ({"error_type": None}, False, False),
    ],
)
def test_an_error_is_answered_under_the_name_of_its_code(
    route: Route, answer: dict[str, Any], has_error_types: bool, agrees: bool
) -> None:
    line = message(1, route=route, expected=TOO_LONG)

    found = problems(
        rejected(line, answer=Answer(payload={}, **answer)), transcript=(), has_error_types=has_error_types
    )

    assert (found == []) is agrees


def test_an_answer_that_is_not_the_published_result_is_a_problem() -> None:
    answer = Answer(payload={"Outcome": "SENT", "Version": "2"}, error_type=None)

    found = problems(sent(message(1, route=Route.DIRECT), "a", answer=answer), transcript=(shown("a"),))

    assert found == ["line 1: answered SENT, published SENT"]


@pytest.mark.parametrize(
    ("status", "payload", "agrees"),
    [
        (400, {}, True),
        (422, {}, False),
        (400, {"Code": "Expired"}, False),
        (400, {"Reason": "Another"}, False),
        (400, {"ClientToken": None}, False),
    ],
)
def test_an_error_of_the_api_has_the_status_and_the_words_of_the_result(
    status: int, payload: dict[str, Any], agrees: bool
) -> None:
    error = {"Code": "InvalidRequest", "Reason": "It breaks a rule", "ClientToken": "sms-1", **payload}
    line = message(1, route=Route.API_SYNC, expected=TOO_LONG)

    found = problems(rejected(line, answer=HttpAnswer(status=status, payload=error)), transcript=())

    assert (found == []) is agrees


def test_the_statuses_are_those_of_the_function() -> None:
    assert {f"{code}Error": status for code, status in HTTP_STATUS.items()} == {
        error.__name__: status for error, status in STATUS.items()
    }


@pytest.mark.parametrize("route", [Route.DIRECT, Route.WORKFLOW, Route.TASK, Route.API, Route.API_SYNC])
def test_a_caller_without_an_answer_is_a_problem(route: Route) -> None:
    found = problems(sent(message(1, route=route), "a"), transcript=(shown("a"),))

    assert found == ["line 1: answered nothing, published SENT"]


def test_what_the_api_refuses_may_be_expected() -> None:
    line = message(1, route=Route.API, expected=Expectation("REFUSED", "InvalidRequest"))
    answer = HttpAnswer(status=400, payload={"Code": "InvalidRequest", "ClientToken": None})

    assert problems(Sending(message=line, result=None, answer=answer), transcript=()) == []
