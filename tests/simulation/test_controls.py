"""Each mechanism broken on purpose is noticed, and by the check that is there for it."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from message_sender.event_sources.sqs import SqsSource
from tests.simulation.mutants import CONTROLS, Control
from tests.simulation.scenarios import slow_service


@pytest.mark.parametrize("control", CONTROLS, ids=[control.broken for control in CONTROLS])
def test_a_broken_mechanism_turns_its_check_red(control: Control, seed: int) -> None:
    assert control.check in control.red_checks(seed)


@pytest.mark.filterwarnings("ignore")  # such a function has no metrics, which Powertools warns of
def test_a_function_that_fails_on_every_batch_is_not_excused(seed: int) -> None:
    def broken(*_: object) -> None:
        raise KeyError

    with patch.object(SqsSource, "handle", broken):
        assert "net" in slow_service(seed)
