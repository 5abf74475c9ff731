"""The contract: valid requests, and the reasons why others are invalid."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from message_sender.errors import InvalidRequestError
from message_sender.request import (
    MAX_TEXT,
    Correlation,
    ParsedRequest,
    Secret,
    SendMessageRequest,
    derive_client_token,
    parse_request,
)
from message_sender.schema import SCHEMA, ViolationError, validator
from tests.support.lambda_events import TEXT, TOKEN, request

if TYPE_CHECKING:
    from message_sender.request import ContentLimits

MARKDOWN = "text/markdown"
JSON = "application/json"
INTERACTIVE = "application/vnd.amazonaws.connect.message.interactive.response"


class Options(TypedDict, total=False):
    client_token: str | None
    content_limits: ContentLimits
    task_token_allowed: bool


def parse(body: object, **options: Unpack[Options]) -> ParsedRequest:
    text = body if isinstance(body, str) else json.dumps(body)
    options.setdefault("client_token", "derived")
    return parse_request(text, **options)


def valid(body: object, **options: Unpack[Options]) -> SendMessageRequest:
    parsed = parse(body, **options)
    assert isinstance(parsed.request, SendMessageRequest), parsed.request
    return parsed.request


def reason_of(body: object, **options: Unpack[Options]) -> str:
    parsed = parse(body, **options)
    assert isinstance(parsed.request, InvalidRequestError)
    return parsed.request.reason


def test_a_request_with_every_field_is_read() -> None:
    body = request(
        ClientToken="t-1",
        ContactId="c-1",
        ExpiresAt="2026-01-31T13:00:00+01:00",
        TaskToken="task",
        Metadata={"order": "4711"},
    )

    parsed = parse(body)

    message = valid(body)
    assert message.connection_token.reveal() == TOKEN
    assert message.content_type == "text/plain"
    assert message.content.reveal() == TEXT
    assert message.client_token == "t-1"
    assert message.contact_id == "c-1"
    assert str(message.expires_at) == "2026-01-31 13:00:00+01:00"
    assert parsed.task_token is not None
    assert parsed.task_token.reveal() == "task"
    assert parsed.correlation == Correlation(
        client_token="t-1", contact_id="c-1", content_type="text/plain", metadata={"order": "4711"}
    )


def test_a_missing_client_token_is_derived() -> None:
    assert valid(request()).client_token == "derived"


def test_a_derived_client_token_depends_only_on_queue_and_message() -> None:
    token = derive_client_token("arn:aws:sqs:eu-central-1:0:q", "id-1")

    assert token == derive_client_token("arn:aws:sqs:eu-central-1:0:q", "id-1")
    assert token != derive_client_token("arn:aws:sqs:eu-central-1:0:q", "id-2")
    assert token != derive_client_token("arn:aws:sqs:eu-central-1:0:r", "id-1")


def test_the_derivation_of_client_tokens_never_changes() -> None:
    # A message that is in a queue during an upgrade must keep its identity
    assert derive_client_token("arn", "id") == "2b0e6434-ef44-52cd-9cfa-4c5c6577405b"


@pytest.mark.parametrize(
    ("content_type", "most"), [("text/plain", 1024), (MARKDOWN, 1024), (JSON, 12000), (INTERACTIVE, 12288)]
)
def test_each_content_type_has_the_length_limit_of_the_specification(content_type: str, most: int) -> None:
    longest = json.dumps("x" * (most - 2)) if content_type == JSON else "x" * most

    assert valid(request(ContentType=content_type, Content=longest))
    assert reason_of(request(ContentType=content_type, Content=f"{longest} ")) == (
        f"Content is longer than {most} characters for {content_type} (content_limits=specification)"
    )


@pytest.mark.parametrize("content_type", ["text/plain", MARKDOWN, INTERACTIVE])
def test_the_service_limits_allow_the_lengths_that_the_service_accepts(content_type: str) -> None:
    longest = "x" * 16384

    assert valid(request(ContentType=content_type, Content=longest), content_limits="service")
    assert reason_of(request(ContentType=content_type, Content=longest + "x"), content_limits="service") == (
        "Content is longer than 16384 bytes of UTF-8 (content_limits=service)"
    )


def test_limits_apply_to_code_points_and_to_bytes() -> None:
    assert valid(request(Content="😀" * 1024))
    assert "16384 bytes" in reason_of(request(ContentType=INTERACTIVE, Content="😀" * 4097))


@pytest.mark.parametrize("content", ['{"a": [1, 2.5, null]}', '"text"', "17", "1" * 5000, " true "])
def test_application_json_accepts_any_json_text(content: str) -> None:
    assert valid(request(ContentType=JSON, Content=content))


@pytest.mark.parametrize("content", ["{", "{'a': 1}", "NaN", "[1,]", "-Infinity", "nothing"])
def test_application_json_rejects_other_text(content: str) -> None:
    assert reason_of(request(ContentType=JSON, Content=content)) == (
        "Content must be JSON text for application/json"
    )


def test_json_content_that_is_nested_too_deeply_is_invalid() -> None:
    assert valid(request(ContentType=JSON, Content="[" * 64 + "]" * 64))
    assert reason_of(request(ContentType=JSON, Content="[" * 65 + "]" * 65)) == (
        "Content is nested more than 64 levels deep for application/json"
    )


TOO_MANY = {f"key-{number}": "x" for number in range(11)}

ONLY_FOR = "SplitAt is only for text/plain and text/markdown"
BROKEN_RULES: list[tuple[dict[str, Any], str]] = [
    ({"ConnectionToken": ...}, "ConnectionToken is required"),
    ({"ContentType": ...}, "ContentType is required"),
    ({"Content": ...}, "Content is required"),
    ({"ConnectionToken": ""}, "ConnectionToken must not be empty"),
    ({"ConnectionToken": "t" * 1001}, "ConnectionToken is longer than 1000 characters"),
    ({"ConnectionToken": "a b"}, "ConnectionToken must be visible ASCII characters only"),
    ({"ConnectionToken": "a\r\nX-Evil: 1"}, "ConnectionToken must be visible ASCII characters only"),
    ({"ConnectionToken": "a\n"}, "ConnectionToken must be visible ASCII characters only"),
    ({"ConnectionToken": "tökén"}, "ConnectionToken must be visible ASCII characters only"),
    ({"ConnectionToken": 7}, "ConnectionToken must be a string"),
    ({"ConnectionToken": None}, "ConnectionToken must be a string"),
    (
        {"ContentType": "text/html"},
        f"ContentType must be one of text/plain, {MARKDOWN}, {JSON}, {INTERACTIVE}",
    ),
    ({"ContentType": ["text/plain"]}, "ContentType must be a string"),
    ({"Content": ""}, "Content must not be empty"),
    ({"Content": {"text": "hi"}}, "Content must be a string"),
    ({"Content": None}, "Content must be a string"),
    ({"Content": True}, "Content must be a string"),
    ({"ClientToken": ""}, "ClientToken must not be empty"),
    ({"ClientToken": "t" * 501}, "ClientToken is longer than 500 characters"),
    ({"ClientToken": None}, "ClientToken must be a string"),
    ({"ContactId": ""}, "ContactId must not be empty"),
    ({"ContactId": "c" * 129}, "ContactId is longer than 128 characters"),
    ({"ContactId": "a/b"}, "ContactId must be letters, digits and hyphens only"),
    (
        {"ExpiresAt": "2026-01-31 12:00"},
        "ExpiresAt must be an RFC 3339 time with offset, such as 2026-01-31T12:00:00Z",
    ),
    (
        {"ExpiresAt": "2026-01-31T12:00:00"},
        "ExpiresAt must be an RFC 3339 time with offset, such as 2026-01-31T12:00:00Z",
    ),
    ({"ExpiresAt": "2026-02-30T12:00:00Z"}, "ExpiresAt is not a time that exists"),
    ({"ExpiresAt": "2026-01-31T12:61:00Z"}, "ExpiresAt is not a time that exists"),
    ({"ExpiresAt": "9999-12-31T23:59:60Z"}, "ExpiresAt is not a time that exists"),
    ({"ExpiresAt": 1769860800}, "ExpiresAt must be a string"),
    ({"ExpiresAt": "2" * 65}, "ExpiresAt is longer than 64 characters"),
    ({"TaskToken": ""}, "TaskToken must not be empty"),
    ({"TaskToken": "t" * 2049}, "TaskToken is longer than 2048 characters"),
    ({"Metadata": []}, "Metadata must be an object"),
    ({"Metadata": TOO_MANY}, "Metadata has more than 10 entries"),
    ({"Metadata": {"": "x"}}, "A key of Metadata must be 1 to 64 characters long"),
    ({"Metadata": {"k" * 65: "x"}}, "A key of Metadata must be 1 to 64 characters long"),
    ({"Metadata": {"a": 7}}, "A value of Metadata must be a string"),
    ({"Metadata": {"a": "x" * 257}}, "A value of Metadata is longer than 256 characters"),
    (
        {"Metadata": {f"{n}": "ü" * 256 for n in range(5)}},
        "Metadata is longer than 2048 bytes of UTF-8 in all",
    ),
    ({"SplitAt": "256"}, "SplitAt must be an integer"),
    ({"SplitAt": True}, "SplitAt must be an integer"),
    ({"SplitAt": None}, "SplitAt must be an integer"),
    ({"SplitAt": 256.5}, "SplitAt must be an integer"),
    ({"SplitAt": 10**400}, "SplitAt must be an integer"),
    ({"SplitAt": 255}, "SplitAt must be at least 256"),
    ({"SplitAt": -(10**30)}, "SplitAt must be at least 256"),
    ({"SplitAt": 16_385}, "SplitAt must be at most 16384"),
    (
        {"SplitAt": 1025},
        "SplitAt is more than 1024 characters for text/plain (content_limits=specification)",
    ),
    ({"SplitAt": 256, "ContentType": JSON, "Content": "{}"}, ONLY_FOR),
    ({"SplitAt": 256, "ContentType": INTERACTIVE}, ONLY_FOR),
    (
        {"SplitAt": 1024, "Content": "é" * 32_769},
        "Content is longer than 65536 bytes of UTF-8 (with SplitAt)",
    ),
    ({"SplitAt": 256, "Content": "x" * 2561}, "Content needs more than 10 parts of 256 characters (SplitAt)"),
    (
        {"SplitAt": 256, "Content": "e" + "\u0301" * 256},
        "Content contains a grapheme of more than 256 characters or 16384 bytes of UTF-8 (SplitAt)",
    ),
    (
        {"SplitAt": 256, "Content": "\ud800"},
        "Content is not valid Unicode: it contains half of a surrogate pair",
    ),
    ({"Text": "hi"}, "The request has an unknown field"),
    ({f"{TOKEN}=": "x"}, "The request has an unknown field"),
]


@pytest.mark.parametrize(("fields", "reason"), BROKEN_RULES)
def test_the_reason_names_the_field_and_the_broken_rule(fields: dict[str, Any], reason: str) -> None:
    assert reason_of(request(**fields)) == reason


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("content", "Content"),
        ("Contentt", "Content"),
        ("Contnet", "Content"),
        ("Contant", "Content"),
        ("ClientTokn", "ClientToken"),
        ("client_token", "ClientToken"),
        ("connection-token", "ConnectionToken"),
        ("METADATA", "Metadata"),
        ("xContactId", "ContactId"),
    ],
)
def test_the_reason_suggests_the_field_for_a_misspelt_name(name: str, known: str) -> None:
    assert reason_of(request(**{name: "x"})) == (
        f"{name} is not a field of the request: did you mean {known}?"
    )


@pytest.mark.parametrize(
    "name",
    [
        "hunter2-Geheim",
        "PIN4711",
        "Content 4711",
        "Content4711",
        "ConnectionToken12",
        "C-o-n-t-e-n-t-----",
        "Cöntent",
        "Conten\x1b",
        "Content4",
        "Content\n",
        "Cont\x9bent",
        "",
        "x" * 100_000,
        "Tent",
    ],
)
def test_the_reason_does_not_quote_a_key_that_could_hold_a_secret(name: str) -> None:
    assert reason_of(request(**{name: "x"})) == "The request has an unknown field"


@pytest.mark.parametrize("body", ["[]", '"text"', "7", "null", "true", "1" * 5000])
def test_json_text_of_another_type_is_invalid(body: str) -> None:
    assert reason_of(body) == "The request must be a JSON object"


@pytest.mark.parametrize(
    "body", ["", " ", "{", "junk", "{'a': 1}", '{"a": NaN}', "\x00", "x" * 100_000, "\ufeff{}"]
)
def test_text_that_is_not_json_is_invalid(body: str) -> None:
    assert reason_of(body) == "The request is not valid JSON"


@pytest.mark.parametrize(
    "body", ["[" * 100_000, '{"a":' * 20_000, json.dumps(request())[:-1] + ',"M":' + "[" * 99_999]
)
def test_deep_nesting_is_invalid(body: str) -> None:
    assert reason_of(body) == "The request is nested more than 64 levels deep"


@pytest.mark.parametrize("text", ["[" * 500, "{" * 500, '"' + "[{" * 200, "\\" * 99 + "[" * 99])
def test_brackets_in_a_string_do_not_count_as_nesting(text: str) -> None:
    assert valid(request(Content=text)).content.reveal() == text


def test_many_values_on_one_level_do_not_count_as_nesting() -> None:
    assert valid(request(ContentType=JSON, Content=json.dumps([[[]] * 500, {"a": "]"}])))


def test_a_repeated_field_is_invalid() -> None:
    body = json.dumps(request())[:-1] + ', "Content": "other"}'

    assert reason_of(body) == "Content is given more than once"


def test_the_reason_does_not_quote_a_repeated_key_that_is_not_a_field() -> None:
    body = '{"ConnectionToken": "t", "ContentType": "text/plain", "Content": {"hunter2": 1, "hunter2": 2}}'

    assert reason_of(body) == "A field is given more than once"


@pytest.mark.parametrize("name", ["ClientToken", "Content"])
def test_half_of_a_surrogate_pair_is_invalid(name: str) -> None:
    assert reason_of(request(**{name: "a\ud83d"})) == (
        f"{name} is not valid Unicode: it contains half of a surrogate pair"
    )


@pytest.mark.parametrize("metadata", [{"a": "\ud83d"}, {"\ude00": "a"}])
def test_half_of_a_surrogate_pair_in_metadata_is_invalid(metadata: dict[str, str]) -> None:
    assert "Metadata is not valid Unicode" in reason_of(request(Metadata=metadata))


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31t12:00:00.123456789z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        "2016-12-31T23:59:60Z",
    ],
)
def test_any_rfc_3339_time_is_accepted(time: str) -> None:
    expires_at = valid(request(ExpiresAt=time)).expires_at

    assert expires_at is not None
    assert expires_at.tzinfo is not None


LONG = " ".join(f"word-{number:03}" for number in range(150))


def test_a_long_text_is_cut_into_parts_under_client_tokens_that_depend_on_its_own() -> None:
    message = valid(request(Content=LONG, SplitAt=512, ExpiresAt="2026-01-31T13:00:00Z"))

    parts, other = message.parts, valid(request(Content=LONG, SplitAt=512, ClientToken="other")).parts

    assert message.content.reveal() == LONG
    assert " ".join(part.content.reveal() for part in parts) == LONG
    assert [len(part.content.reveal()) for part in parts] == [512, 512, 323]
    assert len({part.client_token for part in (message, *parts, *other)}) == 7
    assert [part.expires_at for part in parts] == [message.expires_at, None, None]
    assert {part.connection_token.reveal() for part in parts} == {TOKEN}
    assert all(part.parts == (part,) for part in parts)


def test_the_client_tokens_of_parts_never_change() -> None:
    # Parts that were sent before an upgrade must keep their identity
    assert [part.client_token for part in valid(request(Content=LONG, SplitAt=1024)).parts] == [
        "9207cf1e-8c8f-5506-a9f7-a31d61e3d41c",
        "22dbd83a-8a08-5bec-92c5-c4b07191783d",
    ]


@pytest.mark.parametrize("content", ["x", "x" * 1024, "é" * 1024, " " * 1024, "😀" * 1024])
def test_a_text_that_fits_is_one_part_under_its_own_client_token(content: str) -> None:
    message = valid(request(Content=content, SplitAt=1024, ClientToken="own"))

    assert message.parts == (message,)
    assert message.is_split
    assert not valid(request(Content="x")).is_split


@pytest.mark.parametrize("split_at", ["512", "512.0", "5.12e2", "51200E-2"])
def test_an_integer_may_be_written_in_any_way(split_at: str) -> None:
    text = json.dumps(request(Content=LONG))[:-1] + f', "SplitAt": {split_at}' + "}"

    assert len(valid(text).parts) == 3


def test_the_service_limits_allow_parts_of_any_length() -> None:
    message = valid(request(Content="x " * 32_768, SplitAt=16_384), content_limits="service")

    assert [len(part.content.reveal()) for part in message.parts] == [16_383, 16_383, 16_383, 16_384]
    assert reason_of(request(Content="x" * 16_385), content_limits="service").startswith("Content is longer")


def test_a_part_has_no_more_bytes_than_the_service_accepts() -> None:
    message = valid(request(Content="😀" * 16_384, SplitAt=16_384), content_limits="service")

    assert [len(part.content.reveal().encode()) for part in message.parts] == [16_384] * 4


def test_a_task_token_is_invalid_for_a_source_that_completes_no_tasks() -> None:
    reason = reason_of(request(TaskToken="task"), task_token_allowed=False)

    assert reason.startswith("TaskToken is not used here")


def test_a_client_token_is_required_if_none_can_be_derived() -> None:
    reason = reason_of(request(), client_token=None)

    assert reason.startswith("ClientToken is required here: each retry of a synchronous call")


@pytest.mark.parametrize("sealed", ["sealed:", "sealed:QUJD", "sealed:?", f"sealed:{'A' * 2041}"])
def test_a_sealed_token_requires_a_contact(sealed: str) -> None:
    message = valid(request(ConnectionToken=sealed, ContactId="c-1"))

    assert message.is_sealed
    assert message.connection_token.reveal() == sealed
    assert reason_of(request(ConnectionToken=sealed)) == "ContactId is required with a sealed ConnectionToken"


@pytest.mark.parametrize(
    ("token", "most"), [("a", 1000), ("sealed", 1000), ("Sealed:", 1000), ("sealed:", 2048)]
)
def test_only_a_sealed_token_may_be_longer(token: str, most: int) -> None:
    longest = token.ljust(most, "A")

    assert valid(request(ConnectionToken=longest, ContactId="c-1")).is_sealed is (token == "sealed:")
    assert reason_of(request(ConnectionToken=f"{longest}A", ContactId="c-1")) == (
        f"ConnectionToken is longer than {most} characters"
    )


@pytest.mark.parametrize("token", ["sealed:with space", "sealed:é", "sealed:a\n"])
def test_a_sealed_token_has_the_characters_of_a_clear_one(token: str) -> None:
    assert reason_of(request(ConnectionToken=token, ContactId="c-1")) == (
        "ConnectionToken must be visible ASCII characters only"
    )


def test_the_group_of_a_sealed_message_is_its_contact() -> None:
    assert parse(request(ConnectionToken="sealed:QUJD", ContactId="c-1")).message_group == "c-1"


def test_every_rule_of_the_schema_has_a_reason() -> None:
    # A new keyword needs a sentence in `_reason` and a line in BROKEN_RULES
    keywords = {keyword for field in SCHEMA["properties"].values() for keyword in field}

    rules = {keyword for keyword in keywords if not keyword.startswith("x-")} - {"description"}

    assert rules == {
        "type", "minLength", "maxLength", "pattern", "enum",
        "maxProperties", "propertyNames", "additionalProperties", "minimum", "maximum",
    }  # fmt: skip


@pytest.mark.parametrize(
    "field", [{"Content": [TEXT]}, {"ConnectionToken": f"{TOKEN} "}, {"Metadata": {"note": f"{TEXT}\n" * 99}}]
)
def test_a_violation_does_not_hold_the_value(field: dict[str, object]) -> None:
    with pytest.raises(ViolationError) as raised:
        validator()(request() | field)

    held = f"{raised.value!r} {vars(raised.value)} {raised.value.args}"
    assert TEXT not in held
    assert TOKEN not in held


def test_secrets_are_hidden_in_texts_of_objects() -> None:
    parsed = parse(request(TaskToken="my-task-token"))

    shown = f"{parsed} {parsed!r} {Secret('x')}"

    assert "task_token" not in shown
    for secret in (TEXT, TOKEN, "my-task-token"):
        assert secret not in shown


def test_a_result_repeats_only_the_valid_fields_of_an_invalid_request() -> None:
    body = request(
        Content="", ClientToken="t-1", ContactId="not valid!", ContentType="x", Metadata={"order": "4711"}
    )

    correlation = parse(body).correlation

    assert correlation == Correlation(client_token="t-1", metadata={"order": "4711"})


def test_a_result_repeats_no_field_of_a_request_with_a_repeated_field() -> None:
    body = json.dumps(request(ContactId="c-1", ClientToken="t-1"))[:-1] + ', "Content": "other"}'

    assert parse(body).correlation == Correlation(client_token="derived")


@pytest.mark.parametrize("content_type", ["text/plain", MARKDOWN, JSON, INTERACTIVE])
def test_a_result_repeats_the_content_type_of_an_invalid_request(content_type: str) -> None:
    assert parse(request(ContentType=content_type, Content="")).correlation.content_type == content_type


@pytest.mark.parametrize("body", ["junk", "[]", "{}", '{"ClientToken": 7}', '{"ClientToken": "\\ud83d"}'])
def test_a_result_has_the_derived_client_token_without_a_valid_one(body: str) -> None:
    assert parse(body).correlation == Correlation(client_token="derived")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"Content": "hi"}', '{"Content": "hi", "ClientToken": "t-1"}'),
        ('{"Content": "hi"} \n', '{"Content": "hi", "ClientToken": "t-1"}'),
        ("{}", '{"ClientToken": "t-1"}'),
        ("{ }", '{ "ClientToken": "t-1"}'),
        ('{"ClientToken": "own"}', '{"ClientToken": "own"}'),
        ('{"ClientToken": 7}', '{"ClientToken": 7}'),
        ('{"Content": 1, "Content": 2}', '{"Content": 1, "Content": 2}'),
        ('{"ClientToken": "own", "ClientToken": 7}', '{"ClientToken": "own", "ClientToken": 7}'),
        ("junk", "junk"),
        ("[]", "[]"),
        ('"}"', '"}"'),
        (" " * MAX_TEXT + "{}", " " * MAX_TEXT + "{}"),
    ],
)
def test_a_copy_contains_the_client_token(body: str, expected: str) -> None:
    assert parse(body, client_token="t-1").text_with_client_token() == expected


@given(
    st.dictionaries(st.text(), st.text() | st.integers() | st.none(), max_size=5),
    st.text(min_size=1),
    st.sampled_from([None, 2]),
)
def test_a_copy_is_the_request_plus_its_client_token(
    fields: dict[str, Any], token: str, indent: int | None
) -> None:
    text = json.dumps(fields, indent=indent)

    copy = json.loads(parse(text, client_token=token).text_with_client_token())

    assert copy == {"ClientToken": token} | fields


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ANY_REQUEST = st.fixed_dictionaries(
    {},
    optional={name: ANY_JSON | st.just(value) for name, value in SCHEMA["examples"][0].items()},
)


@given(st.text() | ANY_JSON.map(json.dumps) | ANY_REQUEST.map(json.dumps))
def test_any_text_is_a_valid_or_an_invalid_request(text: str) -> None:
    parsed = parse(text)

    assert isinstance(parsed.request, SendMessageRequest) or len(parsed.request.reason) < 200


@given(ANY_REQUEST)
def test_a_request_that_breaks_the_schema_is_invalid(fields: dict[str, Any]) -> None:
    validator = Draft7Validator(SCHEMA)

    parsed = parse(fields)

    assert isinstance(parsed.request, InvalidRequestError) or validator.is_valid(fields)


TEXT_OF = {
    "text/plain": st.text(min_size=1, max_size=1024),
    MARKDOWN: st.text(min_size=1, max_size=1024),
    JSON: (st.text(max_size=50) | st.integers() | st.lists(st.booleans())).map(json.dumps),
    INTERACTIVE: st.text(min_size=1, max_size=4096),
}
VALID = st.sampled_from(sorted(TEXT_OF)).flatmap(
    lambda content_type: st.fixed_dictionaries(
        {
            "ConnectionToken": st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1),
            "ContentType": st.just(content_type),
            "Content": TEXT_OF[content_type],
        },
        optional={
            "ClientToken": st.text(min_size=1, max_size=500),
            "ContactId": st.uuids().map(str),
            "ExpiresAt": st.datetimes(timezones=st.timezones()).map(
                lambda time: time.isoformat("T", "seconds")
            ),
            "Metadata": st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=20), max_size=5),
        },
    )
)
RFC_3339 = re.compile(SCHEMA["properties"]["ExpiresAt"]["pattern"])


@given(VALID)
def test_a_valid_request_keeps_every_value(fields: dict[str, Any]) -> None:
    # Some historic time zones have offsets with seconds, which RFC 3339 does not allow
    assume(RFC_3339.search(fields.get("ExpiresAt", "2026-01-31T12:00:00Z")))

    message = valid(fields)

    assert message.content.reveal() == fields["Content"]
    assert message.connection_token.reveal() == fields["ConnectionToken"]
    assert message.client_token == fields.get("ClientToken", "derived")
    assert parse(fields).correlation.metadata == fields.get("Metadata", {})


def test_the_examples_of_the_schema_are_valid() -> None:
    for example in SCHEMA["examples"]:
        assert valid(example)


@pytest.mark.parametrize(
    "text",
    [
        '{"TaskToken": "my-task"}',
        '{"TaskToken": "my-task", "Content": 7, "Unknown": {"TaskToken": "inner"}}',
        '{"Content": "a", "TaskToken": "my-task", "Content": "b"}',
        '{"Metadata": {"a": "b", "a": "c"}, "TaskToken": "my-task", "ConnectionToken": ""}',
    ],
)
def test_the_task_token_of_an_invalid_request_is_read(text: str) -> None:
    parsed = parse(text)
    task_token = parsed.task_token

    assert isinstance(parsed.request, InvalidRequestError)
    assert task_token is not None
    assert task_token.reveal() == "my-task"


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "not JSON",
        "",
        '["TaskToken", "my-task"]',
        '[["TaskToken", "my-task"]]',
        '"TaskToken"',
        '{"Metadata": {"TaskToken": "my-task"}}',
        '{"tasktoken": "my-task"}',
        '{"TaskToken": ""}',
        '{"TaskToken": null}',
        '{"TaskToken": ["my-task"]}',
        '{"TaskToken": {"a": "b"}}',
        '{"TaskToken": "\\ud800"}',
        json.dumps({"TaskToken": "t" * 2049}),
        '{"TaskToken": "my-task", "TaskToken": "another"}',
        '{"TaskToken": "my-task", "TaskToken": "my-task"}',
        '{"TaskToken": "my-task", "a": NaN}',
        '{"TaskToken": "my-task", "a": ' + "[" * 65 + "]" * 65 + "}",
    ],
)
def test_an_invalid_or_repeated_task_token_is_not_read(text: str) -> None:
    assert parse(text).task_token is None


JSON_WITH_TASK_TOKENS = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("TaskToken"), inner),
    max_leaves=10,
)


@given(st.text() | JSON_WITH_TASK_TOKENS.map(json.dumps))
def test_any_text_can_be_searched_for_a_task_token(text: str) -> None:
    task_token = parse(text).task_token

    assert task_token is None or json.loads(text)["TaskToken"] == task_token.reveal() != ""


@given(st.text(min_size=1, max_size=2048))
def test_valid_and_invalid_requests_have_the_same_task_token(task_token: str) -> None:
    for parsed in (parse(request(TaskToken=task_token)), parse(request(TaskToken=task_token, Content=...))):
        assert parsed.task_token is not None
        assert parsed.task_token.reveal() == task_token
