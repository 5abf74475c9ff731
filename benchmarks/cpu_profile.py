"""Shows where our CPU time goes in a cold start and a warm message: `python -m benchmarks --profile`."""

from __future__ import annotations

import json
import re
import subprocess
from collections import defaultdict
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from benchmarks.contenders import OURS
from benchmarks.figures import BATCH, batches
from benchmarks.processes import FOLDER, BenchmarkError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.contenders import Contenders

_TIMES: Final = 20
_ROWS: Final = 12
# At each tick of the CPU clock: the time since the last one, the module that runs, and the one in the package
# that called it. Signals interrupt the main thread only, so the chats of a batch are sent in turn.
_SAMPLED: Final = """
import json, os, signal, sys, time
package, *_ = sys.path[:0] = sys.argv[1:]
from worker import Context
first, *events = map(json.loads, sys.stdin)
answers, sys.stdout = sys.stdout, open(os.devnull, "w")
ticks, last = [], time.process_time()
def tick(_, frame):
    global last
    before, last = last, time.process_time()
    module = caller = frame.f_code.co_filename
    while frame and not caller.startswith(package):
        frame, caller = frame.f_back, frame.f_code.co_filename
    ticks.append((last - before, caller, module))
def report():
    print(json.dumps(ticks), file=answers)
    ticks.clear()
def in_turn(calls, *, timeout):
    return [call() for call in calls]
signal.signal(signal.SIGPROF, tick)
signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
from message_sender.application import create_handler
handler = create_handler(os.environ, workers=in_turn)
handler(first, Context())
report()
for event in events:
    handler(event, Context())
report()
signal.setitimer(signal.ITIMER_PROF, 0)
"""


def profiles(contenders: Contenders, *, endpoint: str, runs: int) -> dict[str, dict[str, float]]:
    """Return seconds by package or module, the mean of this many processes, by the title of the profile."""
    (python, *options, _, _, package, runtime), environ = contenders.command(OURS, endpoint=endpoint)
    command = [python, *options, "-c", _SAMPLED, package, f"{FOLDER}", runtime]
    taken = []
    for _ in range(runs):
        events = "".join(f"{json.dumps(event)}\n" for event in [*batches(1, 1), *batches(_TIMES)])
        done = subprocess.run(command, env=environ, input=events, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchmarkError(f"{command!r} failed:\n{done.stderr[-2000:]}")
        taken.append([json.loads(line) for line in done.stdout.splitlines()])
    found = {}
    for title, part, messages in (("cold start", 0, 1), ("warm message", 1, _TIMES * BATCH)):
        by_package: dict[str, float] = defaultdict(float)
        by_module: dict[str, float] = defaultdict(float)
        for seconds, caller, module in (tick for parts in taken for tick in parts[part]):
            by_package[module_of(caller, package).partition("/")[0]] += seconds / messages / runs
            by_module[module_of(module, package)] += seconds / messages / runs
        found[f"CPU of a {title} over TLS, by package"] = largest(by_package)
        found[f"CPU of a {title} over TLS, by module"] = largest(by_module)
    return found


def module_of(file: str, package: str) -> str:
    """Return the module of a file in this package or the standard library, at most two levels deep."""
    name = re.sub(rf"^{re.escape(package)}/|^.*/python3\.\d+/", "", file)
    return "/".join(name.split("/")[:2]).removesuffix(".py").replace("<string>", "generated code")


def largest(seconds: Mapping[str, float]) -> dict[str, float]:
    """Return the largest figures, and the sum of all others."""
    ordered = sorted(seconds.items(), key=itemgetter(1), reverse=True)
    return dict(ordered[:_ROWS]) | {"all others": sum(each for _, each in ordered[_ROWS:])}
