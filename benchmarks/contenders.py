"""Who is measured: the function as deployed, and what its users would write instead."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.packages import PEERS
from benchmarks.processes import Worker

if TYPE_CHECKING:
    from benchmarks.packages import Packages

_WORKER: Final = Path(__file__).with_name("worker.py")
_JAVASCRIPT_WORKER: Final = Path(__file__).with_name("worker.mjs")
_BARE: Final = "-"


@dataclass(frozen=True, slots=True)
class Contender:
    """A handler and where it runs from.

    Attributes:
        name: What it is called in the results.
        module: Holds `lambda_handler`.
        folders: Its path, after the standard library.
        tracing: Whether Powertools' Tracer is active.
    """

    name: str
    module: str
    folders: tuple[Path, ...] = ()
    tracing: bool = False


class Contenders:
    """All contenders, and what they need to run."""

    def __init__(self, packages: Packages, *, python: str, log: Path) -> None:
        self._python = python
        self._log = log
        self._folder = packages.ours.parent
        runtime = packages.runtime
        ours, powertools = "message_sender.handler", "boto3_powertools"
        self.bare = Contender("interpreter alone", _BARE)
        self.ours = Contender("ours", ours, (packages.ours, runtime))
        self.ours_uncompiled = Contender("ours, no .pyc", ours, (packages.ours_uncompiled, runtime))
        self.ours_traced = Contender("ours, tracing", ours, (packages.ours, runtime), tracing=True)
        self.loop = Contender("(a) boto3 loop", "boto3_loop", (packages.plain, runtime))
        self.powertools = Contender("(b) boto3 + Powertools", powertools, (packages.powertools, runtime))
        self.powertools_uncompiled = Contender(
            "(b), no .pyc", powertools, (packages.powertools_uncompiled, runtime)
        )
        self.powertools_traced = Contender(
            "(b), tracing", powertools, (packages.powertools, runtime), tracing=True
        )
        self.threads = Contender("(c) boto3 + threads", "boto3_threads", (packages.plain, runtime))
        self.javascript = Contender("(d) JavaScript SDK v3", "javascript.mjs")

    def start(self, contender: Contender, *, endpoint: str, ca_bundle: Path | None = None) -> Worker:
        """Start a worker that calls the services at one URL."""
        environ = {
            "AWS_ACCESS_KEY_ID": "ASIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "AWS_SESSION_TOKEN": "IQoJb3JpZ2luX2VjEXAMPLE" * 30,
            "AWS_REGION": "eu-central-1",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_LAMBDA_FUNCTION_NAME": "sender",
            "EVENT_BUS_NAME": "results",
            "MESSAGE_QUEUE_URL": f"{endpoint}/000000000000/messages.fifo",
            "DEAD_LETTER_QUEUE_URL": f"{endpoint}/000000000000/dead-letter.fifo",
            "REJECTED_QUEUE_URL": f"{endpoint}/000000000000/rejected",
            "UNPUBLISHED_RESULTS_QUEUE_URL": f"{endpoint}/000000000000/unpublished",
            "LAMBDA_TASK_ROOT": str(contender.folders[0] if contender.folders else self._folder),
            "POWERTOOLS_SERVICE_NAME": "connect-message-sender",
            "POWERTOOLS_METRICS_NAMESPACE": "Benchmark",
            "POWERTOOLS_LOG_LEVEL": "INFO",
            "POWERTOOLS_TRACE_DISABLED": "false" if contender.tracing else "true",
            "_X_AMZN_TRACE_ID": "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
            "LANG": "en_US.UTF-8",
        }
        if ca_bundle is not None:
            environ |= {"AWS_CA_BUNDLE": str(ca_bundle), "NODE_EXTRA_CA_CERTS": str(ca_bundle)}
        return Worker(self._command(contender), environ=environ, log=self._log, folder=self._folder)

    def _command(self, contender: Contender) -> list[str]:
        if contender is self.javascript:
            return [shutil.which("node") or "node", str(_JAVASCRIPT_WORKER), str(PEERS / contender.module)]
        # Nothing of this machine's own packages, and nothing written
        return [
            *(self._python, "-I", "-S", "-B", str(_WORKER)),
            *(contender.module, *map(str, contender.folders)),
        ]
