"""Each check fails on a run that passed and was then changed by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.simulation.accepted import Reply, Route
from tests.simulation.contract import RESULT_SOURCE
from tests.simulation.invariants import CHECKS, Observations, violations, wrong_cut
from tests.simulation.simulation import Setup, Simulation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tests.simulation.accepted import Accepted
    from tests.simulation.models.sqs import Message

BROKEN: list[tuple[str, Callable[[Observations], Observations]]] = [
    ("an outcome", lambda seen: replace(seen, published=[])),
    ("one outcome", lambda seen: replace(seen, published=[*seen.published, other(seen.published[0])])),
    ("results", lambda seen: replace(seen, published=[*seen.published, seen.published[0] | {"Extra": 1}])),
    ("results", lambda seen: replace(seen, published=[{**seen.published[0], "ClientToken": "unknown"}])),
    ("fitting outcomes", lambda seen: replace(seen, published=[other(r) for r in seen.published])),
    ("once", lambda seen: with_transcript(seen, lambda numbers: [*numbers, numbers[0]])),
    ("once", lambda seen: with_transcript(seen, lambda numbers: numbers[1:])),
    ("order", lambda seen: with_transcript(seen, lambda numbers: numbers[::-1])),
    ("parts", lambda seen: with_lines(seen, lambda lines: lines[:-1])),
    ("parts", lambda seen: with_lines(seen, lambda lines: [*lines, lines[-1]])),
    ("parts", lambda seen: with_lines(seen, lambda lines: [lines[1], lines[0], *lines[2:]])),
    ("parts", lambda seen: with_message_between(seen, 1)),
    ("parts delivered", lambda seen: with_parts_delivered(seen, maybe_delivered=False)),
    ("parts delivered", lambda seen: with_parts_delivered(replace(seen, lines={}))),
    ("parts delivered", lambda seen: with_parts_delivered(seen, code="Expired")),
    ("only sent messages", lambda seen: with_transcript(seen, lambda numbers: [*numbers, rejected(seen)])),
    ("rejected", lambda seen: replace(seen, rejected=[])),
    ("rejected", lambda seen: replace(seen, rejected=[*seen.rejected, copy(seen.rejected[0], "own")])),
    ("dead letters", lambda seen: replace(seen, dead_letters=[copy(seen.rejected[0], "own")])),
    ("copies", lambda seen: replace(seen, rejected=[replace(seen.rejected[0], body='{"Content": "x"}')])),
    ("empty queue", lambda seen: replace(seen, messages=seen.rejected)),
    ("moved by SQS", lambda seen: replace(seen, all_dead_letters=[moved(seen)])),
    (
        "an outcome",
        lambda seen: replace(seen, published=[], dead_letters_handled=True, dead_letters=[moved(seen)]),
    ),
    ("empty queue", lambda seen: replace(seen, dead_letters_handled=True, dead_letters=[moved(seen)])),
    ("empty queue", lambda seen: replace(seen, unpublished=seen.rejected)),
    ("unpublished results", lambda seen: replace(seen, published_at=[(0.0, other(seen.published[0]))])),
    ("tasks", lambda seen: with_wait(seen, answer=None, timed_out_at=900.0)),
    ("tasks", lambda seen: with_wait(seen, answer=None, timed_out_at=900.0, calls_lost=1)),
    ("task results", lambda seen: with_wait(seen, answered_at=0.0)),
    ("task results", lambda seen: replace(seen, published_at=[])),
    ("task results", lambda seen: with_wait(seen, answer=("SendTaskSuccess", {"output": "{}"}))),
    (
        "task results",
        lambda seen: with_wait(seen, answer=("SendTaskFailure", {"error": "ExpiredError", "cause": "x"})),
    ),
    ("answers", lambda seen: with_answer(seen, "InternalError")),
    ("answers", lambda seen: with_answer(seen, "AccessDeniedError")),
    ("lookup", lambda seen: replace(seen, stored={})),
    ("lookup", lambda seen: replace(seen, published=[*seen.published, later(seen.published[0])])),
    ("texts", lambda seen: with_item(seen, content="confidential-1 where is my parcel")),
    ("texts", lambda seen: with_item(seen, content_type="text/markdown")),
    ("texts", lambda seen: with_item(seen, participant_id="another")),
    ("texts", lambda seen: with_item(seen, number=0)),
    ("texts", lambda seen: with_part(seen, lambda text: text.replace("word", "words", 1))),
    ("texts", lambda seen: with_part(seen, lambda text: text[:-1])),
    ("texts", lambda seen: with_part(seen, lambda text: text[1:])),
    ("texts", lambda seen: with_part(seen, lambda _: "")),
    ("client tokens", lambda seen: replace(seen, calls={**seen.calls, "another": 1})),
    ("client tokens", lambda seen: replace(seen, calls={token_of(seen, 99): 1})),
    ("result fields", lambda seen: with_result(seen, Metadata={"order": "1"})),
    ("result fields", lambda seen: with_result(seen, ContactId=None)),
    ("result fields", lambda seen: with_result(seen, ContentType="application/json")),
    ("result fields", lambda seen: with_result(seen, SourceId="another")),
    ("result fields", lambda seen: with_result(seen, EventSource="direct")),
    ("result fields", lambda seen: with_result(seen, AcceptedAt="2026-01-31T12:00:00.002Z")),
    ("result fields", lambda seen: with_result(seen, AcceptedAt="2026-01-31T11:59:59.000Z")),
    ("result fields", lambda seen: with_result(seen, CompletedAt="2026-01-31T11:59:59.000Z")),
    ("result fields", lambda seen: with_result(seen, ReceiveCount=2)),
    ("result fields", lambda seen: with_result(seen, Error=error("Throttled"))),
    ("result fields", lambda seen: replace(seen, published=[failed(r) for r in seen.published])),
    ("result fields", lambda seen: replace(seen, published_at=[(0.0, seen.published[0])])),
    (
        "result fields",
        lambda seen: replace(seen, envelopes=[("my.backend", "Message Sent", seen.published[0])]),
    ),
    (
        "result fields",
        lambda seen: replace(seen, envelopes=[(RESULT_SOURCE, "Message Failed", seen.published[0])]),
    ),
    ("message ids", lambda seen: with_message(seen, Id="another")),
    ("message ids", lambda seen: with_message(seen, Id=None)),
    ("message ids", lambda seen: with_message(seen, Id=seen.results["called"][0]["Message"]["Id"])),
    ("message ids", lambda seen: with_message(seen, AbsoluteTime=None)),
    ("message ids", lambda seen: with_message(seen, Parts=[{"Id": "x", "AbsoluteTime": "x"}])),
    ("attempts", lambda seen: with_result(seen, Attempts=0)),
    ("attempts", lambda seen: with_result(seen, Attempts=4)),
    ("attempts", lambda seen: replace(seen, calls={token_of(seen, 1): 2})),
    ("doubts", lambda seen: with_error(seen, MaybeDelivered=True)),
    ("doubts", lambda seen: with_error(seen, Code="ServiceUnavailable")),
    ("doubts", lambda seen: with_error(seen, Code="AccessDenied", MaybeDelivered=True)),
    ("doubts", lambda seen: with_error(seen, Code="Throttled", PartsDelivered=1)),
    ("doubts", lambda seen: with_result(seen, Outcome="FAILED", Error=error("Throttled"), ReceiveCount=2)),
    ("expiry", lambda seen: expiring(seen, timedelta(seconds=-20))),
    ("expiry", lambda seen: with_error(expiring(seen, timedelta(hours=1)), Code="Expired")),
    ("expiry", lambda seen: with_error(seen, Code="Expired")),
    ("copied requests", lambda seen: with_copy(seen, body='{"Content": "x"}')),
    ("copied requests", lambda seen: with_copy(seen, attributes={"MaybeDelivered": "true"})),
    ("copied requests", lambda seen: with_copy(seen, attributes={"PartsDelivered": "1"})),
    ("copied requests", lambda seen: with_copy(seen, attributes={"SourceId": "another"})),
    ("copied requests", lambda seen: with_copy(seen, attributes={"EventSource": "eventbridge"})),
    ("copied requests", lambda seen: with_copy(seen, attributes={"MessageGroupId": "another"})),
    ("copied requests", lambda seen: with_copy(seen, attributes={"Code": "Throttled"})),
    (
        "copied requests",
        lambda seen: with_copy(seen, attributes={"AcceptedAt": "2026-01-31T13:00:00+00:00"}),
    ),
    ("returned results", lambda seen: with_reply(seen, Attempts=2)),
    ("returned results", lambda seen: with_reply(seen, ClientToken="another")),
    ("returned results", lambda seen: with_reply(seen, Extra=1)),
    ("returned results", lambda seen: replace(seen, published=[])),
    (
        "returned results",
        lambda seen: with_replies(seen, Reply("x", "AccessDeniedError", 403, refusal("AccessDenied"))),
    ),
    (
        "returned results",
        lambda seen: with_replies(
            seen, Reply("x", "AccessDeniedError", 422, refusal("AccessDenied") | {"Content": "x"})
        ),
    ),
    ("secrets", lambda seen: replace(seen, leaks=["confidential-1"])),
    ("deadline", lambda seen: replace(seen, timed_out=1)),
]


@pytest.fixture(scope="module")
def seen() -> Observations:
    """Return a run: four sent messages, one with a task, a rejected one, a caller's and a long one."""
    simulation = Simulation(Setup(outcome_lookup=True))
    producers = simulation.producers
    chat = producers.start_chat()
    for _ in range(3):
        producers.send(chat)
    producers.send_and_wait(chat)
    body = producers.fields(chat, 99) | {"Content": ""}
    producers.submit(body, chat, Route.QUEUE, 99, code="InvalidRequest")
    producers.send(chat, Route.DIRECT, ClientToken="called")
    producers.send_long(producers.start_chat())
    simulation.run()
    return Observations.of(simulation)


def test_a_run_without_faults_passes(seen: Observations) -> None:
    assert violations(seen) == {}


@pytest.mark.parametrize(("check", "broken"), BROKEN, ids=[check for check, _ in BROKEN])
def test_a_check_fails(
    seen: Observations, check: str, broken: Callable[[Observations], Observations]
) -> None:
    assert CHECKS[check](broken(seen)) != []


def test_every_check_has_a_test() -> None:
    assert {check for check, _ in BROKEN} == set(CHECKS)


def with_lines(
    seen: Observations, change: Callable[[Sequence[tuple[int, int]]], Sequence[tuple[int, int]]]
) -> Observations:
    """Change the lines of the long text."""
    *_, contact_id = seen.lines
    return replace(seen, lines={**seen.lines, contact_id: change(seen.lines[contact_id])})


def with_message_between(seen: Observations, number: int) -> Observations:
    """Let a message be of the group of the long text, and appear after its first part."""
    long = next(message for message in seen.accepted.values() if message.lines)
    [of_long] = long.sendings.values()
    token = token_of(seen, number)
    first = seen.accepted[token]
    sendings = {i: replace(sending, group=of_long.group) for i, sending in first.sendings.items()}
    together = {**seen.accepted, token: replace(first, chat=long.chat, sendings=sendings)}
    return with_lines(replace(seen, accepted=together), lambda lines: [lines[0], (number, 0), *lines[1:]])


def with_parts_delivered(
    seen: Observations, *, maybe_delivered: bool = True, code: str = "Throttled"
) -> Observations:
    """Let the first message fail after a part."""
    result = failed(seen.published[0])
    error = {**result["Error"], "Code": code, "MaybeDelivered": maybe_delivered, "PartsDelivered": 1}
    return replace(seen, published=[{**result, "Error": error}])


def test_parts_delivered_that_appeared_are_fine(seen: Observations) -> None:
    assert CHECKS["parts delivered"](with_parts_delivered(seen)) == []


def test_a_fault_explains_a_second_outcome_and_a_late_answer(seen: Observations) -> None:
    tokens = frozenset(seen.accepted)
    contradiction = replace(seen, published=[*seen.published, failed(seen.published[0])], disturbed=tokens)
    by_sqs = replace(seen, all_dead_letters=[moved(seen)], disturbed=tokens)

    assert CHECKS["one outcome"](contradiction) == []
    assert CHECKS["moved by SQS"](by_sqs) == []
    for fault in ({"calls_lost": 2}, {"timed_out_at": 1.0}, {}):
        wait = with_wait(seen, **{"answer": None, "timed_out_at": 900.0} | fault)
        assert CHECKS["tasks"](wait if fault else replace(wait, disturbed=tokens)) == []
        assert CHECKS["tasks"](wait if fault else replace(wait, not_safe=tokens)) == []


def test_a_message_may_appear_at_any_of_its_positions_and_no_earlier(seen: Observations) -> None:
    first, third = token_of(seen, 1), token_of(seen, 3)
    late = with_transcript(seen, lambda _: [2, 1, 3, 4])
    early = with_transcript(seen, lambda _: [3, 1, 2, 4])
    first_again, third_again = (
        {**seen.positions, token: [*seen.positions[token], 100]} for token in (first, third)
    )

    for order in (late, early):
        assert CHECKS["order"](order) != []
    assert CHECKS["order"](replace(late, positions=first_again)) == []
    assert CHECKS["order"](replace(early, positions=third_again)) != []


def test_a_message_redelivered_after_it_failed_may_be_late_if_a_fault_explains_it(seen: Observations) -> None:
    first = token_of(seen, 1)
    late = with_transcript(seen, lambda _: [2, 1, 3, 4])
    failed_first = replace(late, all_dead_letters=[copy(seen.rejected[0], first)])

    assert CHECKS["order"](failed_first) != []
    assert CHECKS["order"](replace(failed_first, disturbed=frozenset([first]))) == []
    assert CHECKS["order"](replace(failed_first, not_safe=frozenset([first]))) == []
    assert CHECKS["order"](replace(late, disturbed=frozenset([first]))) != []


def test_a_message_whose_event_is_repeated_may_be_late(seen: Observations) -> None:
    first = token_of(seen, 1)
    late = with_transcript(seen, lambda _: [2, 1, 3, 4])
    [sending] = seen.accepted[first].sendings.values()
    event = replace(sending, route=Route.BUS)

    for sendings, is_late in (
        ({"a": event}, True),
        ({"a": event, "b": event}, False),
        ({"a": sending, "b": sending}, True),
    ):
        message = replace(seen.accepted[first], sendings=sendings)
        changed = replace(late, accepted={**seen.accepted, first: message})
        assert bool(CHECKS["order"](changed)) is is_late


def test_sent_wins_over_other_outcomes(seen: Observations) -> None:
    token = seen.published[0]["ClientToken"]

    for published in (
        [*seen.published, failed(seen.published[0])],
        [failed(seen.published[0]), *seen.published],
    ):
        assert replace(seen, published=published).outcome(token) == "SENT"


def error(code: str) -> dict[str, Any]:
    return {"Code": code, "Reason": "x", "HttpStatus": None, "RequestId": None, "MaybeDelivered": False}


def failed(result: dict[str, Any]) -> dict[str, Any]:
    return result | {"Outcome": "FAILED", "Message": None, "Error": error("Throttled")}


def later(result: dict[str, Any]) -> dict[str, Any]:
    return result | {"CompletedAt": "2030-01-01T00:00:00.000Z"}


def test_only_a_message_older_than_the_maximum_age_may_expire_without_expiry(seen: Observations) -> None:
    expired = seen.published[0] | {"Outcome": "REJECTED", "Message": None, "Error": error("Expired")}
    aged = replace(seen, published=[later(expired)], maximum_age=timedelta(minutes=5))

    assert CHECKS["fitting outcomes"](aged) == []
    assert CHECKS["fitting outcomes"](replace(aged, published=[expired])) != []
    assert CHECKS["fitting outcomes"](replace(aged, maximum_age=None)) != []


def other(result: dict[str, Any]) -> dict[str, Any]:
    """Return the result with an impossible outcome."""
    if result["Outcome"] == "SENT":
        return result | {"Outcome": "REJECTED", "Message": None, "Error": error("Expired")}
    return result | {"Outcome": "SENT", "Error": None}


def copy(message: Message, client_token: str) -> Message:
    return replace(message, attributes={**message.attributes, "ClientToken": client_token})


def token_of(seen: Observations, number: int) -> str:
    return next(token for token, message in seen.accepted.items() if message.number == number)


def moved(seen: Observations) -> Message:
    """Return a dead letter that SQS itself moved."""
    return replace(seen.rejected[0], source_queue="messages.fifo")


def with_wait(seen: Observations, **change: object) -> Observations:
    [wait] = seen.waits
    return replace(
        seen,
        waits=[
            replace(
                wait,
                task=replace(wait.task, **change),  # type: ignore[arg-type]  # of any field
            )
        ],
    )


def with_transcript(seen: Observations, change: Callable[[list[int]], Iterable[int]]) -> Observations:
    contact_id, *_ = seen.transcripts
    changed = list(change(list(seen.transcripts[contact_id])))
    return replace(seen, transcripts={**seen.transcripts, contact_id: changed})


def rejected(seen: Observations) -> int:
    return next(message.number for message in seen.accepted.values() if message.code is not None)


def test_a_caller_that_gets_a_refusal_with_its_status_is_fine(seen: Observations) -> None:
    reply = Reply("x", "AccessDeniedError", 422, refusal("AccessDenied"))

    assert CHECKS["returned results"](with_replies(seen, reply)) == []


def test_a_message_that_its_producer_sent_after_an_outcome_appears_after_it(seen: Observations) -> None:
    first, second = seen.accepted[token_of(seen, 1)], token_of(seen, 2)
    later = replace(seen.accepted[second], follows=first)
    followed = replace(seen, accepted={**seen.accepted, second: later}, positions={})

    assert CHECKS["order"](followed) == []
    assert CHECKS["order"](with_transcript(followed, lambda numbers: numbers[::-1])) != []


@pytest.mark.parametrize(
    ("texts", "content", "whole", "wrong"),
    [
        (["ab", "cd"], "ab  cd ", True, None),
        (["ab", "  cd"], "ab\n  cd", True, None),
        (["ab"], "ab cd", False, None),
        (["ab"], "ab cd", True, "the parts are not the whole text"),
        (["ab", "d"], "ab cd", True, "the parts are not the text"),
        (["cd", "ab"], "ab cd", True, "the parts are not the text"),
        (["abcd", "ef"], "abcdef", True, None),
        (["ab c", "de"], "ab cde", True, "a cut is inside a word or a grapheme"),
        (["長い。", "文"], "長い。文", True, None),
        (["e", "\u0301a"], "e\u0301a", True, "a cut is inside a word or a grapheme"),
        (["🇩", "🇪"], "🇩🇪", True, "a cut is inside a word or a grapheme"),
        (["abcdef"], "abcdef", True, "a part is too long"),
        (["a"] * 11, "a " * 11, True, "a text has too many parts"),
    ],
)
def test_the_cut_of_a_text_is_checked(
    texts: Sequence[str], content: str, whole: bool, wrong: str | None
) -> None:
    assert wrong_cut(texts, content, 5, whole=whole) == wrong


def with_item(seen: Observations, **change: object) -> Observations:
    """Change the first message of the first chat."""
    contact_id, *_ = seen.items
    first, *others = seen.items[contact_id]
    changed = replace(first, **change)  # type: ignore[arg-type]  # of any field
    return replace(seen, items={**seen.items, contact_id: [changed, *others]})


def with_part(seen: Observations, change: Callable[[str], str]) -> Observations:
    """Change the second part of the long text."""
    *_, contact_id = seen.items
    first, second, *others = seen.items[contact_id]
    changed = replace(second, content=change(second.content))
    return replace(seen, items={**seen.items, contact_id: [first, changed, *others]})


def with_result(seen: Observations, **change: object) -> Observations:
    """Change the result of the first message."""
    token = token_of(seen, 1)
    return replace(
        seen,
        published=[
            result | change if result["ClientToken"] == token else result for result in seen.published
        ],
    )


def with_message(seen: Observations, **change: object) -> Observations:
    [result] = seen.results[token_of(seen, 1)]
    return with_result(seen, Message=result["Message"] | change)


def with_error(seen: Observations, **change: object) -> Observations:
    """Change the result of the rejected message."""
    return replace(
        seen,
        published=[
            result | {"Error": result["Error"] | change} if result["Error"] else result
            for result in seen.published
        ],
    )


def expiring(seen: Observations, after: timedelta) -> Observations:
    """Let all messages have an ExpiresAt, so long after they were sent."""

    def sent(message: Accepted) -> Accepted:
        [(source_id, sending)] = message.sendings.items()
        request = (sending.request or {}) | {"ExpiresAt": (sending.at + after).isoformat()}
        return replace(message, sendings={source_id: replace(sending, request=request)})

    queued = {token: sent(m) for token, m in seen.accepted.items() if m.route is Route.QUEUE}
    return replace(seen, accepted={**seen.accepted, **queued})


def with_copy(
    seen: Observations, *, body: str | None = None, attributes: Mapping[str, str] | None = None
) -> Observations:
    """Change the copy of the rejected message."""
    [found] = seen.all_rejected
    changed = replace(found, body=body or found.body, attributes={**found.attributes, **(attributes or {})})
    return replace(seen, all_rejected=[changed])


def with_replies(seen: Observations, *replies: Reply) -> Observations:
    called = replace(seen.accepted["called"], replies=list(replies))
    return replace(seen, accepted={**seen.accepted, "called": called})


def with_reply(seen: Observations, **change: object) -> Observations:
    """Change the result that the caller got."""
    [reply] = seen.accepted["called"].replies
    return with_replies(seen, replace(reply, document={**(reply.document or {}), **change}))


def refusal(code: str) -> dict[str, str]:
    return {"Code": code, "Reason": "x", "ClientToken": "called"}


def with_answer(seen: Observations, answer: str) -> Observations:
    called = replace(seen.accepted["called"], replies=[Reply("x", answer)])
    return replace(
        seen,
        accepted={**seen.accepted, "called": called},
        published=[result for result in seen.published if result["ClientToken"] != "called"],
    )
