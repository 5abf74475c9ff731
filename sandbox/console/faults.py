"""What is broken: faults and limits of the participant services, switched on and off by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.participant_service.faults import AcceptedThenCut, Latency, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sandbox.console.board import Board
    from sandbox.participant_service.control import ParticipantControl
    from sandbox.participant_service.faults import Fault

SWITCHES: Mapping[str, tuple[str, Fault]] = {
    "outage": ("Outage: every call is answered 503", Status(status=503)),
    "lost": ("Lost answers: 4 of 10 are accepted and cut off", AcceptedThenCut()),
    "slow": ("Slow: 2 of 10 answers take 8 seconds", Latency(latency=8.0)),
}
"""Faults by name, with what they do."""
_SHARES = {"lost": 0.4, "slow": 0.2}
_SEEDS = {"slow": 5}  # three of the first twenty answers are slow; with 0 none of them would be
THROTTLES = {"throttle": (2.0, 2.0), "quota": (10.0, 15.0)}
"""Calls a second and burst. The second is the quota of Amazon Connect by default."""
DESCRIPTIONS: Mapping[str, str] = {
    **{name: text for name, (text, _) in SWITCHES.items()},
    **{name: f"Quota: {rate:g} calls a second" for name, (rate, _) in THROTTLES.items()},
}


class Faults:
    """The same faults for several participant services.

    Args:
        participants: Returns the services.
        board: Shows the switches.
    """

    def __init__(self, participants: Callable[[], Sequence[ParticipantControl]], board: Board) -> None:
        self._participants = participants
        self._board = board
        self.switched_on: set[str] = set()
        self._latency = 0.0
        self._failing_chats: Collection[str] = ()
        self._show()

    def switch(self, name: str, *, on: bool) -> None:
        """Switch a fault on or off, on both sides."""
        self.use(self.switched_on | {name} if on else self.switched_on - {name}, latency=self._latency)

    def use(self, names: set[str], *, latency: float = 0.0, failing_chats: Collection[str] = ()) -> None:
        """Switch on exactly these faults, on both sides.

        Args:
            latency: Seconds of every answer without a fault.
            failing_chats: The contact ids of chats in which every call is answered 503.
        """
        self.switched_on, self._latency, self._failing_chats = names, latency, failing_chats
        for participant in self._participants():
            self.apply(participant)
        self._show()

    def apply(self, participant: ParticipantControl) -> None:
        """Break a service as the switches say."""
        participant.clear_faults()
        for contact_id in self._failing_chats:
            participant.add_fault(Status(status=503), times=None, contact_id=contact_id)
        for name, (_, fault) in SWITCHES.items():
            if name in self.switched_on:
                share, seed = _SHARES.get(name, 1.0), _SEEDS.get(name, 0)
                participant.add_fault(fault, times=None, probability=share, seed=seed)
        if self._latency:
            participant.add_fault(Latency(latency=self._latency), times=None)
        for name, (rate, burst) in THROTTLES.items():
            if name in self.switched_on:
                participant.call("set_throttle", requests_per_second=rate, burst=burst)
                break
        else:
            participant.call("throttle_off")

    def _show(self) -> None:
        for name in (*SWITCHES, *THROTTLES):
            self._board.put("switches", name, {"on": name in self.switched_on})
