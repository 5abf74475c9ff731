"""PutEvents: complete, partial and failed calls."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from tests.simulation.fault_profiles import NO_FAULTS, Fault, FaultInjector, FaultProfile
from tests.simulation.models.aws import Bus
from tests.simulation.models.clock import VirtualTime
from tests.simulation.models.network import Request


def bus(profile: FaultProfile = NO_FAULTS) -> Bus:
    time = VirtualTime()
    return Bus(time, FaultInjector(time=time, random=Random(1), profile=profile))


def put_events(bus: Bus, entries: int, *, operation: str = "PutEvents") -> tuple[int, dict[str, Any]]:
    event = {"Source": "my.source", "DetailType": "My Type"}
    details = [event | {"Detail": json.dumps({"number": number})} for number in range(entries)]
    body = json.dumps({"Entries": details}).encode()
    answer = bus(Request("POST", "/", {"x-amz-target": f"AWSEvents.{operation}"}, body))
    return answer.status, json.loads(answer.body)


def numbers(bus: Bus) -> list[int]:
    return [detail["number"] for _, detail in bus.results]


def test_a_bus_keeps_the_events_that_it_accepts() -> None:
    accepting = bus()

    status, answer = put_events(accepting, 2)

    assert (status, answer["FailedEntryCount"]) == (200, 0)
    assert numbers(accepting) == [0, 1]
    assert accepting.envelopes[1] == ("my.source", "My Type", {"number": 1})


def test_a_bus_that_fails_in_part_names_the_failed_entries() -> None:
    failing = bus({Fault.BUS_FAILS_IN_PART: 1.0})

    _, answer = put_events(failing, 10)

    accepted = [number for number, entry in enumerate(answer["Entries"]) if "EventId" in entry]
    assert numbers(failing) == accepted
    assert 0 < answer["FailedEntryCount"] == 10 - len(accepted)


def test_a_failed_call_has_no_effect() -> None:
    failing = bus({Fault.BUS_FAILS: 1.0})

    put_events(failing, 1)

    assert numbers(failing) == []
    assert failing.injector.counts == {Fault.BUS_FAILS: 1}


def test_a_call_without_a_response_was_accepted() -> None:
    silent = bus({Fault.BUS_TIMES_OUT: 1.0})

    put_events(silent, 1)

    assert numbers(silent) == [0]
    assert silent.injector.counts == {Fault.BUS_TIMES_OUT: 1}


def test_an_operation_without_a_model_is_rejected() -> None:
    assert put_events(bus(), 1, operation="PutRule")[0] == 400
