"""Take all measurements, and write them into docs/explanation/benchmarks.md.

All samples and tables are written to .sandbox/benchmarks.
"""

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
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import botocore
import trustme
from rich.console import Console

from benchmarks.contenders import Contenders, zipped_parts
from benchmarks.cpu_profile import profiles
from benchmarks.figures import Bench
from benchmarks.markdown import SAMPLES, update_page
from benchmarks.processes import FOLDER, BenchmarkError, Stub
from benchmarks.report import block, profile_tables, tables
from infra.python_asset import PythonAsset
from infra.sender_function import RUNTIME
from ops.stack.signals import stopped_by_signals

_SOURCE: Final = FOLDER.parent / "lambda_src"
_LIBRARIES: Final = ("boto3", "aws-lambda-powertools", "urllib3")
_DESCRIBE: Final = """import platform, sys
print(getattr(sys, '_base_executable', sys.executable))
print(platform.python_implementation(), platform.python_version())"""
_console: Final = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


def main() -> int:
    """Run the benchmark. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs the handlers")
    parser.add_argument("--quick", action="store_true", help="take one sample; leave the page unchanged")
    parser.add_argument("--profile", action="store_true", help="only print where our CPU time goes")
    parser.add_argument("--output", type=Path, default=SAMPLES, help="the folder of all samples")
    options = parser.parse_args()
    try:
        with stopped_by_signals(), tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            results = _measure(Path(folder), options)
    except BenchmarkError as error:
        _report(f"failed: {error}")
        return 1
    if options.profile:
        _console.print(profile_tables(results))
        return 0
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.output / "results.md").write_text(tables(results))
    if not options.quick:
        update_page("bench", block(results))
    _report(f"done: {options.output / 'results.md'}")
    return 0


def _measure(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    started, load = time.monotonic(), os.getloadavg()[0]
    _report("compiles the packages")
    # The interpreter behind a version manager's shim or a virtual environment
    python, interpreter = _stdout(options.python, "-c", _DESCRIBE).splitlines()
    certificate, authority, ca_bundle = _certificates(folder)
    with_tracer = folder / "with tracer"
    version_of_runtime = RUNTIME.name.removeprefix("python")
    PythonAsset(_SOURCE, python_version=version_of_runtime, with_tracer=True).copy_modules(with_tracer)
    contenders = Contenders(
        folder,
        with_tracer=with_tracer,
        python=python,
        log=folder / "log",
        authority=authority,
        ca_bundle=ca_bundle,
    )
    with Stub(certificate=certificate, log=folder / "log") as stub:
        profile = profiles(contenders, endpoint=stub.https, runs=1 if options.quick else 10)
        if options.profile:
            return {"profile": profile}
        rounds, times = (1, 2) if options.quick else (25, 10)
        bench = Bench(contenders=contenders, stub=stub, report=_report, rounds=rounds, times=times)
        results = bench.results()
    about = {
        "day": f"{datetime.now(UTC).date()}",
        "interpreter": interpreter,
        "node": _stdout("node", "--version"),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": load,
        "versions": {name: version(name) for name in _LIBRARIES},
        "minutes": round((time.monotonic() - started) / 60, 1),
    }
    return {"about": about, **results, "asset": zipped_parts(contenders.ours), "profile": profile}


def _stdout(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found[1] if found else platform.processor()


def _certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Return the stub's certificate, its authority's, and a bundle of this and the 140 of AWS SDKs."""
    ca = trustme.CA()
    certificate, authority, ca_bundle = (folder / f"{name}.pem" for name in ("stub", "authority", "bundle"))
    ca.issue_cert("localhost", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    ca.cert_pem.write_to_path(authority)
    ca_bundle.write_bytes(Path(botocore.__file__).with_name("cacert.pem").read_bytes() + ca.cert_pem.bytes())
    return certificate, authority, ca_bundle


def _report(event: str) -> None:
    _console.print(f"bench: {event}")


if __name__ == "__main__":
    sys.exit(main())
