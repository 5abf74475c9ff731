"""Each mechanism broken on purpose is noticed, and by the check that is there for it."""

from __future__ import annotations

import pytest

from tests.faults.controls import CONTROLS, Control


@pytest.mark.parametrize("control", CONTROLS, ids=[control.broken for control in CONTROLS])
def test_a_broken_mechanism_turns_its_check_red(control: Control, seed: int) -> None:
    assert control.check in control.red_checks(seed)
