"""Baselines: the boto3 loop of the benchmarks, in usual variants, under the same faults as the function.

The code of the loop is unchanged, with the real boto3 and botocore over the network of the simulation. Its
retries wait in virtual time. The loop knows only the queue, so its workload is valid messages from the queue,
each with all fields that it reads. Some of the chats end during the run.
"""

from __future__ import annotations

import json
import os
import random
import sys
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
from urllib3 import Timeout

from tests.simulation.accepted import client_token_in
from tests.simulation.fault_profiles import ALL_FAULTS
from tests.simulation.observations import Observations
from tests.simulation.simulation import Setup, Simulation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.accepted import Chat
    from tests.simulation.models.lambda_service import Handler

LOOP: Final = Path(__file__).parents[2] / "benchmarks/baselines/boto3_loop.py"
_HOSTS: Final = {"connectparticipant": "participant", "events": "events"}
_ENDING_CHATS: Final = 0.1
_LARGEST_BURST: Final = 6
_MESSAGES_A_CHAT: Final = 20
_MESSAGES_A_SECOND: Final = 4

Variant: TypeAlias = Callable[["Handler"], "Handler"]


def unchanged(loop: Handler) -> Handler:
    """Return the loop itself: an error fails its whole batch."""
    return loop


def ignores_errors(loop: Handler) -> Handler:
    """Log an error and continue with the next record."""

    def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
        _each(loop, event, context)
        return {"batchItemFailures": []}

    return handler


def reports_records(loop: Handler) -> Handler:
    """Log the event, and report each record that failed."""

    def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
        sys.stdout.write(f"{json.dumps(event)}\n")  # as public samples do
        failed = _each(loop, event, context)
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    return handler


def _each(loop: Handler, event: dict[str, Any], context: object) -> list[str]:
    """Call the loop for each record. Return the ids of the records that failed."""
    failed = []
    for record in event["Records"]:
        try:
            loop({"Records": [record]}, context)
        except Exception as error:  # noqa: BLE001  # as public samples do
            sys.stdout.write(f"Error: {error}\n")
            failed.append(record["messageId"])
    return failed


@dataclass(frozen=True, slots=True)
class Baseline:
    """A loop as somebody deploys it.

    Attributes:
        own_client_tokens: Whether the loop passes the message's ClientToken. Else botocore generates one for
            each call.
    """

    variant: Variant
    own_client_tokens: bool = True


BASELINES: Final[dict[str, Baseline]] = {
    "boto3 loop": Baseline(unchanged),
    "no client token": Baseline(unchanged, own_client_tokens=False),
    "logs errors, goes on": Baseline(ignores_errors),
    "logs events, reports records": Baseline(reports_records),
}

# One session for all instances: it keeps the service models, and loading them takes most of the start
_SESSION: Final = boto3.session.Session(
    aws_access_key_id="000000000000", aws_secret_access_key="test", region_name="eu-central-1"
)


class BaselineSimulation(Simulation):
    """The simulation with a baseline as the function."""

    def __init__(self, setup: Setup, baseline: Baseline) -> None:
        super().__init__(setup)
        self._baseline = baseline

    def new_instance(self) -> Handler:
        """Import the module of the loop, as in its own process."""
        spec = spec_from_file_location(LOOP.stem, LOOP)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        with patch("boto3.client", self._client):
            spec.loader.exec_module(module)
        return self._baseline.variant(module.lambda_handler)

    def run(self, *, until: float = float("inf")) -> None:
        # Without this, runs would differ: botocore sleeps, and shares the process's generator for jitter
        sleeping = SimpleNamespace(sleep=self.time.sleep)
        state = random.getstate()
        random.seed(f"{self.setup.seed}/botocore")
        try:
            with patch("botocore.endpoint.time", sleeping), patch.dict(os.environ, EVENT_BUS_NAME="bus"):
                super().run(until=until)
        finally:
            random.setstate(state)

    def _client(self, service: str) -> object:
        """Return a boto3 client whose connections are those of the simulation."""
        client: Any = _SESSION.client(
            service,  # type: ignore[call-overload]  # one of several services
            endpoint_url=f"https://{_HOSTS[service]}",
        )
        pools = self.network.pools()
        pools.connection_pool_kw["timeout"] = Timeout(connect=60, read=60)  # botocore's defaults
        session = client._endpoint.http_session  # noqa: SLF001  # botocore has no public access to it
        session._manager = pools  # noqa: SLF001  # the same
        if service == "connectparticipant" and not self._baseline.own_client_tokens:
            send_message = client.send_message
            client.send_message = lambda **fields: send_message(
                **{name: value for name, value in fields.items() if name != "ClientToken"}
            )
        return client


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts of the endings of messages.

    Nobody can show a message in a chat that has ended, but a result can still report it.

    Attributes:
        lost: Not shown, in no queue, and without a result.
        unreported: Shown without a result.
        not_shown: SENT by the result, and not shown.
        dead_letters: In the dead-letter queue without a result that gives the reason.
        twice: Shown more than once.
        late: Shown after a message of the same chat that the queue accepted later.
        secrets: Captured texts and results that hold a text or a token; at most the first hundred texts.
    """

    accepted: int
    lost: int
    unreported: int
    not_shown: int
    dead_letters: int
    twice: int
    late: int
    secrets: int


def tally_of(seed: object, baseline: Baseline | None, *, messages: int = 1_000) -> Tally:
    """Run a baseline, or the function if None, and count."""
    return tally(Observations.of(run(seed, baseline, messages=messages)))


def tally(seen: Observations) -> Tally:
    """Count the endings of messages that were all valid and sent once, in the order of their numbers."""
    shown = Counter(number for numbers in seen.transcripts.values() for number in numbers)
    without = {token: message for token, message in seen.accepted.items() if seen.outcome(token) is None}
    dead_letters = {client_token_in(dead_letter.body) for dead_letter in seen.dead_letters}
    kept = dead_letters | {client_token_in(message.body) for message in seen.messages}
    return Tally(
        accepted=len(seen.accepted),
        lost=sum(token not in kept and not shown[message.number] for token, message in without.items()),
        unreported=sum(
            token not in kept and bool(shown[message.number]) for token, message in without.items()
        ),
        not_shown=sum(
            seen.outcome(token) == "SENT" and not shown[message.number]
            for token, message in seen.accepted.items()
        ),
        dead_letters=len(dead_letters & without.keys()),
        twice=sum(times > 1 for times in shown.values()),
        late=sum(_late(numbers) for numbers in seen.transcripts.values()),
        secrets=len(seen.leaks),
    )


def _late(numbers: Sequence[int]) -> int:
    """Count the numbers that follow a greater one, each at its first position."""
    latest = late = 0
    for number in dict.fromkeys(numbers):
        late += number < latest
        latest = max(latest, number)
    return late


def run(seed: object, baseline: Baseline | None, *, messages: int) -> Simulation:
    """Run a baseline, or the function if None, under all faults but without fault bursts."""
    setup = Setup(seed=seed, profile=ALL_FAULTS)
    simulation = Simulation(setup) if baseline is None else BaselineSimulation(setup, baseline)
    schedule(simulation, messages=messages)
    simulation.run()
    return simulation


def schedule(simulation: Simulation, *, messages: int) -> None:
    """Schedule a workload that every baseline can send."""
    producers, time = simulation.producers, simulation.time
    chance = Random(f"{simulation.setup.seed}/baseline")
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
