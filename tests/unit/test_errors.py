"""The tree of errors. Its names are public."""

from __future__ import annotations

import json

import pytest

from message_sender import errors
from message_sender.errors import AwsCallError, DeliveryError, RejectedError, RetryableError
from tests.support.errors import leaves
from tests.support.schemas import RESULT_SCHEMA


def test_each_code_of_the_result_event_is_the_name_of_an_error() -> None:
    [variant] = [item for item in RESULT_SCHEMA["properties"]["Error"]["oneOf"] if item["type"] == "object"]
    codes = variant["properties"]["Code"]["enum"]

    assert sorted(f"{code}Error" for code in codes) == sorted(leaf.__name__ for leaf in leaves(DeliveryError))


def test_the_public_names_do_not_change() -> None:
    # State machines match these names
    assert [leaf.__name__ for leaf in leaves(RejectedError)] == [
        "InvalidRequestError", "TokenUnreadableError", "ServiceValidationError", "AccessDeniedError",
        "ExpiredError", "ProcessingRejectedError", "UnexpectedResponseError",
    ]  # fmt: skip
    assert [leaf.__name__ for leaf in leaves(RetryableError)] == [
        "ThrottledError", "ServiceUnavailableError", "ConnectionFailedError", "KeyUnavailableError",
        "DeadlineExceededError",
    ]  # fmt: skip


def test_the_docstring_draws_every_error() -> None:
    drawn = errors.__doc__ or ""

    classes = [
        value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)
    ]

    assert len(classes) > 10
    assert [cls.__name__ for cls in classes if cls.__name__ not in drawn] == []


def test_the_code_of_an_error_is_its_name_without_error() -> None:
    assert errors.ThrottledError("slow down").code == "Throttled"


@pytest.mark.parametrize(
    ("status", "name", "retryable"),
    [
        (None, "ReadTimeoutError", True),
        (500, "InternalFailure", True),
        (503, "ServiceUnavailable", True),
        (408, "RequestTimeout", True),
        (425, "TooEarly", True),
        (429, "TooManyRequestsException", True),
        (400, "ThrottlingException", True),
        (400, "RequestThrottled", True),
        (400, "InvalidParameterValue", False),
        (403, "AccessDeniedException", False),
    ],
)
def test_the_error_of_an_aws_call_is_retryable_by_status_and_name(
    status: int | None, name: str, retryable: bool
) -> None:
    assert AwsCallError("PutEvents", name=name, http_status=status).retryable is retryable


def test_the_error_of_a_defect_names_its_type_and_not_its_text() -> None:
    error = errors.InternalError.caused_by(KeyError("a-secret"))

    assert "a-secret" not in json.dumps([str(error), repr(error)])
    assert "KeyError" in str(error)
