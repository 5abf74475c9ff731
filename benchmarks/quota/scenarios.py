"""The scenarios of the study, each with the senders that it compares."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from benchmarks.quota.senders import SENDERS
from benchmarks.quota.study import Scenario

ALL: Final = tuple(SENDERS)
OURS: Final = ("ours",)
LEARNING: Final = ("ours", "fixed division", "SDK adaptive")
INSTANCES: Final = (1, 2, 5, 10, 50, 200)

STEADY: Final = Scenario(
    name="three times the quota", instances=10, quota=10, load=3, seconds=1100, warm_up=300, chats=300
)
CHANGE: Final = replace(
    STEADY, name="quota 10, then 5, then 20", seconds=1500, chats=600, new_quotas=((600, 5), (900, 20))
)
ENDLESS: Final = replace(
    STEADY, name="three times the quota for an hour", seconds=3600, warm_up=900, chats=600
)
"""Most messages that end in it are older than the retry window."""

_SOME: Final = (2, 10, 50)
_QUICK: Final = (2,)
_SHORT: Final = replace(STEADY, seconds=700, warm_up=100)
_BURST: Final = replace(STEADY, seconds=2000, warm_up=0, arrivals_end=150, chats=600)
_BESIDE: Final = replace(STEADY, seconds=1500, event_load=0.2, call_load=0.2)
_EVENTS: Final = replace(STEADY, seconds=900, warm_up=200, load=0, event_load=3)
_OUTAGE: Final = replace(STEADY, load=1.5, seconds=900, warm_up=100, new_quotas=((300, 0.001), (360, 10)))
# In these, the fair share of an instance is not what the settings say
_TOO_HIGH: Final = replace(STEADY, known_quota=10, quota=5, seconds=1500)
_TOO_LOW: Final = replace(STEADY, known_quota=10, quota=50, seconds=700, warm_up=200)

_TABLE: Final = (
    (STEADY, INSTANCES, ALL),
    (replace(STEADY, quota=50, warm_up=150, seconds=450), INSTANCES, OURS),
    (replace(STEADY, quota=500, warm_up=20, seconds=60), INSTANCES, OURS),
    (replace(_SHORT, name="half the quota", load=0.5), _SOME, ALL),
    (replace(_SHORT, name="nine tenths of the quota", load=0.9), _SOME, ALL),
    (replace(_SHORT, name="exactly the quota", load=1.0), _SOME, ALL),
    (replace(_BURST, name="three times the quota for 150 s"), _SOME, ALL),
    (CHANGE, (10, 50), ALL),
    (replace(_BESIDE, name="events and calls beside, 0.2 of the quota each"), _SOME, ALL),
    (replace(_EVENTS, name="three times the quota, all of it events"), (10,), ALL),
    (replace(_OUTAGE, name="nothing is accepted for 60 s"), (10,), ALL),
    (replace(STEADY, name="2 chats for 10 instances", chats=2), (10,), LEARNING),
    (replace(STEADY, name="5 chats for 50 instances", chats=5), (50,), LEARNING),
    (replace(_TOO_HIGH, name="the settings say twice the quota"), (10, 50), LEARNING),
    (replace(_TOO_LOW, name="the settings say a fifth of the quota"), (10, 50), LEARNING),
    (replace(STEADY, name="SQS draws chats at random", at_random=True, seconds=1800), (10, 50, 200), OURS),
    (replace(STEADY, name="a retry hint of 2 s", retry_after=2.0), (10,), LEARNING),
    (ENDLESS, (10,), ALL),
)


def runs(*, quick: bool = False) -> list[tuple[Scenario, str]]:
    """Return each scenario with each of its senders.

    Args:
        quick: Only the scenarios with two instances.
    """
    return [
        (replace(scenario, instances=number), sender)
        for scenario, instances, senders in _TABLE
        for number in instances
        for sender in senders
        if number in _QUICK or not quick
    ]
