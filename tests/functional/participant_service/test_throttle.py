"""The request limit and the request counts of the local participant service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandbox.participant_service.faults import Status

if TYPE_CHECKING:
    from sandbox.participant_service.server import RunningParticipantService
    from tests.functional.participant_service.conftest import FakeClock, Participant


def test_throttle_allows_a_burst_and_then_the_rate(
    running: RunningParticipantService, participant: Participant, clock: FakeClock
) -> None:
    running.api.throttle.set(4, burst=3)

    burst = participant.statuses("1234")
    clock.advance(0.25)
    after_one_interval = participant.statuses("45")
    clock.advance(60)
    after_a_minute = participant.statuses("5678")

    assert burst == [200, 200, 200, 429]
    assert after_one_interval == [200, 429]
    assert after_a_minute == [200, 200, 200, 429]


def test_throttle_can_be_turned_off(running: RunningParticipantService, participant: Participant) -> None:
    running.api.throttle.set(1, burst=1)
    participant.send()
    with pytest.raises(participant.client.exceptions.ThrottlingException):
        participant.send()

    running.api.throttle.off()

    participant.send()


def test_failed_requests_are_counted_too(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(Status(status=500))

    participant.statuses("112")
    participant.post({"ClientToken": "3", "Content": ""})

    assert running.api.requests == {"CreateParticipantConnection": 1, "SendMessage": 4}
    assert running.api.client_tokens == {"1": 2, "2": 1, "3": 1}
