"""Payloads as AWS sends them, through the whole function."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.lambda_events import EVENTS, TOKEN, load_event
from tests.support.schemas import RESULT_SCHEMA

if TYPE_CHECKING:
    from tests.functional.conftest import Function

NAMES = sorted(path.stem for path in EVENTS.glob("*.json"))


def test_every_event_source_has_a_payload() -> None:
    assert sorted(RESULT_SCHEMA["properties"]["EventSource"]["enum"]) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_messages_of_a_payload_are_sent(function: Function, name: str) -> None:
    chat = function.start_chat()
    event: dict[str, Any] = json.loads(json.dumps(load_event(name)).replace(TOKEN, chat.connection_token))

    function(event)

    assert {(result["EventSource"], result["Outcome"]) for result in function.aws.results} == {(name, "SENT")}
    assert len(chat.texts) == len(event.get("Records", [event]))
