"""The option `maximum_age_minutes`: the start of the age, and the calls that are exempt."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.functional.conftest import function_on_fake_service
from tests.support.lambda_events import api_request, bus_event, record, request

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.functional.conftest import FunctionOnFakeService

TOO_OLD = "The message is older than maximum_age_minutes"
MINUTE = 60.0
EVENT_ID = "6a7e8feb-b491-4cf7-a9f1-bf3703467718"


@pytest.fixture
def function() -> Iterator[FunctionOnFakeService]:
    with function_on_fake_service(MAXIMUM_AGE_MINUTES="5") as running:
        yield running


def moment(*, ago: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=ago)).isoformat()


def origin(*, ago: float) -> dict[str, str]:
    """Return the attributes of a message that the function has enqueued for a retry."""
    return {"EventSource": "eventbridge", "SourceId": EVENT_ID, "AcceptedAt": moment(ago=ago)}


def reasons(function: FunctionOnFakeService) -> list[str | None]:
    return [result["Error"] and result["Error"]["Reason"] for result in function.aws.results]


@pytest.mark.parametrize(
    ("age", "accepted_ago", "attributes", "expected"),
    [
        (4 * MINUTE, None, {}, None),
        (6 * MINUTE, None, {}, TOO_OLD),
        # An event is as old as its acceptance by the bus
        (1 * MINUTE, 6 * MINUTE, {}, TOO_OLD),
        (1 * MINUTE, 4 * MINUTE, {}, None),
        # A redrive starts the age again
        (1 * MINUTE, 6 * MINUTE, {"Redriven": "true"}, None),
        (6 * MINUTE, 6 * MINUTE, {"Redriven": "true"}, TOO_OLD),
        # A producer cannot extend the age
        (6 * MINUTE, None, {"Redriven": "true"}, TOO_OLD),
        (6 * MINUTE, 0, {}, TOO_OLD),
    ],
)
def test_message_of_the_queue_expires_by_its_age(
    function: FunctionOnFakeService,
    age: float,
    accepted_ago: float | None,
    attributes: dict[str, str],
    expected: str | None,
) -> None:
    accepted = {} if accepted_ago is None else origin(ago=accepted_ago)

    answer = function({"Records": [record(request(), age=age, attributes=accepted | attributes)]})

    assert answer == {"batchItemFailures": []}
    assert reasons(function) == [expected]
    assert len(function.service.requests) == (expected is None)


@pytest.mark.parametrize(
    ("ago", "expected"), [(4 * MINUTE, None), (6 * MINUTE, TOO_OLD), (-6 * MINUTE, None)]
)
def test_event_expires_by_its_time(function: FunctionOnFakeService, ago: float, expected: str | None) -> None:
    function(bus_event(request()) | {"time": moment(ago=ago)})

    assert reasons(function) == [expected]


def test_caller_who_waits_is_exempt(function: FunctionOnFakeService) -> None:
    function(request(ClientToken="c-1"))
    function(api_request(request(ClientToken="c-2")))

    assert reasons(function) == [None, None]


def test_no_message_expires_by_its_age_without_the_option() -> None:
    with function_on_fake_service() as function:
        function({"Records": [record(request(), age=3 * 24 * 60 * MINUTE)]})

        assert reasons(function) == [None]
