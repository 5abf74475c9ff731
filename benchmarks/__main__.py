"""Take all measurements, and write docs/benchmarks/results.md and results.json."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import botocore
import trustme

from benchmarks.contenders import Contenders
from benchmarks.figures import CORE_FRACTIONS, LATENCIES, PUBLISH_SECONDS, QUICK, Bench, Effort
from benchmarks.packages import ROOT, Packages, deployed_asset, zipped_parts
from benchmarks.processes import BenchmarkError, Stub
from benchmarks.report import write_report
from ops.stack.signals import stopped_by_signals

_ASSEMBLY: Final = ROOT / ".sandbox" / "cdk.out"
_LIBRARIES: Final = ("boto3", "aws-lambda-powertools", "urllib3", "fastjsonschema")


def main() -> int:
    """Run the benchmark. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs the handlers")
    parser.add_argument("--quick", action="store_true", help="take one sample of each figure")
    parser.add_argument("--assembly", type=Path, default=_ASSEMBLY, help="the synthesized stack")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "benchmarks")
    options = parser.parse_args()
    effort = QUICK if options.quick else Effort()
    try:
        with stopped_by_signals(), tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            results = _measure(Path(folder), options.python, effort, options.assembly)
    except BenchmarkError as error:
        _report(f"failed: {error}")
        return 1
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    write_report(results, options.output)
    _report(f"done: {options.output / 'results.md'}")
    return 0


def _measure(folder: Path, python: str, effort: Effort, assembly: Path) -> dict[str, Any]:
    started = time.monotonic()
    _report("compiles the packages")
    # The interpreter behind a version manager's shim or a virtual environment
    python = _stdout(python, "-c", "import sys; print(getattr(sys, '_base_executable', sys.executable))")
    packages = Packages(folder, asset=deployed_asset(assembly), python=python)
    certificate, ca_bundle = _certificate(folder)
    log = folder / "log"
    with Stub(python=sys.executable, certificate=certificate, log=log, folder=ROOT) as stub:
        contenders = Contenders(packages, python=python, log=log)
        bench = Bench(contenders, stub, effort=effort, ca_bundle=ca_bundle, report=_report)
        results: dict[str, Any] = {
            "about": _about(python, effort),
            "stub": bench.stub_ceiling(),
            "cold": {"http": bench.cold(tls=False), "tls": bench.cold(tls=True)},
            "warm": {"http": bench.warm(tls=False), "tls": bench.warm(tls=True)},
            "batches": {f"{latency * 1000:.0f}": bench.batches(latency) for latency in LATENCIES},
            "poison": bench.poison(),
            "sizes": bench.sizes(),
            "long_run": bench.long_run(),
            "small": {str(each): bench.small(each) for each in CORE_FRACTIONS}
            if platform.system() == "Linux"  # the only system on which a process can be limited
            else {},
            "asset": zipped_parts(packages.ours),
        }
    results["about"]["minutes"] = round((time.monotonic() - started) / 60, 1)
    return results


def _about(python: str, effort: Effort) -> dict[str, Any]:
    interpreter = _stdout(python, "-c", "import platform; print(platform.python_version())")
    return {
        "interpreter": f"CPython {interpreter}",
        "node": _stdout("node", "--version"),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "versions": {name: version(name) for name in _LIBRARIES},
        "publish_ms": PUBLISH_SECONDS * 1000,
        "effort": asdict(effort),
    }


def _stdout(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found[1] if found else platform.processor()


def _certificate(folder: Path) -> tuple[Path, Path]:
    """Return the stub's certificate, and a bundle that trusts it and the 140 authorities of AWS SDKs."""
    authority = trustme.CA()
    certificate, ca_bundle = folder / "certificate.pem", folder / "ca-bundle.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
    public = Path(botocore.__file__).with_name("cacert.pem").read_bytes()
    ca_bundle.write_bytes(public + authority.cert_pem.bytes())
    return certificate, ca_bundle


def _report(event: str) -> None:
    sys.stderr.write(f"bench: {event}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
