"""No output contains a token or the text of a message, in any field of an event or of an answer.

Outputs are log lines, metrics, other printed text, result events, answers and error texts. Copies for a
redrive contain the message on purpose, but a sealed token stays sealed there. Results repeat the ClientToken
and the metadata.
"""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import traceback
from contextlib import redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from message_sender.errors import MessageSenderError
from tests.functional.conftest import function_on_fake_service
from tests.support.fakes import FakeClock
from tests.support.kms import OTHER_KEY_ARN, TOKEN_KEY_ARN
from tests.support.lambda_events import api_request, bus_event, record, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.functional.conftest import FunctionOnFakeService

TEXT = "Große Straße 7, kidney nephritis; 48213976 is my PIN 😀😃"
TOKEN = "Xq9-Kv7_hunter2.Geheim+Zw4/Rt8=="
TASK_TOKEN = "tasktoken-Vb3nM6"
FRAGMENTS_OF_TOKEN = ("xq9-kv7", "hunter2", "geheim", "zw4/rt8")
FRAGMENTS = (
    *("große", "strasse", "straße", "kidney", "nephritis", "48213976", "😀"),
    *(*FRAGMENTS_OF_TOKEN, "tasktoken", "vb3nm6"),
)


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


ENCODINGS: dict[str, Callable[[str], str]] = {
    "unchanged": str,
    "upper case": str.upper,
    "percent-encoded": quote,
    "every byte percent-encoded": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "HTML-escaped": lambda text: "".join(f"&#{ord(character)};" for character in text),
    "JSON-escaped": escaped,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "in pieces": lambda text: " | ".join(text[start : start + 7] for start in range(0, len(text), 7)),
    "masked in the middle": lambda text: f"{text[:9]}***{text[-9:]}",
    "behind other characters": lambda text: "." * 294 + text,
    "half a surrogate pair": lambda text: f"{text[:-1]}\ud83d",
    "letters and digits only": lambda text: "".join(filter(str.isalnum, text)),
}


def readings(text: str) -> Iterator[str]:
    """Yield the texts that a reader could recover from an output."""
    text = text.encode(errors="replace").decode()
    yield text
    yield html.unescape(text)
    yield json.dumps(text)
    yield text.encode().decode("unicode_escape", errors="replace")


def leaks(output: str, pieces: Iterable[str] = ("😀", TEXT, TOKEN, *FRAGMENTS)) -> list[str]:
    """Return the pieces of a secret that are in an output, in any encoding."""
    spelt = {encode(piece).lower() for encode in ENCODINGS.values() for piece in pieces}
    sought = {piece for piece in spelt if piece == "😀" or len(piece) >= len("große")}
    read = "\n".join(readings(output)).lower()
    return sorted(piece for piece in sought if piece in read)


def output_of(function: FunctionOnFakeService, event: dict[str, Any]) -> str:
    """Handle an event. Return all printed text, the events, the answer or the error, and attributes."""
    printed = io.StringIO()
    function.aws.events.clear()
    function.aws.messages.clear()
    logging.getLogger().addHandler(everything := logging.StreamHandler(printed))
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            printed.write(json.dumps(function(event)))
    except MessageSenderError as error:
        printed.write("".join(traceback.format_exception(error)))  # as the runtime prints it
    finally:
        logging.getLogger().removeHandler(everything)
    attributes = [message.get("MessageAttributes") for message in function.aws.messages]
    return printed.getvalue() + json.dumps([function.aws.events, attributes])


@pytest.fixture(scope="module")
def shared_function() -> Iterator[FunctionOnFakeService]:
    with function_on_fake_service(clock=FakeClock()) as function:
        yield function


SENT: dict[str, Any] = {"Id": "m-1", "AbsoluteTime": "2026-01-31T12:00:00.000Z"}
ANSWERS: dict[str, Callable[[str], tuple[dict[str, str], object]]] = {
    "Message": lambda secret: ({}, {"Message": secret}),
    "message": lambda secret: ({}, {"message": f"The value '{secret}' at 'content' is wrong"}),
    "__type": lambda secret: ({}, {"__type": secret}),
    "code": lambda secret: ({}, {"code": f"{secret}:http://internal/"}),
    "Id": lambda secret: ({}, SENT | {"Id": f"!{secret}"}),
    "AbsoluteTime": lambda secret: ({}, SENT | {"AbsoluteTime": secret}),
    "status": lambda secret: ({}, SENT | {"MessageMetadata": {"MessageProcessingStatus": secret}}),
    "an unknown field": lambda secret: ({}, SENT | {secret: secret}),
    "a body that is not JSON": lambda secret: ({}, secret),
    "x-amzn-errortype": lambda secret: ({"x-amzn-errortype": secret}, {}),
    "x-amzn-requestid": lambda secret: ({"x-amzn-requestid": secret}, SENT),
    "Retry-After": lambda secret: ({"Retry-After": "48213976", "x-other": secret}, {}),
    "Location": lambda secret: ({"Location": f"/{secret}"}, {}),
    "Content-Encoding": lambda secret: ({"Content-Encoding": secret}, SENT),
    "a header line without a name": lambda secret: ({"x-a": f"b\r\n{secret} no colon"}, SENT),
    "the name of a header": lambda secret: ({"x-a": f"b\r\n{secret}: c"}, SENT),
}
STATUSES = (200, 202, 301, 400, 401, 403, 409, 413, 429, 500, 503)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    field=st.sampled_from(sorted(ANSWERS)),
    encoding=st.sampled_from(sorted(ENCODINGS)),
    status=st.sampled_from(STATUSES),
    secret=st.sampled_from([TEXT, TOKEN]),
    as_event=st.sampled_from(
        [
            lambda message: {"Records": [record(message)]},
            bus_event,
            lambda message: api_request(message | {"ClientToken": "c-1"}),
            lambda message: message | {"ClientToken": "c-1"},
        ]
    ),
)
def test_no_output_contains_a_secret_from_an_answer(
    shared_function: FunctionOnFakeService,
    field: str,
    encoding: str,
    status: int,
    secret: str,
    as_event: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    headers, body = ANSWERS[field](ENCODINGS[encoding](secret))
    shared_function.service.status = status
    shared_function.service.headers = {
        name: value.encode().decode("latin-1") for name, value in headers.items() if "\ud83d" not in value
    }
    shared_function.service.body = (body if isinstance(body, str) else json.dumps(body)).encode(
        errors="surrogatepass"
    )

    output = output_of(shared_function, as_event(request(ConnectionToken=TOKEN, Content=TEXT)))

    assert leaks(output) == []


VALID = request(ConnectionToken=TOKEN, Content=TEXT, ClientToken="c-1")
EVENTS: dict[str, Callable[[str], str]] = {
    "an unknown field": lambda secret: json.dumps(VALID | {secret: 1}),
    "a value of an unknown field": lambda secret: json.dumps(VALID | {"Contents": {"a": [secret]}}),
    "the type": lambda secret: json.dumps(VALID | {"ContentType": secret}),
    "a text of another type": lambda secret: json.dumps(VALID | {"Content": [secret]}),
    "a text that is too long": lambda secret: json.dumps(VALID | {"Content": secret * 300}),
    "a text that is not JSON": lambda secret: json.dumps(
        VALID | {"ContentType": "application/json", "Content": '{"a": ' + secret}
    ),
    "half a surrogate pair": lambda secret: json.dumps(VALID | {"Content": f"{secret}\ud83d"}),
    "a token of another type": lambda secret: json.dumps(VALID | {"ConnectionToken": {secret: secret}}),
    "a token with spaces": lambda secret: json.dumps(VALID | {"ConnectionToken": f"{secret} {secret}"}),
    "a task token": lambda secret: json.dumps(VALID | {"TaskToken": TASK_TOKEN, "Content": {"a": secret}}),
    "a contact": lambda secret: json.dumps(VALID | {"ContactId": f"!{secret}"}),
    "a time": lambda secret: json.dumps(VALID | {"ExpiresAt": secret}),
    "an id of another type": lambda secret: json.dumps(VALID | {"ClientToken": [secret]}),
    "metadata of another type": lambda secret: json.dumps(VALID | {"Metadata": {"a": [secret]}}),
    "a repeated field": lambda secret: json.dumps(VALID)[:-1] + f', "Content": {json.dumps(secret)}}}',
    "a repeated unknown field": lambda secret: f"{{{json.dumps(secret)}: 1, {json.dumps(secret)}: 2}}",
    "a body that is cut off": lambda secret: json.dumps(VALID | {"Content": secret})[:-3],
    "a body that is not an object": lambda secret: json.dumps([secret]),
    "a body that is not JSON": lambda secret: f"{secret} [",
    "a body that is nested too deeply": lambda secret: "[" * 70 + json.dumps(secret),
}


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    field=st.sampled_from(sorted(EVENTS)),
    encoding=st.sampled_from(sorted(ENCODINGS)),
    secret=st.sampled_from([TEXT, TOKEN]),
    source=st.sampled_from(["sqs", "eventbridge", "api_gateway", "direct", "a record of another source"]),
)
def test_no_output_contains_a_secret_from_an_invalid_message(
    shared_function: FunctionOnFakeService, field: str, encoding: str, secret: str, source: str
) -> None:
    body = EVENTS[field](ENCODINGS[encoding](secret))
    shared_function.service.status, shared_function.service.headers, shared_function.service.body = (
        403,
        {},
        b"",
    )
    try:
        fields = json.loads(body)
    except ValueError:
        fields = {}
    attributes = {"SourceId": secret, "EventSource": "sqs", "AcceptedAt": secret, secret[:5]: secret}
    event: dict[str, Any] = {
        "sqs": {"Records": [record(body, attributes=attributes)]},
        "eventbridge": bus_event(fields if isinstance(fields, dict) else {"Content": secret}),
        "api_gateway": api_request(body),
        "direct": fields if isinstance(fields, dict) else {"Content": secret},
        "a record of another source": {"Records": [record(body) | {"eventSource": secret}], secret: secret},
    }[source]

    output = output_of(shared_function, event)

    assert leaks(output) == []


@pytest.fixture(scope="module")
def function_with_key() -> Iterator[FunctionOnFakeService]:
    with function_on_fake_service(clock=FakeClock(), TOKEN_KEY_ARN=TOKEN_KEY_ARN) as function:
        yield function


FATES_OF_A_SEALED_TOKEN: dict[str, dict[str, Any]] = {
    "sent": {"status": 200},
    "refused": {"status": 403},
    "unavailable": {"status": 503},
    "for another chat": {"contact_id": "another"},
    "of another key": {"key": OTHER_KEY_ARN},
    "the key is disabled": {"kms": ["DisabledException"] * 2},
    "KMS fails": {"kms": [500] * 2},
    "KMS names the token": {"kms": ["Geheim"] * 2},
    "not a token after decryption": {"token": f"{TOKEN} {TOKEN}"},
}


@pytest.mark.parametrize("fate", FATES_OF_A_SEALED_TOKEN)
@pytest.mark.parametrize("source", ["sqs", "sqs, too old to wait", "eventbridge", "api_gateway", "direct"])
def test_neither_an_output_nor_a_queue_contains_a_sealed_token_in_clear(
    function_with_key: FunctionOnFakeService, source: str, fate: str
) -> None:
    plan: dict[str, Any] = {
        "status": 200,
        "contact_id": "c-1",
        "key": TOKEN_KEY_ARN,
        "kms": [],
        "token": TOKEN,
    }
    plan |= FATES_OF_A_SEALED_TOKEN[fate]
    function = function_with_key
    function.service.status, function.service.body = plan["status"], json.dumps(SENT).encode()
    function.aws.failures["Decrypt"] = [*plan.get("kms", [])]
    sealed = function.aws.kms.seal(plan["token"], contact_id=plan["contact_id"], key=plan["key"])
    message = VALID | {"ConnectionToken": sealed, "ContactId": "c-1", "TaskToken": TASK_TOKEN}
    without_task = {name: value for name, value in message.items() if name != "TaskToken"}
    event: dict[str, Any] = {
        "sqs": {"Records": [record(message)]},
        "sqs, too old to wait": {"Records": [record(message, age=1e9)]},
        "eventbridge": bus_event(message),
        "api_gateway": api_request(without_task),
        "direct": without_task,
    }[source]
    decryptions = function.aws.calls.count("Decrypt")

    output = output_of(function, event)

    assert leaks(output) == []
    assert leaks(json.dumps(function.aws.messages), (TOKEN, *FRAGMENTS_OF_TOKEN)) == []
    assert function.aws.calls.count("Decrypt") > decryptions


def test_the_search_for_leaks_finds_each_encoding() -> None:
    for name, encode in ENCODINGS.items():
        assert leaks(f"... {encode(TEXT)} ..."), name
        assert leaks(json.dumps({"reason": encode(TOKEN)})), name
