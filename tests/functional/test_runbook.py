"""The runbook's searches and explanations match the log."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infra.log_queries import FUNCTION, QUERIES
from message_sender.errors import DeliveryError, UnsupportedEventError
from sandbox.participant_service.faults import Status
from tests.support.errors import leaves
from tests.support.lambda_events import record

if TYPE_CHECKING:
    from tests.functional.conftest import Function

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
[SECTIONS] = re.findall(r"^## Alarms\n(.*?)^## ", RUNBOOK, re.DOTALL | re.MULTILINE)
TELEMETRY = (ROOT / "lambda_src" / "message_sender" / "observability.py").read_text(encoding="utf-8")
LOGGED = set(re.findall(r'_logger\.\w+\(\s*"([^"]+)"', TELEMETRY))


def test_every_field_of_the_search_is_in_the_log(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = ", ".join(re.findall(r'^FIELDS="(?:\$FIELDS, )?(.*)"$', RUNBOOK, re.MULTILINE))
    [condition] = re.findall(r"^search \"(.*'\$ID'.*)\"$", RUNBOOK, re.MULTILINE)
    explained = re.findall(r"^\| .* \| `(\w+_\w+)` \|$", RUNBOOK, re.MULTILINE)
    chat = function.start_chat()
    function.participant.faults.add(Status(status=400))

    function.batch(record(chat.request(ContactId=chat.contact_id)))
    function.batch(record(chat.request(ContactId=chat.contact_id)))

    rejected, sent = ended(capsys)
    searched = set(re.findall(r"(\w+) = '\$ID'", condition))
    assert {*shown.split(", "), *searched} - rejected.keys() == {"message_id"}
    assert {*shown.split(", "), *searched} - sent.keys() == {"code", "reason", "service_request_id"}
    assert rejected["contact_id"] == sent["contact_id"] == chat.contact_id
    assert set(explained) == searched


def test_saved_queries_use_keys_and_messages_of_the_log(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    chat = function.start_chat()
    function.batch(record(chat.request(ContactId=chat.contact_id)))
    function.participant.faults.add(Status(status=400))
    function.batch(record(chat.request(ContactId=chat.contact_id)))
    with pytest.raises(UnsupportedEventError):
        function({})
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    keys = {key for line in lines for key in line}

    for query in QUERIES:
        if query.log == FUNCTION:
            text = re.sub(r"'[^']*'|\w+\(|\bas \w+|@\w+", "", query.text)  # without values and new names
            used = {*re.findall(r"\b[a-z]+_[a-z_]+\b|\b(?:message|outcome|code|reason|attempts)\b", text)}
            assert used
            assert used <= keys, query.name
            assert {*re.findall(r"message = '([^']+)'", query.text)} <= LOGGED


def ended(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    return [line for line in lines if line.get("message") == "Message ended"]


def test_alarms_search_for_messages_codes_and_outcomes_of_the_log() -> None:
    searched: dict[str, set[str]] = defaultdict(set)
    for search in re.findall(r"search \"([^\"]+)\"", RUNBOOK):
        for field, value in re.findall(r"(\w+) = '([^'$]+)'", search):
            searched[field].add(value)
    named = set(re.findall(r"`([A-Z][a-z]+(?: [a-z]+)+)`", SECTIONS)) - {query.name for query in QUERIES}

    assert named
    assert searched.pop("message") | named <= LOGGED
    assert {f"{code}Error" for code in searched.pop("code")} <= {
        leaf.__name__ for leaf in leaves(DeliveryError)
    }
    # Lambda writes the type
    assert searched == {"outcome": {"FAILED"}, "level": {"ERROR"}, "type": {"platform.report"}}


def test_runbook_names_every_saved_query() -> None:
    assert [query.name for query in QUERIES if f"`{query.name}`" not in RUNBOOK] == []


def test_alarms_name_saved_queries_that_exist() -> None:
    named = re.findall(r"saved query `?([A-Z][a-z]+(?: [a-z]+)*)", RUNBOOK)

    assert len(named) >= 3
    assert set(named) <= {query.name for query in QUERIES}
