"""Operators in virtual time: commands run until nothing is left."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.simulation.fault_profiles import NO_FAULTS, Fault, FaultInjector, FaultProfile
from tests.simulation.models.clock import VirtualTime
from tests.simulation.models.operator import Operator

if TYPE_CHECKING:
    from collections.abc import Callable


class Desk:
    """An operator with commands that take three seconds each, and succeed at the n-th run."""

    def __init__(self, profile: FaultProfile = NO_FAULTS) -> None:
        self.time = VirtualTime()
        injector = FaultInjector(time=self.time, random=Random(1), profile=profile)
        self.operator = Operator(time=self.time, random=Random(2), injector=injector, services={})
        self.begun: list[str] = []
        self.done: list[str] = []

    def command(self, name: str, *, done_at: int = 1) -> Callable[[], bool]:
        def run() -> bool:
            self.begun.append(name)
            self.time.sleep(3)
            self.done.append(name)
            return self.done.count(name) >= done_at

        return run


def test_a_command_is_repeated_until_nothing_is_left_before_the_next_starts() -> None:
    desk = Desk()

    desk.operator.carry_out([desk.command("a", done_at=3), desk.command("b")])
    desk.time.run()

    assert desk.done == ["a", "a", "a", "b"]
    assert desk.time.monotonic() > 2 * 900  # an interrupted run hides its dead letters as long


def test_an_interrupted_run_is_repeated() -> None:
    desk = Desk({Fault.OPERATOR_CUT_OFF: 1.0})

    desk.operator.carry_out([desk.command("a")])
    desk.time.run()

    assert desk.begun == ["a"] * 12
    assert desk.done == []


def test_a_defect_in_a_command_is_reported() -> None:
    desk = Desk()

    def broken() -> bool:
        raise KeyError

    desk.operator.carry_out([broken])

    with pytest.raises(KeyError):
        desk.time.run()
