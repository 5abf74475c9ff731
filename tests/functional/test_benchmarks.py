"""The benchmark's figures and report, and the processes that it measures."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
import zipfile
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks import markdown
from benchmarks.contenders import (
    JAVASCRIPT,
    LOOP,
    OTHER_AUTHORITY,
    OURS,
    POWERTOOLS,
    THREADS,
    UNCOMPILED,
    trust_first,
    zipped_parts,
)
from benchmarks.cpu_profile import largest, module_of
from benchmarks.figures import CLEAR, KEPT, NEW, POISONS, STUB, TOKENS, batches, bound, require_all
from benchmarks.processes import BenchmarkError, Counts, Report, Worker, limited
from benchmarks.report import Goal, Spread, block, goals, ratio, tables
from message_sender.event_sources import detect
from message_sender.request import SendMessageRequest, parse_request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def taken(ours: float, loop: float, powertools: float) -> dict[str, list[float]]:
    return {OURS: [ours] * 3, LOOP: [loop] * 3, POWERTOOLS: [powertools] * 3}


def results(**changed: object) -> dict[str, Any]:
    """Return results that reach every goal."""
    cold = {"wall": taken(0.1, 0.25, 0.3), "cpu": taken(0.1, 0.25, 0.3), "peak": taken(30e6, 47e6, 53e6)}
    for samples in cold.values():
        samples |= {OURS + UNCOMPILED: [0.18] * 3, OURS + OTHER_AUTHORITY: [0.12] * 3}
    warm = {"wall": taken(4e-4, 9e-4, 5e-3), "cpu": taken(4e-4, 9e-4, 5e-3), "peak": taken(30e6, 47e6, 53e6)}
    for samples in warm.values():
        samples[JAVASCRIPT] = [7e-4] * 3
    reached = {
        "about": {
            "day": "2026-11-28",
            "interpreter": "CPython 3.13.0",
            "node": "v24.0.0",
            "system": "Linux x86_64",
            "processor": "a processor",
            "cores": 2,
            "load": 0.1,
            "versions": {"boto3": "1.0"},
            "minutes": 5.0,
        },
        "stub": {"calls_a_second": 20_000.0, "cpu_a_call": 3e-5},
        "cold": {"http": cold, "tls": cold},
        "warm": {"http": warm, "tls": warm},
        "ones": {over: {"cpu": {OURS: [1e-3] * 3, LOOP: [2e-3] * 3}} for over in ("http", "tls")},
        "warming": {OURS: [6e-4, 5e-4], JAVASCRIPT: [12e-4, 7e-4]},
        "batches": {
            "20": taken(0.031, 0.3, 0.4) | {STUB: [0.0306] * 3},
            "50": taken(0.061, 0.6, 0.7) | {STUB: [0.0604] * 3},
            "100": taken(0.111, 1.1, 1.2) | {STUB: [0.1104] * 3},
        },
        "poison": {"none": [0.06] * 3, **dict.fromkeys(POISONS, [0.08] * 3)},
        "sealed": {
            "cpu": {CLEAR: [4e-4] * 3, KEPT: [4.2e-4] * 3, NEW: [6e-4] * 3},
            "wall": {CLEAR: [0.061] * 3, KEPT: [0.061] * 3, NEW: [0.072] * 3},
        },
        "long_run": [{"messages": 5000 * n, "cpu": 5e-4, "rss": 4e7} for n in range(1, 21)],
        "small": {"0.15": {"cold": {OURS: [1.0], THREADS: [2.0]}, "batch": {OURS: [0.1], THREADS: [0.2]}}},
        "asset": {"a, sources": 1_000_000, "a, bytecode": 1_900_000},
        "profile": {"CPU of a cold start": {"urllib3": 0.05}},
    }
    return reached | changed


def missed(of: dict[str, Any]) -> list[str]:
    return [goal.figure for goal in goals(of) if not goal.met]


def test_a_ratio_is_taken_round_by_round() -> None:
    samples = {"ours": [1.0, 10.0, 2.0], "theirs": [2.0, 10.0, 4.0]}

    assert ratio(samples, "ours", "theirs").median == 0.5


def test_a_single_sample_has_no_spread() -> None:
    assert Spread.of([0.0123]).text(1e-3) == "12.30"


def test_the_spread_is_the_middle_half() -> None:
    assert Spread.of([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]) == Spread(4.0, 2.0, 6.0)


def test_the_bound_has_one_publish_in_it() -> None:
    assert bound(0.05) == pytest.approx(0.06)


def test_every_goal_can_be_reached() -> None:
    assert missed(results()) == []


@pytest.mark.parametrize(
    ("changed", "figure"),
    [
        ({"asset": {"a, sources": 2_900_001}}, "Package, zipped, tracing off"),
        (
            {"cold": results()["cold"] | {"tls": results()["cold"]["tls"] | {"wall": taken(0.1, 0.3, 0.26)}}},
            "Cold start over TLS / Powertools",
        ),
        (
            {"cold": results()["cold"] | {"tls": results()["cold"]["tls"] | {"wall": taken(0.1, 0.22, 0.3)}}},
            "Cold start over TLS / boto3 loop",
        ),
        (
            {"warm": results()["warm"] | {"http": {"cpu": taken(4e-4, 7e-4, 5e-3), "peak": taken(3, 4, 5)}}},
            "CPU over HTTP / boto3 loop",
        ),
        (
            {
                "warm": results()["warm"]
                | {"tls": {"cpu": taken(4e-4, 9e-4, 5e-3) | {JAVASCRIPT: [6e-4] * 3}}}
            },
            "CPU over TLS / JavaScript",
        ),
        (
            {"ones": {"http": {"cpu": {OURS: [8.1e-4], LOOP: [1e-3]}}}},
            "CPU over HTTP, batch of one / boto3 loop",
        ),
        (
            {"batches": results()["batches"] | {"20": {OURS: [0.0367], STUB: [0.0306]}}},
            "Ten chats at 20 ms / bound",
        ),
        ({"batches": results()["batches"] | {"50": {OURS: [0.0661]}}}, "Ten chats at 50 ms / bound"),
        (
            {"batches": results()["batches"] | {"100": {OURS: [0.1167]}}},
            "Ten chats at 100 ms / bound",
        ),
    ],
)
def test_a_missed_goal_is_reported(changed: dict[str, Any], figure: str) -> None:
    assert missed(results(**changed)) == [figure]


@pytest.mark.parametrize(
    ("measured", "met"), [(0.5, "yes"), (0.501, "**no**, +0.2%"), (1.1, "**no**, +120.0%")]
)
def test_a_goal_is_met_at_its_limit_and_missed_by_a_distance(measured: float, met: str) -> None:
    assert Goal("x", Spread(measured, 0, 1), most=0.5).cells()[-1] == met


def test_the_page_shows_a_chart_and_each_goal() -> None:
    slow = results(asset={"a, sources": 2_900_001})

    assert block(results()).count("| yes |") == len([*goals(results())])
    assert block(slow).count("**no**") == 1
    assert block(slow).count("```mermaid") == 1
    assert '"cold start, boto3 loop: 2.5", "cold start, Powertools: 3"' in block(slow)


@pytest.mark.parametrize(
    "line",
    [
        "Without `.pyc` files, a cold start takes 1.80 times as long, and with another authority than ",
        "another authority than Amazon's 1.20 times.\n",
        "Warm memory is 0.57 of Powertools.",
        "JavaScript is measured after 8,000 messages: in its first 1,000, it takes 2.00 times our CPU.",
        "The stub alone takes 1.02 times the bound at 20 ms.",
    ],
)
def test_the_page_shows_figures_without_a_goal(line: str) -> None:
    assert line in block(results())


def test_the_page_gives_a_reason_for_each_missed_goal() -> None:
    text = markdown.PAGE.read_text(encoding="utf-8")
    reasons = re.findall(r"^- \*\*(.+):\*\* ", text, re.MULTILINE)
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \| \*\*no\*\*", text, re.MULTILINE)
    figures = {goal.figure for goal in goals(results())}

    assert reasons
    assert [row for row in rows if row in figures and not row.startswith(tuple(reasons))] == []


def test_the_tables_show_small_functions_where_they_were_measured() -> None:
    assert "With 0.15 of a core" in tables(results())
    assert "of a core" not in tables(results(small={}))


@pytest.mark.parametrize("name", ["bench", "quota"])
def test_a_command_writes_only_its_block_of_the_page(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = markdown.PAGE.read_text(encoding="utf-8")
    copy = tmp_path / "page.md"
    copy.write_text(before, encoding="utf-8")
    monkeypatch.setattr(markdown, "PAGE", copy)

    markdown.update_page(name, "another text")

    start, end = f"<!-- {name}: written by `make {name}` -->\n", "<!-- end -->"
    head, _, rest = before.partition(start)
    assert rest
    assert copy.read_text(encoding="utf-8") == f"{head}{start}another text\n{end}{rest.partition(end)[2]}"


def test_the_events_are_valid_and_every_message_is_new() -> None:
    first, second = batches(2, 10, chats=5)
    bodies = [record["body"] for event in (first, second) for record in event["Records"]]

    requests = [parse_request(body, client_token=None).correlation for body in bodies]

    assert detect(first) == "sqs"
    assert len({request.client_token for request in requests}) == 20
    assert len({request.contact_id for request in requests}) == 5


@pytest.mark.parametrize("tokens", TOKENS)
def test_the_tokens_of_a_load_are_valid_and_as_often_new_as_it_says(tokens: str) -> None:
    first, second = batches(2, 20, chats=10, tokens=tokens)
    bodies = [record["body"] for event in (first, second) for record in event["Records"]]

    requests = [parse_request(body, client_token=None).request for body in bodies]

    assert all(
        isinstance(each, SendMessageRequest) and each.is_sealed is (tokens != CLEAR) for each in requests
    )
    assert len({json.loads(body)["ConnectionToken"] for body in bodies}) == (40 if tokens == NEW else 10)


@pytest.mark.parametrize(
    ("tokens", "decryptions", "right"),
    [
        (CLEAR, 0, True),
        (CLEAR, 1, False),
        (KEPT, 0, True),
        (KEPT, 11, False),
        (NEW, 20, True),
        (NEW, 19, False),
    ],
)
def test_the_benchmark_fails_if_tokens_are_decrypted_too_often_or_not(
    tokens: str, decryptions: int, right: bool
) -> None:
    events = batches(2, tokens=tokens)
    counts = Counts(messages=20, results=20, decryptions=decryptions, cpu=0.0)

    with nullcontext() if right else pytest.raises(BenchmarkError):
        require_all(events, counts)


@pytest.mark.parametrize(
    "counts", [{"messages": 9}, {"messages": 11}, {"results": 9}, {"results": 11}, {"other_calls": 1}]
)
def test_a_handler_that_loses_a_message_or_a_result_fails_the_benchmark(counts: dict[str, int]) -> None:
    right = {"messages": 10, "results": 10, "other_calls": 0}
    events = [*batches(1, 4), *batches(1, 6)]

    require_all(events, Counts(**right, cpu=0.0))

    with pytest.raises(BenchmarkError, match="of 10 messages"):
        require_all(events, Counts(**right | counts, cpu=0.0))


@pytest.mark.parametrize("has_first_roots", [True, False])
def test_the_stub_is_a_first_root_of_a_package_that_has_such(tmp_path: Path, has_first_roots: bool) -> None:
    authority, roots = tmp_path / "authority.pem", tmp_path / "package/message_sender/amazon_roots.pem"
    authority.write_text("of the stub")
    roots.parent.mkdir(parents=True)
    if has_first_roots:
        roots.write_text("Amazon's")

    trust_first(authority, tmp_path / "package")

    assert [path.read_text() for path in roots.parent.iterdir()] == ["of the stub"] * has_first_roots


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("/home/a+b/message_sender/aws/client.py", "message_sender/aws"),
        ("/home/a+b/urllib3/response.py", "urllib3/response"),
        ("/usr/lib/python3.13/http/client.py", "http/client"),
        ("/usr/lib/python3.13/ssl.py", "ssl"),
        ("<frozen importlib._bootstrap>", "<frozen importlib._bootstrap>"),
        ("<string>", "generated code"),
    ],
)
def test_a_profile_names_modules(file: str, module: str) -> None:
    assert module_of(file, "/home/a+b") == module


def test_a_profile_shows_the_largest_figures_and_the_sum_of_the_others() -> None:
    seconds = largest({f"{number}": float(number) for number in range(15)})

    assert [*seconds][:2] == ["14", "13"]
    assert seconds["all others"] == 0 + 1 + 2


def test_the_parts_of_a_package_add_up_to_its_zip_file(tmp_path: Path) -> None:
    package = tmp_path / "package"
    for name in (
        "one/a.py",
        "one/__pycache__/a.cpython-313.pyc",
        "six.py",
        "__pycache__/six.cpython-313.pyc",
    ):
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name * 100)
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(path for path in package.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(package))

    parts = zipped_parts(package)

    assert sum(parts.values()) == (tmp_path / "all.zip").stat().st_size
    assert {"one, sources", "one, bytecode", "six, sources", "six, bytecode"} < set(parts)


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "while True: pass"]) as process:
        yield process
        process.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="the clock of another process is Linux's")
def test_a_limited_process_gets_no_more_than_its_fraction_of_a_core(busy: subprocess.Popen[bytes]) -> None:
    clock = (~busy.pid << 3) | 2
    with limited(busy.pid, 0.2):
        time.sleep(0.2)
        started, used = time.monotonic(), time.clock_gettime(clock)
        time.sleep(1.0)
        fraction = (time.clock_gettime(clock) - used) / (time.monotonic() - started)
    afterwards = time.clock_gettime(clock)
    until = time.monotonic() + 10
    while (more := time.clock_gettime(clock) - afterwards) < 0.05 and time.monotonic() < until:
        time.sleep(0.05)

    assert 0.01 < fraction < 0.3
    assert more >= 0.05  # it continues


def test_a_limit_ends_with_its_process() -> None:
    with subprocess.Popen([sys.executable, "-I", "-S", "-c", "pass"]) as process, limited(process.pid, 0.2):
        process.wait(30)

    assert process.returncode == 0


def test_waiting_for_a_reply_starts_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_thread: threading.Thread) -> None:
        raise AssertionError  # a signal here would leave a thread, and Python waits for threads

    report: dict[str, Any] = {
        "cpu": 1.0,
        "wall": 1.0,
        "cpu_of_process": 1.0,
        "finished": 1.0,
        "rss": 1,
        "peak": 1,
    }
    reply = f"import sys; sys.stdin.readline(); print({json.dumps(report)!r}, flush=True)"
    command = [sys.executable, "-I", "-S", "-c", reply]
    monkeypatch.setattr(threading.Thread, "start", start)

    with Worker(command, environ={}, log=tmp_path / "log") as worker:
        assert worker.run([]) == Report(**report)


def test_a_process_that_does_not_answer_fails_the_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-I", "-S", "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr("benchmarks.processes._LONGEST_REPLY", 0.1)

    with (
        Worker(command, environ={}, log=tmp_path / "log") as worker,
        pytest.raises(BenchmarkError, match="failed"),
    ):
        worker.run([])
