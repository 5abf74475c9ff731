"""The work of parsing grows linearly with the size of a text, for any text.

The tests count characters and calls. The benchmark "poison" measures seconds.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from message_sender.errors import InvalidRequestError
from message_sender.request import MAX_TEXT, NOT_A_BRACKET, SEALED, SendMessageRequest, parse_request
from message_sender.schema import SCHEMA
from tests.support.effort import MIB, POISONS, Effort, counted_effort
from tests.support.lambda_events import request as valid_fields

FIELDS = SCHEMA["properties"]
ECHOED = ("ClientToken", "ContactId", "ContentType", "Metadata", "TaskToken")

PIECES = st.lists(
    st.sampled_from(
        [
            '"',
            "\\",
            '\\"',
            "\\\\",
            "[",
            "]",
            "{",
            "}",
            ",",
            ":",
            " ",
            "\n",
            "x",
            "1",
            "é",
            "😀",
            '"a":',
            "\ud800",
        ]
    ),
    min_size=1,
    max_size=8,
).map("".join)


@st.composite
def hostile_texts(draw: st.DrawFn, *, longest: int) -> str:
    """Repeat a few pieces, each up to a size: unclosed strings, quotes, brackets, backslashes."""
    parts = draw(st.lists(st.tuples(PIECES, st.integers(1, longest)), min_size=1, max_size=3))
    return "".join((piece * (size // len(piece) + 1))[:size] for piece, size in parts)[:longest]


@given(hostile_texts(longest=3_000))
@example(POISONS[0])
@example(POISONS[1])
@example(POISONS[4])
def test_the_search_for_brackets_reads_each_character_once(text: str) -> None:
    index = 0

    while index < len(text):
        match = NOT_A_BRACKET.match(text, index)
        # Without a match, the search continues one character later. That happens only at a bracket
        assert match is not None or text[index] in "[]{}"
        index = index + 1 if match is None else match.end()

    assert index == len(text)


def requests_of(text: str) -> dict[str, str]:
    """Return requests that contain a text in different fields."""
    in_content = json.dumps(valid_fields(ContentType="application/json", Content=text))
    return {
        "the body": text,
        "Content": in_content,
        "Content, and the body is cut off": in_content[: -len(in_content) // 8],
        "an echoed field": json.dumps(valid_fields(Metadata={"note": text}, TaskToken=text, Content="")),
        "an unknown field": json.dumps(valid_fields(**{f"{text}!": text})),
    }


@given(hostile_texts(longest=30_000))
@example(POISONS[0])
@example(POISONS[1])
@example(POISONS[3])
def test_a_text_is_parsed_once_and_each_part_at_most_once_more(text: str) -> None:
    for body in requests_of(text).values():
        with counted_effort() as effort:
            parse_request(body, client_token="derived").text_with_client_token()

        # Once as a whole, and once the JSON text in Content: at most 16,384 bytes
        assert effort.json[:1] in ([], [len(body)])
        assert effort.brackets[:1] in ([], [len(body)], effort.json[1:])
        assert sum(effort.json[1:]) <= FIELDS["Content"]["x-max-bytes"]
        assert sum(effort.brackets[1:]) <= FIELDS["Content"]["x-max-bytes"]
        # Once for the request. If it is invalid: once for the echoed fields, and again for each invalid one
        assert effort.schema_runs <= 2 + len(ECHOED)


@pytest.mark.parametrize("body", POISONS, ids=lambda body: f"{body[:8]}... {len(body)}")
@pytest.mark.parametrize("size", [MAX_TEXT + 1, MIB])
def test_a_text_that_is_longer_than_any_valid_request_is_not_parsed(body: str, size: int) -> None:
    text = (body * (size // len(body) + 1))[:size]

    with counted_effort() as effort:
        parsed = parse_request(text, client_token="derived")

    assert effort == Effort()
    assert isinstance(parsed.request, InvalidRequestError)
    assert parsed.request.reason == f"The request is longer than {MAX_TEXT} characters"
    assert parsed.text_with_client_token() == text


def escaped(text: str) -> str:
    """Write every character of a text as JSON escapes."""
    units = text.encode("utf-16-be").hex()
    return '"' + "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4)) + '"'


def test_the_longest_valid_request_is_parsed_with_every_character_escaped() -> None:
    fields = {
        "ConnectionToken": SEALED.ljust(FIELDS["ConnectionToken"]["maxLength"], "t"),
        "ContentType": "text/markdown",
        "Content": "c" * FIELDS["Content"]["x-max-split-bytes"],
        "ClientToken": "😀" * FIELDS["ClientToken"]["maxLength"],
        "ContactId": "c" * FIELDS["ContactId"]["maxLength"],
        "ExpiresAt": "2026-01-31T12:00:00.123456789+00:00",
        "TaskToken": "😀" * FIELDS["TaskToken"]["maxLength"],
    }
    metadata = {f"{number}": "m" * 203 for number in range(10)}
    written = [f"{escaped(name)} : {escaped(value)}" for name, value in fields.items()]
    entries = ", ".join(f"{escaped(name)} : {escaped(value)}" for name, value in metadata.items())
    written.append(f"{escaped('SplitAt')} : 16384")
    text = "{ " + " ,\n".join([*written, f"{escaped('Metadata')} : {{ {entries} }}"]) + " }"

    parsed = parse_request(text, client_token=None, content_limits="service")

    assert set(json.loads(text)) == set(FIELDS)
    assert isinstance(parsed.request, SendMessageRequest)
    assert MAX_TEXT * 0.8 < len(text) <= MAX_TEXT
