"""The measured handlers: the function as deployed, and the baselines that users would write instead."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.packages import BASELINES
from benchmarks.processes import Worker

if TYPE_CHECKING:
    from benchmarks.packages import Packages

OURS: Final = "ours"
LOOP: Final = "(a) boto3 loop"
POWERTOOLS: Final = "(b) boto3 + Powertools"
THREADS: Final = "(c) boto3 + threads"
JAVASCRIPT: Final = "(d) JavaScript SDK v3"
INTERPRETER: Final = "interpreter alone"
UNCOMPILED: Final = ", no .pyc"
TRACED: Final = ", tracing"

_FOLDER: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class _Contender:
    """A module with `lambda_handler`, and the folders on its path after the standard library."""

    module: str
    folders: tuple[Path, ...] = ()


class Contenders:
    """Starts the contenders, by their names in the results."""

    def __init__(self, packages: Packages, *, python: str, log: Path) -> None:
        self._python = python
        self._log = log
        self._folder = packages.ours.parent
        runtime = packages.runtime
        ours, powertools = "message_sender.handler", "boto3_powertools"
        self._contenders = {
            INTERPRETER: _Contender("-"),
            OURS: _Contender(ours, (packages.ours, runtime)),
            OURS + UNCOMPILED: _Contender(ours, (packages.ours_uncompiled, runtime)),
            OURS + TRACED: _Contender(ours, (packages.ours, runtime)),
            LOOP: _Contender("boto3_loop", (packages.plain, runtime)),
            POWERTOOLS: _Contender(powertools, (packages.powertools, runtime)),
            POWERTOOLS + UNCOMPILED: _Contender(powertools, (packages.powertools_uncompiled, runtime)),
            POWERTOOLS + TRACED: _Contender(powertools, (packages.powertools, runtime)),
            THREADS: _Contender("boto3_threads", (packages.plain, runtime)),
            JAVASCRIPT: _Contender("javascript.mjs"),
        }

    def start(self, name: str, *, endpoint: str, ca_bundle: Path | None = None) -> Worker:
        """Start a worker that calls the services at one URL."""
        contender = self._contenders[name]
        queues = f"{endpoint}/000000000000"
        environ = {
            "AWS_ACCESS_KEY_ID": "ASIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "AWS_SESSION_TOKEN": "IQoJb3JpZ2luX2VjEXAMPLE" * 30,
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_LAMBDA_FUNCTION_NAME": "sender",
            "EVENT_BUS_NAME": "results",
            "MESSAGE_QUEUE_URL": f"{queues}/messages.fifo",
            "DEAD_LETTER_QUEUE_URL": f"{queues}/dead-letter.fifo",
            "REJECTED_QUEUE_URL": f"{queues}/rejected",
            "UNPUBLISHED_RESULTS_QUEUE_URL": f"{queues}/unpublished",
            "LAMBDA_TASK_ROOT": str(contender.folders[0] if contender.folders else self._folder),
            "POWERTOOLS_SERVICE_NAME": "connect-message-sender",
            "POWERTOOLS_METRICS_NAMESPACE": "Benchmark",
            "POWERTOOLS_LOG_LEVEL": "INFO",
            "POWERTOOLS_TRACE_DISABLED": "false" if name.endswith(TRACED) else "true",
            "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            "LANG": "en_US.UTF-8",
        }
        if ca_bundle is not None:
            environ |= {"AWS_CA_BUNDLE": str(ca_bundle), "NODE_EXTRA_CA_CERTS": str(ca_bundle)}
        if name == JAVASCRIPT:
            node = shutil.which("node") or "node"
            command = [node, str(_FOLDER / "worker.mjs"), str(BASELINES / contender.module)]
        else:  # without site packages, and without writing .pyc files
            worker = [self._python, "-I", "-S", "-B", str(_FOLDER / "worker.py")]
            command = [*worker, contender.module, *map(str, contender.folders)]
        return Worker(command, environ=environ, log=self._log, folder=self._folder)
