"""The benchmark with one sample per figure: everything runs, and no figure is compared with a goal."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "explanation" / "benchmarks.md"

pytestmark = pytest.mark.e2e

CONTENDERS = {"ours", "boto3 loop", "Powertools", "threads", "JavaScript"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, page = tmp_path_factory.mktemp("bench"), PAGE.read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--output", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert PAGE.read_bytes() == page, "a quick run has changed the page"
    return folder


def test_every_contender_is_measured(folder: Path) -> None:
    results = json.loads((folder / "results.json").read_text())

    for transport in ("http", "tls"):
        assert set(results["warm"][transport]["cpu"]) >= CONTENDERS
        assert set(results["cold"][transport]["wall"]) >= {"ours", "boto3 loop", "Powertools"}
        assert set(results["ones"][transport]["cpu"]) == {"ours", "boto3 loop"}
    assert results["cold"]["tls"]["wall"]["ours, another authority"][0] > 0
    assert all(set(batches) == CONTENDERS | {"stub alone"} for batches in results["batches"].values())
    assert all(cpu > 0 for samples in results["warm"]["http"]["cpu"].values() for cpu in samples)
    assert results["long_run"][-1]["messages"] == 500


def test_a_batch_takes_at_least_its_bound(folder: Path) -> None:
    batches = json.loads((folder / "results.json").read_text())["batches"]

    for latency, samples in batches.items():
        assert min(min(each) for each in samples.values()) >= (int(latency) + 10) / 1000


def test_the_tables_have_every_contender(folder: Path) -> None:
    tables = (folder / "results.md").read_text()

    assert all(tables.count(f"\n| {name} |") >= 3 for name in CONTENDERS)
    assert re.search(
        r"CPU of a cold start over TLS, by package\n\n.*^\| urllib3 \| [1-9]",
        tables,
        re.DOTALL | re.MULTILINE,
    )


def test_a_stopped_benchmark_leaves_no_files_and_no_processes(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--output", str(tmp_path / "output")]
    with subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.PIPE, text=True
    ) as benchmark:
        assert benchmark.stderr is not None
        reached = next(line for line in benchmark.stderr if "cold start" in line)
        benchmark.send_signal(signal.SIGTERM)
        _, rest = benchmark.communicate(timeout=60)

    assert benchmark.returncode == 128 + signal.SIGTERM, reached + rest
    assert commands_that_name(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def commands_that_name(folder: Path) -> list[str]:
    listing = subprocess.run(["ps", "-Ao", "args="], capture_output=True, text=True, check=True)
    return [line for line in listing.stdout.splitlines() if str(folder) in line]
