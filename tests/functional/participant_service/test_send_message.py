"""SendMessage of the local participant service: content, limits and idempotency."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import urllib3

from sandbox.participant_service.chats import CONTENT_TYPES
from tests.functional.participant_service.conftest import TEXT, connect

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.participant_service.server import RunningParticipantService
    from tests.functional.participant_service.conftest import FakeClock, Participant


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
def test_each_content_type_appears_as_it_was_sent(
    running: RunningParticipantService, participant: Participant, content_type: str
) -> None:
    content = '{"text": "**Grüße** 👋"}'

    answer = participant.send(content, ContentType=content_type, ClientToken="1")

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer["AbsoluteTime"])
    assert "MessageMetadata" not in answer
    (item,) = running.service.messages(participant.contact_id)
    assert (item.id, item.absolute_time, item.content_type, item.content, item.client_token) == (
        answer["Id"],
        answer["AbsoluteTime"],
        content_type,
        content,
        "1",
    )


def test_repeat_gets_the_first_result_and_appears_once(participant: Participant, clock: FakeClock) -> None:
    first = participant.send("first", ClientToken="1")
    clock.advance(60)

    repeat = participant.send("first", ClientToken="1")
    other_content = participant.send("other", ClientToken="1")

    assert (repeat["Id"], repeat["AbsoluteTime"]) == (first["Id"], first["AbsoluteTime"])
    assert other_content["Id"] == first["Id"]
    assert participant.contents == ["first"]


def test_repeat_through_a_renewed_connection_appears_once(participant: Participant) -> None:
    participant.send(ClientToken="1")

    renewed = connect(participant.client, participant.participant_token)
    participant.send(ClientToken="1", ConnectionToken=renewed)

    assert participant.contents == [TEXT]


def test_repeat_after_the_idempotency_window_appears_twice(
    running: RunningParticipantService, participant: Participant, clock: FakeClock
) -> None:
    running.service.set_idempotency_window(30)
    participant.send(ClientToken="1")

    clock.advance(29)
    participant.send(ClientToken="1")
    clock.advance(1)
    participant.send(ClientToken="1")

    assert participant.contents == [TEXT, TEXT]


def test_client_token_is_case_sensitive_and_belongs_to_one_participant(
    running: RunningParticipantService, join: Callable[..., Participant]
) -> None:
    one, other = join(), join()

    one.send(ClientToken="a")
    one.send(ClientToken="A")
    other.send(ClientToken="a")

    assert len(running.service.messages(one.contact_id)) == 2
    assert len(running.service.messages(other.contact_id)) == 1


def test_equal_texts_without_a_client_token_are_two_messages(participant: Participant) -> None:
    participant.post({"ClientToken": None})
    participant.post({"ClientToken": ""})

    assert participant.contents == [TEXT, TEXT]


@pytest.mark.parametrize("character", ["a", "ä", "€", "👋"])
def test_content_has_at_most_16384_bytes(participant: Participant, character: str) -> None:
    size = len(character.encode())
    longest = character * (16_384 // size) + "a" * (16_384 % size)

    participant.send(longest)

    with pytest.raises(participant.client.exceptions.ValidationException, match="16384 bytes"):
        participant.send(longest + "a")


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ({"Content": ""}, "Content"),
        ({"Content": None}, "must contain ['Content'] properties"),
        ({"Content": {"a": 1}}, "Content must be string"),
        ({"ContentType": None}, "must contain ['ContentType'] properties"),
        ({"ContentType": "text/html"}, "ContentType"),
        ({"ClientToken": "x" * 501}, "ClientToken"),
        ({"ClientToken": 1}, "ClientToken"),
    ],
)
def test_bad_input_is_refused(participant: Participant, members: dict[str, object], complaint: str) -> None:
    response = participant.post(members)

    assert response.status == 400
    assert response.headers["x-amzn-errortype"] == "ValidationException"
    assert complaint in response.json()["Message"]
    assert participant.contents == []


@pytest.mark.parametrize("body", [b"", b"not JSON", b"[]", b"\xff"])
def test_body_that_is_not_a_json_object_is_refused(
    running: RunningParticipantService, participant: Participant, body: bytes
) -> None:
    response = urllib3.request(
        "POST",
        f"{running.url}/participant/message",
        body=body,
        headers={"X-Amz-Bearer": participant.connection_token},
    )

    assert (response.status, response.headers["x-amzn-errortype"]) == (400, "ValidationException")


def test_content_type_that_is_not_enabled_is_refused(join: Callable[..., Participant]) -> None:
    participant = join(content_types=["text/markdown"])

    participant.send(ContentType="text/plain")
    participant.send(ContentType="text/markdown")

    with pytest.raises(participant.client.exceptions.ValidationException, match="not enabled"):
        participant.send("{}", ContentType="application/json")
