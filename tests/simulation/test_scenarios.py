"""The promise holds in a short run of everything and in each named situation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.simulation.scenarios import SCENARIOS, bus_outage

if TYPE_CHECKING:
    from tests.simulation.scenarios import Scenario


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_the_promise_holds(scenario: Scenario, seed: int) -> None:
    assert scenario(seed) == {}


def test_a_result_that_is_published_again_is_not_late() -> None:
    assert bus_outage(1542) == {}
