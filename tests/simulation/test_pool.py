"""Jobs in processes: their results, their errors, and how they end."""

from __future__ import annotations

import multiprocessing
import os
import time
from functools import partial

import pytest

from tests.simulation import pool
from tests.simulation.pool import Done, Job


@pytest.fixture
def processor() -> None:
    """Let these tests use all processors."""


def ends(*jobs: Job, processes: int = 2) -> dict[str, Done]:
    return {done.job.name: done for done in pool.run(jobs, processes=processes) if done is not None}


def test_each_job_has_a_process_of_its_own() -> None:
    done = ends(Job("one", os.getpid), Job("two", os.getpid), Job("three", os.getpid))

    processes = {each.result for each in done.values()}
    assert len(processes) == 3
    assert os.getpid() not in processes


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system keeps no process on a processor")
def test_each_job_stays_on_one_processor_and_the_first_ones_on_different_ones() -> None:
    mine = pool.processors()

    done = ends(*(Job(str(number), partial(os.sched_getaffinity, 0)) for number in range(4)))

    assert pool.processors() == mine
    assert all(len(each.result) == 1 for each in done.values())
    assert len(done["0"].result | done["1"].result) == min(2, len(mine))


def test_a_job_that_fails_or_whose_process_dies_is_named_and_the_others_go_on() -> None:
    done = ends(
        Job("raises", partial(int, "seven")),
        Job("dies", partial(os._exit, 7)),
        Job("killed", os.abort),
        Job("returns", partial(int, "7")),
    )

    assert "invalid literal for int() with base 10: 'seven'" in done["raises"].error
    assert done["dies"].error == "its process died with the exit code 7"
    assert done["killed"].error.startswith("its process died with the exit code -")
    assert done["returns"] == Done(done["returns"].job, 7)


def test_all_processes_end_with_the_iteration() -> None:
    running = pool.run([Job("long", partial(time.sleep, 600))], processes=1)

    assert next(running) is None
    assert multiprocessing.active_children()
    running.close()  # as an interrupt does

    assert not multiprocessing.active_children()
