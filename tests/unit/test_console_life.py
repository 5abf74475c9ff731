"""The life of a message in the console, from log lines and its result event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from infra.results import MessageResult
from message_sender.errors import AccessDeniedError, ServiceUnavailableError
from message_sender.result import Failed, Rejected
from sandbox.console.board import Board
from sandbox.console.life import Life, Lives
from tests.support.fakes import result_of

if TYPE_CHECKING:
    from collections.abc import Sequence


def line(message: str, *, at: str = "00", receive_count: int = 1, **fields: object) -> dict[str, Any]:
    return {
        "message": message,
        "timestamp": f"2026-11-28 06:10:{at},500+0000",
        "correlation_id": "m-1",
        "event_source": "sqs",
        "receive_count": receive_count,
        "each_attempt": [],
        **fields,
    }


def attempt(at: str, code: str | None = None, status: int | None = None) -> dict[str, Any]:
    return {"at": f"2026-11-28T06:10:{at}Z", "wait_ms": 0, "ms": 41, "code": code, "http_status": status}


def kinds(life: Life) -> Sequence[str]:
    return [step["kind"] for step in life.view()["steps"]]


def test_retried_message_has_its_attempts_between_acceptance_and_outcome() -> None:
    life = Life("order-1")

    life.accept("2026-11-28T06:10:00.000Z")
    life.add_line(
        line("Message deferred", code="Throttled", each_attempt=[attempt("00.400", "Throttled", 429)])
    )
    assert life.view()["state"] == "deferred"
    life.add_line(
        line(
            "Message ended",
            at="03",
            receive_count=2,
            outcome="SENT",
            latency_ms=3000,
            message_id="chat-message-1",
            each_attempt=[attempt("03.100")],
        )
    )
    life.add_result(MessageResult.from_detail(result_of().detail()), at="2026-11-28T06:10:04.000Z")

    view = life.view()
    assert kinds(life) == ["accepted", "attempt", "deferred", "attempt", "ended", "published"]
    assert view["state"] == "SENT"
    assert view["ids"]["message_id"] == ["chat-message-1"]
    first, second = [step for step in view["steps"] if step["kind"] == "attempt"]
    assert (first["http_status"], first["receive"], second["receive"]) == (429, 1, 2)


def test_receive_without_a_line_is_a_step() -> None:
    life = Life("order-1")

    life.add_line(line("Message ended", receive_count=3, outcome="SENT", latency_ms=1))

    [gap] = [step for step in life.view()["steps"] if step["kind"] == "gap"]
    assert gap["receives"] == 2


def test_event_that_was_enqueued_is_received_for_the_first_time_by_the_queue() -> None:
    life = Life("order-1")

    life.add_line(line("Message enqueued for retry", event_source="eventbridge"))
    life.add_line(line("Message ended", at="02", outcome="SENT", latency_ms=1))

    assert kinds(life) == ["enqueued", "ended"]


def test_rejected_message_may_be_in_the_chat() -> None:
    life = Life("order-1")
    result = result_of(Rejected(AccessDeniedError("refused"), maybe_delivered=True))

    life.add_result(MessageResult.from_detail(result.detail()), at="2026-11-28T06:10:04.000Z")

    [published] = [step for step in life.view()["steps"] if step["kind"] == "published"]
    assert (life.state, published["maybe_delivered"]) == ("REJECTED", True)


def test_two_requests_under_one_client_token_are_seen_by_their_ids() -> None:
    life = Life("order-1")

    for correlation_id in ("m-1", "m-2"):
        life.add_line(line("Message ended", outcome="SENT", latency_ms=1, correlation_id=correlation_id))

    assert life.view()["ids"]["correlation_id"] == ["m-1", "m-2"]


def test_other_lines_are_ignored() -> None:
    life = Life("order-1")

    life.add_line({"message": "Result not published", "correlation_id": "m-1"})

    assert kinds(life) == []


def test_redriven_message_waits_for_another_outcome() -> None:
    life = Life("order-1")

    life.add_result(
        MessageResult.from_detail(result_of(Failed(ServiceUnavailableError("503"))).detail()),
        at="2026-11-28T06:10:04.000Z",
    )
    assert life.is_published
    life.redrive("2026-11-28T06:10:05.000Z")
    assert not life.is_published
    assert life.state == "waiting"
    life.add_result(MessageResult.from_detail(result_of().detail()), at="2026-11-28T06:10:06.000Z")

    assert life.is_published


@pytest.mark.parametrize("outcome", [None, Failed(ServiceUnavailableError("503"))])
def test_outcome_that_precedes_the_note_of_its_redrive_stays(outcome: Failed | None) -> None:
    life = Life("order-1")
    failed = result_of(Failed(ServiceUnavailableError("503")))
    again = result_of(outcome) if outcome else result_of()

    life.add_result(MessageResult.from_detail(failed.detail()), at="2026-11-28T06:10:04.000Z")
    life.add_result(MessageResult.from_detail(again.detail()), at="2026-11-28T06:10:06.000Z")
    life.redrive("2026-11-28T06:10:05.000Z")

    assert life.is_published
    assert life.state == again.name
    assert kinds(life)[-3:] == ["published", "redriven", "published"]


def test_messages_of_removed_chats_are_forgotten() -> None:
    board = Board()
    lives = Lives(board)
    lives.change("order-1", lambda life: life.facts.update(chat="c-1"))
    lives.change("order-2", lambda life: life.facts.update(chat="c-2"))

    lives.forget({"c-1"})

    assert (lives.knows("order-1"), lives.knows("order-2")) == (False, True)
    assert (board.count("messages", "order-1"), board.count("messages", "order-2")) == (0, 1)
