import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft4Validator, Draft7Validator

from infra.api_models import GATEWAY_ERRORS, QUEUE_FAILED, ApiError, model_in_words, request_model
from infra.contract import REQUEST_SCHEMA
from message_sender.errors import DeliveryError
from tests.support.errors import leaves
from tests.support.limits import MAX_BYTES, MAX_SPLIT_BYTES, above

# Keywords that API Gateway does not support or does not check:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
UNKNOWN = {"const", "format", "if", "then", "else", "oneOf", "$ref", "$id", "definitions", "propertyNames"}

REQUEST = {
    "ConnectionToken": "made-up",
    "ContentType": "text/plain",
    "Content": "Hello",
    "ClientToken": "order-1",
    "ContactId": "contact-1",
}

requests_of_the_contract = st.fixed_dictionaries(
    {
        "ConnectionToken": st.from_regex(r"[!-~]{1,1000}", fullmatch=True),
        "ContentType": st.sampled_from(REQUEST_SCHEMA["properties"]["ContentType"]["enum"]),
        "Content": st.text(min_size=1),
        "ContactId": st.from_regex(r"[A-Za-z0-9-]{1,128}", fullmatch=True),
    },
    optional={
        "ClientToken": st.text(min_size=1, max_size=500),
        "ExpiresAt": st.just("2026-01-31T12:00:00+01:00"),
        "SplitAt": st.integers(256, 16_384),
        "TaskToken": st.text(min_size=1, max_size=2048),
        "Metadata": st.dictionaries(st.text(min_size=1, max_size=64), st.text(max_size=256), max_size=10),
    },
)

MAX_METADATA = REQUEST_SCHEMA["properties"]["Metadata"]["maxProperties"]


def schemas(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a schema and the schemas in it."""
    yield schema
    for part in schema.get("properties", {}).values():
        yield from schemas(part)
    if isinstance(schema.get("additionalProperties"), Mapping):
        yield from schemas(schema["additionalProperties"])


@pytest.mark.parametrize("field", ["ContactId", "ClientToken"])
def test_model_is_draft_04_and_uses_only_keywords_of_api_gateway(field: str) -> None:
    model = request_model(REQUEST_SCHEMA, also_required=field)

    keywords = {keyword for schema in schemas(model) for keyword in schema}

    Draft4Validator.check_schema(model)
    assert model["$schema"] == "http://json-schema.org/draft-04/schema#"
    assert keywords & UNKNOWN == set()
    assert [keyword for keyword in keywords if keyword.startswith("x-")] == []


@pytest.mark.parametrize("field", ["ContactId", "ClientToken"])
def test_model_requires_one_more_field_than_the_contract(field: str) -> None:
    model = request_model(REQUEST_SCHEMA, also_required=field)

    assert model["required"] == ["ConnectionToken", "ContentType", "Content", field]


@given(requests_of_the_contract)
def test_model_accepts_every_request_that_the_contract_accepts(request: dict[str, Any]) -> None:
    model = request_model(REQUEST_SCHEMA, also_required="ContactId")
    Draft7Validator(REQUEST_SCHEMA).validate(request)

    Draft4Validator(model).validate(request)


@pytest.mark.parametrize(
    "change",
    [
        {"ConnectionToken": ""},
        {"ConnectionToken": "with space"},
        {"ConnectionToken": above("ConnectionToken")},
        {"ContentType": "text/html"},
        {"Content": ""},
        {"Content": {"an": "object"}},
        # Text with so many characters always has too many bytes
        {"Content": "x" * (MAX_SPLIT_BYTES + 1)},
        {"SplitAt": "256"},
        {"SplitAt": 255},
        {"SplitAt": 16_385},
        {"ContactId": "a&MessageGroupId=b"},
        {"ContactId": None},
        {"ExpiresAt": "tomorrow"},
        {"Metadata": {"key": 1}},
        {"Metadata": {str(number): "" for number in range(MAX_METADATA + 1)}},
        {"Unknown": "field"},
    ],
    ids=lambda change: str(change)[:60],
)
def test_model_refuses_simple_errors(change: dict[str, Any]) -> None:
    model = Draft4Validator(request_model(REQUEST_SCHEMA, also_required="ContactId"))
    assert model.is_valid(REQUEST)

    assert not model.is_valid(REQUEST | change)


def test_making_a_model_does_not_change_the_contract() -> None:
    before = json.dumps(REQUEST_SCHEMA)

    request_model(REQUEST_SCHEMA, also_required="ContactId")

    assert json.dumps(REQUEST_SCHEMA) == before


def test_model_in_words_has_every_field_with_its_type_and_rule() -> None:
    text = model_in_words(REQUEST_SCHEMA, also_required="ContactId")

    fields = REQUEST_SCHEMA["properties"]
    longest = {name: rules.get("maxLength") for name, rules in fields.items()}

    required, optional, unknown = text.split(". ")
    token = f"ConnectionToken (a string of 1 to {longest['ConnectionToken']} characters"
    assert required.startswith(f"It must be a JSON object with {token}")
    assert all(f"{name} (" in required for name in [*REQUEST_SCHEMA["required"], "ContactId"])
    assert optional.startswith(
        f"It may have ClientToken (a string of 1 to {longest['ClientToken']} characters)"
    )
    assert {name for name in REQUEST_SCHEMA["properties"] if f"{name} (" in text} == {
        *REQUEST_SCHEMA["properties"]
    }
    assert "text/markdown" in required
    contact_id = f"ContactId (a string of 1 to {longest['ContactId']} characters, must be letters, digits"
    assert f"{contact_id} and hyphens only)" in required
    assert f"Content (a string of 1 to {MAX_BYTES} bytes, with SplitAt {MAX_SPLIT_BYTES})" in required
    assert "SplitAt (an integer from 256 to 16384)" in optional
    assert f"Metadata (an object of at most {fields['Metadata']['maxProperties']} strings)" in optional
    assert unknown == "It must have no other field"


def test_refused_body_gets_the_rules_of_the_queue_route() -> None:
    reason = GATEWAY_ERRORS["BAD_REQUEST_BODY"].reason

    assert reason == f"The body is not valid. {model_in_words(REQUEST_SCHEMA, also_required='ContactId')}"
    assert "docs/" not in reason  # the caller has no copy of the repository


@pytest.mark.parametrize("error", [*GATEWAY_ERRORS.values(), QUEUE_FAILED])
def test_errors_of_the_api_have_the_shape_of_the_functions_errors(error: ApiError) -> None:
    assert json.loads(error.body) == {"Code": error.code, "Reason": error.reason, "ClientToken": None}


@pytest.mark.parametrize("error", [*GATEWAY_ERRORS.values(), QUEUE_FAILED])
def test_errors_of_the_api_quote_nothing_from_the_request(error: ApiError) -> None:
    assert "$" not in error.body


def test_api_has_the_codes_of_the_function_and_notauthorized() -> None:
    codes = {error.code for error in [*GATEWAY_ERRORS.values(), QUEUE_FAILED]}

    known = {leaf.__name__.removesuffix("Error") for leaf in leaves(DeliveryError)}

    assert codes - known == {"NotAuthorized"}
