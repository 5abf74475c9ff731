"""Messages that are hard to parse: parsed once by every event source and a redrive. No other chat waits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from message_sender.errors import InvalidRequestError
from message_sender.request import MAX_TEXT
from ops.dead_letters import DeadLetterQueue, read_dead_letter
from ops.redrive import Done, RedriveFilter, decide
from tests.support.effort import MIB, POISONS, counted_effort
from tests.support.fakes import START
from tests.support.lambda_events import QUEUE_ARN, api_request, bus_event, record

if TYPE_CHECKING:
    from collections.abc import Callable

    from types_boto3_sqs.type_defs import MessageTypeDef

    from tests.functional.conftest import Function

BODIES = [*POISONS, POISONS[0][:MAX_TEXT], (POISONS[0] * 40)[:MIB]]
EACH_BODY = pytest.mark.parametrize("body", BODIES, ids=lambda body: f"{body[:8]}... {len(body)}")


@EACH_BODY
@pytest.mark.parametrize("group", ["poisoned", None])
def test_the_other_chats_of_the_batch_have_their_outcomes(
    function: Function, body: str, group: str | None
) -> None:
    chats = [function.start_chat() for _ in range(9)]
    poison = record(body, group=group)
    good = [record(chat.request(), group=chat.contact_id) for chat in chats]

    with counted_effort() as effort:
        failed = function.batch(poison, *good)

    assert failed == []
    assert all(len(chat.texts) == 1 for chat in chats)
    outcomes = {result["SourceId"]: result["Outcome"] for result in function.aws.results}
    assert outcomes == {poison["messageId"]: "REJECTED"} | {each["messageId"]: "SENT" for each in good}
    assert effort.json.count(len(body)) <= 1
    assert len(effort.json) <= 1 + len(good)
    [copy] = function.aws.messages
    assert body.startswith(copy["MessageBody"][:MAX_TEXT])


IN_A_FIELD: dict[str, Callable[[str], dict[str, Any]]] = {
    "Content": lambda text: {"Content": text, "ContentType": "application/json"},
    "Metadata": lambda text: {"Metadata": {text: text}},
    "an unknown field": lambda text: {text: text},
}


@EACH_BODY
@pytest.mark.parametrize("field", IN_A_FIELD)
@pytest.mark.parametrize("source", ["eventbridge", "direct", "api_gateway"])
def test_every_event_source_parses_it_once(function: Function, body: str, field: str, source: str) -> None:
    fields = function.start_chat().request(ClientToken="c-1") | IN_A_FIELD[field](body)
    event = {
        "eventbridge": lambda: bus_event(fields),
        "direct": lambda: fields,
        "api_gateway": lambda: api_request(fields),
    }[source]()
    text = json.dumps(fields)

    with counted_effort() as effort:
        if source == "direct":
            with pytest.raises(InvalidRequestError):
                function(event)
        else:
            function(event)

    assert effort.json.count(len(text)) == (len(text) <= MAX_TEXT)
    assert len(effort.json) <= 2
    [result] = function.aws.results
    assert result["Error"]["Code"] == "InvalidRequest"


@EACH_BODY
def test_a_redrive_parses_it_once_and_can_finalize_it(body: str) -> None:
    message: MessageTypeDef = {
        "MessageId": "m-1",
        "Body": body,
        "Attributes": {
            "SentTimestamp": str(int(START.timestamp() * 1000)),
            "ApproximateReceiveCount": "30",
            "DeadLetterQueueSourceArn": QUEUE_ARN,
        },
    }

    with counted_effort() as effort:
        dead_letter = read_dead_letter(
            message, queue=DeadLetterQueue.DEAD_LETTER, messages_queue_arn=QUEUE_ARN
        )
        redrive_filter = RedriveFilter(finalize=True)
        decision = decide(dead_letter, redrive_filter, START)
        assert decision.done is Done.FINALIZED
        assert decision.outcome
        dead_letter.result(decision.outcome, START).detail()
        dead_letter.parsed.text_with_client_token()

    unread = ("longer than", "nested more than")
    assert isinstance(dead_letter.parsed.request, InvalidRequestError)
    is_unread = any(words in dead_letter.parsed.request.reason for words in unread)
    assert effort.json == ([] if is_unread else [len(body)])
    assert effort.schema_runs <= 1
    assert len(effort.brackets) <= 1
