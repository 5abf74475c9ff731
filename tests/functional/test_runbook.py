"""The runbook's query and explanations match the log."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.participant_service.faults import Status
from tests.support.lambda_events import record

if TYPE_CHECKING:
    import pytest

    from tests.functional.conftest import Function

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def test_every_field_of_the_query_is_in_the_log(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    [shown, filtered] = re.findall(r"^(?:fields|\| filter) (.*)$", OPERATIONS.read_text(), re.MULTILINE)
    asked = {*shown.split(", "), *re.findall(r"(\w+) = '", filtered)} - {"@timestamp"}
    chat = function.start_chat()
    function.participant.faults.add(Status(status=400))

    function.batch(record(chat.request(ContactId=chat.contact_id)))

    [line] = [
        entry
        for entry in map(json.loads, capsys.readouterr().out.splitlines())
        if entry.get("message") == "Message ended"
    ]
    assert asked - line.keys() == set()
    assert line["contact_id"] == chat.contact_id


def test_messages_that_the_runbook_explains_are_those_that_are_logged() -> None:
    source = (
        Path(__file__).parents[2].joinpath("lambda_src", "message_sender", "observability.py").read_text()
    )
    logged = set(re.findall(r'_logger\.\w+\(\s*"([^"]+)"', source))

    explained = {
        message
        for row in re.findall(r"^\| (`[A-Z][a-z ]+`.*?) \|", OPERATIONS.read_text(), re.MULTILINE)
        for message in re.findall(r"`([A-Z][a-z ]+)`", row)
    }

    assert explained
    assert explained <= logged
