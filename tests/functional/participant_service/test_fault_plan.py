"""Which requests a planned fault applies to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.participant_service.faults import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.participant_service.server import RunningParticipantService
    from tests.functional.participant_service.conftest import Participant


def test_faults_apply_in_the_order_in_which_they_were_added(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(Status(status=500), times=2)
    running.faults.add(Status(status=429))

    seen = participant.statuses("1111")

    assert seen == [500, 500, 429, 200]


def test_fault_without_a_limit_applies_until_it_is_cleared(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(Status(status=500), times=None)

    before = participant.statuses("111")
    running.faults.clear()
    after = participant.statuses("1")

    assert (before, after) == ([500, 500, 500], [200])


def test_fault_applies_only_to_its_client_token(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(Status(status=500), client_token="2")

    seen = participant.statuses("123")

    assert seen == [200, 500, 200]


def test_fault_applies_only_to_its_chat(
    running: RunningParticipantService, join: Callable[..., Participant]
) -> None:
    one, other = join(), join()
    running.faults.add(Status(status=500), contact_id=other.contact_id, times=None)

    seen = one.statuses("1") + other.statuses("1")

    assert seen == [200, 500]


def test_random_fault_is_repeatable_with_the_same_seed(
    running: RunningParticipantService, participant: Participant
) -> None:
    runs = []
    for seed in (1, 1, 2):
        running.faults.clear()
        running.faults.add(Status(status=500), times=None, probability=0.5, seed=seed)
        runs.append(participant.statuses("1" * 20))

    assert set(runs[0]) == {200, 500}
    assert runs[0] == runs[1] != runs[2]


def test_fault_does_not_apply_to_other_operations(
    running: RunningParticipantService, participant: Participant
) -> None:
    running.faults.add(Status(status=500), times=None)

    answer = participant.get_transcript()

    assert answer["Transcript"]
