"""The jobs of a long run: each returns plain figures, which the report adds up.

A run of many messages is a list of mixes. Each has a seed of its own, so that one that fails can be repeated
alone.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field, fields
from random import Random
from typing import TYPE_CHECKING, Final

from tests.simulation import baselines, malformed_events
from tests.simulation.contact_centre import open_contact_centre
from tests.simulation.invariants import Observations, violations
from tests.simulation.mutants import MUTANTS
from tests.simulation.pairs import Meetings
from tests.simulation.scenarios import SCENARIOS, mix
from tests.simulation.workload import Producers, random_messages

if TYPE_CHECKING:
    from tests.simulation.baselines import Tally
    from tests.simulation.fault_profiles import Fault
    from tests.simulation.invariants import Violations
    from tests.simulation.malformed_events import Fuzzed
    from tests.simulation.simulation import Simulation
    from tests.simulation.workload import Workload

MESSAGES_OF_A_MIX: Final = 20_000
EVENTS_OF_A_JOB: Final = 20_000
_MESSAGES_A_CHAT: Final = 40
_RARE_EVERY: Final = 5
_CONTACT_CENTRE_EVERY: Final = 5
_STORE_RESULTS: Final = 2
"""Mixes of five that store results for the look-up."""
_LARGEST_SEED: Final = 10**9
_DETAILS: Final = 3
"""How many details of a failed check a mix keeps."""


def parts_of(seed: int, total: int, size: int) -> list[tuple[int, int]]:
    """Split a run into parts of at most `size`. Return a seed and a size for each one.

    The first part has the seed of the run. The last digits of the seeds are in turn, because they decide
    which kind of mix it is.
    """
    random = Random(f"{seed}/parts")
    seeds = [
        seed,
        *(10 * random.randrange(_LARGEST_SEED // 10) + number % 10 for number in range(1, -(-total // size))),
    ]
    return [(each, min(size, total - size * number)) for number, each in enumerate(seeds)]


def has_rare_faults(seed: int) -> bool:
    """Return whether faults that are rare in other mixes are frequent in the mix with a seed."""
    return seed % _RARE_EVERY == 0


def workload_of(seed: int) -> Workload:
    """Return the workload of the mix with a seed: that of a contact centre in one of five."""
    return open_contact_centre if seed % _CONTACT_CENTRE_EVERY == 1 else random_messages


@dataclass
class Figures:
    """What one or more mixes did.

    Attributes:
        seeds: Of the mixes.
        virtual_seconds, real_seconds: Sums.
        violations: How many, by check.
        failures: Seed, check and detail of the first violations of each mix.
        meetings: Which faults met at one message.
    """

    seeds: list[int] = field(default_factory=list)
    messages: int = 0
    sealed: int = 0
    long: int = 0
    chats: int = 0
    virtual_seconds: float = 0.0
    real_seconds: float = 0.0
    invocations: int = 0
    batches: int = 0
    redeliveries: int = 0
    faults: Counter[Fault] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    contradictions: int = 0
    expired_by_age: int = 0
    waits: int = 0
    callbacks: Counter[str] = field(default_factory=Counter)
    redriven: int = 0
    finalized: int = 0
    published_later: int = 0
    violations: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[int, str, str]] = field(default_factory=list)
    meetings: Meetings = field(default_factory=Meetings)

    @classmethod
    def of(cls, simulation: Simulation, *, seed: int, seconds: float) -> Figures:
        """Return the figures of a mix that has ended."""
        seen = Observations.of(simulation)
        found = violations(seen)
        return cls(
            seeds=[seed],
            messages=len(seen.accepted),
            sealed=sum(message.sealed for message in seen.accepted.values()),
            long=sum(message.split_at is not None for message in seen.accepted.values()),
            chats=len(seen.transcripts),
            virtual_seconds=simulation.time.monotonic(),
            real_seconds=seconds,
            invocations=simulation.function.invocations,
            batches=simulation.mapping.batches,
            redeliveries=simulation.mapping.redeliveries,
            faults=Counter(simulation.injector.counts),
            outcomes=Counter(seen.outcome(token) or _without_outcome(seen, token) for token in seen.accepted),
            contradictions=sum(
                len({result["Outcome"] for result in results}) > 1 for results in seen.results.values()
            ),
            expired_by_age=len(seen.expired_by_age),
            waits=len(seen.waits),
            callbacks=Counter(wait.task.answer[0] for wait in seen.waits if wait.task.answer is not None),
            redriven=simulation.operator.redriven,
            finalized=simulation.operator.finalized,
            published_later=simulation.unpublished.messages_accepted,
            violations=Counter({check: len(details) for check, details in found.items()}),
            failures=[
                (seed, check, detail) for check, details in found.items() for detail in details[:_DETAILS]
            ],
            # The declaration of the pairs is about the messages of the other workload
            meetings=Meetings.of(simulation) if isinstance(simulation.producers, Producers) else Meetings(),
        )

    def __add__(self, other: Figures) -> Figures:
        return Figures(
            **{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)}
        )


def _without_outcome(seen: Observations, token: str) -> str:
    if seen.accepted[token].route.has_caller:
        return "no outcome: its caller has the error"
    if token in seen.dead_letter_tokens:
        return "no outcome: in a dead-letter queue"
    return "no outcome: lost"


def run_mix(seed: int, messages: int) -> Figures:
    """Run one mix. The seed also decides its kind."""
    began = time.monotonic()
    simulation = mix(
        seed,
        messages=messages,
        chats=max(10, messages // _MESSAGES_A_CHAT),
        rare=has_rare_faults(seed),
        workload=workload_of(seed),
        outcome_lookup=seed % _RARE_EVERY < _STORE_RESULTS,
    )
    return Figures.of(simulation, seed=seed, seconds=time.monotonic() - began)


def run_scenario(name: str, seed: int) -> tuple[str, dict[str, Violations]]:
    """Run a named situation. Return its name and its violations."""
    return name, SCENARIOS[name](seed)


def run_mutant(number: int, seed: int) -> tuple[int, list[str]]:
    """Run a mutation check. Return the number of the mutant, and the checks that failed."""
    return number, MUTANTS[number].failed_checks(seed)


def run_baseline(name: str | None, seed: int) -> tuple[str | None, Tally]:
    """Run a baseline, or the function if None. Return its name and its tally."""
    return name, baselines.tally_of(seed, None if name is None else baselines.BASELINES[name])


def run_malformed_events(seed: int, events: int) -> Fuzzed:
    """Send malformed events. Each violation names the seed that repeats it."""
    fuzzed = malformed_events.fuzz(seed, events=events)
    fuzzed.violations = [f"SEED={seed}: {violation}" for violation in fuzzed.violations]
    return fuzzed
