"""The same weather for what a user would write instead: the boto3 loop of the benchmarks, in usual variants.

The peer's code is run as it is, with the real boto3 and botocore over the network of the simulation. Its
retries wait in virtual time. It knows only the queue, so its traffic is that: valid messages, each with all
the fields that the loop reads, in chats of which some end half-way.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from unittest.mock import patch

import boto3

from tests.simulation.fault_profiles import STORMY
from tests.simulation.invariants import Observations
from tests.simulation.simulation import Setup, Simulation
from tests.simulation.workload import client_token_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.models.lambda_ import Handler
    from tests.simulation.workload import Chat

LOOP: Final = Path(__file__).parents[2] / "benchmarks/baselines/boto3_loop.py"
_HOSTS: Final = {"connectparticipant": "participant", "events": "events"}
_ENDING_CHATS: Final = 0.1
_LARGEST_BURST: Final = 6
_MESSAGES_A_CHAT: Final = 20
_MESSAGES_A_SECOND: Final = 4

Variant: TypeAlias = Callable[["Handler"], "Handler"]


def as_it_is(loop: Handler) -> Handler:
    """Leave the loop alone: an error fails its whole batch."""
    return loop


def goes_on(loop: Handler) -> Handler:
    """Log an error and go on with the next record."""

    def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
        _each(loop, event, context)
        return {"batchItemFailures": []}

    return handler


def reports_records(loop: Handler) -> Handler:
    """Log the event, and report each record that failed."""

    def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
        print(json.dumps(event))  # noqa: T201  # as public samples do
        failed = _each(loop, event, context)
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    return handler


def _each(loop: Handler, event: dict[str, Any], context: object) -> list[str]:
    """Call the loop for each record. Return the ids of those that it failed on."""
    failed = []
    for record in event["Records"]:
        try:
            loop({"Records": [record]}, context)
        except Exception as error:  # noqa: BLE001  # as public samples do
            print(f"Error: {error}")  # noqa: T201  # the same
            failed.append(record["messageId"])
    return failed


@dataclass(frozen=True, slots=True)
class Peer:
    """A loop as somebody deploys it.

    Attributes:
        own_client_tokens: Whether the message's ClientToken is handed on. Else botocore draws one a call.
    """

    variant: Variant
    own_client_tokens: bool = True


PEERS: Final[dict[str, Peer]] = {
    "boto3 loop": Peer(as_it_is),
    "no client token": Peer(as_it_is, own_client_tokens=False),
    "logs errors, goes on": Peer(goes_on),
    "logs events, reports records": Peer(reports_records),
}


class PeerSimulation(Simulation):
    """The same world, with a peer as the function."""

    def __init__(self, setup: Setup, peer: Peer) -> None:
        super().__init__(setup)
        self._peer = peer

    def new_instance(self) -> Handler:
        """Import the peer's module as in a process of its own."""
        spec = spec_from_file_location(LOOP.stem, LOOP)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        with patch("boto3.client", self._client):
            spec.loader.exec_module(module)
        return self._peer.variant(module.lambda_handler)

    def run(self, *, until: float = float("inf")) -> None:
        # What would make runs differ: botocore's sleep, and its jitter, which the whole process shares
        sleeping = SimpleNamespace(sleep=self.time.sleep)
        state = random.getstate()
        random.seed(f"{self.setup.seed}/botocore")
        try:
            with patch("botocore.endpoint.time", sleeping), patch.dict(os.environ, EVENT_BUS_NAME="bus"):
                super().run(until=until)
        finally:
            random.setstate(state)

    def _client(self, service: str) -> Any:  # noqa: ANN401  # boto3 has no types
        """Return a client whose connections are those of the simulation, and all else its own."""
        client = boto3.session.Session(
            aws_access_key_id="000000000000", aws_secret_access_key="test", region_name="eu-central-1"
        ).client(service, endpoint_url=f"https://{_HOSTS[service]}")
        session = client._endpoint.http_session  # noqa: SLF001  # there is no other way to the server
        pools = self.network.pools()
        pools.connection_pool_kw["timeout"] = session._timeout  # noqa: SLF001  # as botocore sets it
        session._manager = pools  # noqa: SLF001
        if service == "connectparticipant" and not self._peer.own_client_tokens:
            send_message = client.send_message
            client.send_message = lambda ClientToken, **fields: send_message(**fields)  # noqa: N803, ARG005
        return client


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What became of the messages.

    A message to a chat that has ended cannot be shown; that somebody is told can be had all the same.

    Attributes:
        lost: Not shown, in no queue, and nobody was told: no result says what became of them.
        untold: Shown, and no result says so.
        wrongly_sent: SENT by their result, and not shown.
        letters: In the dead-letter queue, and no result says why.
        twice: Shown more than once.
        late: Shown behind a message of the same chat that the queue accepted later.
        secrets: Writes to the log and results that hold a text or a token; at most the first hundred writes.
    """

    accepted: int
    lost: int
    untold: int
    wrongly_sent: int
    letters: int
    twice: int
    late: int
    secrets: int


def tally_of(seed: object, peer: Peer | None, *, messages: int = 1_000) -> Tally:
    """Run, and count."""
    return tally(Observations.of(run(seed, peer, messages=messages)))


def tally(seen: Observations) -> Tally:
    """Count what became of messages that were all valid and sent once, in the order of their numbers."""
    shown = Counter(number for numbers in seen.transcripts.values() for number in numbers)
    without = {token: message for token, message in seen.accepted.items() if seen.outcome(token) is None}
    letters = {client_token_in(letter.body) for letter in seen.dead_letters}
    kept = letters | {client_token_in(message.body) for message in seen.messages}
    return Tally(
        accepted=len(seen.accepted),
        lost=sum(token not in kept and not shown[message.number] for token, message in without.items()),
        untold=sum(token not in kept and bool(shown[message.number]) for token, message in without.items()),
        wrongly_sent=sum(
            seen.outcome(token) == "SENT" and not shown[message.number]
            for token, message in seen.accepted.items()
        ),
        letters=len(letters & without.keys()),
        twice=sum(times > 1 for times in shown.values()),
        late=sum(_late(numbers) for numbers in seen.transcripts.values()),
        secrets=len(seen.leaks),
    )


def _late(numbers: Sequence[int]) -> int:
    """Count the numbers that stand behind a greater one, each by its first place."""
    latest = late = 0
    for number in dict.fromkeys(numbers):
        late += number < latest
        latest = max(latest, number)
    return late


def run(seed: object, peer: Peer | None, *, messages: int) -> Simulation:
    """Run a peer, or the function if None, in the weather of the long run without its storms."""
    setup = Setup(seed=seed, rates=STORMY)
    simulation = Simulation(setup) if peer is None else PeerSimulation(setup, peer)
    producers, time, chance = simulation.producers, simulation.time, Random(f"{seed}/peer")
    chats = [producers.start_chat() for _ in range(max(1, messages // _MESSAGES_A_CHAT))]
    seconds = messages / _MESSAGES_A_SECOND

    def end(chat: Chat) -> None:
        chat.ended = True
        simulation.participant.service.end_chat(chat.contact_id)

    def burst(chat: Chat, numbers: range) -> None:
        for number in numbers:
            producers.send(chat, ClientToken=f"own-{number}", Metadata={"order": str(number)})

    for chat in chats:
        if chance.random() < _ENDING_CHATS:
            time.after(chance.uniform(0.3, 1) * seconds, partial(end, chat))
    sent = 0
    while sent < messages:
        size = min(messages - sent, chance.randint(1, _LARGEST_BURST))
        numbers = range(sent + 1, sent + size + 1)
        time.after(chance.uniform(0, seconds), partial(burst, chance.choice(chats), numbers))
        sent += size
    simulation.run()
    return simulation
