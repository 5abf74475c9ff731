"""GetTranscript of the local participant service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pytest

from sandbox.participant_service.chats import CHAT_ENDED, PARTICIPANT_JOINED

if TYPE_CHECKING:
    from types_boto3_connectparticipant.type_defs import SendMessageResponseTypeDef

    from sandbox.participant_service.server import RunningParticipantService
    from tests.functional.participant_service.conftest import FakeClock, Participant


def test_transcript_item_has_the_members_of_the_service_model(participant: Participant) -> None:
    sent = participant.send("hello", ClientToken="1")

    answer = participant.get_transcript({"SortOrder": "ASCENDING"})

    joined, message = answer["Transcript"]
    assert answer["InitialContactId"] == participant.contact_id
    assert (joined["Type"], joined["ContentType"]) == ("EVENT", PARTICIPANT_JOINED)
    assert message | {"ParticipantId": "…"} == {
        "Id": sent["Id"],
        "AbsoluteTime": sent["AbsoluteTime"],
        "Type": "MESSAGE",
        "ContentType": "text/plain",
        "Content": "hello",
        "ParticipantId": "…",
        "DisplayName": "Customer",
        "ParticipantRole": "CUSTOMER",
    }


@pytest.fixture
def nine_messages(participant: Participant, clock: FakeClock) -> list[SendMessageResponseTypeDef]:
    """Send the messages 1 to 9, one per second. Item 0 of the transcript is an event."""
    sent = []
    for number in range(1, 10):
        clock.advance(1)
        sent.append(participant.send(str(number)))
    return sent


def shown(answer: dict[str, Any]) -> str:
    return "".join(item.get("Content", "0") for item in answer["Transcript"])


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, "9876543210"),
        ({"SortOrder": "ASCENDING"}, "0123456789"),
        ({"MaxResults": 3}, "987"),
        ({"MaxResults": 3, "SortOrder": "ASCENDING"}, "789"),
        ({"MaxResults": 3, "ScanDirection": "FORWARD"}, "210"),
        ({"MaxResults": 3, "ScanDirection": "FORWARD", "SortOrder": "ASCENDING"}, "012"),
        ({"MaxResults": 3, "SortOrder": "ASCENDING", "StartPosition": {"MostRecent": 2}}, "89"),
        ({"MaxResults": 3, "ScanDirection": "BACKWARD", "StartPosition": {"MostRecent": 2}}, "876"),
        ({"SortOrder": "ASCENDING", "StartPosition": {"MostRecent": 100}}, "0123456789"),
    ],
)
@pytest.mark.usefixtures("nine_messages")
def test_page_follows_scan_direction_sort_order_and_start_position(
    participant: Participant, members: dict[str, object], expected: str
) -> None:
    answer = participant.get_transcript(members)

    assert shown(answer) == expected


@pytest.mark.parametrize("member", ["Id", "AbsoluteTime"])
@pytest.mark.parametrize(("direction", "expected"), [("FORWARD", "45"), ("BACKWARD", "34")])
def test_page_starts_at_the_named_item(
    participant: Participant,
    nine_messages: list[SendMessageResponseTypeDef],
    member: Literal["Id", "AbsoluteTime"],
    direction: str,
    expected: str,
) -> None:
    answer = participant.get_transcript(
        {
            "MaxResults": 2,
            "ScanDirection": direction,
            "SortOrder": "ASCENDING",
            "StartPosition": {member: nine_messages[3][member]},
        }
    )

    assert shown(answer) == expected


@pytest.mark.parametrize(("direction", "expected"), [("FORWARD", "0123456789"), ("BACKWARD", "7894561230")])
@pytest.mark.usefixtures("nine_messages")
def test_pages_together_show_every_item_once(participant: Participant, direction: str, expected: str) -> None:
    members: dict[str, object] = {"MaxResults": 3, "ScanDirection": direction, "SortOrder": "ASCENDING"}
    pages = [participant.get_transcript(members)]

    while "NextToken" in pages[-1]:
        pages.append(participant.get_transcript(members | {"NextToken": pages[-1]["NextToken"]}))

    assert "".join(map(shown, pages)) == expected


@pytest.mark.parametrize(
    "members",
    [
        {"MaxResults": 101},
        {"NextToken": "made up"},
        {"StartPosition": {"Id": "unknown"}},
        {"StartPosition": {"AbsoluteTime": "yesterday"}},
        {"StartPosition": {"AbsoluteTime": "2026-01-31T12:00:00.000"}},
    ],
)
def test_bad_transcript_query_is_refused(participant: Participant, members: dict[str, object]) -> None:
    with pytest.raises(participant.client.exceptions.ValidationException):
        participant.get_transcript(members)


def test_transcript_of_another_chat_is_denied(
    running: RunningParticipantService, participant: Participant
) -> None:
    other = running.service.start_chat()

    with pytest.raises(participant.client.exceptions.AccessDeniedException):
        participant.get_transcript({"ContactId": other.contact_id})


def test_transcript_of_an_ended_chat_can_still_be_read(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.service.end_chat(participant.contact_id)

    answer = participant.get_transcript()

    assert answer["Transcript"][0]["ContentType"] == CHAT_ENDED
