"""What all programs of the sandbox print alike."""

from __future__ import annotations

import io

from rich.text import Text

from sandbox.participant_service.transcript import ItemType, ParticipantRole, TranscriptItem
from sandbox.terminal import Terminal, printable, transcript_table


def item(content_type: str, content: str | None) -> TranscriptItem:
    return TranscriptItem(
        id="i-1",
        type=ItemType.EVENT if content is None else ItemType.MESSAGE,
        absolute_time="2026-11-23T10:11:12.300Z",
        content_type=content_type,
        participant_id="p-1",
        participant_role=ParticipantRole.CUSTOMER,
        display_name="Customer",
        content=content,
    )


def test_printable_escapes_control_characters_only() -> None:
    assert printable("über\n\x1b[2J\x07\u202e☕") == "über\n\\x1b[2J\\x07\\u202e☕"


def test_a_transcript_has_messages_and_events_under_short_names() -> None:
    stream = io.StringIO()

    Terminal(stream).print(
        transcript_table(
            [
                item("application/vnd.amazonaws.connect.event.participant.joined", None),
                item("application/vnd.amazonaws.connect.message.interactive.response", "{}"),
            ]
        )
    )

    assert stream.getvalue().splitlines() == [
        "10:11:12.300  participant.joined",
        "10:11:12.300  interactive.response  {}",
    ]


def test_a_text_to_paste_is_never_broken() -> None:
    stream = io.StringIO()

    Terminal(stream).print_to_paste(f"export A={'x' * 500}")

    assert stream.getvalue() == f"export A={'x' * 500}\n"


def test_a_line_stays_one_line() -> None:
    stream = io.StringIO()

    Terminal(stream).print_line(Text("x " * 500))

    [line] = stream.getvalue().splitlines()
    assert line.endswith("…")
