"""The quota study: its figures are right, and its report is the same each time."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from statistics import mean
from typing import TYPE_CHECKING

import pytest

from benchmarks.markdown import PAGE
from benchmarks.quota import __main__ as command
from benchmarks.quota.report import SHOWN_INSTANCES, block, tables, verdict
from benchmarks.quota.senders import SENDERS, FixedDivision
from benchmarks.quota.study import (
    CHANGE,
    ENDLESS,
    INSTANCES,
    LONG_TEXTS,
    NINE_TENTHS,
    Run,
    Scenario,
    fairness,
    simulate,
)

if TYPE_CHECKING:
    from pathlib import Path

OVERLOAD = Scenario(
    name="three times the quota", instances=10, quota=10, load=3, chats=40, seconds=140, warm_up=60
)


@pytest.fixture(scope="module")
def ours() -> Run:
    return simulate(OVERLOAD, "ours")


@pytest.mark.parametrize("sender", SENDERS)
def test_no_message_is_lost(sender: str) -> None:
    scenario = replace(OVERLOAD, instances=2, seconds=45, warm_up=0, event_load=0.3, call_load=0.3)

    run = simulate(scenario, sender)

    assert run.figures.lost == 0
    assert run.accepted.total() > 400


def test_one_instance_below_the_quota_is_never_throttled_and_never_waits() -> None:
    quiet = Scenario(name="quiet", instances=1, quota=10, load=0.2, seconds=100)

    limited, unlimited = simulate(quiet, "ours").figures, simulate(quiet, "no rate limiter").figures

    assert limited.throttled == 0.0
    assert replace(limited, sender="no rate limiter") == unlimited


def test_only_the_sender_with_the_rate_limiter_reaches_the_goals(ours: Run) -> None:
    unlimited = simulate(replace(OVERLOAD, seconds=80), "no rate limiter")

    assert verdict(ours) == "met"
    assert verdict(unlimited) == "missed"
    assert unlimited.figures.throttled > 0.5


@pytest.mark.parametrize("instances", [2, 10, 50])
def test_long_texts_use_the_quota_and_hardly_repeat_parts(instances: int) -> None:
    scenario = replace(LONG_TEXTS, instances=instances, seconds=400, warm_up=150)

    figures = simulate(scenario, "ours").figures

    assert figures.whole >= 0.9
    assert figures.repeated <= 0.05
    assert figures.throttled <= 0.06
    assert (figures.lost, figures.moved, figures.failed) == (0, 0, 0)


def test_long_texts_finish_at_one_call_a_second() -> None:
    """If their parts took slots one by one, no message of a batch of ten would finish.

    Two messages fit into the 14.5 seconds of a batch, and a throttled part can cost one of them its time. So
    about half of the quota stays unused: by the seed, 0.37 to 0.53 is used.
    """
    scenario = Scenario(
        name="slow", instances=1, quota=1, load=3, long=1.0, chats=30, seconds=400, warm_up=100
    )

    runs = [simulate(scenario, "ours", seed=seed).figures for seed in range(1, 5)]

    assert mean(figures.whole for figures in runs) >= 0.4
    assert mean(figures.repeated for figures in runs) <= 0.05
    assert {(figures.lost, figures.moved, figures.failed) for figures in runs} == {(0, 0, 0)}


def test_a_burst_shorter_than_the_retry_window_ends_without_a_failed_message() -> None:
    scenario = replace(OVERLOAD, seconds=300, arrivals_end=40, warm_up=0)

    figures = simulate(scenario, "ours").figures

    assert (figures.failed, figures.waiting, figures.moved) == (0, 0, 0)
    assert figures.last_outcome < 250


def test_a_seed_determines_the_figures() -> None:
    scenario = replace(OVERLOAD, seconds=60, warm_up=20)
    first, second, other = (simulate(scenario, "ours", seed=seed) for seed in (1, 1, 2))

    assert first == second
    assert first.figures != other.figures


def test_the_rate_limiter_obeys_a_retry_hint() -> None:
    scenario = replace(OVERLOAD, instances=2, seconds=80, warm_up=0)

    hinted = simulate(replace(scenario, retry_after=2.0), "ours").figures

    assert hinted.goodput < simulate(scenario, "ours").figures.goodput


def test_the_busy_instances_of_a_backlog_are_all_instances(ours: Run) -> None:
    assert ours.figures.busy == pytest.approx(OVERLOAD.instances, rel=0.02)


@pytest.mark.parametrize(("values", "index"), [([2, 2, 2], 1.0), ([3, 0, 0], 0.333), ([0, 0], None)])
def test_fairness_is_jain_s_index(values: list[float], index: float | None) -> None:
    assert fairness(values) == index


def test_a_fixed_division_never_exceeds_its_fair_share() -> None:
    limiter = FixedDivision(fair_share=2, random=lambda: 0.0)

    waits = [limiter.reserve(10.0, latest=100.0) for _ in range(4)]

    assert waits == [0.0, 0.0, 0.0, 0.5]
    assert limiter.reserve(10.0, latest=10.4) is None


def test_the_page_shows_each_sender_and_gives_a_verdict(ours: Run) -> None:
    steady = [replace(OVERLOAD, instances=instances) for instances in INSTANCES]
    runs = [
        replace(ours, scenario=scenario, figures=replace(ours.figures, sender=sender))
        for scenario in (*steady, NINE_TENTHS, CHANGE, ENDLESS)
        for sender in SENDERS
    ]

    page, full = block(runs, day="2026-11-28"), tables(runs)

    assert page.count("| no goal |") == 1
    assert page.count("| met |") + page.count("| missed |") == len(SHOWN_INSTANCES) - 1
    assert page.count("```mermaid") == 1
    assert full.count("\n## ") == 3
    assert all(full.count(f"| {sender} |") == len(runs) / len(SENDERS) for sender in SENDERS)


def test_a_quick_study_writes_all_figures_and_leaves_the_page_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario, page = replace(OVERLOAD, seconds=10, warm_up=0), PAGE.read_bytes()
    monkeypatch.setattr(sys, "argv", ["quota", "--quick"])
    monkeypatch.setattr(command, "SAMPLES", tmp_path / "samples")
    monkeypatch.setattr(command, "runs", lambda *, quick: [(scenario, sender) for sender in SENDERS] * quick)

    command.main()

    written = json.loads((tmp_path / "samples" / "quota.json").read_text())
    assert [run["sender"] for run in written["runs"]] == [*SENDERS]
    assert "| SDK adaptive |" in (tmp_path / "samples" / "quota.md").read_text()
    assert PAGE.read_bytes() == page
