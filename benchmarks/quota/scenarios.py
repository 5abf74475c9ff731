"""The scenarios of the study, each with the senders that it compares."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Final

from benchmarks.quota.senders import SENDERS
from benchmarks.quota.study import Scenario

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ALL: Final = tuple(SENDERS)
OURS: Final = ("ours",)
LEARNING: Final = ("ours", "fixed division", "SDK adaptive")
INSTANCES: Final = (1, 2, 5, 10, 50, 200)

STEADY: Final = Scenario(
    name="three times the quota", instances=10, quota=10, load=3, seconds=1100, warm_up=300, chats=300
)
CHANGE: Final = replace(
    STEADY,
    name="quota 10, then 5, then 20",
    seconds=1500,
    chats=600,
    new_quotas=((600, 5), (900, 20)),
)
ENDLESS: Final = replace(
    STEADY, name="three times the quota for an hour", seconds=3600, warm_up=900, chats=600
)
"""Most messages that end in it are older than the retry window."""


def scenarios(*, quick: bool) -> Iterator[tuple[Scenario, Sequence[str]]]:
    """Yield each scenario with its senders.

    Args:
        quick: Only a few scenarios with few instances.
    """
    for instances in (2, 50) if quick else INSTANCES:
        yield replace(STEADY, instances=instances), ALL
    if not quick:
        for (quota, warm_up, seconds), instances in product(((50, 150, 450), (500, 20, 60)), INSTANCES):
            yield (
                replace(STEADY, quota=quota, warm_up=warm_up, seconds=seconds, instances=instances),
                OURS,
            )
    loads = {0.5: "half the quota", 0.9: "nine tenths of the quota", 1.0: "exactly the quota"}
    for (load, name), instances in product(loads.items(), (10,) if quick else (2, 10, 50)):
        yield replace(STEADY, name=name, load=load, instances=instances, seconds=700, warm_up=100), ALL
    for instances in (10,) if quick else (2, 10, 50):
        burst = replace(STEADY, name="three times the quota for 150 s", instances=instances, warm_up=0)
        yield replace(burst, seconds=2000, arrivals_end=150, chats=600), ALL
    yield CHANGE, ALL
    if quick:
        return
    yield replace(CHANGE, instances=50), ALL
    for instances in (2, 10, 50):
        beside = replace(STEADY, name="events and calls beside, 0.2 of the quota each", instances=instances)
        yield replace(beside, event_load=0.2, call_load=0.2, seconds=1500), ALL
    events = replace(STEADY, name="three times the quota, all of it events", load=0, event_load=3)
    yield replace(events, seconds=900, warm_up=200), ALL
    outage = replace(STEADY, name="nothing is accepted for 60 s", load=1.5, seconds=900, warm_up=100)
    yield replace(outage, new_quotas=((300, 0.001), (360, 10))), ALL
    yield from _wrong_fair_shares()
    for instances in (10, 50, 200):
        yield (
            replace(
                STEADY, name="SQS draws chats at random", instances=instances, at_random=True, seconds=1800
            ),
            OURS,
        )
    yield replace(STEADY, name="a retry hint of 2 s", retry_after=2.0), LEARNING
    yield ENDLESS, ALL


def _wrong_fair_shares() -> Iterator[tuple[Scenario, Sequence[str]]]:
    """Yield scenarios in which the fair share of an instance is not what its settings say."""
    yield replace(STEADY, name="2 chats for 10 instances", chats=2), LEARNING
    yield replace(STEADY, name="5 chats for 50 instances", instances=50, chats=5), LEARNING
    for instances in (10, 50):
        too_high = replace(STEADY, name="the settings say twice the quota", known_quota=10, quota=5)
        yield replace(too_high, instances=instances, seconds=1500), LEARNING
    for instances in (10, 50):
        too_low = replace(STEADY, name="the settings say a fifth of the quota", known_quota=10, quota=50)
        yield replace(too_low, instances=instances, seconds=700, warm_up=200), LEARNING
