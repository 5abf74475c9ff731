"""The file of messages that the demo sends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.producer import EventSource
from sandbox.demo.message_file import (
    THROUGH,
    Chat,
    Expectation,
    Message,
    MessageFile,
    MessageFileError,
    read_message_file,
)
from sandbox.participant_service.chats import CONTENT_TYPES
from tests.support.limits import TOO_LONG

EXAMPLE = Path(__file__).parents[2] / "examples/messages.jsonl"
REQUEST = {"ContentType": "text/plain", "Content": "Hello"}
LINE = {"chat": "alice", "through": "queue", "request": REQUEST, "expect": {"outcome": "SENT"}}


def read(folder: Path, *lines: object) -> MessageFile:
    path = folder / "messages.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts), encoding="utf-8")
    return read_message_file(path)


def test_a_line_with_a_request_is_a_message(tmp_path: Path) -> None:
    expect = {"outcome": "REJECTED", "code": "Expired"}

    file = read(tmp_path, {**LINE, "through": "direct", "expect": expect, "note": "too late"})

    assert file.messages == (
        Message(
            number=1,
            chat="alice",
            through=EventSource.DIRECT,
            request=REQUEST,
            expected=Expectation("REJECTED", "Expired"),
            note="too late",
        ),
    )
    assert file.chats == (Chat(name="alice"),)


def test_a_line_without_a_request_describes_a_chat(tmp_path: Path) -> None:
    file = read(tmp_path, {"chat": "alice", "ended": True, "content_types": ["text/plain"]}, LINE)

    assert file.chats == (Chat(name="alice", ended=True, content_types=("text/plain",)),)
    assert file.other_lines == 1


def test_a_new_token_is_for_the_messages_that_follow(tmp_path: Path) -> None:
    new_token = {"chat": "alice", "new_token": True}

    file = read(tmp_path, LINE, {**LINE, "chat": "bruno"}, new_token, LINE, {**LINE, "chat": "bruno"})

    assert [(message.chat, message.connection) for message in file.messages] == [
        ("alice", 1),
        ("bruno", 1),
        ("alice", 2),
        ("bruno", 1),
    ]
    assert file.chats == (Chat(name="alice"), Chat(name="bruno"))


def test_an_ended_chat_cannot_have_a_new_token(tmp_path: Path) -> None:
    ended = {"chat": "carol", "ended": True}

    with pytest.raises(MessageFileError, match=r":2: new_token must not be in a chat that has ended"):
        read(tmp_path, ended, {"chat": "carol", "new_token": True}, LINE)


def test_empty_lines_are_counted_and_ignored(tmp_path: Path) -> None:
    file = read(tmp_path, "", LINE, "  ", LINE, "")

    assert [message.number for message in file.messages] == [2, 4]


def test_only_a_line_feed_ends_a_line(tmp_path: Path) -> None:
    content = "one\u2028two\x85three"
    line = json.dumps({**LINE, "request": {**REQUEST, "Content": content}}, ensure_ascii=False)

    file = read(tmp_path, f"\ufeff{line}\r", line)

    assert [message.request["Content"] for message in file.messages] == [content, content]


def test_lines_of_one_chat_under_one_client_token_are_one_message(tmp_path: Path) -> None:
    request = {**REQUEST, "ClientToken": "sms-1"}

    file = read(tmp_path, {**LINE, "request": request}, {**LINE, "request": request})

    first, second = file.messages
    assert first.identity == second.identity


def test_equal_texts_are_two_messages(tmp_path: Path) -> None:
    file = read(tmp_path, LINE, LINE)

    first, second = file.messages
    assert first.identity != second.identity


def test_one_client_token_in_two_chats_makes_two_messages(tmp_path: Path) -> None:
    request = {**REQUEST, "ClientToken": "sms-1"}

    file = read(tmp_path, {**LINE, "request": request}, {**LINE, "request": request, "chat": "bruno"})

    first, second = file.messages
    assert first.identity != second.identity


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("{", "the line is not valid JSON: Expecting property name enclosed in double quotes at column 2"),
        ("[]", "the line must be a JSON object"),
        ({}, "the line has no chat"),
        ({**LINE, "chat": ""}, "chat must be longer"),
        ({**LINE, "chat": 1}, "chat must be a text"),
        ({**LINE, "through": "pigeon"}, f"through must be one of {', '.join(THROUGH)}"),
        ({**LINE, "through": ["queue"]}, "through must be one of queue, "),
        ({**LINE, "request": "Hello"}, "request must be a JSON object"),
        ({**LINE, "sealed": False}, "sealed must be true"),
        ({**LINE, "age_minutes": 0}, "age_minutes must be at least 1"),
        ({**LINE, "through": "queue", "age_minutes": 90}, "age_minutes is for an event"),
        ({**LINE, "request": {"ConnectionToken": "QVFJREFI"}}, "request.ConnectionToken must not be there"),
        ({**LINE, "expect": "SENT"}, "expect must be a JSON object"),
        ({**LINE, "expect": {}}, "expect has no outcome"),
        ({**LINE, "expect": {"outcome": "LOST"}}, "expect.outcome must be one of SENT, REJECTED, "),
        ({**LINE, "expect": {"outcome": "SENT", "code": "Expired"}}, "expect.code must not be there"),
        ({**LINE, "expect": {"outcome": "REJECTED"}}, "expect has no code"),
        (
            {**LINE, "expect": {"outcome": "SENT", "kode": ""}},
            "expect has an unknown field: kode (known: outcome, code)",
        ),
        ({**LINE, "note": 1}, "note must be a text"),
        ({**LINE, "ended": True}, "the line has an unknown field: ended (known: chat, through, request, "),
        ({"chat": "alice", "through": "queue"}, "the line has no request"),
        (
            {"chat": "alice", "trough": "queue", "request": REQUEST},
            "the line has no through (unknown field: trough)",
        ),
        ({"chat": "alice", "ended": "yes"}, "ended must be true or false"),
        (
            {"chat": "alice", "content_types": ["text/html"]},
            "content_types[0] must be one of text/plain, ",
        ),
        ({"chat": "alice", "new_token": 1}, "new_token must be true"),
        ({"chat": "bruno", "new_token": True}, "new_token must come after the first line of its chat"),
        (
            {"chat": "alice", "new_token": True, "ended": True},
            "the line has an unknown field: ended (known: chat, new_token)",
        ),
        ({"chat": "alice", "finished": True}, "the line has an unknown field: finished (known: chat, "),
    ],
)
def test_an_error_names_line_field_and_rule(tmp_path: Path, line: object, error: str) -> None:
    with pytest.raises(MessageFileError) as raised:
        read(tmp_path, LINE, line)

    assert str(raised.value).startswith(f"{tmp_path}/messages.jsonl:2: {error}")


def test_a_chat_is_described_before_its_first_message(tmp_path: Path) -> None:
    with pytest.raises(MessageFileError, match=r"messages\.jsonl:2: chat has an earlier line"):
        read(tmp_path, LINE, {"chat": "alice", "ended": True})


def test_all_errors_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(MessageFileError) as raised:
        read(tmp_path, "{", LINE, "[]")

    assert [line.split(":")[1] for line in str(raised.value).splitlines()] == ["1", "3"]


def test_an_error_does_not_repeat_a_token(tmp_path: Path) -> None:
    with pytest.raises(MessageFileError) as raised:
        read(tmp_path, {**LINE, "request": {"ConnectionToken": "QVFJREFI"}})

    assert "QVFJREFI" not in str(raised.value)


def test_a_file_without_a_message_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MessageFileError, match=r"messages\.jsonl: has no message"):
        read(tmp_path, {"chat": "alice", "ended": True})


def test_a_line_that_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    path.write_bytes(json.dumps(LINE).encode() + b"\n" + '{"chat": "Zoë"}'.encode("latin-1"))

    with pytest.raises(MessageFileError, match=r"jsonl:2: the line is not UTF-8: byte 0xeb at column 13$"):
        read_message_file(path)


@pytest.mark.parametrize(("through", "fits"), [("queue", True), ("event", False), ("workflow", False)])
def test_a_request_that_its_event_source_cannot_take_is_an_error(
    tmp_path: Path, through: str, *, fits: bool
) -> None:
    line = {**LINE, "through": through, "request": {**REQUEST, "Content": "x" * 300_000}}

    if fits:
        assert read(tmp_path, line).messages
    else:
        with pytest.raises(
            MessageFileError, match=rf":1: request has 300,\d+ bytes: through {through}, 258,048"
        ):
            read(tmp_path, line)


def test_another_text_under_the_same_client_token_repeats_its_first_line(tmp_path: Path) -> None:
    request, other = ({**REQUEST, "ClientToken": "sms-1", "Content": text} for text in ("one", "two"))

    file = read(
        tmp_path,
        *({**LINE, "request": each} for each in (request, request, other)),
        {**LINE, "request": REQUEST},
    )

    assert [message.repeats for message in file.messages] == [None, None, 1, None]


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MessageFileError, match=r"none\.jsonl: .*No such file"):
        read_message_file(tmp_path / "none.jsonl")


class TestTheExample:
    """It shows every feature."""

    @pytest.fixture
    def file(self) -> MessageFile:
        return read_message_file(EXAMPLE)

    def test_has_three_chats_all_event_sources_and_all_content_types(self, file: MessageFile) -> None:
        assert len(file.chats) >= 3
        assert {message.through for message in file.messages} == set(THROUGH)
        sent = [message for message in file.messages if message.expected == Expectation("SENT")]
        assert {message.request["ContentType"] for message in sent} == set(CONTENT_TYPES)

    def test_has_a_message_that_is_too_long(self, file: MessageFile) -> None:
        assert any(
            len(message.request["Content"]) >= len(TOO_LONG)
            and message.expected == Expectation("REJECTED", "InvalidRequest")
            for message in file.messages
        )

    def test_has_an_ended_chat(self, file: MessageFile) -> None:
        (ended,) = [chat.name for chat in file.chats if chat.ended]
        assert {m.expected for m in file.messages if m.chat == ended} == {
            Expectation("REJECTED", "AccessDenied")
        }

    def test_has_a_chat_with_a_new_token_half_way(self, file: MessageFile) -> None:
        [renewed] = {message.chat for message in file.messages if message.connection > 1}
        routes = [(m.connection, m.through) for m in file.messages if m.chat == renewed]

        assert {connection for connection, _ in routes} == {1, 2}
        assert {route for _, route in routes} == {EventSource.QUEUE, EventSource.API}

    def test_has_a_message_by_two_event_sources(self, file: MessageFile) -> None:
        ways: dict[object, set[str]] = {}
        for message in file.messages:
            ways.setdefault(message.identity, set()).add(message.through)

        assert {EventSource.EVENT, EventSource.API_SYNC} in ways.values()

    def test_has_an_expiry_that_is_past(self, file: MessageFile) -> None:
        expired = Expectation("REJECTED", "Expired")
        assert any("ExpiresAt" in m.request and m.expected == expired for m in file.messages)

    def test_has_one_message_twice_and_two_of_equal_text(self, file: MessageFile) -> None:
        def repeats(keys: list[Any]) -> int:
            return len(keys) - len(set(keys))

        sent = Expectation("SENT")
        queued = [m for m in file.messages if m.through == EventSource.QUEUE and m.expected == sent]
        assert repeats([m.identity for m in queued]) == 1
        assert repeats([(m.chat, m.request["Content"]) for m in queued]) == 2
