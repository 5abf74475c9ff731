"""The description of the HTTP API is what the schemas say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft4Validator, Draft7Validator

from message_sender.errors import DeliveryError
from message_sender.event_sources.api_gateway import STATUS
from scripts.render_contract import OPENAPI, openapi
from tests.support.errors import leaves
from tests.support.schemas import RESULT_SCHEMA

DOCUMENT: dict[str, Any] = json.loads(OPENAPI.read_text(encoding="utf-8"))
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]

# What JSON Schema draft-07 has and the Schema Object of OpenAPI 3.0 has not
UNKNOWN_KEYWORDS = {"$schema", "$id", "const", "examples", "definitions", "propertyNames", "if"}


def operation(path: str) -> dict[str, Any]:
    post: dict[str, Any] = DOCUMENT["paths"][path]["post"]
    return post


def test_the_document_is_that_of_the_schemas() -> None:
    text = OPENAPI.read_text(encoding="utf-8")

    assert text == openapi(text), "run `make docs`"


def test_the_document_has_both_routes() -> None:
    assert {path: list(methods) for path, methods in DOCUMENT["paths"].items()} == {
        "/messages": ["post"],
        "/messages/sync": ["post"],
    }


@pytest.mark.parametrize(
    ("path", "required"), [("/messages", "ContactId"), ("/messages/sync", "ClientToken")]
)
def test_the_example_of_a_request_keeps_its_schema(path: str, required: str) -> None:
    body = operation(path)["requestBody"]["content"]["application/json"]
    schema = SCHEMAS[body["schema"]["$ref"].rpartition("/")[2]]

    Draft4Validator(schema).validate(body["example"])
    assert required in schema["required"]


def test_the_example_of_a_result_keeps_the_contract() -> None:
    answer = operation("/messages/sync")["responses"]["200"]["content"]["application/json"]

    Draft7Validator(RESULT_SCHEMA).validate(answer["example"])


def test_an_accepted_message_has_its_id() -> None:
    answer = operation("/messages")["responses"]["202"]["content"]["application/json"]

    assert answer["example"].keys() == {"MessageId"}
    assert SCHEMAS["AcceptedMessage"]["required"] == ["MessageId"]


def test_every_error_of_the_function_has_one_status() -> None:
    assert {error.__name__ for error in STATUS} == {leaf.__name__ for leaf in leaves(DeliveryError)}


def test_every_error_of_the_function_is_in_the_document() -> None:
    responses = operation("/messages/sync")["responses"]

    missing = [
        error.__name__
        for error, status in STATUS.items()
        if error.__name__.removesuffix("Error") not in responses[str(status)]["description"].split(" or ")
    ]

    assert missing == []


@pytest.mark.parametrize("path", ["/messages", "/messages/sync"])
def test_every_error_has_the_same_shape(path: str) -> None:
    shapes = {
        status: response["content"]["application/json"]["schema"]["$ref"]
        for status, response in operation(path)["responses"].items()
        if not status.startswith("2")
    }

    assert set(shapes.values()) == {"#/components/schemas/Error"}
    assert {"400", "403", "413", "429", "502", "504", "default"} <= shapes.keys()


def test_no_schema_says_what_openapi_does_not_know() -> None:
    def keywords(value: object) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*(keywords(part) for part in value.values()))
        return set()

    assert keywords(SCHEMAS) & UNKNOWN_KEYWORDS == set()
    assert not any(keyword.startswith("x-") for keyword in keywords(SCHEMAS))
