"""`make find`: which lines of the function's log it prints, and how."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.live.find import layout, main, with_id

if TYPE_CHECKING:
    from pathlib import Path

ENDED = {
    "level": "WARNING",
    "message": "Message ended",
    "timestamp": "2026-11-28 06:10:00,123+0000",
    "outcome": "REJECTED",
    "code": "AccessDenied",
    "reason": "The service refused the token: the chat has ended, or the token is expired or of another one",
    "attempts": 1,
    "correlation_id": "m-1",
    "client_token": "order-1",
    "contact_id": "chat-1",
    "message_id": None,
    "function_request_id": "r-1",
}


def log(*lines: dict[str, Any] | str) -> list[str]:
    return [line if isinstance(line, str) else json.dumps(line) for line in lines]


@pytest.mark.parametrize("identifier", ["order-1", "chat-1", "m-1"])
def test_line_is_found_by_each_of_its_ids(identifier: str) -> None:
    other = ENDED | {"correlation_id": "m-2", "client_token": "order-2", "contact_id": "chat-2"}

    assert with_id(identifier, log(ENDED, other)) == [ENDED]


def test_line_with_only_the_correlation_id_of_a_found_line_is_found_too() -> None:
    unpublished = {"message": "Result not published", "correlation_id": "m-1"}

    assert with_id("chat-1", log(unpublished, ENDED)) == [unpublished, ENDED]


def test_nothing_is_found_by_part_of_an_id_or_by_another_field() -> None:
    assert with_id("order", log(ENDED)) == []
    assert with_id("REJECTED", log(ENDED)) == []


def test_lines_of_lambda_and_metrics_are_left_out() -> None:
    metric = {"_aws": {}, "contact_id": "chat-1"}

    assert with_id("chat-1", log("START RequestId: chat-1", '"chat-1"', metric, ENDED)) == [ENDED]


def test_line_has_its_fields_in_80_columns() -> None:
    rows = layout(ENDED | {"contact_id": "a\x1b[2Jb"})

    assert rows[0] == "06:10:00.123  Message ended"
    assert [row.split()[0] for row in rows[1:3]] == ["outcome", "code"]
    assert not [row for row in rows if "message_id" in row]  # it has none
    assert not [row for row in rows if "\x1b" in row]
    assert max(map(len, rows)) <= 80
    reason = [row[23:].strip() for row in rows if row.startswith(("  reason", "      "))]
    assert " ".join(reason) == ENDED["reason"]


def test_each_attempt_is_a_row() -> None:
    throttled = {"at": "-", "wait_ms": 0, "ms": 41, "code": "Throttled", "http_status": 429}
    accepted = {"at": "-", "wait_ms": 2140, "ms": 38, "code": None, "http_status": None}

    rows = layout(ENDED | {"each_attempt": [throttled, accepted]})

    assert rows[-2].split() == ["attempt", "1", "Throttled", "429", "in", "41", "ms"]
    assert rows[-1].split() == ["attempt", "2", "accepted", "in", "38", "ms,", "after", "2.1", "s"]


def test_without_a_sandbox_it_says_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["find", "--folder", str(tmp_path), "--", "order-1"])

    assert main() == 1
    assert capsys.readouterr().err == "No sandbox is running. Start one in another terminal: make sandbox\n"


def test_stopped_sandbox_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "emulator.url").write_text("http://127.0.0.1:9")
    names = ("MessageQueue", "DeadLetterQueue", "RejectedQueue", "UnpublishedResultsQueue")
    urls = {f"{name}Url": "-" for name in (*names, "EventsDeadLetterQueue")}
    values = urls | {"EventBusName": "-", "FunctionName": "f", "FunctionAliasArn": "-"}
    (tmp_path / "outputs.json").write_text(json.dumps({"ConnectMessageSender-dev": values}))
    monkeypatch.setattr("sys.argv", ["find", "--folder", str(tmp_path), "--", "order-1"])

    assert main() == 1
    assert "No sandbox is running" in capsys.readouterr().err


def test_empty_id_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["find", "--", ""])

    assert main() == 2
    assert capsys.readouterr().err == "Name a message or a chat by any of its ids: make find ID=...\n"
